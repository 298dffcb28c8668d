import LeaseCore

/// Readers that wait on a harness's store, and what they were told. On one thread: answers are noted as soon as the store gives them.
final class WaitingReaders {
  let core: CoreHarness
  private let log = AnswerLog()
  private var waiters: [WaiterPointer] = []
  private var keys: [TestKey] = []
  private var heap = WaiterHeap()

  init(_ core: CoreHarness) {
    self.core = core
    let log = log
    core.store.onAnswer { lane in
      guard let outcome = lane.outcome else { return }
      while let waiter = lane.takeFirst() { log.answers.append((waiter, Seen(outcome.result))) }
      lane.free()
    }
  }

  deinit {
    for index in waiters.indices where waiters[index].pointee.isParked { end(index, .disconnected) }
    for waiter in waiters { waiter.deallocate() }
  }

  /// `mg key Lw…` that finds the key owed. The reader's number; nil: it was not parked.
  func wait(
    _ key: TestKey, ms: UInt64 = 20_000, worker: Int = 0, holders: Int = 0, leaseMs: UInt64 = 0, holderID: UInt64 = 0,
    isPlain: Bool = false
  ) -> Int? {
    var options = ReadOptions()
    options.kind = .meta
    options.wantsLease = true
    options.knowsLeases = true
    options.freshOnly = true
    options.holders = holders
    options.leaseMs = leaseMs
    options.holderID = holderID
    let waiter = WaiterPointer.allocate(capacity: 1)
    waiter.initialize(to: Waiter(worker: worker, options: options, isPlain: isPlain))
    let isParked = core.with(key) { key, partition in
      var result = ReadResult()
      if !isPlain {
        partition.read(key, nowMs: core.nowMs, options, into: &result)
        guard result.status == .hotMiss || result.status == .passed else { return false }
      }
      return partition.park(key, nowMs: core.nowMs, waiter, waitMs: ms)
    }
    guard isParked else {
      waiter.deallocate()
      return nil
    }
    waiters.append(waiter)
    keys.append(key)
    heap.insert(waiter)
    return waiters.count - 1
  }

  /// What a reader was told; nil: it still waits.
  func answer(_ reader: Int) -> Seen? { log.answers.first { $0.waiter == waiters[reader] }?.seen }
  func outcome(_ reader: Int) -> Outcome? { answer(reader)?.outcome }
  /// The token of a promoted reader; 0: it was not promoted.
  func token(_ reader: Int) -> UInt64 { answer(reader)?.token ?? 0 }
  /// Those who were promoted, first come first.
  var promoted: [Int] { waiters.indices.filter { token($0) >= 2 } }
  var answered: Int { log.answers.count }

  /// What it is told on leaving; nil: it was answered before.
  @discardableResult
  func end(_ reader: Int, _ end: WaitEnd) -> Seen? {
    var result = ReadResult()
    heap.remove(waiters[reader])
    let isEnded = core.with(keys[reader]) { $1.endWait(waiters[reader], nowMs: core.nowMs, end, into: &result) }
    return isEnded ? Seen(result) : nil
  }

  /// The worker's timer: the readers whose wait is over now, the earliest first.
  func endDue() -> [Int] {
    var ended: [Int] = []
    while let waiter = heap.takeDue(nowMs: core.nowMs), let reader = waiters.firstIndex(of: waiter) {
      if end(reader, .timedOut) != nil { ended.append(reader) }
    }
    return ended
  }
}

/// Sendable: used on one thread.
private final class AnswerLog: @unchecked Sendable {
  var answers: [(waiter: WaiterPointer, seen: Seen)] = []
}

extension Seen {
  init(_ result: ReadResult) {
    self.init()
    status = result.status
    isStale = result.isStale
    isWon = result.isWon
    isOwed = result.isOwed
    token = result.token
    remainingMs = result.remainingMs
    version = result.item.version
    clientFlags = result.item.clientFlags
    expiry = result.item.expiry
    let start = result.item.value ?? result.item.large.map { UnsafeRawPointer($0.bytes) }
    if result.status == .hit, let start { value = Array(UnsafeRawBufferPointer(start: start, count: result.item.count)) }
    if let start = result.messageBytes {
      message = String(decoding: UnsafeRawBufferPointer(start: start, count: result.messageCount), as: UTF8.self)
    }
  }
}
