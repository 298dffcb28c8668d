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
  var opaquePrevious: ParkedPointer?
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
