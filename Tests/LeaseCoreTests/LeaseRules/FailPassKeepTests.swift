import LeaseCore
import Testing

/// What fail, pass and keep do beyond the state table.
@Suite("Fail, pass and keep")
struct FailPassKeepTests {
  let core: CoreHarness
  init() throws { core = try CoreHarness() }

  // MARK: Fail
  @Test("A failure never replaces a stale value: readers take it with token 1, nobody is granted")
  func failWithStale() {
    core.set("k", "v")
    core.delete("k")
    #expect(core.fail("k", core.grant("k"), ms: 1_000))
    let seen = core.leaseGet("k")
    #expect(seen.outcome == .staleOwed("v"))
    #expect(seen.token == 1)
    #expect(core.metaGet("k", wants: true).outcome == .staleOwed("v"))
    #expect(core.usage.leases == 0)
    core.advance(ms: 1_002)
    #expect(core.leaseGet("k").outcome == .staleWon("v"))
  }

  @Test("A failure with a stale value: who takes only fresh values gets the message")
  func failFreshOnly() {
    core.set("k", "v")
    core.delete("k")
    #expect(core.fail("k", core.grant("k"), ms: 1_000, "why"))
    #expect(core.metaGet("k", wants: true, freshOnly: true).outcome == .failed("why"))
  }

  @Test("A failed refresh leaves the fresh value, and nobody is granted a refresh until its time is over")
  func failOfRefresh() {
    core.set("k", "v", ttl: 10_000)
    #expect(core.fail("k", core.metaGet("k", refreshBelowMs: 20_000).token, ms: 1_000))
    #expect(core.get("k").outcome == .hit("v"))
    #expect(core.leaseGet("k").text == "v")
    #expect(!core.metaGet("k", refreshBelowMs: 20_000).isWon)
    core.advance(ms: 1_002)
    #expect(core.metaGet("k", refreshBelowMs: 20_000).outcome == .refresh("v"))
  }

  @Test("Failing with a wrong, a dead or another key's token changes nothing")
  func failUnknown() {
    let token = core.grant("k")
    #expect(!core.fail("k", token &+ 1, ms: 1_000))
    #expect(!core.fail("k", 0, ms: 1_000))
    #expect(!core.fail("k", 1, ms: 1_000))
    #expect(!core.fail("other", token, ms: 1_000))
    #expect(core.isLive("k", token))
    #expect(core.leaseGet("k").outcome == .hotMiss)
    #expect(core.leaseGet("other").outcome == .granted)
  }

  @Test("A failure of no time, or with no message, is fine")
  func failOfNothing() {
    #expect(core.fail("k", core.grant("k"), ms: 0, "x"))
    #expect(core.leaseGet("k").outcome == .granted)
    #expect(core.fail("other", core.grant("other"), ms: 100, ""))
    #expect(core.leaseGet("other").outcome == .failed(""))
  }

  @Test("A plain write over a failed key is stored and ends the failure")
  func writeOverFailure() {
    #expect(core.fail("k", core.grant("k"), ms: 1_000))
    #expect(core.set("k", "v", plainWrites: .guarded).status == .stored)
    #expect(core.leaseGet("k").outcome == .hit("v"))
    core.delete("k")
    #expect(core.leaseGet("k").outcome == .staleWon("v"))
  }

  @Test("flush ends a failure and a pass")
  func flushClears() {
    #expect(core.fail("a", core.grant("a"), ms: 1_000))
    #expect(core.pass("b", core.grant("b"), ms: 1_000))
    core.flush()
    #expect(core.leaseGet("a").outcome == .granted)
    #expect(core.leaseGet("b").outcome == .granted)
  }

