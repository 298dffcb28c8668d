/// What goes when memory is full. All of the policy is here; how a segment is emptied is in PartitionState+Reclaim.swift.
///
/// Two queues of segments, oldest first, after S3-FIFO (Yang, Zhang, Qiu, Yue, Vinayak, SOSP'23), on Segcache's segments (Yang, Yue, Vinayak,
/// NSDI'21):
/// - *Fresh* segments hold what was just written, one open segment for each class of times to live. Of an oldest fresh segment only what was read
///   since moves on to a kept segment; the rest is gone, so a scan passes through without pushing out anything that is read.
/// - *Kept* segments hold what eviction kept. What was read in the last round goes round again, its frequency (at most 3 counts) one lower.
/// - Fresh ones may take a tenth of the partition's memory. While they take more, the oldest of them goes, else the oldest kept one.
/// - What was evicted is remembered as a *ghost*: 11 bits of its hash in the spare bits of its bucket, four a bucket, no memory and no cache line
///   of their own. A ghost that is written again counts as read, so it is kept when its turn comes.
/// - Bytes count: an item of more than twice the average size is worth its frequency times what it is smaller than that. Large values, one by one,
///   would soon fill the fresh tenth: above half of it the oldest of them goes first.
/// - A segment keeps four fifths of its bytes at most, the most read first. So a call looks through `mostReclaimed` segments at worst,
///   copies less than so many, and the last of them goes without exception: the lock is never held for longer than that.
/// - Large values lie outside the segments and go one by one, in the same order and by the same rules; no ghosts, for there are few of them.
///
/// Tried on generated traces, hit ratio in points (those of `tools/bench-hits`; 8 to 64 MB):
/// - one queue, two segments merged by a threshold of frequency (before): zipf 0.7 -4.9, 4 KB blocks -6 to -15, sizes -4.5, popular small -6.9, scan -2.4
/// - fresh share 5 %: zipf +0.2, churn -0.2; 20 %: zipf -0.5, churn +0.2; 35 %: worse everywhere else
/// - keep a fresh item only if it was read twice: -0.4 on average, -0.9 on zipf 0.7 and scans
/// - no ghosts: churn -2.6, zipf 0.7 -1.3, sizes -0.6; ghosts of large values: -4 on large values
/// - half the frequency instead of one less, seven counts instead of three: 0.0
/// - sizes do not count: sizes -2.1, large values -4; sizes count from half the average: -1.8, from four times: -0.4 on average
/// - large fresh values may take the whole tenth: large values -4
/// - a segment keeps at most half: -0.6; nine tenths: +0.1 for 15 % more copying
extension PartitionState {
  /// How often a written ghost counts as read.
  static var ghostFrequency: UInt64 { 1 }
  /// Of a partition's memory, in hundredths.
  private static var freshShare: Int { 10 }
  /// Of large values among them.
  private static var freshLargeShare: Int { 5 }
  /// Frequency that counts; more does not keep an item for more rounds.
  private static var mostRounds: UInt64 { 3 }
  /// Segments that one call looks through.
  private static var mostReclaimed: Int { 8 }
  /// Large values that one call leaves because they were read.
  private static var mostChances: Int { 64 }

  /// Gives at least one segment (or a large value's bytes) back to the budget. False: nothing left to give.
  mutating func makeRoom() -> Bool {
    let before = heldSegments
    for _ in 0..<Self.mostReclaimed where sweepFlushed() && heldSegments < before { return true }
    if compact() || freeEmptyOpen() { return true }
    guard evicts else { return false }
    var segmentsLeft = Self.mostReclaimed
    var chancesLeft = Self.mostChances
    while let victim = nextVictim() {
      switch victim {
      case .large(let header):
        if evictLarge(header, unlessRead: chancesLeft > 0) { return true }
        chancesLeft -= 1
      case .segment(let number):
        segmentsLeft -= 1
        reclaim(number, segmentsLeft == 0 ? .highest : bar(for: number))
        if heldSegments < before { return true }
        if segmentsLeft == 0 { return false }
      }
    }
    return false
  }

  /// A large value goes: where segments are of no use. False: there is none.
  mutating func evictSomeLarge() -> Bool {
    guard evicts else { return false }
    var chancesLeft = Self.mostChances
    while let header = freshLarge.bytes * 100 > largeBytes * Self.freshShare ? freshLarge.head : keptLarge.head ?? freshLarge.head {
      if evictLarge(header, unlessRead: chancesLeft > 0) { return true }
      chancesLeft -= 1
    }
    return false
  }

