/// What readers may see of an item now.
enum Visibility {
  case absent
  case fresh
  /// Marked by `md I`: everybody sees it, as stale.
  case staleMarked
  /// Kept by a delete or a hold, or expired within its grace: only who knows leases sees it, as stale.
  case hiddenStale
}

/// A key as a command finds it.
struct Look {
  var found: Found?
  var visibility = Visibility.absent
  var record: RecordPointer?

  /// Fresh, or marked stale: what memcached calls an item.
  var isItem: Bool { visibility == .fresh || visibility == .staleMarked }
}

/// What an item to be written says besides key and value.
struct Draft {
  var flags: ItemFlags = []
  var clientFlags: UInt32 = 0
  var graceMs: UInt64 = 0
  var goneMs = Milliseconds.max
  /// nil: the version is the place.
  var version: UInt64?

  /// 49 days: what fits 32 bits, with room for the rounding of the end.
  static let longestGraceMs: UInt64 = 49 * 86_400_000

  /// Gone when its grace is over.
  mutating func setExpiry(_ expiry: Expiry, graceMs: UInt64) {
    if expiry == .never {
      goneMs = .max
      self.graceMs = 0
    } else {
      self.graceMs = min(graceMs, Self.longestGraceMs)
      goneMs = min(expiry.atMs, 1 << 50) + self.graceMs
    }
  }
}

/// Where the bytes of an item to be written come from.
enum Source {
  case bytes(UnsafeRawPointer?, Int)
  case large(LargeValue)
  /// The value that the key has now.
  case existing
}

extension PartitionState {
  @inline(__always)
  mutating func begin(_ nowMs: Milliseconds) {
    if nowMs > self.nowMs { self.nowMs = nowMs }
  }

  @inline(__always)
  func segment(of found: Found) -> UnsafeMutablePointer<Segment> { segments + Slot(word: found.slot.pointee).segment }

  func version(of item: ItemPointer, _ header: ItemHeader, segment: Int, location: UInt64) -> UInt64 {
    header.flags.contains(.hasVersion) ? item.versionField : segments[segment].generation << 16 | location & 0xffff
  }

  @inline(__always)
  func version(of found: Found) -> UInt64 {
    let slot = Slot(word: found.slot.pointee)
    return version(of: found.item, found.header, segment: slot.segment, location: slot.location)
  }

  func expiry(of found: Found) -> Expiry {
    let goneMs = segment(of: found).pointee.goneMs(found.header)
    return goneMs == .max ? .never : Expiry(atMs: goneMs - found.item.graceMs(found.header))
  }

  func visibility(of found: Found) -> Visibility {
    let goneMs = segment(of: found).pointee.goneMs(found.header)
    if goneMs <= nowMs { return .absent }
    let segment = segment(of: found)
    if segment.pointee.flushed != .nothing {
      switch flushState(found.item, found.header, generation: segment.pointee.generation) {
      case .untouched: break
      case .absent: return .absent
      case .stale: return .hiddenStale
      }
    }
    let flags = found.header.flags
    if flags.isDisjoint(with: .needsCare) { return .fresh }
    if flags.contains(.isKeptStale) { return .hiddenStale }
    if goneMs != .max, goneMs - found.item.graceMs(found.header) <= nowMs { return .hiddenStale }
    return flags.contains(.isStaleMarked) ? .staleMarked : .fresh
  }

  /// A value that is neither over nor flushed, and of which nothing else is to be known. After a flush false for others in its segment, too,
  /// until upkeep came by.
  @inline(__always)
  func isPlainlyFresh(_ found: Found) -> Bool {
    guard found.header.flags.isDisjoint(with: .needsCare) else { return false }
    let segment = segment(of: found)
    return segment.pointee.goneMs(found.header) > nowMs && segment.pointee.flushed == .nothing
  }

  /// Finds the key's item and lease record, ending whatever is over by now. O(1).
  @inline(__always)
  mutating func look(_ key: CacheKey) -> Look {
    let found = find(key)
    if let found, isPlainlyFresh(found) { return Look(found: found, visibility: .fresh) }
    return look(key, found)
  }

