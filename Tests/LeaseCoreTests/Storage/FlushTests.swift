import LeaseCore
import Testing

/// `flush_prefix`: everything under a prefix is gone at once, nothing else is, and none of it ever comes back.
@Suite("Flush by prefix")
struct FlushTests {
  let core: CoreHarness
  init() throws { core = try CoreHarness() }

  // MARK: What goes
  @Test("Everything under the prefix is absent to every command, all else stays; new writes are as on a fresh server")
  func flush() {
    core.setPolicy("a:")
    for index in 0..<2_000 {
      core.set(TestKey("a:\(index)"), "old", ttl: index % 3 == 0 ? nil : UInt64(index) * 100 + 50_000)
      core.set(TestKey("b:\(index)"), "kept", ttl: index % 3 == 0 ? nil : UInt64(index) * 100 + 50_000)
    }
    core.set("a:number", "7")
    #expect(core.flushPrefix("a:") == .done)
    for index in 0..<2_000 { #expect(core.quickGet(TestKey("b:\(index)")).outcome == .hit("kept")) }
    #expect(core.quickGet("a:0").outcome == .miss)
    #expect(core.quickGet("a:1").outcome == .miss)
    #expect(core.get("a:2").outcome == .miss)
    #expect(core.metaGet("a:3", knows: true).outcome == .miss)
    #expect(!core.touch("a:4", ttl: 1_000))
    #expect(core.delete("a:5") == .notFound)
    #expect(core.incr("a:number").status == .notFound)
    #expect(core.set("a:6", "x", mode: .append).status == .notStored)
    #expect(core.set("a:7", "x", mode: .replace).status == .notStored)
    #expect(core.set("a:8", "new", mode: .add).status == .stored)
    #expect(core.fill("a:9", core.grant("a:9"), "new") == .stored)
    for index in 10..<2_000 { #expect(core.quickGet(TestKey("a:\(index)")).outcome == .miss) }
    #expect(core.get("a:8").outcome == .hit("new"))
    #expect(core.get("a:9").outcome == .hit("new"))
    #expect(core.counters.getFlushed >= 1_000)
    #expect(core.usage.items == 2_002, "what was asked for is gone")
  }

  @Test("A version or token from before the flush is refused")
  func oldVersions() {
    core.setPolicy("a:")
    core.set("a:k", "old", explicitVersion: UInt64(1) << 62)
    let version = core.get("a:k").version
    let token = core.grant("a:l")
    core.delete("a:m")
    let voided = core.grant("a:m")
    core.delete("a:m")
    core.flushPrefix("a:")
    #expect(core.get("a:k").outcome == .miss, "its version is above every number, its place is not")
    #expect(core.cas("a:k", version, "x").status == .notFound)
    #expect(core.fill("a:l", token, "x") == .notStored)
    #expect(core.fill("a:m", voided, "x") == .notStored, "not as stale, either")
    #expect(core.isLive("a:l", token) == false)
    #expect(core.grant("a:l") > token)
  }

  @Test("Only a policy's own prefix can be flushed")
  func notFound() {
    core.set("a:k", "v")
    #expect(core.flushPrefix("a:") == .notFound)
    core.setPolicy("a:")
    #expect(core.flushPrefix("a") == .notFound)
    #expect(core.flushPrefix("a:k") == .notFound)
    core.removePolicy("a:")
    #expect(core.flushPrefix("a:") == .notFound)
    #expect(core.get("a:k").outcome == .hit("v"))
  }

  @Test("Nested prefixes: the longer ones are flushed with the shorter, not the other way round")
  func nested() {
    for prefix in ["a:", "a:b:", "a:b:c:", "a"] { core.setPolicy(prefix) { $0.leaseMs = 5_000 } }
    let keys: [TestKey] = ["a:1", "a:b:1", "a:b:c:1", "a1"]
    func write() { for key in keys { core.set(key, "v") } }
    func hits() -> [Bool] { keys.map { core.get($0).status == .hit } }
    write()
    core.flushPrefix("a:b:")
    #expect(hits() == [true, false, false, true])
    write()
    core.flushPrefix("a:b:c:")
    #expect(hits() == [true, true, false, true])
    write()
    core.flushPrefix("a:")
    #expect(hits() == [false, false, false, true])
    write()
    core.flushPrefix("a")
    #expect(hits() == [false, false, false, false])
    write()
    #expect(hits() == [true, true, true, true])
  }

  @Test("Policies that come, go and come again after a flush bring nothing back")
  func changedPolicies() {
    core.setPolicy("a:")
    let keys: [TestKey] = ["a:1", "a:b:1", "a:b:c:1"]
    for key in keys { core.set(key, "old") }
    core.flushPrefix("a:")
    core.setPolicy("a:b:") { $0.leaseMs = 1 }
    // Asking takes an item away, so this comes once for each.
    #expect(core.quickGet("a:b:1").outcome == .miss)
    core.removePolicy("a:b:")
    core.setPolicy("a:b:c:")
    core.removePolicy("a:")
    for key in keys { #expect(core.quickGet(key).outcome == .miss, "the shorter one is removed") }
    core.setPolicy("a:")
    core.set("a:1", "new")
    #expect(core.get("a:1").outcome == .hit("new"))
    core.removePolicy("a:b:c:")
    core.removePolicy("a:")
    #expect(core.get("a:1").outcome == .hit("new"))
  }

  @Test("Removed policies that nothing was flushed under do not count; those with a flush do")
  func removedCount() {
    for round in 0..<3 {
      let changes = (0..<1_024).map { (prefix: Array("\(round)-\($0)".utf8), policy: Policy?.some(Policy())) }
      #expect(core.store.changePolicies(changes) == .done)
      #expect(core.store.changePolicies(changes.map { ($0.prefix, nil) }) == .done)
    }
    core.setPolicy("flushed")
    core.flushPrefix("flushed")
    core.setPolicy("flushed, longer")
    core.removePolicy("flushed, longer")
    core.removePolicy("flushed")
    let changes = (0..<1_023).map { (prefix: Array("x\($0)".utf8), policy: Policy?.some(Policy())) }
    #expect(core.store.changePolicies(changes) == .done)
    #expect(core.setPolicy("y") == .tooMany)
    #expect(core.setPolicy("flushed") == .done, "its place is kept")
  }

  // MARK: Stale
  @Test("Stale: shown to those who know leases for the policy's window, then gone; a fill makes it new")
  func stale() {
    core.setPolicy("a:") { $0.staleWindowMs = 1_000 }
    for index in 0..<100 { core.set(TestKey("a:\(index)"), "old") }
    core.flushPrefix("a:", stale: true)
    #expect(core.quickGet("a:1").outcome == .miss)
    #expect(core.set("a:2", "x", mode: .append).status == .notStored)
    #expect(core.delete("a:2") == .notFound)
    let seen = core.leaseGet("a:1")
    #expect(seen.outcome == .staleWon("old"))
    #expect(core.leaseGet("a:1").outcome == .staleOwed("old"))
    #expect(core.fill("a:1", seen.token, "new") == .stored)
    #expect(core.get("a:1").outcome == .hit("new"))
    let kept = core.leaseGet("a:3").token
    #expect(core.keep("a:3", kept, ttl: nil))
    #expect(core.get("a:3").outcome == .hit("old"), "its source has not changed")
    core.advance(ms: 990)
    #expect(core.leaseGet("a:4").outcome == .staleWon("old"))
    core.advance(ms: 20)
    #expect(core.leaseGet("a:5").outcome == .granted)
    #expect(core.get("a:1").outcome == .hit("new"))
    #expect(core.get("a:3").outcome == .hit("old"))
  }

  @Test("Each policy's own stale window; 0 leaves nothing")
  func staleNested() {
    core.setPolicy("a:") { $0.staleWindowMs = 1_000 }
    core.setPolicy("a:b:") { $0.staleWindowMs = 0 }
    core.set("a:1", "old")
    core.set("a:b:1", "old")
    core.flushPrefix("a:", stale: true)
    #expect(core.metaGet("a:1", knows: true).isStale)
    #expect(core.leaseGet("a:b:1").outcome == .granted)
  }

  @Test("Stale flushes, one after another: each value goes at the end of its first one's window, and none comes back")
  func staleAgain() {
    core.setPolicy("a:") { $0.staleWindowMs = 1_000 }
    for round in 0..<8 {
      core.set(TestKey("a:\(round)"), "old")
      core.set(TestKey("a:\(round)-untouched"), "old")
      core.flushPrefix("a:", stale: true)
      core.advance(ms: 400)
      // Windows of 1,000 ms: those of this round and the two before it are open.
      for earlier in 0...round {
        let seen = core.metaGet(TestKey("a:\(earlier)"), wants: true, leaseMs: 1)
        #expect(seen.isStale == (earlier + 2 > round), "value \(earlier) in round \(round): \(seen.outcome)")
      }
    }
    core.set("a:last", "old")
    core.flushPrefix("a:")
    #expect(core.leaseGet("a:last").outcome == .granted)
    #expect(core.leaseGet("a:7-untouched").outcome == .granted, "a flush without stale ends what was stale")
  }

  @Test("More stale flushes than are told apart: values go early rather than late")
  func staleMany() {
    core.setPolicy("a:") { $0.staleWindowMs = 10_000 }
    for round in 0..<20 {
      core.set(TestKey("a:\(round)"), "old")
      core.flushPrefix("a:", stale: true)
      core.advance(ms: 100)
    }
    #expect(core.leaseGet("a:19").isStale)
    core.advance(ms: 9_910)
    core.advance(ms: 100)
    for round in 0..<20 { #expect(!core.leaseGet(TestKey("a:\(round)")).isStale) }
  }

  @Test("What a delete kept as stale stays so through a stale flush, to the end of its own window; a plain flush ends it")
  func keptStale() {
    core.setPolicy("a:")
    for key in ["a:1", "a:2"] as [TestKey] {
      core.set(key, "old")
      core.delete(key)
    }
    core.advance(ms: 5_000)
    core.flushPrefix("a:", stale: true)
    #expect(core.leaseGet("a:1").outcome == .staleWon("old"))
    core.advance(ms: 5_010)
    #expect(core.leaseGet("a:1").status != .hit)
    core.set("a:3", "old")
    core.delete("a:3")
    core.flushPrefix("a:")
    #expect(core.leaseGet("a:3").outcome == .granted)
  }

  // MARK: Leases
  @Test("Leases, holds, failures and passes under the prefix are over; others are not")
  func leases() {
    core.setPolicy("a:")
    let keys = ["a:", "b:"]
    var tokens: [String: UInt64] = [:]
    for prefix in keys {
      tokens[prefix] = core.grant(TestKey(prefix + "reader"))
      _ = core.hold(TestKey(prefix + "held"), ms: 60_000)
      _ = core.fail(TestKey(prefix + "failed"), core.grant(TestKey(prefix + "failed")), ms: 60_000)
      _ = core.pass(TestKey(prefix + "passed"), core.grant(TestKey(prefix + "passed")), ms: 60_000)
    }
    core.flushPrefix("a:")
    core.maintain()
    #expect(core.usage.leases == 2, "b:'s reader and writer")
    for name in ["reader", "held", "failed", "passed"] { #expect(core.leaseGet(TestKey("a:" + name)).outcome == .granted, "a:\(name)") }
    #expect(core.leaseGet("b:reader").outcome == .hotMiss)
    #expect(core.leaseGet("b:held").outcome == .passed)
    #expect(core.leaseGet("b:failed").outcome == .failed("no"))
    #expect(core.leaseGet("b:passed").outcome == .passed)
    #expect(core.fill("b:reader", tokens["b:"] ?? 0, "v") == .stored)
    #expect(core.fill("a:reader", tokens["a:"] ?? 0, "v") == .notStored)
  }

  @Test("Who waits under the prefix goes on waiting; upkeep promotes one, with a good token", arguments: [1, 5_000])
  func waiters(leases: Int) throws {
    let answers = Guarded<[UInt64]>([])
    let core = try CoreHarness(memoryBytes: 32 << 20, partitions: 1)
    core.store.onAnswer { lane in
      answers.withLock { $0.append(lane.outcome?.result.token ?? 0) }
      while lane.takeFirst() != nil {}
      lane.free()
    }
    core.setPolicy("a:")
    for index in 0..<leases { _ = core.grant(TestKey("a:other \(index)"), leaseMs: 60_000) }
    let token = core.grant("a:k", leaseMs: 60_000)
    let waiter = WaiterPointer.allocate(capacity: 2)
    defer { waiter.deallocate() }
    for index in 0..<2 {
      (waiter + index).initialize(to: Waiter(worker: 0, options: ReadOptions(), isPlain: false))
      #expect(core.with("a:k") { $1.park($0, nowMs: core.nowMs, waiter + index, waitMs: 20_000) })
    }
    core.flushPrefix("a:")
    core.maintain()
    let promoted = answers.withLock { $0 }
    #expect(promoted.count == 1)
    #expect(core.store.waiterCount == 1)
    #expect(core.usage.leases == 1, "the promoted one's")
    #expect(core.fill("a:k", token, "late") == .notStored)
    #expect(core.fill("a:k", promoted.first ?? 0, "v") == .stored)
    #expect(core.store.waiterCount == 0)
    #expect(core.get("a:k").outcome == .hit("v"))
  }

  @Test("The holder's late fill is what tells the waiters, if upkeep has not come by")
  func waitersLazily() throws {
    let answers = Guarded<[UInt64]>([])
    let core = try CoreHarness(partitions: 1)
    core.store.onAnswer { lane in
      answers.withLock { $0.append(lane.outcome?.result.token ?? 0) }
      while lane.takeFirst() != nil {}
      lane.free()
    }
    core.setPolicy("a:")
    let token = core.grant("a:k", leaseMs: 60_000)
    let waiter = WaiterPointer.allocate(capacity: 1)
    defer { waiter.deallocate() }
    waiter.initialize(to: Waiter(worker: 0, options: ReadOptions(), isPlain: false))
    #expect(core.with("a:k") { $1.park($0, nowMs: core.nowMs, waiter, waitMs: 20_000) })
    core.flushPrefix("a:")
    #expect(core.fill("a:k", token, "late") == .notStored)
    #expect(answers.withLock { $0.first ?? 0 } > token)
  }
}
