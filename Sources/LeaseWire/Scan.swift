/// Byte scanning, by words where there is room for a word. Never reads past `end`.
public enum Scan {
  /// The first byte at or after `start` that is a space, a control character or the end: where a key or token stops.
  @inlinable @inline(__always)
  public static func tokenEnd(_ start: UnsafeRawPointer, _ end: UnsafeRawPointer) -> UnsafeRawPointer {
    var position = start
    while position + 8 <= end {
      let word = UInt64(littleEndian: position.loadUnaligned(as: UInt64.self))
      // A byte below 0x21 borrows into its top bit; bytes from 0x80 are masked out. The lowest set bit is exact.
      let hits = (word &- 0x2121_2121_2121_2121) & ~word & 0x8080_8080_8080_8080
      if hits != 0 { return position + (hits.trailingZeroBitCount >> 3) }
      position += 8
    }
    while position < end, position.load(as: UInt8.self) > 0x20 { position += 1 }
    return position
  }

  /// The first newline at or after `start`, or nil.
  @inlinable @inline(__always)
  public static func newline(_ start: UnsafeRawPointer, _ end: UnsafeRawPointer) -> UnsafeRawPointer? {
    var position = start
    while position + 8 <= end {
      let word = UInt64(littleEndian: position.loadUnaligned(as: UInt64.self)) ^ 0x0a0a_0a0a_0a0a_0a0a
      let hits = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
      if hits != 0 { return position + (hits.trailingZeroBitCount >> 3) }
      position += 8
    }
    while position < end {
      if position.load(as: UInt8.self) == 0x0a { return position }
      position += 1
    }
    return nil
  }

  /// Whether the `count` bytes at `bytes` are exactly `text`.
  @inlinable
  public static func equals(_ bytes: UnsafeRawPointer, _ count: Int, _ text: StaticString) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    let expected = UnsafeRawPointer(text.utf8Start)
    for index in 0..<count
    where bytes.load(fromByteOffset: index, as: UInt8.self) != expected.load(fromByteOffset: index, as: UInt8.self) {
      return false
    }
    return true
  }
}

/// A piece of a line. Borrowed: valid only as long as the line's buffer.
@frozen public struct Token {
  public var start: UnsafeRawPointer
  public var count: Int

  @inlinable public init(start: UnsafeRawPointer, count: Int) {
    self.start = start
    self.count = count
  }
  @inlinable public var first: UInt8 { start.load(as: UInt8.self) }
  @inlinable public func dropFirst() -> Token { Token(start: start + 1, count: count - 1) }
  @inlinable public func equals(_ text: StaticString) -> Bool { Scan.equals(start, count, text) }
}

/// Walks the tokens of one line, which are parted by spaces. Holds no more than the rest of the line.
@frozen public struct LineCursor {
  public var position: UnsafeRawPointer
  public let end: UnsafeRawPointer

  @inlinable public init(_ start: UnsafeRawPointer, count: Int) {
    position = start
    end = start + count
  }

  @inlinable @inline(__always)
  public mutating func skipSpaces() {
    while position < end, position.load(as: UInt8.self) == 0x20 { position += 1 }
  }

  /// The next token, or nil at the end of the line. Control characters count as part of a token.
  @inlinable
  public mutating func next() -> Token? {
    skipSpaces()
    guard position < end else { return nil }
    let start = position
    while true {
      position = Scan.tokenEnd(position, end)
      if position >= end || position.load(as: UInt8.self) == 0x20 { break }
      position += 1
    }
    return Token(start: start, count: position - start)
  }

  /// As `next`, for tokens of a few bytes.
  @inlinable @inline(__always)
  public mutating func nextShort() -> Token? {
    skipSpaces()
    guard position < end else { return nil }
    let start = position
    repeat { position += 1 } while position < end && position.load(as: UInt8.self) != 0x20
    return Token(start: start, count: position - start)
  }
}
