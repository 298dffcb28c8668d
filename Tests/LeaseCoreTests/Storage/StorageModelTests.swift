import LeaseCore
import Testing

/// One key as a plain dictionary would keep it.
private struct ModelItem {
  var value: [UInt8]
  var clientFlags: UInt32
  var expiry: Expiry
  var version: UInt64
  /// The longest time to live it was ever given: the store's rounding goes by it.
  var longestTtlMs: UInt64
}

/// Runs random operations on a store and on a dictionary and compares every answer.
/// Invariant: a value read is exactly the last one written, never an expired or deleted one; without evictions nothing is lost either.
private struct ModelRun {
  let core: CoreHarness
  var random: SeededRandom
  var model: [TestKey: ModelItem] = [:]
  let keys: [TestKey]
  let largestBytes: Int
  let mayEvict: Bool
  var versions = Set<UInt64>()
  var steps = 0

  init(core: CoreHarness, seed: UInt64, keyCount: Int, largestBytes: Int, mayEvict: Bool) {
    self.core = core
    random = SeededRandom(seed: seed)
    self.largestBytes = largestBytes
    self.mayEvict = mayEvict
    var keyRandom = SeededRandom(seed: seed ^ 0xff)
    keys = (0..<keyCount).map { index in
      let length = [0, 3, 8, 20, 60, 240][keyRandom.below(6)]
      return TestKey("\(index)" + String(repeating: "k", count: length))
    }
  }

  /// How much later than asked a value may go.
  static func roundingMs(_ ttlMs: UInt64) -> UInt64 { max(1, ttlMs >> 19) }

  enum Life { case alive, dead, either }

  func life(_ item: ModelItem) -> Life {
    if core.nowMs < item.expiry.atMs { return .alive }
    if item.expiry == .immediately { return .dead }
    return core.nowMs >= item.expiry.atMs &+ Self.roundingMs(item.longestTtlMs) ? .dead : .either
  }

  mutating func randomExpiry() -> (Expiry, UInt64) {
    let ttlMs: UInt64
    switch random.below(8) {
    case 0, 1: return (.never, 0)
    case 2: ttlMs = UInt64(1 + random.below(50))
    case 3, 4: ttlMs = UInt64(1 + random.below(5_000))
    case 5: ttlMs = UInt64(1 + random.below(1_800_000))
    case 6: ttlMs = UInt64(1 + random.below(86_400_000 * 7))
    default: ttlMs = random.below(10) == 0 ? 0 : UInt64(1 + random.below(500))
    }
    return ttlMs == 0 ? (.immediately, 0) : (Expiry(atMs: core.nowMs &+ ttlMs), ttlMs)
  }

  mutating func randomValue() -> [UInt8] {
    let limit = random.below(mayEvict ? 3 : 20) == 0 ? largestBytes : min(largestBytes, 4_096)
    return patternBytes(seed: random.next(), count: random.size(upTo: limit))
  }

  /// The store must agree that the key is there (or may have evicted it). Forgets it in the model if the store did.
  mutating func found(_ key: TestKey, _ storeHasIt: Bool, _ what: String) -> Bool {
    guard let item = model[key] else {
      #expect(!storeHasIt, "step \(steps): \(what) found \(key), which is absent")
      return false
    }
    switch life(item) {
    case .alive:
      if !storeHasIt {
        #expect(mayEvict, "step \(steps): \(what) lost \(key)")
        model[key] = nil
      }
    case .dead:
      #expect(!storeHasIt, "step \(steps): \(what) found \(key), which expired \(core.nowMs &- item.expiry.atMs) ms ago")
      model[key] = nil
    case .either:
      if !storeHasIt { model[key] = nil }
    }
    return storeHasIt && model[key] != nil
  }

  mutating func wrote(_ key: TestKey, _ item: ModelItem) {
    #expect(versions.insert(item.version).inserted, "step \(steps): version \(item.version) was given before")
    model[key] = item
  }

  mutating func step() {
    steps += 1
    let key = keys[random.below(keys.count)]
    switch random.below(100) {
    case 0..<40: read(key)
    case 40..<62: set(key, .set)
    case 62..<66: set(key, .add)
    case 66..<69: set(key, .replace)
    case 69..<73: extend(key, append: random.below(2) == 0)
    case 73..<78: cas(key)
    case 78..<82: increment(key)
    case 82..<88: touch(key)
    case 88..<94: delete(key)
    case 94..<99: core.advance(ms: UInt64(random.below([5, 100, 3_000, 200_000][random.below(4)])))
    default: if random.below(20) == 0 { clear() } else { core.maintain() }
    }
  }

