/// What is kept of a segment: items worth more than this, and so many bytes of those worth just this. What is worth nothing is never kept.
struct Bar {
  var worth: Int
  var bytesAtWorth: Int

  static let lowest = Bar(worth: -1, bytesAtWorth: 0)
  static let highest = Bar(worth: Int(Slot.largestFrequency), bytesAtWorth: 0)

  mutating func takes(_ worth: Int, bytes: Int) -> Bool {
    if worth != self.worth { return worth > self.worth }
    guard worth > 0, bytes <= bytesAtWorth else { return false }
    bytesAtWorth -= bytes
    return true
  }
}

/// How a segment is emptied: what is worth it is copied into the open segment of kept items of its class, the rest is forgotten.
extension PartitionState {
  /// An access that was longer ago when its item was moved is told as this.
  private static var oldestAccessMs: UInt64 { 3_600_000 }

  /// Open segments whose items are all gone.
  mutating func freeEmptyOpen() -> Bool {
    for number in 0..<segmentCount where segments[number].phase == .open && isEmpty(number) {
      seal(number)
      return true
    }
    return false
  }

  /// Moves the live items of the emptiest segment together, which loses nothing, until that has freed a segment. False: no segment is half empty.
  mutating func compact() -> Bool {
    let before = heldSegments
    for _ in 0..<3 {
      var emptiest = -1
      for number in 0..<segmentCount where segments[number].phase == .sealed {
        if emptiest < 0 || segments[number].liveBytes < segments[emptiest].liveBytes { emptiest = number }
      }
      guard emptiest >= 0, Int(segments[emptiest].liveBytes) <= segmentBytes / 2 else { return false }
      let whole = sizesByWorth(emptiest).reduce(0, +)
      guard canKeepAll(emptiest, bytes: whole) else { return false }
      reclaim(emptiest, .lowest)
      if heldSegments < before { return true }
    }
    return false
  }

  /// Bytes that live items will take where they are moved to, by their worth.
  func sizesByWorth(_ number: Int) -> [Int] {
    var sizes = Array(repeating: 0, count: Int(Slot.largestFrequency) + 1)
    forEachItem(in: number) { item, header, offset in
      guard let slot = slot(at: Slot.location(segment: number, offset: offset), hash: hash(of: item, header)) else { return }
      guard segments[number].goneMs(header) > nowMs, !isFlushed(Found(slot: slot, item: item, header: header)) else { return }
      sizes[worth(header, Slot(word: slot.pointee))] += movedSize(header)
    }
    return sizes
  }

  /// Whether the open segment of kept items, if need be a new one, can tell the expiry of every item in this one, and has room.
  private func canKeepAll(_ number: Int, bytes: Int) -> Bool {
    let segment = segments[number]
    let open = Int(keptSegments[Int(segment.classIndex)])
    if open == number { return false }
    if open >= 0, canTell(segment.lastGoneMs, in: segments[open]), Int(segments[open].usedBytes) + bytes <= segmentBytes { return true }
    return bytes + Segment.firstOffset <= segmentBytes
      && (segment.classIndex == 0 || segment.lastGoneMs <= nowMs
        || (segment.lastGoneMs - keptBaseMs(segment)) >> UInt64(segment.unitShift) < ItemHeader.largestDelta)
  }

  private func canTell(_ goneMs: Milliseconds, in segment: Segment) -> Bool {
    segment.classIndex == 0 || goneMs >= segment.baseMs && (goneMs - segment.baseMs) >> UInt64(segment.unitShift) < ItemHeader.largestDelta
  }

  /// What is kept ends after now. Where a class is wider than the units reach, what ends last counts.
  private func keptBaseMs(_ victim: Segment) -> Milliseconds {
    let unit = UInt64(victim.unitShift)
    let now = (nowMs >> unit) << unit
    return victim.lastGoneMs <= now || (victim.lastGoneMs - now) >> unit < ItemHeader.largestDelta ? now : max(victim.baseMs, now)
  }

  /// A moved item cannot be named by its place any more: its version is stored with it.
  private func movedSize(_ header: ItemHeader) -> Int {
    ItemPointer.sizeBytes(keyCount: header.keyCount, valueCount: header.valueCount, flags: header.flags.union(.hasVersion))
  }

