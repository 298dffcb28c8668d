#if os(Linux)
  /// A small fast random sequence; the same seed gives the same load.
  struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }

    /// Uniform in 0..<1.
    mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }
  }

  /// Draws key numbers: every key alike, or by Zipf's law, where the popular ones lie scattered over the key space.
  struct KeyChoice {
    private let keys: Int
    private let step: Int
    /// Nil when uniform.
    private let zipf: Zipf?

    /// A `theta` of 0 is uniform.
    init(keys: Int, theta: Double) {
      self.keys = keys
      step = Self.stepCoprime(to: keys)
      zipf = theta > 0 ? Zipf(count: keys, exponent: theta) : nil
    }

    func next(_ random: inout SplitMix) -> Int {
      guard let zipf else { return Int(random.next() % UInt64(keys)) }
      return zipf.next(&random) * step % keys
    }

    private static func stepCoprime(to keys: Int) -> Int {
      var step = 2_654_435_761 % max(keys, 2) | 1
      while greatestCommonDivisor(step, keys) != 1 { step += 2 }
      return step
    }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }
  }
#endif