  // MARK: Whose turn it is

  private enum Victim {
    case segment(Int)
    case large(UnsafeMutablePointer<LargeHeader>)
  }

  /// O(segments).
  private mutating func nextVictim() -> Victim? {
    var oldestFresh = -1
    var oldestKept = -1
    var oldestOpen = -1
    var freshBytes = freshLarge.bytes
    for number in 0..<segmentCount where segments[number].phase != .free {
      let isKept = segments[number].isKept
      if !isKept { freshBytes += segmentBytes }
      if segments[number].phase == .open, !isKept, segments[number].liveItems > 0 {
        if oldestOpen < 0 || segments[number].sequence < segments[oldestOpen].sequence { oldestOpen = number }
      }
      guard segments[number].phase == .sealed else { continue }
      let oldest = isKept ? oldestKept : oldestFresh
      if oldest >= 0, segments[oldest].sequence < segments[number].sequence { continue }
      if isKept { oldestKept = number } else { oldestFresh = number }
    }
    // Of a class that nothing is written to any more.
    if oldestOpen >= 0, oldestFresh >= 0, segments[oldestOpen].sequence < segments[oldestFresh].sequence {
      seal(oldestOpen)
      oldestFresh = oldestOpen
    }
    let fresh = older(oldestFresh, freshLarge.head)
    let kept = older(oldestKept, keptLarge.head)
    if freshLarge.bytes * 100 > heldBytes * Self.freshLargeShare, let head = freshLarge.head { return .large(head) }
    let hasManyFresh = freshBytes * 100 > heldBytes * Self.freshShare
    // When all are open, the fullest has to do.
    return (hasManyFresh ? fresh ?? kept : kept ?? fresh) ?? sealFullest().map { .segment($0) }
  }

  private func older(_ number: Int, _ large: UnsafeMutablePointer<LargeHeader>?) -> Victim? {
    if let large, number < 0 || large.pointee.sequence <= segments[number].sequence { return .large(large) }
    return number < 0 ? nil : .segment(number)
  }

  private mutating func sealFullest() -> Int? {
    var fullest = -1
    for number in 0..<segmentCount where segments[number].phase == .open && segments[number].liveItems > 0 {
      if fullest < 0 || segments[number].usedBytes > segments[fullest].usedBytes { fullest = number }
    }
    guard fullest >= 0 else { return nil }
    seal(fullest)
    return fullest
  }

  // MARK: What is kept

  /// How much an item is worth keeping when its segment goes. Of a large value only the stub goes: the value has a turn of its own.
  func worth(_ header: ItemHeader, _ slot: Slot) -> Int {
    if header.flags.contains(.isLarge) { return Int(Slot.largestFrequency) }
    return worth(slot.frequency, bytes: ItemPointer.sizeBytes(header))
  }

  private func worth(_ frequency: UInt64, bytes: Int) -> Int {
    let fair = heldBytes * 2 / max(1, items)
    return bytes <= fair ? Int(frequency) : Int(frequency) * fair / bytes
  }

  /// What a segment keeps: all that was read, as far as it fits into four fifths of a segment.
  private func bar(for number: Int) -> Bar {
    let sizes = sizesByWorth(number)
    var bar = Bar.highest
    bar.bytesAtWorth = (segmentBytes - Segment.firstOffset) / 5 * 4
    while bar.worth > 0, sizes[bar.worth] <= bar.bytesAtWorth {
      bar.bytesAtWorth -= sizes[bar.worth]
      bar.worth -= 1
    }
    return bar
  }

  /// What is kept for the first time has to be read again to be kept once more.
  func frequencyAfterKeeping(_ frequency: UInt64, wasKept: Bool) -> UInt64 {
    wasKept && frequency > 0 ? min(frequency, Self.mostRounds) - 1 : 0
  }

  private mutating func evictLarge(_ header: UnsafeMutablePointer<LargeHeader>, unlessRead: Bool) -> Bool {
    guard let found = find(largeValue: header) else {
      assertionFailure("a queued large value is in the index")
      dropLarge(LargeValue(header: header))
      return true
    }
    var slot = Slot(word: found.slot.pointee)
    if unlessRead, worth(slot.frequency, bytes: header.pointee.mappedBytes) > 0 {
      slot.frequency = frequencyAfterKeeping(slot.frequency, wasKept: header.pointee.isKept)
      found.slot.pointee = slot.word
      keepLarge(header)
      return false
    }
    noteEviction(found)
    remove(found, hash: header.pointee.hash)
    return true
  }
}
