/// The ways in which a lease ends. All of them come through here, so that waiters have one place to be told.
extension PartitionState {
  /// Ends what is over by now. Nil: nothing was left, and the record is gone.
  mutating func settle(_ record: RecordPointer) -> RecordPointer? {
    if record.pointee.flushSerial != flushSerial, settleFlush(record) == nil { return nil }
    if record.pointee.deadlineMs > nowMs { return record }
    var grant = record.pointee.grants
    while let current = grant {
      grant = current.pointee.next
      guard current.pointee.deadlineMs <= nowMs else { continue }
      if current.pointee.kind != .voided {
        counters.leaseExpired += 1
        loseHolder(record)
      }
      end(current, of: record)
    }
    if record.pointee.outcome != .none, record.pointee.outcomeUntilMs <= nowMs { clearOutcome(record) }
    if record.pointee.staleUntilMs <= nowMs {
      record.pointee.staleUntilMs = 0
      record.pointee.staleToken = 0
    }
    if record.pointee.nextGrantMs <= nowMs { record.pointee.nextGrantMs = 0 }
    return refresh(record)
  }

  /// After every change of a record: its deadline anew, or its end when nothing in it is of use.
  mutating func refresh(_ record: RecordPointer) -> RecordPointer? {
    if record.pointee.lanes != nil {
      if breaks(.lostWakeUp), record.liveGrants == 0, record.pointee.nextGrantMs <= nowMs { return record }
      promoteWaiters(record)
    }
    let earliestMs = record.earliestMs
    if earliestMs == .max {
      shared.recordCount.wrappingSubtract(1, ordering: .relaxed)
      leases.remove(record)
      return nil
    }
    if earliestMs != record.pointee.deadlineMs {
      leases.setDeadline(record, earliestMs)
      planMaintenance(atMs: earliestMs)
    }
    return record
  }

  /// A live lease is one fewer among all that are out.
  func countEnd(_ grant: UnsafeMutablePointer<Grant>) {
    if grant.pointee.kind != .voided { shared.leaseCount.wrappingSubtract(1, ordering: .relaxed) }
  }

  /// Takes a grant, live or voided, off its record.
  mutating func end(_ grant: UnsafeMutablePointer<Grant>, of record: RecordPointer) {
    countEnd(grant)
    leases.removeGrant(grant, from: record)
  }

  /// The holder is gone without a result: the next asker need not wait for the grant interval.
  func loseHolder(_ record: RecordPointer) { record.pointee.nextGrantMs = 0 }

  mutating func clearOutcome(_ record: RecordPointer) {
    record.pointee.outcome = .none
    record.pointee.outcomeUntilMs = 0
    leases.setMessage(record, nil)
  }

  /// A value was written (by fill, CAS or plain write): every other lease ends, nothing voided is remembered, the key is clean.
  /// `written`: as its waiters are told.
  mutating func endByWrite(_ record: RecordPointer, _ written: ReadResult) {
    answerWaiters(record, written)
    while let grant = record.pointee.grants {
      end(grant, of: record)
    }
    clearOutcome(record)
    record.pointee.staleUntilMs = 0
    record.pointee.staleToken = 0
    _ = refresh(record)
  }

  /// A delete: live readers' leases become voided tokens, whose late fills may be kept as stale. A hold just ends.
  /// True when there was a live lease.
  mutating func voidLeases(_ record: RecordPointer, remember: Bool) -> Bool {
    var had = false
    var grant = record.pointee.grants
    while let current = grant {
      grant = current.pointee.next
      guard current.pointee.kind != .voided else { continue }
      if current.pointee.kind == .filler {
        end(current, of: record)
        continue
      }
      had = true
      counters.leaseVoids += 1
      if remember, current.pointee.kind != .writer, record.voidedGrants < LeaseSettings.mostVoidedTokens {
        countEnd(current)
        leases.void(current, nowMs: nowMs)
      } else {
        end(current, of: record)
      }
    }
    return had
  }

