extension PartitionState {
  /// Lease records that one call settles.
  static var mostSettled: Int { 1024 }

  /// A bounded part of what is due. Returns when there is more to do: now, if something is left.
  mutating func maintain() -> Milliseconds {
    nextMaintenanceMs = .max
    let isDone = expireSegments(most: Self.mostExpired)
    var recordsLeft = Self.mostSettled
    while recordsLeft > 0, leases.earliestDeadlineMs <= nowMs, let record = leases.heap.first {
      recordsLeft -= 1
      let key = CacheKey(bytes: UnsafeRawPointer(record.key), count: Int(record.pointee.keyCount), hash: record.pointee.hash)
      _ = look(key)
      // An item without the record's bit keeps `look` from finding the record.
      if let still = leases.heap.first, still == record, still.pointee.deadlineMs <= nowMs { _ = settle(still) }
    }
    settleFlushed(most: Self.mostSettled)
    let isSwept = !sweepFlushed()
    // Not done: soon again, when others have had the lock.
    var next = isDone && isSwept && nextSweptChain == nil ? min(leases.earliestDeadlineMs, sweepAgainAtMs) : nowMs
    for number in 0..<segmentCount where segments[number].phase != .free { next = min(next, segments[number].lastGoneMs) }
    nextMaintenanceMs = next
    return next
  }

  func describe(_ found: Found, into description: inout ItemDescription) {
    let segment = segment(of: found)
    description.key = UnsafeRawPointer(found.item.key(found.header))
    description.keyCount = found.header.keyCount
    view(found, into: &description.item)
    description.ageSeconds = (nowMs &- segment.pointee.createdMs) / 1000
    description.sizeBytes = ItemPointer.sizeBytes(found.header) + (description.item.large?.count ?? 0)
    description.classIndex = Int(segment.pointee.classIndex) + 1
  }

  /// The cursor is a segment number and an offset in it.
  mutating func walk(_ cursor: inout UInt64, limit: Int, _ body: (ItemDescription) -> Void) -> Bool {
    var number = Int(cursor >> 32)
    var offset = max(Int(cursor & 0xffff_ffff), Segment.firstOffset)
    var left = limit
    while number < segmentCount {
      while segments[number].phase != .free, offset < Int(segments[number].usedBytes) {
        if left == 0 {
          cursor = UInt64(number) << 32 | UInt64(offset)
          return true
        }
        left -= 1
        let item = ItemPointer(raw: segments[number].memory + offset)
        let header = item.header
        if let slot = slot(at: Slot.location(segment: number, offset: offset), hash: hash(of: item, header)) {
          let found = Found(slot: slot, item: item, header: header)
          let visibility = visibility(of: found)
          if visibility == .fresh || visibility == .staleMarked {
            var description = ItemDescription()
            describe(found, into: &description)
            body(description)
          }
        }
        offset += ItemPointer.sizeBytes(header)
      }
      number += 1
      offset = Segment.firstOffset
    }
    cursor = UInt64(number) << 32
    return false
  }

  var usage: Usage {
    var usage = Usage()
    usage.items = UInt64(items - keptItems)
    for number in 0..<segmentCount where segments[number].phase != .free { usage.liveBytes += UInt64(segments[number].liveBytes) }
    usage.segments = UInt64(heldSegments)
    usage.indexBytes = UInt64(table.mappedBytes + (oldTable?.mappedBytes ?? 0))
    usage.indexBuckets = UInt64(table.count)
    usage.growingIndexes = oldTable == nil ? 0 : 1
    usage.leases = UInt64(leases.grants - leases.voidedGrants)
    usage.leaseRecords = UInt64(leases.count)
    usage.leaseBytes = UInt64(leases.memoryBytes)
    usage.waiters = UInt64(waiters)
    usage.largeValues = UInt64(largeValues)
    usage.largeBytes = UInt64(largeBytes)
    return usage
  }
}
