import LeaseCore
import Testing

/// One key as the specification's table has it. Times are exact to the millisecond; a value may end one later.
private struct ModelKey {
  struct Value {
    var text: String
    var untilMs: Milliseconds
    var graceUntilMs: Milliseconds
  }
  var fresh: Value?
  /// What a lease reader may be shown as stale. Within `certainUntilMs` it must be shown.
  var stale: (text: String, certainUntilMs: Milliseconds, possibleUntilMs: Milliseconds)?
  var live: [UInt64: Milliseconds] = [:]
  var writer: UInt64?
  var voided: [UInt64: Milliseconds] = [:]
  var failedUntilMs: Milliseconds = 0
  var passedUntilMs: Milliseconds = 0
  var newestLateToken: UInt64 = 0
  /// When the stale window of the delete that voided a token ends.
  var windowEndMs: [UInt64: Milliseconds] = [:]

  mutating func settle(nowMs: Milliseconds) {
    live = live.filter { $0.value > nowMs }
    voided = voided.filter { $0.value > nowMs }
    if let token = writer, live[token] == nil { writer = nil }
    if let value = fresh, value.untilMs <= nowMs {
      fresh = nil
      stale = value.graceUntilMs > nowMs ? (value.text, value.graceUntilMs, value.graceUntilMs &+ 2) : nil
    }
    if let old = stale, old.possibleUntilMs <= nowMs { stale = nil }
  }

  mutating func wrote(_ value: Value) {
    self = ModelKey()
    fresh = value
  }
}

/// Random clients against a few keys, each answer compared with the model.
private struct Simulation {
  let core: CoreHarness
  var random: SeededRandom
  let holders: Int
  let windowMs: UInt64
  /// Others fill the memory meanwhile: any value may be gone, but none may be wrong.
  let mayEvict: Bool
  var keys: [ModelKey]
  var everGiven = Set<UInt64>()
  var dead: [UInt64] = [2, 99]
  var steps = 0
  var serial = 0

  init(core: CoreHarness, seed: UInt64, keyCount: Int, mayEvict: Bool = false) {
    self.core = core
    random = SeededRandom(seed: seed)
    self.mayEvict = mayEvict
    holders = core.store.configuration.holders
    windowMs = core.store.configuration.staleWindowMs
    keys = Array(repeating: ModelKey(), count: keyCount)
  }

  var nowMs: Milliseconds { core.nowMs }
  func name(_ index: Int) -> TestKey { TestKey("key\(index)") }

  mutating func nextValue() -> ModelKey.Value {
    serial += 1
    let ttlMs = UInt64([100, 1_000, 50_000][random.below(3)])
    let graceMs = UInt64([0, 0, 2_000][random.below(3)])
    let padding = mayEvict ? String(repeating: "x", count: [0, 90, 3_000, 9_000][random.below(4)]) : ""
    return ModelKey.Value(text: "value \(serial)\(padding)", untilMs: nowMs + ttlMs, graceUntilMs: nowMs + ttlMs + graceMs)
  }

  mutating func step() {
    steps += 1
    let index = random.below(keys.count)
    defer { checkLiveness(index) }
    // Values may go one millisecond late: the model never looks in that millisecond.
    core.advance(ms: 2 + UInt64(random.below(10) == 0 ? random.below(3_000) : 0))
    for other in keys.indices { keys[other].settle(nowMs: nowMs) }
    avoidEdges()
    if mayEvict { fillMemory() }
    forgetEvicted(index)
    switch random.below(100) {
    case 0..<12: get(index)
    case 12..<37: leaseGet(index)
    case 37..<42: refresh(index)
    case 42..<62: fill(index)
    case 62..<74: delete(index)
    case 74..<76: plainSet(index)
    case 76..<80: release(index)
    case 80..<82: fail(index)
    case 82..<84: pass(index)
    case 84..<87: hold(index)
    case 87..<90: extend(index)
    case 90..<93: keep(index)
    case 93..<99: core.maintain()
    default:
      if random.below(30) == 0 {
        core.flush()
        for other in keys.indices {
          dead += keys[other].live.keys.sorted() + keys[other].voided.keys.sorted()
          keys[other] = ModelKey()
        }
      }
    }
  }

  /// Steps past the millisecond around each of the model's deadlines, where the store may round.
  mutating func avoidEdges() {
    func isNear(_ atMs: Milliseconds, _ nowMs: Milliseconds) -> Bool { nowMs &+ 1 >= atMs && nowMs <= atMs &+ 1 }
    for _ in 0..<100 {
      let now = nowMs
      let near = keys.contains { key in
        key.live.values.contains { isNear($0, now) } || key.voided.values.contains { isNear($0, now) } || isNear(key.failedUntilMs, now)
          || isNear(key.passedUntilMs, now) || key.fresh.map { isNear($0.untilMs, now) || isNear($0.graceUntilMs, now) } ?? false
      }
      guard near else { return }
      core.advance(ms: 1)
      for other in keys.indices { keys[other].settle(nowMs: nowMs) }
    }
  }

