/// Flushes of a prefix: an item is flushed if its segment is older than the flush. So no item is touched, and nothing that was flushed may
/// be moved into a newer segment.
extension PartitionState {
  /// After a flush was noted in `policies`: what is written from now on lies in segments of a later generation.
  mutating func beginFlush() {
    guard let policies else { return }
    flushSerial = policies.pointee.flushSerial
    for number in openSegments + keptSegments where number >= 0 { seal(Int(number)) }
    for number in 0..<segmentCount { segments[number].flushed = .unknown }
    nextSweptSegment = 0
    sweepAgainAtMs = .max
    nextSweptChain = 0
    planMaintenance(atMs: nowMs)
  }

  /// Whether a flush ended it, with or without a stale window.
  @inline(__always)
  func isFlushed(_ found: Found) -> Bool {
    let segment = segment(of: found)
    return segment.pointee.flushed != .nothing
      && flushState(found.item, found.header, generation: segment.pointee.generation) != .untouched
  }

  @inline(never)
  func flushState(_ item: ItemPointer, _ header: ItemHeader, generation: UInt64) -> FlushState {
    guard let entry = policies?.pointee.find(item.key(header), count: header.keyCount) else { return .untouched }
    return entry.pointee.flushState(generation: generation, nowMs: nowMs)
  }

  // MARK: Leases

  /// The first to see a record after a flush ends what it ended. Nil: nothing was left, and the record is gone.
  mutating func settleFlush(_ record: RecordPointer) -> RecordPointer? {
    let seen = record.pointee.flushSerial
    record.pointee.flushSerial = flushSerial
    guard let entry = policies?.pointee.find(record.key, count: Int(record.pointee.keyCount)), entry.pointee.flushSerial > seen else {
      return record
    }
    _ = voidLeases(record, remember: false)
    while let grant = record.pointee.grants { end(grant, of: record) }
    clearOutcome(record)
    if !entry.pointee.keepsStale {
      record.pointee.staleUntilMs = 0
      record.pointee.staleToken = 0
    }
    if record.pointee.lanes == nil { record.pointee.nextGrantMs = 0 }
    return refresh(record)
  }

  /// Settles some of the records that a flush left to be seen, so that who waits under them is told soon.
  mutating func settleFlushed(most: Int) {
    guard let chain = nextSweptChain else { return }
    var next = chain
    let records = leases.records(from: &next, most: most)
    nextSweptChain = next < leases.chainCount ? next : nil
    for record in records { _ = settle(record) }
  }

  // MARK: Memory

  /// Removes what was flushed from one of the segments that are older than the flush. False: there is none left to look through.
  mutating func sweepFlushed() -> Bool {
    if sweepAgainAtMs <= nowMs {
      sweepAgainAtMs = .max
      nextSweptSegment = 0
      for number in 0..<segmentCount where segments[number].flushed == .stale { segments[number].flushed = .unknown }
    }
    while nextSweptSegment < segmentCount {
      let number = nextSweptSegment
      nextSweptSegment += 1
      if segments[number].phase != .free, segments[number].flushed == .unknown {
        sweep(number)
        return true
      }
    }
    nextSweptSegment = .max
    return false
  }

  private mutating func sweep(_ number: Int) {
    // Held by one more item, so that the last removal does not free it under the walk.
    segments[number].liveItems += 1
    let segment = segments[number]
    var staleUntilMs: Milliseconds = 0
    var offset = Segment.firstOffset
    while offset < Int(segment.usedBytes) {
      let item = ItemPointer(raw: segment.memory + offset)
      let header = item.header
      let location = Slot.location(segment: number, offset: offset)
      offset += ItemPointer.sizeBytes(header)
      let state = flushState(item, header, generation: segment.generation)
      if state == .untouched { continue }
      let hash = hash(of: item, header)
      guard let slot = slot(at: location, hash: hash) else { continue }
      if case .stale(let untilMs) = state {
        staleUntilMs = max(staleUntilMs, untilMs)
      } else {
        countExpiry(header)
        remove(Found(slot: slot, item: item, header: header), hash: hash)
      }
    }
    segments[number].flushed = staleUntilMs == 0 ? .nothing : .stale
    if staleUntilMs != 0 { sweepAgainAtMs = sweepAgainAtMs == .max ? staleUntilMs : max(sweepAgainAtMs, staleUntilMs) }
    segments[number].liveItems -= 1
    if isEmpty(number) { freeSegment(number) }
  }

  /// Before an item is removed from a segment that goes: flushed ones are no loss.
  mutating func noteEnd(_ found: Found) {
    if isFlushed(found) { countExpiry(found.header) } else { noteEviction(found) }
  }
}
