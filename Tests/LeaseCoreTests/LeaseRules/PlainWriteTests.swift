import LeaseCore
import Testing

/// Writes without a token, under each policy.
@Suite("Plain writes")
struct PlainWriteTests {
  let core: CoreHarness
  init() throws { core = try CoreHarness() }

  static var everyMode: [StoreMode] { [.set, .add, .replace, .append, .prepend] }

  // MARK: Reject
  @Test("reject: every write without a token or CAS unique is refused and changes nothing")
  func reject() {
    core.set("k", "5")
    let version = core.get("k").version
    for mode in Self.everyMode {
      #expect(core.set("k", "1", mode: mode, plainWrites: .reject).status == .tokenRequired)
      #expect(core.set("absent", "1", mode: mode, plainWrites: .reject).status == .tokenRequired)
    }
    #expect(core.incr("k", plainWrites: .reject).status == .tokenRequired)
    #expect(core.get("k").outcome == .hit("5"))
    #expect(core.get("k").version == version)
    #expect(core.get("absent").outcome == .miss)
    #expect(core.counters.plainWritesRefused >= 10)
  }

  @Test("reject: a lease stays when a plain write is refused")
  func rejectLeavesLease() {
    let token = core.grant("k")
    #expect(core.set("k", "x", plainWrites: .reject).status == .tokenRequired)
    #expect(core.fill("k", token, "v") == .stored)
  }

  @Test("reject: a CAS unique or a token is enough, for cas and incr")
  func rejectWithVersion() {
    core.set("k", "5")
    #expect(core.cas("k", core.get("k").version, "6").status == .stored)
    #expect(core.incr("k", compare: core.get("k").version, plainWrites: .reject).number == 7)
    let version = core.get("k").version
    #expect(core.incr("k", compare: version &+ 1, plainWrites: .reject).status == .exists)
    #expect(core.get("k").outcome == .hit("7"))
  }

  @Test("reject: delete and touch never need a token")
  func rejectDelete() {
    core.set("k", "v", ttl: 1_000)
    #expect(core.touch("k", ttl: 5_000))
    #expect(core.delete("k") == .deleted)
  }

  // MARK: Guard
  @Test("guard: taken when no lease is out")
  func guarded() {
    #expect(core.set("k", "v", plainWrites: .guarded).status == .stored)
    #expect(core.set("k", "1", plainWrites: .guarded).status == .stored)
    #expect(core.incr("k", plainWrites: .guarded).number == 2)
    core.delete("k")
    #expect(core.set("k", "over stale", plainWrites: .guarded).status == .stored)
    #expect(core.leaseGet("k").outcome == .hit("over stale"))
  }

  @Test("guard: refused while a lease is out, which stays")
  func guardedOwed() {
    let token = core.grant("k")
    #expect(core.set("k", "x", plainWrites: .guarded).status == .notStored)
    #expect(core.set("k", "x", mode: .add, plainWrites: .guarded).status == .notStored)
    #expect(core.get("k").outcome == .miss)
    #expect(core.fill("k", token, "v") == .stored)
    #expect(core.set("k", "w", plainWrites: .guarded).status == .stored)
  }

  @Test("guard: refused while a refresh lease is out")
  func guardedRefresh() {
    core.set("k", "5", ttl: 1_000)
    let token = core.metaGet("k", refreshBelowMs: 2_000).token
    #expect(core.set("k", "x", plainWrites: .guarded).status == .notStored)
    #expect(core.set("k", "x", mode: .append, plainWrites: .guarded).status == .notStored)
    #expect(core.incr("k", plainWrites: .guarded).status == .notStored)
    #expect(core.get("k").text == "5")
    #expect(core.fill("k", token, "6") == .stored)
  }

  @Test("guard: taken again when the lease is over", arguments: 0..<3)
  func guardedAfter(way: Int) {
    let token = core.grant("k", leaseMs: 500)
    switch way {
    case 0: core.advance(ms: 502)
    case 1: #expect(core.release("k", token))
    default: core.delete("k")
    }
    #expect(core.set("k", "v", plainWrites: .guarded).status == .stored)
    #expect(core.leaseGet("k").outcome == .hit("v"))
  }

  // MARK: Allow
  @Test("allow: memcached's add, replace, append and prepend")
  func allow() {
    #expect(core.set("k", "x", mode: .replace).status == .notStored)
    #expect(core.set("k", "x", mode: .append).status == .notStored)
    #expect(core.set("k", "x", mode: .prepend).status == .notStored)
    #expect(core.set("k", "b", mode: .add).status == .stored)
    #expect(core.set("k", "x", mode: .add).status == .notStored)
    #expect(core.set("k", "c", mode: .append).status == .stored)
    #expect(core.set("k", "a", mode: .prepend).status == .stored)
    #expect(core.get("k").outcome == .hit("abc"))
    #expect(core.set("k", "d", mode: .replace).status == .stored)
    #expect(core.get("k").outcome == .hit("d"))
  }

