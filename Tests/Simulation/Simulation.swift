import LeaseCore

/// Clients, workers and one store under a seeded schedule with a virtual clock. Everything follows from the seed.
/// Invariant: after each step the model in `keys` and `waiters` says what the store must say, or `failure` is set.
public final class Simulation {
  public let seed: UInt64
  let profile: Profile
  let store: Store
  let mailbox = Mailbox()
  let trace: ((String) -> Void)?
  var random: SeededRandom
  public internal(set) var step = 0
  public internal(set) var failure: SimulationFailure?

  /// The true time; each worker's clock may lag behind it.
  var nowMs: Milliseconds
  /// The time that a request is handed to the store with.
  var handedMs: Milliseconds
  /// The latest time that each partition was handed.
  var partitionMs: [Milliseconds]
  /// When upkeep is due, as the store has said.
  var upkeepMs: [Milliseconds]
  /// Counts what happens, so that any two events have an order.
  var tick = 0

  var keys: [SimulatedKey] = []
  /// What holds for each key now, by its policy.
  var settings: [KeySettings] = []
  /// The policies by their prefixes' numbers: 0 is all keys', then each key's own.
  var policies: [Policy?]
  var values: [ValueFacts] = []
  var bytes = ValueBytes()
  var waiters = WaiterTable()
  /// Waiters that the store must have answered in this step, in that order.
  var expected: [Int] = []
  var workers: [SimulatedWorker]
  var connections: [SimulatedConnection] = []
  var nextConnectionID: UInt64 = 1
  var fetches: [Fetch] = []
  var plannedDeletes: [Int] = []
  var plannedCas: [PlannedCas] = []
  var ends: [UInt64: TokenEnd] = [:]
  var tokens: Set<UInt64> = []
  var deadTokens: [(key: Int, token: UInt64)] = []
  /// Lanes' waiters that were answered, but not delivered.
  public internal(set) var counts = WaitCounts()
  let fillers: FillerKeys
  private let names: UnsafeMutableRawPointer

  static let startMs: Milliseconds = 1_800_000_000_000

  /// `adjust` changes the store's configuration before it is made.
  public init?(seed: UInt64, trace: ((String) -> Void)? = nil, adjust: (inout StoreConfiguration) -> Void = { _ in }) {
    self.seed = seed
    self.trace = trace
    random = SeededRandom(seed: seed)
    var profile = Profile(seed: seed, &random)
    adjust(&profile.store)
    self.profile = profile
    guard let store = Store(profile.store) else { return nil }
    self.store = store
    nowMs = Self.startMs + UInt64(random.below(1_000))
    handedMs = nowMs
    partitionMs = Array(repeating: 0, count: store.partitionCount)
    upkeepMs = Array(repeating: .max, count: store.partitionCount)
    workers = Array(repeating: SimulatedWorker(), count: profile.workers)
    fillers = FillerKeys(store)
    settings = Array(repeating: KeySettings(profile.store), count: profile.keys)
    policies = Array(repeating: nil, count: profile.keys + 1)
    names = .allocate(byteCount: profile.keys * 8, alignment: 8)
    for number in 0..<profile.keys {
      let name = names + number * 8
      name.storeBytes(of: UInt64(0x3030_3030_2d79_656b) + UInt64(number) << 56, as: UInt64.self)
      let hash = store.hash(name, count: 8)
      keys.append(
        SimulatedKey(name: CacheKey(bytes: UnsafeRawPointer(name), count: 8, hash: hash), partition: store.partitionIndex(hash: hash)))
    }
    for worker in 0..<profile.workers {
      for _ in 0..<profile.connectionsPerWorker { connections.append(newConnection(worker)) }
    }
    let mailbox = mailbox
    store.onAnswer { mailbox.lanes.append($0) }
    store.onEarlierDeadline { partition, atMs in mailbox.noteUpkeep(partition, atMs) }
    mailbox.upkeepMs = Array(repeating: .max, count: store.partitionCount)
  }

  deinit {
    sweep()
    bytes.free()
    waiters.deallocate()
    fillers.free()
    names.deallocate()
  }

  /// Runs so many steps and lets everything come to rest. Nil: nothing went wrong.
  public func run(steps: Int) -> SimulationFailure? {
    note("\(profile.describe)")
    while step < steps, failure == nil {
      step += 1
      perform(profile.action(&random))
      checkTotals()
    }
    if failure == nil { drain() }
    return failure
  }

