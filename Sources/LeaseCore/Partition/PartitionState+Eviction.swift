/// Eviction, after Segcache's merge (Yang, Yue, Vinayak, NSDI'21): the oldest segments of a time class are merged into one that keeps what is
/// read often; everything else in them goes. Before anything is evicted, half-empty segments are compacted, which loses nothing.
extension PartitionState {
  /// Gives at least one segment (or a large value's bytes) back to the budget. False: nothing left to give.
  mutating func makeRoom() -> Bool {
    if sweepFlushed() || compact() || freeEmptyOpen() { return true }
    guard evicts else { return false }
    if hasLarge(asOldAs: oldestSealed()), evictLarge() { return true }
    return evictOldest()
  }

  /// Open segments whose items are all gone.
  private mutating func freeEmptyOpen() -> Bool {
    for number in 0..<segmentCount where segments[number].phase == .open && isEmpty(number) {
      seal(number)
      return true
    }
    return false
  }

  /// Merges the two emptiest segments of a class when the live items of both fit into one.
  private mutating func compact() -> Bool {
    var emptiest = -1
    for number in 0..<segmentCount where segments[number].phase == .sealed {
      if emptiest < 0 || segments[number].liveBytes < segments[emptiest].liveBytes { emptiest = number }
    }
    guard emptiest >= 0, Int(segments[emptiest].liveBytes) <= segmentBytes / 2 else { return false }
    var partner = -1
    let classIndex = segments[emptiest].classIndex
    for number in 0..<segmentCount
    where number != emptiest && segments[number].phase == .sealed && segments[number].classIndex == classIndex {
      if partner < 0 || segments[number].liveBytes < segments[partner].liveBytes { partner = number }
    }
    let capacity = Int32(segmentBytes - Segment.firstOffset)
    guard partner >= 0, segments[emptiest].liveBytes + segments[partner].liveBytes <= capacity, spansFit([emptiest, partner]),
      sizesByFrequency([emptiest, partner]).reduce(0, +) <= Int(capacity)
    else { return false }
    merge([emptiest, partner], aboveFrequency: -1)
    return true
  }

  private func oldestSealed() -> Int? {
    var oldest = -1
    for number in 0..<segmentCount where segments[number].phase == .sealed {
      if oldest < 0 || segments[number].sequence < segments[oldest].sequence { oldest = number }
    }
    return oldest < 0 ? nil : oldest
  }

  /// The oldest sealed segment, or, when all are open, the fullest open one after sealing it.
  private mutating func oldestSegment() -> Int? {
    if let oldest = oldestSealed() { return oldest }
    var oldest = -1
    for number in 0..<segmentCount where segments[number].phase == .open && segments[number].liveItems > 0 {
      if oldest < 0 || segments[number].usedBytes > segments[oldest].usedBytes { oldest = number }
    }
    guard oldest >= 0 else { return nil }
    seal(oldest)
    return oldest
  }

  /// Drops the oldest segment; when something in it is worth keeping, it shares one segment with what the next one keeps.
  private mutating func evictOldest() -> Bool {
    guard let oldest = oldestSegment() else { return false }
    var victims = [oldest]
    var sizes = sizesByFrequency(victims)
    if sizes.dropFirst().contains(where: { $0 > 0 }), let next = nextSealed(after: oldest), spansFit([oldest, next]) {
      victims.append(next)
      sizes = sizesByFrequency(victims)
    }
    var threshold = Int(Slot.largestFrequency)
    if victims.count > 1 {
      var kept = 0
      while threshold > 0, kept + sizes[threshold] <= segmentBytes - Segment.firstOffset {
        kept += sizes[threshold]
        threshold -= 1
      }
    }
    merge(victims, aboveFrequency: threshold)
    return true
  }

  /// Bytes that live items will take where they are moved to, by frequency.
  private func sizesByFrequency(_ numbers: [Int]) -> [Int] {
    var sizes = Array(repeating: 0, count: Int(Slot.largestFrequency) + 1)
    for number in numbers {
      forEachItem(in: number) { item, header, offset in
        guard let slot = slot(at: Slot.location(segment: number, offset: offset), hash: hash(of: item, header)) else { return }
        guard segments[number].goneMs(header) > nowMs, !isFlushed(Found(slot: slot, item: item, header: header)) else { return }
        sizes[worth(item, header, frequency: Slot(word: slot.pointee).frequency, segment: number)] += movedSize(header)
      }
    }
    return sizes
  }

  private func nextSealed(after number: Int) -> Int? {
    var next = -1
    let segment = segments[number]
    for other in 0..<segmentCount where segments[other].phase == .sealed && segments[other].classIndex == segment.classIndex {
      if segments[other].sequence > segment.sequence, next < 0 || segments[other].sequence < segments[next].sequence { next = other }
    }
    return next < 0 ? nil : next
  }

  /// Whether one segment's units can tell the expiry of every item in these.
  private func spansFit(_ numbers: [Int]) -> Bool {
    guard segments[numbers[0]].classIndex != 0 else { return true }
    var base = Milliseconds.max
    var last: Milliseconds = 0
    for number in numbers {
      base = min(base, segments[number].baseMs)
      last = max(last, segments[number].lastGoneMs)
    }
    return (last - base) >> UInt64(segments[numbers[0]].unitShift) < ItemHeader.largestDelta
  }

  /// A moved item cannot be named by its place any more: its version is stored with it.
  private func movedSize(_ header: ItemHeader) -> Int {
    ItemPointer.sizeBytes(keyCount: header.keyCount, valueCount: header.valueCount, flags: header.flags.union(.hasVersion))
  }

