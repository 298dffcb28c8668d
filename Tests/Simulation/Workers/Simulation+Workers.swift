import LeaseCore

/// The workers: answers, timers and closing connections, each when the schedule lets it run.
extension Simulation {
  // MARK: Answers

  /// One worker answers the next waiter in its inbox, or all of them.
  func deliver(all: Bool) {
    let worker = random.below(workers.count)
    guard workers[worker].closing < 0 else { return closeOn(worker) }
    while !workers[worker].inbox.isEmpty {
      deliverNext(worker)
      if !all { return }
    }
  }

  func deliverNext(_ worker: Int) {
    // Lanes of different keys may come in any order.
    let place = random.oneIn(3) ? random.below(workers[worker].inbox.count) : 0
    let lane = workers[worker].inbox[place]
    guard let pointer = lane.takeFirst() else {
      workers[worker].inbox.remove(at: place)
      return lane.free()
    }
    let waiter = waiters.index(pointer)
    workers[worker].heap.remove(pointer)
    guard waiters[waiter].state == .answered, waiters[waiter].worker == worker, let outcome = lane.outcome else {
      return fail(.answeredTwice, "waiter \(waiter) was delivered by worker \(worker)")
    }
    tick += 1
    let facts = waiters[waiter]
    note("waiter \(waiter) of key \(facts.key) is told \(facts.answer)")
    check(outcome.result, waiter)
    if facts.answer == .promoted {
      let shown = outcome.result.status == .hit ? serial(outcome.result.item, facts.key) : -1
      won(facts.key, facts.connection, outcome.result.token, shown: shown, facts.isPlain ? .filler : .reader)
    }
    waiters.give(waiter)
  }

  // MARK: Ends of waits

  func runTimers() {
    let worker = random.below(workers.count)
    guard workers[worker].closing < 0 else { return closeOn(worker) }
    runTimers(worker)
  }

  func runTimers(_ worker: Int) {
    let clockMs = random.oneIn(6) ? nowMs - UInt64(random.below(4)) : nowMs
    while let pointer = workers[worker].heap.takeDue(nowMs: clockMs) {
      let waiter = waiters.index(pointer)
      expect(waiters[waiter].state != .free, .answeredTwice, "a timer found waiter \(waiter), who has left")
      expect(waiters[waiter].deadlineMs <= clockMs, .wrongAnswer, "waiter \(waiter) timed out before its deadline")
      guard failure == nil else { return }
      if endWait(waiter, .timedOut) { waiters.give(waiter) }
    }
    for waiter in 0..<WaiterTable.most where waiters[waiter].state == .parked && waiters[waiter].worker == worker {
      expect(
        waiters[waiter].deadlineMs > clockMs, .waiterPastDeadline,
        "waiter \(waiter) of key \(waiters[waiter].key) was to wait until \(waiters[waiter].deadlineMs), its worker ran at \(clockMs)")
    }
  }

  /// False: it was answered before, and that is for the inbox.
  func endWait(_ waiter: Int, _ end: WaitEnd) -> Bool {
    let facts = waiters[waiter]
    let key = facts.key
    begin(key)
    var result = ReadResult()
    let isEnded = ask(key) { $1.endWait(waiters.pointer(waiter), nowMs: handedMs, end, into: &result) }
    note("waiter \(waiter) of key \(key) leaves, \(end): \(isEnded)")
    expect(isEnded == (facts.state == .parked), .answeredTwice, "waiter \(waiter) left: \(isEnded), it was \(facts.state)")
    if isEnded, facts.state == .parked {
      keys[key].parked.removeAll { $0 == waiter }
      switch end {
      case .timedOut: counts.timedOut += 1
      case .cancelled: counts.cancelled += 1
      case .disconnected: counts.disconnected += 1
      }
      let expectedStatus: ReadStatus = facts.isPlain ? .miss : .hotMiss
      expect(result.status == expectedStatus, .wrongAnswer, "waiter \(waiter) left with \(result.status)")
      promote(key)
    }
    verify(key)
    return isEnded
  }

  /// `mx`.
  func cancel() {
    guard let waiter = waiters.first(where: { workers[$0.worker].closing < 0 }) else { return }
    let start = random.below(WaiterTable.most)
    let chosen = (start..<WaiterTable.most).first { waiters[$0].state != .free && workers[waiters[$0].worker].closing < 0 } ?? waiter
    guard endWait(chosen, .cancelled) else { return }
    workers[waiters[chosen].worker].heap.remove(waiters.pointer(chosen))
    waiters.give(chosen)
  }

  // MARK: Closing connections

  /// A connection closes; its worker takes its waits and leases back one by one, while other workers run.
  func close() {
    guard let connection = anyConnection() else { return }
    note("connection \(connection) closes")
    workers[connections[connection].worker].closing = connection
    fetches.removeAll { $0.connection == connection && random.oneIn(2) }
  }

  /// One piece of the work of closing.
  func closeOn(_ worker: Int) {
    let connection = workers[worker].closing
    if let waiter = waiters.first(where: { $0.connection == connection }) { return closeWait(worker, waiter) }
    if let lease = connections[connection].leases.popLast() { return disconnect(lease.key, lease.token) }
    connections[connection] = newConnection(worker)
    workers[worker].closing = -1
  }

  private func closeWait(_ worker: Int, _ waiter: Int) {
    let pointer = waiters.pointer(waiter)
    let key = waiters[waiter].key
    let isEnded = endWait(waiter, .disconnected)
    guard failure == nil else { return }
    workers[worker].heap.remove(pointer)
    if !isEnded, let lane = pointer.pointee.firedLane {
      let token = lane.outcome?.result.token ?? 0
      lane.remove(pointer)
      if waiters[waiter].answer == .promoted { disconnect(key, token) }
    }
    waiters.give(waiter)
  }

  private func disconnect(_ key: Int, _ token: UInt64) {
    begin(key)
    let isKnown = leaseIndex(key, token) != nil
    if isKnown { settle(key) }
    let isTrue = ask(key) { $1.disconnectHolder(hash: $0.hash, token: token, nowMs: handedMs) }
    note("disconnect of token \(token) on key \(key): \(isTrue)")
    if let index = leaseIndex(key, token) {
      expect(isTrue, .validTokenRefused, "key \(key): token \(token) was not given back")
      release(key, index)
    } else if isTrue {
      failDead(key, token, "a disconnect")
    }
    verify(key)
  }
}
