import LeaseCore
import LeaseWire

typealias ParkedPointer = UnsafeMutablePointer<ParkedRequest>

/// A request that waits in the store. In memory an `OpaqueLink` follows if it has an opaque, then its line, or its key, which is read anew
/// when the answer comes: a herd is as large as its parked requests, so nothing is kept that the line says.
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
  let kind: Kind
  let hasOpaque: Bool
  let lineCount: UInt16
  /// Of the key.
  let partition: UInt16
  let connection: ConnectionPointer
  var previous: ParkedPointer?
  var next: ParkedPointer?
}

extension ParkedPointer {
  static func make(
    _ waiter: Waiter, _ connection: ConnectionPointer, partition: Int, _ kind: ParkedRequest.Kind, line: Token, opaque: Token?
  ) -> ParkedPointer {
    let opaque = opaque.flatMap { $0.count > 0 ? $0 : nil }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: size(hasOpaque: opaque != nil, lineCount: line.count), alignment: 8)
    let parked = memory.bindMemory(to: ParkedRequest.self, capacity: 1)
    parked.initialize(
      to: ParkedRequest(
        waiter: waiter, kind: kind, hasOpaque: opaque != nil, lineCount: UInt16(truncatingIfNeeded: line.count),
        partition: UInt16(truncatingIfNeeded: partition), connection: connection))
    if let opaque {
      (memory + MemoryLayout<ParkedRequest>.size).bindMemory(to: OpaqueLink.self, capacity: 1).initialize(
        to: OpaqueLink(offset: UInt16(truncatingIfNeeded: opaque.start - line.start), count: UInt8(truncatingIfNeeded: opaque.count)))
    }
    parked.lineStart.copyMemory(from: line.start, byteCount: line.count)
    return parked
  }

  /// For `ParkedRequest.waiter`'s own memory.
  init(_ waiter: WaiterPointer) { self = UnsafeMutableRawPointer(waiter).assumingMemoryBound(to: ParkedRequest.self) }
  var waiter: WaiterPointer { UnsafeMutableRawPointer(self).assumingMemoryBound(to: Waiter.self) }

  private static func size(hasOpaque: Bool, lineCount: Int) -> Int {
    MemoryLayout<ParkedRequest>.size + (hasOpaque ? MemoryLayout<OpaqueLink>.size : 0) + lineCount
  }

  var sizeBytes: Int { Self.size(hasOpaque: pointee.hasOpaque, lineCount: Int(pointee.lineCount)) }

  private var lineStart: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) + Self.size(hasOpaque: pointee.hasOpaque, lineCount: 0) }
  var line: Token { Token(start: UnsafeRawPointer(lineStart), count: Int(pointee.lineCount)) }

  var opaqueLink: UnsafeMutablePointer<OpaqueLink>? {
    guard pointee.hasOpaque else { return nil }
    return (UnsafeMutableRawPointer(self) + MemoryLayout<ParkedRequest>.size).assumingMemoryBound(to: OpaqueLink.self)
  }

  var opaque: Token {
    guard let link = opaqueLink else { return Token(start: line.start, count: 0) }
    return Token(start: line.start + Int(link.pointee.offset), count: Int(link.pointee.count))
  }

  func free() {
    deinitialize(count: 1)
    UnsafeMutableRawPointer(self).deallocate()
  }
}