  /// Where there is more to see than a fresh value.
  @inline(never)
  private mutating func look(_ key: CacheKey, _ found: Found?) -> Look {
    var look = Look(found: found)
    if let found = look.found {
      look.visibility = visibility(of: found)
      if look.visibility == .absent {
        countExpiry(found.header)
        remove(found, hash: key.hash)
        look.found = nil
      }
    }
    let isMarked = look.found?.header.flags.contains(.hasRecord) ?? false
    if look.found == nil || isMarked, let record = leases.find(key) { look.record = settle(record) }
    if isMarked, look.record == nil, var found = look.found {
      // The record is gone: the next reader need not look for it.
      setFlags(&found) { $0.remove(.hasRecord) }
      look.found = found
    }
    return withoutOrphan(look, key)
  }

  /// A kept stale value lives no longer than its record's stale window.
  private mutating func withoutOrphan(_ look: Look, _ key: CacheKey) -> Look {
    guard look.visibility == .hiddenStale, let found = look.found, found.header.flags.contains(.isKeptStale) else { return look }
    if let record = look.record, record.pointee.staleUntilMs != 0 { return look }
    remove(found, hash: key.hash)
    return Look(found: nil, visibility: .absent, record: look.record)
  }

  /// All that a reader may ask for.
  func view(_ found: Found, into view: inout ItemView) {
    viewValue(found, into: &view)
    let header = found.header
    let segment = segment(of: found)
    let goneMs = segment.pointee.goneMs(header)
    view.expiry = goneMs == .max ? .never : Expiry(atMs: goneMs - found.item.graceMs(header))
    let ageSeconds = (nowMs &- segment.pointee.createdMs) / 1000
    let accessSeconds = ItemHeader.decodeAccess(header.accessCode)
    view.idleSeconds = ageSeconds > accessSeconds ? ageSeconds - accessSeconds : 0
    view.wasFetched = header.flags.contains(.wasFetched)
  }

  /// What the common readers ask for: value, client flags, version.
  @inline(__always)
  func viewValue(_ found: Found, into view: inout ItemView) {
    let header = found.header
    view.clientFlags = found.item.clientFlags(header)
    view.version = version(of: found)
    if let large = found.item.large(header) {
      view.large = large
      view.value = UnsafeRawPointer(large.bytes)
      view.count = large.count
    } else {
      view.large = nil
      view.value = UnsafeRawPointer(found.item.value(header))
      view.count = header.valueCount
    }
  }

  /// Frequency grows by one up to 8, then ever more rarely; the access time is written only when it says something new.
  @inline(__always)
  mutating func noteAccess(_ found: Found, isFetch: Bool = true) {
    var slot = Slot(word: found.slot.pointee)
    let frequency = slot.frequency
    if frequency < 8 || (frequency < Slot.largestFrequency && (dice.roll() >> 32) &* frequency < 1 << 32) {
      slot.frequency = frequency + 1
      found.slot.pointee = slot.word
    }
    let seconds = (nowMs &- segments[slot.segment].createdMs) / 1000
    var header = found.header
    header.accessCode = ItemHeader.encodeAccess(seconds: seconds)
    if isFetch { header.flags.insert(.wasFetched) }
    if header.word != found.header.word { found.item.header = header }
  }

  // MARK: Writing

  /// The version of what was written; nil: out of memory, and nothing has changed.
  mutating func put(_ key: CacheKey, _ draft: Draft, _ source: Source) -> UInt64? { put(key, draft, source, replacing: find(key)) }

