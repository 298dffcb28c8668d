import LeaseCore

extension CoreHarness {
  @discardableResult
  func setPolicy(_ prefix: String, _ fill: (inout Policy) -> Void = { _ in }) -> PolicyStatus {
    var policy = Policy()
    fill(&policy)
    return store.setPolicy(Array(prefix.utf8), policy)
  }

  @discardableResult
  func removePolicy(_ prefix: String) -> PolicyStatus { store.removePolicy(Array(prefix.utf8)) }

  @discardableResult
  func flushPrefix(_ prefix: String, stale: Bool = false) -> PolicyStatus {
    store.flushPrefix(Array(prefix.utf8), stale: stale, nowMs: nowMs)
  }

  var policyPrefixes: [String] { store.policies.map { String(decoding: $0.prefix, as: UTF8.self) } }
}
