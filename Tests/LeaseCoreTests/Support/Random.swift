/// A small seeded generator (SplitMix64): a failing seed reproduces exactly.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func below(_ limit: Int) -> Int { limit <= 1 ? 0 : Int(next() % UInt64(limit)) }

  /// From 1 to `limit`, each order of magnitude about equally often.
  mutating func size(upTo limit: Int) -> Int {
    let bits = limit.bitWidth - limit.leadingZeroBitCount
    let magnitude = below(bits) + 1
    return min(limit, 1 + below(1 << magnitude))
  }
}

/// `count` bytes that differ from those of every other seed at almost every place, so that a torn or foreign value shows.
func patternBytes(seed: UInt64, count: Int) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    let raw = UnsafeMutableRawBufferPointer(buffer)
    var word = seed &* 0x9e37_79b9_7f4a_7c15 | 1
    var offset = 0
    while offset &+ 8 <= count {
      raw.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
      word = word &+ 0x0101_0507_0b0d_1113
      offset &+= 8
    }
    while offset < count {
      raw[offset] = UInt8(truncatingIfNeeded: word)
      word >>= 8
      offset &+= 1
    }
    initialized = count
  }
}