  /// Copies what the bar takes, and frees the segment. The spare memory becomes a segment when the open one is full;
  /// the victim's memory then becomes the spare.
  mutating func reclaim(_ victim: Int, _ bar: Bar) {
    var bar = bar
    if bar.worth == Bar.highest.worth && bar.bytesAtWorth == 0 {
      emptySegment(victim) { $0.forgetEvicted($1) }
      counters.segmentsEvicted += 1
      return
    }
    var hasSpare = true
    // Held until the end, whatever is removed meanwhile.
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
      let found = Found(slot: slot, item: item, header: header)
      let isOver = source.goneMs(header) <= nowMs
      // In a younger segment a flushed item would come back.
      if !isOver, !isFlushed(found), bar.takes(worth(header, Slot(word: slot.pointee)), bytes: movedSize(header)),
        keep(found, from: victim, hasSpare: &hasSpare)
      {
        if bar.worth >= 0 { age(slot, wasKept: source.isKept) }
        continue
      }
      if isOver { countExpiry(header) } else { forgetEvicted(found) }
      remove(found, hash: hash)
    }
    segments[victim].liveItems -= 1
    assert(isEmpty(victim), "every item was kept or removed")
    counters.segmentsMerged += 1
    if hasSpare {
      freeSegment(victim)
    } else {
      spareMemory = segments[victim].memory
      retire(victim)
    }
  }

  private mutating func forgetEvicted(_ found: Found) {
    if !found.header.flags.contains(.isLarge) {
      let hash = hash(of: found.item, found.header)
      place(hash: hash).table.noteGhost(hash: hash)
    }
    noteEnd(found)
  }

  private func age(_ slot: UnsafeMutablePointer<UInt64>, wasKept: Bool) {
    var aged = Slot(word: slot.pointee)
    aged.frequency = frequencyAfterKeeping(aged.frequency, wasKept: wasKept)
    slot.pointee = aged.word
  }

  /// Copies an item into the open segment of kept items of its class, or a new one in the spare memory. False: there is no place that can tell its expiry.
  private mutating func keep(_ found: Found, from victim: Int, hasSpare: inout Bool) -> Bool {
    let size = movedSize(found.header)
    var target = Int(keptSegments[Int(segments[victim].classIndex)])
    if target < 0 || Int(segments[target].usedBytes) + size > segmentBytes || !canTell(segments[victim].lastGoneMs, in: segments[target]) {
      guard hasSpare else { return false }
      hasSpare = false
      target = openKept(like: victim)
    }
    return move(found, size: size, from: victim, to: target)
  }

  private mutating func openKept(like victim: Int) -> Int {
    let classIndex = Int(segments[victim].classIndex)
    if keptSegments[classIndex] >= 0 { seal(Int(keptSegments[classIndex])) }
    let target = adopt(memory: spareMemory, classIndex: classIndex)
    keptSegments[classIndex] = Int32(target)
    segments[target].isKept = true
    segments[target].phase = .open
    segments[target].unitShift = segments[victim].unitShift
    segments[target].baseMs = keptBaseMs(segments[victim])
    segments[target].lastGoneMs = segments[victim].lastGoneMs
    // Not the first of a long line of segments: last accesses are told to 1 % of the time since then.
    segments[target].createdMs = max(segments[victim].createdMs, nowMs > Self.oldestAccessMs ? nowMs - Self.oldestAccessMs : 0)
    return target
  }

  private mutating func move(_ found: Found, size: Int, from victim: Int, to target: Int) -> Bool {
    let (item, header) = (found.item, found.header)
    let to = segments + target
    let offset = Int(to.pointee.usedBytes)
    let version = self.version(of: found)
    let copy = ItemPointer(raw: to.pointee.memory + offset)
    var moved = header
    moved.flags = header.flags.union(.hasVersion)
    if to.pointee.classIndex != 0 {
      let goneMs = segments[victim].goneMs(header)
      guard let delta = delta(goneMs: goneMs, in: to.pointee) else { return false }
      moved.delta = delta
      to.pointee.lastGoneMs = max(to.pointee.lastGoneMs, to.pointee.goneMs(moved))
    }
    let accessMs = segments[victim].createdMs + ItemHeader.decodeAccess(header.accessCode) * 1000
    moved.accessCode = ItemHeader.encodeAccess(seconds: accessMs > to.pointee.createdMs ? (accessMs - to.pointee.createdMs) / 1000 : 0)
    copy.header = moved
    copy.versionField = version
    let skipped = ItemHeader.bytes + (header.flags.contains(.hasVersion) ? 8 : 0)
    (copy.raw + ItemHeader.bytes + 8).copyMemory(from: item.raw + skipped, byteCount: ItemPointer.sizeBytes(header) - skipped)
    var pointing = Slot(word: found.slot.pointee)
    pointing.location = Slot.location(segment: target, offset: offset)
    found.slot.pointee = pointing.word
    moves &+= 1
    to.pointee.usedBytes += Int32(size)
    to.pointee.liveBytes += Int32(size)
    to.pointee.liveItems += 1
    segments[victim].liveItems -= 1
    segments[victim].liveBytes -= Int32(ItemPointer.sizeBytes(header))
    counters.bytesMoved += UInt64(size)
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
    if heldSegments + ownFree.count <= Self.ownSegments { return evictSomeLarge() }
    return makeRoom()
  }
}
