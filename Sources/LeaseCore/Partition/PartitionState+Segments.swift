/// Where a new item may be written.
struct Room {
  let segment: Int
  let offset: Int
  let item: ItemPointer
  let delta: UInt64
  var location: UInt64 { Slot.location(segment: segment, offset: offset) }
}

extension PartitionState {
  /// Segments that one call expires.
  static var mostExpired: Int { 4 }

  /// Room for an item in the open segment of its time class, opening (and, at the limit, evicting) as needed.
  /// Items that were found before this call may have moved. Nil: out of memory.
  mutating func takeRoom(sizeBytes: Int, goneMs: Milliseconds) -> Room? {
    assert(sizeBytes <= segmentBytes - Segment.firstOffset, "larger values live outside the segments")
    let classIndex = goneMs == .max ? 0 : classes.classIndex(remainingMs: goneMs > nowMs ? goneMs - nowMs : 0)
    let number = openSegments[classIndex]
    if number >= 0, let room = room(in: Int(number), sizeBytes: sizeBytes, goneMs: goneMs) { return room }
    return openSegment(classIndex, sizeBytes: sizeBytes, goneMs: goneMs)
  }

  @inline(__always)
  private func room(in number: Int, sizeBytes: Int, goneMs: Milliseconds) -> Room? {
    let segment = segments + number
    let offset = Int(segment.pointee.usedBytes)
    guard offset + sizeBytes <= segmentBytes else { return nil }
    var delta: UInt64 = 0
    if segment.pointee.classIndex != 0 {
      guard let fitting = self.delta(goneMs: goneMs, in: segment.pointee) else { return nil }
      delta = fitting
      let roundedMs = segment.pointee.baseMs + delta << UInt64(segment.pointee.unitShift)
      if roundedMs > segment.pointee.lastGoneMs { segment.pointee.lastGoneMs = roundedMs }
    }
    segment.pointee.usedBytes += Int32(sizeBytes)
    segment.pointee.liveBytes += Int32(sizeBytes)
    segment.pointee.liveItems += 1
    return Room(segment: number, offset: offset, item: ItemPointer(raw: segment.pointee.memory + offset), delta: delta)
  }

  /// The expiry in the segment's units, rounded up; nil when it lies outside what the segment can tell.
  func delta(goneMs: Milliseconds, in segment: Segment) -> UInt64? {
    guard goneMs >= segment.baseMs else { return nil }
    let units = (goneMs - segment.baseMs + (1 << UInt64(segment.unitShift)) - 1) >> UInt64(segment.unitShift)
    return units <= ItemHeader.largestDelta ? units : nil
  }

  @inline(never)
  private mutating func openSegment(_ classIndex: Int, sizeBytes: Int, goneMs: Milliseconds) -> Room? {
    if openSegments[classIndex] >= 0 { seal(Int(openSegments[classIndex])) }
    guard let number = takeSegment(classIndex) else { return nil }
    openSegments[classIndex] = Int32(number)
    let segment = segments + number
    segment.pointee.phase = .open
    if classIndex == 0 {
      segment.pointee.lastGoneMs = .max
    } else {
      segment.pointee.unitShift = classes.unitShift(classIndex)
      segment.pointee.baseMs = baseMs(classIndex, goneMs: goneMs, unitShift: UInt64(segment.pointee.unitShift))
    }
    let room = room(in: number, sizeBytes: sizeBytes, goneMs: goneMs)
    if classIndex != 0 { planMaintenance(atMs: segment.pointee.lastGoneMs) }
    return room
  }

  /// The earliest end that a new segment can tell. Where a class is wider than the units reach (months), its first item is in the middle.
  /// A multiple of the unit, so that an end that was rounded once is exact in every segment that its item moves to.
  private func baseMs(_ classIndex: Int, goneMs: Milliseconds, unitShift: UInt64) -> Milliseconds {
    let reachMs = ItemHeader.largestDelta << unitShift
    var baseMs = nowMs + classes.lowestMs(classIndex)
    if goneMs <= baseMs {
      baseMs = goneMs
    } else if goneMs - baseMs > reachMs / 2 {
      baseMs = goneMs - reachMs / 2
    }
    return (baseMs >> unitShift) << unitShift
  }

  func isEmpty(_ number: Int) -> Bool { segments[number].liveItems == 0 }

  mutating func seal(_ number: Int) {
    close(number)
    segments[number].phase = .sealed
    if isEmpty(number) { freeSegment(number) }
  }

  /// Nothing more is appended to it.
  private mutating func close(_ number: Int) {
    let classIndex = Int(segments[number].classIndex)
    if openSegments[classIndex] == Int32(number) { openSegments[classIndex] = -1 }
    if keptSegments[classIndex] == Int32(number) { keptSegments[classIndex] = -1 }
  }

  /// A segment number with memory, from the budget or by making room.
  private mutating func takeSegment(_ classIndex: Int) -> Int? {
    var memory = takeMemory()
    if memory == nil {
      // Expired segments first: they cost nothing.
      expireSegments(most: Self.mostExpired)
      memory = takeMemory()
    }
    var attempts = 0
    while memory == nil, attempts < 256, makeRoom() {
      attempts += 1
      // What was evicted may have been large values: here their bytes are needed at once, system call or not.
      budget.drainDropped()
      memory = takeMemory()
    }
    guard let memory else { return nil }
    return adopt(memory: memory, classIndex: classIndex)
  }

