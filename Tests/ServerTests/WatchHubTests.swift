import Synchronization
import Testing

@testable import MemleasedServer

@Suite struct WatchHubTests {
  private func key<R>(_ text: String, _ body: (UnsafeRawBufferPointer) -> R) -> R { Array(text.utf8).withUnsafeBytes(body) }

  private func get(_ hub: WatchHub, _ text: String) {
    key(text) { hub.publishGet(key: $0, status: .found, classIndex: 1, fd: 7, sizeBytes: 3) }
  }

  private func lines(_ watcher: Watcher) -> [String] {
    String(decoding: watcher.takeAll(), as: UTF8.self).split(separator: "\n").map(String.init)
  }

  private final class Wakes: Sendable {
    let count = Atomic<Int>(0)
  }

  @Test func nobodyWatches() {
    let hub = WatchHub()
    #expect(!hub.isWatched([.fetchers, .mutations, .leases]))
    get(hub, "a")
    #expect(hub.lastLineID.load(ordering: .relaxed) == 0, "no line was made")
  }

  @Test func eachWatcherGetsItsEventsInMemcachedsForm() throws {
    let hub = WatchHub()
    let fetchers = try #require(hub.subscribe([.fetchers]) {})
    let rest = try #require(hub.subscribe([.mutations, .deletions, .evictions, .leases, .rawCommands]) {})
    get(hub, "a b%")
    key("k") {
      hub.publishStore(key: $0, status: .stored, command: "set", ttlSeconds: 5, classIndex: 2, fd: 8, sizeBytes: 9)
      hub.publishDelete(key: $0, command: "md", classIndex: 2, sizeBytes: 9)
      hub.publishEviction(key: $0, wasFetched: true, ttlSeconds: -1, idleSeconds: 4, classIndex: 2, sizeBytes: 9)
      hub.publishLease(key: $0, event: .grant, fd: 8)
      hub.publishRawCommand(line: $0, fd: 8)
    }
    let got = lines(fetchers)
    #expect(got.count == 1)
    #expect(got[0].wholeMatch(of: /ts=\d+\.\d+ gid=1 type=item_get key=a%20b%25 status=found clsid=1 cfd=7 size=3/) != nil)
    let tails = lines(rest).map { $0.split(separator: " ", maxSplits: 2)[2] }
    #expect(
      tails == [
        "type=item_store key=k status=stored cmd=set ttl=5 clsid=2 cfd=8 size=9", "type=deleted key=k cmd=md clsid=2 size=9",
        "type=eviction key=k fetch=yes ttl=-1 la=4 clsid=2 size=9", "type=lease key=k event=grant cfd=8", "<8 k",
      ])
    #expect(hub.sentLines.load(ordering: .relaxed) == 6)
  }

  @Test func aFullQueueDropsCountsAndSaysSo() throws {
    let hub = WatchHub(queueBytes: 300)
    let watcher = try #require(hub.subscribe([.fetchers]) {})
    for _ in 0..<100 { get(hub, "key") }
    let first = watcher.takeAll()
    #expect(first.count <= 300)
    let queued = first.count { $0 == UInt8(ascii: "\n") }
    #expect(queued >= 2)
    get(hub, "key")
    let after = lines(watcher)
    #expect(after.first == "skipped=\(100 - queued)" && after.count == 2)
    get(hub, "key")
    #expect(lines(watcher).count == 1, "the gap is told once")
    #expect(hub.skippedLines.load(ordering: .relaxed) == UInt64(100 - queued))
  }

  @Test func wakesOnceUntilTaken() throws {
    let hub = WatchHub()
    let wakes = Wakes()
    let watcher = try #require(hub.subscribe([.fetchers]) { wakes.count.add(1, ordering: .relaxed) })
    for _ in 0..<5 { get(hub, "a") }
    #expect(wakes.count.load(ordering: .relaxed) == 1)
    #expect(lines(watcher).count == 5)
    get(hub, "a")
    #expect(wakes.count.load(ordering: .relaxed) == 2)
  }

  @Test func atMostTwentyWatchersAndNoneAfterTheyLeave() throws {
    let hub = WatchHub()
    let watchers = (0..<WatchHub.maxWatchers).compactMap { _ in hub.subscribe([.fetchers]) {} }
    #expect(watchers.count == WatchHub.maxWatchers)
    #expect(hub.subscribe([.fetchers]) {} == nil)
    for watcher in watchers { hub.unsubscribe(watcher) }
    #expect(!hub.isWatched(.fetchers) && hub.watcherCount == 0)
    get(hub, "a")
    #expect(watchers[0].takeAll().isEmpty)
    #expect(hub.subscribe([.fetchers]) {} != nil)
  }

  @Test func publishersOnManyThreads() async throws {
    let hub = WatchHub(queueBytes: 1 << 20)
    let watcher = try #require(hub.subscribe([.fetchers]) {})
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 { group.addTask { for _ in 0..<500 { get(hub, "k") } } }
    }
    let identifiers = lines(watcher).compactMap { $0.firstMatch(of: /gid=(\d+)/).flatMap { Int($0.1) } }
    #expect(Set(identifiers) == Set(1...2000))
  }

  @Test func names() {
    let known: [(String, WatchEvents?)] = [
      ("fetchers", .fetchers), ("mutations", .mutations), ("evictions", .evictions), ("connevents", .connectionEvents),
      ("deletions", .deletions), ("rawcmds", .rawCommands), ("sysevents", .systemEvents), ("leases", .leases), ("proxyreqs", []),
      ("bogus", nil),
      ("", nil),
    ]
    for (name, events) in known { #expect(key(name) { WatchEvents(name: $0) } == events, "\(name)") }
  }
}
