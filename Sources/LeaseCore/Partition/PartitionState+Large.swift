/// Large values are evicted one by one, oldest first: the segment with their stubs would take all of them at once.
extension PartitionState {
  /// A large value that the index points at now.
  mutating func takeOver(_ large: LargeValue, hash: UInt64, sequence: UInt64) {
    largeValues += 1
    largeBytes += large.mappedBytes
    large.header.pointee.hash = hash
    append(large.header, sequence: sequence)
  }

  /// No item names it any more. Readers that retained it may still send it.
  mutating func dropLarge(_ large: LargeValue) {
    largeValues -= 1
    largeBytes -= large.mappedBytes
    unlink(large.header)
    budget.drop(large)
  }

  private mutating func append(_ header: UnsafeMutablePointer<LargeHeader>, sequence: UInt64) {
    header.pointee.sequence = sequence
    header.pointee.next = nil
    header.pointee.previous = largeTail
    if let tail = largeTail { tail.pointee.next = header } else { largeHead = header }
    largeTail = header
  }

  private mutating func unlink(_ header: UnsafeMutablePointer<LargeHeader>) {
    let (previous, next) = (header.pointee.previous, header.pointee.next)
    if let previous { previous.pointee.next = next } else { largeHead = next }
    if let next { next.pointee.previous = previous } else { largeTail = previous }
    header.pointee.next = nil
    header.pointee.previous = nil
  }

  /// Whether a large value is older than this segment, or as old (nil: there is none to compare with).
  func hasLarge(asOldAs segment: Int?) -> Bool {
    guard let head = largeHead else { return false }
    return segment.map { head.pointee.sequence <= segments[$0].sequence } ?? true
  }

  /// Evicts the oldest large value that was not read again: one that was goes to the end of the queue, half its frequency lost.
  mutating func evictLarge() -> Bool {
    var chances = min(largeValues, 64)
    while let head = largeHead {
      guard let found = find(largeValue: head) else {
        assertionFailure("a queued large value is in the index")
        return false
      }
      var slot = Slot(word: found.slot.pointee)
      if slot.frequency > 0, chances > 0 {
        chances -= 1
        slot.frequency >>= 1
        found.slot.pointee = slot.word
        unlink(head)
        append(head, sequence: nextSequence)
        continue
      }
      noteEviction(found)
      remove(found, hash: head.pointee.hash)
      return true
    }
    return false
  }

  private func find(largeValue header: UnsafeMutablePointer<LargeHeader>) -> Found? {
    let hash = header.pointee.hash
    let (table, home) = place(hash: hash)
    for distance in 0...table.farthest(table.bucket(home)) {
      let bucket = table.bucket(behind: home, distance)
      for position in 1...BucketTable.slotsPerBucket where bucket[position] != 0 {
        let slot = Slot(word: bucket[position])
        guard slot.tag == Slot.tag(hash: hash) else { continue }
        let item = item(at: slot)
        let itemHeader = item.header
        if item.large(itemHeader)?.header == header { return Found(slot: bucket + position, item: item, header: itemHeader) }
      }
    }
    return nil
  }

  /// How much an item is worth keeping when its segment goes: a large value that has been given another chance outlives its stub's segment.
  func worth(_ item: ItemPointer, _ header: ItemHeader, frequency: UInt64, segment: Int) -> Int {
    if header.flags.contains(.isLarge), let large = item.large(header), large.header.pointee.sequence > segments[segment].sequence {
      return Int(Slot.largestFrequency)
    }
    return Int(frequency)
  }
}
