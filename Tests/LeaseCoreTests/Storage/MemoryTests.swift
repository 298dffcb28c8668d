import LeaseCore
import Testing

/// The memory promise: within the limit always, no write that fits refused, and everything that ends gives its memory back.
@Suite("Memory")
struct MemoryTests {
  static func plain(_ expiry: Expiry = .never) -> StoreRequest {
    var request = StoreRequest()
    request.plainWrites = .allow
    request.expiry = expiry
    return request
  }

  /// Writes inline values of about `size` bytes until the store refuses. Returns how many it took.
  static func fillUntilRefused(_ core: CoreHarness, prefix: String, size: Int, expiry: Expiry = .never) -> Int {
    let value = patternBytes(seed: 9, count: size)
    for index in 0..<1_000_000 where core.store(TestKey("\(prefix)\(index)"), value, plain(expiry)).status != .stored { return index }
    return 1_000_000
  }

  struct Shape: Sendable, CustomTestStringConvertible {
    var memoryBytes: Int
    var partitions: Int
    var largestBytes: Int
    var testDescription: String { "\(memoryBytes >> 20) MB, \(partitions) partitions, values to \(largestBytes >> 10) KB" }
  }

  @Test(
    "Filling 20 times the memory with mixed sizes and times: within the limit, no write refused, the newest readable",
    arguments: [
      Shape(memoryBytes: 1 << 20, partitions: 1, largestBytes: 64 << 10),
      Shape(memoryBytes: 1 << 20, partitions: 8, largestBytes: 128 << 10),
      Shape(memoryBytes: 2 << 20, partitions: 2, largestBytes: 1 << 20),
      Shape(memoryBytes: 5 << 20, partitions: 8, largestBytes: 1 << 20),
      Shape(memoryBytes: 16 << 20, partitions: 8, largestBytes: 1 << 20),
    ])
  func fill(shape: Shape) throws {
    let core = try CoreHarness(memoryBytes: shape.memoryBytes, partitions: shape.partitions) { $0.largestValueBytes = shape.largestBytes }
    var random = SeededRandom(seed: UInt64(shape.memoryBytes + shape.partitions))
    var writtenBytes = 0
    var index = 0
    var refused = 0
    while writtenBytes < 20 * shape.memoryBytes {
      let limit = index % 16 == 0 ? shape.largestBytes : 2_048
      let value = patternBytes(seed: UInt64(index), count: index % 500 == 0 ? shape.largestBytes : random.size(upTo: limit))
      let ttlMs: UInt64? = [nil, 1_000, 60_000, 86_400_000][random.below(4)]
      let key = TestKey("key \(index)")
      let status = core.store(key, value, Self.plain(core.expiry(ttlMs))).status
      if status != .stored { refused += 1 }
      #expect(status == .stored, "write \(index) of \(value.count) bytes: \(status)")
      if refused > 5 { return }
      #expect(core.get(key).value == value)
      writtenBytes += value.count + 30
      index += 1
      if index % 50 == 0 {
        core.advance(ms: UInt64(random.below(200)))
        #expect(core.store.memoryUsedBytes <= shape.memoryBytes, "after \(index) writes")
        #expect(core.usage.liveBytes + core.usage.indexBytes + core.usage.largeBytes <= UInt64(shape.memoryBytes), "after \(index) writes")
      }
      if index % 1_000 == 0 { core.maintain() }
    }
    #expect(core.counters.evictions > 0)
  }

  @Test("Values of the largest size alone, again and again", arguments: [1, 8])
  func largestOnly(partitions: Int) throws {
    let core = try CoreHarness(memoryBytes: 8 << 20, partitions: partitions) { $0.largestValueBytes = 1 << 20 }
    for index in 0..<100 {
      let value = patternBytes(seed: UInt64(index), count: 1 << 20)
      #expect(core.store(TestKey("k\(index)"), value, Self.plain()).status == .stored)
      #expect(core.get(TestKey("k\(index)")).value == value)
      #expect(core.usage.largeBytes <= 8 << 20)
    }
    #expect(core.usage.largeValues >= 4)
  }

