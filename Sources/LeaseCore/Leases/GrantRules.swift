/// Who gets a lease, and how it is given out.
extension PartitionState {
  /// What became of a wish for a lease.
  enum Answer: Equatable {
    case granted(UInt64)
    /// Others hold as many leases as may be out, or it is too early for the next.
    case owed
    case failed
    case passed
    /// The lease table is full.
    case tooFew

    var token: UInt64? {
      if case .granted(let token) = self { return token }
      return nil
    }
  }

  func leaseLengthMs(_ key: CacheKey, _ options: ReadOptions) -> UInt64 {
    min(options.leaseMs == 0 ? settings(for: key).leaseMs : options.leaseMs, LeaseSettings.longestLeaseMs)
  }

  mutating func tryGrant(_ key: CacheKey, _ look: Look, _ kind: Grant.Kind, _ options: ReadOptions) -> Answer {
    if let record = look.record {
      switch record.pointee.outcome {
      case .failed: return .failed
      case .passed: return .passed
      case .none: break
      }
      if record.writer != nil { return .passed }
      let holders = options.holders > 0 ? options.holders : settings(for: key).holders
      if record.liveGrants >= holders { return .owed }
      if record.pointee.nextGrantMs > nowMs {
        counters.grantsDelayed += 1
        return .owed
      }
    }
    guard let token = addGrant(key, look, kind, lengthMs: leaseLengthMs(key, options), holderID: options.holderID) else { return .tooFew }
    return .granted(token)
  }

  /// A new lease, or nil when the table is full.
  mutating func addGrant(_ key: CacheKey, _ look: Look, _ kind: Grant.Kind, lengthMs: UInt64, holderID: UInt64) -> UInt64? {
    guard shared.leaseCount.load(ordering: .relaxed) < leases.settings.maxLeases, let record = record(for: key, look) else {
      counters.leaseTableFull += 1
      return nil
    }
    let token = giveLease(record, kind, lengthMs: lengthMs, holderID: holderID, settings(for: key))
    _ = refresh(record)
    return token
  }

  /// Hands a new token out, whatever the limit; `refresh` is the caller's.
  mutating func giveLease(
    _ record: RecordPointer, _ kind: Grant.Kind, lengthMs: UInt64, holderID: UInt64, _ settings: LeaseSettings
  ) -> UInt64 {
    let token = takeNumber()
    shared.leaseCount.wrappingAdd(1, ordering: .relaxed)
    leases.addGrant(
      Grant(token: token, deadlineMs: nowMs + max(lengthMs, 1), sinceMs: nowMs, holderID: holderID, kind: kind), to: record)
    if settings.grantIntervalMs > 0 { record.pointee.nextGrantMs = nowMs + settings.grantIntervalMs }
    if kind == .filler { counters.coalescedFetches += 1 } else { counters.leaseGrants += 1 }
    return token
  }

  /// The key's record, made if need be and if there is room; the item is told that there is one.
  mutating func record(for key: CacheKey, _ look: Look) -> RecordPointer? {
    if let found = look.found, !found.header.flags.contains(.hasRecord) {
      var changed = found
      setFlags(&changed) { $0.insert(.hasRecord) }
    }
    if let record = look.record { return record }
    guard shared.recordCount.load(ordering: .relaxed) < 2 * leases.settings.maxLeases else { return nil }
    shared.recordCount.wrappingAdd(1, ordering: .relaxed)
    let record = leases.insert(key)
    record.pointee.flushSerial = flushSerial
    return record
  }
}