  mutating func read(_ key: TestKey) {
    let seen = random.below(2) == 0 ? core.get(key) : core.quickGet(key)
    guard found(key, seen.status == .hit, "get"), let item = model[key] else { return }
    #expect(seen.value == item.value, "step \(steps): wrong value of \(key), \(seen.value.count) bytes for \(item.value.count)")
    #expect(seen.clientFlags == item.clientFlags, "step \(steps)")
    #expect(seen.version == item.version, "step \(steps): the version of \(key) changed without a write")
    if item.expiry == .never {
      #expect(seen.expiry == .never, "step \(steps)")
    } else {
      #expect(seen.expiry.atMs >= item.expiry.atMs, "step \(steps): would expire early")
      #expect(seen.expiry.atMs <= item.expiry.atMs &+ Self.roundingMs(item.longestTtlMs), "step \(steps): would expire late")
    }
  }

  mutating func request() -> (StoreRequest, UInt64) {
    var request = StoreRequest()
    let (expiry, ttlMs) = randomExpiry()
    request.expiry = expiry
    request.plainWrites = .allow
    request.clientFlags = random.below(2) == 0 ? 0 : UInt32(truncatingIfNeeded: random.next())
    return (request, ttlMs)
  }

  mutating func set(_ key: TestKey, _ mode: StoreMode) {
    var (request, ttlMs) = request()
    request.mode = mode
    let value = randomValue()
    let result = core.store(key, value, request)
    switch mode {
    case .add where found(key, result.status == .notStored, "add"), .replace where !found(key, result.status == .stored, "replace"):
      #expect(result.status == .notStored, "step \(steps)")
      return
    default: break
    }
    #expect(result.status == .stored, "step \(steps): \(mode) of \(value.count) bytes: \(result.status)")
    guard result.status == .stored else { return }
    let item = ModelItem(
      value: value, clientFlags: request.clientFlags, expiry: request.expiry, version: result.version, longestTtlMs: ttlMs)
    wrote(key, item)
  }

  mutating func extend(_ key: TestKey, append: Bool) {
    let value = patternBytes(seed: random.next(), count: random.size(upTo: 300))
    if let old = model[key], old.value.count + value.count > largestBytes { return }
    var request = StoreRequest()
    request.mode = append ? .append : .prepend
    request.plainWrites = .allow
    let result = core.store(key, value, request)
    guard found(key, result.status == .stored, "append"), var item = model[key] else {
      #expect(result.status == .notStored, "step \(steps): \(result.status)")
      return
    }
    item.value = append ? item.value + value : value + item.value
    #expect(result.count == item.value.count, "step \(steps)")
    item.version = result.version
    wrote(key, item)
  }

  mutating func cas(_ key: TestKey) {
    var (request, ttlMs) = request()
    let value = randomValue()
    let isRight = random.below(3) > 0
    request.compare = (model[key]?.version ?? 99) &+ (isRight ? 0 : 1)
    let result = core.store(key, value, request)
    guard found(key, result.status != .notFound, "cas") else { return }
    #expect(result.status == (isRight ? .stored : .exists), "step \(steps)")
    guard result.status == .stored else { return }
    let item = ModelItem(
      value: value, clientFlags: request.clientFlags, expiry: request.expiry, version: result.version, longestTtlMs: ttlMs)
    wrote(key, item)
  }

  /// What memcached takes for a number: digits, with blanks before them and anything after a blank behind them.
  static func number(of value: [UInt8]) -> UInt64? {
    func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
    var digits = value.drop(while: isBlank)
    if digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
    let end = digits.firstIndex { !(48...57).contains($0) } ?? digits.endIndex
    if end < digits.endIndex, !isBlank(digits[end]) { return nil }
    return UInt64(String(decoding: digits[..<end], as: UTF8.self))
  }

  /// Makes the key a number sometimes, so that incr finds one.
  mutating func increment(_ key: TestKey) {
    let text = model[key].flatMap { $0.value.count > core.store.largestInlineBytes ? nil : Self.number(of: $0.value) }
    guard text != nil || random.below(2) == 0 else {
      var (request, ttlMs) = request()
      let value = Array(String(random.next() >> UInt64(random.below(60))).utf8)
      request.expiry = .never
      ttlMs = 0
      let result = core.store(key, value, request)
      #expect(result.status == .stored, "step \(steps)")
      let item = ModelItem(value: value, clientFlags: request.clientFlags, expiry: .never, version: result.version, longestTtlMs: ttlMs)
      wrote(key, item)
      return
    }
    let delta = random.next() >> UInt64(random.below(63))
    let isDecrement = random.below(2) == 0
    let result = core.incr(key, by: delta, decrement: isDecrement)
    guard found(key, result.status != .notFound, "incr"), var item = model[key] else { return }
    guard let number = text else {
      #expect(result.status == .notNumeric, "step \(steps): \(result.status)")
      return
    }
    let expected = isDecrement ? (number < delta ? 0 : number - delta) : number &+ delta
    #expect(result.status == .done, "step \(steps)")
    #expect(result.number == expected, "step \(steps)")
    // memcached pads with spaces when a decrement makes the number shorter; either form is the number.
    let stored = core.get(key)
    #expect(UInt64(stored.text.filter { $0 != " " }) == expected, "step \(steps): \(stored.text) is not \(expected)")
    item.value = stored.value
    item.version = result.version
    wrote(key, item)
  }

