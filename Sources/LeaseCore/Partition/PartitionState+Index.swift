import CIntrinsics

/// Where an item was found: its slot, its place, its header.
struct Found {
  let slot: UnsafeMutablePointer<UInt64>
  let item: ItemPointer
  var header: ItemHeader
}

extension PartitionState {
  /// The table and home bucket of a hash: the old table until its home has moved. O(1).
  @inline(__always)
  func place(hash: UInt64) -> (table: BucketTable, home: Int) {
    if let old = oldTable {
      let home = old.home(hash: hash)
      if home >= migrated { return (old, home) }
    }
    return (table, table.home(hash: hash))
  }

  @inline(__always)
  func item(at slot: Slot) -> ItemPointer { ItemPointer(raw: segments[slot.segment].memory + slot.offset) }

  /// The item of this key, whether fresh or not. O(1) and usually two cache misses.
  @inline(__always)
  func find(_ key: CacheKey) -> Found? {
    let (table, home) = place(hash: key.hash)
    let homeBucket = table.bucket(home)
    if let found = find(key, in: homeBucket) { return found }
    if table.spilled(homeBucket) != 0 { return findSpilled(key, table, home) }
    return nil
  }

  @inline(never)
  private func findSpilled(_ key: CacheKey, _ table: BucketTable, _ home: Int) -> Found? {
    let farthest = table.farthest(table.bucket(home))
    var distance = 1
    while distance <= farthest {
      if let found = find(key, in: table.bucket(behind: home, distance)) { return found }
      distance &+= 1
    }
    return nil
  }

  @inline(__always)
  private func find(_ key: CacheKey, in bucket: UnsafeMutablePointer<UInt64>) -> Found? {
    let tag = Slot.tag(hash: key.hash)
    var position = 1
    while position <= BucketTable.slotsPerBucket {
      if Slot.tag(in: bucket + position) == tag, bucket[position] != 0 {
        let item = item(at: Slot(word: bucket[position]))
        let header = item.header
        if header.keyCount == key.count, equalBytes(item.key(header), key.bytes, count: key.count) {
          return Found(slot: bucket + position, item: item, header: header)
        }
      }
      position &+= 1
    }
    return nil
  }

  /// Asks for the cache lines of the item that this hash most likely means: small items often lie across two. If it is not in its home, for
  /// the next bucket.
  @inline(__always)
  func prefetchItem(hash: UInt64) {
    let (table, home) = place(hash: hash)
    let bucket = table.bucket(home)
    let tag = Slot.tag(hash: hash)
    var position = 1
    while position <= BucketTable.slotsPerBucket {
      if Slot.tag(in: bucket + position) == tag, bucket[position] != 0 {
        let item = item(at: Slot(word: bucket[position])).raw
        memlease_prefetch(item)
        return memlease_prefetch(item + 64)
      }
      position &+= 1
    }
    if table.spilled(bucket) != 0 { memlease_prefetch(table.bucket(behind: home, 1)) }
  }

  /// Hash of an item that lies in a segment.
  func hash(of item: ItemPointer, _ header: ItemHeader) -> UInt64 { hashBytes(item.key(header), count: header.keyCount, seed: hashSeed) }

  /// The slot that points at this place, if the item there is live.
  func slot(at location: UInt64, hash: UInt64) -> UnsafeMutablePointer<UInt64>? {
    let (table, home) = place(hash: hash)
    let farthest = table.farthest(table.bucket(home))
    for distance in 0...farthest {
      let bucket = table.bucket(behind: home, distance)
      for position in 1...BucketTable.slotsPerBucket where bucket[position] != 0 && Slot(word: bucket[position]).location == location {
        return bucket + position
      }
    }
    return nil
  }

  /// Makes sure that one more item has room in the index. It may evict, so it comes before the item's place is taken.
  @inline(__always)
  mutating func prepareIndex() {
    if oldTable != nil {
      migrateSome()
    } else if items &* 8 >= table.count &* BucketTable.fullAtEighths {
      grow()
    }
  }

  /// Enters a new item; the key must not be there. False: no slot within reach, even after pushing out the least read neighbour.
  mutating func insert(hash: UInt64, location: UInt64) -> Bool {
    let (table, home) = place(hash: hash)
    var slot = Slot(tag: Slot.tag(hash: hash), location: location)
    if table.takeGhost(hash: hash) { slot.frequency = Self.ghostFrequency }
    if !table.insert(slot, home: home) {
      guard evicts, evictOne(from: table.bucket(home)), table.insert(slot, home: home) else { return false }
    }
    items += 1
    return true
  }

