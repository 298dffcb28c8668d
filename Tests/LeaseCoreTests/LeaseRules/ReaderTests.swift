import LeaseCore
import Testing

/// Which reader is shown what, what md I and ms I do, and which refusal a compare gets.
@Suite("Readers and codes")
struct ReaderTests {
  let core: CoreHarness
  init() throws { core = try CoreHarness() }

  // MARK: Plain readers
  @Test("get on an owed key is a miss; mg without N, R, L is a stub (Z)")
  func plainReadersOnOwed() {
    let token = core.grant("k")
    #expect(core.get("k").outcome == .miss)
    #expect(core.quickGet("k").outcome == .miss)
    #expect(core.metaGet("k").outcome == .hotMiss)
    #expect(core.isLive("k", token))
  }

  @Test("A stale value on an owed key is hidden from get and from mg without N, R, L")
  func plainReadersOnOwedStale() {
    core.set("k", "v")
    core.delete("k")
    _ = core.grant("k")
    #expect(core.get("k").outcome == .miss)
    #expect(core.metaGet("k").outcome == .hotMiss)
    #expect(core.metaGet("k", knows: true).outcome == .staleOwed("v"))
  }

  @Test("mg with L but without N takes no lease on a miss")
  func knowsWithoutWanting() {
    #expect(core.metaGet("k", knows: true).outcome == .miss)
    #expect(core.metaGet("k", freshOnly: true).outcome == .miss)
    #expect(core.metaGet("k", refreshBelowMs: 1_000).outcome == .miss)
    #expect(core.usage.leases == 0)
  }

  @Test("A reader with R or Lf alone that is shown an unowned stale value wins it", arguments: [true, false])
  func readersWithoutNWin(byMark: Bool) {
    for key in ["a", "b"] as [TestKey] {
      core.set(key, "v")
      if byMark { core.markStale(key) } else { core.delete(key) }
    }
    #expect(core.metaGet("a", refreshBelowMs: 1_000).outcome == .staleWon("v"))
    #expect(core.metaGet("b", freshOnly: true).outcome == .staleWon("v"))
    #expect(core.metaGet("a", refreshBelowMs: 1_000).outcome == .staleOwed("v"))
  }

  @Test("The winner gets the stale value even if it takes only fresh ones; the others do not")
  func freshOnly() {
    core.set("k", "v")
    core.delete("k")
    #expect(core.metaGet("k", wants: true, freshOnly: true).outcome == .staleWon("v"))
    #expect(core.metaGet("k", wants: true, freshOnly: true).outcome == .hotMiss)
    #expect(core.metaGet("k", wants: true).outcome == .staleOwed("v"))
  }

  @Test("mg N takes a lease on a miss as lease-get does, of the asked length")
  func metaGrant() {
    let seen = core.metaGet("k", wants: true, leaseMs: 700)
    #expect(seen.outcome == .granted)
    #expect(seen.remainingMs == 700)
    #expect(core.metaGet("k", wants: true).outcome == .hotMiss)
    #expect(core.metaGet("k", wants: true).token == 1)
    #expect(core.fill("k", seen.token, "v") == .stored)
  }

  // MARK: md I
  @Test("A value marked stale counts as an item: add is refused, a wrong or an old C is EXISTS")
  func markedIsAnItem() {
    let version = core.set("k", "v").version
    core.markStale("k")
    #expect(core.usage.items == 1)
    #expect(core.set("k", "x", mode: .add).status == .notStored)
    #expect(core.cas("k", 12_345, "x").status == .exists)
    #expect(core.cas("k", version, "x").status == .exists)
    #expect(core.get("k").text == "v")
  }

  @Test("A value marked stale stays visible to get while it is owed")
  func markedWhileOwed() {
    core.set("k", "v")
    core.markStale("k")
    _ = core.grant("k")
    #expect(core.get("k").text == "v")
    #expect(core.quickGet("k").text == "v")
    #expect(core.metaGet("k").outcome == .staleOwed("v"))
  }

  @Test("md I with T gives the marked value a new expiry")
  func markedWithTouch() {
    core.set("k", "v")
    core.markStale("k", ttl: 3_000)
    core.advance(ms: 2_990)
    #expect(core.get("k").text == "v")
    core.advance(ms: 20)
    #expect(core.get("k").outcome == .miss)
  }

  @Test("md I with a C that is not the version is refused and marks nothing")
  func markedWithCompare() {
    let version = core.set("k", "v").version
    #expect(core.markStale("k", compare: version &+ 1) == .exists)
    #expect(core.metaGet("k").outcome == .hit("v"))
    #expect(core.markStale("k", compare: version) == .deleted)
    #expect(core.leaseGet("k").outcome == .staleWon("v"))
  }