  mutating func touch(_ key: TestKey) {
    var (expiry, ttlMs) = randomExpiry()
    if expiry == .immediately { (expiry, ttlMs) = (.never, 0) }
    let touched = core.with(key) { $1.touch($0, nowMs: core.nowMs, expiry) }
    guard found(key, touched, "touch"), let item = model[key] else { return }
    model[key]?.expiry = expiry
    model[key]?.longestTtlMs = max(item.longestTtlMs, ttlMs)
  }

  mutating func delete(_ key: TestKey) {
    let deleted = core.delete(key) == .deleted
    _ = found(key, deleted, "delete")
    model[key] = nil
  }

  mutating func clear() {
    core.flush()
    model.removeAll()
  }

  /// Reads everything, then compares what the store counts and walks with the model.
  mutating func finish() {
    for key in keys { read(key) }
    core.maintain()
    for key in keys { read(key) }
    var walked: [TestKey: Int] = [:]
    core.eachPartition { partition in
      var cursor: UInt64 = 0
      var more = true
      while more {
        more = partition.walk(&cursor, limit: 10, nowMs: core.nowMs) { description in
          guard let start = description.key else { return }
          walked[TestKey(bytes: Array(UnsafeRawBufferPointer(start: start, count: description.keyCount))), default: 0] += 1
        }
      }
    }
    #expect(walked.values.allSatisfy { $0 == 1 })
    #expect(Set(walked.keys) == Set(model.keys))
    #expect(core.usage.items == UInt64(model.count))
  }
}

@Suite("Storage against a dictionary")
struct StorageModelTests {
  @Test("With ample memory nothing is lost, wrong, early or late", arguments: [UInt64(1), 2, 3, 4, 5, 6], [1, 8])
  func ample(seed: UInt64, partitions: Int) throws {
    let core = try CoreHarness(memoryBytes: 64 << 20, partitions: partitions, seed: seed) {
      $0.staleWindowMs = seed.isMultiple(of: 2) ? 0 : 10_000
    }
    var run = ModelRun(core: core, seed: seed, keyCount: 60, largestBytes: 1 << 20, mayEvict: false)
    for _ in 0..<4_000 { run.step() }
    run.finish()
    #expect(core.counters.evictions == 0)
  }

  @Test("With many small keys", arguments: [UInt64(11), 12])
  func manyKeys(seed: UInt64) throws {
    let core = try CoreHarness(memoryBytes: 64 << 20, partitions: 2, seed: seed)
    var run = ModelRun(core: core, seed: seed, keyCount: 3_000, largestBytes: 2_000, mayEvict: false)
    for _ in 0..<20_000 { run.step() }
    run.finish()
  }

  @Test("Under eviction a key may be gone, but what is read is right", arguments: [UInt64(21), 22, 23, 24], [1, 4])
  func evicting(seed: UInt64, partitions: Int) throws {
    let core = try CoreHarness(memoryBytes: 1 << 20, partitions: partitions, seed: seed) { $0.largestValueBytes = 64 << 10 }
    var run = ModelRun(core: core, seed: seed, keyCount: 1_500, largestBytes: 64 << 10, mayEvict: true)
    for _ in 0..<12_000 { run.step() }
    run.finish()
    #expect(core.counters.evictions > 0)
  }

  @Test("Without eviction a full store refuses, and loses nothing", arguments: [UInt64(31), 32])
  func refusing(seed: UInt64) throws {
    let core = try CoreHarness(memoryBytes: 2 << 20, partitions: 2, seed: seed) {
      $0.largestValueBytes = 64 << 10
      $0.evicts = false
    }
    var random = SeededRandom(seed: seed)
    var written: [TestKey: [UInt8]] = [:]
    var refusals = 0
    var request = StoreRequest()
    request.plainWrites = .allow
    for index in 0..<20_000 where refusals < 50 {
      let key = TestKey("key \(index)")
      let value = patternBytes(seed: random.next(), count: random.size(upTo: 8_192))
      switch core.store(key, value, request).status {
      case .stored: written[key] = value
      case .outOfMemory: refusals += 1
      case let other: Issue.record("unexpected \(other)")
      }
    }
    #expect(refusals == 50)
    #expect(written.values.reduce(0) { $0 + $1.count } > 1 << 20)
    for (key, value) in written { #expect(core.get(key).value == value) }
    #expect(core.counters.evictions == 0)
    #expect(core.counters.storeNoMemory > 0)
    #expect(core.usage.items == UInt64(written.count))
  }
}
