import LeaseCore
import Testing

/// What those who wait are told at each end of the lease that they wait for.
@Suite("Waiters, and how their lease ends")
struct WaiterTests {
  let core: CoreHarness
  let readers: WaitingReaders
  init() throws {
    core = try CoreHarness { $0.staleWindowMs = 2_000 }
    readers = WaitingReaders(core)
  }

  /// A lease, and three who wait for it on two workers.
  func threeWait(_ key: TestKey = "k") throws -> (token: UInt64, waiters: [Int]) {
    let token = core.grant(key, leaseMs: 5_000)
    let waiters = try (0..<3).map { try #require(readers.wait(key, worker: $0 % 2)) }
    #expect(core.store.waiterCount == 3)
    return (token, waiters)
  }

  /// Just the first is the holder now, with a token of its own; the others still wait.
  func expectFirstPromoted(_ waiters: [Int], _ lost: UInt64, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(readers.promoted == [waiters[0]], sourceLocation: sourceLocation)
    #expect(readers.answered == 1, sourceLocation: sourceLocation)
    #expect(core.store.waiterCount == waiters.count - 1, sourceLocation: sourceLocation)
    let token = readers.token(waiters[0])
    #expect(token > lost && core.isLive("k", token) && !core.isLive("k", lost), sourceLocation: sourceLocation)
    #expect(core.usage.leases == 1, sourceLocation: sourceLocation)
    #expect(core.fill("k", token, "v") == .stored, sourceLocation: sourceLocation)
    for waiter in waiters.dropFirst() { #expect(readers.outcome(waiter) == .hit("v"), sourceLocation: sourceLocation) }
    #expect(core.store.waiterCount == 0, sourceLocation: sourceLocation)
  }

  func expectAllTold(_ waiters: [Int], _ outcome: Outcome, sourceLocation: SourceLocation = #_sourceLocation) {
    for waiter in waiters { #expect(readers.outcome(waiter) == outcome, sourceLocation: sourceLocation) }
    #expect(core.store.waiterCount == 0, sourceLocation: sourceLocation)
  }

  // MARK: With a value

  @Test("A fill tells everybody its value, with its version, flags and expiry")
  func fill() throws {
    let (token, waiters) = try threeWait()
    #expect(core.fill("k", token, "v", ttl: 1_000) == .stored)
    expectAllTold(waiters, .hit("v"))
    let answer = try #require(readers.answer(waiters[0]))
    #expect(answer.version == core.get("k").version)
    #expect(answer.expiry == core.expiry(1_000))
    #expect(answer.token == 0)
    #expect(core.counters.waitsFilled == 3)
  }

  @Test("A fill that is expired on arrival tells everybody its value, and leaves none")
  func expiredFill() throws {
    let (token, waiters) = try threeWait()
    #expect(core.fill("k", token, "v", expiry: .immediately) == .stored)
    expectAllTold(waiters, .hit("v"))
    #expect(core.get("k").outcome == .miss)
  }

  @Test("A fill of an empty value is a value", arguments: [0, 4_096, 4_097, 30_000, 200_000])
  func fillOfAnySize(count: Int) throws {
    let (token, waiters) = try threeWait()
    let value = patternBytes(seed: 7, count: count)
    var request = StoreRequest()
    request.compare = token
    #expect(core.store("k", value, request).status == .stored)
    for waiter in waiters {
      #expect(readers.answer(waiter)?.status == .hit)
      #expect(readers.answer(waiter)?.value == value)
    }
  }

  @Test("A keep tells everybody the value that is fresh again")
  func keep() throws {
    core.set("k", "v")
    core.delete("k")
    let (token, waiters) = try threeWait()
    #expect(core.keep("k", token, ttl: 1_000))
    expectAllTold(waiters, .hit("v"))
  }

  @Test("A keep that is over on arrival tells everybody the value all the same")
  func keepExpired() throws {
    core.set("k", "v")
    core.delete("k")
    let (token, waiters) = try threeWait()
    #expect(core.with("k") { $1.leaseKeep($0, nowMs: core.nowMs, token: token, expiry: .immediately) })
    expectAllTold(waiters, .hit("v"))
  }

  @Test("A plain write tells everybody its value")
  func plainWrite() throws {
    let (token, waiters) = try threeWait()
    #expect(core.set("k", "plain").status == .stored)
    expectAllTold(waiters, .hit("plain"))
    #expect(core.fill("k", token, "late") == .notStored)
  }

  @Test("A late fill that is kept as stale tells nobody")
  func staleStored() throws {
    let lost = core.grant("k")
    core.delete("k")
    let (_, waiters) = try threeWait()
    #expect(core.fill("k", lost, "late") == .staleStored)
    #expect(readers.answered == 0)
    #expect(core.store.waiterCount == waiters.count)
  }

  @Test("An increment of a value marked stale leaves it stale, its lease out, and those who wait for a fresh one waiting")
  func incrementOfMarked() throws {
    core.set("k", "5")
    core.markStale("k")
    let (token, waiters) = try threeWait()
    #expect(core.incr("k").number == 6)
    #expect(readers.answered == 0)
    #expect(core.isLive("k", token))
    #expect(core.metaGet("k").outcome == .staleOwed("6"))
    #expect(!core.keep("k", token, ttl: 1_000), "another value than the one that the holder was shown")
    #expect(core.fill("k", token, "7") == .stored)
    expectAllTold(waiters, .hit("7"))
  }

  @Test("An increment with the token is the holder's fill, also of a value marked stale")
  func incrementByHolder() throws {
    core.set("k", "5")
    core.markStale("k")
    let (token, waiters) = try threeWait()
    #expect(core.incr("k", compare: token, plainWrites: .reject).number == 6)
    expectAllTold(waiters, .hit("6"))
    #expect(core.metaGet("k").outcome == .hit("6"))
  }

  // MARK: Without a value

  @Test("A failure tells everybody its message and time, and then nobody is held up")
  func fail() throws {
    let (token, waiters) = try threeWait()
    #expect(core.fail("k", token, ms: 500, "down"))
    expectAllTold(waiters, .failed("down"))
    #expect(readers.answer(waiters[0])?.remainingMs == 500)
    #expect(readers.wait("k") == nil, "the failure is known")
    core.advance(ms: 500)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("A failure without a cool-down tells everybody who waits, and nobody else")
  func failWithoutTime() throws {
    let (token, waiters) = try threeWait()
    #expect(core.fail("k", token, ms: 0, "down"))
    expectAllTold(waiters, .failed("down"))
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("A pass tells everybody to fetch for himself")
  func pass() throws {
    let (token, waiters) = try threeWait()
    #expect(core.pass("k", token, ms: 500))
    expectAllTold(waiters, .passed)
    #expect(readers.wait("k") == nil, "nobody waits for what is passed")
  }

  // MARK: Promotion

  @Test("A release promotes the first")
  func release() throws {
    let (token, waiters) = try threeWait()
    #expect(core.release("k", token))
    expectFirstPromoted(waiters, token)
  }

  @Test("A release by md C promotes the first")
  func releaseByDelete() throws {
    let (token, waiters) = try threeWait()
    #expect(core.delete("k", compare: token) == .deleted)
    expectFirstPromoted(waiters, token)
  }

  @Test("A holder's disconnect promotes the first")
  func disconnect() throws {
    let (token, waiters) = try threeWait()
    #expect(core.disconnect("k", token))
    expectFirstPromoted(waiters, token)
  }

  @Test("A lease's deadline promotes the first, by upkeep that was asked for then")
  func deadline() throws {
    let (token, waiters) = try threeWait()
    core.advance(ms: 4_999)
    core.maintain()
    #expect(readers.answered == 0)
    core.advance(ms: 1)
    core.maintain()
    expectFirstPromoted(waiters, token)
    #expect(core.counters.leaseExpired == 1)
  }

  @Test("A delete promotes the first, who is told the late fill's place is taken")
  func delete() throws {
    let (token, waiters) = try threeWait()
    #expect(core.delete("k") == .deleted)
    #expect(core.fill("k", token, "late") == .staleStored)
    expectFirstPromoted(waiters, token)
  }

  @Test("A flush promotes the first")
  func flush() throws {
    let (token, waiters) = try threeWait()
    core.flush()
    expectFirstPromoted(waiters, token)
  }

  @Test("Holders that die one after the other promote one after the other, in the order in which they came")
  func chain() throws {
    let (token, waiters) = try threeWait()
    #expect(core.release("k", token))
    #expect(core.release("k", readers.token(waiters[0])))
    #expect(core.disconnect("k", readers.token(waiters[1])))
    #expect(readers.promoted == waiters)
    #expect(core.release("k", readers.token(waiters[2])))
    #expect(core.usage.leaseRecords == 0)
    #expect(core.leaseGet("k").outcome == .granted)
  }

  @Test("The promoted reader is shown the stale value, for as long as that may be shown")
  func promotedWithStale() throws {
    core.set("k", "v", ttl: 60_000)
    core.delete("k")
    let (token, waiters) = try threeWait()
    #expect(core.release("k", token))
    #expect(readers.outcome(waiters[0]) == .staleWon("v"))
    core.advance(ms: 2_000)
    #expect(core.release("k", readers.token(waiters[0])))
    #expect(readers.outcome(waiters[1]) == .granted, "its window was over")
  }

  @Test("A stale value whose window ends with the lease is not shown to the promoted reader")
  func promotedAfterWindow() throws {
    core.set("k", "v", ttl: 60_000)
    core.delete("k")
    let (_, waiters) = try threeWait()
    core.advance(ms: 5_000)
    core.maintain()
    #expect(readers.outcome(waiters[0]) == .granted)
  }

  @Test("The promoted reader's lease has the length that it asked for, and is its connection's")
  func promotedLease() throws {
    let token = core.grant("k")
    let waiter = try #require(readers.wait("k", leaseMs: 77, holderID: 9))
    #expect(core.release("k", token))
    #expect(readers.answer(waiter)?.remainingMs == 77)
    core.advance(ms: 77)
    #expect(!core.isLive("k", readers.token(waiter)))
  }

  // MARK: A writer's hold

  @Test("A hold promotes nobody; the writer's value tells everybody")
  func hold() throws {
    let (token, waiters) = try threeWait()
    let writer = try #require(core.hold("k", ms: 1_000))
    #expect(readers.answered == 0)
    #expect(!core.isLive("k", token))
    #expect(readers.wait("k") != nil, "others come to wait for the writer")
    #expect(core.fill("k", writer, "new") == .stored)
    expectAllTold(waiters, .hit("new"))
  }

  @Test(
    "The end of a hold promotes the first: by delete with the token, release, deadline, disconnect, or a plain delete", arguments: 0..<5)
  func holdEnds(way: Int) throws {
    let (token, waiters) = try threeWait()
    let writer = try #require(core.hold("k", ms: 1_000))
    switch way {
    case 0: #expect(core.delete("k", compare: writer) == .deleted)
    case 1: #expect(core.release("k", writer))
    case 2:
      core.advance(ms: 1_000)
      core.maintain()
    case 3: #expect(core.disconnect("k", writer))
    default: #expect(core.delete("k") == .deleted)
    }
    #expect(!core.isLive("k", writer))
    expectFirstPromoted(waiters, token)
  }
}
