import LeaseCore
import Testing

/// What a policy changes for the keys of its prefix, and for no others.
@Suite("Policies")
struct PolicyTests {
  let core: CoreHarness
  init() throws { core = try CoreHarness() }

  // MARK: Which one applies
  @Test("The longest prefix wins, wherever in the order it was set; unset fields are the server's, not a shorter prefix's")
  func longestWins() {
    core.setPolicy("user:1") { $0.leaseMs = 300 }
    core.setPolicy("u") { $0.leaseMs = 100 }
    core.setPolicy("user:") {
      $0.leaseMs = 200
      $0.holders = 2
    }
    #expect(core.leaseGet("u").remainingMs == 100)
    #expect(core.leaseGet("use").remainingMs == 100)
    #expect(core.leaseGet("user:").remainingMs == 200)
    #expect(core.leaseGet("user:2").remainingMs == 200)
    #expect(core.leaseGet("user:1").remainingMs == 300)
    #expect(core.leaseGet("user:12").remainingMs == 300)
    #expect(core.leaseGet("v").remainingMs == 10_000)
    #expect(core.leaseGet("user:2").outcome == .granted, "two holders")
    #expect(core.leaseGet("user:12").outcome == .hotMiss, "one holder, as the server's")
    #expect(core.policyPrefixes == ["u", "user:", "user:1"])
    #expect(core.store.policy(for: Array("user:3".utf8))?.policy.leaseMs == 200)
    #expect(core.store.policy(for: Array("v".utf8)) == nil)
  }

  @Test("A policy is replaced as a whole, and gone after its removal")
  func replaceAndRemove() {
    core.setPolicy("a") {
      $0.leaseMs = 100
      $0.holders = 2
    }
    core.setPolicy("a") { $0.leaseMs = 150 }
    #expect(core.leaseGet("a").remainingMs == 150)
    #expect(core.leaseGet("a").outcome == .hotMiss)
    #expect(core.removePolicy("a") == .done)
    #expect(core.removePolicy("a") == .notFound)
    #expect(core.leaseGet("ab").remainingMs == 10_000)
    #expect(core.policyPrefixes.isEmpty)
  }

