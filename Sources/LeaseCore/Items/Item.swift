/// The 8 bytes in front of every item: value length 17 bits, key length 8, flags 8, expiry 20, access age 11.
/// Invariant: expiry is in the units of the item's segment, rounded up, so an item never ends early.
struct ItemHeader {
  var word: UInt64

  static let bytes = 8
  static let largestValueBytes = (1 << 17) - 1
  static let largestDelta: UInt64 = (1 << 20) - 1

  init(word: UInt64) { self.word = word }

  init(valueCount: Int, keyCount: Int, flags: ItemFlags, delta: UInt64) {
    word = UInt64(truncatingIfNeeded: valueCount) | UInt64(truncatingIfNeeded: keyCount) << 17 | UInt64(flags.rawValue) << 25 | delta << 33
  }

  @inline(__always) var valueCount: Int { Int(truncatingIfNeeded: word & 0x1ffff) }
  @inline(__always) var keyCount: Int { Int(truncatingIfNeeded: (word >> 17) & 0xff) }
  @inline(__always) var flags: ItemFlags {
    get { ItemFlags(rawValue: UInt8(truncatingIfNeeded: word >> 25)) }
    set { word = word & ~(0xff << 25) | UInt64(newValue.rawValue) << 25 }
  }
  /// Units after the segment's base at which the item is gone.
  @inline(__always) var delta: UInt64 {
    get { (word >> 33) & 0xfffff }
    set { word = word & ~(0xfffff << 33) | newValue << 33 }
  }
  /// Seconds from the segment's creation to the last access: exact up to 128 s, then within 1 %.
  @inline(__always) var accessCode: UInt64 {
    get { word >> 53 }
    set { word = word & ~(0x7ff << 53) | newValue << 53 }
  }

  static func encodeAccess(seconds: UInt64) -> UInt64 {
    if seconds < 128 { return seconds }
    let exponent = UInt64(63 - seconds.leadingZeroBitCount - 7)
    if exponent >= 15 { return 0x7ff }
    return (exponent + 1) << 7 | (seconds >> exponent & 0x7f)
  }

  static func decodeAccess(_ code: UInt64) -> UInt64 {
    let exponent = code >> 7
    return exponent == 0 ? code : (128 | code & 0x7f) << (exponent - 1)
  }
}

struct ItemFlags: OptionSet {
  let rawValue: UInt8
  /// Optional fields, in this order behind the header.
  static let hasVersion = ItemFlags(rawValue: 1)
  static let hasClientFlags = ItemFlags(rawValue: 2)
  static let hasGrace = ItemFlags(rawValue: 4)
  /// The value is a pointer to a `LargeHeader`.
  static let isLarge = ItemFlags(rawValue: 8)
  /// Marked by `md I`: shown to every reader, with X.
  static let isStaleMarked = ItemFlags(rawValue: 16)
  /// Kept by a delete or a hold: shown only to readers that know leases, until the record's stale deadline.
  static let isKeptStale = ItemFlags(rawValue: 32)
  static let wasFetched = ItemFlags(rawValue: 64)
  /// The lease table has a record of this key (or had one: the bit may outlive it).
  static let hasRecord = ItemFlags(rawValue: 128)

  /// Flags of an item that is more than a plain value with an expiry.
  static let needsCare: ItemFlags = [.hasGrace, .isStaleMarked, .isKeptStale, .hasRecord]
  static let fields: ItemFlags = [.hasVersion, .hasClientFlags, .hasGrace]
}

/// An item where it lies in its segment. Layout: header, version?, client flags?, grace?, key, value.
/// Invariant: valid only under the partition's lock and until the next change of that partition.
struct ItemPointer {
  let raw: UnsafeMutableRawPointer

  @inline(__always) var header: ItemHeader {
    get { ItemHeader(word: raw.loadUnaligned(as: UInt64.self)) }
    nonmutating set { raw.storeBytes(of: newValue.word, as: UInt64.self) }
  }

