/// One lease, given to one holder; or what is remembered of it after a delete voided it.
struct Grant {
  enum Kind: UInt8 {
    case reader, refresh, writer
    /// A plain get that missed where gets are coalesced: a mark that nobody knows the token of, and that keeps no write out.
    case filler
    case voided
  }

  var next: UnsafeMutablePointer<Grant>?
  var token: UInt64
  var deadlineMs: Milliseconds
  /// When it was granted, or, voided, when the delete came: the stale window of a late fill runs from there.
  var sinceMs: Milliseconds
  /// The connection that holds it; 0: none.
  var holderID: UInt64
  var kind: Kind
  /// Another stale value has taken the place of the one that came with the token: what the holder learns about that says nothing about this.
  var isValueReplaced = false
}

/// What a key owes, and what is remembered of it while nobody holds it. The key's bytes follow the struct.
/// Invariant: while somebody waits there is a live lease or a grant interval to wait for; in its table's chain and, while `deadlineMs` is not `.max`, in the deadline heap at `heapIndex`; removed as soon as nothing in it is of use.
struct KeyRecord {
  /// What readers without a value are told meanwhile.
  enum Outcome: UInt8 { case none, failed, passed }

  var next: UnsafeMutablePointer<KeyRecord>?
  let hash: UInt64
  /// The earliest time at which something in here is over.
  var deadlineMs: Milliseconds = .max
  var grants: UnsafeMutablePointer<Grant>?
  /// How long a value kept by a delete or a hold may be shown as stale; 0: none.
  var staleUntilMs: Milliseconds = 0
  /// The token whose late fill is the stale value now; 0: the value that was there before.
  var staleToken: UInt64 = 0
  /// With a grant interval: no grant before this.
  var nextGrantMs: Milliseconds = 0
  var outcomeUntilMs: Milliseconds = 0
  var message: UnsafeMutableRawPointer?
  var messageCount: UInt16 = 0
  let keyCount: UInt8
  var outcome = Outcome.none
  var heapIndex: Int32 = -1
  /// Who waits for the key, by worker.
  var lanes: LanePointer?
  var waiterCount: UInt32 = 0
  /// Number of the last flush by prefix that this record has seen.
  var flushSerial: UInt32 = 0

  init(hash: UInt64, keyCount: Int) {
    self.hash = hash
    self.keyCount = UInt8(truncatingIfNeeded: keyCount)
  }
}

typealias RecordPointer = UnsafeMutablePointer<KeyRecord>

extension UnsafeMutablePointer<KeyRecord> {
  var key: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) + MemoryLayout<KeyRecord>.size }

  func eachGrant(_ body: (UnsafeMutablePointer<Grant>) -> Void) {
    var grant = pointee.grants
    while let current = grant {
      grant = current.pointee.next
      body(current)
    }
  }

  /// The live or voided lease of this token.
  func grant(token: UInt64) -> UnsafeMutablePointer<Grant>? {
    var grant = pointee.grants
    while let current = grant {
      if current.pointee.token == token { return current }
      grant = current.pointee.next
    }
    return nil
  }

  /// A lease that is still valid under this token.
  func liveGrant(token: UInt64) -> UnsafeMutablePointer<Grant>? {
    guard let grant = grant(token: token), grant.pointee.kind != .voided else { return nil }
    return grant
  }

  var liveGrants: Int {
    var count = 0
    eachGrant { if $0.pointee.kind != .voided { count += 1 } }
    return count
  }

  /// The live ones that somebody asked for: they keep guarded writes out, and their end is what a delete reports.
  var liveLeases: Int {
    var count = 0
    eachGrant { if $0.pointee.kind != .voided, $0.pointee.kind != .filler { count += 1 } }
    return count
  }

  /// The stale value is another one now, and the leases stay.
  func noteValueReplaced() { eachGrant { $0.pointee.isValueReplaced = true } }

  /// Whether this connection has a live lease on the key.
  func holds(_ holderID: UInt64) -> Bool {
    var found = false
    if holderID != 0 { eachGrant { if $0.pointee.holderID == holderID, $0.pointee.kind != .voided { found = true } } }
    return found
  }

  var voidedGrants: Int {
    var count = 0
    eachGrant { if $0.pointee.kind == .voided { count += 1 } }
    return count
  }

  var writer: UnsafeMutablePointer<Grant>? {
    var found: UnsafeMutablePointer<Grant>?
    eachGrant { if $0.pointee.kind == .writer { found = $0 } }
    return found
  }

  /// When the last of the live leases ends.
  var lastDeadlineMs: Milliseconds {
    var last: Milliseconds = 0
    eachGrant { if $0.pointee.kind != .voided { last = Swift.max(last, $0.pointee.deadlineMs) } }
    return last
  }

  /// The earliest time at which something in the record is over; `.max`: nothing in it is of use.
  var earliestMs: Milliseconds {
    var earliest = Milliseconds.max
    eachGrant { earliest = Swift.min(earliest, $0.pointee.deadlineMs) }
    if pointee.outcome != .none { earliest = Swift.min(earliest, pointee.outcomeUntilMs) }
    if pointee.staleUntilMs != 0 { earliest = Swift.min(earliest, pointee.staleUntilMs) }
    if pointee.nextGrantMs != 0 { earliest = Swift.min(earliest, pointee.nextGrantMs) }
    return earliest
  }
}
