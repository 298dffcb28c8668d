#if os(Linux)
  import Testing

  @testable import memlease_bench

  struct ArrivalsTests {
    private static let gapNs = 1000.0

    @Test func theSeedAloneDecidesWhenRequestsAreDue() {
      #expect(drawn(seed: 1, numbers: [0, 1, 2]) == drawn(seed: 1, numbers: [0, 1, 2]))
      #expect(drawn(seed: 1, numbers: [0, 1, 2]) != drawn(seed: 2, numbers: [0, 1, 2]))
      // However the connections are shared out among threads.
      #expect(drawn(seed: 1, numbers: [2]) == drawn(seed: 1, numbers: [0, 1, 2]).filter { $0.number == 2 })
    }

    @Test func theFirstThatIsDueComesFirstAndNoneBeforeItsTime() {
      let arrivals = drawn(seed: 3, numbers: Array(0..<50))
      #expect(arrivals.map(\.dueNs) == arrivals.map(\.dueNs).sorted())
    }

    @Test func gapsAreRandomWithTheMeanThatWasAskedFor() {
      var arrivals = Arrivals(numbers: [7], meanGapNs: Self.gapNs, seed: 1, beganNs: 0)
      var gaps: [Double] = []
      var last: UInt64 = 0
      for _ in 0..<100_000 {
        gaps.append(Double(arrivals.dueNs[0] - last))
        last = arrivals.dueNs[0]
        arrivals.advance(0)
      }
      let mean = gaps.reduce(0, +) / Double(gaps.count)
      let shorterThanMean = Double(gaps.filter { $0 < Self.gapNs }.count) / Double(gaps.count)
      #expect(abs(mean - Self.gapNs) < 0.02 * Self.gapNs)
      // Of an exponential distribution, 1 - 1/e lie below the mean.
      #expect(abs(shorterThanMean - 0.632) < 0.01)
    }

    @Test func aConnectionThatDoesNotWaitIsNeverTheFirst() {
      var arrivals = Arrivals(numbers: [0, 1], meanGapNs: Self.gapNs, seed: 1, beganNs: 0)
      let first = arrivals.takeFirst(dueByNs: .max)
      let second = arrivals.takeFirst(dueByNs: .max)
      #expect(Set([first, second]) == [0, 1])
      #expect(arrivals.takeFirst(dueByNs: .max) == nil)
      #expect(arrivals.nextNs == .max)
      #expect(arrivals.isWaiting == [false, false])
      arrivals.wait(1)
      #expect(arrivals.nextNs == arrivals.dueNs[1])
      #expect(arrivals.takeFirst(dueByNs: arrivals.dueNs[1] - 1) == nil)
    }

    private struct Arrival: Equatable {
      let number: Int
      let dueNs: UInt64
    }

    private func drawn(seed: UInt64, numbers: [Int]) -> [Arrival] {
      var arrivals = Arrivals(numbers: numbers, meanGapNs: Self.gapNs, seed: seed, beganNs: 0)
      var drawn: [Arrival] = []
      while let index = arrivals.takeFirst(dueByNs: 100_000) {
        drawn.append(Arrival(number: numbers[index], dueNs: arrivals.dueNs[index]))
        arrivals.advance(index)
        arrivals.wait(index)
      }
      return drawn
    }
  }
#endif