  mutating func fillMemory() {
    var request = StoreRequest()
    request.plainWrites = .allow
    request.expiry = core.expiry([nil, 1_000, 50_000][random.below(3)])
    for _ in 0..<3 {
      let filler = TestKey("filler \(random.below(5_000))")
      #expect(core.store(filler, patternBytes(seed: 1, count: [50, 500, 3_000, 20_000][random.below(4)]), request).status == .stored)
    }
  }

  /// Under memory pressure: takes out of the model what the store has lost, found out without counting as an access.
  mutating func forgetEvicted(_ index: Int) {
    guard mayEvict else { return }
    let isThere = core.with(name(index)) { key, partition in
      var description = ItemDescription()
      return partition.describe(key, nowMs: core.nowMs, into: &description)
    }
    if !isThere { keys[index].fresh = nil }
    keys[index].stale?.certainUntilMs = 0
  }

  func anyToken(_ index: Int, _ pick: Int) -> UInt64 {
    let key = keys[index]
    let live = key.live.keys.sorted()
    let voided = key.voided.keys.sorted()
    switch pick % 8 {
    case 0..<5 where !live.isEmpty: return live[pick % live.count]
    case 5..<7 where !voided.isEmpty: return voided[pick % voided.count]
    case 7 where keys.count > 1: return keys[(index + 1) % keys.count].live.keys.min() ?? 1
    default: return dead[pick % dead.count]
    }
  }

  func get(_ index: Int) {
    let seen = steps.isMultiple(of: 2) ? core.get(name(index)) : core.quickGet(name(index))
    #expect(seen.outcome == keys[index].fresh.map { .hit($0.text) } ?? .miss, "step \(steps)")
  }

  mutating func granted(_ index: Int, _ token: UInt64, lengthMs: UInt64) {
    #expect(everGiven.insert(token).inserted, "step \(steps): token given twice")
    keys[index].live[token] = nowMs + lengthMs
    #expect(keys[index].live.count <= holders, "step \(steps): more tokens than holders")
  }

  func checkStale(_ index: Int, _ seen: Seen) {
    guard seen.status == .hit, seen.isStale else {
      if let stale = keys[index].stale {
        #expect(stale.certainUntilMs <= nowMs + 1, "step \(steps): the stale value was not shown: \(seen.outcome)")
      }
      return
    }
    #expect(seen.text == keys[index].stale?.text, "step \(steps): wrong stale value")
  }

  mutating func leaseGet(_ index: Int) {
    let lengthMs = UInt64(50 + random.below(5_000))
    let seen = core.leaseGet(name(index), holderID: 1, leaseMs: lengthMs)
    let key = keys[index]
    if let fresh = key.fresh {
      #expect(seen.status == .hit && !seen.isStale && !seen.isWon, "step \(steps): \(seen.outcome)")
      #expect(seen.text == fresh.text, "step \(steps)")
      return
    }
    let isWon = seen.status == .granted || seen.isWon
    if key.passedUntilMs > nowMs {
      // A value that was fresh when its refresh was passed may be shown in its grace since.
      #expect(seen.outcome == key.stale.map { .stale($0.text) } ?? .passed, "step \(steps)")
      return
    }
    checkStale(index, seen)
    if key.failedUntilMs > nowMs {
      #expect(!isWon && (seen.status == .failed || seen.isStale), "step \(steps): \(seen.outcome)")
    } else if key.writer != nil {
      #expect(!isWon && seen.token == 0 && !seen.isOwed, "step \(steps): \(seen.outcome)")
    } else if key.live.count >= holders {
      #expect(!isWon && seen.token == 1, "step \(steps): \(seen.outcome)")
    } else {
      #expect(isWon, "step \(steps): \(seen.outcome)")
      granted(index, seen.token, lengthMs: lengthMs)
    }
  }

  mutating func refresh(_ index: Int) {
    let seen = core.metaGet(name(index), leaseMs: 1_000, refreshBelowMs: 10_000)
    guard let fresh = keys[index].fresh else {
      if seen.isWon { granted(index, seen.token, lengthMs: 1_000) }
      #expect(seen.status != .granted, "step \(steps)")
      return
    }
    #expect(seen.status == .hit && !seen.isStale && seen.text == fresh.text, "step \(steps)")
    if keys[index].live.isEmpty && keys[index].failedUntilMs <= nowMs && keys[index].passedUntilMs <= nowMs {
      #expect(seen.isWon == (fresh.untilMs < nowMs + 10_000), "step \(steps)")
    }
    if seen.isWon { granted(index, seen.token, lengthMs: 1_000) }
  }

