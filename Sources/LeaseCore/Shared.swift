import Synchronization

/// The lease rules' times and bounds, the same for all partitions.
struct LeaseSettings: Sendable {
  var leaseMs: UInt64
  var staleWindowMs: UInt64
  var grantIntervalMs: UInt64
  let maxLeases: Int
  var holders: Int
  var longestWaitMs: UInt64
  /// How long a plain get waits for another's fetch; 0: it does not.
  var coalesceGetsMs: UInt64
  /// For writes that say nothing of grace.
  var graceMs: UInt64
  /// For meta readers that ask for a lease without saying when to refresh; 0: off.
  var refreshAheadMs: UInt64
  /// Nil: as the request says, which is what the server was started with.
  var plainWrites: PlainWrites? = nil
  /// No lease is longer than memcached's longest relative time.
  static let longestLeaseMs: UInt64 = 30 * 86_400_000
  static let longestMessageBytes = 1024
  /// Voided tokens that one key remembers; an older one is refused as unknown.
  static let mostVoidedTokens = 16
  /// Waiters of one lane that are passed over when each wants to share the key with fewer holders than there are.
  static let mostPassedOver = 256
}

/// How many may wait.
struct WaiterLimits: Sendable {
  let waiters: Int
  let waitersPerKey: Int
}

/// What the partitions share without a lock. Invariant: generations only grow, so no version or token is given twice.
final class SharedState: @unchecked Sendable {
  let hashSeed: UInt64
  let leaseSettings: LeaseSettings
  /// Outstanding leases of all partitions, and all records of the lease tables.
  let leaseCount = Atomic<Int>(0)
  let recordCount = Atomic<Int>(0)
  let waiterCount = Atomic<Int>(0)
  let limits: WaiterLimits
  /// Whether plain gets of any key wait for another's fetch.
  let coalescesGets: Atomic<Bool>
  let largestValueBytes: Int
  let largestInlineBytes: Int
  private let nextGeneration: Atomic<UInt64>
  /// One per partition; written under its lock, read by anyone for prefetching.
  let published: UnsafeMutablePointer<PublishedTable>
  private let partitions: Int
  /// Set once, before the first request.
  var onEarlierDeadline: (@Sendable (_ partition: Int, _ atMs: Milliseconds) -> Void)?
  /// Set once, before the first request.
  var onAnswer: (@Sendable (FiredLane) -> Void)?
  /// Set once, before the first request; called while `isEvictionWatched`.
  var onEviction: (@Sendable (ItemDescription) -> Void)?
  let isEvictionWatched = Atomic<Bool>(false)
  #if DEBUG
    /// Set once, before the first request.
    var brokenRule: BrokenRule?
  #endif

  init(partitions: Int, seed: UInt64, leaseSettings: LeaseSettings, limits: WaiterLimits, largestValueBytes: Int, largestInlineBytes: Int) {
    self.largestValueBytes = largestValueBytes
    self.largestInlineBytes = largestInlineBytes
    var dice = Dice(seed: seed ^ 0x5851_f42d_4c95_7f2d)
    hashSeed = dice.roll()
    self.leaseSettings = leaseSettings
    self.limits = limits
    coalescesGets = Atomic(leaseSettings.coalesceGetsMs > 0)
    self.partitions = partitions
    // Unpredictable, and with 2^46 more before versions would reach 2^63.
    nextGeneration = Atomic((dice.roll() >> 18) | 1 << 20)
    published = .allocate(capacity: partitions)
    for number in 0..<partitions { (published + number).initialize(to: PublishedTable()) }
  }

  deinit {
    published.deinitialize(count: partitions)
    published.deallocate()
  }

  /// 2^16 numbers that were never given: versions and tokens are a generation and 16 more bits.
  func takeGeneration() -> UInt64 {
    while true {
      let generation = nextGeneration.wrappingAdd(1, ordering: .relaxed).newValue
      // mcrouter's token map rewrites numbers whose upper half is this one.
      if generation >> 16 != 0x7ace_b00c { return generation }
      nextGeneration.wrappingAdd(1 << 16, ordering: .relaxed)
    }
  }

  /// Of everything that was taken so far.
  var newestGeneration: UInt64 { nextGeneration.load(ordering: .relaxed) }

  /// Above every number that was given so far.
  var newestNumber: UInt64 { nextGeneration.load(ordering: .relaxed) << 16 | 0xffff }
}

/// Where a partition's buckets are, for prefetching without its lock; may be out of date, which only prefetches in vain.
struct PublishedTable: ~Copyable {
  private let words = Atomic<UInt>(0)
  private let count = Atomic<UInt64>(0)

  func set(_ table: BucketTable) {
    words.store(UInt(bitPattern: table.words), ordering: .relaxed)
    count.store(UInt64(table.count), ordering: .relaxed)
  }

  @inline(__always)
  func bucketAddress(hash: UInt64) -> UnsafeRawPointer? {
    let home = ((hash & 0xffff_ffff) &* count.load(ordering: .relaxed)) >> 32
    return UnsafeRawPointer(bitPattern: words.load(ordering: .relaxed) &+ UInt(home) &* UInt(BucketTable.bucketBytes))
  }
}