  @Test("A plain set over a marked value is fresh")
  func markedThenSet() {
    core.set("k", "v")
    core.markStale("k")
    core.set("k", "w")
    #expect(core.metaGet("k", wants: true).outcome == .hit("w"))
  }

  // MARK: ms I
  @Test("ms C I with an older version keeps the value as stale, with a higher number than any given it is EXISTS")
  func invalidatingSet() {
    let old = core.set("k", "one").version
    core.set("k", "two")
    #expect(core.cas("k", (1 << 63) - 1, "x", invalidate: true).status == .exists)
    #expect(core.get("k").outcome == .hit("two"))
    let status = core.cas("k", old, "older", invalidate: true).status
    #expect(status == .stored || status == .staleStored)
    #expect(core.leaseGet("k").outcome == .staleWon("older"))
  }

  @Test("ms C I with the value's own version is a CAS write like any other")
  func invalidatingSetThatMatches() {
    let version = core.set("k", "one").version
    #expect(core.cas("k", version, "two", invalidate: true).status == .stored)
    #expect(core.get("k").outcome == .hit("two"))
  }

  // MARK: Codes
  @Test("A refused cas: EXISTS where a fresh value or another lease is, else NOT_FOUND")
  func casCodes() {
    let version = core.set("k", "v").version
    #expect(core.cas("k", version &+ 1, "x").status == .exists)
    core.delete("k")
    #expect(core.cas("k", version, "x").status == .notFound)
    let token = core.grant("k")
    #expect(core.cas("k", version, "x").status == .exists)
    #expect(core.cas("k", token, "v").status == .stored)
    #expect(core.cas("absent", version, "x").status == .notFound)
  }

  @Test("A value that expired cannot be CASed back")
  func casOnExpired() {
    let version = core.set("k", "v", ttl: 1_000).version
    let graced = core.set("g", "v", ttl: 1_000, grace: 10_000).version
    core.advance(ms: 1_002)
    #expect(core.cas("k", version, "x").status == .notFound)
    #expect(core.cas("g", graced, "x").status == .notFound)
    #expect(core.get("k").outcome == .miss)
    #expect(core.get("g").outcome == .miss)
  }

  @Test("delete with C: the version deletes, another number is EXISTS, an absent key NOT_FOUND")
  func deleteCodes() {
    let version = core.set("k", "v").version
    #expect(core.delete("k", compare: version &+ 1) == .exists)
    #expect(core.get("k").outcome == .hit("v"))
    #expect(core.delete("k", compare: version) == .deleted)
    #expect(core.get("k").outcome == .miss)
    #expect(core.delete("absent", compare: version) == .notFound)
  }

  @Test("delete with a wrong C leaves a lease alone")
  func deleteWithWrongToken() {
    let token = core.grant("k")
    #expect(core.delete("k", compare: token &+ 1) != .deleted)
    #expect(core.fill("k", token, "v") == .stored)
  }

  @Test("lease-set of a stale value's version is refused")
  func staleVersion() {
    let version = core.set("k", "v").version
    core.delete("k")
    #expect(core.fill("k", version, "x") == .notStored)
    _ = core.grant("k")
    #expect(core.fill("k", version, "x") == .notStored)
    #expect(core.get("k").outcome == .miss)
  }

  // MARK: Access
  @Test("h, l and t: fetched and idle as memcached counts them, u leaves them alone")
  func access() {
    core.set("k", "v", ttl: 100_000)
    var quiet = ReadOptions()
    quiet.kind = .meta
    quiet.leavesAccessAlone = true
    #expect(!core.read("k", quiet).wasFetched)
    #expect(!core.metaGet("k").wasFetched)
    #expect(core.metaGet("k").wasFetched)
    core.advance(ms: 5_000)
    #expect(core.read("k", quiet).idleSeconds == 5)
    #expect(core.metaGet("k").idleSeconds == 5)
    #expect(core.metaGet("k").idleSeconds == 0)
  }

  @Test("A read shows the expiry that the write asked for, not earlier, at most the rounding later")
  func expiryShown() {
    core.set("a", "v", ttl: 5_000)
    let shown = core.get("a").expiry.atMs
    #expect(shown >= core.nowMs + 5_000)
    #expect(shown <= core.nowMs + 5_001)
    core.set("b", "v")
    #expect(core.get("b").expiry == .never)
  }

  @Test("gat and mg T read and touch in one; touch of a miss changes nothing")
  func readAndTouch() {
    core.set("k", "v", ttl: 1_000)
    var options = ReadOptions()
    options.touch = core.expiry(10_000)
    #expect(core.read("k", options).outcome == .hit("v"))
    #expect(core.read("absent", options).outcome == .miss)
    core.advance(ms: 9_990)
    #expect(core.get("k").outcome == .hit("v"))
    core.advance(ms: 20)
    #expect(core.get("k").outcome == .miss)
    #expect(core.get("absent").outcome == .miss)
  }
}
