import LeaseCore
import Testing

/// A fill that comes after a delete voided its token: kept as the stale value, never as fresh, never over anything newer.
@Suite("Late fills")
struct StaleStoredTests {
  let core: CoreHarness
  init() throws { core = try CoreHarness() }

  /// A token that a delete has voided on a key without a value.
  func voidedToken() -> UInt64 {
    let token = core.grant("k")
    core.delete("k")
    return token
  }

  @Test("STALE_STORED: hidden from plain readers, the stale value for lease readers")
  func keptAsStale() {
    let token = voidedToken()
    #expect(core.fill("k", token, "late") == .staleStored)
    #expect(core.get("k").outcome == .miss)
    #expect(core.quickGet("k").outcome == .miss)
    #expect(core.metaGet("k").outcome == .miss)
    #expect(core.leaseGet("k").outcome == .staleWon("late"))
    #expect(core.counters.staleStored == 1)
  }

  @Test("The late value is gone when the stale window is over")
  func endsWithWindow() {
    let token = voidedToken()
    core.advance(ms: 1_000)
    #expect(core.fill("k", token, "late") == .staleStored)
    core.advance(ms: core.store.configuration.staleWindowMs + 2)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("The late value gets a version of its own")
  func newVersion() {
    let first = core.set("k", "v").version
    core.delete("k")
    let token = core.grant("k")
    core.delete("k")
    #expect(core.fill("k", token, "late") == .staleStored)
    var options = ReadOptions()
    options.kind = .meta
    options.knowsLeases = true
    let seen = core.read("k", options)
    #expect(seen.text == "late")
    #expect(seen.version != first)
    #expect(seen.version != token)
  }

  @Test("It replaces an older stale value")
  func replacesOlderStale() {
    core.set("k", "old")
    core.delete("k")
    let token = core.grant("k")
    core.delete("k")
    #expect(core.fill("k", token, "late") == .staleStored)
    #expect(core.leaseGet("k").outcome == .staleWon("late"))
  }

  @Test("It leaves a later lease alone: that one still fills")
  func leavesLaterLease() {
    let late = voidedToken()
    let token = core.grant("k")
    #expect(core.fill("k", late, "late") == .staleStored)
    #expect(core.isLive("k", token))
    #expect(core.leaseGet("k").outcome == .staleOwed("late"))
    #expect(core.fill("k", token, "new") == .stored)
    #expect(core.leaseGet("k").outcome == .hit("new"))
  }

  @Test("NOT_STORED once a newer value was filled")
  func forgottenByFill() {
    let late = voidedToken()
    #expect(core.fill("k", core.grant("k"), "new") == .stored)
    #expect(core.fill("k", late, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .hit("new"))
  }

  @Test("NOT_STORED once a newer value was filled and deleted: the newer one is the stale value")
  func forgottenByFillAndDelete() {
    let late = voidedToken()
    #expect(core.fill("k", core.grant("k"), "new") == .stored)
    core.delete("k")
    #expect(core.fill("k", late, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .staleWon("new"))
  }

  @Test("NOT_STORED once a plain write stored a newer value")
  func forgottenByPlainWrite() {
    let late = voidedToken()
    core.set("k", "plain")
    #expect(core.fill("k", late, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .hit("plain"))
  }

  @Test("NOT_STORED after a flush")
  func forgottenByFlush() {
    let late = voidedToken()
    core.flush()
    #expect(core.fill("k", late, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("NOT_STORED after the token's own deadline")
  func forgottenAtDeadline() {
    let token = core.grant("k", leaseMs: 1_000)
    core.delete("k")
    core.advance(ms: 1_002)
    #expect(core.fill("k", token, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("A late fill just before the token's own deadline is kept, also with upkeep running")
  func rememberedToDeadline() {
    let token = core.grant("k", leaseMs: 1_000)
    core.delete("k")
    core.advance(ms: 990)
    core.maintain()
    #expect(core.fill("k", token, "late") == .staleStored)
  }

  @Test("A voided token is forgotten by upkeep when its deadline is over: no record stays")
  func recordsEnd() {
    for index in 0..<100 {
      _ = core.grant(TestKey("k\(index)"), leaseMs: 1_000)
      core.delete(TestKey("k\(index)"))
    }
    core.advance(ms: core.store.configuration.staleWindowMs + 1_002)
    core.maintain()
    #expect(core.usage.leaseRecords == 0)
  }

  @Test("Of two voided tokens the older never replaces what the newer stored")
  func neverOverNewerStale() {
    let older = voidedToken()
    let newer = core.grant("k")
    core.delete("k")
    #expect(core.fill("k", newer, "newer") == .staleStored)
    #expect(core.fill("k", older, "older") != .stored)
    #expect(core.get("k").outcome == .miss)
    #expect(core.leaseGet("k").outcome == .staleWon("newer"))
  }

  @Test("Of two voided tokens the newer replaces what the older stored")
  func newerOverOlderStale() {
    let older = voidedToken()
    let newer = core.grant("k")
    core.delete("k")
    #expect(core.fill("k", older, "older") == .staleStored)
    #expect(core.fill("k", newer, "newer") == .staleStored)
    #expect(core.leaseGet("k").outcome == .staleWon("newer"))
  }

  @Test("ms C with a voided token and I is kept as stale where no value is visible")
  func invalidateWithVoidedToken() {
    let token = voidedToken()
    let status = core.cas("k", token, "late", invalidate: true).status
    #expect(status == .stored || status == .staleStored)
    #expect(core.leaseGet("k").outcome == .staleWon("late"))
  }

  @Test("ms C with a voided token never makes a fresh value")
  func casWithVoidedToken() {
    let token = voidedToken()
    #expect(core.cas("k", token, "late").status != .stored)
    #expect(core.get("k").outcome == .miss)
    #expect(core.metaGet("k").outcome == .miss)
  }

  @Test("Without a stale window a late fill is never seen")
  func withoutWindow() throws {
    let core = try CoreHarness { $0.staleWindowMs = 0 }
    let token = core.grant("k")
    core.delete("k")
    #expect(core.fill("k", token, "late") != .stored)
    #expect(core.get("k").outcome == .miss)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("A refused late fill changes nothing while a lease is out")
  func expiredTokenWhileOwed() {
    let late = core.grant("k", leaseMs: 100)
    core.advance(ms: 102)
    let token = core.grant("k")
    #expect(core.fill("k", late, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .hotMiss)
    #expect(core.fill("k", token, "v") == .stored)
  }
}
