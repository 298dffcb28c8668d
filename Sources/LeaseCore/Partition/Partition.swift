/// One partition of the store. Lock, do one thing, unlock; never two at a time, and no system call in between.
/// Everything but `lock` and `unlock` needs the lock held. Sendable: the lock guards the state behind the pointer.
public struct Partition: @unchecked Sendable {
  let state: UnsafeMutablePointer<PartitionState>
  private static let stateOffset = 64

  /// In front of the state, not in it: a call that changes the state has all of it for itself.
  @inline(__always)
  private var latch: UnsafeMutablePointer<PartitionLock> {
    (UnsafeMutableRawPointer(state) - Self.stateOffset).assumingMemoryBound(to: PartitionLock.self)
  }

  /// Takes the state over.
  init(_ initial: consuming PartitionState) {
    let bytes = Self.stateOffset + MemoryLayout<PartitionState>.size
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: Self.stateOffset)
    memory.bindMemory(to: PartitionLock.self, capacity: 1).initialize(to: PartitionLock())
    state = (memory + Self.stateOffset).bindMemory(to: PartitionState.self, capacity: 1)
    state.initialize(to: initial)
    state.pointee.publishTable()
  }

  /// Only when no other thread knows the partition any more.
  func free() {
    state.pointee.destroy()
    state.deinitialize(count: 1)
    latch.deinitialize(count: 1)
    UnsafeMutableRawPointer(latch).deallocate()
  }

  public func lock() { latch.pointee.lock() }

  /// Whom this concerns is told after the lock is free again: telling takes system calls.
  public func unlock() {
    if state.pointee.hasNews { return unlockAndTell() }
    latch.pointee.unlock()
  }

  @inline(never)
  private func unlockAndTell() {
    let number = state.pointee.number
    let shared = state.pointee.shared
    var lanes = state.pointee.firedLanes
    // From the unlocking on a lane is its worker's alone.
    var fired: [FiredLane] = []
    while let lane = lanes {
      lanes = lane.pointee.next
      lane.pointee.next = nil
      fired.append(FiredLane(lane))
    }
    let deadlineMs = state.pointee.earlierDeadlineMs
    state.pointee.firedLanes = nil
    state.pointee.earlierDeadlineMs = .max
    state.pointee.hasNews = false
    latch.pointee.unlock()
    if deadlineMs != .max { shared.onEarlierDeadline?(number, deadlineMs) }
    for lane in fired { shared.onAnswer?(lane) }
  }

  /// The common path: a fresh value (with client flags and version), counted as get hit or miss, access noted. False: a miss for a classic
  /// reader. O(1).
  public func readFresh(_ key: CacheKey, nowMs: Milliseconds, into item: inout ItemView) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.readFresh(key, into: &item)
  }

  /// As `readPlain`, for a reader that asks for no more than value, client flags and version. O(1).
  public func readValue(_ key: CacheKey, nowMs: Milliseconds, wantsLease: Bool = false, into item: inout ItemView) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.readValue(key, wantsLease: wantsLease, into: &item)
  }

  /// A fresh value that nothing is to be said about but itself: counted as a hit. False, and nothing counted: ask `read`. O(1).
  /// `wantsLease`: the reader asks for one, so where values are refreshed ahead there is more to say.
  public func readPlain(_ key: CacheKey, nowMs: Milliseconds, wantsLease: Bool = false, into item: inout ItemView) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.readPlain(key, wantsLease: wantsLease, into: &item)
  }

  /// Everything else that reads. O(1), O(log leases) where a lease is granted.
  public func read(_ key: CacheKey, nowMs: Milliseconds, _ options: ReadOptions, into result: inout ReadResult) {
    state.pointee.begin(nowMs)
    state.pointee.read(key, options, into: &result)
  }

  /// O(value); O(segment) when room has to be made.
  public func store(_ key: CacheKey, nowMs: Milliseconds, _ request: StoreRequest) -> StoreResult {
    state.pointee.begin(nowMs)
    return state.pointee.store(key, request)
  }

  public func delete(_ key: CacheKey, nowMs: Milliseconds, _ request: DeleteRequest) -> DeleteStatus {
    state.pointee.begin(nowMs)
    return state.pointee.delete(key, request)
  }

  /// Fresh values and those marked stale only. False: not found.
  public func touch(_ key: CacheKey, nowMs: Milliseconds, _ expiry: Expiry) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.touch(key, expiry)
  }

  public func arithmetic(_ key: CacheKey, nowMs: Milliseconds, _ request: ArithmeticRequest) -> ArithmeticResult {
    state.pointee.begin(nowMs)
    return state.pointee.arithmetic(key, request)
  }

  // MARK: Leases

  /// The lease ends so many milliseconds from now. False: no such lease.
  public func leaseExtend(_ key: CacheKey, nowMs: Milliseconds, token: UInt64, byMs: UInt64) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.leaseExtend(key, token: token, byMs: byMs)
  }

  public func leaseRelease(_ key: CacheKey, nowMs: Milliseconds, token: UInt64) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.leaseRelease(key, token: token)
  }

  /// Ends every lease on the key, whoever holds it; who waits is promoted. Returns how many leases that were.
  public func leaseRevoke(_ key: CacheKey, nowMs: Milliseconds) -> Int {
    state.pointee.begin(nowMs)
    return state.pointee.leaseRevoke(key)
  }

  /// Readers get the message (its first 1,024 bytes) for that long.
  public func leaseFail(_ key: CacheKey, nowMs: Milliseconds, token: UInt64, forMs: UInt64, message: UnsafeRawBufferPointer) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.leaseFail(key, token: token, forMs: forMs, message: message)
  }

  public func leasePass(_ key: CacheKey, nowMs: Milliseconds, token: UInt64, forMs: UInt64) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.leasePass(key, token: token, forMs: forMs)
  }

  /// False: no such lease, or no value to keep.
  public func leaseKeep(_ key: CacheKey, nowMs: Milliseconds, token: UInt64, expiry: Expiry) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.leaseKeep(key, token: token, expiry: expiry)
  }

  /// The writer's token, or nil when another writer holds the key or the table is full.
  public func leaseHold(_ key: CacheKey, nowMs: Milliseconds, forMs: UInt64, holderID: UInt64) -> UInt64? {
    state.pointee.begin(nowMs)
    return state.pointee.leaseHold(key, forMs: forMs, holderID: holderID)
  }

  /// A connection closed: the lease that it held under this token ends as released. True when there was one.
  public func disconnectHolder(hash: UInt64, token: UInt64, nowMs: Milliseconds) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.disconnectHolder(hash: hash, token: token)
  }

  /// Whether the token still is a live lease (a connection forgets the dead ones from time to time).
  public func isLive(hash: UInt64, token: UInt64, nowMs: Milliseconds) -> Bool {
    state.pointee.begin(nowMs)
    guard let record = state.pointee.leases.find(hash: hash, token: token), let settled = state.pointee.settle(record),
      let grant = settled.liveGrant(token: token)
    else { return false }
    return grant.pointee.deadlineMs > nowMs
  }

  // MARK: Waiting

  /// Right after a `read` that found the key owed, under the same lock: the reader waits, for so long at most, until the store answers it by
  /// `Store.onAnswer`. False: too many wait already, or there is nothing to wait for. O(workers).
  public func park(_ key: CacheKey, nowMs: Milliseconds, _ waiter: WaiterPointer, waitMs: UInt64) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.park(key, waiter, waitMs: waitMs)
  }

  /// Whether a lease on the key is this connection's.
  public func isHeld(_ key: CacheKey, nowMs: Milliseconds, by holderID: UInt64) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.look(key).record?.holds(holderID) ?? false
  }

  /// The waiter leaves, and `result` says what it is told. False: it was answered already, and is its worker's to find in its lane. O(1).
  public func endWait(_ waiter: WaiterPointer, nowMs: Milliseconds, _ end: WaitEnd, into result: inout ReadResult) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.endWait(waiter, end, into: &result)
  }

  /// Where gets are coalesced: what a reader without lease options that missed is to do.
  public func joinFetch(_ key: CacheKey, nowMs: Milliseconds, holderID: UInt64) -> FetchRole {
    state.pointee.begin(nowMs)
    return state.pointee.joinFetch(key, holderID: holderID)
  }

  // MARK: Looking without touching

  /// Without counting or access: for `me`, `metaget`.
  public func describe(_ key: CacheKey, nowMs: Milliseconds, into description: inout ItemDescription) -> Bool {
    state.pointee.begin(nowMs)
    let look = state.pointee.look(key)
    guard look.isItem, let found = look.found else { return false }
    state.pointee.describe(found, into: &description)
    return true
  }

  /// Walks the items that readers can see, in batches of about `limit`; `cursor` starts at 0; false at the end.
  /// Items that move meanwhile may be missed or seen twice.
  public func walk(_ cursor: inout UInt64, limit: Int, nowMs: Milliseconds, _ body: (ItemDescription) -> Void) -> Bool {
    state.pointee.begin(nowMs)
    return state.pointee.walk(&cursor, limit: limit, body)
  }

  // MARK: Upkeep

  /// Frees what has expired, ends leases whose time is over. Returns when it next has something to do (`.max`: nothing).
  public func maintain(nowMs: Milliseconds) -> Milliseconds {
    state.pointee.begin(nowMs)
    return state.pointee.maintain()
  }

  /// Makes everything absent now and forgets all leases. O(segments + leases).
  public func flush(nowMs: Milliseconds) {
    state.pointee.begin(nowMs)
    state.pointee.dropAllItems()
    state.pointee.voidEverything()
  }

  /// Gives memory back until the budget is met, after its limit was lowered. False: nothing left to give.
  func shrink(nowMs: Milliseconds) -> Bool { state.pointee.evictForBudget(nowMs: nowMs) }

  @inline(__always)
  func prefetchItem(hash: UInt64) { state.pointee.prefetchItem(hash: hash) }

  public var counters: Counters {
    get { state.pointee.counters }
    nonmutating set { state.pointee.counters = newValue }
  }

  public var usage: Usage { state.pointee.usage }
}