  private mutating func evictOne(from bucket: UnsafeMutablePointer<UInt64>) -> Bool {
    var victim: UnsafeMutablePointer<UInt64>?
    for position in 1...BucketTable.slotsPerBucket where bucket[position] != 0 {
      if let best = victim, Slot(word: best.pointee).frequency <= Slot(word: bucket[position]).frequency { continue }
      victim = bucket + position
    }
    guard let victim else { return false }
    let item = item(at: Slot(word: victim.pointee))
    let found = Found(slot: victim, item: item, header: item.header)
    noteEviction(found)
    remove(found, hash: hash(of: item, found.header))
    return true
  }

  /// Takes an item out of the index and off its segment's live counts; an emptied sealed segment goes back to the budget.
  mutating func remove(_ found: Found, hash: UInt64) {
    let slot = Slot(word: found.slot.pointee)
    clearSlot(found.slot, hash: hash)
    items -= 1
    forget(found.item, found.header, segment: slot.segment)
  }

  private mutating func clearSlot(_ slot: UnsafeMutablePointer<UInt64>, hash: UInt64) {
    moves &+= 1
    slot.pointee = 0
    let (table, home) = place(hash: hash)
    let homeBucket = table.bucket(home)
    if slot <= homeBucket || slot > homeBucket + BucketTable.slotsPerBucket { table.noteUnspill(homeBucket) }
  }

  // MARK: Growth

  /// Buckets for as many items as the partition's memory will hold, if they go on as now: a full memory finds the table just full enough.
  /// At least a sixteenth more, for sizes change, and at most twice as many.
  private var wantedBuckets: Int {
    let slots = Double(BucketTable.madeForEighths) / 8
    let last = Double(fairBytes) / (expectedItemBytes * slots + Double(BucketTable.bucketBytes))
    return min(max(Int(last), table.count + table.count / 16), table.count * 2)
  }

  /// Of all items, or, where they have become smaller, of those in the segment that was filled last.
  private var expectedItemBytes: Double {
    var newest = -1
    for number in 0..<segmentCount where segments[number].phase == .sealed && !segments[number].isKept && segments[number].liveItems > 0 {
      if newest < 0 || segments[number].sequence > segments[newest].sequence { newest = number }
    }
    let average = Double(max(1, heldBytes)) / Double(max(1, items))
    return newest < 0 ? average : min(average, Double(segments[newest].liveBytes) / Double(segments[newest].liveItems))
  }

  @inline(never)
  private mutating func grow() {
    let wanted = table.count < 4096 ? table.count * 2 : wantedBuckets
    var bigger = BucketTable(buckets: wanted, budget: budget)
    // A few segments at most make room for a table that grows by a quarter.
    var attempts = 0
    while bigger == nil, attempts < 64, makeRoom() {
      attempts += 1
      budget.drainDropped()
      bigger = BucketTable(buckets: wanted, budget: budget)
    }
    guard let bigger else { return }
    oldTable = table
    table = bigger
    migrated = 0
    publishTable()
  }

  /// Lets readers without the lock prefetch buckets.
  func publishTable() { shared.published[number].set(table) }

  /// Moves a few homes with every insertion: done long before the next growth.
  @inline(never)
  private mutating func migrateSome() {
    guard let old = oldTable else { return }
    moves &+= 1
    for _ in 0..<4 where migrated < old.count { migrateHome(old) }
    if migrated == old.count { finishMigration() }
  }

  private mutating func migrateHome(_ old: BucketTable) {
    let home = migrated
    let homeBucket = old.bucket(home)
    let farthest = old.farthest(homeBucket)
    for distance in 0...farthest {
      let bucket = old.bucket(behind: home, distance)
      for position in 1...BucketTable.slotsPerBucket where bucket[position] != 0 {
        let slot = Slot(word: bucket[position])
        let item = item(at: slot)
        let hash = hash(of: item, item.header)
        guard old.home(hash: hash) == home else { continue }
        bucket[position] = 0
        if distance > 0 { old.noteUnspill(homeBucket) }
        if !table.insert(slot, home: table.home(hash: hash)) {
          // Cannot happen at this load with a seeded hash; should it, the item is evicted, not lost unseen.
          items -= 1
          countEviction(item.header)
          forget(item, item.header, segment: slot.segment)
        }
      }
    }
    migrated += 1
  }

  mutating func finishMigration() {
    oldTable?.unmap(budget: budget)
    oldTable = nil
    migrated = 0
  }
}
