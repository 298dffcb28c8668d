import LeaseCore
import Testing

/// Who may wait, for how long, behind whom, and how a wait ends before its answer.
@Suite("Waits and their limits")
struct WaitTests {
  let core: CoreHarness
  let readers: WaitingReaders
  init() throws { (core, readers) = try Self.make() }

  static func make(_ configure: (inout StoreConfiguration) -> Void = { _ in }) throws -> (CoreHarness, WaitingReaders) {
    let core = try CoreHarness(configure)
    return (core, WaitingReaders(core))
  }

  // MARK: Parking

  @Test("Nobody waits where nobody fetches, where there is a value, or for no time")
  func nothingToWaitFor() {
    #expect(readers.wait("k", isPlain: true) == nil)
    let token = core.grant("k")
    #expect(readers.wait("k", ms: 0) == nil)
    #expect(core.fill("k", token, "v") == .stored)
    #expect(readers.wait("k") == nil)
    #expect(core.counters.waitsParked == 0)
  }

  @Test("Past the limit of a key, and of all keys, nobody waits, and that is counted")
  func limits() throws {
    let (core, readers) = try Self.make {
      $0.maxWaitersPerKey = 2
      $0.maxWaiters = 3
    }
    let token = core.grant("a")
    _ = core.grant("b")
    let first = try #require(readers.wait("a"))
    #expect(readers.wait("a") != nil)
    #expect(readers.wait("a") == nil)
    #expect(core.counters.waitersRefusedByKey == 1)
    #expect(readers.wait("b") != nil)
    #expect(readers.wait("b") == nil)
    #expect(core.counters.waitersRefusedInAll == 1)
    readers.end(first, .cancelled)
    #expect(readers.wait("b") != nil, "there is room again")
    #expect(core.fill("a", token, "v") == .stored)
    #expect(core.store.waiterCount == 2)
  }

  // MARK: Ends of waits

  @Test("A wait is cut to the longest, and then its reader is told of a hot miss")
  func longestWait() throws {
    let (core, readers) = try Self.make { $0.longestWaitMs = 1_000 }
    _ = core.grant("k", leaseMs: 9_000)
    let long = try #require(readers.wait("k", ms: 60_000))
    let short = try #require(readers.wait("k", ms: 300))
    core.advance(ms: 299)
    #expect(readers.endDue() == [])
    core.advance(ms: 1)
    #expect(readers.endDue() == [short])
    core.advance(ms: 699)
    #expect(readers.endDue() == [])
    core.advance(ms: 1)
    #expect(readers.endDue() == [long])
    #expect(core.counters.waitsTimedOut == 2)
    #expect(core.store.waiterCount == 0)
  }

  @Test("Who times out is told how long the lease still lasts", arguments: [WaitEnd.timedOut, .cancelled])
  func hotMissAtTheEnd(end: WaitEnd) throws {
    _ = core.grant("k", leaseMs: 5_000)
    let waiter = try #require(readers.wait("k"))
    core.advance(ms: 2_000)
    let seen = try #require(readers.end(waiter, end))
    #expect(seen.outcome == .hotMiss)
    #expect(seen.token == 1)
    #expect(seen.remainingMs == 3_000)
  }

  @Test("Who has left is promoted no more, and told nothing")
  func leftBefore() throws {
    let token = core.grant("k")
    let first = try #require(readers.wait("k"))
    let second = try #require(readers.wait("k", worker: 1))
    let third = try #require(readers.wait("k"))
    #expect(readers.end(first, .disconnected) != nil)
    #expect(core.release("k", token))
    #expect(readers.promoted == [second])
    #expect(core.fill("k", readers.token(second), "v") == .stored)
    #expect(readers.outcome(first) == nil)
    #expect(readers.outcome(third) == .hit("v"))
    #expect(core.counters.waitsDisconnected == 1)
  }

  @Test("Who was answered cannot leave any more")
  func leftBehind() throws {
    let token = core.grant("k")
    let waiter = try #require(readers.wait("k"))
    #expect(core.fill("k", token, "v") == .stored)
    #expect(readers.end(waiter, .cancelled) == nil)
    #expect(core.counters.waitsCancelled == 0)
  }

