/// Readers that wait: parked in the order in which they came, answered all at once, or promoted one for each lease that is lost.
extension PartitionState {
  // MARK: Parking

  /// The reader waits for this key. False: too many wait already, or nobody fetches.
  mutating func park(_ key: CacheKey, _ waiter: WaiterPointer, waitMs: UInt64) -> Bool {
    let settings = settings(for: key)
    let waitMs = min(waitMs, settings.longestWaitMs)
    guard waitMs > 0, let record = look(key).record, isOwed(record) else { return false }
    guard Int(record.pointee.waiterCount) < shared.limits.waitersPerKey else {
      counters.waitersRefusedByKey += 1
      return false
    }
    guard shared.waiterCount.load(ordering: .relaxed) < shared.limits.waiters else {
      counters.waitersRefusedInAll += 1
      return false
    }
    shared.waiterCount.wrappingAdd(1, ordering: .relaxed)
    waiters += 1
    waiter.pointee.deadlineMs = nowMs + waitMs + (breaks(.waiterPastDeadline) ? 1_000 : 0)
    waiter.pointee.sequence = nextWaiterSequence
    nextWaiterSequence &+= 1
    lane(of: record, worker: UInt16(waiter.pointee.worker)).append(waiter)
    record.pointee.waiterCount += 1
    counters.waitsParked += 1
    return true
  }

  /// Somebody fetches or writes, or the next lease has to wait for the grant interval.
  func isOwed(_ record: RecordPointer) -> Bool {
    record.pointee.outcome == .none && (record.liveGrants > 0 || record.pointee.nextGrantMs > nowMs)
  }

  private func lane(of record: RecordPointer, worker: UInt16) -> LanePointer {
    var lane = record.pointee.lanes
    while let current = lane {
      if current.pointee.workerNumber == worker { return current }
      lane = current.pointee.next
    }
    let new = LanePointer.make(worker: worker, record: record)
    new.pointee.next = record.pointee.lanes
    record.pointee.lanes = new
    return new
  }

  /// A reader leaves without an answer. False: it was answered; its lane is its worker's by now.
  mutating func endWait(_ waiter: WaiterPointer, _ end: WaitEnd, into result: inout ReadResult) -> Bool {
    guard let lane = waiter.pointee.lane, let record = lane.pointee.record else { return false }
    takeOut(waiter, of: lane, record)
    switch end {
    case .timedOut: counters.waitsTimedOut += 1
    case .cancelled: counters.waitsCancelled += 1
    case .disconnected: counters.waitsDisconnected += 1
    }
    result = ReadResult()
    if !waiter.pointee.isPlain {
      result.status = .hotMiss
      result.isOwed = true
      result.token = 1
      if record.lastDeadlineMs > nowMs { result.remainingMs = record.lastDeadlineMs - nowMs }
    }
    _ = refresh(record)
    return true
  }

  private mutating func takeOut(_ waiter: WaiterPointer, of lane: LanePointer, _ record: RecordPointer) {
    lane.unlink(waiter)
    record.pointee.waiterCount -= 1
    shared.waiterCount.wrappingSubtract(1, ordering: .relaxed)
    waiters -= 1
    if lane.pointee.first == nil { removeLane(lane, record) }
  }

  private func removeLane(_ lane: LanePointer, _ record: RecordPointer) {
    if record.pointee.lanes == lane {
      record.pointee.lanes = lane.pointee.next
    } else {
      var before = record.pointee.lanes
      while let current = before, current.pointee.next != lane { before = current.pointee.next }
      before?.pointee.next = lane.pointee.next
    }
    FiredLane(lane).free()
  }

  // MARK: Answering

  /// Everybody who waits is told the same. O(workers), however many wait.
  mutating func answerWaiters(_ record: RecordPointer, _ result: ReadResult) {
    guard record.pointee.lanes != nil else { return }
    let outcome = outcome(result)
    let count = UInt64(record.pointee.waiterCount)
    switch result.status {
    case .hit: counters.waitsFilled += count
    case .failed: counters.waitsFailed += count
    default: counters.waitsPassed += count
    }
    while let lane = record.pointee.lanes {
      record.pointee.lanes = lane.pointee.next
      fire(lane, outcome)
    }
    shared.waiterCount.wrappingSubtract(Int(count), ordering: .relaxed)
    waiters -= Int(count)
    record.pointee.waiterCount = 0
  }

  /// Without memory for a copy waiters are told to ask again; one that is promoted gets its token all the same.
  private mutating func outcome(_ result: ReadResult) -> WaitOutcome {
    if let outcome = WaitOutcome.keeping(result, budget) { return outcome }
    counters.answersWithoutValue += 1
    var short = ReadResult()
    short.status = result.isWon ? .granted : .hotMiss
    short.isWon = result.isWon
    short.isOwed = !result.isWon
    short.token = result.isWon ? result.token : 1
    short.remainingMs = result.remainingMs
    return WaitOutcome(short)
  }

