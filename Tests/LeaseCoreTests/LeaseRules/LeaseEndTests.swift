import LeaseCore
import Testing

/// Every way a lease ends, and what is left of its token and of the key.
@Suite("How a lease ends")
struct LeaseEndTests {
  let core: CoreHarness
  init() throws { core = try CoreHarness() }

  /// The token is worth nothing any more, and nothing it tries changes the key.
  func expectDead(_ token: UInt64, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(!core.isLive("k", token), sourceLocation: sourceLocation)
    #expect(!core.extend("k", token, ms: 1_000), sourceLocation: sourceLocation)
    #expect(!core.release("k", token), sourceLocation: sourceLocation)
    #expect(!core.fail("k", token, ms: 1_000), sourceLocation: sourceLocation)
    #expect(!core.pass("k", token, ms: 1_000), sourceLocation: sourceLocation)
    #expect(!core.keep("k", token, ttl: 1_000), sourceLocation: sourceLocation)
    #expect(!core.disconnect("k", token), sourceLocation: sourceLocation)
  }

  @Test("A living lease is live, and only under its own token")
  func live() {
    let token = core.grant("k")
    #expect(core.isLive("k", token))
    #expect(!core.isLive("k", token &+ 1))
    #expect(!core.isLive("other", token))
  }

  @Test("By its fill")
  func byFill() {
    let token = core.grant("k")
    #expect(core.fill("k", token, "v") == .stored)
    expectDead(token)
    #expect(core.get("k").outcome == .hit("v"))
  }

  @Test("At its deadline, not before, without upkeep")
  func byDeadline() {
    let token = core.grant("k", leaseMs: 500)
    core.advance(ms: 499)
    #expect(core.isLive("k", token))
    #expect(core.leaseGet("k").outcome == .hotMiss)
    core.advance(ms: 2)
    expectDead(token)
    #expect(core.fill("k", token, "late") == .notStored)
    let next = core.leaseGet("k")
    #expect(next.outcome == .granted)
    #expect(next.token != token)
  }

  @Test("At its deadline by upkeep, which asked to be called then, and which leaves no record")
  func byDeadlineAndUpkeep() {
    let token = core.grant("k", leaseMs: 500)
    let dueMs = core.maintain()
    #expect(dueMs > core.nowMs)
    #expect(dueMs <= core.nowMs + 502)
    #expect(core.isLive("k", token))
    core.advance(ms: 502)
    core.maintain()
    #expect(core.usage.leases == 0)
    #expect(core.usage.leaseRecords == 0)
    #expect(core.counters.leaseExpired == 1)
    expectDead(token)
  }

  @Test("A fill just before the deadline lands")
  func fillBeforeDeadline() {
    let token = core.grant("k", leaseMs: 500)
    core.advance(ms: 499)
    #expect(core.fill("k", token, "v") == .stored)
  }

  @Test("By delete")
  func byDelete() {
    let token = core.grant("k")
    #expect(core.delete("k") == .deleted)
    expectDead(token)
    #expect(core.usage.leases == 0)
  }

  @Test("By md I")
  func byMark() {
    let token = core.grant("k")
    #expect(core.markStale("k") == .deleted)
    expectDead(token)
    #expect(core.fill("k", token, "late") == .staleStored)
    #expect(core.usage.leases == 0)
  }

