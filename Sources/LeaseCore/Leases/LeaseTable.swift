/// The lease records of one partition: a chained hash table and a heap of deadlines.
/// Invariant: `count` records are in chains; the heap holds those with a deadline, earliest first. Memory pressure never touches it.
struct LeaseTable {
  let settings: LeaseSettings
  private var chains: UnsafeMutablePointer<RecordPointer?>
  private var chainMask = 15
  private(set) var count = 0
  private(set) var heap: [RecordPointer] = []
  /// Records with their keys, and grants.
  private var cells = CellPool()
  /// Bytes of failure messages.
  private var messageBytes = 0
  private(set) var grants = 0
  /// Those of the grants that a delete voided.
  private(set) var voidedGrants = 0

  init(settings: LeaseSettings) {
    self.settings = settings
    chains = .allocate(capacity: 16)
    chains.initialize(repeating: nil, count: 16)
  }

  // MARK: Records

  @inline(__always)
  func find(_ key: CacheKey) -> RecordPointer? {
    count == 0 ? nil : findInChain(key)
  }

  private func findInChain(_ key: CacheKey) -> RecordPointer? {
    var record = chains[Int(truncatingIfNeeded: key.hash >> 16) & chainMask]
    while let current = record {
      if current.pointee.hash == key.hash, Int(current.pointee.keyCount) == key.count, equalBytes(current.key, key.bytes, count: key.count)
      {
        return current
      }
      record = current.pointee.next
    }
    return nil
  }

  /// The record of a live lease by its key's hash and its token.
  func find(hash: UInt64, token: UInt64) -> RecordPointer? {
    var record = chains[Int(truncatingIfNeeded: hash >> 16) & chainMask]
    while let current = record {
      if current.pointee.hash == hash, current.liveGrant(token: token) != nil { return current }
      record = current.pointee.next
    }
    return nil
  }

  mutating func insert(_ key: CacheKey) -> RecordPointer {
    if count > chainMask { rehash() }
    let size = MemoryLayout<KeyRecord>.size + key.count
    let record = cells.take(size).bindMemory(to: KeyRecord.self, capacity: 1)
    record.initialize(to: KeyRecord(hash: key.hash, keyCount: key.count))
    record.key.copyMemory(from: key.bytes, byteCount: key.count)
    let chain = Int(truncatingIfNeeded: key.hash >> 16) & chainMask
    record.pointee.next = chains[chain]
    chains[chain] = record
    count += 1
    return record
  }

  mutating func remove(_ record: RecordPointer) {
    assert(record.pointee.lanes == nil, "its waiters would never be answered")
    setDeadline(record, .max)
    setMessage(record, nil)
    let chain = Int(truncatingIfNeeded: record.pointee.hash >> 16) & chainMask
    if chains[chain] == record {
      chains[chain] = record.pointee.next
    } else {
      var before = chains[chain]
      while let current = before, current.pointee.next != record { before = current.pointee.next }
      before?.pointee.next = record.pointee.next
    }
    count -= 1
    cells.give(UnsafeMutableRawPointer(record), MemoryLayout<KeyRecord>.size + Int(record.pointee.keyCount))
  }

  func allRecords() -> [RecordPointer] {
    var records: [RecordPointer] = []
    records.reserveCapacity(count)
    for chain in 0...chainMask {
      var record = chains[chain]
      while let current = record {
        records.append(current)
        record = current.pointee.next
      }
    }
    return records
  }

  var chainCount: Int { chainMask + 1 }

  /// The records of some chains from this one on, until there are about so many; `chain` is then the next one.
  func records(from chain: inout Int, most: Int) -> [RecordPointer] {
    var records: [RecordPointer] = []
    var steps = 0
    while chain < chainCount, records.count < most, steps < 4 * most {
      steps += 1
      var record = chains[chain]
      while let current = record {
        records.append(current)
        record = current.pointee.next
      }
      chain += 1
    }
    return records
  }

  /// Forgets every record; nobody waits any more.
  mutating func removeAll(counter shared: SharedState) {
    for chain in 0...chainMask {
      while let record = chains[chain] {
        record.eachGrant { grant in
          if grant.pointee.kind != .voided { shared.leaseCount.wrappingSubtract(1, ordering: .relaxed) }
          freeGrant(grant)
        }
        record.pointee.grants = nil
        shared.recordCount.wrappingSubtract(1, ordering: .relaxed)
        remove(record)
      }
    }
  }

