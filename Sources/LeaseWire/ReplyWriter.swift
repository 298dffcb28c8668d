/// Writes replies into a flat buffer. It does not check for room: the caller has made sure of `roomForLine` bytes (and of the value's)
/// before each reply.
@frozen public struct ReplyWriter {
  public var position: UnsafeMutableRawPointer

  /// More than any reply line takes: the longest is a meta reply with every flag and a base64 key.
  public static let roomForLine = 2048

  @inlinable public init(_ position: UnsafeMutableRawPointer) { self.position = position }

  @inlinable @inline(__always)
  public mutating func byte(_ value: UInt8) {
    position.storeBytes(of: value, as: UInt8.self)
    position += 1
  }

  @inlinable @inline(__always)
  public mutating func text(_ text: StaticString) {
    bytes(UnsafeRawPointer(text.utf8Start), text.utf8CodeUnitCount)
  }

  @inlinable @inline(__always)
  public mutating func bytes(_ source: UnsafeRawPointer, _ count: Int) {
    position.copyMemory(from: source, byteCount: count)
    position += count
  }

  @inlinable @inline(__always)
  public mutating func token(_ token: Token) { bytes(token.start, token.count) }

  @inlinable @inline(__always)
  public mutating func number(_ value: UInt64) { position = Numbers.write(value, to: position) }

  @inlinable @inline(__always)
  public mutating func lineEnd() {
    position.storeBytes(of: UInt16(0x0a0d).littleEndian, as: UInt16.self)
    position += 2
  }

  /// `END`, with its end.
  @inlinable @inline(__always)
  public mutating func end() {
    position.storeBytes(of: UInt32(0x0d44_4e45).littleEndian, as: UInt32.self)
    position.storeBytes(of: 0x0a, toByteOffset: 4, as: UInt8.self)
    position += 5
  }

  /// `VA <bytes>`, without its end: flags may follow.
  @inlinable @inline(__always)
  public mutating func valueHead(count: Int) {
    position.storeBytes(of: UInt32(0x0020_4156).littleEndian, as: UInt32.self)
    position += 3
    number(UInt64(UInt(bitPattern: count)))
  }

  /// A whole line: the text and its end.
  @inlinable
  public mutating func line(_ line: StaticString) {
    text(line)
    lineEnd()
  }

  /// `VALUE <key> <flags> <bytes>[ <cas unique>]`, with its end.
  @inlinable @inline(__always)
  public mutating func valueLine(_ key: Token, clientFlags: UInt32, count: Int, version: UInt64?) {
    // "VALUE " as one word of which six bytes stay.
    position.storeBytes(of: UInt64(0x0000_2045_554c_4156).littleEndian, as: UInt64.self)
    position += 6
    token(key)
    byte(0x20)
    number(UInt64(clientFlags))
    byte(0x20)
    number(UInt64(UInt(bitPattern: count)))
    if let version {
      byte(0x20)
      number(version)
    }
    lineEnd()
  }

  /// `LVALUE <key> <token> <flags> <bytes>`, with its end.
  public mutating func leaseValueLine(_ key: Token, token: UInt64, clientFlags: UInt32, count: Int) {
    text("LVALUE ")
    self.token(key)
    byte(0x20)
    number(token)
    byte(0x20)
    number(UInt64(clientFlags))
    byte(0x20)
    number(UInt64(UInt(bitPattern: count)))
    lineEnd()
  }

  /// `LFAIL <key> <milliseconds left> <bytes>`, with its end.
  public mutating func leaseFailLine(_ key: Token, remainingMs: UInt64, count: Int) {
    text("LFAIL ")
    token(key)
    byte(0x20)
    number(remainingMs)
    byte(0x20)
    number(UInt64(UInt(bitPattern: count)))
    lineEnd()
  }

  /// The key as a `k` flag gives it back: base64 with ` b` behind it when it came so.
  public mutating func keyFlag(_ key: Token, isEncoded: Bool) {
    byte(0x20)
    byte(UInt8(ascii: "k"))
    if isEncoded {
      position = Base64.encode(key.start, count: key.count, into: position)
      byte(0x20)
      byte(UInt8(ascii: "b"))
    } else {
      token(key)
    }
  }