  /// What waiters are told of a value.
  func told(_ found: Found) -> ReadResult {
    var result = ReadResult()
    result.status = .hit
    view(found, into: &result.item)
    return result
  }

  /// What readers and waiters are told of a fill that failed.
  func failure(_ record: RecordPointer) -> ReadResult {
    var result = ReadResult()
    result.status = .failed
    result.messageBytes = UnsafeRawPointer(record.pointee.message)
    result.messageCount = Int(record.pointee.messageCount)
    result.remainingMs = record.pointee.outcomeUntilMs - nowMs
    return result
  }

  /// flush_all: every lease is void, and the failures and passes are forgotten. Who waits goes on waiting; one is promoted.
  mutating func voidEverything() {
    for record in leases.allRecords() {
      while let grant = record.pointee.grants { end(grant, of: record) }
      clearOutcome(record)
      record.pointee.staleUntilMs = 0
      record.pointee.staleToken = 0
      if record.pointee.lanes == nil { record.pointee.nextGrantMs = 0 }
      _ = refresh(record)
    }
  }

  // MARK: Commands

  private mutating func live(_ key: CacheKey, _ token: UInt64) -> (Look, RecordPointer, UnsafeMutablePointer<Grant>)? {
    let look = look(key)
    guard let record = look.record, let grant = record.liveGrant(token: token) else { return nil }
    return (look, record, grant)
  }

  mutating func leaseExtend(_ key: CacheKey, token: UInt64, byMs: UInt64) -> Bool {
    guard let (_, record, grant) = live(key, token) else { return false }
    grant.pointee.deadlineMs = nowMs + min(max(byMs, 1), LeaseSettings.longestLeaseMs)
    if grant.pointee.kind == .writer, record.pointee.staleUntilMs != 0 {
      record.pointee.staleUntilMs = grant.pointee.deadlineMs + settings(for: key).staleWindowMs
    }
    _ = refresh(record)
    counters.leaseExtends += 1
    return true
  }

  mutating func leaseRelease(_ key: CacheKey, token: UInt64) -> Bool {
    guard let (_, record, grant) = live(key, token) else { return false }
    counters.leaseReleases += 1
    release(grant, of: record)
    return true
  }

  mutating func release(_ grant: UnsafeMutablePointer<Grant>, of record: RecordPointer) {
    loseHolder(record)
    end(grant, of: record)
    _ = refresh(record)
  }

  mutating func disconnectHolder(hash: UInt64, token: UInt64) -> Bool {
    guard let record = leases.find(hash: hash, token: token), let settled = settle(record), let grant = settled.liveGrant(token: token)
    else {
      return false
    }
    counters.leaseDisconnects += 1
    release(grant, of: settled)
    return true
  }

  /// An operator ends every lease on the key. Returns how many.
  mutating func leaseRevoke(_ key: CacheKey) -> Int {
    guard let record = look(key).record else { return 0 }
    var count = 0
    record.eachGrant { grant in
      guard grant.pointee.kind != .voided else { return }
      end(grant, of: record)
      count += 1
    }
    guard count > 0 else { return 0 }
    counters.leaseRevokes += UInt64(count)
    loseHolder(record)
    _ = refresh(record)
    return count
  }

  mutating func leaseFail(_ key: CacheKey, token: UInt64, forMs: UInt64, message: UnsafeRawBufferPointer) -> Bool {
    guard let (_, record, grant) = live(key, token) else { return false }
    end(grant, of: record)
    record.pointee.outcome = .failed
    record.pointee.outcomeUntilMs = nowMs + min(forMs, LeaseSettings.longestLeaseMs)
    leases.setMessage(record, message)
    answerWaiters(record, failure(record))
    if forMs == 0 { clearOutcome(record) }
    _ = refresh(record)
    counters.leaseFails += 1
    return true
  }

