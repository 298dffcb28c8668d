import LeaseCore

/// The operator: policies that change while the server runs, and flushes by prefix.
extension Simulation {
  /// 0: that of all keys.
  private func prefix(_ number: Int) -> [UInt8] {
    number == 0 ? Array("key-".utf8) : Array(UnsafeRawBufferPointer(start: keys[number - 1].name.bytes, count: 8))
  }

  func changePolicy() {
    let number = random.below(policies.count)
    var changed = policies
    changed[number] = random.oneIn(3) ? nil : somePolicy()
    let after = keys.indices.map { KeySettings(profile.store, changed[$0 + 1] ?? changed[0]) }
    // More holders than before help those who wait already only when something else happens to their key.
    if keys.indices.contains(where: { !keys[$0].parked.isEmpty && after[$0].holders > settings[$0].holders }) { return }
    tick += 1
    let status = changed[number].map { store.setPolicy(prefix(number), $0) } ?? store.removePolicy(prefix(number))
    let hadPolicy = policies[number] != nil
    expect(status == (changed[number] != nil || hadPolicy ? .done : .notFound), .wrongReply, "a change of policy was answered \(status)")
    policies = changed
    settings = after
    note("policy \(number): \(changed[number].map { "\($0)" } ?? "removed")")
    expected.removeAll(keepingCapacity: true)
    collect()
  }

  private func somePolicy() -> Policy {
    var policy = Policy()
    policy.leaseMs = random.pick([nil, 60, 900])
    policy.grantIntervalMs = random.pick([nil, nil, 0, 300])
    policy.holders = random.pick([nil, 1, 2])
    policy.longestWaitMs = random.pick([nil, 0, 700])
    policy.staleWindowMs = random.pick([nil, 0, 1_000])
    policy.graceMs = random.pick([nil, 500])
    policy.refreshAheadMs = random.pick([nil, nil, 5_000])
    if profile.plainWrites != .reject { policy.coalesceGetsMs = random.pick([nil, 0, 600]) }
    return policy
  }

  func flushPrefix() {
    let number = random.below(policies.count)
    let isStale = random.oneIn(2)
    tick += 1
    let status = store.flushPrefix(prefix(number), stale: isStale, nowMs: nowMs)
    note("flush of prefix \(number)\(isStale ? ", stale" : ""): \(status)")
    expect(status == (policies[number] != nil ? .done : .notFound), .wrongReply, "a flush was answered \(status)")
    expected.removeAll(keepingCapacity: true)
    collect()
    guard status == .done else { return }
    for partition in partitionMs.indices { partitionMs[partition] = max(partitionMs[partition], nowMs) }
    for key in keys.indices where number == 0 || key == number - 1 {
      keys[key].isFlushed = true
      keys[key].deleteTick = tick
      if isStale { keepStaleUntil(key, nowMs) } else { keys[key].flushTick = tick }
    }
  }
}
