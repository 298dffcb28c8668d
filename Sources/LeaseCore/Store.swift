import CIntrinsics

/// What a store is made of.
public struct StoreConfiguration: Sendable {
  public var memoryBytes = 64 << 20
  public var largestValueBytes = 1 << 20
  /// False: a write that finds no room is refused instead of evicting.
  public var evicts = true
  /// Rounded up to a power of two, and lowered for small memories: a partition has at least 4 MB.
  public var partitions = 8
  public var leaseMs: UInt64 = 10_000
  public var staleWindowMs: UInt64 = 10_000
  public var grantIntervalMs: UInt64 = 0
  public var maxLeases = 1_000_000
  public var holders = 1
  /// Longer waits are cut to it.
  public var longestWaitMs: UInt64 = 30_000
  public var maxWaiters = 1_000_000
  public var maxWaitersPerKey = 65_536
  /// Memory for copies of values that waiters have not been sent yet.
  public var waiterCopyBytes = 64 << 20
  public var coalesceGetsMs: UInt64 = 0
  /// For writes that bring no grace.
  public var graceMs: UInt64 = 0
  /// Meta readers that want a lease win one when less than this is left; 0: only when they say so.
  public var refreshAheadMs: UInt64 = 0
  /// Seeds the hash, the eviction's dice and the first version. Tests set it; the server draws it.
  public var seed: UInt64 = 0
  #if DEBUG
    package var brokenRule: BrokenRule?
  #endif
  public init() {}
}

/// The cache: partitions cut by key hash over one memory budget. Thread-safe: each partition is used under its lock.
/// Invariant: the partitions never change after `init`.
public final class Store: Sendable {
  public let configuration: StoreConfiguration
  private let budget: MemoryBudget
  private let shared: SharedState
  private let partitions: [Partition]
  private let partitionMask: Int
  let policyBook = Guarded(PolicyBook())

  /// Nil: the memory cannot be reserved, or is below 1 MB.
  public init?(_ configuration: StoreConfiguration) {
    guard configuration.memoryBytes >= 1 << 20 else { return nil }
    self.configuration = configuration
    var count = 1
    while count < configuration.partitions, configuration.memoryBytes / (count * 2) >= 4 << 20 { count *= 2 }
    partitionMask = count - 1
    // About 128 segments in a partition: two half-empty ones for each class of times to live do not matter.
    var segmentBytes = 8 << 10
    while segmentBytes < 256 << 10, configuration.memoryBytes / count / (segmentBytes * 2) >= 128 { segmentBytes *= 2 }
    guard
      let budget = MemoryBudget(
        limitBytes: configuration.memoryBytes, segmentBytes: segmentBytes, mostWaiterCopyBytes: configuration.waiterCopyBytes)
    else {
      return nil
    }
    self.budget = budget
    let settings = LeaseSettings(
      leaseMs: configuration.leaseMs, staleWindowMs: configuration.staleWindowMs, grantIntervalMs: configuration.grantIntervalMs,
      maxLeases: configuration.maxLeases, holders: configuration.holders, longestWaitMs: configuration.longestWaitMs,
      coalesceGetsMs: configuration.coalesceGetsMs, graceMs: configuration.graceMs, refreshAheadMs: configuration.refreshAheadMs)
    largestInlineBytes = segmentBytes / 2 - 512
    shared = SharedState(
      partitions: count, seed: configuration.seed, leaseSettings: settings,
      limits: WaiterLimits(waiters: configuration.maxWaiters, waitersPerKey: configuration.maxWaitersPerKey),
      largestValueBytes: configuration.largestValueBytes,
      largestInlineBytes: largestInlineBytes)
    #if DEBUG
      shared.brokenRule = configuration.brokenRule
    #endif
    var partitions: [Partition] = []
    for number in 0..<count {
      let segments = configuration.memoryBytes / count / segmentBytes
      guard
        let state = PartitionState(
          number: number, budget: budget, shared: shared, segments: segments, evicts: configuration.evicts, seed: configuration.seed)
      else { return nil }
      partitions.append(Partition(state))
    }
    self.partitions = partitions
  }

  deinit {
    for partition in partitions { partition.free() }
    freePolicies()
    budget.drainDropped()
  }

  var defaultSettings: LeaseSettings { shared.leaseSettings }
  var newestGeneration: UInt64 { shared.newestGeneration }
  func setCoalescesGets(_ isOn: Bool) { shared.coalescesGets.store(isOn, ordering: .relaxed) }
  var policySeed: UInt64 { shared.hashSeed }