  @Test("allow: append and prepend keep expiry and client flags")
  func appendKeeps() {
    core.set("k", "b", ttl: 1_000, clientFlags: 5)
    #expect(core.set("k", "c", ttl: 60_000, mode: .append, clientFlags: 9).status == .stored)
    #expect(core.set("k", "a", ttl: 60_000, mode: .prepend).status == .stored)
    #expect(core.get("k").clientFlags == 5)
    core.advance(ms: 998)
    #expect(core.get("k").outcome == .hit("abc"))
    core.advance(ms: 4)
    #expect(core.get("k").outcome == .miss)
  }

  @Test("allow: a deleted value is absent to add, replace, append and incr")
  func deletedIsAbsent() {
    core.set("k", "1")
    core.delete("k")
    #expect(core.set("k", "x", mode: .replace).status == .notStored)
    #expect(core.set("k", "x", mode: .append).status == .notStored)
    #expect(core.incr("k").status == .notFound)
    #expect(!core.touch("k", ttl: 1_000))
    #expect(core.set("k", "2", mode: .add).status == .stored)
    #expect(core.leaseGet("k").outcome == .hit("2"))
  }

  @Test("allow: a value in its grace is absent to add, replace, append, incr and touch")
  func graceIsAbsent() {
    core.set("k", "1", ttl: 1_000, grace: 10_000)
    core.advance(ms: 1_002)
    #expect(core.set("k", "x", mode: .replace).status == .notStored)
    #expect(core.set("k", "x", mode: .append).status == .notStored)
    #expect(core.incr("k").status == .notFound)
    #expect(!core.touch("k", ttl: 1_000))
    #expect(core.set("k", "2", mode: .add).status == .stored)
    #expect(core.get("k").outcome == .hit("2"))
  }

  @Test("allow: a plain write that is refused for its own reason leaves the lease")
  func refusedWriteLeavesLease() {
    let token = core.grant("k")
    #expect(core.set("k", "x", mode: .replace).status == .notStored)
    #expect(core.set("k", "x", mode: .append).status == .notStored)
    #expect(core.fill("k", token, "v") == .stored)
  }

  @Test("A value above the limit is refused, and the old one stays")
  func tooLarge() throws {
    let core = try CoreHarness { $0.largestValueBytes = 4_096 }
    core.set("k", "v")
    var request = StoreRequest()
    request.plainWrites = .allow
    let fits = core.store("fits", patternBytes(seed: 1, count: 4_096), request)
    #expect(fits.status == .stored)
    request.mode = .append
    let large = core.store("fits", patternBytes(seed: 2, count: 4_096), request)
    #expect(large.status == .tooLarge)
    #expect(core.get("fits").value == patternBytes(seed: 1, count: 4_096))
  }

  // MARK: Arithmetic
  @Test("incr and decr as memcached: wrap up, stop at 0, refuse what is no number")
  func arithmetic() {
    core.set("k", "10")
    #expect(core.incr("k", by: 5).number == 15)
    #expect(core.incr("k", by: 20, decrement: true).number == 0)
    core.set("k", "18446744073709551615")
    #expect(core.incr("k").number == 0)
    core.set("k", "abc")
    #expect(core.incr("k").status == .notNumeric)
    core.set("k", "")
    #expect(core.incr("k").status == .notNumeric)
    core.set("k", "18446744073709551616")
    #expect(core.incr("k").status == .notNumeric)
    #expect(core.incr("absent").status == .notFound)
    #expect(core.get("absent").outcome == .miss)
  }

  @Test("incr keeps expiry and client flags")
  func incrementKeeps() {
    core.set("k", "9", ttl: 1_000, clientFlags: 7)
    for _ in 0..<200 { core.incr("k") }
    #expect(core.get("k").clientFlags == 7)
    #expect(core.get("k").text == "209")
    core.advance(ms: 998)
    #expect(core.get("k").status == .hit)
    core.advance(ms: 4)
    #expect(core.get("k").outcome == .miss)
  }

  @Test("ma N creates with the initial number, ma T touches")
  func vivify() {
    var request = ArithmeticRequest()
    request.plainWrites = .allow
    request.initial = 100
    request.vivifyExpiry = core.expiry(1_000)
    let created = core.with("k") { $1.arithmetic($0, nowMs: core.nowMs, request) }
    #expect(created.status == .done)
    #expect(created.number == 100)
    #expect(core.get("k").outcome == .hit("100"))
    request.touch = core.expiry(5_000)
    let counted = core.with("k") { $1.arithmetic($0, nowMs: core.nowMs, request) }
    #expect(counted.number == 101)
    core.advance(ms: 4_990)
    #expect(core.get("k").outcome == .hit("101"))
    core.advance(ms: 20)
    #expect(core.get("k").outcome == .miss)
  }
}
