/// One prefix, as lookups find it.
struct PolicyEntry {
  let prefix: UnsafeMutableRawPointer
  let prefixCount: Int
  let settings: LeaseSettings
  /// The prefix's flushes, oldest first.
  let marks: UnsafeMutablePointer<FlushMark>
  let markCount: Int
  /// Number of the last flush.
  let flushSerial: UInt32

  /// What became of an item that lies in a segment of this generation.
  func flushState(generation: UInt64, nowMs: Milliseconds) -> FlushState {
    for index in 0..<markCount where generation <= marks[index].generation {
      return marks[index].staleUntilMs > nowMs ? .stale(untilMs: marks[index].staleUntilMs) : .absent
    }
    return .untouched
  }

  /// Whether the last flush left stale values.
  var keepsStale: Bool { markCount > 0 && marks[markCount - 1].staleUntilMs != 0 }
}

/// All policies, to be looked up by key: the longest prefix wins, by one hash probe per distinct length of the prefixes.
/// Invariant: never changes. Flat and without reference counts: partitions read it under their locks, and it is freed when none has it any more.
struct PolicyTable: ~Copyable {
  private let entries: UnsafeMutablePointer<PolicyEntry>
  private let count: Int
  /// Longest first.
  private let lengths: UnsafeMutablePointer<Int>
  private let lengthCount: Int
  /// Entry number and one; 0: empty.
  private let slots: UnsafeMutablePointer<UInt16>
  private let slotMask: Int
  private let seed: UInt64
  let flushSerial: UInt32
  // What no policy speaks of need not be looked up.
  let changesPlainWrites: Bool
  let changesGrace: Bool
  let refreshesAhead: Bool
  let coalescesGets: Bool

  init(_ policies: [PolicyBook.Entry], defaults: LeaseSettings, flushSerial: UInt32, seed: UInt64) {
    self.seed = seed
    self.flushSerial = flushSerial
    count = policies.count
    entries = .allocate(capacity: max(1, count))
    for (index, policy) in policies.enumerated() {
      (entries + index).initialize(to: PolicyEntry(policy, settings: PolicyBook.settings(of: policy, in: policies, defaults: defaults)))
    }
    let distinct = Set(policies.map(\.prefix.count)).sorted(by: >)
    lengthCount = distinct.count
    lengths = .allocate(capacity: max(1, lengthCount))
    lengths.initialize(from: distinct, count: lengthCount)
    var settings: [LeaseSettings] = []
    for index in 0..<count { settings.append(entries[index].settings) }
    changesPlainWrites = settings.contains { $0.plainWrites != nil }
    changesGrace = settings.contains { $0.graceMs != defaults.graceMs }
    refreshesAhead = settings.contains { $0.refreshAheadMs > 0 }
    coalescesGets = settings.contains { $0.coalesceGetsMs > 0 }
    var capacity = 16
    while capacity < 2 * count { capacity *= 2 }
    slotMask = capacity - 1
    slots = .allocate(capacity: capacity)
    slots.initialize(repeating: 0, count: capacity)
    for index in 0..<count {
      var slot = Int(truncatingIfNeeded: hashBytes(entries[index].prefix, count: entries[index].prefixCount, seed: seed)) & slotMask
      while slots[slot] != 0 { slot = (slot + 1) & slotMask }
      slots[slot] = UInt16(index + 1)
    }
  }

  deinit {
    for index in 0..<count {
      entries[index].prefix.deallocate()
      entries[index].marks.deallocate()
    }
    entries.deallocate()
    slots.deallocate()
    lengths.deallocate()
  }

  /// The entry of the longest prefix of these bytes.
  func find(_ key: UnsafeRawPointer, count: Int) -> UnsafePointer<PolicyEntry>? {
    for index in 0..<lengthCount where lengths[index] <= count {
      let length = lengths[index]
      var slot = Int(truncatingIfNeeded: hashBytes(key, count: length, seed: seed)) & slotMask
      while slots[slot] != 0 {
        let entry = entries + (Int(slots[slot]) - 1)
        if entry.pointee.prefixCount == length, equalBytes(entry.pointee.prefix, key, count: length) { return UnsafePointer(entry) }
        slot = (slot + 1) & slotMask
      }
    }
    return nil
  }
}

extension PolicyEntry {
  fileprivate init(_ policy: PolicyBook.Entry, settings: LeaseSettings) {
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: policy.prefix.count, alignment: 8)
    bytes.copyMemory(from: policy.prefix, byteCount: policy.prefix.count)
    prefix = bytes
    prefixCount = policy.prefix.count
    self.settings = settings
    markCount = policy.marks.marks.count
    marks = .allocate(capacity: max(1, markCount))
    marks.initialize(from: policy.marks.marks, count: markCount)
    flushSerial = policy.flushSerial
  }
}