  /// Copies the keepers of the victims into the spare memory, which becomes a segment; the first victim's memory becomes the spare.
  private mutating func merge(_ victims: [Int], aboveFrequency threshold: Int) {
    if threshold == Int(Slot.largestFrequency) {
      for victim in victims { emptySegment(victim) { $0.noteEnd($1) } }
      counters.segmentsEvicted += UInt64(victims.count)
      return
    }
    let classIndex = Int(segments[victims[0]].classIndex)
    let target = adopt(memory: spareMemory, classIndex: classIndex)
    segments[target].phase = .sealed
    segments[target].unitShift = segments[victims[0]].unitShift
    segments[target].baseMs = victims.map { segments[$0].baseMs }.min() ?? 0
    segments[target].lastGoneMs = victims.map { segments[$0].lastGoneMs }.max() ?? .max
    segments[target].createdMs = victims.map { segments[$0].createdMs }.min() ?? nowMs
    // Held until the end, whatever is removed meanwhile.
    segments[target].liveItems += 1
    for victim in victims {
      moveKeepers(of: victim, to: target, aboveFrequency: threshold)
    }
    segments[target].liveItems -= 1
    spareMemory = segments[victims[0]].memory
    retire(victims[0])
    for victim in victims.dropFirst() { freeSegment(victim) }
    counters.segmentsMerged += UInt64(victims.count)
    if isEmpty(target) { freeSegment(target) }
  }

  private mutating func moveKeepers(of victim: Int, to target: Int, aboveFrequency threshold: Int) {
    segments[victim].liveItems += 1
    let source = segments[victim]
    var offset = Segment.firstOffset
    while offset < Int(source.usedBytes) {
      let item = ItemPointer(raw: source.memory + offset)
      let header = item.header
      let location = Slot.location(segment: victim, offset: offset)
      offset += ItemPointer.sizeBytes(header)
      let hash = hash(of: item, header)
      guard let slot = slot(at: location, hash: hash) else { continue }
      let worth = worth(item, header, frequency: Slot(word: slot.pointee).frequency, segment: victim)
      let found = Found(slot: slot, item: item, header: header)
      // In a younger segment a flushed item would come back.
      if worth > threshold, source.goneMs(header) > nowMs, !isFlushed(found), move(item, header, slot, from: victim, to: target) {
        continue
      }
      if source.goneMs(header) > nowMs { noteEnd(found) } else { countExpiry(header) }
      remove(found, hash: hash)
    }
    segments[victim].liveItems = 0
    segments[victim].liveBytes = 0
  }

  private mutating func move(
    _ item: ItemPointer, _ header: ItemHeader, _ slot: UnsafeMutablePointer<UInt64>, from victim: Int, to target: Int
  )
    -> Bool
  {
    let size = movedSize(header)
    let to = segments + target
    let offset = Int(to.pointee.usedBytes)
    guard offset + size <= segmentBytes else { return false }
    let version = self.version(of: item, header, segment: victim, location: Slot(word: slot.pointee).location)
    let copy = ItemPointer(raw: to.pointee.memory + offset)
    var moved = header
    moved.flags = header.flags.union(.hasVersion)
    if to.pointee.classIndex != 0 {
      guard let delta = delta(goneMs: segments[victim].goneMs(header), in: to.pointee) else { return false }
      moved.delta = delta
    }
    let idleBase = segments[victim].createdMs > to.pointee.createdMs ? (segments[victim].createdMs - to.pointee.createdMs) / 1000 : 0
    moved.accessCode = ItemHeader.encodeAccess(seconds: ItemHeader.decodeAccess(header.accessCode) + idleBase)
    copy.header = moved
    copy.versionField = version
    let skipped = ItemHeader.bytes + (header.flags.contains(.hasVersion) ? 8 : 0)
    (copy.raw + ItemHeader.bytes + 8).copyMemory(from: item.raw + skipped, byteCount: ItemPointer.sizeBytes(header) - skipped)
    var pointing = Slot(word: slot.pointee)
    pointing.location = Slot.location(segment: target, offset: offset)
    pointing.frequency >>= 1
    slot.pointee = pointing.word
    moves &+= 1
    to.pointee.usedBytes += Int32(size)
    to.pointee.liveBytes += Int32(size)
    to.pointee.liveItems += 1
    segments[victim].liveItems -= 1
    segments[victim].liveBytes -= Int32(ItemPointer.sizeBytes(header))
    return true
  }

  /// Before an item is removed for want of memory: counts it, and tells who watches.
  mutating func noteEviction(_ found: Found) {
    countEviction(found.header)
    evictedByClass[Int(segment(of: found).pointee.classIndex)] += 1
    guard shared.isEvictionWatched.load(ordering: .relaxed), let tell = shared.onEviction else { return }
    var description = ItemDescription()
    describe(found, into: &description)
    tell(description)
  }

  mutating func countEviction(_ header: ItemHeader) {
    counters.evictions += 1
    if !header.flags.contains(.wasFetched) { counters.evictedUnfetched += 1 }
  }

  mutating func countExpiry(_ header: ItemHeader) {
    counters.reclaimed += 1
    if !header.flags.contains(.wasFetched) { counters.expiredUnfetched += 1 }
  }

  /// Evicts for a large value that needs bytes anywhere. False: this partition has nothing left to give.
  mutating func evictForBudget(nowMs: Milliseconds) -> Bool {
    if nowMs > self.nowMs { self.nowMs = nowMs }
    let before = heldSegments
    expireSegments(most: Self.mostExpired)
    if heldSegments < before || sweepFlushed() { return true }
    // A partition's own segments are of no use to others.
    if heldSegments + ownFree.count <= Self.ownSegments { return evicts && evictLarge() }
    return makeRoom()
  }
}
