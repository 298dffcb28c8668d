#if os(Linux)
  import Testing

  @testable import memlease_bench

  struct DistributionTests {
    @Test(arguments: ["16", "0", "1..4", "10:1", "8:1,100:3", "1..8:2.5,64:1,100..200:0.5"])
    func whatItUnderstands(_ text: String) throws {
      #expect(try #require(Distribution(argument: text)).description == text)
    }

    @Test(arguments: [
      "", "x", "-1", "1.5", "4..1", "1..", "..2", "1,2", "1:0", "1:-1", "1:x", "1:2:3", "1:1,", "99999999999", "1:nan", "1:1e300",
    ])
    func whatItRefuses(_ text: String) {
      #expect(Distribution(argument: text) == nil)
    }

    @Test func noMorePartsThanTheLimit() {
      let most = Array(repeating: "5:1", count: Distribution.mostParts)
      #expect(Distribution(argument: most.joined(separator: ",")) != nil)
      #expect(Distribution(argument: (most + ["5:1"]).joined(separator: ",")) == nil)
    }

    @Test func everyValueOfARangeIsAsLikelyAsTheOthers() throws {
      let values = try valuesAtEvenPoints("3..6", 4000)
      #expect(values == [3: 1000, 4: 1000, 5: 1000, 6: 1000])
    }

    @Test func weightsAreKept() throws {
      let values = try valuesAtEvenPoints("1:3,10..11:1", 8000)
      #expect(values == [1: 6000, 10: 1000, 11: 1000])
    }

    @Test func leastGreatestAndMean() throws {
      let mixed = try #require(Distribution(argument: "100:1,10..20:3"))
      #expect((mixed.least, mixed.greatest, mixed.only, mixed.rounded) == (10, 100, nil, 36))
      #expect(abs(mixed.mean - 36.25) < 1e-9)
      #expect(try #require(Distribution(argument: "7..7:2,7:1")).only == 7)
    }

    private func valuesAtEvenPoints(_ text: String, _ count: Int) throws -> [Int: Int] {
      let distribution = try #require(Distribution(argument: text))
      // In the middle of each step: rounding then cannot push a point over an edge.
      return (0..<count).reduce(into: [:]) { $0[distribution.value(at: (Double($1) + 0.5) / Double(count)), default: 0] += 1 }
    }
  }
#endif
