#if os(Linux)
  import Testing

  @testable import memlease_bench

  struct LatenciesTests {
    @Test func nothingRecorded() {
      let latencies = Latencies()
      #expect((latencies.count, latencies.maximum, latencies.mean, latencies.percentile(0.99)) == (0, 0, 0, 0))
    }

    @Test func threeDigitsFromNanosecondsToAnHour() {
      for value: UInt64 in [1, 999, 12_345, 1_234_567, 3_600_000_000_000] {
        var latencies = Latencies()
        latencies.record(value, times: 1)
        latencies.record(value * 2, times: 1)
        let median = latencies.percentile(0.5)
        #expect(median >= value && Double(median - value) <= 0.001 * Double(value))
      }
    }

    @Test func whatIsLongerThanAnHourCountsAsAnHour() {
      var latencies = Latencies()
      latencies.record(.max, times: 3)
      #expect((latencies.count, latencies.maximum) == (3, 3_600_000_000_000))
    }

    @Test func mergedCountsAreCountsOfBoth() {
      var fast = Latencies()
      var slow = Latencies()
      fast.record(1000, times: 99)
      slow.record(50_000, times: 1)
      fast.merge(slow)
      #expect((fast.count, fast.maximum, fast.percentile(0.5)) == (100, 50_000, 1000))
      #expect(fast.percentile(0.995) == 50_000)
    }

    @Test func theDistributionIsHdrHistogramsTextFormatInMicroseconds() throws {
      var latencies = Latencies()
      latencies.record(2_000, times: 9)
      latencies.record(1_000_000, times: 1)
      let lines = latencies.distribution.split(separator: "\n")
      #expect(lines.first?.split(separator: " ") == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"])
      #expect(lines.dropFirst().first?.split(separator: " ").first == "2.000")
      #expect(try #require(lines.first { $0.hasPrefix("#[Max") }).contains("Total count    =           10]"))
    }
  }
#endif
