/// Writes: who may, and what becomes of the key.
extension PartitionState {
  private enum Verdict {
    case write
    case refuse(StoreStatus)
    /// A late fill of a voided token.
    case keepStale(token: UInt64)
    /// `ms I` with an older version: written, but marked stale.
    case markStale
  }

  mutating func store(_ key: CacheKey, _ request: StoreRequest) -> StoreResult {
    if request.joined == nil { counters.cmdSet &+= 1 }
    var result = StoreResult()
    if breaks(.expiredTokenAccepted), request.isLeaseSet { prolong(key, token: request.compare) }
    let look = look(key)
    switch judge(key, look, request) {
    case .refuse(let status): result.status = status
    case .write: write(key, look, request, marked: false, &result)
    case .markStale: write(key, look, request, marked: true, &result)
    case .keepStale(let token): writeStale(key, look, token, request, &result)
    }
    return result
  }

  // MARK: Who may write

  @inline(__always)
  private mutating func judge(_ key: CacheKey, _ look: Look, _ request: StoreRequest) -> Verdict {
    guard let compare = request.compare else { return judgePlain(key, look, request) }
    if let record = look.record,
      record.liveGrant(token: compare) != nil || (breaks(.staleFillAccepted) && request.isLeaseSet && record.grant(token: compare) != nil)
    {
      if request.mode == .add, look.isItem { return .refuse(.notStored) }
      let appends = request.mode == .append || request.mode == .prepend
      if appends, !look.isItem, !request.vivify { return .refuse(.notStored) }
      counters.leaseFills += 1
      counters.casHits += 1
      return .write
    }
    if look.isItem, let found = look.found {
      if version(of: found) == compare, !(request.isLeaseSet && look.visibility != .fresh) {
        if request.mode == .add { return .refuse(.notStored) }
        // What was read before a writer's hold does not come back during it.
        if look.record?.writer != nil { return .refuse(request.isLeaseSet ? .notStored : .exists) }
        counters.casHits += 1
        return .write
      }
      counters.casBadval += 1
      if request.isLeaseSet { return refuseLeaseSet(key, look, compare) }
      if request.mode == .add { return .refuse(.notStored) }
      if request.invalidate, compare <= shared.newestNumber, request.mode == .set || request.mode == .replace { return .markStale }
      return .refuse(.exists)
    }
    counters.casMisses += 1
    if request.isLeaseSet { return refuseLeaseSet(key, look, compare) }
    if request.invalidate, let record = look.record, canKeepStale(key, record, token: compare) { return .keepStale(token: compare) }
    if let record = look.record, record.liveGrants > 0 { return .refuse(.exists) }
    return judgeAbsent(key, request)
  }

  /// A version, where there is neither a value nor a lease. As in memcached, an add only wants no value and an append only wants one.
  private func judgeAbsent(_ key: CacheKey, _ request: StoreRequest) -> Verdict {
    let takesPlain = plainWrites(for: key, request.plainWrites) != .reject
    switch request.mode {
    case .set, .replace: return .refuse(.notFound)
    case .add: return takesPlain ? .write : .refuse(.notFound)
    case .append, .prepend: return takesPlain && request.vivify ? .write : .refuse(.notStored)
    }
  }

  private mutating func refuseLeaseSet(_ key: CacheKey, _ look: Look, _ token: UInt64) -> Verdict {
    if !look.isItem, let record = look.record, canKeepStale(key, record, token: token) { return .keepStale(token: token) }
    counters.leaseSetRefused += 1
    return .refuse(.notStored)
  }

  /// A token that a delete voided, the window of that delete still open, no newer late fill before it, and the key not passed: that drops
  /// stale values.
  private func canKeepStale(_ key: CacheKey, _ record: RecordPointer, token: UInt64) -> Bool {
    guard let grant = record.grant(token: token), grant.pointee.kind == .voided, record.pointee.outcome != .passed else { return false }
    return grant.pointee.sinceMs + settings(for: key).staleWindowMs > nowMs && token > record.pointee.staleToken
  }

