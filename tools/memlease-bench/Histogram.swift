/// Counts durations in buckets that are linear inside each power of two.
/// Invariant: a value and its bucket's lower edge differ by less than 1/128 of the value.
struct Histogram {
  private static let subBucketBits = 7
  private static let subBuckets = 1 << subBucketBits

  private var counts = [UInt64](repeating: 0, count: (64 - Histogram.subBucketBits) * Histogram.subBuckets + Histogram.subBuckets)
  private(set) var total: UInt64 = 0
  private(set) var maximum: UInt64 = 0

  mutating func record(_ value: UInt64, times: UInt64) {
    counts[Self.bucket(of: value)] &+= times
    total &+= times
    if value > maximum { maximum = value }
  }

  mutating func merge(_ other: Histogram) {
    for index in counts.indices { counts[index] &+= other.counts[index] }
    total &+= other.total
    maximum = max(maximum, other.maximum)
  }

  /// The smallest recorded value (to the bucket's upper edge) that `fraction` of all values do not exceed; 0 when empty.
  func percentile(_ fraction: Double) -> UInt64 {
    if total == 0 { return 0 }
    let rank = max(1, UInt64((Double(total) * fraction).rounded(.up)))
    var seen: UInt64 = 0
    for index in counts.indices {
      seen &+= counts[index]
      if seen >= rank { return min(maximum, Self.lowerEdge(of: index + 1) - 1) }
    }
    return maximum
  }

  private static func bucket(of value: UInt64) -> Int {
    if value < UInt64(subBuckets) { return Int(value) }
    let exponent = 63 - value.leadingZeroBitCount
    let shift = exponent - subBucketBits
    return (shift + 1) * subBuckets + (Int(truncatingIfNeeded: value >> UInt64(shift)) & (subBuckets - 1))
  }

  private static func lowerEdge(of bucket: Int) -> UInt64 {
    if bucket < subBuckets { return UInt64(bucket) }
    let shift = bucket / subBuckets - 1
    let edge = UInt64(subBuckets + bucket % subBuckets)
    return shift >= 57 ? .max : edge << UInt64(shift)
  }
}
