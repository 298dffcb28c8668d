import LeaseCore
import Testing

/// Flushed items and memory: none comes back, whatever is moved, and their room is used first.
@Suite("Flush by prefix and memory")
struct FlushMemoryTests {
  /// Random work under memory pressure beside a model of what was written after the last flush that concerns a key.
  @Test("No flushed item comes back through eviction, merging, touching, incr, append, large values or changed policies", arguments: 0..<4)
  func nothingComesBack(seed: UInt64) throws {
    let core = try CoreHarness(memoryBytes: 1 << 20, partitions: 1, seed: seed) { $0.largestValueBytes = 64 << 10 }
    var random = SeededRandom(seed: seed)
    let prefixes = ["a:", "a:b:", "c:"]
    var present = Set(prefixes)
    for prefix in prefixes { core.setPolicy(prefix) { $0.staleWindowMs = 3_000 } }
    /// The value that a key may have; none: it must be absent.
    var written: [TestKey: [UInt8]] = [:]
    var hits = 0
    for step in 0..<20_000 {
      let key = TestKey(["a:", "a:b:", "c:", "d:"][random.below(4)] + "\(random.below(1_000))")
      var request = StoreRequest()
      request.plainWrites = .allow
      request.expiry = core.expiry([nil, 20_000, 400_000][random.below(3)])
      switch random.below(20) {
      case 0..<7:
        let count = random.below(40) == 0 ? 40_000 : random.size(upTo: 3_400)
        let value = random.below(4) == 0 ? Array("\(step)".utf8) : patternBytes(seed: UInt64(step), count: count)
        written[key] = core.store(key, value, request).status == .stored ? value : nil
      case 7..<15:
        let seen = random.below(2) == 0 ? core.get(key) : core.quickGet(key)
        if seen.status == .hit {
          hits += 1
          #expect(seen.value == written[key], "\(key) in step \(step)")
        } else {
          written[key] = nil
        }
      case 15:
        if !core.touch(key, ttl: [nil, 20_000, 400_000][random.below(3)]) { written[key] = nil }
      case 16:
        request.mode = random.below(2) == 0 ? .append : .prepend
        let added = patternBytes(seed: UInt64(step), count: 20)
        let result = core.store(key, added, request)
        #expect(result.status != .stored || written[key] != nil, "\(key) in step \(step): nothing was there to append to")
        if result.status == .stored, let old = written[key] {
          written[key] = request.mode == .append ? old + added : added + old
        } else {
          written[key] = nil
        }
      case 17:
        let result = core.incr(key)
        #expect(result.status != .done || written[key] != nil, "\(key) in step \(step): nothing was there to be counted")
        if result.status == .notFound { written[key] = nil }
        if result.status == .done { written[key] = core.get(key).value }
      case 18:
        core.advance(ms: UInt64(random.below(50)))
        if random.below(20) == 0 { core.maintain() }
      default:
        guard random.below(15) == 0 else { continue }
        let prefix = prefixes[random.below(3)]
        if random.below(4) == 0 {
          if present.remove(prefix) != nil { core.removePolicy(prefix) } else { core.setPolicy(prefix) { $0.staleWindowMs = 3_000 } }
          if core.policyPrefixes.contains(prefix) { present.insert(prefix) }
        } else if core.flushPrefix(prefix, stale: random.below(2) == 0) == .done {
          written = written.filter { !$0.key.description.hasPrefix(prefix) }
        }
      }
    }
    #expect(
      hits > 1_000 && core.counters.evictions > 30 && core.counters.segmentsMerged > 100,
      "the work was hard enough: \(hits) hits, \(core.counters.evictions) evictions, \(core.counters.segmentsMerged) segments merged")
    #expect(core.store.memoryUsedBytes <= 1 << 20)
  }

  @Test("With -M the room of what was flushed is used again, small values and large", arguments: [400, 100_000])
  func roomIsUsedAgain(size: Int) throws {
    let core = try CoreHarness(memoryBytes: 8 << 20, partitions: 2) { $0.evicts = false }
    core.setPolicy("a")
    let first = MemoryTests.fillUntilRefused(core, prefix: "a", size: size)
    #expect(first > 20)
    for _ in 0..<3 {
      core.flushPrefix("a")
      let next = MemoryTests.fillUntilRefused(core, prefix: "a", size: size)
      #expect(next >= first * 9 / 10, "\(next) after \(first)")
    }
  }

  @Test("Full memory: what was flushed goes before what was not")
  func flushedGoesFirst() throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 1)
    core.setPolicy("a")
    let value = String(repeating: "v", count: 200)
    // A third of the memory each, mixed, so that they share segments.
    for index in 0..<4_500 {
      core.set(TestKey("a\(index)"), value)
      core.set(TestKey("b\(index)"), value)
    }
    #expect(core.counters.evictions == 0)
    core.flushPrefix("a")
    for index in 0..<6_000 { core.set(TestKey("c\(index)"), value) }
    #expect(core.counters.evictions == 0, "there was room")
    for index in 0..<4_500 { #expect(core.get(TestKey("b\(index)")).status == .hit) }
    for index in 0..<6_000 { #expect(core.get(TestKey("c\(index)")).status == .hit) }
  }

  @Test("Stale values stay through the making of room, as far as there is room, and go when their window is over")
  func staleAndRoom() throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 1) { $0.evicts = false }
    core.setPolicy("a") { $0.staleWindowMs = 1_000 }
    let first = MemoryTests.fillUntilRefused(core, prefix: "a", size: 400)
    core.flushPrefix("a", stale: true)
    #expect(MemoryTests.fillUntilRefused(core, prefix: "b", size: 400) < first / 10)
    #expect(core.metaGet("a0", knows: true).isStale)
    core.advance(ms: 1_001)
    #expect(MemoryTests.fillUntilRefused(core, prefix: "c", size: 400) > first * 8 / 10)
  }

  @Test("A flush looks at no item; upkeep removes them afterwards, a part at a time, those that are stale after their window")
  func upkeep() throws {
    let core = try CoreHarness(memoryBytes: 64 << 20) { $0.largestValueBytes = 1 << 20 }
    core.setPolicy("a") { $0.staleWindowMs = 1_000 }
    for index in 0..<20_000 {
      core.set(TestKey("a\(index)"), "v", ttl: index % 2 == 0 ? nil : 100_000)
      core.set(TestKey("b\(index)"), "v")
    }
    #expect(core.store("a large", patternBytes(seed: 1, count: 500_000), MemoryTests.plain()).status == .stored)
    core.flushPrefix("a", stale: true)
    #expect(core.usage.items == 40_001 && core.usage.largeValues == 1, "they are counted until somebody comes by")
    #expect(core.get("a1").outcome == .miss)
    #expect(core.maintain() == core.nowMs + 1_000, "nothing to do before")
    #expect(core.usage.items == 40_001 && core.metaGet("a2", knows: true).isStale)
    core.advance(ms: 1_000)
    core.maintain()
    #expect(core.usage.items == 20_000 && core.usage.largeValues == 0)
    core.flushPrefix("a")
    for index in 0..<100 { core.set(TestKey("a\(index)"), "new") }
    core.flushPrefix("a")
    core.maintain()
    #expect(core.usage.items == 20_000)
    for index in 0..<20_000 { #expect(core.quickGet(TestKey("b\(index)")).outcome == .hit("v")) }
  }
}
