import LeaseCore
import Testing

/// The grant interval, the bounded lease table, several holders of one key, refresh-ahead's edges, and the counters.
@Suite("Limits, holders, counters")
struct LimitTests {
  // MARK: Grant interval
  @Test("Grant interval: an early asker gets a hot miss, a later one a lease; other keys are not held up")
  func grantInterval() throws {
    let core = try CoreHarness {
      $0.grantIntervalMs = 1_000
      $0.staleWindowMs = 0
    }
    #expect(core.fill("k", core.grant("k"), "v") == .stored)
    core.advance(ms: 100)
    core.delete("k")
    let early = core.leaseGet("k")
    #expect(early.outcome == .hotMiss)
    #expect(early.token == 1)
    #expect(core.counters.grantsDelayed >= 1)
    #expect(core.leaseGet("other").outcome == .granted)
    core.advance(ms: 895)
    #expect(core.leaseGet("k").outcome == .hotMiss)
    core.advance(ms: 10)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("Grant interval: an early asker of a stale value gets it with token 1")
  func grantIntervalStale() throws {
    let core = try CoreHarness { $0.grantIntervalMs = 1_000 }
    #expect(core.fill("k", core.grant("k"), "v") == .stored)
    core.delete("k")
    let early = core.leaseGet("k")
    #expect(early.outcome == .staleOwed("v"))
    #expect(early.token == 1)
    core.advance(ms: 1_002)
    #expect(core.leaseGet("k").outcome == .staleWon("v"))
  }

  @Test("Grant interval: a key deleted a hundred times a second is granted once per interval")
  func grantIntervalUnderDeletes() throws {
    let core = try CoreHarness {
      $0.grantIntervalMs = 1_000
      $0.staleWindowMs = 0
    }
    var grants = 0
    for _ in 0..<1_000 {
      let seen = core.leaseGet("k")
      if seen.status == .granted {
        grants += 1
        #expect(core.fill("k", seen.token, "v") == .stored)
      }
      core.delete("k")
      core.advance(ms: 10)
    }
    #expect(grants >= 9 && grants <= 11)
  }

  // MARK: Lease table
  @Test("At max leases: a miss gets token 0 and is counted, a stale value comes with X alone, R is a plain hit, a hold is refused")
  func maxLeases() throws {
    let core = try CoreHarness(partitions: 1) { $0.maxLeases = 2 }
    core.set("stale", "v")
    core.delete("stale")
    core.set("fresh", "v", ttl: 5_000)
    let first = core.grant("a")
    _ = core.grant("b")
    let refused = core.leaseGet("c")
    #expect(refused.outcome == .passed)
    #expect(refused.token == 0)
    #expect(core.metaGet("c", wants: true).outcome == .passed)
    #expect(core.leaseGet("stale").outcome == .stale("v"))
    #expect(core.leaseGet("stale").token == 0)
    #expect(core.metaGet("fresh", refreshBelowMs: 10_000).outcome == .hit("v"))
    #expect(core.hold("d", ms: 1_000) == nil)
    #expect(core.counters.leaseTableFull >= 3)
    #expect(core.usage.leases == 2)
    #expect(core.release("a", first))
    #expect(core.leaseGet("c").outcome == .granted)
  }

  @Test("At max leases: leases whose time is over make room")
  func maxLeasesExpire() throws {
    let core = try CoreHarness(partitions: 1) { $0.maxLeases = 10 }
    for index in 0..<10 { #expect(core.leaseGet(TestKey("k\(index)"), leaseMs: 100).outcome == .granted) }
    #expect(core.leaseGet("more").outcome == .passed)
    core.advance(ms: 102)
    core.maintain()
    #expect(core.leaseGet("more").outcome == .granted)
  }

  @Test("Many keys that failed, were voided or passed keep a bounded number of records, and all end")
  func recordsAreBounded() throws {
    let core = try CoreHarness(partitions: 1) { $0.maxLeases = 100 }
    for index in 0..<5_000 {
      let key = TestKey("k\(index)")
      let token = core.grant(key, leaseMs: 1_000)
      switch index % 3 {
      case 0: _ = core.fail(key, token, ms: 1_000, "message")
      case 1: _ = core.pass(key, token, ms: 1_000)
      default: core.delete(key)
      }
    }
    #expect(core.usage.leases <= 100)
    #expect(core.usage.leaseRecords <= 1_000)
    core.advance(ms: 20_000)
    core.maintain()
    #expect(core.usage.leaseRecords == 0)
  }

  @Test("Many leases at once: each key has its own, all fill")
  func manyLeases() throws {
    let core = try CoreHarness()
    var tokens: [UInt64] = []
    for index in 0..<5_000 { tokens.append(core.grant(TestKey("k\(index)"))) }
    #expect(core.usage.leases == 5_000)
    #expect(Set(tokens).count == 5_000)
    for index in 0..<5_000 { #expect(core.fill(TestKey("k\(index)"), tokens[index], "v\(index)") == .stored) }
    #expect(core.usage.leases == 0)
    for index in 0..<5_000 { #expect(core.get(TestKey("k\(index)")).text == "v\(index)") }
  }

  @Test("Memory pressure never loses a lease")
  func leasesUnderPressure() throws {
    let core = try CoreHarness(memoryBytes: 2 << 20, partitions: 2) { $0.largestValueBytes = 64 << 10 }
    var tokens: [UInt64] = []
    for index in 0..<200 { tokens.append(core.grant(TestKey("lease\(index)"), leaseMs: 60_000)) }
    let filler = String(repeating: "x", count: 1_000)
    for index in 0..<10_000 { #expect(core.set(TestKey("filler\(index)"), filler).status == .stored) }
    #expect(core.counters.evictions > 0)
    #expect(core.usage.leases == 200)
    for index in 0..<200 { #expect(core.fill(TestKey("lease\(index)"), tokens[index], "v") == .stored) }
  }

  // MARK: Several holders
  @Test("h2: two holders, the third gets a hot miss; the first fill ends the other's lease")
  func holders() throws {
    let core = try CoreHarness()
    let first = core.metaGet("k", wants: true, holders: 2)
    let second = core.metaGet("k", wants: true, holders: 2)
    #expect(first.outcome == .granted)
    #expect(second.outcome == .granted)
    #expect(first.token != second.token)
    #expect(core.metaGet("k", wants: true, holders: 2).outcome == .hotMiss)
    #expect(core.metaGet("k", wants: true, holders: 1).outcome == .hotMiss)
    #expect(core.fill("k", second.token, "v") == .stored)
    #expect(core.fill("k", first.token, "late") == .notStored)
    #expect(core.get("k").outcome == .hit("v"))
    #expect(core.usage.leases == 0)
  }

  @Test("One of several holders failing, passing or releasing leaves the others' leases", arguments: 0..<4)
  func holderGone(way: Int) throws {
    let core = try CoreHarness { $0.holders = 2 }
    let first = core.grant("k")
    let second = core.grant("k")
    switch way {
    case 0: #expect(core.fail("k", first, ms: 1_000))
    case 1: #expect(core.pass("k", first, ms: 1_000))
    case 2: #expect(core.release("k", first))
    default: #expect(core.disconnect("k", first))
    }
    #expect(!core.isLive("k", first))
    #expect(core.isLive("k", second))
    #expect(core.fill("k", second, "v") == .stored)
    #expect(core.leaseGet("k").outcome == .hit("v"))
  }

  @Test("Several holders: a delete voids all of them, and a late fill of either is stale only")
  func holdersVoided() throws {
    let core = try CoreHarness { $0.holders = 2 }
    let first = core.grant("k")
    let second = core.grant("k")
    #expect(core.delete("k") == .deleted)
    #expect(core.fill("k", second, "late") == .staleStored)
    #expect(core.fill("k", first, "later") != .stored)
    #expect(core.get("k").outcome == .miss)
    #expect(core.grant("k") != 0)
    #expect(core.grant("k") != 0)
    #expect(core.leaseGet("k").isOwed)
  }

  @Test("Several holders: a lease of one ends at its own deadline")
  func holdersDeadlines() throws {
    let core = try CoreHarness { $0.holders = 2 }
    let short = core.grant("k", leaseMs: 100)
    let long = core.grant("k", leaseMs: 1_000)
    core.advance(ms: 102)
    #expect(!core.isLive("k", short))
    #expect(core.isLive("k", long))
    let third = core.leaseGet("k")
    #expect(third.outcome == .granted)
    #expect(core.leaseGet("k").outcome == .hotMiss)
    #expect(core.fill("k", long, "v") == .stored)
  }

  // MARK: Refresh-ahead
  @Test("Refresh-ahead: wins only when less than R is left, and never on a value without expiry")
  func refreshEdges() throws {
    let core = try CoreHarness()
    core.set("k", "v", ttl: 5_000)
    #expect(core.metaGet("k", refreshBelowMs: 4_990).outcome == .hit("v"))
    #expect(core.metaGet("k", refreshBelowMs: 0).outcome == .hit("v"))
    #expect(core.metaGet("k", refreshBelowMs: 5_010).outcome == .refresh("v"))
    core.set("forever", "v")
    #expect(core.metaGet("forever", refreshBelowMs: .max).outcome == .hit("v"))
    #expect(core.counters.refreshGrants == 1)
  }

  @Test("Refresh-ahead: a refresh lease does not hide the value, and its winner may keep it")
  func refreshThenDeleteThenGrant() throws {
    let core = try CoreHarness()
    core.set("k", "v", ttl: 5_000)
    let token = core.metaGet("k", refreshBelowMs: 10_000).token
    core.delete("k")
    let next = core.leaseGet("k")
    #expect(next.outcome == .staleWon("v"))
    #expect(core.fill("k", token, "late") == .staleStored)
    #expect(core.fill("k", next.token, "new") == .stored)
    #expect(core.get("k").outcome == .hit("new"))
  }

  // MARK: Counters
  @Test("Each lease event is counted once")
  func counters() throws {
    let core = try CoreHarness()
    #expect(core.fill("a", core.grant("a"), "v") == .stored)
    _ = core.grant("b", holderID: 1)
    _ = core.leaseGet("b")
    core.delete("b")
    #expect(core.release("c", core.grant("c")))
    #expect(core.fail("d", core.grant("d"), ms: 100))
    #expect(core.pass("e", core.grant("e"), ms: 100))
    let extended = core.grant("f")
    #expect(core.extend("f", extended, ms: 100))
    core.delete("a")
    #expect(core.keep("a", core.grant("a"), ttl: 1_000))
    #expect(core.fill("a", 999, "x") == .notStored)
    let counters = core.counters
    #expect(counters.leaseGrants == 7)
    #expect(counters.leaseFills == 1)
    #expect(counters.hotMisses == 1)
    #expect(counters.leaseVoids == 1)
    #expect(counters.leaseReleases == 1)
    #expect(counters.leaseFails == 1)
    #expect(counters.leasePasses == 1)
    #expect(counters.leaseExtends == 1)
    #expect(counters.leaseKeeps == 1)
    #expect(counters.staleHits == 1)
    #expect(counters.leaseSetRefused == 1)
  }

  @Test("memcached's counters: get, set, delete, touch, incr, cas")
  func classicCounters() throws {
    let core = try CoreHarness()
    core.set("k", "1")
    _ = core.get("k")
    _ = core.quickGet("k")
    _ = core.get("absent")
    core.touch("k", ttl: 1_000)
    core.touch("absent", ttl: 1_000)
    core.incr("k")
    core.incr("absent")
    core.incr("k", decrement: true)
    core.cas("k", 12_345, "x")
    core.cas("absent", 12_345, "x")
    core.cas("k", core.get("k").version, "2")
    core.delete("k")
    core.delete("k")
    let counters = core.counters
    #expect(counters.cmdGet == 4)
    #expect(counters.getHits == 3)
    #expect(counters.getMisses == 1)
    #expect(counters.cmdSet == 4)
    #expect(counters.cmdTouch == 2)
    #expect(counters.touchHits == 1)
    #expect(counters.touchMisses == 1)
    #expect(counters.incrHits == 1)
    #expect(counters.incrMisses == 1)
    #expect(counters.decrHits == 1)
    #expect(counters.casHits == 1)
    #expect(counters.casMisses == 1)
    #expect(counters.casBadval == 1)
    #expect(counters.deleteHits == 1)
    #expect(counters.deleteMisses == 1)
  }
}