  func newConnection(_ worker: Int) -> SimulatedConnection {
    nextConnectionID += 1
    return SimulatedConnection(worker: worker, id: nextConnectionID)
  }

  // MARK: Saying what happens

  func note(_ text: @autoclosure () -> String) {
    if let trace, failure == nil { trace("\(step) +\(nowMs - Self.startMs): \(text())") }
  }

  func fail(_ invariant: Invariant, _ message: @autoclosure () -> String) {
    guard failure == nil else { return }
    let failure = SimulationFailure(seed: seed, step: step, invariant: invariant, message: message())
    self.failure = failure
    trace?("FAILED \(failure)")
  }

  @inline(__always)
  func expect(_ isTrue: Bool, _ invariant: Invariant, _ message: @autoclosure () -> String) {
    if !isTrue { fail(invariant, message()) }
  }

  // MARK: Asking the store

  /// A request is about to come: the tick moves on, and the worker's clock may lag by a few milliseconds.
  func begin(_ key: Int) {
    if keys[key].isRewritten {
      keys[key].isRewritten = false
      keys[key].touchedUntilMs = 0
    }
    begin(partition: keys[key].partition)
  }

  func begin(partition: Int) {
    tick += 1
    handedMs = random.oneIn(6) ? nowMs - UInt64(random.below(4)) : nowMs
    partitionMs[partition] = max(partitionMs[partition], handedMs)
    expected.removeAll(keepingCapacity: true)
  }

  /// The time as the key's partition has it.
  func timeMs(_ key: Int) -> Milliseconds { partitionMs[keys[key].partition] }

  /// Under the lock of the key's partition; unlocking delivers what the store has to say.
  func ask<Result>(_ key: Int, checksPromotion: Bool = true, _ body: (CacheKey, Partition) -> Result) -> Result {
    let partition = store.partition(keys[key].partition)
    partition.lock()
    defer {
      if checksPromotion { checkPromoted() }
      partition.unlock()
    }
    return body(keys[key].name, partition)
  }
}

/// How many waits there were, and how they ended, as the model counts them.
public struct WaitCounts: Sendable {
  public internal(set) var parked: UInt64 = 0, filled: UInt64 = 0, failed: UInt64 = 0, passed: UInt64 = 0, promoted: UInt64 = 0
  public internal(set) var timedOut: UInt64 = 0, cancelled: UInt64 = 0, disconnected: UInt64 = 0
  public init() {}
  var waiting: Int {
    Int(parked) - Int(filled) - Int(failed) - Int(passed) - Int(promoted) - Int(timedOut) - Int(cancelled) - Int(disconnected)
  }
}

extension WaitCounts {
  public static func += (sum: inout WaitCounts, other: WaitCounts) {
    sum.parked += other.parked
    sum.filled += other.filled
    sum.failed += other.failed
    sum.passed += other.passed
    sum.promoted += other.promoted
    sum.timedOut += other.timedOut
    sum.cancelled += other.cancelled
    sum.disconnected += other.disconnected
  }
}

extension Mailbox {
  func noteUpkeep(_ partition: Int, _ atMs: Milliseconds) { upkeepMs[partition] = min(upkeepMs[partition], atMs) }
}

/// Names of other keys, which fill the memory.
struct FillerKeys {
  static let most = 256
  private let names: UnsafeMutableRawPointer
  private let hashes: [UInt64]

  init(_ store: Store) {
    let names = UnsafeMutableRawPointer.allocate(byteCount: Self.most * 8, alignment: 8)
    hashes = (0..<Self.most).map { number in
      names.storeBytes(of: 0x2e2e_2e2e_2e2e_0000 | UInt64(number), toByteOffset: number * 8, as: UInt64.self)
      return store.hash(names + number * 8, count: 8)
    }
    self.names = names
  }

  func key(_ index: Int) -> CacheKey { CacheKey(bytes: UnsafeRawPointer(names + index * 8), count: 8, hash: hashes[index]) }
  func free() { names.deallocate() }
}

extension Profile {
  var describe: String {
    "holders \(store.holders), lease \(store.leaseMs), window \(store.staleWindowMs), interval \(store.grantIntervalMs), "
      + "longest wait \(store.longestWaitMs), coalesce \(store.coalesceGetsMs), writes \(plainWrites), leases \(store.maxLeases), "
      + "waiters \(store.maxWaiters)/\(store.maxWaitersPerKey), keys \(keys), workers \(workers), evicts \(store.evicts)"
  }
}
