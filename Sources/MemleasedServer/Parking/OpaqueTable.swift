import LeaseWire

/// The place of a parked request in its worker's `OpaqueTable`, and where in its line the opaque is.
struct OpaqueLink {
  /// The first one's is the last of its chain.
  var previous: ParkedPointer?
  var next: ParkedPointer?
  let offset: UInt16
  let count: UInt8
}

/// The parked requests of one worker by connection and opaque, so that `mx` finds one among many.
/// Invariant: those with an opaque are in the chain of their hash, the oldest first.
struct OpaqueTable {
  private static let perChain = 2
  private var chains = [ParkedPointer?](repeating: nil, count: 16)
  private var count = 0

  private func chain(_ opaque: Token, _ connection: ConnectionPointer) -> Int {
    var state = UInt64(UInt(bitPattern: connection)) &* 0x9e37_79b9_7f4a_7c15
    for offset in 0..<opaque.count {
      state = (state ^ UInt64(opaque.start.load(fromByteOffset: offset, as: UInt8.self))) &* 0x0000_0100_0000_01b3
      state ^= state >> 29
    }
    return Int(truncatingIfNeeded: state ^ state >> 32) & (chains.count - 1)
  }

  mutating func insert(_ parked: ParkedPointer) {
    if count >= chains.count * Self.perChain { grow() }
    append(parked)
    count += 1
  }

  /// O(1), however many have the same opaque.
  mutating func remove(_ parked: ParkedPointer) {
    guard let link = parked.opaqueLink?.pointee else { return }
    let chain = chain(parked.opaque, parked.pointee.connection)
    if chains[chain] == parked { chains[chain] = link.next } else { link.previous?.opaqueLink?.pointee.next = link.next }
    (link.next ?? chains[chain])?.opaqueLink?.pointee.previous = link.previous
    count -= 1
  }

  /// The oldest with this opaque.
  func find(_ opaque: Token, _ connection: ConnectionPointer) -> ParkedPointer? {
    var parked = chains[chain(opaque, connection)]
    while let current = parked {
      if current.pointee.connection == connection, isEqual(current.opaque, opaque) { return current }
      parked = current.opaqueLink?.pointee.next
    }
    return nil
  }

  private func isEqual(_ a: Token, _ b: Token) -> Bool {
    a.count == b.count
      && UnsafeRawBufferPointer(start: a.start, count: a.count).elementsEqual(UnsafeRawBufferPointer(start: b.start, count: b.count))
  }

  private mutating func append(_ parked: ParkedPointer) {
    let chain = chain(parked.opaque, parked.pointee.connection)
    parked.opaqueLink?.pointee.next = nil
    if let first = chains[chain] {
      let last = first.opaqueLink?.pointee.previous
      last?.opaqueLink?.pointee.next = parked
      parked.opaqueLink?.pointee.previous = last
      first.opaqueLink?.pointee.previous = parked
    } else {
      parked.opaqueLink?.pointee.previous = parked
      chains[chain] = parked
    }
  }

  private mutating func grow() {
    let old = chains
    chains = Array(repeating: nil, count: old.count * 2)
    for first in old {
      var parked = first
      while let current = parked {
        parked = current.opaqueLink?.pointee.next
        append(current)
      }
    }
  }
}