  @Test("What has expired comes back through upkeep alone", arguments: [1, 8])
  func expiredComesBack(partitions: Int) throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: partitions) {
      $0.evicts = false
      $0.largestValueBytes = 256 << 10
    }
    let first = Self.fillUntilRefused(core, prefix: "a", size: 400, expiry: core.expiry(30_000))
    #expect(first > 3_000)
    core.advance(ms: 30_600)
    core.maintain()
    #expect(core.usage.items == 0)
    #expect(core.usage.liveBytes == 0)
    let second = Self.fillUntilRefused(core, prefix: "b", size: 400, expiry: core.expiry(30_000))
    #expect(second >= first * 9 / 10, "\(second) after \(first)")
  }

  @Test("What has expired comes back for large values, too")
  func expiredLargeComesBack() throws {
    let core = try CoreHarness(memoryBytes: 8 << 20) { $0.evicts = false }
    let first = Self.fillUntilRefused(core, prefix: "a", size: 500_000, expiry: core.expiry(30_000))
    #expect(first >= 8)
    core.advance(ms: 30_600)
    core.maintain()
    #expect(core.usage.largeValues == 0)
    #expect(core.usage.largeBytes == 0)
    #expect(Self.fillUntilRefused(core, prefix: "b", size: 500_000) >= first)
  }

  @Test("With values past their grace the memory comes back, not before")
  func graceComesBack() throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 1)
    for index in 0..<500 { core.set(TestKey("k\(index)"), "v", ttl: 1_000, grace: 20_000) }
    core.advance(ms: 10_000)
    core.maintain()
    for index in 0..<500 { #expect(core.leaseGet(TestKey("k\(index)"), leaseMs: 100).outcome == .staleWon("v")) }
    core.advance(ms: 12_000)
    core.maintain()
    #expect(core.usage.items == 0)
    #expect(core.usage.liveBytes == 0)
  }

  @Test("Deleting everything gives the memory back", arguments: [UInt64(0), 5_000])
  func deleteEverything(staleWindowMs: UInt64) throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 2) {
      $0.evicts = false
      $0.staleWindowMs = staleWindowMs
    }
    let first = Self.fillUntilRefused(core, prefix: "a", size: 400)
    for index in 0..<first { core.delete(TestKey("a\(index)")) }
    #expect(core.usage.items == 0)
    core.advance(ms: staleWindowMs + 1_000)
    core.maintain()
    #expect(core.usage.leaseRecords == 0)
    let second = Self.fillUntilRefused(core, prefix: "b", size: 400)
    #expect(second >= first * 9 / 10, "\(second) after \(first)")
  }

  @Test("A flush gives the memory back")
  func flushGivesBack() throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 2) { $0.evicts = false }
    let first = Self.fillUntilRefused(core, prefix: "a", size: 400)
    core.flush()
    core.maintain()
    #expect(core.usage.items == 0)
    #expect(Self.fillUntilRefused(core, prefix: "b", size: 400) >= first * 9 / 10)
  }

  @Test("Re-setting one key for long loses no space and no neighbour", arguments: [UInt64?.none, 60_000])
  func resetOneKey(ttlMs: UInt64?) throws {
    let core = try CoreHarness(memoryBytes: 2 << 20, partitions: 1) {
      $0.evicts = false
      $0.largestValueBytes = 64 << 10
    }
    for index in 0..<1_500 { #expect(core.set(TestKey("n\(index)"), String(repeating: "n", count: 300)).status == .stored) }
    let value = String(repeating: "v", count: 500)
    for round in 0..<20_000 {
      let status = core.set("k", value, ttl: ttlMs).status
      #expect(status == .stored, "round \(round)")
      if status != .stored { break }
      core.advance(ms: 1)
    }
    #expect(core.get("k").text == value)
    for index in 0..<1_500 { #expect(core.get(TestKey("n\(index)")).value.count == 300) }
    #expect(core.usage.items == 1_501)
  }

  @Test("Re-setting, touching and appending a working set for long loses no space")
  func rewriteWorkingSet() throws {
    let core = try CoreHarness(memoryBytes: 2 << 20, partitions: 1) {
      $0.evicts = false
      $0.largestValueBytes = 64 << 10
    }
    var random = SeededRandom(seed: 77)
    var sizes: [Int: Int] = [:]
    for round in 0..<20_000 {
      let index = random.below(300)
      let key = TestKey("k\(index)")
      let size = random.size(upTo: 2_048)
      let ok: Bool
      switch random.below(4) {
      case 0 where sizes[index] != nil && (sizes[index] ?? 0) < 2_000:
        ok = core.set(key, "more", mode: .append).status == .stored
        sizes[index, default: 0] += 4
      case 1 where sizes[index] != nil: ok = core.touch(key, ttl: UInt64(3_000_000 + random.below(1_000_000)))
      default:
        ok = core.store(key, patternBytes(seed: 1, count: size), Self.plain(core.expiry(3_600_000))).status == .stored
        sizes[index] = size
      }
      #expect(ok, "round \(round)")
      if !ok { break }
      core.advance(ms: 1)
    }
    for (index, size) in sizes { #expect(core.get(TestKey("k\(index)")).value.count == size) }
  }

  @Test("A touch in a full store either holds or says no: never does an item end earlier than was promised")
  func touchWhenFull() throws {
    let core = try CoreHarness(memoryBytes: 1 << 20, partitions: 1) {
      $0.evicts = false
      $0.largestValueBytes = 16 << 10
    }
    let count = Self.fillUntilRefused(core, prefix: "k", size: 300, expiry: core.expiry(60_000))
    var promised: [Int] = []
    for index in 0..<count where core.touch(TestKey("k\(index)"), ttl: 3_600_000) { promised.append(index) }
    core.advance(ms: 50_000)
    core.maintain()
    for index in 0..<count { #expect(core.get(TestKey("k\(index)")).status == .hit) }
    core.advance(ms: 3_540_000)
    core.maintain()
    for index in promised { #expect(core.get(TestKey("k\(index)")).status == .hit) }
    #expect(core.counters.touchHits == UInt64(promised.count))
  }

  @Test("After the sizes change, as many of the newest live as in a fresh store")
  func sizesChange() throws {
    func newestLiving(_ core: CoreHarness) -> Int {
      let value = patternBytes(seed: 3, count: 50)
      for index in 0..<30_000 { #expect(core.store(TestKey("new\(index)"), value, Self.plain()).status == .stored) }
      var living = 0
      while living < 30_000 && core.get(TestKey("new\(29_999 - living)")).status == .hit { living += 1 }
      return living
    }
    let shape: (inout StoreConfiguration) -> Void = { $0.largestValueBytes = 64 << 10 }
    let fresh = newestLiving(try CoreHarness(memoryBytes: 1 << 20, partitions: 1, shape))
    let used = try CoreHarness(memoryBytes: 1 << 20, partitions: 1, shape)
    for index in 0..<20_000 { used.set(TestKey("a\(index)"), String(repeating: "a", count: 100)) }
    for index in 0..<4_000 { used.set(TestKey("b\(index)"), String(repeating: "b", count: 1_000)) }
    let after = newestLiving(used)
    #expect(after >= fresh * 9 / 10, "\(after) of \(fresh)")
  }

  @Test("After the times to live change, as many of the newest live as in a fresh store")
  func lifetimesChange() throws {
    func newestLiving(_ core: CoreHarness) -> Int {
      let value = patternBytes(seed: 3, count: 100)
      for index in 0..<20_000 { #expect(core.store(TestKey("new\(index)"), value, Self.plain()).status == .stored) }
      var living = 0
      while living < 20_000 && core.get(TestKey("new\(19_999 - living)")).status == .hit { living += 1 }
      return living
    }
    let shape: (inout StoreConfiguration) -> Void = { $0.largestValueBytes = 64 << 10 }
    let fresh = newestLiving(try CoreHarness(memoryBytes: 1 << 20, partitions: 1, shape))
    let used = try CoreHarness(memoryBytes: 1 << 20, partitions: 1, shape)
    for index in 0..<20_000 { used.set(TestKey("a\(index)"), String(repeating: "a", count: 100), ttl: 3_600_000) }
    for index in 0..<20_000 { used.set(TestKey("b\(index)"), String(repeating: "b", count: 100), ttl: 60_000) }
    let after = newestLiving(used)
    #expect(after >= fresh * 19 / 20, "\(after) of \(fresh)")
  }

  /// One key in ten is read again and again while everybody else is written once: those stay, however much passes by.
  @Test("What is read outlives a scan of ten times the memory")
  func scanResistance() throws {
    let core = try CoreHarness(memoryBytes: 1 << 20, partitions: 1) { $0.largestValueBytes = 64 << 10 }
    let value = String(repeating: "v", count: 100)
    for index in 0..<1_000 { core.set(TestKey("hot\(index)"), value) }
    for index in 0..<80_000 {
      core.set(TestKey("cold\(index)"), value)
      let hot = TestKey("hot\(index % 1_000)")
      if core.get(hot).status != .hit { core.set(hot, value) }
    }
    let living = (0..<1_000).filter { core.get(TestKey("hot\($0)")).status == .hit }.count
    #expect(living >= 990, "\(living) of 1,000")
  }

  @Test("Lowering the memory limit evicts down to it; raising it makes room")
  func memoryLimit() throws {
    let core = try CoreHarness(memoryBytes: 16 << 20, partitions: 2) { $0.largestValueBytes = 256 << 10 }
    for index in 0..<20_000 { core.set(TestKey("k\(index)"), String(repeating: "x", count: 600)) }
    #expect(core.store.setMemoryLimit(bytes: 8 << 20))
    for index in 0..<2_000 { #expect(core.set(TestKey("l\(index)"), String(repeating: "x", count: 600)).status == .stored) }
    #expect(core.store.memoryUsedBytes <= 8 << 20)
    #expect(core.store.setMemoryLimit(bytes: 32 << 20))
    for index in 0..<20_000 { #expect(core.set(TestKey("m\(index)"), String(repeating: "x", count: 600)).status == .stored) }
    #expect(core.get("m0").status == .hit)
    #expect(!core.store.setMemoryLimit(bytes: 1_000))
  }
}
