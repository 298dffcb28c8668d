import LeaseCore
import Testing

/// Single properties of stored items: expiry, versions, the index, walks, large values.
@Suite("Items")
struct ItemTests {
  // MARK: Expiry
  @Test(
    "Never early, gone within the rounding, whatever the time to live and whenever it was written",
    arguments: [UInt64(1), 2, 7, 100, 999, 1_000, 5_000, 59_999, 600_000, 1_800_000, 3_600_000, 86_400_000, 604_800_000, 2_592_000_000])
  func exactExpiry(ttlMs: UInt64) throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 1)
    let rounding = max(1, ttlMs >> 19)
    var written: [(TestKey, UInt64)] = []
    for index in 0..<200 {
      let key = TestKey("k\(index)")
      core.set(key, "v", ttl: ttlMs)
      written.append((key, core.nowMs + ttlMs))
      core.advance(ms: index.isMultiple(of: 3) ? 1 : 0)
    }
    for (key, atMs) in written where atMs > core.nowMs {
      #expect(core.get(key).status == .hit)
      #expect(core.quickGet(key).status == .hit)
    }
    for (key, atMs) in written {
      core.nowMs = max(core.nowMs, atMs - 1)
      if core.nowMs < atMs { #expect(core.get(key).status == .hit, "early") }
      core.nowMs = max(core.nowMs, atMs + rounding)
      #expect(core.get(key).status == .miss, "late")
      #expect(core.quickGet(key).status == .miss, "late")
    }
  }

  @Test("Upkeep removes nothing early", arguments: [UInt64(5), 1_000, 45_000, 4_000_000, 700_000_000])
  func upkeepNotEarly(ttlMs: UInt64) throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 1)
    for index in 0..<300 {
      core.set(TestKey("k\(index)"), "v", ttl: ttlMs + UInt64(index))
      core.maintain()
    }
    let startMs = core.nowMs
    for index in stride(from: 0, to: 300, by: 7) {
      core.nowMs = startMs + ttlMs + UInt64(index) - 1
      core.maintain()
      for later in index..<300 { #expect(core.get(TestKey("k\(later)")).status == .hit, "\(later) at \(index)") }
    }
    core.nowMs = startMs + ttlMs + 300 + max(1, ttlMs >> 19)
    core.maintain()
    #expect(core.usage.items == 0)
  }

  @Test("Upkeep says when it is due, and then does it")
  func upkeepIsDue() throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 1)
    #expect(core.maintain() == .max)
    core.set("k", "v", ttl: 5_000)
    let dueMs = core.maintain()
    #expect(dueMs > core.nowMs)
    #expect(dueMs < .max)
    core.nowMs += 5_001
    var rounds = 0
    while core.usage.items > 0 && rounds < 10 {
      core.nowMs = max(core.nowMs, min(core.maintain(), core.nowMs + 3_600_000))
      rounds += 1
    }
    #expect(core.usage.items == 0)
  }

  @Test("touch lengthens and shortens, from any to any", arguments: [UInt64(50), 5_000, 4_000_000], [UInt64(20), 9_000, 5_000_000])
  func touch(fromMs: UInt64, toMs: UInt64) throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 1)
    core.set("k", "value", ttl: fromMs, clientFlags: 3)
    core.advance(ms: 10)
    #expect(core.touch("k", ttl: toMs))
    core.advance(ms: toMs - 1)
    core.maintain()
    #expect(core.get("k").outcome == .hit("value"))
    #expect(core.get("k").clientFlags == 3)
    core.advance(ms: 1 + max(1, max(fromMs, toMs) >> 19))
    #expect(core.get("k").outcome == .miss)
  }

  @Test("touch to and from never")
  func touchNever() throws {
    let core = try CoreHarness()
    core.set("k", "v", ttl: 1_000)
    #expect(core.touch("k", ttl: nil))
    core.advance(ms: 1 << 40)
    core.maintain()
    #expect(core.get("k").outcome == .hit("v"))
    #expect(core.get("k").expiry == .never)
    #expect(core.touch("k", ttl: 1_000))
    core.advance(ms: 1_002)
    #expect(core.get("k").outcome == .miss)
  }

  @Test("A value that is expired on arrival is stored and never seen, and replaces the old one")
  func expiredOnArrival() throws {
    let core = try CoreHarness()
    core.set("k", "old")
    var request = StoreRequest()
    request.plainWrites = .allow
    request.expiry = .immediately
    #expect(core.store("k", [1, 2, 3], request).status == .stored)
    #expect(core.get("k").outcome == .miss)
    #expect(core.quickGet("k").outcome == .miss)
  }

  @Test("Random long times to live share segments", arguments: [UInt64(1), 6, 30, 300])
  func jitteredTimes(days: UInt64) throws {
    let core = try CoreHarness(memoryBytes: 8 << 20, partitions: 1)
    var random = SeededRandom(seed: days)
    for index in 0..<3_000 {
      core.set(TestKey("k\(index)"), "value", ttl: days * 86_400_000 + random.next() % (days * 86_400_000))
      core.advance(ms: 1_000)
    }
    #expect(core.usage.segments <= 20)
    #expect(core.counters.evictions == 0)
    for index in 0..<3_000 { #expect(core.get(TestKey("k\(index)")).status == .hit) }
  }

  // MARK: Versions under eviction
  @Test("Eviction moves what is read often, and its version and value stay")
  func versionsSurviveMoves() throws {
    let core = try CoreHarness(memoryBytes: 1 << 20, partitions: 1) { $0.largestValueBytes = 64 << 10 }
    let hot = (0..<50).map { TestKey("hot\($0)") }
    var versions: [TestKey: UInt64] = [:]
    for (index, key) in hot.enumerated() { versions[key] = core.set(key, "hot value \(index)").version }
    var allVersions = Set(versions.values)
    let filler = String(repeating: "f", count: 200)
    for index in 0..<20_000 {
      let result = core.set(TestKey("filler\(index)"), filler)
      #expect(allVersions.insert(result.version).inserted)
      if index % 5 == 0 { for key in hot { _ = core.get(key) } }
    }
    #expect(core.counters.evictions > 0)
    var survivors = 0
    for (index, key) in hot.enumerated() {
      let seen = core.get(key)
      guard seen.status == .hit else { continue }
      survivors += 1
      #expect(seen.text == "hot value \(index)")
      #expect(seen.version == versions[key])
      #expect(core.cas(key, seen.version, "changed").status == .stored)
    }
    #expect(survivors >= 40)
  }

  // MARK: Index
  @Test("All items stay findable while the index grows", arguments: [1, 8])
  func indexGrowth(partitions: Int) throws {
    let core = try CoreHarness(memoryBytes: 64 << 20, partitions: partitions)
    let count = 60_000
    let firstBuckets = core.usage.indexBuckets
    var early = 0
    for index in 0..<count {
      #expect(core.set(TestKey("key-\(index)"), "\(index)").status == .stored)
      if index % 64 == 0 {
        let earlier = index / 2
        if core.quickGet(TestKey("key-\(earlier)")).text != "\(earlier)" { early += 1 }
      }
      if index % 5_000 == 0 { core.maintain() }
    }
    #expect(early == 0)
    var wrong = 0
    for index in 0..<count where core.quickGet(TestKey("key-\(index)")).text != "\(index)" { wrong += 1 }
    #expect(wrong == 0)
    #expect(core.usage.items == UInt64(count))
    #expect(core.usage.indexBuckets > firstBuckets)
    #expect(core.counters.evictions == 0)
    for index in stride(from: 0, to: count, by: 2) { core.delete(TestKey("key-\(index)")) }
    for index in 0..<count where (core.quickGet(TestKey("key-\(index)")).status == .hit) == index.isMultiple(of: 2) { wrong += 1 }
    #expect(wrong == 0)
  }

  @Test("Keys of every length, and keys that differ in one byte only")
  func keys() throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 1)
    var keys: [TestKey] = []
    for length in 1...250 {
      var bytes = [UInt8](repeating: UInt8(ascii: "a"), count: length)
      keys.append(TestKey(bytes: bytes))
      bytes[length - 1] = 255
      keys.append(TestKey(bytes: bytes))
      if length > 1 {
        bytes[0] = 200
        keys.append(TestKey(bytes: bytes))
      }
    }
    for (index, key) in keys.enumerated() { #expect(core.set(key, "\(index)").status == .stored) }
    for (index, key) in keys.enumerated() { #expect(core.get(key).text == "\(index)") }
    for (index, key) in keys.enumerated() { #expect(core.quickGet(key).text == "\(index)") }
  }

  @Test("Values of every size around the inline limit, and empty ones")
  func sizes() throws {
    let core = try CoreHarness(memoryBytes: 32 << 20, partitions: 2)
    let inlineLimit = core.store.largestInlineBytes
    #expect(inlineLimit > 0)
    var sizes = Array(0...70) + [127, 128, 129, 255, 256, 257, 1_023, 1_024, 4_095, 4_096, 65_535, 65_536, 65_537]
    sizes += [inlineLimit - 1, inlineLimit, inlineLimit + 1, inlineLimit + 100, (1 << 20) - 1, 1 << 20]
    var request = StoreRequest()
    request.plainWrites = .allow
    for size in sizes {
      #expect(core.store(TestKey("k\(size)"), patternBytes(seed: UInt64(size), count: size), request).status == .stored, "\(size)")
    }
    for size in sizes { #expect(core.get(TestKey("k\(size)")).value == patternBytes(seed: UInt64(size), count: size), "\(size)") }
  }

  // MARK: Large values
  @Test("A retained large value stays readable after it was overwritten, deleted, flushed, until the last release")
  func retainedLarge() throws {
    let core = try CoreHarness(memoryBytes: 16 << 20, partitions: 1)
    let size = max(core.store.largestInlineBytes + 1, 300_000)
    var kept: [(LargeValue, [UInt8])] = []
    var request = StoreRequest()
    request.plainWrites = .allow
    for index in 0..<4 {
      let value = patternBytes(seed: UInt64(index), count: size)
      #expect(core.store("k", value, request).status == .stored)
      core.with("k") { key, partition in
        var item = ItemView()
        #expect(partition.readFresh(key, nowMs: core.nowMs, into: &item))
        guard let large = item.large else {
          Issue.record("not in an allocation of its own")
          return
        }
        large.retain()
        kept.append((large, value))
      }
    }
    core.delete("k")
    core.flush()
    core.maintain()
    for (large, value) in kept {
      #expect(large.count == size)
      #expect(Array(UnsafeRawBufferPointer(start: UnsafeRawPointer(large.bytes), count: large.count)) == value)
      large.release()
    }
    core.store.drainDropped()
    #expect(core.usage.largeBytes == 0)
    #expect(core.usage.largeValues == 0)
  }

  @Test("A reserved large value that is refused stays its owner's and gives its memory back")
  func refusedLarge() throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 1)
    let size = max(core.store.largestInlineBytes + 1, 300_000)
    for _ in 0..<100 {
      let large = try #require(core.store.reserveLarge(count: size))
      large.bytes.initializeMemory(as: UInt8.self, repeating: 7, count: size)
      var request = StoreRequest()
      request.plainWrites = .reject
      request.large = large
      request.count = size
      #expect(core.with("k") { $1.store($0, nowMs: core.nowMs, request) }.status == .tokenRequired)
      large.release()
      core.store.drainDropped()
    }
    #expect(core.usage.largeBytes == 0)
    #expect(core.get("k").outcome == .miss)
  }

  @Test("More than the memory, or than the largest value, cannot be reserved")
  func reserveTooMuch() throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 1) { $0.largestValueBytes = 1 << 20 }
    #expect(core.store.reserveLarge(count: 64 << 20) == nil)
    core.set("k", "v")
    #expect(core.get("k").outcome == .hit("v"))
  }

  @Test("Appending past the inline limit makes a large value, in order")
  func appendIntoLarge() throws {
    let core = try CoreHarness(memoryBytes: 32 << 20, partitions: 1)
    var expected: [UInt8] = []
    var request = StoreRequest()
    request.plainWrites = .allow
    let piece = max(1, core.store.largestInlineBytes / 3)
    for index in 0..<7 where expected.count + piece <= 1 << 20 {
      let part = patternBytes(seed: UInt64(index), count: piece)
      request.mode = index == 0 ? .set : index.isMultiple(of: 2) ? .append : .prepend
      let result = core.store("k", part, request)
      #expect(result.status == .stored)
      expected = request.mode == .prepend ? part + expected : expected + part
      #expect(result.count == expected.count)
      #expect(core.get("k").value == expected)
    }
  }

  // MARK: Describing and walking
  @Test("describe and walk tell the truth and count as no access")
  func describe() throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 1)
    core.set("key", "value", ttl: 60_000, clientFlags: 4)
    core.advance(ms: 3_000)
    core.with("key") { key, partition in
      var description = ItemDescription()
      #expect(partition.describe(key, nowMs: core.nowMs, into: &description))
      #expect(description.item.count == 5)
      #expect(description.item.clientFlags == 4)
      #expect(!description.item.wasFetched)
      #expect(description.sizeBytes >= 8)
      #expect(description.item.expiry.atMs >= core.nowMs + 57_000)
    }
    #expect(!core.metaGet("key").wasFetched)
    #expect(core.counters.cmdGet == 1)
    core.with("absent") { key, partition in
      var description = ItemDescription()
      #expect(!partition.describe(key, nowMs: core.nowMs, into: &description))
    }
  }

  @Test("A walk in a quiet store sees every item once, whatever the batch", arguments: [1, 7, 1_000, 100_000])
  func walk(limit: Int) throws {
    let core = try CoreHarness(memoryBytes: 8 << 20, partitions: 4)
    for index in 0..<5_000 { core.set(TestKey("k\(index)"), "v", ttl: index.isMultiple(of: 2) ? 60_000 : nil) }
    for index in stride(from: 0, to: 5_000, by: 10) { core.delete(TestKey("k\(index)")) }
    for index in stride(from: 1, to: 5_000, by: 10) { core.set(TestKey("k\(index)"), "w") }
    var seen: [TestKey: Int] = [:]
    core.eachPartition { partition in
      var cursor: UInt64 = 0
      var more = true
      var rounds = 0
      while more && rounds < 200_000 {
        rounds += 1
        more = partition.walk(&cursor, limit: limit, nowMs: core.nowMs) { description in
          guard let start = description.key else { return }
          seen[TestKey(bytes: Array(UnsafeRawBufferPointer(start: start, count: description.keyCount))), default: 0] += 1
        }
      }
    }
    #expect(seen.count == 4_500)
    #expect(seen.values.allSatisfy { $0 == 1 })
  }
}