  @Test("A failure leaves no record behind when its time is over")
  func failRecordEnds() {
    for index in 0..<100 { #expect(core.fail(TestKey("k\(index)"), core.grant(TestKey("k\(index)")), ms: 1_000, "message \(index)")) }
    #expect(core.usage.leaseRecords == 100)
    core.advance(ms: 1_002)
    core.maintain()
    #expect(core.usage.leaseRecords == 0)
    #expect(core.usage.leases == 0)
  }

  // MARK: Pass
  @Test("A pass with a refresh lease leaves the fresh value")
  func passOfRefresh() {
    core.set("k", "v", ttl: 10_000)
    #expect(core.pass("k", core.metaGet("k", refreshBelowMs: 20_000).token, ms: 1_000))
    #expect(core.get("k").outcome == .hit("v"))
    #expect(core.leaseGet("k").text == "v")
  }

  @Test("Passing with a wrong, a dead or another key's token changes nothing")
  func passUnknown() {
    let token = core.grant("k")
    #expect(!core.pass("k", token &+ 1, ms: 1_000))
    #expect(!core.pass("k", 0, ms: 1_000))
    #expect(!core.pass("k", 1, ms: 1_000))
    #expect(!core.pass("other", token, ms: 1_000))
    #expect(core.isLive("k", token))
    #expect(core.leaseGet("k").outcome == .hotMiss)
  }

  @Test("A passed key stays unowned: nobody is granted a lease on it")
  func passGrantsNobody() {
    #expect(core.pass("k", core.grant("k"), ms: 1_000))
    for _ in 0..<10 { #expect(core.leaseGet("k").outcome == .passed) }
    #expect(core.metaGet("k", wants: true).outcome == .passed)
    #expect(core.usage.leases == 0)
  }

  @Test("A plain write over a passed key is stored and ends the pass")
  func writeOverPass() {
    #expect(core.pass("k", core.grant("k"), ms: 1_000))
    #expect(core.set("k", "v", plainWrites: .guarded).status == .stored)
    #expect(core.leaseGet("k").outcome == .hit("v"))
  }

  // MARK: Keep
  @Test("Keep makes a value that was stale by grace fresh again, with the new expiry")
  func keepAfterGrace() {
    core.set("k", "v", ttl: 1_000, grace: 5_000)
    core.advance(ms: 1_002)
    let token = core.grant("k")
    #expect(core.keep("k", token, ttl: 2_000))
    #expect(core.get("k").outcome == .hit("v"))
    #expect(core.quickGet("k").outcome == .hit("v"))
    #expect(core.leaseGet("k").outcome == .hit("v"))
    #expect(core.usage.leases == 0)
    #expect(!core.isLive("k", token))
    core.advance(ms: 1_990)
    #expect(core.get("k").outcome == .hit("v"))
    core.advance(ms: 20)
    #expect(core.get("k").outcome == .miss)
  }

  @Test("Keep after a delete, and without an expiry")
  func keepAfterDelete() {
    core.set("k", "v", ttl: 5_000)
    core.delete("k")
    #expect(core.keep("k", core.grant("k"), ttl: nil))
    core.advance(ms: 100_000)
    core.maintain()
    #expect(core.get("k").outcome == .hit("v"))
  }

  @Test("Keep after md I")
  func keepAfterMark() {
    core.set("k", "v", clientFlags: 9)
    core.markStale("k")
    #expect(core.keep("k", core.grant("k"), ttl: 5_000))
    #expect(core.metaGet("k").outcome == .hit("v"))
    #expect(core.get("k").clientFlags == 9)
  }

  @Test("Keep is refused when a late fill replaced the value that came with the token")
  func keepAfterLateFill() {
    let late = core.grant("k")
    core.delete("k")
    let token = core.grant("k")
    #expect(core.fill("k", late, "read before the delete") == .staleStored)
    #expect(!core.keep("k", token, ttl: nil))
    #expect(core.get("k").outcome == .miss)
    #expect(core.fill("k", token, "new") == .stored)
  }

  @Test("Keep of a large value keeps every byte")
  func keepLarge() {
    let value = patternBytes(seed: 5, count: 300_000)
    var request = StoreRequest()
    request.plainWrites = .allow
    #expect(core.store("k", value, request).status == .stored)
    core.delete("k")
    #expect(core.keep("k", core.grant("k"), ttl: 5_000))
    #expect(core.get("k").value == value)
  }

  @Test("Without a stale value there is nothing to keep, and the lease stays")
  func keepNothing() {
    let token = core.grant("k")
    #expect(!core.keep("k", token, ttl: 1_000))
    #expect(core.get("k").outcome == .miss)
    #expect(core.fill("k", token, "v") == .stored)
  }

  @Test("Keep with a wrong, a voided or another key's token is refused")
  func keepUnknown() {
    core.set("k", "v")
    core.delete("k")
    let token = core.grant("k")
    #expect(!core.keep("k", token &+ 1, ttl: 1_000))
    #expect(!core.keep("k", 0, ttl: 1_000))
    #expect(!core.keep("other", token, ttl: 1_000))
    core.delete("k")
    #expect(!core.keep("k", token, ttl: 1_000))
    #expect(core.get("k").outcome == .miss)
  }

  @Test("A kept value can be deleted, is stale for a new window, and can be kept again")
  func keepTwice() {
    core.set("k", "v")
    core.delete("k")
    #expect(core.keep("k", core.grant("k"), ttl: nil))
    core.advance(ms: core.store.configuration.staleWindowMs + 5)
    #expect(core.delete("k") == .deleted)
    #expect(core.get("k").outcome == .miss)
    let token = core.grant("k")
    #expect(core.leaseGet("k").outcome == .staleOwed("v"))
    #expect(core.keep("k", token, ttl: nil))
    #expect(core.get("k").outcome == .hit("v"))
  }

  @Test("When the stale window ends under a holder, there is nothing left to keep, but the token still fills")
  func keepAfterWindow() {
    core.set("k", "v")
    core.delete("k")
    let token = core.grant("k", leaseMs: 60_000)
    core.advance(ms: core.store.configuration.staleWindowMs + 2)
    #expect(core.leaseGet("k").outcome == .hotMiss)
    #expect(!core.keep("k", token, ttl: 1_000))
    #expect(core.fill("k", token, "new") == .stored)
  }
}