  /// A flag with a number: ` <letter><number>`.
  @inlinable
  public mutating func flag(_ letter: UInt8, _ value: UInt64) {
    byte(0x20)
    byte(letter)
    number(value)
  }

  /// ` <letter>`.
  @inlinable
  public mutating func flag(_ letter: UInt8) {
    byte(0x20)
    byte(letter)
  }

  /// ` t<seconds>`, -1 for never.
  public mutating func timeFlag(_ seconds: Int64) {
    byte(0x20)
    byte(UInt8(ascii: "t"))
    signed(seconds)
  }

  public mutating func signed(_ value: Int64) {
    if value < 0 { byte(UInt8(ascii: "-")) }
    number(value.magnitude)
  }
}

/// What a meta reply can tell about an item. Which of it goes out, and in what order, the request's flags decide.
@frozen public struct MetaValues {
  public var version: UInt64 = 0
  public var clientFlags: UInt32 = 0
  public var sizeBytes: Int = 0
  /// -1: never.
  public var secondsLeft: Int64 = -1
  public var idleSeconds: UInt64 = 0
  public var wasFetched = false
  /// The letters that this reply returns, besides `O` and `k`.
  public var letters: UInt64 = 0
  @inlinable public init() {}

  /// The letters of a set of flags, for `letters`.
  public static func mask(_ letters: StaticString) -> UInt64 {
    letters.withUTF8Buffer { buffer in buffer.reduce(0) { $0 | MetaFlags.bit($1) } }
  }
  /// `cfhlst`
  public static let readLetters = mask("cfhlst")
  public static let storeLetters = mask("cs")
  public static let arithmeticLetters = mask("ct")
}

extension ReplyWriter {
  /// The flags that the request asked back, in its order. `O` and `k` always, the rest by `values.letters`.
  public mutating func metaFlags(_ request: borrowing Request, _ values: borrowing MetaValues) {
    guard request.rest.count > 0 else { return }
    var cursor = LineCursor(request.rest.start, count: request.rest.count)
    while let flag = cursor.nextShort() {
      let letter = flag.first
      if letter == UInt8(ascii: "O") {
        byte(0x20)
        token(flag)
        continue
      }
      if letter == UInt8(ascii: "k") {
        keyFlag(request.key, isEncoded: request.isKeyEncoded)
        continue
      }
      guard values.letters & MetaFlags.bit(letter) != 0 else { continue }
      switch letter {
      case UInt8(ascii: "c"): self.flag(letter, values.version)
      case UInt8(ascii: "f"): self.flag(letter, UInt64(values.clientFlags))
      case UInt8(ascii: "h"): self.flag(letter, values.wasFetched ? 1 : 0)
      case UInt8(ascii: "l"): self.flag(letter, values.idleSeconds)
      case UInt8(ascii: "s"): self.flag(letter, UInt64(UInt(bitPattern: values.sizeBytes)))
      case UInt8(ascii: "t"): timeFlag(values.secondsLeft)
      default: break
      }
    }
  }
}

extension ReplyWriter {
  /// What a hit answers to the flags of a `FastLine.MetaGetLine`, in their order.
  @inlinable
  public mutating func plainFlags(_ flags: Token, key: Token, version: UInt64, clientFlags: UInt32, count: Int) {
    var place = flags.start
    let end = flags.start + flags.count
    while place < end {
      let letter = (place + 1).load(as: UInt8.self)
      let start = place
      place += 2
      switch letter {
      case UInt8(ascii: "k"):
        lead(letter)
        token(key)
      case UInt8(ascii: "c"):
        lead(letter)
        number(version)
      case UInt8(ascii: "f"):
        lead(letter)
        number(UInt64(clientFlags))
      case UInt8(ascii: "s"):
        lead(letter)
        number(UInt64(UInt(bitPattern: count)))
      case UInt8(ascii: "O"):
        while place < end, place.load(as: UInt8.self) != 0x20 { place += 1 }
        bytes(start, place - start)
      case UInt8(ascii: "N"):
        while place < end, place.load(as: UInt8.self) != 0x20 { place += 1 }
      default: break
      }
    }
  }

  @inlinable @inline(__always)
  mutating func lead(_ letter: UInt8) {
    position.storeBytes(of: (UInt16(0x20) | UInt16(letter) << 8).littleEndian, as: UInt16.self)
    position += 2
  }
}
