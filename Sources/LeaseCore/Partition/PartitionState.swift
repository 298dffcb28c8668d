import Synchronization

/// All that one partition owns, flat behind one pointer.
/// Invariant: touched only under the partition's lock; `items` is the number of slots in the index; every live item is in exactly one slot.
struct PartitionState: ~Copyable {
  /// Makes the type address-only: without it every call of a method that is not inlined copies the whole struct.
  private let passedByAddress = Atomic<Bool>(false)
  let number: Int
  let budget: MemoryBudget
  let shared: SharedState
  let segmentBytes: Int
  let classes: TimeClasses
  let evicts: Bool
  /// This partition's part of the memory, as long as nobody changes the limit.
  let fairBytes: Int
  let hashSeed: UInt64

  // Index.
  var table: BucketTable
  /// The table that `table` is being filled from; homes below `migrated` have moved.
  var oldTable: BucketTable?
  var migrated = 0
  var items = 0
  /// Counts what makes a `Found` invalid: items removed or moved, slots moved.
  var moves: UInt64 = 0
  /// Those that a delete or a hold keeps as stale: no items to memcached's readers.
  var keptItems = 0

  // Segments, by number; `openSegments` (for what is written) and `keptSegments` (for what eviction keeps) by class, -1: none.
  var segments: UnsafeMutablePointer<Segment>
  var segmentCapacity: Int
  var segmentCount = 0
  var freeNumbers: [Int32] = []
  var openSegments: [Int32]
  var keptSegments: [Int32]
  var heldSegments = 0
  /// Free segments that stay with the partition: it can always write by evicting its own, whatever large values the others hold.
  var ownFree: [UnsafeMutableRawPointer] = []
  static let ownSegments = 4
  var nextSequence: UInt64 = 0
  /// Outside the budget: eviction copies what it keeps into it.
  var spareMemory: UnsafeMutableRawPointer

  /// Nil: there are none.
  var policies: UnsafeMutablePointer<PolicyTable>?
  /// Whether any key's readers win refresh leases without asking for them.
  var refreshesAhead: Bool
  /// Number of the last flush by prefix.
  var flushSerial: UInt32 = 0
  /// The next of the lease table's chains to be looked through after a flush.
  var nextSweptChain: Int?
  /// The next segment to be looked through after a flush; past the last one: none.
  var nextSweptSegment = Int.max
  /// When the values that a flush left as stale are all over.
  var sweepAgainAtMs: Milliseconds = .max

  var leases: LeaseTable
  /// Readers that wait here now.
  var waiters = 0
  var nextWaiterSequence: UInt32 = 0
  // What `unlock` tells others: lanes to be answered, and an earlier time for `maintain`.
  var hasNews = false
  var firedLanes: LanePointer?
  var earlierDeadlineMs: Milliseconds = .max
  var dice: Dice
  /// The block of numbers that tokens and stored versions come from.
  var nextNumber: UInt64 = 0
  var lastNumber: UInt64 = 0
  /// The time of the last call, and when `maintain` has something to do next.
  var nowMs: Milliseconds = 0
  var nextMaintenanceMs: Milliseconds = .max
  var counters = Counters()
  /// Evicted items by time class.
  var evictedByClass = [UInt64](repeating: 0, count: TimeClasses.most)
  var largeValues = 0
  var largeBytes = 0
  /// Large values that were just written, and those that eviction kept.
  var freshLarge = LargeQueue()
  var keptLarge = LargeQueue()

  init?(number: Int, budget: MemoryBudget, shared: SharedState, segments segmentsPerPartition: Int, evicts: Bool, seed: UInt64) {
    self.number = number
    self.budget = budget
    self.shared = shared
    segmentBytes = budget.segmentBytes
    classes = TimeClasses(segments: segmentsPerPartition)
    self.evicts = evicts
    fairBytes = segmentsPerPartition * budget.segmentBytes
    hashSeed = shared.hashSeed
    guard let table = BucketTable(buckets: pageBytes / BucketTable.bucketBytes, budget: budget) else { return nil }
    guard let spare = budget.mapSpare() else { return nil }
    for _ in 0..<Self.ownSegments {
      if let memory = budget.takeSegment() { ownFree.append(memory) }
    }
    self.table = table
    spareMemory = spare
    segmentCapacity = max(16, segmentsPerPartition + 2)
    segments = .allocate(capacity: segmentCapacity)
    openSegments = Array(repeating: -1, count: classes.count)
    keptSegments = openSegments
    leases = LeaseTable(settings: shared.leaseSettings)
    refreshesAhead = shared.leaseSettings.refreshAheadMs > 0
    dice = Dice(seed: seed &+ UInt64(number) &* 0x9e37_79b9_7f4a_7c15)
  }

  /// What the partition takes of the budget, but for its index.
  var heldBytes: Int { heldSegments * segmentBytes + largeBytes }

  /// What the partition takes beside the budget.
  var overheadBytes: Int {
    segmentBytes + segmentCapacity * MemoryLayout<Segment>.stride + leases.memoryBytes + MemoryLayout<PartitionState>.size
  }

  /// Frees everything; only when no other thread knows the partition any more.
  mutating func destroy() {
    dropAllItems()
    leases.removeAll(counter: shared)
    leases.destroy()
    table.unmap(budget: budget)
    segments.deallocate()
  }

  /// The next number that was never given: a lease token or the version of an item that is not named by its place.
  mutating func takeNumber() -> UInt64 {
    if nextNumber == lastNumber {
      nextNumber = shared.takeGeneration() << 16
      lastNumber = nextNumber | 0xffff
    }
    nextNumber += 1
    return nextNumber
  }

  /// Asks for `maintain` at a time, if that is earlier than what is planned.
  @inline(__always)
  mutating func planMaintenance(atMs: Milliseconds) {
    if atMs < nextMaintenanceMs {
      nextMaintenanceMs = atMs
      earlierDeadlineMs = atMs
      hasNews = true
    }
  }
}
