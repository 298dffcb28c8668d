import LeaseCore
import Testing

/// Tokens and versions are one kind of number, and none is ever given twice.
@Suite("Tokens")
struct TokenTests {
  let core: CoreHarness
  init() throws { core = try CoreHarness() }

  @Test(
    "In range, never mcrouter's upper half, never twice, never a version, whatever the seed",
    arguments: [UInt64(0), 1, 42, 0x7ace_b00c, .max])
  func unique(seed: UInt64) throws {
    let core = try CoreHarness(partitions: 8, seed: seed)
    var numbers = Set<UInt64>()
    for index in 0..<4_000 {
      let key = TestKey("k\(index % 400)")
      let token = core.grant(key)
      #expect(token >= 2 && token < 1 << 63)
      #expect(token >> 32 != 0x7ace_b00c)
      #expect(numbers.insert(token).inserted)
      #expect(core.fill(key, token, "v\(index)") == .stored)
      let version = core.get(key).version
      #expect(version >= 2 && version < 1 << 63)
      #expect(version >> 32 != 0x7ace_b00c)
      #expect(numbers.insert(version).inserted)
      core.delete(key)
    }
  }

  @Test("Every write gives a version of its own, in every partition")
  func uniqueVersions() throws {
    let core = try CoreHarness(memoryBytes: 16 << 20, partitions: 8)
    var numbers = Set<UInt64>()
    for index in 0..<5_000 {
      let result = core.set(TestKey("k\(index % 1_000)"), "value \(index)")
      #expect(result.status == .stored)
      #expect(numbers.insert(result.version).inserted)
    }
  }

  @Test("The version that a write answers is the one that a read shows")
  func versionOfWrite() {
    let result = core.set("k", "v")
    #expect(result.version == core.get("k").version)
    let appended = core.set("k", "w", mode: .append)
    #expect(appended.version == core.get("k").version)
    #expect(appended.version != result.version)
    #expect(appended.count == 2)
  }

  @Test("incr gives a new version each time, the one that a read shows")
  func versionOfIncrement() {
    core.set("k", "1")
    var seen = Set([core.get("k").version])
    for number in 2...20 {
      let result = core.incr("k")
      #expect(result.status == .done)
      #expect(result.number == UInt64(number))
      #expect(result.version == core.get("k").version)
      #expect(seen.insert(result.version).inserted)
    }
  }

  @Test("Valid for one key only")
  func oneKey() throws {
    let core = try CoreHarness(partitions: 1)
    let mine = core.grant("mine")
    for index in 0..<200 {
      let key = TestKey("other\(index)")
      _ = core.leaseGet(key)
      #expect(core.fill(key, mine, "foreign") == .notStored)
      #expect(core.cas(key, mine, "foreign").status == .exists)
      #expect(!core.release(key, mine))
      #expect(core.get(key).outcome == .miss)
    }
    #expect(core.fill("mine", mine, "v") == .stored)
  }

  @Test("Starts at a place that depends on the seed")
  func unpredictableStart() throws {
    var firstTokens = Set<UInt64>()
    for seed in UInt64(1)...64 {
      let core = try CoreHarness(memoryBytes: 1 << 20, partitions: 1, seed: seed) { $0.largestValueBytes = 16 << 10 }
      firstTokens.insert(core.grant("k") >> 20)
    }
    #expect(firstTokens.count == 64)
  }

  @Test("Refused after a restart: by a store with another seed, in the same state")
  func refusedAfterRestart() throws {
    let token = core.grant("k")
    let version = core.set("fresh", "v").version
    let restarted = try CoreHarness(seed: 43)
    #expect(restarted.fill("k", token, "late") == .notStored)
    _ = restarted.leaseGet("k")
    #expect(restarted.fill("k", token, "late") == .notStored)
    restarted.set("fresh", "v")
    #expect(restarted.cas("fresh", version, "late").status == .exists)
  }

  @Test("Refused after a flush: no number is given again")
  func refusedAfterFlush() {
    let token = core.grant("k")
    let version = core.set("fresh", "v").version
    core.flush()
    #expect(core.fill("k", token, "late") == .notStored)
    #expect(core.grant("k") != token)
    #expect(core.fill("k", token, "late") == .notStored)
    let later = core.set("fresh", "v").version
    #expect(later != version)
    #expect(core.cas("fresh", version, "late").status == .exists)
  }

  @Test("E sets a value's version, and a CAS on it works")
  func explicitVersion() {
    let result = core.set("k", "v", explicitVersion: 777)
    #expect(result.version == 777)
    #expect(core.get("k").version == 777)
    #expect(core.cas("k", 776, "x").status == .exists)
    #expect(core.cas("k", 777, "w").status == .stored)
    #expect(core.get("k").version != 777)
  }

  @Test("A version given by E never becomes a lease: its number on an owed key is refused")
  func explicitVersionIsNoToken() {
    core.set("k", "v", explicitVersion: 777)
    core.delete("k")
    let token = core.grant("k")
    #expect(token != 777)
    #expect(core.fill("k", 777, "x") == .notStored)
    #expect(core.fill("k", token, "w") == .stored)
  }

  @Test("A value's version survives reads, touch and its neighbours' writes")
  func versionIsStable() {
    core.set("k", "v", ttl: 10_000)
    let version = core.get("k").version
    #expect(core.touch("k", ttl: 60_000))
    for index in 0..<500 { core.set(TestKey("n\(index)"), "x") }
    _ = core.leaseGet("k")
    #expect(core.get("k").version == version)
    #expect(core.cas("k", version, "w").status == .stored)
  }
}