  @inline(__always)
  private mutating func judgePlain(_ key: CacheKey, _ look: Look, _ request: StoreRequest) -> Verdict {
    switch plainWrites(for: key, request.plainWrites) {
    case .reject:
      counters.plainWritesRefused += 1
      return .refuse(.tokenRequired)
    case .guarded:
      if let record = look.record, record.liveLeases > 0 {
        counters.plainWritesRefused += 1
        return .refuse(.notStored)
      }
    case .allow: break
    }
    switch request.mode {
    case .set: return .write
    case .add:
      guard look.isItem, let found = look.found else { return .write }
      noteAccess(found, isFetch: false)
      return .refuse(.notStored)
    case .replace: return look.isItem ? .write : .refuse(.notStored)
    case .append, .prepend: return look.isItem || request.vivify ? .write : .refuse(.notStored)
    }
  }

  // MARK: Writing

  private mutating func write(_ key: CacheKey, _ look: Look, _ request: StoreRequest, marked: Bool, _ result: inout StoreResult) {
    let appends = request.mode == .append || request.mode == .prepend
    if appends, look.isItem, let found = look.found { return extend(key, look, found, request, &result) }
    if request.expiry.atMs <= nowMs, !marked {
      // Expired on arrival: written, and over.
      if let found = find(key) { remove(found, hash: key.hash) }
      result.status = .stored
      result.version = request.explicitVersion ?? takeNumber()
      result.count = request.large?.count ?? request.count
      if let record = look.record { endByWrite(record, told(request, result)) }
      return
    }
    var draft = Draft()
    draft.clientFlags = request.clientFlags
    draft.version = request.explicitVersion
    if marked, let found = look.found {
      // An older value that replaces a newer one lives no longer than that, as in memcached.
      draft.setExpiry(expiry(of: found), graceMs: found.item.graceMs(found.header))
      draft.flags.insert(.isStaleMarked)
    } else {
      draft.setExpiry(request.expiry, graceMs: graceMs(for: key, request.graceMs))
    }
    put(key, look, draft, request, keepsLeases: marked, &result)
  }

  private mutating func put(
    _ key: CacheKey, _ look: Look, _ draft: Draft, _ request: StoreRequest, keepsLeases: Bool, _ result: inout StoreResult
  ) {
    guard isSmallEnough(request) else {
      counters.storeTooLarge += 1
      result.status = .tooLarge
      return
    }
    var draft = draft
    // The record stays for its leases, or for a grant interval that is running, whatever the policy says now.
    if let record = look.record, keepsLeases || record.pointee.nextGrantMs > nowMs { draft.flags.insert(.hasRecord) }
    let source = request.large.map { Source.large($0) } ?? .bytes(request.value, request.count)
    guard let version = put(key, draft, source, replacing: look.found) else { return failForMemory(key, request.mode, &result) }
    counters.totalItems &+= 1
    result.status = .stored
    result.version = version
    result.tookLarge = request.large != nil
    result.count = request.large?.count ?? request.count
    guard let record = look.record else { return }
    if keepsLeases { record.noteValueReplaced() } else { endByWrite(record, told(request, result)) }
  }

  /// What waiters are told of a write: the value itself, whatever has become of it in the store.
  private func told(_ request: StoreRequest, _ stored: StoreResult) -> ReadResult {
    var result = ReadResult()
    result.status = .hit
    result.item.value = request.value
    result.item.large = request.large
    result.item.count = stored.count
    result.item.clientFlags = request.clientFlags
    result.item.version = stored.version
    result.item.expiry = request.expiry
    return result
  }

  private func isSmallEnough(_ request: StoreRequest) -> Bool {
    if let large = request.large { return large.count <= shared.largestValueBytes }
    return request.count <= min(shared.largestValueBytes, shared.largestInlineBytes)
  }

