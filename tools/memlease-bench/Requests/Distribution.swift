#if os(Linux)
  import ArgumentParser

  /// Whole numbers with their likelihoods: `N`, `A..B` (all alike), or `N:W,A..B:W,...` (weights).
  /// Invariant: at least one part; the parts' `upTo` rise to 1.
  struct Distribution: Sendable, ExpressibleByArgument, CustomStringConvertible {
    private struct Part {
      let range: ClosedRange<Int>
      /// The likelihood of this part and all before it.
      var upTo: Double
    }

    static let most = 1 << 32
    static let mostParts = 64

    let description: String
    let least: Int
    let greatest: Int
    private let parts: [Part]

    init(_ value: Int) {
      description = "\(value)"
      (least, greatest) = (value, value)
      parts = [Part(range: value...value, upTo: 1)]
    }

    init?(argument: String) {
      description = argument
      let pieces = argument.split(separator: ",", omittingEmptySubsequences: false)
      if pieces.count > Self.mostParts { return nil }
      var parts: [Part] = []
      var sum = 0.0
      for piece in pieces {
        let halves = piece.split(separator: ":", omittingEmptySubsequences: false)
        guard halves.count <= 2, let range = Self.range(halves[0]) else { return nil }
        if halves.count == 1 && pieces.count > 1 { return nil }
        guard let weight = halves.count == 2 ? Double(halves[1]) : 1, weight > 0, weight <= 1e9 else { return nil }
        sum += weight
        parts.append(Part(range: range, upTo: sum))
      }
      for index in parts.indices { parts[index].upTo /= sum }
      self.parts = parts
      least = parts.map(\.range.lowerBound).min() ?? 0
      greatest = parts.map(\.range.upperBound).max() ?? 0
    }

    private static func range(_ text: Substring) -> ClosedRange<Int>? {
      if let value = number(text) { return value...value }
      guard let dots = text.firstRange(of: ".."), let low = number(text[..<dots.lowerBound]), let high = number(text[dots.upperBound...]),
        low <= high
      else { return nil }
      return low...high
    }

    private static func number(_ text: Substring) -> Int? {
      guard text.allSatisfy({ $0.isASCII && $0.isNumber }), let value = Int(text), value <= most else { return nil }
      return value
    }

    /// The one value that there is, if there is only one.
    var only: Int? { least == greatest ? least : nil }

    var mean: Double {
      var sum = 0.0
      var from = 0.0
      for part in parts {
        sum += (part.upTo - from) * Double(part.range.lowerBound + part.range.upperBound) / 2
        from = part.upTo
      }
      return sum
    }

    var rounded: Int { Int(mean.rounded()) }

    /// The value at a point of 0..<1: drawn by the distribution when the points are spread evenly.
    func value(at point: Double) -> Int {
      var from = 0.0
      for part in parts {
        if point < part.upTo {
          let within = (point - from) / (part.upTo - from)
          return min(part.range.upperBound, part.range.lowerBound + Int(within * Double(part.range.count)))
        }
        from = part.upTo
      }
      return parts[parts.count - 1].range.upperBound
    }
  }
#endif
