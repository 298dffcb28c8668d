import Foundation
import LeaseCore
import Testing

/// Several real threads on one store, each with a harness of its own.
@Suite("Threads", .serialized)
struct ThreadTests {
  let core: CoreHarness
  let store: Store
  let nowMs: Milliseconds

  init() throws {
    core = try CoreHarness(memoryBytes: 4 << 20, partitions: 4) { $0.largestValueBytes = 128 << 10 }
    store = core.store
    nowMs = core.nowMs
  }

  /// Runs `body` on so many threads at once and waits for all of them, at most five minutes.
  func onThreads(_ count: Int, _ body: @escaping @Sendable (Int, CoreHarness) -> Void) {
    let done = DispatchGroup()
    for index in 0..<count {
      done.enter()
      let thread = Thread { [store, nowMs] in
        body(index, CoreHarness(sharing: store, nowMs: nowMs))
        done.leave()
      }
      thread.stackSize = 1 << 20
      thread.start()
    }
    #expect(done.wait(timeout: .now() + 300) == .success)
  }

  @Test("Of many askers exactly one is granted, key by key")
  func oneGrant() {
    let shared = GrantNotes()
    onThreads(4) { thread, core in
      for index in 0..<2_000 {
        let seen = core.leaseGet(TestKey("k\(index)"))
        if seen.status == .granted { shared.note(thread: thread, index: index, token: seen.token) }
      }
    }
    let all = shared.all
    #expect(all.count == 2_000)
    #expect(Set(all.map(\.index)).count == 2_000)
    #expect(Set(all.map(\.token)).count == 2_000)
  }

