#if os(Linux)
  import Glibc

  /// Draws ranks 0..<count by Zipf's law without a table, by rejection-inversion: the area under the curve x^-exponent is inverted, and a point
  /// that lies above the step of its rank is drawn again (a few in a hundred).
  struct Zipf {
    private let count: Double
    private let exponent: Double
    private let lowArea: Double
    private let highArea: Double

    init(count: Int, exponent: Double) {
      self.count = Double(count)
      self.exponent = exponent
      lowArea = Self.area(1.5, exponent) - 1
      highArea = Self.area(Double(count) + 0.5, exponent)
    }

    func next(_ random: inout SplitMix) -> Int {
      while true {
        let point = highArea + random.nextUnit() * (lowArea - highArea)
        let rank = min(max(Self.inverse(point, exponent).rounded(), 1), count)
        if point >= Self.area(rank + 0.5, exponent) - pow(rank, -exponent) { return Int(rank) - 1 }
      }
    }

    /// Of x^-exponent, from 1 to x.
    private static func area(_ x: Double, _ exponent: Double) -> Double {
      let rest = 1 - exponent
      return abs(rest) < 1e-9 ? log(x) : (pow(x, rest) - 1) / rest
    }

    private static func inverse(_ area: Double, _ exponent: Double) -> Double {
      let rest = 1 - exponent
      return abs(rest) < 1e-9 ? exp(area) : pow(max(0, 1 + area * rest), 1 / rest)
    }
  }
#endif
