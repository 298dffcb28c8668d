/// The kinds of traces that can be generated.
enum TraceKind: String, Sendable, CaseIterable {
  /// Popularity by Zipf's law that does not change.
  case zipf
  /// Zipf, where popular keys die and new ones take their place, a few all the time and a fifth of all now and then.
  case churn
  /// Zipf, with long sequential scans over cold keys in between.
  case scan
  /// Block storage: sequential loops (some larger than any memory), random blocks, and a log that nobody reads again.
  case block
  /// Zipf over values of 8 bytes to 4 KB, size and popularity unrelated.
  case sizes
  /// The same where popular values are small, and where they are large.
  case sizesSmall = "sizes-small"
  case sizesLarge = "sizes-large"
  /// Zipf over values of 64 bytes to 256 KB.
  case large
  /// Zipf over keys that live for seconds.
  case ttl
}

/// How a key's size is drawn: evenly over the logarithm, so that each doubling is as likely as the next.
struct SizeRange: Sendable, Equatable {
  enum Bias: Sendable { case none, popularSmall, popularLarge }
  var lowBytes: Int
  var highBytes: Int
  var bias = Bias.none
}

/// All that decides a generated trace. The same shape and seed give the same trace.
struct TraceShape: Sendable {
  var kind: TraceKind
  var requests: Int
  var keys: Int
  var exponent: Double
  var sizes: SizeRange
  /// Seconds that keys live; 0: for ever.
  var lifetimes: Distribution
  /// Requests per second of the trace's time.
  var rate: Double
  /// Of all requests, beside the fills that a replay does on its own.
  var writeShare: Double
  var seed: UInt64

  static let mostKeys = 1 << 32

  /// What is usual for the kind.
  init(kind: TraceKind, seed: UInt64 = 1) {
    self.kind = kind
    self.seed = seed
    requests = 2_000_000
    keys = 1_000_000
    exponent = 0.99
    rate = 100_000
    writeShare = 0
    sizes = SizeRange(lowBytes: 32, highBytes: 400)
    var lifetimes = "0:20,3600:50,86400:30"
    switch kind {
    case .zipf, .churn, .scan: break
    case .block:
      keys = 80_000
      requests = 1_000_000
      sizes = SizeRange(lowBytes: 4_096, highBytes: 4_096)
      lifetimes = "0"
    case .sizes: sizes = SizeRange(lowBytes: 8, highBytes: 4_096)
    case .sizesSmall: sizes = SizeRange(lowBytes: 8, highBytes: 4_096, bias: .popularSmall)
    case .sizesLarge: sizes = SizeRange(lowBytes: 8, highBytes: 4_096, bias: .popularLarge)
    case .large:
      keys = 50_000
      requests = 200_000
      exponent = 0.8
      sizes = SizeRange(lowBytes: 64, highBytes: 256 << 10)
    case .ttl: lifetimes = "2:25,5:25,20:25,0:25"
    }
    self.lifetimes = Distribution(argument: lifetimes) ?? Distribution(0)
  }
}