  @Test("Increments from several threads add up")
  func increments() {
    for index in 0..<10 { core.set(TestKey("n\(index)"), "0") }
    onThreads(4) { _, core in for round in 0..<4_000 { core.incr(TestKey("n\(round % 10)")) } }
    for index in 0..<10 { #expect(core.get(TestKey("n\(index)")).text == "1600") }
  }

  @Test("Compare and set from several threads loses no update")
  func compareAndSet() {
    core.set("k", "0")
    let counter = Counter()
    onThreads(4) { _, core in
      for _ in 0..<1_000 {
        let seen = core.get("k")
        guard let number = Int(seen.text) else { continue }
        if core.cas("k", seen.version, "\(number + 1)").status == .stored { counter.add() }
      }
    }
    #expect(core.get("k").text == "\(counter.value)")
    #expect(counter.value >= 1_000)
  }

  @Test("Mixed work under memory pressure: no torn or foreign value, all counts agree at the end")
  func mixed() {
    let counter = Counter()
    onThreads(4) { thread, core in
      var random = SeededRandom(seed: UInt64(thread))
      var request = StoreRequest()
      request.plainWrites = .allow
      for _ in 0..<4_000 {
        let index = random.below(2_000)
        let key = TestKey("k\(index)")
        switch random.below(20) {
        case 0..<9:
          let seen = random.below(2) == 0 ? core.get(key) : core.quickGet(key)
          if seen.status == .hit, !ThreadTests.isWhole(seen.value, index: index) { counter.add() }
        case 9..<16:
          let size = random.below(200) == 0 ? 100_000 : 16 + random.size(upTo: 2_000)
          request.expiry = core.expiry([nil, 20, 60_000][random.below(3)])
          if core.store(key, ThreadTests.wholeValue(index: index, count: size), request).status != .stored { counter.add() }
        case 16: core.delete(key)
        case 17: core.touch(key, ttl: 30_000)
        case 18:
          let seen = core.leaseGet(key, leaseMs: 50)
          if seen.token > 1, random.below(2) == 0 {
            let value = ThreadTests.wholeValue(index: index, count: 100)
            request.compare = seen.token
            request.isLeaseSet = true
            _ = core.store(key, value, request)
            request.compare = nil
            request.isLeaseSet = false
          }
        default:
          core.advance(ms: 1)
          if random.below(10) == 0 { core.maintain() }
          _ = core.usage
        }
      }
    }
    #expect(counter.value == 0)
    var walked = 0
    core.eachPartition { partition in
      var cursor: UInt64 = 0
      var more = true
      while more { more = partition.walk(&cursor, limit: 100, nowMs: nowMs) { _ in walked += 1 } }
    }
    #expect(core.usage.items >= UInt64(walked))
    #expect(walked > 0)
  }

  @Test("A large value read on one thread stays whole while others overwrite it")
  func largeValues() {
    let counter = Counter()
    onThreads(4) { thread, core in
      var random = SeededRandom(seed: UInt64(thread) &+ 100)
      var request = StoreRequest()
      request.plainWrites = .allow
      for _ in 0..<150 {
        let index = random.below(4)
        let key = TestKey("large\(index)")
        if random.below(3) == 0 {
          if core.store(key, ThreadTests.wholeValue(index: index, count: 120_000), request).status != .stored { counter.add() }
          continue
        }
        let large: LargeValue? = core.with(key) { key, partition in
          var item = ItemView()
          guard partition.readFresh(key, nowMs: core.nowMs, into: &item), let large = item.large else { return nil }
          large.retain()
          return large
        }
        guard let large else { continue }
        let bytes = Array(UnsafeRawBufferPointer(start: UnsafeRawPointer(large.bytes), count: large.count))
        if !ThreadTests.isWhole(bytes, index: index) { counter.add() }
        large.release()
        core.store.drainDropped()
      }
    }
    #expect(counter.value == 0)
    core.flush()
    core.maintain()
    #expect(core.usage.largeBytes == 0)
  }

  @Test("The whole store's operations beside the work of others: flush, limits, statistics, walks, prefetches")
  func wholeStore() {
    let counter = Counter()
    onThreads(4) { thread, core in
      var random = SeededRandom(seed: UInt64(thread) &+ 500)
      var request = StoreRequest()
      request.plainWrites = .allow
      for round in 0..<1_500 {
        let index = random.below(500)
        let key = TestKey("k\(index)")
        guard thread == 0, round % 10 == 0 else {
          let size = random.below(30) == 0 ? 70_000 : 16 + random.size(upTo: 3_000)
          if random.below(2) == 0 {
            _ = core.store(key, ThreadTests.wholeValue(index: index, count: size), request)
          } else {
            let seen = core.get(key)
            if seen.status == .hit, !ThreadTests.isWhole(seen.value, index: index) { counter.add() }
          }
          let hash = key.bytes.withUnsafeBytes { bytes in bytes.baseAddress.map { core.store.hash($0, count: bytes.count) } ?? 0 }
          core.store.prefetchBucket(hash: hash)
          core.store.prefetchItem(hash: hash)
          continue
        }
        switch random.below(8) {
        case 0: core.flush()
        case 1: _ = core.store.setMemoryLimit(bytes: (3 + random.below(3)) << 20)
        case 2: _ = core.store.counters
        case 3: core.store.resetCounters()
        case 4: core.maintain()
        default:
          core.eachPartition { partition in
            var cursor: UInt64 = 0
            _ = partition.walk(&cursor, limit: 50, nowMs: core.nowMs) { if $0.keyCount < 2 { counter.add() } }
          }
        }
      }
    }
    #expect(counter.value == 0)
    #expect(core.store.memoryUsedBytes <= 6 << 20)
  }

  /// The key's number in every word, so that any torn or foreign byte shows.
  static func wholeValue(index: Int, count: Int) -> [UInt8] { patternBytes(seed: UInt64(index) &+ 1, count: count) }

  static func isWhole(_ value: [UInt8], index: Int) -> Bool { value == wholeValue(index: index, count: value.count) }
}

/// What threads noted. Sendable: behind a lock of Foundation's, which the thread sanitizer knows (it does not know `Mutex`).
private final class GrantNotes: @unchecked Sendable {
  struct Note {
    var thread: Int
    var index: Int
    var token: UInt64
  }
  private let lock = NSLock()
  private var notes: [Note] = []
  func note(thread: Int, index: Int, token: UInt64) { lock.withLock { notes.append(Note(thread: thread, index: index, token: token)) } }
  var all: [Note] { lock.withLock { notes } }
}

/// Counts what went wrong. Sendable: behind a lock.
private final class Counter: @unchecked Sendable {
  private let lock = NSLock()
  private var count = 0
  func add() { lock.withLock { count += 1 } }
  var value: Int { lock.withLock { count } }
}