  /// A set that cannot be stored takes the old value with it, as in memcached: it would be out of date.
  private mutating func failForMemory(_ key: CacheKey, _ mode: StoreMode, _ result: inout StoreResult) {
    counters.storeNoMemory += 1
    result.status = .outOfMemory
    if mode == .set, let found = find(key) { remove(found, hash: key.hash) }
  }

  private mutating func writeStale(_ key: CacheKey, _ look: Look, _ token: UInt64, _ request: StoreRequest, _ result: inout StoreResult) {
    guard let record = look.record, let grant = record.grant(token: token) else { return }
    let untilMs = grant.pointee.sinceMs + settings(for: key).staleWindowMs
    var draft = Draft()
    draft.clientFlags = request.clientFlags
    draft.flags = [.isKeptStale, .hasRecord]
    draft.goneMs = untilMs
    put(key, look, draft, request, keepsLeases: true, &result)
    guard result.status == .stored else { return }
    record.pointee.staleUntilMs = untilMs
    record.pointee.staleToken = token
    end(grant, of: record)
    _ = refresh(record)
    // To the meta dialect (I) this is HD like any other kept write.
    result.status = request.isLeaseSet ? .staleStored : .stored
    counters.staleStored += 1
  }

  /// Append and prepend: a new item of both parts, with the old one's client flags and expiry.
  private mutating func extend(_ key: CacheKey, _ look: Look, _ found: Found, _ request: StoreRequest, _ result: inout StoreResult) {
    var view = ItemView()
    self.view(found, into: &view)
    let addedCount = request.large?.count ?? request.count
    let added = request.large.map { UnsafeRawPointer($0.bytes) } ?? request.value
    let total = view.count + addedCount
    guard total <= shared.largestValueBytes else {
      counters.storeTooLarge += 1
      result.status = .tooLarge
      return
    }
    var draft = draft(of: found)
    draft.flags.subtract([.isStaleMarked, .wasFetched])
    draft.version = request.explicitVersion
    let isPrepend = request.mode == .prepend
    let source: Source
    var inline: UnsafeMutableRawPointer?
    defer { inline?.deallocate() }
    if total > shared.largestInlineBytes {
      guard let large = takeJoined(request, count: total) else {
        result.status = .outOfMemory
        result.wantedLargeBytes = total
        return
      }
      join(view, added, addedCount, isPrepend: isPrepend, into: large.bytes)
      source = .large(large)
    } else {
      let joined = UnsafeMutableRawPointer.allocate(byteCount: max(total, 1), alignment: 1)
      inline = joined
      join(view, added, addedCount, isPrepend: isPrepend, into: joined)
      source = .bytes(joined, total)
    }
    guard let version = put(key, draft, source) else {
      if case .large(let large) = source { large.release() }
      return failForMemory(key, request.mode, &result)
    }
    counters.totalItems &+= 1
    result.status = .stored
    result.version = version
    result.count = total
    guard let record = look.record else { return }
    endByWrite(record, find(key).map { told($0) } ?? ReadResult())
  }

  private func join(
    _ view: ItemView, _ added: UnsafeRawPointer?, _ addedCount: Int, isPrepend: Bool, into joined: UnsafeMutableRawPointer
  ) {
    if let added { (joined + (isPrepend ? 0 : view.count)).copyMemory(from: added, byteCount: addedCount) }
    if let value = view.value { (joined + (isPrepend ? addedCount : 0)).copyMemory(from: value, byteCount: view.count) }
  }

  /// Memory for both parts without evicting, as that could take the value to be extended: the caller's, if it has the size, or what is free.
  private mutating func takeJoined(_ request: StoreRequest, count: Int) -> LargeValue? {
    if let joined = request.joined, joined.count == count {
      joined.retain()
      return joined
    }
    budget.drainDropped()
    return LargeValue(count: count, budget: budget)
  }
}