  /// The same for a caller that has just found what is there.
  mutating func put(_ key: CacheKey, _ draft: Draft, _ source: Source, replacing known: Found?) -> UInt64? {
    var flags = draft.flags.subtracting(ItemFlags.fields.union(.isLarge))
    if draft.version != nil { flags.insert(.hasVersion) }
    if draft.clientFlags != 0 { flags.insert(.hasClientFlags) }
    if draft.graceMs != 0 { flags.insert(.hasGrace) }
    guard let valueCount = countInSegment(key, source, &flags) else { return nil }
    let movesBefore = moves
    prepareIndex()
    let size = ItemPointer.sizeBytes(keyCount: key.count, valueCount: valueCount, flags: flags)
    guard let room = takeRoom(sizeBytes: size, goneMs: draft.goneMs) else { return nil }
    // Making room may have moved or evicted what was there.
    let old = moves == movesBefore ? known : find(key)
    var header = ItemHeader(valueCount: valueCount, keyCount: key.count, flags: flags, delta: room.delta)
    header.accessCode = ItemHeader.encodeAccess(seconds: (nowMs - segments[room.segment].createdMs) / 1000)
    room.item.header = header
    if let version = draft.version { room.item.versionField = version }
    if flags.contains(.hasClientFlags) { room.item.setClientFlags(draft.clientFlags, header) }
    if flags.contains(.hasGrace) {
      let endMs = segments[room.segment].goneMs(header)
      room.item.setGraceMs(endMs - (draft.goneMs - draft.graceMs), header)
    }
    room.item.key(header).copyMemory(from: key.bytes, byteCount: key.count)
    guard copyValue(source, old, to: room.item.value(header), count: valueCount), enter(key, room, source, replacing: old)
    else {
      // The bytes stay behind, dead; a large value was not taken over.
      header.flags.subtract([.isLarge, .isKeptStale])
      forget(room.item, header, segment: room.segment)
      return nil
    }
    if flags.contains(.isKeptStale) { keptItems += 1 }
    if case .large(let large) = source {
      takeOver(large, hash: key.hash, sequence: segments[room.segment].sequence)
    }
    return draft.version ?? (segments[room.segment].generation << 16 | room.location & 0xffff)
  }

  private func countInSegment(_ key: CacheKey, _ source: Source, _ flags: inout ItemFlags) -> Int? {
    switch source {
    case .bytes(_, let count):
      return count
    case .large:
      flags.insert(.isLarge)
      return MemoryLayout<UInt>.size
    case .existing:
      guard let header = find(key)?.header else { return nil }
      if header.flags.contains(.isLarge) { flags.insert(.isLarge) }
      return header.valueCount
    }
  }

  /// False: the value that was to be kept has been evicted for its own copy.
  private func copyValue(_ source: Source, _ old: Found?, to target: UnsafeMutableRawPointer, count: Int) -> Bool {
    switch source {
    case .bytes(let bytes, _):
      if let bytes { target.copyMemory(from: bytes, byteCount: count) }
    case .large(let large):
      target.storeBytes(of: UInt(bitPattern: large.header), as: UInt.self)
    case .existing:
      guard let old else { return false }
      target.copyMemory(from: old.item.value(old.header), byteCount: count)
    }
    return true
  }

  private mutating func enter(_ key: CacheKey, _ room: Room, _ source: Source, replacing old: Found?) -> Bool {
    guard let old else { return insert(hash: key.hash, location: room.location) }
    var slot = Slot(word: old.slot.pointee)
    let oldSegment = slot.segment
    slot.location = room.location
    old.slot.pointee = slot.word
    var header = old.header
    // Its large value has moved to the new item.
    if case .existing = source { header.flags.remove(.isLarge) }
    forget(old.item, header, segment: oldSegment)
    return true
  }

  /// A draft that says what the item says now, with its version kept.
  func draft(of found: Found) -> Draft {
    var draft = Draft()
    draft.flags = found.header.flags
    draft.clientFlags = found.item.clientFlags(found.header)
    draft.goneMs = segment(of: found).pointee.goneMs(found.header)
    draft.graceMs = found.item.graceMs(found.header)
    draft.version = version(of: found)
    return draft
  }

  func setFlags(_ found: inout Found, _ change: (inout ItemFlags) -> Void) {
    var header = found.item.header
    change(&header.flags)
    found.item.header = header
    found.header = header
  }
}
