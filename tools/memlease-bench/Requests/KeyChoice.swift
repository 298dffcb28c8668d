#if os(Linux)
  import Glibc

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
    /// Empty when uniform; else the running sum of popularity by rank, ending at 1.
    private let cumulative: [Double]

    /// A `theta` of 0 is uniform.
    init(keys: Int, theta: Double) {
      self.keys = keys
      step = Self.stepCoprime(to: keys)
      guard theta > 0 else {
        cumulative = []
        return
      }
      var sums: [Double] = []
      sums.reserveCapacity(keys)
      var sum = 0.0
      for rank in 1...keys {
        sum += 1 / pow(Double(rank), theta)
        sums.append(sum)
      }
      cumulative = sums.map { $0 / sum }
    }

    func next(_ random: inout SplitMix) -> Int {
      if cumulative.isEmpty { return Int(random.next() % UInt64(keys)) }
      let point = random.nextUnit()
      var low = 0
      var high = keys - 1
      while low < high {
        let middle = (low + high) / 2
        if cumulative[middle] < point { low = middle + 1 } else { high = middle }
      }
      return low * step % keys
    }

    private static func stepCoprime(to keys: Int) -> Int {
      var step = 2_654_435_761 % max(keys, 2) | 1
      while greatestCommonDivisor(step, keys) != 1 { step += 2 }
      return step
    }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }
  }
#endif
