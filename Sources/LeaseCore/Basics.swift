/// Unix time in milliseconds, from a clock that never steps back while the server runs.
public typealias Milliseconds = UInt64

/// When a value stops being fresh. `never` and `immediately` are the two ends.
public struct Expiry: Sendable, Equatable {
  public var atMs: Milliseconds
  public static let never = Expiry(atMs: .max)
  public static let immediately = Expiry(atMs: 0)
  public init(atMs: Milliseconds) { self.atMs = atMs }
}

/// A key borrowed from the caller's buffer for the length of one call. 1...250 bytes. `hash` comes from `Store.hash`.
public struct CacheKey {
  public var bytes: UnsafeRawPointer
  public var count: Int
  public var hash: UInt64
  public init(bytes: UnsafeRawPointer, count: Int, hash: UInt64) {
    self.bytes = bytes
    self.count = count
    self.hash = hash
  }
}

/// Who may write without a token.
public enum PlainWrites: UInt8, Sendable { case reject, guarded, allow }

/// Seeded 64-bit hash of the wyhash class: 64x64 to 128-bit multiplications folded, 16 bytes a round.
/// The seed keeps clients from choosing keys that collide.
@inline(__always)
func hashBytes(_ bytes: UnsafeRawPointer, count: Int, seed: UInt64) -> UInt64 {
  var state = seed ^ 0xa076_1d64_78bd_642f
  var low: UInt64
  var high: UInt64
  if count <= 16 {
    if count >= 8 {
      low = bytes.loadUnaligned(as: UInt64.self)
      high = bytes.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
    } else if count >= 4 {
      low = UInt64(bytes.loadUnaligned(as: UInt32.self))
      high = UInt64(bytes.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
    } else if count > 0 {
      low = UInt64(bytes.load(as: UInt8.self)) | UInt64(bytes.load(fromByteOffset: count >> 1, as: UInt8.self)) << 8
      high = UInt64(bytes.load(fromByteOffset: count &- 1, as: UInt8.self))
    } else {
      low = 0
      high = 0
    }
  } else {
    var at = 0
    while at &+ 16 < count {
      let first = bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
      let second = bytes.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self)
      state = fold(first ^ 0xe703_7ed1_a0b4_28db, second ^ state)
      at &+= 16
    }
    low = bytes.loadUnaligned(fromByteOffset: count &- 16, as: UInt64.self)
    high = bytes.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
  }
  return fold(0x8ebc_6af0_9c88_c6e3 ^ UInt64(truncatingIfNeeded: count), fold(low ^ 0xe703_7ed1_a0b4_28db, high ^ state))
}

@inline(__always)
private func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
  let product = a.multipliedFullWidth(by: b)
  return product.high ^ product.low
}

/// Whether two byte ranges of one length are equal, compared by words.
@inline(__always)
func equalBytes(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, count: Int) -> Bool {
  if count >= 8 {
    var at = 0
    while at &+ 8 <= count {
      if a.loadUnaligned(fromByteOffset: at, as: UInt64.self) != b.loadUnaligned(fromByteOffset: at, as: UInt64.self) { return false }
      at &+= 8
    }
    return a.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self) == b.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
  }
  var at = 0
  while at < count {
    if a.load(fromByteOffset: at, as: UInt8.self) != b.load(fromByteOffset: at, as: UInt8.self) { return false }
    at &+= 1
  }
  return true
}

/// A small fast generator (xorshift64*) for the eviction's dice; not for anything secret.
struct Dice {
  private var state: UInt64
  init(seed: UInt64) {
    // Splitmix first, so that seeds that differ in one bit differ in all.
    var mixed = seed &+ 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    mixed ^= mixed >> 31
    state = mixed == 0 ? 1 : mixed
  }
  @inline(__always)
  mutating func roll() -> UInt64 {
    state ^= state &>> 12
    state ^= state &<< 25
    state ^= state &>> 27
    return state &* 0x2545_f491_4f6c_dd1d
  }
}