  private mutating func takeMemory() -> UnsafeMutableRawPointer? { ownFree.popLast() ?? budget.takeSegment() }

  /// Gives memory a number and a new generation.
  mutating func adopt(memory: UnsafeMutableRawPointer, classIndex: Int) -> Int {
    let number: Int
    if let free = freeNumbers.popLast() {
      number = Int(free)
    } else {
      if segmentCount == segmentCapacity { growSegmentArray() }
      number = segmentCount
      segmentCount += 1
    }
    var segment = Segment(memory: memory)
    segment.generation = shared.takeGeneration()
    segment.createdMs = nowMs
    segment.usedBytes = Int32(Segment.firstOffset)
    segment.classIndex = UInt8(classIndex)
    segment.sequence = nextSequence
    nextSequence += 1
    heldSegments += 1
    (segments + number).initialize(to: segment)
    return number
  }

  private mutating func growSegmentArray() {
    let bigger = UnsafeMutablePointer<Segment>.allocate(capacity: segmentCapacity * 2)
    bigger.moveInitialize(from: segments, count: segmentCount)
    segments.deallocate()
    segments = bigger
    segmentCapacity *= 2
  }

  /// The number and its memory go back; no live item may be left.
  mutating func freeSegment(_ number: Int) {
    assert(segments[number].liveItems == 0 && segments[number].phase != .free, "only an empty segment is freed, once")
    let memory = segments[number].memory
    retire(number)
    if heldSegments + ownFree.count < Self.ownSegments {
      ownFree.append(memory)
    } else {
      budget.giveSegment(memory)
    }
  }

  /// Forgets a number whose memory went elsewhere.
  mutating func retire(_ number: Int) {
    close(number)
    segments[number].phase = .free
    segments[number].liveItems = 0
    segments[number].liveBytes = 0
    heldSegments -= 1
    freeNumbers.append(Int32(number))
  }

  /// An item that no slot points at any more: live counts, a large value's reference, an emptied sealed segment.
  mutating func forget(_ item: ItemPointer, _ header: ItemHeader, segment number: Int) {
    if let large = item.large(header) { dropLarge(large) }
    if header.flags.contains(.isKeptStale) { keptItems -= 1 }
    let segment = segments + number
    segment.pointee.liveItems -= 1
    segment.pointee.liveBytes -= Int32(ItemPointer.sizeBytes(header))
    if segment.pointee.liveItems == 0 {
      if segment.pointee.phase == .sealed {
        freeSegment(number)
      } else if Int(segment.pointee.usedBytes) > segmentBytes / 2, segment.pointee.phase == .open {
        // Written over and over: start again in place, under a new generation, for a place names a version only once.
        segment.pointee.usedBytes = Int32(Segment.firstOffset)
        segment.pointee.generation = shared.takeGeneration()
      }
    }
  }

  /// Calls the body for each item that lies in a segment, live or dead, in order. The body may not change the segment.
  func forEachItem(in number: Int, _ body: (ItemPointer, ItemHeader, Int) -> Void) {
    let segment = segments[number]
    var offset = Segment.firstOffset
    while offset < Int(segment.usedBytes) {
      let item = ItemPointer(raw: segment.memory + offset)
      let header = item.header
      body(item, header, offset)
      offset += ItemPointer.sizeBytes(header)
    }
  }

  /// Frees at most so many of the segments whose last item is gone: the lock is held no longer than that takes. False: more are left.
  /// O(segments), and O(items) of what expires.
  @discardableResult
  mutating func expireSegments(most: Int) -> Bool {
    var left = most
    for number in 0..<segmentCount where segments[number].phase != .free && segments[number].lastGoneMs <= nowMs {
      if left == 0 { return false }
      left -= 1
      emptySegment(number) { partition, found in partition.countExpiry(found.header) }
      counters.segmentsExpired += 1
    }
    return true
  }

  /// Removes every live item of a segment, telling of each, and frees it.
  mutating func emptySegment(_ number: Int, telling: (inout PartitionState, Found) -> Void) {
    // Sealed for the time of the walk, but held by one more item, so that the last removal does not free it under the walk.
    segments[number].liveItems += 1
    let segment = segments[number]
    var offset = Segment.firstOffset
    while offset < Int(segment.usedBytes) {
      let item = ItemPointer(raw: segment.memory + offset)
      let header = item.header
      offset += ItemPointer.sizeBytes(header)
      let location = Slot.location(segment: number, offset: offset - ItemPointer.sizeBytes(header))
      let hash = hash(of: item, header)
      if let slot = slot(at: location, hash: hash) {
        let found = Found(slot: slot, item: item, header: header)
        telling(&self, found)
        remove(found, hash: hash)
      }
    }
    segments[number].liveItems -= 1
    freeSegment(number)
  }

  /// Forgets all items at once: O(segments + large values).
  mutating func dropAllItems() {
    while let large = freshLarge.head ?? keptLarge.head { dropLarge(LargeValue(header: large)) }
    keptItems = 0
    for number in 0..<segmentCount where segments[number].phase != .free {
      segments[number].liveItems = 0
      freeSegment(number)
    }
    finishMigration()
    items = 0
    // A fresh small table costs less than clearing a large one.
    if let fresh = BucketTable(buckets: pageBytes / BucketTable.bucketBytes, budget: budget) {
      table.unmap(budget: budget)
      table = fresh
      publishTable()
    } else {
      table.words.update(repeating: 0, count: table.count * 8)
    }
  }
}
