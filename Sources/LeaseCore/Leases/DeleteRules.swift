public struct DeleteRequest {
  public var compare: UInt64? = nil
  /// `md I`: mark stale.
  public var invalidate = false
  /// `md x`: drop the value and the client flags, keep the item.
  public var removeValue = false
  public var touch: Expiry? = nil
  public var explicitVersion: UInt64? = nil
  /// The client flags for `x` (F).
  public var clientFlags: UInt32 = 0
  public init() {}
}
public enum DeleteStatus: UInt8 { case deleted, notFound, exists, outOfMemory }

extension PartitionState {
  mutating func delete(_ key: CacheKey, _ request: DeleteRequest) -> DeleteStatus {
    let look = look(key)
    if let compare = request.compare {
      if let record = look.record, let grant = record.liveGrant(token: compare) { return deleteByToken(key, look, record, grant, request) }
      guard look.isItem, let found = look.found, version(of: found) == compare else {
        counters.deleteMisses += 1
        return look.isItem || (look.record.map { $0.liveGrants > 0 } ?? false) ? .exists : .notFound
      }
    }
    let status = deleteFound(key, look, request)
    if status == .deleted { counters.deleteHits += 1 } else { counters.deleteMisses += 1 }
    return status
  }

  /// `md C<token>`: a reader's lease is released; a writer's delete ends the hold and the value stays stale only.
  private mutating func deleteByToken(
    _ key: CacheKey, _ look: Look, _ record: RecordPointer, _ grant: UnsafeMutablePointer<Grant>, _ request: DeleteRequest
  ) -> DeleteStatus {
    counters.deleteHits += 1
    if grant.pointee.kind == .writer, look.visibility == .staleMarked, let found = look.found { remove(found, hash: key.hash) }
    counters.leaseReleases += 1
    release(grant, of: record)
    return .deleted
  }

  private mutating func deleteFound(_ key: CacheKey, _ look: Look, _ request: DeleteRequest) -> DeleteStatus {
    if look.isItem, let found = look.found {
      if request.invalidate || request.removeValue { return rewriteFound(key, look, found, request) }
      return endFound(key, look, found)
    }
    guard let record = look.record else { return .notFound }
    let had = voidLeases(record, remember: true)
    clearOutcome(record)
    _ = refresh(record)
    return had ? .deleted : .notFound
  }

  /// A plain delete of what counts as an item: fresh becomes stale for the window, marked stale goes.
  private mutating func endFound(_ key: CacheKey, _ look: Look, _ found: Found) -> DeleteStatus {
    if let record = look.record {
      _ = voidLeases(record, remember: true)
      clearOutcome(record)
    }
    let windowMs = settings(for: key).staleWindowMs
    if windowMs > 0, look.visibility == .fresh, let record = record(for: key, look) {
      keepStale(key, found, record, untilMs: nowMs + windowMs)
      return .deleted
    }
    remove(found, hash: key.hash)
    if let record = look.record { _ = refresh(record) }
    return .deleted
  }

  /// `md I` and `md x`: the item stays, stale or without its value, under a new version; leases on it are void.
  private mutating func rewriteFound(_ key: CacheKey, _ look: Look, _ found: Found, _ request: DeleteRequest) -> DeleteStatus {
    var draft = draft(of: found)
    let graceMs = found.item.graceMs(found.header)
    draft.version = request.explicitVersion
    if let touch = request.touch, request.invalidate || request.removeValue { draft.setExpiry(touch, graceMs: graceMs) }
    if request.invalidate { draft.flags.insert(.isStaleMarked) }
    var source = Source.existing
    if request.removeValue {
      draft.clientFlags = request.clientFlags
      if request.touch == nil { draft.setExpiry(.never, graceMs: 0) }
      source = .bytes(nil, 0)
    }
    if let record = look.record {
      _ = voidLeases(record, remember: true)
      clearOutcome(record)
      draft.flags.insert(.hasRecord)
    }
    // Without memory for the new one the item goes: it must not stay fresh.
    if draft.goneMs <= nowMs || put(key, draft, source) == nil, let found = find(key) { remove(found, hash: key.hash) }
    if let record = look.record { _ = refresh(record) }
    return .deleted
  }

  // MARK: Touch

  mutating func touch(_ key: CacheKey, _ expiry: Expiry) -> Bool {
    counters.cmdTouch += 1
    var look = look(key)
    guard look.isItem else {
      counters.touchMisses += 1
      return false
    }
    if let found = look.found {
      noteAccess(found)
      look.found?.header = found.item.header
    }
    guard touchFound(key, &look, expiry) else {
      counters.touchMisses += 1
      return false
    }
    counters.touchHits += 1
    return true
  }

  /// A new expiry: in place when the item's segment can tell it and lives about as long, else in a segment that does.
  /// False: there is no memory for that, and the item lives as long as before, unless making room took it.
  @discardableResult
  mutating func touchFound(_ key: CacheKey, _ look: inout Look, _ expiry: Expiry) -> Bool {
    guard let found = look.found else { return false }
    if expiry.atMs <= nowMs {
      remove(found, hash: key.hash)
      look = Look(found: nil, visibility: .absent, record: look.record)
      return true
    }
    var draft = draft(of: found)
    draft.setExpiry(expiry, graceMs: found.item.graceMs(found.header))
    let number = Slot(word: found.slot.pointee).segment
    let classIndex = draft.goneMs == .max ? 0 : classes.classIndex(remainingMs: draft.goneMs - nowMs)
    if draft.goneMs == .max, segments[number].classIndex == 0 { return true }
    if Int(segments[number].classIndex) == classIndex, draft.graceMs == 0 || found.header.flags.contains(.hasGrace),
      let delta = delta(goneMs: draft.goneMs, in: segments[number])
    {
      var header = found.header
      header.delta = delta
      found.item.header = header
      if header.flags.contains(.hasGrace) {
        found.item.setGraceMs(segments[number].goneMs(header) - (draft.goneMs - draft.graceMs), header)
      }
      segments[number].lastGoneMs = max(segments[number].lastGoneMs, segments[number].goneMs(header))
      look.found?.header = header
      return true
    }
    let isMoved = put(key, draft, .existing) != nil
    look.found = find(key)
    if look.found == nil { look.visibility = .absent }
    return isMoved
  }
}