  public var partitionCount: Int { partitions.count }
  public func partition(_ index: Int) -> Partition { partitions[index] }
  @inline(__always) public func partitionIndex(hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> 48) & partitionMask }
  public func partition(hash: UInt64) -> Partition { partitions[partitionIndex(hash: hash)] }
  public func hash(_ bytes: UnsafeRawPointer, count: Int) -> UInt64 { hashBytes(bytes, count: count, seed: shared.hashSeed) }

  /// First the bucket (as soon as the hash is known), some requests later the item: a pipelined batch hides both cache misses.
  public func prefetchBucket(hash: UInt64) {
    if let address = shared.published[partitionIndex(hash: hash)].bucketAddress(hash: hash) { memlease_prefetch(address) }
  }

  public func prefetchItem(hash: UInt64) {
    let partition = partition(hash: hash)
    partition.lock()
    partition.prefetchItem(hash: hash)
    partition.unlock()
  }

  /// Values above this many bytes must come through `reserveLarge`; values up to it must not.
  public let largestInlineBytes: Int

  /// Memory for a large value, taken from the budget by evicting if need be: the connection receives into it.
  /// Nil: does not fit. Call without any partition's lock. Owned by the caller until stored or released.
  public func reserveLarge(count: Int) -> LargeValue? {
    guard count <= configuration.largestValueBytes else { return nil }
    if let value = LargeValue(count: count, budget: budget) { return value }
    var value: LargeValue?
    shrinkPartitions {
      value = LargeValue(count: count, budget: budget)
      return value != nil
    }
    return value
  }

  /// Takes memory back, each time from the partition that holds most, until there is enough or nobody has anything left to give.
  private func shrinkPartitions(until isEnough: () -> Bool) {
    var hasMore = Array(repeating: true, count: partitions.count)
    while let richest = partitions.indices.filter({ hasMore[$0] }).max(by: { partitions[$0].heldBytes < partitions[$1].heldBytes }) {
      hasMore[richest] = partitions[richest].locked { $0.shrink(nowMs: 0) }
      budget.drainDropped()
      if isEnough() { return }
    }
  }

  /// Asks again for an append or prepend that said `wantedLargeBytes`. Call without any partition's lock. Meanwhile others may change the
  /// value's size, so it takes more than one try; eight times in a row they do not.
  public func storeJoined(_ key: CacheKey, nowMs: Milliseconds, _ request: StoreRequest, wantedBytes: Int) -> StoreResult {
    var request = request
    var result = StoreResult()
    result.status = .outOfMemory
    result.wantedLargeBytes = wantedBytes
    var attempts = 0
    while result.wantedLargeBytes > 0, attempts < 8, let joined = reserveLarge(count: result.wantedLargeBytes) {
      attempts += 1
      request.joined = joined
      result = partition(hash: key.hash).locked { $0.store(key, nowMs: nowMs, request) }
      joined.release()
    }
    if result.wantedLargeBytes > 0 { partition(hash: key.hash).locked { $0.counters.storeNoMemory &+= 1 } }
    return result
  }

  /// Frees large values that the store dropped; call after unlocking, from any thread. Cheap when there is nothing.
  @inline(__always) public func drainDropped() { budget.drainDropped() }

  /// cache_memlimit. False: too small, or no address space.
  public func setMemoryLimit(bytes: Int) -> Bool {
    let ownBytes = partitions.count * PartitionState.ownSegments * budget.segmentBytes
    guard bytes >= max(1 << 20, 2 * ownBytes), budget.setLimit(bytes: bytes) else { return false }
    if budget.usedBytes > budget.limitBytes { shrinkPartitions { budget.usedBytes <= budget.limitBytes } }
    return true
  }

  public var memoryLimitBytes: Int { budget.limitBytes }
  /// Segments, index tables and large values in use.
  public var memoryUsedBytes: Int { budget.usedBytes }
  public var segmentBytes: Int { budget.segmentBytes }

  /// Called after a partition was unlocked that needs `maintain` earlier than it last returned. Set it before the first request.
  public func onEarlierDeadline(_ body: @escaping @Sendable (_ partition: Int, _ atMs: Milliseconds) -> Void) {
    shared.onEarlierDeadline = body
  }

  /// Called after a partition was unlocked, once for each lane of waiters that was answered meanwhile. Set it before the first request.
  public func onAnswer(_ body: @escaping @Sendable (FiredLane) -> Void) { shared.onAnswer = body }

  /// Whether a plain get may have to wait for another's fetch.
  public var coalescesGets: Bool { shared.coalescesGets.load(ordering: .relaxed) }

  /// Copies of values that waiters have not been sent yet.
  public var waiterCopyBytes: Int { budget.usedWaiterCopyBytes }

  /// Readers that wait now.
  public var waiterCount: Int { shared.waiterCount.load(ordering: .relaxed) }

  /// Called with a partition's lock held for every item that is evicted while `watchEvictions(true)`. Set it before the first request.
  public func onEviction(_ body: @escaping @Sendable (ItemDescription) -> Void) { shared.onEviction = body }
  public func watchEvictions(_ isWatched: Bool) { shared.isEvictionWatched.store(isWatched, ordering: .relaxed) }

  public var counters: Counters { partitions.reduce(into: Counters()) { sum, partition in sum += partition.locked { $0.counters } } }
  public var usage: Usage { partitions.reduce(into: Usage()) { sum, partition in sum += partition.locked { $0.usage } } }
  public func resetCounters() { for partition in partitions { partition.locked { $0.resetCounters() } } }

  /// Memory that is not under `-m`: one spare segment a partition, segment descriptions, lease records. For `stats`.
  public var fixedOverheadBytes: Int {
    partitions.reduce(0) { sum, partition in sum + partition.locked { $0.state.pointee.overheadBytes } }
  }
}

extension Partition {
  /// Memory in segments and large values. Takes the lock.
  fileprivate var heldBytes: Int { locked { $0.state.pointee.heldBytes } }

  /// Runs the body under the lock.
  public func locked<R>(_ body: (Partition) -> R) -> R {
    lock()
    defer { unlock() }
    return body(self)
  }
}
