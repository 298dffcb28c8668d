/// What is known of one segment. Items of about equal time to live are appended to it; it expires and is evicted as a whole.
/// Invariant: items lie back to back from `firstOffset` to `usedBytes`; live counts are those the index still points at.
struct Segment {
  static let firstOffset = 8

  enum Phase: UInt8 { case free, open, sealed }

  /// Whether items in it may have been flushed by prefix.
  enum Flushed: UInt8 {
    case nothing
    /// To be looked through.
    case unknown
    /// Looked through: none but values that are stale for a while.
    case stale
  }

  var memory: UnsafeMutableRawPointer
  /// Never repeats: with an offset it names one item for the life of the process.
  var generation: UInt64 = 0
  /// An item is gone at `baseMs + delta << unitShift`.
  var baseMs: Milliseconds = 0
  /// When the last of its items is gone.
  var lastGoneMs: Milliseconds = 0
  var createdMs: Milliseconds = 0
  /// Order of eviction within the partition: the lowest goes first.
  var sequence: UInt64 = 0
  var usedBytes: Int32 = 0
  var liveBytes: Int32 = 0
  var liveItems: Int32 = 0
  var classIndex: UInt8 = 0
  var unitShift: UInt8 = 0
  var phase = Phase.free
  var flushed = Flushed.nothing
  /// Holds what eviction kept, not what was just written.
  var isKept = false

  init(memory: UnsafeMutableRawPointer) { self.memory = memory }

  @inline(__always) func goneMs(_ header: ItemHeader) -> Milliseconds {
    classIndex == 0 ? .max : baseMs &+ header.delta &<< UInt64(unitShift)
  }
}

/// Time classes: items whose remaining time is about the same share segments. Class 0 never expires; above it 2^subBits classes an octave.
struct TimeClasses {
  static let octaves = 31
  static let most = 1 + octaves << 2
  let subBits: UInt64

  /// Small partitions have few segments, and so few classes.
  init(segments: Int) { subBits = segments >= 256 ? 2 : segments >= 128 ? 1 : 0 }

  var count: Int { 1 + Self.octaves << Int(subBits) }

  func classIndex(remainingMs: UInt64) -> Int {
    let clamped = max(remainingMs, 1024)
    let log = UInt64(63 - clamped.leadingZeroBitCount)
    let octave = min(log - 10, UInt64(Self.octaves - 1))
    let sub = min(clamped >> (octave + 10 - subBits), (2 << subBits) - 1) & ((1 << subBits) - 1)
    return 1 + Int(octave << subBits | sub)
  }

  /// The least remaining time of a class: the base of its segments lies so far after their creation.
  func lowestMs(_ classIndex: Int) -> UInt64 {
    let position = UInt64(classIndex - 1)
    let octave = position >> subBits
    let sub = position & ((1 << subBits) - 1)
    return octave == 0 && sub == 0 ? 0 : ((1 << subBits) + sub) << (octave + 10 - subBits)
  }

  /// Expiry is kept in units of 2^shift ms: 1 ms up to some 17 minutes, then at most 2 millionths of the time to live (512 ms for days, 4 s for
  /// a month), so that one segment can tell any end within its class.
  func unitShift(_ classIndex: Int) -> UInt8 {
    let lowest = lowestMs(classIndex)
    guard lowest >= 1 << 20 else { return 0 }
    return UInt8(63 - lowest.leadingZeroBitCount - 19)
  }
}
