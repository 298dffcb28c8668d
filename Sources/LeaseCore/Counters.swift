/// What a partition counted. Sums over partitions are what `stats` shows.
public struct Counters: Sendable, BitwiseCopyable {
  public var cmdGet: UInt64 = 0, getHits: UInt64 = 0, getMisses: UInt64 = 0, getExpired: UInt64 = 0, getFlushed: UInt64 = 0
  public var cmdSet: UInt64 = 0, cmdTouch: UInt64 = 0, touchHits: UInt64 = 0, touchMisses: UInt64 = 0
  public var deleteHits: UInt64 = 0, deleteMisses: UInt64 = 0
  public var incrHits: UInt64 = 0, incrMisses: UInt64 = 0, decrHits: UInt64 = 0, decrMisses: UInt64 = 0
  public var casHits: UInt64 = 0, casMisses: UInt64 = 0, casBadval: UInt64 = 0
  public var storeTooLarge: UInt64 = 0, storeNoMemory: UInt64 = 0
  public var totalItems: UInt64 = 0, evictions: UInt64 = 0, evictedUnfetched: UInt64 = 0, expiredUnfetched: UInt64 = 0,
    reclaimed: UInt64 = 0
  public var segmentsEvicted: UInt64 = 0, segmentsExpired: UInt64 = 0, segmentsMerged: UInt64 = 0, bytesMoved: UInt64 = 0
  public var leaseGrants: UInt64 = 0, leaseFills: UInt64 = 0, hotMisses: UInt64 = 0, staleHits: UInt64 = 0, refreshGrants: UInt64 = 0
  public var leaseVoids: UInt64 = 0, leaseExpired: UInt64 = 0, leaseReleases: UInt64 = 0, leaseDisconnects: UInt64 = 0
  public var leaseRevokes: UInt64 = 0
  public var leaseFails: UInt64 = 0, leasePasses: UInt64 = 0, leaseKeeps: UInt64 = 0, leaseHolds: UInt64 = 0, leaseExtends: UInt64 = 0
  public var staleStored: UInt64 = 0, leaseSetRefused: UInt64 = 0, plainWritesRefused: UInt64 = 0, leaseTableFull: UInt64 = 0
  public var grantsDelayed: UInt64 = 0
  /// Readers that waited, and what became of them; those that found too many waiting.
  public var waitsParked: UInt64 = 0, waitsFilled: UInt64 = 0, waitsFailed: UInt64 = 0, waitsPassed: UInt64 = 0, waitsPromoted: UInt64 = 0
  public var waitsTimedOut: UInt64 = 0, waitsCancelled: UInt64 = 0, waitsDisconnected: UInt64 = 0
  public var waitersRefusedByKey: UInt64 = 0, waitersRefusedInAll: UInt64 = 0
  public var coalescedFetches: UInt64 = 0
  /// Answers to waiters for which there was no memory: they were told to ask again.
  public var answersWithoutValue: UInt64 = 0
  public init() {}

  /// Adds the other's counts. The fields are all `UInt64`, so the struct is summed as a row of words.
  public static func += (sum: inout Counters, other: Counters) { addWords(&sum, other) }
}

/// What a partition holds now. `liveBytes` are those of live items in segments; large values are counted beside them.
public struct Usage: Sendable, BitwiseCopyable {
  public var items: UInt64 = 0, liveBytes: UInt64 = 0, segments: UInt64 = 0, indexBytes: UInt64 = 0, indexBuckets: UInt64 = 0
  public var leases: UInt64 = 0, leaseRecords: UInt64 = 0, leaseBytes: UInt64 = 0, largeValues: UInt64 = 0, largeBytes: UInt64 = 0
  /// Readers that wait.
  public var waiters: UInt64 = 0
  /// Partitions whose index is moving to a larger table.
  public var growingIndexes: UInt64 = 0
  public var isIndexGrowing: Bool { growingIndexes > 0 }
  public init() {}

  /// Adds the other's amounts.
  public static func += (sum: inout Usage, other: Usage) { addWords(&sum, other) }
}

/// Adds two structs of the same type that hold nothing but `UInt64` fields.
private func addWords<Row: BitwiseCopyable>(_ sum: inout Row, _ other: Row) {
  withUnsafeMutableBytes(of: &sum) { sumBytes in
    withUnsafeBytes(of: other) { otherBytes in
      for offset in stride(from: 0, to: sumBytes.count, by: 8) {
        let total = sumBytes.load(fromByteOffset: offset, as: UInt64.self) &+ otherBytes.load(fromByteOffset: offset, as: UInt64.self)
        sumBytes.storeBytes(of: total, toByteOffset: offset, as: UInt64.self)
      }
    }
  }
}
