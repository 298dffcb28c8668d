import LeaseWire

/// The parked requests of one worker by connection and opaque, so that `mx` finds one among many.
/// Invariant: those with an opaque are in the chain of their hash, the oldest first.
struct OpaqueTable {
  private struct Chain {
    var first: ParkedPointer?
    var last: ParkedPointer?
  }

  private var chains = [Chain](repeating: Chain(), count: 16)
  private var count = 0
  private var mask: Int { chains.count - 1 }

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
    append(parked)
    count += 1
  }

  /// O(1), however many have the same opaque.
  mutating func remove(_ parked: ParkedPointer) {
    let chain = Int(parked.pointee.opaqueHash) & mask
    let (previous, next) = (parked.pointee.opaquePrevious, parked.pointee.opaqueNext)
    if let previous { previous.pointee.opaqueNext = next } else { chains[chain].first = next }
    if let next { next.pointee.opaquePrevious = previous } else { chains[chain].last = previous }
    count -= 1
  }

  /// The oldest with this opaque.
  func find(_ opaque: Token, _ connection: ConnectionPointer) -> ParkedPointer? {
    let hash = OpaqueTable.hash(opaque, connection)
    var parked = chains[Int(hash) & mask].first
    while let current = parked {
      if current.pointee.opaqueHash == hash, current.pointee.connection == connection, isEqual(current.opaque, opaque) { return current }
      parked = current.pointee.opaqueNext
    }
    return nil
  }

  private func isEqual(_ a: Token, _ b: Token) -> Bool {
    a.count == b.count
      && UnsafeRawBufferPointer(start: a.start, count: a.count).elementsEqual(UnsafeRawBufferPointer(start: b.start, count: b.count))
  }

  private mutating func append(_ parked: ParkedPointer) {
    let chain = Int(parked.pointee.opaqueHash) & mask
    parked.pointee.opaquePrevious = chains[chain].last
    parked.pointee.opaqueNext = nil
    if let last = chains[chain].last { last.pointee.opaqueNext = parked } else { chains[chain].first = parked }
    chains[chain].last = parked
  }

  private mutating func grow() {
    let old = chains
    chains = Array(repeating: Chain(), count: old.count * 2)
    for chain in old {
      var parked = chain.first
      while let current = parked {
        parked = current.pointee.opaqueNext
        append(current)
      }
    }
  }
}