  @Test("Prefixes of every length from 1 to 250 bytes, all 1,024 at once; one more is too many, and nothing changes")
  func bounds() {
    let long = String(repeating: "x", count: 250)
    func policies(_ indices: Range<Int>, _ prefix: (Int) -> String) -> [(prefix: [UInt8], policy: Policy?)] {
      indices.map { index in
        var policy = Policy()
        policy.leaseMs = UInt64(index)
        return (Array(prefix(index).utf8), policy)
      }
    }
    #expect(core.store.changePolicies(policies(1..<251) { String(long.prefix($0)) }) == .done)
    for count in [1, 2, 7, 8, 9, 16, 17, 31, 249, 250] {
      #expect(core.leaseGet(TestKey(String(long.prefix(count)))).remainingMs == UInt64(count))
    }
    #expect(core.store.changePolicies(policies(250..<1_025) { "p\($0)|" }) == .tooMany)
    #expect(core.store.policies.count == 250)
    #expect(core.store.changePolicies(policies(250..<1_024) { "p\($0)|" }) == .done)
    #expect(core.setPolicy("one more") == .tooMany)
    #expect(core.store.policies.count == Store.mostPolicies)
    for index in 250..<1_024 { #expect(core.leaseGet(TestKey("p\(index)|key")).remainingMs == UInt64(index)) }
    #expect(core.leaseGet("one more").remainingMs == 10_000)
    #expect(core.setPolicy("p999|") { $0.leaseMs = 5 } == .done, "replacing needs no room")
    #expect(core.removePolicy("p999|") == .done)
    #expect(core.setPolicy("one more") == .done)
  }

  @Test("What is out of its bounds is refused")
  func invalid() {
    #expect(core.setPolicy("") == .invalid)
    #expect(core.setPolicy(String(repeating: "x", count: 251)) == .invalid)
    #expect(core.setPolicy("a") { $0.leaseMs = 0 } == .invalid)
    #expect(core.setPolicy("a") { $0.holders = 0 } == .invalid)
    #expect(core.setPolicy("a") { $0.staleWindowMs = Policy.longestMs + 1 } == .invalid)
    #expect(core.store.changePolicies([(Array("b".utf8), Policy()), (Array("c".utf8), nil)]) == .notFound)
    #expect(core.policyPrefixes.isEmpty, "everything or nothing")
  }

  // MARK: Each field
  @Test("Grant interval, stale window, holders")
  func leaseFields() {
    core.setPolicy("a:") {
      $0.grantIntervalMs = 1_000
      $0.staleWindowMs = 0
    }
    core.setPolicy("b:") { $0.staleWindowMs = 500 }
    for key in ["a:k", "b:k", "c:k"] as [TestKey] {
      #expect(core.fill(key, core.grant(key), "v") == .stored)
      core.delete(key)
    }
    #expect(core.leaseGet("a:k").outcome == .hotMiss, "the interval, and nothing kept")
    core.advance(ms: 600)
    #expect(core.leaseGet("b:k").outcome == .granted, "its window is over")
    #expect(core.leaseGet("c:k").outcome == .staleWon("v"))
    core.advance(ms: 500)
    #expect(core.leaseGet("a:k").outcome == .granted)
  }

  @Test("A late fill is kept as stale for the policy's window")
  func staleFill() {
    core.setPolicy("a:") { $0.staleWindowMs = 0 }
    for key in ["a:k", "k"] as [TestKey] {
      let token = core.grant(key)
      core.delete(key)
      #expect(core.fill(key, token, "v") == (key == "k" ? .staleStored : .notStored))
    }
  }

  @Test("A hold lasts the policy's lease length, and keeps the value stale for its window")
  func hold() {
    core.setPolicy("a:") {
      $0.leaseMs = 100
      $0.staleWindowMs = 50
    }
    core.set("a:k", "v")
    #expect(core.hold("a:k", ms: 0) != nil)
    core.advance(ms: 140)
    #expect(core.leaseGet("a:k").outcome == .staleWon("v"))
    core.advance(ms: 200)
    #expect(core.leaseGet("a:k").outcome == .granted)
  }

  @Test("Grace: the policy's where the write brings none, the server's where there is no policy")
  func grace() throws {
    let core = try CoreHarness { $0.graceMs = 1_000 }
    core.setPolicy("a:") { $0.graceMs = 5_000 }
    core.setPolicy("b:") { $0.graceMs = 0 }
    var request = StoreRequest()
    request.plainWrites = .allow
    request.expiry = core.expiry(1_000)
    for key in ["a:k", "b:k", "k"] as [TestKey] { #expect(core.store(key, [7], request).status == .stored) }
    request.graceMs = 0
    #expect(core.store("a:own", [7], request).status == .stored)
    core.advance(ms: 1_500)
    for key in ["a:k", "b:k", "k"] as [TestKey] { #expect(core.get(key).outcome == .miss, "grace is for those who know leases") }
    #expect(core.metaGet("a:k", knows: true).isStale)
    #expect(core.metaGet("k", knows: true).isStale)
    #expect(core.metaGet("b:k", knows: true).outcome == .miss)
    #expect(core.metaGet("a:own", knows: true).outcome == .miss, "the write said 0")
    core.advance(ms: 1_500)
    #expect(core.metaGet("a:k", knows: true).isStale)
    #expect(core.metaGet("k", knows: true).outcome == .hotMiss, "nothing but the lease that was won with the stale value")
  }

  @Test("Refresh ahead: a meta reader that asks for a lease wins one in time without R; others do not")
  func refreshAhead() {
    core.setPolicy("a:") { $0.refreshAheadMs = 1_000 }
    core.set("a:k", "v", ttl: 5_000)
    core.set("k", "v", ttl: 5_000)
    core.set("a:never", "v")
    core.advance(ms: 3_900)
    #expect(core.metaGet("a:k", wants: true).outcome == .hit("v"))
    core.advance(ms: 200)
    #expect(core.metaGet("a:k", knows: true).outcome == .hit("v"), "no lease asked for")
    #expect(core.metaGet("a:k").outcome == .hit("v"))
    #expect(core.get("a:k").outcome == .hit("v"))
    #expect(core.leaseGet("a:k").outcome == .hit("v"))
    #expect(core.metaGet("k", wants: true).outcome == .hit("v"))
    #expect(core.metaGet("a:never", wants: true).outcome == .hit("v"))
    #expect(plainHit("a:k", wantsLease: false), "the common path says all there is")
    #expect(!plainHit("a:k", wantsLease: true), "the common path does not know")
    #expect(plainHit("k", wantsLease: true))
    #expect(core.metaGet("a:k", wants: true, refreshBelowMs: 100).outcome == .hit("v"), "R goes first")
    #expect(core.metaGet("a:k", wants: true).outcome == .refresh("v"))
    #expect(core.metaGet("a:k", wants: true).outcome == .hitOwed("v"))
  }

  private func plainHit(_ key: TestKey, wantsLease: Bool) -> Bool {
    core.with(key) { key, partition in
      var item = ItemView()
      return partition.readPlain(key, nowMs: core.nowMs, wantsLease: wantsLease, into: &item)
    }
  }

  @Test("Refresh ahead for all keys, off for some")
  func refreshAheadDefault() throws {
    let core = try CoreHarness { $0.refreshAheadMs = 1_000 }
    core.setPolicy("a:") { $0.refreshAheadMs = 0 }
    core.set("a:k", "v", ttl: 900)
    core.set("k", "v", ttl: 900)
    #expect(core.metaGet("a:k", wants: true).outcome == .hit("v"))
    #expect(core.metaGet("k", wants: true).outcome == .refresh("v"))
  }

  @Test("Plain writes: the policy's word, in either direction")
  func plainWrites() {
    core.setPolicy("open:") { $0.plainWrites = .allow }
    core.setPolicy("guarded:") { $0.plainWrites = .guarded }
    core.setPolicy("closed:") { $0.plainWrites = .reject }
    #expect(core.set("open:k", "1", plainWrites: .reject).status == .stored)
    #expect(core.incr("open:k", plainWrites: .reject).number == 2)
    #expect(core.set("guarded:k", "1", plainWrites: .reject).status == .stored)
    let token = core.grant("guarded:l")
    #expect(core.set("guarded:l", "1", plainWrites: .allow).status == .notStored)
    #expect(core.fill("guarded:l", token, "v") == .stored)
    #expect(core.set("closed:k", "1", plainWrites: .allow).status == .tokenRequired)
    #expect(core.incr("closed:k", plainWrites: .allow).status == .tokenRequired)
    #expect(core.set("other", "1", plainWrites: .reject).status == .tokenRequired)
    #expect(core.with("closed:k") { $1.plainWrites($0, .allow) } == .reject)
    #expect(core.with("other") { $1.plainWrites($0, .allow) } == .allow)
  }

  @Test("Waits and coalesced gets")
  func waiting() {
    core.setPolicy("a:") {
      $0.longestWaitMs = 0
      $0.coalesceGetsMs = 100
    }
    #expect(core.store.coalescesGets)
    #expect(core.with("b:k") { $1.joinFetch($0, nowMs: core.nowMs, holderID: 1) } == .none)
    guard case .filler = core.with("a:k", { $1.joinFetch($0, nowMs: core.nowMs, holderID: 1) }) else {
      Issue.record("the first one fetches")
      return
    }
    #expect(core.with("a:k") { $1.joinFetch($0, nowMs: core.nowMs, holderID: 2) } == .waiter(waitMs: 100))
    let waiter = WaiterPointer.allocate(capacity: 1)
    waiter.initialize(to: Waiter(worker: 0, options: ReadOptions(), isPlain: true))
    defer { waiter.deallocate() }
    #expect(!core.with("a:k") { $1.park($0, nowMs: core.nowMs, waiter, waitMs: 50) }, "nobody waits under this policy")
    core.removePolicy("a:")
    #expect(!core.store.coalescesGets)
  }

  @Test("A policy that changes while a lease is out holds for what comes next")
  func changeUnderLease() {
    let token = core.grant("a:k")
    core.setPolicy("a:") { $0.holders = 2 }
    #expect(core.leaseGet("a:k").outcome == .granted)
    core.removePolicy("a:")
    #expect(core.leaseGet("a:k").outcome == .hotMiss)
    #expect(core.fill("a:k", token, "v") == .stored)
  }

  @Test("A grant interval that runs when its policy goes is still kept to, for the same key's next lease, too")
  func intervalOutlivesPolicy() {
    core.setPolicy("a:") { $0.grantIntervalMs = 1_000 }
    let token = core.grant("a:k")
    core.setPolicy("a:") { $0.grantIntervalMs = 0 }
    #expect(core.fill("a:k", token, "v", ttl: 5_000) == .stored)
    #expect(core.metaGet("a:k", refreshBelowMs: 9_000).outcome == .hit("v"), "too early for the next")
    core.delete("a:k")
    #expect(core.usage.leaseRecords == 1)
    #expect(core.leaseGet("a:k").outcome == .staleOwed("v"))
    core.advance(ms: 1_000)
    #expect(core.leaseGet("a:k").outcome == .staleWon("v"))
  }
}