  mutating func fill(_ index: Int) {
    let token = anyToken(index, random.below(1 << 20))
    let value = nextValue()
    let status = core.fill(
      name(index), token, value.text, grace: value.graceUntilMs - value.untilMs, expiry: Expiry(atMs: value.untilMs))
    let key = keys[index]
    if key.live[token] != nil {
      #expect(status == .stored, "step \(steps): a valid fill was refused")
      dead += key.live.keys.sorted()
      keys[index].wrote(value)
    } else if let deadlineMs = key.voided[token], key.writer == nil, token > key.newestLateToken {
      // Whether a late fill after the stale window, or on a passed key, is still kept is left open.
      let mayRefuse = key.voided.count > 8 || nowMs + 1 >= key.windowEndMs[token] ?? 0 || key.passedUntilMs > nowMs
      #expect(status == .staleStored || mayRefuse, "step \(steps): a voided token's late fill: \(status)")
      guard status == .staleStored else { return }
      keys[index].voided[token] = nil
      dead.append(token)
      keys[index].newestLateToken = token
      keys[index].stale = (value.text, nowMs + 2, max(nowMs + windowMs, deadlineMs + windowMs) + 2)
    } else {
      #expect(status == .notStored || status == .staleStored && key.voided[token] != nil, "step \(steps): \(status)")
      guard status == .staleStored else { return }
      #expect(token > key.newestLateToken, "step \(steps): an older late fill replaced a newer one")
      keys[index].voided[token] = nil
      dead.append(token)
      keys[index].newestLateToken = token
      keys[index].stale = (value.text, nowMs, nowMs + 2 * windowMs)
    }
  }

  mutating func delete(_ index: Int) {
    let key = keys[index]
    let status = core.delete(name(index))
    #expect(status == (key.fresh != nil || !key.live.isEmpty ? .deleted : .notFound), "step \(steps)")
    if let fresh = key.fresh {
      keys[index].stale = (fresh.text, nowMs + windowMs, nowMs + windowMs + 2)
      keys[index].newestLateToken = 0
    }
    keys[index].fresh = nil
    keys[index].live = [:]
    keys[index].writer = nil
    keys[index].failedUntilMs = 0
    keys[index].passedUntilMs = 0
    for (token, deadlineMs) in key.live {
      if token == key.writer {
        dead.append(token)
      } else {
        keys[index].voided[token] = deadlineMs
        keys[index].windowEndMs[token] = nowMs + windowMs
      }
    }
  }

  mutating func plainSet(_ index: Int) {
    let value = nextValue()
    // Over a writer's hold the policies differ; here nobody does that.
    guard keys[index].writer == nil else { return }
    var request = StoreRequest()
    request.plainWrites = .allow
    request.expiry = Expiry(atMs: value.untilMs)
    request.graceMs = value.graceUntilMs - value.untilMs
    #expect(core.store(name(index), Array(value.text.utf8), request).status == .stored, "step \(steps)")
    dead += keys[index].live.keys.sorted() + keys[index].voided.keys.sorted()
    keys[index].wrote(value)
  }

  mutating func ended(_ index: Int, _ token: UInt64) {
    keys[index].live[token] = nil
    if keys[index].writer == token { keys[index].writer = nil }
    dead.append(token)
  }

  mutating func release(_ index: Int) {
    let token = anyToken(index, random.below(1 << 20))
    let isRelease = random.below(2) == 0
    let ok = isRelease ? core.release(name(index), token) : core.disconnect(name(index), token)
    #expect(ok == (keys[index].live[token] != nil), "step \(steps)")
    if ok { ended(index, token) }
  }

  mutating func fail(_ index: Int) {
    let token = anyToken(index, random.below(1 << 20))
    let ok = core.fail(name(index), token, ms: 700)
    #expect(ok == (keys[index].live[token] != nil), "step \(steps)")
    guard ok else { return }
    ended(index, token)
    keys[index].failedUntilMs = nowMs + 700
    keys[index].passedUntilMs = 0
  }

  mutating func pass(_ index: Int) {
    let token = anyToken(index, random.below(1 << 20))
    let ok = core.pass(name(index), token, ms: 700)
    #expect(ok == (keys[index].live[token] != nil), "step \(steps)")
    guard ok else { return }
    ended(index, token)
    keys[index].passedUntilMs = nowMs + 700
    keys[index].failedUntilMs = 0
    keys[index].stale = nil
    keys[index].newestLateToken = 0
  }

