/// 8 bytes of the index: tag 16 bits, frequency 8, segment 24, offset 16 (in units of 4 bytes). Zero is empty: no item lies at offset 0.
struct Slot {
  var word: UInt64

  static let largestFrequency: UInt64 = 127

  @inline(__always) init(word: UInt64) { self.word = word }
  @inline(__always) init(tag: UInt16, location: UInt64) { word = UInt64(tag) << 48 | location }

  @inline(__always) static func tag(hash: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: hash >> 32) }
  /// Compared without loading the rest of the slot.
  @inline(__always) static func tag(in slot: UnsafePointer<UInt64>) -> UInt16 {
    #if _endian(little)
      UnsafeRawPointer(slot).load(fromByteOffset: 6, as: UInt16.self)
    #else
      UnsafeRawPointer(slot).load(as: UInt16.self)
    #endif
  }
  @inline(__always) static func location(segment: Int, offset: Int) -> UInt64 {
    UInt64(truncatingIfNeeded: segment) << 16 | UInt64(truncatingIfNeeded: offset >> 2)
  }

  @inline(__always) var tag: UInt16 { UInt16(truncatingIfNeeded: word >> 48) }
  /// Segment and offset together: where the item lies.
  @inline(__always) var location: UInt64 {
    get { word & 0xff_ffff_ffff }
    set { word = word & ~0xff_ffff_ffff | newValue }
  }
  @inline(__always) var segment: Int { Int(truncatingIfNeeded: (word >> 16) & 0xff_ffff) }
  @inline(__always) var offset: Int { Int(truncatingIfNeeded: word & 0xffff) << 2 }
  @inline(__always) var frequency: UInt64 {
    get { (word >> 40) & 0xff }
    set { word = word & ~(0xff << 40) | newValue << 40 }
  }
}

/// A table of 64-byte buckets: one word of book-keeping and seven slots. The word: `spilled` 10 bits, `farthest` 7, and four ghosts of 11.
/// Invariant: an item lies in its home bucket or, counted in the home's `spilled`, at most `farthest` steps behind it.
struct BucketTable {
  static let bucketBytes = 64
  static let slotsPerBucket = 7
  static let farthestSpill = 127
  /// A table grows at 47 eighths, 5.9 of 7 slots: at 6.3 misses look into eight buckets on average. It is made for 45 eighths.
  static let fullAtEighths = 47
  static let madeForEighths = 45

  let words: UnsafeMutablePointer<UInt64>
  let count: Int
  let mappedBytes: Int

  /// Zeroed pages from the budget, or nil when it is used up.
  init?(buckets: Int, budget: MemoryBudget) {
    count = buckets
    mappedBytes = roundedToPages(buckets * Self.bucketBytes)
    guard budget.reserve(bytes: mappedBytes) else { return nil }
    guard let memory = mapMemory(bytes: mappedBytes) else {
      budget.release(bytes: mappedBytes)
      return nil
    }
    words = memory.bindMemory(to: UInt64.self, capacity: mappedBytes / 8)
  }

  func unmap(budget: MemoryBudget) {
    unmapMemory(UnsafeMutableRawPointer(words), bytes: mappedBytes)
    budget.release(bytes: mappedBytes)
  }

  /// Fast range instead of a modulus: any number of buckets, one multiplication.
  @inline(__always) func home(hash: UInt64) -> Int {
    Int(truncatingIfNeeded: ((hash & 0xffff_ffff) &* UInt64(truncatingIfNeeded: count)) >> 32)
  }
  @inline(__always) func bucket(_ index: Int) -> UnsafeMutablePointer<UInt64> { words + index &* 8 }
  @inline(__always) func bucket(behind home: Int, _ distance: Int) -> UnsafeMutablePointer<UInt64> {
    // Ever longer steps: with steps of one, runs of full buckets grow together, and a miss at 5.9 of 7 looks into nine buckets instead of five.
    let index = home &+ distance &* (distance &+ 1) / 2
    return bucket(index < count ? index : index % count)
  }

  private static let spilledMask: UInt64 = 0x3ff
  private static let farthestMask: UInt64 = 0x7f

  @inline(__always) func spilled(_ home: UnsafeMutablePointer<UInt64>) -> UInt64 { home[0] & Self.spilledMask }
  @inline(__always) func farthest(_ home: UnsafeMutablePointer<UInt64>) -> Int {
    Int(truncatingIfNeeded: (home[0] >> 10) & Self.farthestMask)
  }

  private func setSpill(_ home: UnsafeMutablePointer<UInt64>, spilled: UInt64, farthest: Int) {
    home[0] = home[0] & ~(Self.spilledMask | Self.farthestMask << 10) | spilled | UInt64(farthest) << 10
  }

  func noteSpill(_ home: UnsafeMutablePointer<UInt64>, distance: Int) {
    setSpill(home, spilled: spilled(home) + 1, farthest: max(distance, farthest(home)))
  }

  func noteUnspill(_ home: UnsafeMutablePointer<UInt64>) {
    let left = spilled(home) - 1
    setSpill(home, spilled: left, farthest: left == 0 ? 0 : farthest(home))
  }

  // MARK: Ghosts

  private static let ghostBits: UInt64 = 11
  private static let ghostShift: UInt64 = 20
  private static let ghosts: UInt64 = 4

  /// Never zero, which is no ghost. Of the tag's bits, which the home does not use up.
  @inline(__always) private static func ghost(hash: UInt64) -> UInt64 { max(1, hash >> 37 & (1 << ghostBits - 1)) }

  /// Remembers a hash that was evicted; the bucket's oldest ghost is forgotten.
  func noteGhost(hash: UInt64) {
    let home = bucket(home(hash: hash))
    let ghosts = (home[0] >> Self.ghostShift) << Self.ghostBits | Self.ghost(hash: hash)
    home[0] = home[0] & (1 << Self.ghostShift - 1) | ghosts << Self.ghostShift
  }

  /// Whether the hash is remembered; forgets it.
  func takeGhost(hash: UInt64) -> Bool {
    let home = bucket(home(hash: hash))
    let wanted = Self.ghost(hash: hash)
    for position in 0..<Self.ghosts {
      let shift = Self.ghostShift + position * Self.ghostBits
      guard (home[0] >> shift) & (1 << Self.ghostBits - 1) == wanted else { continue }
      home[0] &= ~((1 << Self.ghostBits - 1) << shift)
      return true
    }
    return false
  }

  /// Puts a slot into its home or the nearest bucket with room. False: none within reach.
  func insert(_ slot: Slot, home: Int) -> Bool {
    let homeBucket = bucket(home)
    for distance in 0...min(Self.farthestSpill, count - 1) {
      let candidate = bucket(behind: home, distance)
      for position in 1...Self.slotsPerBucket where candidate[position] == 0 {
        candidate[position] = slot.word
        if distance > 0 { noteSpill(homeBucket, distance: distance) }
        return true
      }
    }
    return false
  }
}
