import LeaseCore

/// What holds for a key: the store's defaults with its policy's fields in their places.
struct KeySettings {
  var leaseMs: UInt64
  var grantIntervalMs: UInt64
  var holders: Int
  var longestWaitMs: UInt64
  var staleWindowMs: UInt64
  var graceMs: UInt64
  var coalesceGetsMs: UInt64

  init(_ store: StoreConfiguration, _ policy: Policy? = nil) {
    leaseMs = policy?.leaseMs ?? store.leaseMs
    grantIntervalMs = policy?.grantIntervalMs ?? store.grantIntervalMs
    holders = policy?.holders ?? store.holders
    longestWaitMs = policy?.longestWaitMs ?? store.longestWaitMs
    staleWindowMs = policy?.staleWindowMs ?? store.staleWindowMs
    graceMs = policy?.graceMs ?? store.graceMs
    coalesceGetsMs = policy?.coalesceGetsMs ?? store.coalesceGetsMs
  }
}