  mutating func leasePass(_ key: CacheKey, token: UInt64, forMs: UInt64) -> Bool {
    guard let (look, record, grant) = live(key, token) else { return false }
    end(grant, of: record)
    if let found = look.found, look.visibility != .fresh { remove(found, hash: key.hash) }
    clearOutcome(record)
    if forMs > 0 {
      record.pointee.outcome = .passed
      record.pointee.outcomeUntilMs = nowMs + min(forMs, LeaseSettings.longestLeaseMs)
    }
    if look.visibility != .fresh {
      record.pointee.staleUntilMs = 0
      record.pointee.staleToken = 0
    }
    var told = ReadResult()
    told.status = .passed
    told.remainingMs = min(forMs, LeaseSettings.longestLeaseMs)
    answerWaiters(record, told)
    _ = refresh(record)
    counters.leasePasses += 1
    return true
  }

  /// The value that came with the token becomes fresh again, under a new version.
  mutating func leaseKeep(_ key: CacheKey, token: UInt64, expiry: Expiry) -> Bool {
    guard let (look, record, grant) = live(key, token), !grant.pointee.isValueReplaced, let found = look.found else { return false }
    var draft = draft(of: found)
    draft.flags.subtract([.isKeptStale, .isStaleMarked])
    draft.version = nil
    draft.setExpiry(expiry, graceMs: found.item.graceMs(found.header))
    if draft.goneMs <= nowMs {
      // Waiters get even what is over by now.
      var kept = told(found)
      kept.item.expiry = expiry
      kept.item.version = takeNumber()
      answerWaiters(record, kept)
      remove(found, hash: key.hash)
    } else if put(key, draft, .existing) == nil {
      return false
    }
    counters.leaseKeeps += 1
    endByWrite(record, find(key).map { told($0) } ?? ReadResult())
    return true
  }

  /// A writer takes the key: readers' tokens are refused from now on, and nobody sees the value as fresh.
  mutating func leaseHold(_ key: CacheKey, forMs: UInt64, holderID: UInt64) -> UInt64? {
    let look = look(key)
    if let record = look.record {
      if record.writer != nil { return nil }
      _ = voidLeases(record, remember: false)
      clearOutcome(record)
    }
    let settings = settings(for: key)
    let lengthMs = min(forMs == 0 ? settings.leaseMs : forMs, LeaseSettings.longestLeaseMs)
    guard let token = addGrant(key, look, .writer, lengthMs: lengthMs, holderID: holderID) else {
      if let record = look.record { _ = refresh(record) }
      return nil
    }
    if look.visibility == .fresh {
      let current = self.look(key)
      if let found = current.found, let record = current.record {
        keepStale(key, found, record, untilMs: nowMs + lengthMs + settings.staleWindowMs)
      }
    }
    counters.leaseHolds += 1
    return token
  }

  /// Marks the value as kept stale until a time, however short its own life was to be. Without room for that it just ends earlier.
  mutating func keepStale(_ key: CacheKey, _ found: Found, _ record: RecordPointer, untilMs: Milliseconds) {
    var kept = found
    if segment(of: found).pointee.goneMs(found.header) < untilMs {
      var draft = draft(of: found)
      draft.flags.insert([.isKeptStale, .hasRecord])
      draft.flags.remove(.isStaleMarked)
      draft.graceMs = 0
      draft.goneMs = untilMs
      if put(key, draft, .existing) == nil, let still = find(key) {
        kept = still
        markKept(&kept)
      }
    } else {
      markKept(&kept)
    }
    record.pointee.staleUntilMs = untilMs
    record.pointee.staleToken = 0
    _ = refresh(record)
  }

  private mutating func markKept(_ found: inout Found) {
    if !found.item.header.flags.contains(.isKeptStale) { keptItems += 1 }
    setFlags(&found) {
      $0.insert([.isKeptStale, .hasRecord])
      $0.remove(.isStaleMarked)
    }
  }
}
