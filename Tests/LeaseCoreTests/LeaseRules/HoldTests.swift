import LeaseCore
import Testing

/// A writer's hold: nobody may fill until the writer is done.
@Suite("A writer's hold")
struct HoldTests {
  let core: CoreHarness
  init() throws { core = try CoreHarness() }

  func held(_ key: TestKey = "k", ms: UInt64 = 5_000) throws -> UInt64 { try #require(core.hold(key, ms: ms)) }

  @Test("On an absent key: readers get token 0")
  func onAbsent() throws {
    let token = try held()
    #expect(token >= 2 && token < 1 << 63)
    let seen = core.leaseGet("k")
    #expect(seen.outcome == .passed)
    #expect(seen.token == 0)
    #expect(core.get("k").outcome == .miss)
    #expect(core.metaGet("k", wants: true).outcome == .passed)
  }

  @Test("On a fresh value: it is stale at once, shown with X alone and token 0 to those who know leases")
  func onFresh() throws {
    core.set("k", "v")
    _ = try held()
    #expect(core.get("k").outcome == .miss)
    #expect(core.quickGet("k").outcome == .miss)
    let seen = core.leaseGet("k")
    #expect(seen.outcome == .stale("v"))
    #expect(seen.token == 0)
    #expect(core.metaGet("k", wants: true).outcome == .stale("v"))
  }

  @Test("On a stale value: shown with X alone")
  func onStale() throws {
    core.set("k", "v")
    core.delete("k")
    _ = try held()
    #expect(core.leaseGet("k").outcome == .stale("v"))
  }

  @Test("On an owed key: the reader's token is void, and a plain refusal")
  func onOwed() throws {
    let reader = core.grant("k")
    let writer = try held()
    #expect(core.fill("k", reader, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .passed)
    #expect(core.fill("k", writer, "v") == .stored)
    #expect(core.leaseGet("k").outcome == .hit("v"))
  }

  @Test("A token that a delete had voided before is refused while the writer holds, and never becomes fresh")
  func overVoided() throws {
    let reader = core.grant("k")
    core.delete("k")
    _ = try held()
    #expect(core.fill("k", reader, "late") != .stored)
    #expect(core.get("k").outcome == .miss)
  }

  @Test("The writer's fill replaces the value and ends the hold")
  func writerFills() throws {
    core.set("k", "old")
    let token = try held()
    #expect(core.fill("k", token, "new") == .stored)
    #expect(core.leaseGet("k").outcome == .hit("new"))
    #expect(core.usage.leases == 0)
    #expect(core.fill("k", token, "again") == .notStored)
  }

  @Test("A delete ends the hold; the value stays stale")
  func deleteEnds() throws {
    core.set("k", "v")
    let token = try held()
    #expect(core.delete("k") == .deleted)
    #expect(!core.isLive("k", token))
    #expect(core.leaseGet("k").outcome == .staleWon("v"))
  }

  @Test("The writer's delete with its token ends the hold")
  func writerDeletes() throws {
    let token = try held()
    #expect(core.delete("k", compare: token) == .deleted)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Another writer is refused until the hold ends")
  func oneWriter() throws {
    let first = try held(ms: 1_000)
    #expect(core.hold("k", ms: 1_000) == nil)
    #expect(core.isLive("k", first))
    core.advance(ms: 1_002)
    let second = try held(ms: 1_000)
    #expect(second != first)
    #expect(core.fill("k", first, "late") == .notStored)
    #expect(core.fill("k", second, "v") == .stored)
  }

  @Test("Ends at its deadline: then readers are granted again")
  func deadline() throws {
    core.set("k", "v")
    let token = try held(ms: 1_000)
    core.advance(ms: 998)
    #expect(core.leaseGet("k").outcome == .stale("v"))
    core.advance(ms: 4)
    #expect(core.fill("k", token, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .staleWon("v"))
  }

  @Test("What a hold made stale stays so for the hold and the stale window")
  func staleForHoldAndWindow() throws {
    let windowMs = core.store.configuration.staleWindowMs
    core.set("k", "v")
    _ = try held(ms: 5_000)
    core.advance(ms: 5_000 + windowMs - 5)
    core.maintain()
    #expect(core.leaseGet("k", leaseMs: 1).outcome == .staleWon("v"))
    core.advance(ms: 10)
    core.maintain()
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Ends by release, disconnect and flush", arguments: 0..<3)
  func ends(way: Int) throws {
    let token = try held()
    switch way {
    case 0: #expect(core.release("k", token))
    case 1: #expect(core.disconnect("k", token))
    default: core.flush()
    }
    #expect(!core.isLive("k", token))
    #expect(core.fill("k", token, "late") == .notStored)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("The writer's token works with extend, fail, pass and keep as a reader's does")
  func writersToken() throws {
    let extended = try held("a", ms: 1_000)
    core.advance(ms: 900)
    #expect(core.extend("a", extended, ms: 1_000))
    core.advance(ms: 900)
    #expect(core.isLive("a", extended))

    #expect(core.fail("b", try held("b"), ms: 1_000, "no"))
    #expect(core.leaseGet("b").outcome == .failed("no"))

    #expect(core.pass("c", try held("c"), ms: 1_000))
    core.advance(ms: 10)
    #expect(core.leaseGet("c").remainingMs == 990)

    core.set("d", "v")
    #expect(core.keep("d", try held("d"), ttl: 5_000))
    #expect(core.leaseGet("d").outcome == .hit("v"))
  }

  @Test("On a failed or passed key: the writer's fill lands")
  func onFailedAndPassed() throws {
    #expect(core.fail("a", core.grant("a"), ms: 60_000))
    #expect(core.fill("a", try held("a"), "v") == .stored)
    #expect(core.leaseGet("a").outcome == .hit("v"))
    #expect(core.pass("b", core.grant("b"), ms: 60_000))
    #expect(core.fill("b", try held("b"), "v") == .stored)
    #expect(core.leaseGet("b").outcome == .hit("v"))
  }

  @Test("A CAS on the value that the hold made stale is refused")
  func casOnHeld() throws {
    let version = core.set("k", "v").version
    _ = try held()
    #expect(core.cas("k", version, "w").status == .exists)
    #expect(core.fill("k", version, "w") == .notStored)
    #expect(core.get("k").outcome == .miss)
  }

  @Test("A guarded plain write is refused while the writer holds")
  func guardedWrite() throws {
    let token = try held()
    #expect(core.set("k", "x", plainWrites: .guarded).status == .notStored)
    #expect(core.fill("k", token, "v") == .stored)
  }

  @Test("Counts as a lease, and leaves no record when it is over")
  func counted() throws {
    _ = try held(ms: 1_000)
    #expect(core.usage.leases == 1)
    #expect(core.counters.leaseHolds == 1)
    core.advance(ms: 1_002 + core.store.configuration.staleWindowMs)
    core.maintain()
    #expect(core.usage.leases == 0)
    #expect(core.usage.leaseRecords == 0)
  }

  @Test("A version that was seen before a hold writes nothing during it, also where the value was marked stale")
  func casDuringHold() throws {
    core.set("k", "5")
    core.markStale("k")
    let version = core.get("k").version
    let writer = try #require(core.hold("k", ms: 1_000))
    #expect(core.cas("k", version, "old").status == .exists)
    #expect(core.incr("k", compare: version).status == .exists)
    #expect(core.isLive("k", writer))
    #expect(core.fill("k", writer, "new") == .stored)
  }
}
