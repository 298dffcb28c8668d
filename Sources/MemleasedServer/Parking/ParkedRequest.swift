import LeaseCore
import LeaseWire

typealias ParkedPointer = UnsafeMutablePointer<ParkedRequest>

/// A request that waits in the store. Its line, or its key, follows in memory and is read anew when the answer comes.
/// Invariant: in its connection's list until it is answered; in its worker's heap until its time is over; `waiter` is the first field, so
/// that a waiter's address is its request's.
struct ParkedRequest {
  enum Kind: UInt8 {
    /// A meta line that keeps its place: what follows on the connection waits.
    case inOrder
    /// A meta line with an opaque.
    case outOfOrder
    /// One key of a coalesced `get`.
    case key
  }

  var waiter: Waiter
  let connection: ConnectionPointer
  let hash: UInt64
  var previous: ParkedPointer?
  var next: ParkedPointer?
  /// In the worker's table of opaques.
  var opaqueNext: ParkedPointer?
  /// The answer, when the connection could not take it at once.
  var deferred: WaitOutcome?
  let opaqueHash: UInt32
  /// What of the connection's bound that takes.
  var deferredBytes: UInt32 = 0
  let lineCount: UInt16
  let opaqueOffset: UInt16
  let opaqueCount: UInt8
  let kind: Kind
}

extension ParkedPointer {
  static func make(
    _ waiter: Waiter, _ connection: ConnectionPointer, _ key: CacheKey, _ kind: ParkedRequest.Kind, line: Token, opaque: Token?
  ) -> ParkedPointer {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<ParkedRequest>.size + line.count, alignment: 16)
    let parked = memory.bindMemory(to: ParkedRequest.self, capacity: 1)
    let opaqueHash = opaque.map { OpaqueTable.hash($0, connection) } ?? 0
    parked.initialize(
      to: ParkedRequest(
        waiter: waiter, connection: connection, hash: key.hash, opaqueHash: opaqueHash, lineCount: UInt16(truncatingIfNeeded: line.count),
        opaqueOffset: UInt16(truncatingIfNeeded: opaque.map { $0.start - line.start } ?? 0),
        opaqueCount: UInt8(truncatingIfNeeded: opaque?.count ?? 0), kind: kind))
    parked.line.copyMemory(from: line.start, byteCount: line.count)
    return parked
  }

  /// For `ParkedRequest.waiter`'s own memory.
  init(_ waiter: WaiterPointer) { self = UnsafeMutableRawPointer(waiter).assumingMemoryBound(to: ParkedRequest.self) }
  var waiter: WaiterPointer { UnsafeMutableRawPointer(self).assumingMemoryBound(to: Waiter.self) }

  var line: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) + MemoryLayout<ParkedRequest>.size }
  var lineToken: Token { Token(start: UnsafeRawPointer(line), count: Int(pointee.lineCount)) }
  var opaque: Token { Token(start: UnsafeRawPointer(line) + Int(pointee.opaqueOffset), count: Int(pointee.opaqueCount)) }
  var sizeBytes: Int { MemoryLayout<ParkedRequest>.size + Int(pointee.lineCount) }

  func free() {
    deinitialize(count: 1)
    UnsafeMutableRawPointer(self).deallocate()
  }
}

/// The parked requests of one worker by connection and opaque, so that `mx` finds one among many.
/// Invariant: those with an opaque are in the chain of their hash, the newest first.
struct OpaqueTable {
  private var chains: UnsafeMutablePointer<ParkedPointer?>
  private var mask = 15
  private var count = 0

  init() {
    chains = .allocate(capacity: 16)
    chains.initialize(repeating: nil, count: 16)
  }

  func free() { chains.deallocate() }

  static func hash(_ opaque: Token, _ connection: ConnectionPointer) -> UInt32 {
    var state = UInt64(UInt(bitPattern: connection)) &* 0x9e37_79b9_7f4a_7c15
    for offset in 0..<opaque.count {
      state = (state ^ UInt64(opaque.start.load(fromByteOffset: offset, as: UInt8.self))) &* 0x0000_0100_0000_01b3
      state ^= state >> 29
    }
    return UInt32(truncatingIfNeeded: state ^ state >> 32)
  }

  mutating func insert(_ parked: ParkedPointer) {
    if count > mask { grow() }
    let chain = Int(parked.pointee.opaqueHash) & mask
    parked.pointee.opaqueNext = chains[chain]
    chains[chain] = parked
    count += 1
  }

  mutating func remove(_ parked: ParkedPointer) {
    let chain = Int(parked.pointee.opaqueHash) & mask
    if chains[chain] == parked {
      chains[chain] = parked.pointee.opaqueNext
    } else {
      var before = chains[chain]
      while let current = before, current.pointee.opaqueNext != parked { before = current.pointee.opaqueNext }
      before?.pointee.opaqueNext = parked.pointee.opaqueNext
    }
    parked.pointee.opaqueNext = nil
    count -= 1
  }

  /// The oldest with this opaque. O(1), but for those that have the same.
  func find(_ opaque: Token, _ connection: ConnectionPointer) -> ParkedPointer? {
    let hash = OpaqueTable.hash(opaque, connection)
    var oldest: ParkedPointer?
    var parked = chains[Int(hash) & mask]
    while let current = parked {
      if current.pointee.opaqueHash == hash, current.pointee.connection == connection, isEqual(current.opaque, opaque) { oldest = current }
      parked = current.pointee.opaqueNext
    }
    return oldest
  }

  private func isEqual(_ a: Token, _ b: Token) -> Bool {
    a.count == b.count
      && UnsafeRawBufferPointer(start: a.start, count: a.count).elementsEqual(UnsafeRawBufferPointer(start: b.start, count: b.count))
  }

  private mutating func grow() {
    let newMask = mask * 2 + 1
    let bigger = UnsafeMutablePointer<ParkedPointer?>.allocate(capacity: newMask + 1)
    bigger.initialize(repeating: nil, count: newMask + 1)
    for chain in 0...mask {
      // Two passes keep the order within the new chains.
      var reversed: ParkedPointer?
      while let parked = chains[chain] {
        chains[chain] = parked.pointee.opaqueNext
        parked.pointee.opaqueNext = reversed
        reversed = parked
      }
      while let parked = reversed {
        reversed = parked.pointee.opaqueNext
        let target = Int(parked.pointee.opaqueHash) & newMask
        parked.pointee.opaqueNext = bigger[target]
        bigger[target] = parked
      }
    }
    chains.deallocate()
    chains = bigger
    mask = newMask
  }
}
