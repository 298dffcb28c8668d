import LeaseCore

/// The schedule: what happens next, how time passes, upkeep, and the end.
extension Simulation {
  func perform(_ action: Action) {
    switch action {
    case .leaseRead: leaseRead(isRefresh: false)
    case .refreshRead: leaseRead(isRefresh: true)
    case .plainRead: plainRead()
    case .leaseGet: leaseGet()
    case .fill: fill(isLate: false)
    case .lateFill: fill(isLate: true)
    case .extend: extendLease()
    case .release: random.oneIn(2) ? releaseLease() : deleteByToken()
    case .fail: failLease()
    case .pass: passLease()
    case .keep: keepLease()
    case .crash: crash()
    case .useDeadToken: useDeadToken()
    case .commit: commit()
    case .delete: delete()
    case .markStale: markStale()
    case .hold: hold()
    case .plainWrite: plainWrite()
    case .casRead: casRead()
    case .casWrite: casWrite()
    case .increment: increment()
    case .append: append()
    case .touch: touch()
    case .flush: if random.oneIn(6) { flush() }
    case .flushPrefix: if random.oneIn(3) { flushPrefix() }
    case .cancel: cancel()
    case .close: close()
    case .deliverOne: deliver(all: false)
    case .deliverAll: deliver(all: true)
    case .runTimers: runTimers()
    case .pressure: if random.oneIn(3) { pressure() }
    case .upkeep: upkeep(random.below(store.partitionCount), isDueOnly: !random.oneIn(8))
    case .changePolicy: changePolicy()
    case .passTime: passTime()
    case .stepBack: note("the wall clock steps back: the time stays as it is")
    case .leap: if random.oneIn(4) { passTime(ms: 60_000 * UInt64(1 + random.below(5))) }
    }
  }

  // MARK: Time

  private func passTime() {
    switch random.below(8) {
    case 0, 1: passTime(ms: 1 + UInt64(random.below(4)))
    case 2, 3: passTime(ms: 1 + UInt64(random.below(60)))
    case 4: passTime(ms: 1 + UInt64(random.below(700)))
    case 5: passTime(ms: profile.store.leaseMs / 2)
    default: passToEvent()
    }
  }

  private func passTime(ms: UInt64) {
    nowMs += ms
    note("\(ms) ms pass")
  }

  /// To the millisecond at which something is due, or the one before or after it.
  private func passToEvent() {
    let event: Milliseconds =
      switch random.below(3) {
      case 0: workers[random.below(workers.count)].heap.earliestMs
      case 1: upkeepMs[random.below(upkeepMs.count)]
      default: keys[anyKey()].nextEventMs
      }
    guard event > nowMs, event < nowMs + 100_000 else { return passTime(ms: 1) }
    passTime(ms: max(1, event - nowMs &+ UInt64(random.below(3))) - 1)
  }

  // MARK: Upkeep

  func upkeep(_ partition: Int, isDueOnly: Bool) {
    if isDueOnly, upkeepMs[partition] > nowMs { return }
    begin(partition: partition)
    var rounds = 0
    upkeepMs[partition] = .max
    var nextMs: Milliseconds
    repeat {
      nextMs = store.partition(partition).locked { $0.maintain(nowMs: handedMs) }
      rounds += 1
    } while nextMs <= partitionMs[partition] && rounds < 20
    upkeepMs[partition] = nextMs
    note("upkeep of partition \(partition), the next is due at \(nextMs == .max ? 0 : nextMs - Self.startMs)")
    for key in keys.indices where keys[key].partition == partition { settle(key) }
    verifyAll(partition)
    store.drainDropped()
  }

  // MARK: The end

  /// Nobody asks any more. Everyone who waits is answered, and when the time has passed nothing is left.
  func drain() {
    note("the end")
    let closesAll = random.oneIn(2)
    if closesAll { closeEverything() }
    for worker in workers.indices where workers[worker].closing >= 0 { finishClosing(worker) }
    var rounds = 0
    while failure == nil, rounds < 2_000 {
      rounds += 1
      for worker in workers.indices {
        while !workers[worker].inbox.isEmpty, failure == nil { deliverNext(worker) }
        if failure == nil { runTimers(worker) }
      }
      for partition in 0..<store.partitionCount where upkeepMs[partition] <= nowMs && failure == nil {
        upkeep(partition, isDueOnly: true)
      }
      if failure == nil { checkTotals() }
      let isQuiet = waiters.isEmpty && store.usage.leaseRecords == 0 && workers.allSatisfy { $0.inbox.isEmpty }
      if isQuiet {
        return expect(store.waiterCopyBytes == 0, .leftOver, "\(store.waiterCopyBytes) bytes of copies for waiters are left")
      }
      let nextMs = min(upkeepMs.min() ?? .max, workers.reduce(.max) { min($0, $1.heap.earliestMs) })
      if nextMs == .max { break }
      nowMs = max(nowMs + 1, nextMs)
    }
    expect(waiters.isEmpty, .leftOver, "\(counts.waiting) still wait, or were never told")
    expect(store.usage.leases == 0, .leftOver, "\(store.usage.leases) leases are left")
    expect(store.usage.leaseRecords == 0, .leftOver, "\(store.usage.leaseRecords) lease records are left")
  }

  private func closeEverything() {
    for connection in connections.indices where failure == nil {
      let worker = connections[connection].worker
      finishClosing(worker)
      workers[worker].closing = connection
      finishClosing(worker)
    }
  }

  private func finishClosing(_ worker: Int) {
    while workers[worker].closing >= 0, failure == nil { closeOn(worker) }
  }

  /// Takes everybody out of the store's lanes, so that it can be freed after a failure, too.
  func sweep() {
    for waiter in 0..<WaiterTable.most where waiters[waiter].state != .free {
      var result = ReadResult()
      let pointer = waiters.pointer(waiter)
      let isEnded = ask(waiters[waiter].key) { $1.endWait(pointer, nowMs: nowMs, .disconnected, into: &result) }
      if !isEnded, let lane = pointer.pointee.firedLane { lane.remove(pointer) }
    }
    for lane in mailbox.lanes + workers.flatMap(\.inbox) {
      while lane.takeFirst() != nil {}
      lane.free()
    }
  }
}