  mutating func hold(_ index: Int) {
    let key = keys[index]
    let token = core.hold(name(index), ms: 2_000)
    #expect((token == nil) == (key.writer != nil), "step \(steps)")
    guard let token else { return }
    dead += key.live.keys.sorted()
    keys[index].live = [:]
    keys[index].failedUntilMs = 0
    keys[index].passedUntilMs = 0
    keys[index].writer = token
    if let fresh = key.fresh {
      keys[index].stale = (fresh.text, nowMs + 2_000 + windowMs, nowMs + 2_000 + windowMs + 2)
    } else if let stale = key.stale {
      // Whether a hold prolongs what was stale before is left open.
      keys[index].stale = (stale.text, stale.certainUntilMs, nowMs + 2_000 + windowMs + 2)
    }
    keys[index].fresh = nil
    #expect(everGiven.insert(token).inserted, "step \(steps): token given twice")
    keys[index].live[token] = nowMs + 2_000
  }

  mutating func extend(_ index: Int) {
    let token = anyToken(index, random.below(1 << 20))
    // An extension of a hold may prolong what it made stale; leave those alone.
    guard token != keys[index].writer else { return }
    let ok = core.extend(name(index), token, ms: 3_000)
    #expect(ok == (keys[index].live[token] != nil), "step \(steps)")
    if ok { keys[index].live[token] = nowMs + 3_000 }
  }

  mutating func keep(_ index: Int) {
    let token = anyToken(index, random.below(1 << 20))
    let key = keys[index]
    guard key.fresh == nil else { return }
    let ok = core.keep(name(index), token, ttl: 20_000)
    guard let stale = key.stale, key.live[token] != nil else {
      #expect(!ok, "step \(steps): kept nothing")
      return
    }
    #expect(ok || stale.certainUntilMs <= nowMs + 1, "step \(steps): the stale value was not kept")
    guard ok else { return }
    dead += key.live.keys.sorted() + key.voided.keys.sorted()
    // The grace of the kept value is not modelled: it is replaced at once.
    keys[index].wrote(ModelKey.Value(text: stale.text, untilMs: nowMs + 20_000, graceUntilMs: nowMs + 20_000))
    plainSet(index)
  }

  func checkLiveness(_ index: Int) {
    for token in keys[index].live.keys { #expect(core.isLive(name(index), token), "step \(steps)") }
    for token in keys[index].voided.keys { #expect(!core.isLive(name(index), token), "step \(steps)") }
  }

  /// After a long quiet time nothing is left.
  mutating func finish() {
    core.advance(ms: 200_000)
    core.maintain()
    #expect(core.usage.leases == 0)
    #expect(core.usage.leaseRecords == 0)
    if !mayEvict { #expect(core.usage.items == 0) }
    let counters = core.counters
    let ends =
      counters.leaseFills + counters.leaseExpired + counters.leaseReleases + counters.leaseDisconnects + counters.leaseFails
      + counters.leasePasses + counters.leaseVoids + counters.leaseKeeps
    #expect(counters.leaseGrants >= ends, "\(counters)")
  }
}

@Suite("Lease rules under random clients")
struct LeaseSimulationTests {
  @Test("Each answer is the table's", arguments: Array(UInt64(1)...40), [1, 3])
  func simulate(seed: UInt64, holders: Int) throws {
    let core = try CoreHarness(seed: seed) {
      $0.holders = holders
      $0.staleWindowMs = [1_000, 10_000, 500][Int(seed % 3)]
    }
    var simulation = Simulation(core: core, seed: seed, keyCount: seed.isMultiple(of: 2) ? 1 : 4)
    for _ in 0..<3_000 { simulation.step() }
    simulation.finish()
  }

  @Test("Each answer is the table's while others fill the memory", arguments: Array(UInt64(1)...6), [1, 3])
  func simulateUnderPressure(seed: UInt64, holders: Int) throws {
    let core = try CoreHarness(memoryBytes: 1 << 20, partitions: 1, seed: seed) {
      $0.holders = holders
      $0.largestValueBytes = 32 << 10
      $0.staleWindowMs = [1_000, 10_000, 500][Int(seed % 3)]
    }
    var simulation = Simulation(core: core, seed: seed, keyCount: seed.isMultiple(of: 2) ? 3 : 40, mayEvict: true)
    for _ in 0..<1_500 { simulation.step() }
    #expect(core.counters.evictions > 0)
    simulation.finish()
  }
}
