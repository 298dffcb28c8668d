import LeaseCore
import Testing

/// Numbers at the ends of their ranges, as a client may send them: answered, never a trap.
@Suite("Extreme numbers")
struct ExtremeTests {
  let core: CoreHarness
  init() throws { core = try CoreHarness() }

  static let numbers: [UInt64] = [0, 1, 1 << 31, 1 << 32, 1 << 50, 1 << 53, (1 << 63) - 1, 1 << 63, .max - 1, .max]

  @Test("Expiry and grace", arguments: numbers)
  func expiry(number: UInt64) {
    var request = StoreRequest()
    request.plainWrites = .allow
    request.graceMs = number
    request.expiry = Expiry(atMs: number)
    #expect(core.store("k", [65], request).status == .stored)
    let isFresh = number > core.nowMs
    #expect((core.get("k").status == .hit) == isFresh)
    request.expiry = core.expiry(1_000)
    #expect(core.store("g", [66], request).status == .stored)
    core.advance(ms: 500)
    #expect(core.get("g").outcome == .hit("B"))
    core.advance(ms: 502)
    #expect(core.get("g").outcome == .miss)
    _ = core.maintain()
  }

  @Test("Touch and the time of a read", arguments: numbers)
  func touch(number: UInt64) {
    core.set("k", "v", ttl: 5_000, grace: 5_000)
    #expect(core.with("k") { $1.touch($0, nowMs: core.nowMs, Expiry(atMs: number)) })
    #expect((core.get("k").status == .hit) == (number > core.nowMs))
    core.set("k", "v")
    var options = ReadOptions()
    options.touch = Expiry(atMs: number)
    _ = core.read("k", options)
    _ = core.maintain()
  }

  @Test("Lease lengths, extensions, failures, passes, holds", arguments: numbers)
  func leaseTimes(number: UInt64) throws {
    let token = core.grant("k", leaseMs: number)
    #expect(token >= 2)
    #expect(core.extend("k", token, ms: number))
    core.advance(ms: 0)
    #expect(core.isLive("k", token))
    #expect(core.fail("k", token, ms: number))
    _ = core.leaseGet("k")
    #expect(core.pass("p", core.grant("p"), ms: number))
    _ = core.leaseGet("p")
    core.set("h", "v")
    let hold = try #require(core.hold("h", ms: number))
    #expect(core.extend("h", hold, ms: number))
    #expect(core.leaseGet("h").token == 0)
    core.set("r", "v")
    core.delete("r")
    #expect(core.keep("r", core.grant("r"), ttl: 1))
    core.delete("k")
    core.delete("p")
    core.delete("h")
    _ = core.maintain()
    core.nowMs += 40 * 86_400_000
    core.maintain()
    #expect(core.usage.leaseRecords == 0)
  }

  @Test("Refresh-ahead and holders", arguments: [Int64.min + 1, -1, 0, 1, 1 << 40, .max])
  func refresh(belowMs: Int64) {
    core.set("k", "v", ttl: 1_000)
    let seen = core.metaGet("k", holders: .max, refreshBelowMs: belowMs)
    #expect(seen.isWon == (belowMs > 1_000))
    core.set("n", "v")
    #expect(core.metaGet("n", refreshBelowMs: belowMs).outcome == .hit("v"))
    #expect(core.metaGet("absent", wants: true, holders: .max).outcome == .granted)
    #expect(core.metaGet("absent", wants: true, holders: -1).status != .hit)
  }

  @Test("Compared and explicit versions", arguments: numbers)
  func versions(number: UInt64) {
    #expect(core.fill("k", number, "v") == .notStored)
    #expect(core.set("k", "v", explicitVersion: number).version == number)
    #expect(core.get("k").version == number)
    #expect(core.cas("k", number, "w").status == .stored)
    #expect(core.cas("k", number, "x").status != .stored)
    _ = core.cas("k", number, "x", invalidate: true)
    #expect(core.delete("k", compare: number &+ 1) != .outOfMemory)
    _ = core.grant("owed")
    #expect(core.fill("owed", number, "x") == .notStored)
    #expect(core.delete("owed", compare: number) != .deleted)
  }

  @Test("incr and decr by anything", arguments: numbers, numbers)
  func arithmetic(start: UInt64, delta: UInt64) {
    core.set("k", "\(start)")
    #expect(core.incr("k", by: delta).number == start &+ delta)
    core.set("k", "\(start)")
    #expect(core.incr("k", by: delta, decrement: true).number == (start > delta ? start - delta : 0))
  }

  @Test("The longest key, the longest failure message, an empty value")
  func lengths() {
    let key = TestKey(bytes: [UInt8](repeating: 107, count: 250))
    let token = core.grant(key)
    #expect(core.fail(key, token, ms: 1_000, String(repeating: "m", count: 100_000)))
    let message = core.leaseGet(key).message
    #expect(!message.isEmpty && message.allSatisfy { $0 == "m" })
    #expect(core.set(key, "").status == .stored)
    #expect(core.get(key).outcome == .hit(""))
  }

  @Test("A clock that steps back ends nothing late and traps nowhere")
  func clockStepsBack() {
    core.set("k", "v", ttl: 1_000)
    let token = core.grant("owed", leaseMs: 1_000)
    core.nowMs -= 3_600_000
    #expect(core.get("k").outcome == .hit("v"))
    core.set("later", "v", ttl: 1_000)
    #expect(core.isLive("owed", token))
    core.maintain()
    core.nowMs += 3_600_000 + 1_002
    core.maintain()
    #expect(core.get("k").outcome == .miss)
    #expect(!core.isLive("owed", token))
  }
}
