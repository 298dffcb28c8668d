import Histogram

/// Durations in nanoseconds, to three significant digits.
/// Invariant: what is longer than an hour counts as an hour.
struct Latencies: Sendable {
  private static let longestNs: UInt64 = 3_600_000_000_000

  private var histogram = Histogram<UInt64>(highestTrackableValue: longestNs, numberOfSignificantValueDigits: .three)

  var count: UInt64 { histogram.totalCount }
  var maximum: UInt64 { histogram.maxRecorded }
  var mean: Double { count == 0 ? 0 : histogram.mean }

  @inline(__always)
  mutating func record(_ ns: UInt64, times: UInt64) { histogram.record(min(ns, Self.longestNs), count: times) }

  mutating func merge(_ other: Latencies) { histogram.add(other.histogram) }

  /// The smallest duration (to three digits, rounded up) that `fraction` of all do not exceed; 0 when empty.
  func percentile(_ fraction: Double) -> UInt64 { count == 0 ? 0 : histogram.valueAtPercentile(fraction * 100) }

  /// HdrHistogram's own text format, in microseconds: what its plotters read.
  var distribution: String {
    var text = ""
    histogram.outputPercentileDistribution(to: &text, outputValueUnitScalingRatio: 1000)
    return text
  }
}