  @Test("By flush, after which nothing of the key is left")
  func byFlush() {
    core.set("k", "v")
    core.delete("k")
    let token = core.grant("k")
    core.flush()
    expectDead(token)
    #expect(core.fill("k", token, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("By a plain write, whose value stays")
  func byPlainWrite() {
    let token = core.grant("k")
    #expect(core.set("k", "plain").status == .stored)
    expectDead(token)
    #expect(core.fill("k", token, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .hit("plain"))
    #expect(core.usage.leases == 0)
  }

  @Test("By a plain write of any kind over a refresh lease")
  func byPlainWriteOverRefresh() {
    for mode in [StoreMode.set, .replace, .append, .prepend] {
      core.set("k", "v", ttl: 1_000)
      let token = core.metaGet("k", refreshBelowMs: 2_000).token
      #expect(core.set("k", "w", ttl: 60_000, mode: mode).status == .stored)
      expectDead(token)
      #expect(core.fill("k", token, "late") == .notStored)
      #expect(core.get("k").text.contains("w"))
    }
  }

  @Test("By a plain incr over a refresh lease")
  func byIncrement() {
    core.set("k", "5", ttl: 1_000)
    let token = core.metaGet("k", refreshBelowMs: 2_000).token
    #expect(core.incr("k").number == 6)
    expectDead(token)
    #expect(core.fill("k", token, "late") == .notStored)
    #expect(core.get("k").text == "6")
  }

  @Test("By a CAS write over a refresh lease")
  func byCasWrite() {
    core.set("k", "v", ttl: 1_000)
    let version = core.get("k").version
    let token = core.metaGet("k", refreshBelowMs: 2_000).token
    #expect(core.cas("k", version, "w").status == .stored)
    expectDead(token)
    #expect(core.fill("k", token, "late") == .notStored)
    #expect(core.get("k").text == "w")
  }

  @Test("By a writer's hold, which makes its token NOT_STORED")
  func byHold() {
    let token = core.grant("k")
    #expect(core.hold("k", ms: 1_000) != nil)
    expectDead(token)
    #expect(core.fill("k", token, "late") == .notStored)
  }

  @Test("By release; the next asker is granted another token")
  func byRelease() {
    let token = core.grant("k")
    #expect(core.release("k", token))
    expectDead(token)
    #expect(core.fill("k", token, "late") == .notStored)
    let next = core.leaseGet("k")
    #expect(next.outcome == .granted)
    #expect(next.token != token)
  }

  @Test("By md C with the token, which releases")
  func byDeleteWithToken() {
    let token = core.grant("k")
    #expect(core.delete("k", compare: token) == .deleted)
    expectDead(token)
    #expect(core.fill("k", token, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Release of a lease on a stale value leaves it stale and unowned")
  func byReleaseOnStale() {
    core.set("k", "v")
    core.delete("k")
    #expect(core.release("k", core.grant("k")))
    #expect(core.leaseGet("k").outcome == .staleWon("v"))
  }

  @Test("Release of a refresh lease leaves the fresh value, and the next below R wins")
  func byReleaseOfRefresh() {
    core.set("k", "v", ttl: 1_000)
    #expect(core.release("k", core.metaGet("k", refreshBelowMs: 2_000).token))
    #expect(core.get("k").outcome == .hit("v"))
    #expect(core.metaGet("k").outcome == .hit("v"))
    #expect(core.metaGet("k", refreshBelowMs: 2_000).outcome == .refresh("v"))
  }

  @Test("A refresh lease ends at its deadline; the value is as it was, and the next below R wins")
  func refreshDeadline() {
    core.set("k", "v", ttl: 10_000)
    let token = core.metaGet("k", leaseMs: 100, refreshBelowMs: 20_000).token
    core.advance(ms: 102)
    #expect(core.fill("k", token, "late") == .notStored)
    #expect(core.get("k").outcome == .hit("v"))
    #expect(core.metaGet("k", refreshBelowMs: 20_000).outcome == .refresh("v"))
  }

  @Test("A refresh lease outlives the value: then the key is owed, and the token still fills")
  func refreshOutlivesValue() {
    core.set("k", "v", ttl: 1_000)
    let token = core.metaGet("k", refreshBelowMs: 2_000).token
    core.advance(ms: 1_002)
    #expect(core.leaseGet("k").outcome == .hotMiss)
    #expect(core.fill("k", token, "new") == .stored)
    #expect(core.get("k").outcome == .hit("new"))
  }

  @Test("A refresh lease outlives a value with grace: others see it stale and owed")
  func refreshOutlivesValueWithGrace() {
    core.set("k", "v", ttl: 1_000, grace: 5_000)
    let token = core.metaGet("k", refreshBelowMs: 2_000).token
    core.advance(ms: 1_002)
    #expect(core.leaseGet("k").outcome == .staleOwed("v"))
    #expect(core.fill("k", token, "new") == .stored)
  }

  @Test("By failure and by pass")
  func byFailureAndPass() {
    let failing = core.grant("k")
    #expect(core.fail("k", failing, ms: 100))
    expectDead(failing)
    core.advance(ms: 102)
    let passing = core.grant("k")
    #expect(core.pass("k", passing, ms: 100))
    expectDead(passing)
    #expect(core.usage.leases == 0)
  }

  @Test("By its holder's disconnect")
  func byDisconnect() {
    let token = core.grant("k", holderID: 7)
    #expect(core.disconnect("k", token))
    expectDead(token)
    #expect(core.fill("k", token, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .granted)
    #expect(core.counters.leaseDisconnects == 1)
  }

  @Test("Extend moves the deadline, again and again")
  func extend() {
    let token = core.grant("k", leaseMs: 1_000)
    core.advance(ms: 900)
    #expect(core.extend("k", token, ms: 1_000))
    core.advance(ms: 990)
    #expect(core.isLive("k", token))
    #expect(core.extend("k", token, ms: 1_000))
    core.advance(ms: 990)
    #expect(core.fill("k", token, "v") == .stored)
  }

  @Test("An extended lease still ends")
  func extendEnds() {
    let token = core.grant("k", leaseMs: 1_000)
    core.advance(ms: 900)
    #expect(core.extend("k", token, ms: 1_000))
    core.advance(ms: 1_102)
    #expect(!core.isLive("k", token))
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Extend also with upkeep running: the old deadline is forgotten")
  func extendAndUpkeep() {
    let token = core.grant("k", leaseMs: 1_000)
    core.advance(ms: 900)
    #expect(core.extend("k", token, ms: 5_000))
    core.advance(ms: 1_000)
    core.maintain()
    #expect(core.isLive("k", token))
    #expect(core.usage.leases == 1)
  }

  @Test("Extend of an unknown, a dead or another key's token finds nothing")
  func extendUnknown() {
    let token = core.grant("k")
    #expect(!core.extend("k", token &+ 1, ms: 1_000))
    #expect(!core.extend("other", token, ms: 1_000))
    core.delete("k")
    #expect(!core.extend("k", token, ms: 1_000))
  }

  @Test("Each lease has its own length, and the server's by default")
  func lengths() {
    #expect(core.leaseGet("a", leaseMs: 123).remainingMs == 123)
    #expect(core.leaseGet("b").remainingMs == core.store.configuration.leaseMs)
    #expect(core.leaseGet("a").remainingMs == 123)
    core.advance(ms: 23)
    #expect(core.leaseGet("a").remainingMs == 100)
  }

  @Test("An operator's revocation ends every lease on the key, and their tokens")
  func revocation() {
    let token = core.grant("k")
    #expect(core.with("k") { $1.leaseRevoke($0, nowMs: core.nowMs) } == 1)
    #expect(core.with("k") { $1.leaseRevoke($0, nowMs: core.nowMs) } == 0)
    #expect(core.fill("k", token, "late") == .notStored)
    let next = core.grant("k")
    #expect(next > 1 && next != token)
    #expect(core.fill("k", next, "v") == .stored)
  }
}