  @inline(__always)
  static func fieldBytes(_ flags: ItemFlags) -> Int {
    let bits = Int(flags.rawValue)
    return (bits & 1) << 3 &+ (bits & 2) << 1 &+ (bits & 4)
  }

  /// Bytes that an item takes in a segment: a multiple of four.
  @inline(__always)
  static func sizeBytes(keyCount: Int, valueCount: Int, flags: ItemFlags) -> Int {
    (ItemHeader.bytes &+ fieldBytes(flags) &+ keyCount &+ valueCount &+ 3) & ~3
  }

  @inline(__always) static func sizeBytes(_ header: ItemHeader) -> Int {
    sizeBytes(keyCount: header.keyCount, valueCount: header.valueCount, flags: header.flags)
  }

  @inline(__always) func key(_ header: ItemHeader) -> UnsafeMutableRawPointer { raw + (ItemHeader.bytes &+ Self.fieldBytes(header.flags)) }
  @inline(__always) func value(_ header: ItemHeader) -> UnsafeMutableRawPointer { key(header) + header.keyCount }

  var versionField: UInt64 {
    get { raw.loadUnaligned(fromByteOffset: ItemHeader.bytes, as: UInt64.self) }
    nonmutating set { raw.storeBytes(of: newValue, toByteOffset: ItemHeader.bytes, as: UInt64.self) }
  }

  @inline(__always)
  func clientFlags(_ header: ItemHeader) -> UInt32 {
    guard header.flags.contains(.hasClientFlags) else { return 0 }
    let offset = ItemHeader.bytes + (header.flags.contains(.hasVersion) ? 8 : 0)
    return raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
  }

  func setClientFlags(_ value: UInt32, _ header: ItemHeader) {
    raw.storeBytes(of: value, toByteOffset: ItemHeader.bytes + (header.flags.contains(.hasVersion) ? 8 : 0), as: UInt32.self)
  }

  private func graceOffset(_ header: ItemHeader) -> Int { ItemHeader.bytes + Self.fieldBytes(header.flags) - 4 }

  /// From the end of freshness to the item's end. Kept in milliseconds, so that the one is exact however coarse the other's unit is.
  func graceMs(_ header: ItemHeader) -> UInt64 {
    guard header.flags.contains(.hasGrace) else { return 0 }
    return UInt64(raw.loadUnaligned(fromByteOffset: graceOffset(header), as: UInt32.self))
  }

  func setGraceMs(_ graceMs: UInt64, _ header: ItemHeader) {
    raw.storeBytes(of: UInt32(truncatingIfNeeded: min(graceMs, UInt64(UInt32.max))), toByteOffset: graceOffset(header), as: UInt32.self)
  }

  @inline(__always)
  func large(_ header: ItemHeader) -> LargeValue? {
    guard header.flags.contains(.isLarge) else { return nil }
    let address = value(header).loadUnaligned(as: UInt.self)
    guard let pointer = UnsafeMutablePointer<LargeHeader>(bitPattern: address) else { return nil }
    return LargeValue(header: pointer)
  }
}

/// A value in the store, seen under its partition's lock. The common reads fill `value`, `count`, `clientFlags`, `version` and `large` only.
public struct ItemView {
  public var value: UnsafeRawPointer? = nil
  public var count = 0
  public var clientFlags: UInt32 = 0
  public var version: UInt64 = 0
  public var expiry = Expiry.never
  /// Seconds since the last access before this one, and whether there was one.
  public var idleSeconds: UInt64 = 0
  public var wasFetched = false
  /// Not nil when the value lives in its own allocation: retain it to send it after the lock is gone.
  public var large: LargeValue? = nil
  public init() {}
}

/// `me`, metaget, dumps: an item as it lies there, without counting as an access.
public struct ItemDescription {
  public var key: UnsafeRawPointer? = nil
  public var keyCount = 0
  public var item = ItemView()
  public var ageSeconds: UInt64 = 0
  public var sizeBytes = 0
  public var classIndex = 0
  public init() {}
}
