/// Large values in the order of their eviction.
struct LargeQueue {
  private(set) var head: UnsafeMutablePointer<LargeHeader>?
  private var tail: UnsafeMutablePointer<LargeHeader>?
  private(set) var bytes = 0

  mutating func append(_ header: UnsafeMutablePointer<LargeHeader>) {
    header.pointee.next = nil
    header.pointee.previous = tail
    if let tail { tail.pointee.next = header } else { head = header }
    tail = header
    bytes += header.pointee.mappedBytes
  }

  mutating func remove(_ header: UnsafeMutablePointer<LargeHeader>) {
    let (previous, next) = (header.pointee.previous, header.pointee.next)
    if let previous { previous.pointee.next = next } else { head = next }
    if let next { next.pointee.previous = previous } else { tail = previous }
    header.pointee.next = nil
    header.pointee.previous = nil
    bytes -= header.pointee.mappedBytes
  }
}

/// Large values are evicted one by one: the segment with their stubs would take all of them at once.
extension PartitionState {
  /// A large value that the index points at now.
  mutating func takeOver(_ large: LargeValue, hash: UInt64, sequence: UInt64) {
    largeValues += 1
    largeBytes += large.mappedBytes
    large.header.pointee.hash = hash
    large.header.pointee.sequence = sequence
    freshLarge.append(large.header)
  }

  /// No item names it any more. Readers that retained it may still send it.
  mutating func dropLarge(_ large: LargeValue) {
    largeValues -= 1
    largeBytes -= large.mappedBytes
    unlink(large.header)
    budget.drop(large)
  }

  private mutating func unlink(_ header: UnsafeMutablePointer<LargeHeader>) {
    if header.pointee.isKept { keptLarge.remove(header) } else { freshLarge.remove(header) }
  }

  /// To the end of the queue of those that eviction kept.
  mutating func keepLarge(_ header: UnsafeMutablePointer<LargeHeader>) {
    unlink(header)
    header.pointee.isKept = true
    header.pointee.sequence = nextSequence
    keptLarge.append(header)
  }

  func find(largeValue header: UnsafeMutablePointer<LargeHeader>) -> Found? {
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
}
