import LeaseCore
import Testing

/// Every row of the specification's state table against every column: lease-get, a token presented, delete.
@Suite("State table")
struct StateTableTests {
  let core: CoreHarness
  let windowMs: UInt64
  let leaseMs: UInt64

  init() throws {
    core = try CoreHarness()
    windowMs = core.store.configuration.staleWindowMs
    leaseMs = core.store.configuration.leaseMs
  }

  // MARK: Absent
  @Test("Absent: lease-get grants a miss and a token for the server's lease length")
  func absentGrants() {
    let seen = core.leaseGet("k")
    #expect(seen.outcome == .granted)
    #expect(seen.token >= 2)
    #expect(seen.remainingMs == leaseMs)
    #expect(core.usage.leases == 1)
  }

  @Test("Absent: any token is refused", arguments: [UInt64(0), 1, 2, 12_345, 1 << 62, .max])
  func absentRefuses(token: UInt64) {
    #expect(core.fill("k", token, "v") == .notStored)
    #expect(core.cas("k", token, "v").status == .notFound)
    #expect(core.get("k").outcome == .miss)
  }

  @Test("Absent: delete finds nothing and leaves nothing")
  func absentDelete() {
    #expect(core.delete("k") == .notFound)
    #expect(core.markStale("k") == .notFound)
    #expect(core.get("k").outcome == .miss)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Absent: a plain get is a miss and takes no lease")
  func absentPlainGet() {
    #expect(core.get("k").outcome == .miss)
    #expect(core.metaGet("k").outcome == .miss)
    #expect(core.usage.leases == 0)
  }

  // MARK: Fresh
  @Test("Fresh: lease-get is a hit and takes no lease")
  func freshHit() {
    core.set("k", "v", ttl: 60_000)
    #expect(core.leaseGet("k").outcome == .hit("v"))
    #expect(core.metaGet("k", wants: true).outcome == .hit("v"))
    #expect(core.get("k").outcome == .hit("v"))
    #expect(core.quickGet("k").outcome == .hit("v"))
    #expect(core.usage.leases == 0)
  }

  @Test("Fresh: lease-set with the value's version is a CAS write, and works once")
  func freshCompareAndSet() {
    core.set("k", "old")
    let version = core.get("k").version
    #expect(core.fill("k", version, "new") == .stored)
    #expect(core.get("k").outcome == .hit("new"))
    #expect(core.get("k").version != version)
    #expect(core.fill("k", version, "late") == .notStored)
    #expect(core.get("k").outcome == .hit("new"))
  }

  @Test("Fresh: a number that is not the version is refused")
  func freshWrongToken() {
    core.set("k", "v")
    #expect(core.fill("k", 0, "x") == .notStored)
    #expect(core.fill("k", 1, "x") == .notStored)
    #expect(core.fill("k", core.get("k").version &+ 1, "x") == .notStored)
    #expect(core.get("k").outcome == .hit("v"))
  }

  @Test("Fresh: a deleted value is stale for the stale window, then absent")
  func freshDelete() {
    core.set("k", "v", ttl: 60_000)
    #expect(core.delete("k") == .deleted)
    #expect(core.get("k").outcome == .miss)
    #expect(core.quickGet("k").outcome == .miss)
    core.advance(ms: windowMs - 2)
    #expect(core.leaseGet("k", leaseMs: 1).outcome == .staleWon("v"))
    core.advance(ms: 4)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Fresh: without a stale window a deleted value is absent at once")
  func freshDeleteWithoutWindow() throws {
    let core = try CoreHarness { $0.staleWindowMs = 0 }
    core.set("k", "v")
    #expect(core.delete("k") == .deleted)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Fresh: a deleted value that would have expired inside the window is stale no longer than the window")
  func freshDeleteNearExpiry() {
    core.set("k", "v", ttl: 1_000)
    core.advance(ms: 500)
    #expect(core.delete("k") == .deleted)
    core.advance(ms: windowMs + 2)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  // MARK: Fresh, below the reader's refresh-ahead
  @Test("Refresh-ahead: one reader below R wins, the others get plain hits")
  func refreshOneWins() {
    core.set("k", "v", ttl: 5_000)
    #expect(core.metaGet("k", refreshBelowMs: 2_000).outcome == .hit("v"))
    core.advance(ms: 3_500)
    let winner = core.metaGet("k", refreshBelowMs: 2_000)
    #expect(winner.outcome == .refresh("v"))
    #expect(winner.token >= 2)
    #expect(core.metaGet("k", refreshBelowMs: 2_000).outcome == .hitOwed("v"))
    #expect(core.get("k").text == "v")
    #expect(core.leaseGet("k").text == "v")
    #expect(!core.leaseGet("k").isWon)
    #expect(core.usage.leases == 1)
  }

  @Test("Refresh-ahead: the winner's token replaces the value")
  func refreshTokenReplaces() {
    core.set("k", "v", ttl: 5_000)
    core.advance(ms: 3_500)
    let token = core.metaGet("k", refreshBelowMs: 2_000).token
    #expect(core.fill("k", token, "new", ttl: 5_000) == .stored)
    #expect(core.leaseGet("k").outcome == .hit("new"))
    #expect(core.usage.leases == 0)
  }

  @Test("Refresh-ahead: delete ends the value as always and voids the token")
  func refreshDelete() {
    core.set("k", "v", ttl: 5_000)
    core.advance(ms: 3_500)
    let token = core.metaGet("k", refreshBelowMs: 2_000).token
    #expect(core.delete("k") == .deleted)
    #expect(core.get("k").outcome == .miss)
    #expect(core.fill("k", token, "late") == .staleStored)
    #expect(core.get("k").outcome == .miss)
  }

  // MARK: Stale
  @Test("Stale by delete: lease-get grants the stale value and a token; the token fills")
  func staleByDelete() {
    core.set("k", "v")
    core.delete("k")
    let seen = core.leaseGet("k")
    #expect(seen.outcome == .staleWon("v"))
    #expect(seen.token >= 2)
    #expect(core.fill("k", seen.token, "new") == .stored)
    #expect(core.leaseGet("k").outcome == .hit("new"))
  }

  @Test("Stale by delete: another delete finds nothing and does not prolong the window")
  func staleByDeleteDelete() {
    core.set("k", "v")
    core.delete("k")
    core.advance(ms: windowMs / 2)
    #expect(core.delete("k") == .notFound)
    core.advance(ms: windowMs / 2 - 2)
    #expect(core.leaseGet("k", leaseMs: 1).outcome == .staleWon("v"))
    core.advance(ms: 4)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Stale by grace: expired, hidden from plain readers, granted to lease readers, gone when the grace ends")
  func staleByGrace() {
    core.set("k", "v", ttl: 1_000, grace: 5_000)
    core.advance(ms: 1_002)
    #expect(core.get("k").outcome == .miss)
    #expect(core.quickGet("k").outcome == .miss)
    #expect(core.metaGet("k").outcome == .miss)
    #expect(core.leaseGet("k", leaseMs: 10).outcome == .staleWon("v"))
    core.advance(ms: 4_990)
    #expect(core.leaseGet("k", leaseMs: 1).outcome == .staleWon("v"))
    core.advance(ms: 20)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Stale by grace: delete finds nothing; it stays stale until its grace ends")
  func staleByGraceDelete() {
    core.set("k", "v", ttl: 1_000, grace: 5_000)
    core.advance(ms: 2_000)
    #expect(core.delete("k") == .notFound)
    #expect(core.leaseGet("k", leaseMs: 1).outcome == .staleWon("v"))
    core.advance(ms: 4_010)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Stale by md I: every reader sees it, the first that knows leases wins it")
  func staleByMark() {
    core.set("k", "v")
    #expect(core.markStale("k") == .deleted)
    #expect(core.get("k").text == "v")
    #expect(core.quickGet("k").text == "v")
    #expect(core.leaseGet("k").outcome == .staleWon("v"))
    #expect(core.leaseGet("k").outcome == .staleOwed("v"))
    #expect(core.get("k").text == "v")
    #expect(core.quickGet("k").text == "v")
  }

  @Test("Stale by md I: a fill makes it fresh")
  func staleByMarkFill() {
    core.set("k", "v")
    core.markStale("k")
    let token = core.grant("k")
    #expect(core.fill("k", token, "new") == .stored)
    #expect(core.metaGet("k").outcome == .hit("new"))
  }

  @Test("Stale by md I: delete removes it")
  func staleByMarkDelete() {
    core.set("k", "v")
    core.markStale("k")
    #expect(core.delete("k") == .deleted)
    #expect(core.get("k").outcome == .miss)
    #expect(core.quickGet("k").outcome == .miss)
  }

  // MARK: Owed
  @Test("Owed: lease-get without a stale value is a hot miss, token 1")
  func owedHotMiss() {
    _ = core.leaseGet("k")
    let seen = core.leaseGet("k")
    #expect(seen.outcome == .hotMiss)
    #expect(seen.token == 1)
  }

  @Test("Owed: lease-get with a stale value gets it at once, token 1")
  func owedStale() {
    core.set("k", "v")
    core.delete("k")
    _ = core.leaseGet("k")
    let seen = core.leaseGet("k")
    #expect(seen.outcome == .staleOwed("v"))
    #expect(seen.token == 1)
  }

  @Test("Owed: the token is accepted, once")
  func owedFill() {
    let token = core.grant("k")
    #expect(core.fill("k", token, "v") == .stored)
    #expect(core.leaseGet("k").outcome == .hit("v"))
    #expect(core.fill("k", token, "again") == .notStored)
    #expect(core.get("k").outcome == .hit("v"))
    #expect(core.usage.leases == 0)
  }

  @Test("Owed: cas and ms C with the token fill, too")
  func owedFillByCas() {
    let token = core.grant("k")
    #expect(core.cas("k", token, "v").status == .stored)
    #expect(core.leaseGet("k").outcome == .hit("v"))
    #expect(core.usage.leases == 0)
  }

  @Test("Owed: a fill with a value that is expired on arrival ends the lease and leaves nothing", arguments: [true, false])
  func owedFillExpired(asLeaseSet: Bool) {
    let token = core.grant("k")
    let status = asLeaseSet ? core.fill("k", token, "v", expiry: .immediately) : core.cas("k", token, "v", expiry: .immediately).status
    #expect(status == .stored)
    #expect(core.get("k").outcome == .miss)
    let next = core.leaseGet("k")
    #expect(next.outcome == .granted)
    #expect(next.token != token)
    #expect(core.fill("k", token, "late") == .notStored)
  }

  @Test("Owed: delete voids the token, the next asker is granted another")
  func owedDelete() {
    let token = core.grant("k")
    #expect(core.delete("k") == .deleted)
    #expect(!core.isLive("k", token))
    let next = core.leaseGet("k")
    #expect(next.outcome == .granted)
    #expect(next.token != token)
  }

  @Test("Owed: a stale value stays for its window over a delete")
  func owedDeleteKeepsStale() {
    core.set("k", "v")
    core.delete("k")
    _ = core.leaseGet("k")
    core.advance(ms: windowMs / 2)
    #expect(core.delete("k") == .deleted)
    core.advance(ms: windowMs / 2 - 2)
    #expect(core.leaseGet("k", leaseMs: 1).outcome == .staleWon("v"))
  }

  // MARK: Failed
  @Test("Failed: lease-get gets the message until its time is over, then a lease")
  func failed() {
    let token = core.grant("k")
    #expect(core.fail("k", token, ms: 1_000, "database down"))
    let seen = core.leaseGet("k")
    #expect(seen.outcome == .failed("database down"))
    #expect(seen.remainingMs == 1_000)
    core.advance(ms: 400)
    #expect(core.leaseGet("k").remainingMs == 600)
    core.advance(ms: 598)
    #expect(core.leaseGet("k").outcome == .failed("database down"))
    core.advance(ms: 4)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Failed: the token is dead")
  func failedToken() {
    let token = core.grant("k")
    #expect(core.fail("k", token, ms: 1_000))
    #expect(core.fill("k", token, "v") == .notStored)
    #expect(!core.fail("k", token, ms: 1_000))
  }

  @Test("Failed: readers that do not know leases see a plain miss")
  func failedPlainReaders() {
    #expect(core.fail("k", core.grant("k"), ms: 1_000))
    #expect(core.get("k").outcome == .miss)
    #expect(core.quickGet("k").outcome == .miss)
    #expect(core.metaGet("k").outcome == .miss)
  }

  @Test("Failed: delete clears it")
  func failedDelete() {
    #expect(core.fail("k", core.grant("k"), ms: 1_000))
    #expect(core.delete("k") == .notFound)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  // MARK: Passed
  @Test("Passed: lease-get gets token 0 until its time is over, then a lease")
  func passed() {
    #expect(core.pass("k", core.grant("k"), ms: 1_000))
    let seen = core.leaseGet("k")
    #expect(seen.outcome == .passed)
    #expect(seen.token == 0)
    #expect(seen.remainingMs == 1_000)
    core.advance(ms: 998)
    #expect(core.leaseGet("k").outcome == .passed)
    core.advance(ms: 4)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Passed: a stale value is dropped")
  func passedDropsStale() {
    core.set("k", "v")
    core.delete("k")
    #expect(core.pass("k", core.grant("k"), ms: 1_000))
    #expect(core.leaseGet("k").outcome == .passed)
    core.advance(ms: 1_002)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Passed: the token is dead, plain readers miss")
  func passedToken() {
    let token = core.grant("k")
    #expect(core.pass("k", token, ms: 1_000))
    #expect(core.fill("k", token, "v") == .notStored)
    #expect(!core.pass("k", token, ms: 1_000))
    #expect(core.get("k").outcome == .miss)
    #expect(core.metaGet("k").status != .hit)
  }

  @Test("Passed: delete clears it")
  func passedDelete() {
    #expect(core.pass("k", core.grant("k"), ms: 1_000))
    #expect(core.delete("k") == .notFound)
    #expect(core.leaseGet("k").outcome == .granted)
  }
}
