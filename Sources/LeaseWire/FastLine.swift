/// The commonest lines, recognised without the general parser: `get <key>`, `mg <key> v ...`, `set <key> <n> <n> <n>`.
/// Anything unusual (an incomplete line, a sign, a second key) is refused here and goes the general way.
public enum FastLine {
  /// The first four bytes of a line as a little-endian word. The caller has checked that they are there.
  @inlinable @inline(__always)
  public static func word(_ start: UnsafeRawPointer) -> UInt32 { UInt32(littleEndian: start.loadUnaligned(as: UInt32.self)) }

  // "get ", "set ", and "mg " under a mask of three bytes.
  @inlinable public static var getWord: UInt32 { 0x2074_6567 }
  @inlinable public static var setWord: UInt32 { 0x2074_6573 }
  @inlinable public static var metaGetWord: UInt32 { 0x0020_676d }
  @inlinable public static var metaMask: UInt32 { 0x00ff_ffff }

  /// `get <key>\r\n`, when the first word is `get `. Returns the key's length, or 0. The line is 6 bytes longer than the key.
  @inlinable @inline(__always)
  public static func getKey(_ line: UnsafeRawPointer, _ end: UnsafeRawPointer) -> Int {
    let stop = Scan.tokenEnd(line + 4, end)
    let count = stop - (line + 4)
    guard stop + 2 <= end, stop.loadUnaligned(as: UInt16.self).littleEndian == 0x0a0d, count > 0, count <= WireLimits.keyBytes else {
      return 0
    }
    return count
  }

  /// What an `mg` line says, when it is plain.
  @frozen public struct MetaGetLine {
    public var keyCount = 0
    /// What stands between key and line end, each flag with its space; 0: not plain.
    public var flagsCount = 0
    /// `N`.
    public var wantsLease = false
    @inlinable public init() {}
    /// With the line end.
    @inlinable @inline(__always) public var lineCount: Int { 3 + keyCount + flagsCount + 2 }
  }

  /// `mg <key> <flags>\r\n`, when the first bytes are `mg `. Plain are `v`, which must be there, and `k c f s q O<opaque> N<number>`.
  @inlinable @inline(__always)
  public static func metaGet(_ line: UnsafeRawPointer, _ end: UnsafeRawPointer) -> MetaGetLine {
    var result = MetaGetLine()
    let stop = Scan.tokenEnd(line + 3, end)
    result.keyCount = stop - (line + 3)
    guard stop + 4 <= end, result.keyCount > 0, result.keyCount <= WireLimits.keyBytes else { return result }
    // " v\r\n"
    if stop.loadUnaligned(as: UInt32.self).littleEndian == 0x0a0d_7620 {
      result.flagsCount = 2
    } else {
      takeFlags(stop, end, &result)
    }
    return result
  }

  @usableFromInline
  static func takeFlags(_ start: UnsafeRawPointer, _ end: UnsafeRawPointer, _ line: inout MetaGetLine) {
    var seen: UInt64 = 0
    var position = start
    while position + 1 < end, position.load(as: UInt8.self) == 0x20 {
      let letter = (position + 1).load(as: UInt8.self)
      guard letter >= 0x41, letter <= 0x7a else { return }
      let bit = MetaFlags.bit(letter)
      guard plainFlags & bit != 0, seen & bit == 0 else { return }
      seen |= bit
      position += 2
      if letter == UInt8(ascii: "O") {
        let stop = Scan.tokenEnd(position, end)
        guard stop - position < WireLimits.opaqueBytes else { return }
        position = stop
      } else if letter == UInt8(ascii: "N") {
        let digits = position
        while position < end, position.load(as: UInt8.self) &- 0x30 <= 9 { position += 1 }
        guard position > digits, position - digits <= 9 else { return }
      }
    }
    guard position + 2 <= end, position.loadUnaligned(as: UInt16.self).littleEndian == 0x0a0d, seen & MetaFlags.bit(UInt8(ascii: "v")) != 0
    else { return }
    line.flagsCount = position - start
    line.wantsLease = seen & MetaFlags.bit(UInt8(ascii: "N")) != 0
  }

  @usableFromInline static var plainFlags: UInt64 {
    MetaFlags.bit(UInt8(ascii: "v")) | MetaFlags.bit(UInt8(ascii: "k")) | MetaFlags.bit(UInt8(ascii: "c"))
      | MetaFlags.bit(UInt8(ascii: "f"))
      | MetaFlags.bit(UInt8(ascii: "s")) | MetaFlags.bit(UInt8(ascii: "q")) | MetaFlags.bit(UInt8(ascii: "O"))
      | MetaFlags.bit(UInt8(ascii: "N"))
  }

  /// What a `set` line says, when it is plain.
  @frozen public struct SetLine {
    public var keyCount = 0
    public var clientFlags: UInt32 = 0
    public var exptime: Int32 = 0
    public var valueCount = 0
    /// The line with its end; 0: not plain.
    public var lineCount = 0
    @inlinable public init() {}
  }

  /// `set <key> <flags> <exptime> <bytes>\r\n`, when the first word is `set `.
  @inlinable
  public static func set(_ line: UnsafeRawPointer, _ end: UnsafeRawPointer) -> SetLine {
    var result = SetLine()
    let stop = Scan.tokenEnd(line + 4, end)
    result.keyCount = stop - (line + 4)
    guard result.keyCount > 0, result.keyCount <= WireLimits.keyBytes else { return result }
    var position = stop
    guard let flags = plainNumber(&position, end), flags <= UInt64(UInt32.max), let exptime = plainNumber(&position, end),
      exptime <= UInt64(Int32.max), let count = plainNumber(&position, end), count <= UInt64(Int32.max) - 2,
      position + 2 <= end, position.loadUnaligned(as: UInt16.self).littleEndian == 0x0a0d
    else { return result }
    result.clientFlags = UInt32(truncatingIfNeeded: flags)
    result.exptime = Int32(truncatingIfNeeded: exptime)
    result.valueCount = Int(truncatingIfNeeded: count)
    result.lineCount = position + 2 - line
    return result
  }

  /// One space and 1 to 10 digits; moves `position` behind them.
  @inlinable @inline(__always)
  public static func plainNumber(_ position: inout UnsafeRawPointer, _ end: UnsafeRawPointer) -> UInt64? {
    guard position < end, position.load(as: UInt8.self) == 0x20 else { return nil }
    position += 1
    let start = position
    var value: UInt64 = 0
    while position < end {
      let digit = position.load(as: UInt8.self) &- 0x30
      guard digit <= 9 else { break }
      value = value &* 10 &+ UInt64(digit)
      position += 1
      guard position - start <= 10 else { return nil }
    }
    return position > start ? value : nil
  }
}
