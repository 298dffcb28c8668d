#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Makes a trace, one request after the other; memory is O(keys) for churn only.
/// Invariant: a key has one size and one lifetime for the whole trace.
struct TraceGenerator {
  private let shape: TraceShape
  private let zipf: Zipf
  private var random: SplitMix
  private var made = 0
  /// Churn: which key has each rank now.
  private var keyOfRank: [UInt32] = []
  private var nextFreshKey: UInt64
  /// Scan and block: the run of keys that is being read.
  private var runNext: UInt64 = 0
  private var runLeft = 0
  private var scanNext: UInt64 = 0
  private var loopNext: [UInt64] = [0, 0, 0]

  // Kinds of keys must not meet: each has numbers of its own.
  private static let scanBase: UInt64 = 1 << 36
  private static let freshBase: UInt64 = 2 << 36
  /// Loops over so many parts of the keys: within, about, and beyond what memory holds.
  private static let loopParts = [0.1, 0.3, 1.0]

  init(_ shape: TraceShape) {
    self.shape = shape
    zipf = Zipf(count: shape.keys, exponent: shape.exponent)
    random = SplitMix(seed: shape.seed)
    nextFreshKey = UInt64(shape.keys)
    if shape.kind == .churn { keyOfRank = (0..<UInt32(shape.keys)).map { $0 } }
  }

  /// Nil: the trace is over.
  mutating func next() -> TraceRecord? {
    guard made < shape.requests else { return nil }
    let key = nextKey()
    let isWrite = shape.writeShare > 0 && random.nextUnit() < shape.writeShare
    let record = TraceRecord(
      timeUs: UInt64(Double(made) * 1e6 / shape.rate), key: key, sizeBytes: size(of: key), operation: isWrite ? .set : .get,
      ttlSeconds: lifetime(of: key))
    made += 1
    return record
  }

  private mutating func nextKey() -> UInt64 {
    switch shape.kind {
    case .churn: nextOfChurn()
    case .scan: nextOfScan()
    case .block: nextOfBlocks()
    default: UInt64(zipf.next(&random))
    }
  }

  // MARK: Kinds

  /// One request in a hundred brings a new key in the place of one that is popular (drawn by popularity); ten times in the trace a fifth
  /// of all keys is replaced at once.
  private mutating func nextOfChurn() -> UInt64 {
    if random.next() % 100 == 0 { replaceKey(rank: zipf.next(&random)) }
    if made > 0, made % max(1, shape.requests / 10) == 0 {
      for rank in keyOfRank.indices where random.next() % 5 == 0 { replaceKey(rank: rank) }
    }
    return UInt64(keyOfRank[zipf.next(&random)])
  }

  private mutating func replaceKey(rank: Int) {
    keyOfRank[rank] = UInt32(truncatingIfNeeded: nextFreshKey)
    nextFreshKey += 1
  }

  /// Three in ten requests belong to scans of 5,000 to 50,000 keys each, over four times as many keys as the rest has.
  private mutating func nextOfScan() -> UInt64 {
    if runLeft == 0, random.nextUnit() < 0.3 / 0.7 / 27_500 { runLeft = 5_000 + Int(random.next() % 45_001) }
    guard runLeft > 0 else { return UInt64(zipf.next(&random)) }
    runLeft -= 1
    scanNext = (scanNext + 1) % (4 * UInt64(shape.keys))
    return Self.scanBase + scanNext
  }

  /// Runs of 16 to 512 blocks: half of a loop, four in ten single random blocks, the rest of the log.
  private mutating func nextOfBlocks() -> UInt64 {
    if runLeft > 0 {
      runLeft -= 1
      runNext += 1
      return runNext - 1
    }
    let draw = random.nextUnit()
    // A run is 264 blocks on average, a random block is one request.
    if draw < 0.4 / (0.4 + 0.6 / 264) { return UInt64(zipf.next(&random)) }
    let length = 16 + Int(random.next() % 497)
    if random.next() % 6 == 0 {
      runNext = Self.freshBase + nextFreshKey
      nextFreshKey += UInt64(length)
    } else {
      runNext = nextOfLoop(length: length)
    }
    runLeft = length - 1
    runNext += 1
    return runNext - 1
  }

  private mutating func nextOfLoop(length: Int) -> UInt64 {
    let loop = Int(random.next() % UInt64(loopNext.count))
    let blocks = max(UInt64(length), UInt64(Double(shape.keys) * Self.loopParts[loop]))
    if loopNext[loop] + UInt64(length) > blocks { loopNext[loop] = 0 }
    let start = loopNext[loop]
    loopNext[loop] += UInt64(length)
    return Self.scanBase * UInt64(1 + loop) + Self.freshBase * 8 + start
  }

  // MARK: What a key is

  private func unit(of key: UInt64, salt: UInt64) -> Double {
    var dice = SplitMix(seed: key &* 0x9E37_79B9_7F4A_7C15 ^ shape.seed &+ salt)
    return dice.nextUnit()
  }

  private func size(of key: UInt64) -> Int {
    let (low, high) = (Double(shape.sizes.lowBytes), Double(shape.sizes.highBytes))
    if low == high { return shape.sizes.lowBytes }
    var place = unit(of: key, salt: 1)
    if shape.sizes.bias != .none {
      // The rank's place in the logarithm of all ranks, blurred.
      let rank = log(Double(min(key, UInt64(shape.keys))) + 1) / log(Double(shape.keys) + 1)
      place = min(0.999, max(0, (shape.sizes.bias == .popularSmall ? rank : 1 - rank) * 0.8 + place * 0.2))
    }
    return Int(low * pow(high / low, place) + 0.5)
  }

  private func lifetime(of key: UInt64) -> UInt64 { UInt64(shape.lifetimes.value(at: unit(of: key, salt: 2))) }
}