  private mutating func rehash() {
    let newMask = chainMask * 2 + 1
    let bigger = UnsafeMutablePointer<RecordPointer?>.allocate(capacity: newMask + 1)
    bigger.initialize(repeating: nil, count: newMask + 1)
    for chain in 0...chainMask {
      while let record = chains[chain] {
        chains[chain] = record.pointee.next
        let target = Int(truncatingIfNeeded: record.pointee.hash >> 16) & newMask
        record.pointee.next = bigger[target]
        bigger[target] = record
      }
    }
    chains.deallocate()
    chains = bigger
    chainMask = newMask
  }

  /// All that the table takes, for `stats`.
  var memoryBytes: Int { cells.bytes + messageBytes + (chainMask + 1 + heap.capacity) * 8 }

  /// After `removeAll`, at the end of the partition.
  mutating func destroy() {
    chains.deallocate()
    cells.destroy()
  }

  // MARK: Grants

  mutating func addGrant(_ grant: Grant, to record: RecordPointer) {
    let pointer = cells.take(MemoryLayout<Grant>.size).bindMemory(to: Grant.self, capacity: 1)
    pointer.initialize(to: grant)
    pointer.pointee.next = record.pointee.grants
    record.pointee.grants = pointer
    grants += 1
  }

  mutating func removeGrant(_ grant: UnsafeMutablePointer<Grant>, from record: RecordPointer) {
    if record.pointee.grants == grant {
      record.pointee.grants = grant.pointee.next
    } else {
      var before = record.pointee.grants
      while let current = before, current.pointee.next != grant { before = current.pointee.next }
      before?.pointee.next = grant.pointee.next
    }
    freeGrant(grant)
  }

  /// A delete: the token is remembered, but a lease no more.
  mutating func void(_ grant: UnsafeMutablePointer<Grant>, nowMs: Milliseconds) {
    grant.pointee.kind = .voided
    grant.pointee.sinceMs = nowMs
    voidedGrants += 1
  }

  private mutating func freeGrant(_ grant: UnsafeMutablePointer<Grant>) {
    if grant.pointee.kind == .voided { voidedGrants -= 1 }
    cells.give(UnsafeMutableRawPointer(grant), MemoryLayout<Grant>.size)
    grants -= 1
  }

  mutating func setMessage(_ record: RecordPointer, _ message: UnsafeRawBufferPointer?) {
    record.pointee.message?.deallocate()
    messageBytes -= Int(record.pointee.messageCount)
    record.pointee.message = nil
    record.pointee.messageCount = 0
    guard let message, message.count > 0, let source = message.baseAddress else { return }
    let count = min(message.count, LeaseSettings.longestMessageBytes)
    let copy = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 1)
    copy.copyMemory(from: source, byteCount: count)
    record.pointee.message = copy
    record.pointee.messageCount = UInt16(count)
    messageBytes += count
  }

  // MARK: Deadlines

  var earliestDeadlineMs: Milliseconds { heap.first?.pointee.deadlineMs ?? .max }

  /// Moves the record in the heap; `.max` takes it out. O(log records).
  mutating func setDeadline(_ record: RecordPointer, _ deadlineMs: Milliseconds) {
    record.pointee.deadlineMs = deadlineMs
    let index = Int(record.pointee.heapIndex)
    if deadlineMs == .max {
      guard index >= 0 else { return }
      record.pointee.heapIndex = -1
      let last = heap.removeLast()
      guard last != record else { return }
      heap[index] = last
      last.pointee.heapIndex = Int32(index)
      sift(index)
    } else if index < 0 {
      heap.append(record)
      record.pointee.heapIndex = Int32(heap.count - 1)
      sift(heap.count - 1)
    } else {
      sift(index)
    }
  }

  private mutating func sift(_ start: Int) {
    var index = start
    while index > 0, heap[index].pointee.deadlineMs < heap[(index - 1) / 2].pointee.deadlineMs {
      swapPlaces(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
    while true {
      var least = index
      for child in (2 * index + 1)...(2 * index + 2) where child < heap.count {
        if heap[child].pointee.deadlineMs < heap[least].pointee.deadlineMs { least = child }
      }
      if least == index { return }
      swapPlaces(index, least)
      index = least
    }
  }

  private mutating func swapPlaces(_ a: Int, _ b: Int) {
    heap.swapAt(a, b)
    heap[a].pointee.heapIndex = Int32(a)
    heap[b].pointee.heapIndex = Int32(b)
  }
}
