/// What is different for keys with a prefix. A field that is nil is as the server's default, not as a shorter prefix's.
public struct Policy: Sendable, Equatable {
  public var leaseMs: UInt64?
  public var grantIntervalMs: UInt64?
  public var holders: Int?
  public var longestWaitMs: UInt64?
  public var staleWindowMs: UInt64?
  /// For writes that say nothing of grace.
  public var graceMs: UInt64?
  /// For meta readers that ask for a lease without `R`.
  public var refreshAheadMs: UInt64?
  public var plainWrites: PlainWrites?
  public var coalesceGetsMs: UInt64?
  public init() {}

  /// A day: nothing that is counted in milliseconds should be longer.
  public static let longestMs: UInt64 = 86_400_000
  public static let mostHolders = 1 << 20

  /// Whether every field is within its bounds.
  public var isValid: Bool {
    (leaseMs.map { (1...Self.longestMs).contains($0) } ?? true)
      && (holders.map { (1...Self.mostHolders).contains($0) } ?? true)
      && [grantIntervalMs, longestWaitMs, staleWindowMs, graceMs, refreshAheadMs, coalesceGetsMs].allSatisfy { ($0 ?? 0) <= Self.longestMs }
  }
}

public enum PolicyStatus: Sendable {
  case done
  /// No policy of this very prefix.
  case notFound
  case tooMany
  /// A prefix of no or too many bytes, or a field out of its bounds.
  case invalid
}

extension LeaseSettings {
  /// The server's settings with the policy's fields in their places.
  func applying(_ policy: Policy) -> LeaseSettings {
    var settings = self
    settings.leaseMs = policy.leaseMs ?? leaseMs
    settings.grantIntervalMs = policy.grantIntervalMs ?? grantIntervalMs
    settings.holders = policy.holders ?? holders
    settings.longestWaitMs = policy.longestWaitMs ?? longestWaitMs
    settings.staleWindowMs = policy.staleWindowMs ?? staleWindowMs
    settings.graceMs = policy.graceMs ?? graceMs
    settings.refreshAheadMs = policy.refreshAheadMs ?? refreshAheadMs
    settings.plainWrites = policy.plainWrites ?? plainWrites
    settings.coalesceGetsMs = policy.coalesceGetsMs ?? coalesceGetsMs
    return settings
  }
}