  private mutating func fire(_ lane: LanePointer, _ outcome: WaitOutcome) {
    lane.pointee.record = nil
    lane.pointee.outcome = outcome
    lane.pointee.next = firedLanes
    firedLanes = lane
    hasNews = true
  }

  // MARK: Promotion

  /// For each lease that may be given out now, the first who waits gets it; nobody else is told. Called after every change of a record.
  mutating func promoteWaiters(_ record: RecordPointer) {
    guard record.pointee.outcome == .none, record.pointee.nextGrantMs <= nowMs, record.writer == nil else { return }
    while record.pointee.nextGrantMs <= nowMs, let waiter = nextToPromote(record) {
      promote(waiter, record)
      if breaks(.doublePromotion), let next = firstToWait(record) { promote(next, record) }
    }
  }

  /// The first whose own number of holders is not reached.
  private func nextToPromote(_ record: RecordPointer) -> WaiterPointer? {
    let live = record.liveGrants
    let holders = settings(of: record).holders
    var best: WaiterPointer?
    var lane = record.pointee.lanes
    while let current = lane {
      var waiter = current.pointee.first
      var looked = 0
      while let candidate = waiter, looked < LeaseSettings.mostPassedOver {
        // Coalesced gets wait for one of them, however many holders of leases there may be.
        let wanted = candidate.pointee.isPlain ? 1 : candidate.pointee.holders == 0 ? holders : Int(candidate.pointee.holders)
        if live < wanted {
          if best.map({ candidate.came(before: $0) }) ?? true { best = candidate }
          break
        }
        waiter = candidate.pointee.next
        looked += 1
      }
      lane = current.pointee.next
    }
    return best
  }

  private mutating func promote(_ waiter: WaiterPointer, _ record: RecordPointer) {
    guard let lane = waiter.pointee.lane else { return }
    takeOut(waiter, of: lane, record)
    let settings = settings(of: record)
    let asked = UInt64(waiter.pointee.leaseMs)
    let lengthMs = waiter.pointee.isPlain ? max(settings.coalesceGetsMs, 1) : asked == 0 ? settings.leaseMs : asked
    // The place of the lease that ended: not refused at the limit of leases, so past it there are at most as many as keys that are waited for.
    let token = giveLease(
      record, waiter.pointee.isPlain ? .filler : .reader, lengthMs: lengthMs, holderID: waiter.pointee.holderID, settings)
    var result = ReadResult()
    result.token = token
    if !waiter.pointee.isPlain {
      result.status = .granted
      result.isWon = true
      result.remainingMs = lengthMs
      let key = CacheKey(bytes: UnsafeRawPointer(record.key), count: Int(record.pointee.keyCount), hash: record.pointee.hash)
      if let found = find(key), isShownToWinner(found, record) {
        result.status = .hit
        result.isStale = true
        view(found, into: &result.item)
      }
    }
    counters.waitsPromoted += 1
    let single = LanePointer.make(worker: UInt16(waiter.pointee.worker), record: nil)
    single.append(waiter)
    fire(single, outcome(result))
  }

  /// A stale value, but not one that was kept for a window that is over.
  private func isShownToWinner(_ found: Found, _ record: RecordPointer) -> Bool {
    switch visibility(of: found) {
    case .staleMarked: true
    case .hiddenStale: !found.header.flags.contains(.isKeptStale) || record.pointee.staleUntilMs > nowMs
    case .fresh, .absent: false
    }
  }

  // MARK: Coalesced gets

  /// A reader without lease options missed where gets are coalesced.
  mutating func joinFetch(_ key: CacheKey, holderID: UInt64) -> FetchRole {
    let coalesceMs = settings(for: key).coalesceGetsMs
    guard coalesceMs > 0 else { return .none }
    let look = look(key)
    if look.visibility == .fresh { return .none }
    if let record = look.record {
      if record.pointee.outcome != .none { return .none }
      // Its own write would come behind its wait.
      if record.holds(holderID) { return .none }
      if isOwed(record) { return .waiter(waitMs: coalesceMs) }
    }
    guard let token = addGrant(key, look, .filler, lengthMs: coalesceMs, holderID: holderID) else { return .none }
    return .filler(token: token)
  }
}

/// What a plain reader that missed is to do.
public enum FetchRole: Equatable {
  /// A miss like any other.
  case none
  /// The miss is this reader's: its write answers those who come later. The token ends with its connection.
  case filler(token: UInt64)
  /// Another fetches: `park`.
  case waiter(waitMs: UInt64)
}