  @Test("When the last leaves, the lease stays; when that ends, nothing is left")
  func lastLeaves() throws {
    let token = core.grant("k", leaseMs: 5_000)
    readers.end(try #require(readers.wait("k")), .cancelled)
    #expect(core.isLive("k", token))
    core.advance(ms: 5_000)
    core.maintain()
    #expect(core.usage.leaseRecords == 0)
  }

  // MARK: Holders

  @Test("With n holders each lost one promotes one, and the first fill tells all")
  func holders() throws {
    let (core, readers) = try Self.make { $0.holders = 2 }
    let tokens = [core.grant("k"), core.grant("k")]
    let waiters = try (0..<4).map { try #require(readers.wait("k", worker: $0 % 3)) }
    #expect(core.release("k", tokens[0]))
    #expect(readers.promoted == [waiters[0]])
    #expect(core.disconnect("k", tokens[1]))
    #expect(readers.promoted == [waiters[0], waiters[1]])
    #expect(core.usage.leases == 2)
    #expect(core.fill("k", readers.token(waiters[1]), "v") == .stored)
    #expect(core.fill("k", readers.token(waiters[0]), "w") == .notStored)
    #expect(readers.outcome(waiters[2]) == .hit("v") && readers.outcome(waiters[3]) == .hit("v"))
  }

  @Test("With n holders a delete promotes n")
  func deleteWithHolders() throws {
    let (core, readers) = try Self.make { $0.holders = 2 }
    _ = (core.grant("k"), core.grant("k"))
    let waiters = try (0..<3).map { _ in try #require(readers.wait("k")) }
    #expect(core.delete("k") == .deleted)
    #expect(readers.promoted == [waiters[0], waiters[1]])
  }

  @Test("Each goes by its own number of holders: who wants more is promoted past who wants fewer")
  func differentHolders() throws {
    let tokens = [core.grant("k"), core.metaGet("k", wants: true, holders: 2).token]
    let alone = try #require(readers.wait("k", holders: 1))
    let sharing = try #require(readers.wait("k", holders: 2))
    #expect(core.release("k", tokens[0]))
    #expect(readers.promoted == [sharing])
    #expect(core.release("k", tokens[1]))
    #expect(readers.promoted == [sharing], "one holder is left")
    #expect(core.release("k", readers.token(sharing)))
    #expect(readers.promoted == [alone, sharing])
  }

  // MARK: Grant interval

  @Test("After a void promotion keeps to the grant interval, and upkeep is asked for at its end")
  func voidKeepsInterval() throws {
    let (core, readers) = try Self.make { $0.grantIntervalMs = 1_000 }
    _ = core.grant("k")
    let waiter = try #require(readers.wait("k"))
    core.advance(ms: 100)
    #expect(core.delete("k") == .deleted)
    #expect(readers.answered == 0)
    let late = try #require(readers.wait("k"), "there is an interval to wait for")
    #expect(core.maintain() <= core.nowMs + 900)
    core.advance(ms: 900)
    core.maintain()
    #expect(readers.promoted == [waiter])
    #expect(readers.outcome(late) == nil)
  }

  @Test("After the loss of a holder promotion does not wait for the grant interval")
  func lossSkipsInterval() throws {
    let (core, readers) = try Self.make { $0.grantIntervalMs = 1_000 }
    let token = core.grant("k")
    let waiter = try #require(readers.wait("k"))
    #expect(core.disconnect("k", token))
    #expect(readers.promoted == [waiter])
  }

  // MARK: Coalesced gets

  func join(_ core: CoreHarness, _ key: TestKey, holderID: UInt64 = 1) -> FetchRole {
    core.with(key) { $1.joinFetch($0, nowMs: core.nowMs, holderID: holderID) }
  }

  @Test("The first plain get that misses fetches, the others wait and get what it writes")
  func coalesced() throws {
    let (core, readers) = try Self.make { $0.coalesceGetsMs = 500 }
    guard case .filler(let token) = join(core, "k") else {
      Issue.record("nobody fetches")
      return
    }
    #expect(join(core, "k", holderID: 2) == .waiter(waitMs: 500))
    let waiter = try #require(readers.wait("k", ms: 500, isPlain: true))
    #expect(core.leaseGet("k").outcome == .hotMiss)
    #expect(core.set("k", "v", plainWrites: .guarded).status == .stored, "the filler's mark keeps no write out")
    #expect(readers.outcome(waiter) == .hit("v"))
    #expect(!core.isLive("k", token))
  }

  @Test("The filler's close and its deadline let exactly one get through, as a miss", arguments: [false, true])
  func lostFiller(byDeadline: Bool) throws {
    let (core, readers) = try Self.make {
      $0.coalesceGetsMs = 500
      $0.holders = 3
    }
    guard case .filler(let token) = join(core, "k") else {
      Issue.record("nobody fetches")
      return
    }
    let waiters = try (0..<2).map { _ in try #require(readers.wait("k", ms: 5_000, isPlain: true)) }
    if byDeadline {
      core.advance(ms: 500)
      core.maintain()
    } else {
      #expect(core.disconnect("k", token))
    }
    #expect(readers.promoted == [waiters[0]])
    #expect(readers.answer(waiters[0])?.status == .miss)
    #expect(readers.outcome(waiters[1]) == nil)
  }

  @Test("Plain gets wait for one fetch however many holders a key may have: a change of that lease promotes nobody")
  func coalescedWithHolders() throws {
    let (core, readers) = try Self.make {
      $0.coalesceGetsMs = 500
      $0.holders = 3
    }
    let token = core.grant("k")
    #expect(join(core, "k") == .waiter(waitMs: 500))
    let waiter = try #require(readers.wait("k", ms: 500, isPlain: true))
    #expect(core.extend("k", token, ms: 9_000))
    #expect(readers.outcome(waiter) == nil)
    #expect(readers.end(waiter, .timedOut)?.status == .miss)
  }

  @Test("Where gets are not coalesced, where the key failed, and for who fetches himself, a get is a plain miss")
  func notCoalesced() throws {
    #expect(join(core, "k") == FetchRole.none)
    let (core, _) = try Self.make { $0.coalesceGetsMs = 500 }
    _ = join(core, "k", holderID: 7)
    #expect(join(core, "k", holderID: 7) == FetchRole.none)
    #expect(core.fail("other", core.grant("other"), ms: 500))
    #expect(join(core, "other") == FetchRole.none)
  }
}
