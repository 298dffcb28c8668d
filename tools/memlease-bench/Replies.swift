#if os(Linux)
  import Glibc

  enum Outcome {
    case hit, miss, stored, refused
    /// An error line.
    case error
    /// A hit whose value belongs to another key, or whose end is not where it must be.
    case wrong
    /// Not a reply at all: the stream is lost.
    case garbage
  }

  /// A reply that differs from the next only in key and value.
  /// Invariant: it matches when three masked words do; every load lies within `length`, or within 8 bytes behind it.
  struct ReplyTemplate {
    let outcome: Outcome
    let length: Int
    let valueOffset: Int
    private let head: MaskedWord
    private let middle: MaskedWord
    private let tail: MaskedWord

    init(outcome: Outcome, head: String, keyBytes: Int = 0, middle: String = "", valueBytes: Int = 0, tail: String = "") {
      self.outcome = outcome
      let middleStart = head.utf8.count + keyBytes
      valueOffset = middleStart + middle.utf8.count
      let tailStart = valueOffset + valueBytes
      length = tailStart + tail.utf8.count
      self.head = MaskedWord(Array(head.utf8), at: 0)
      self.middle = MaskedWord(Array(middle.utf8), at: middleStart)
      self.tail = MaskedWord(Array(tail.utf8), at: tailStart)
    }

    @inline(__always)
    func matches(_ reply: UnsafeRawPointer) -> Bool { head.matches(reply) && middle.matches(reply) && tail.matches(reply) }

    /// Up to the last eight bytes of a piece of text, as one word.
    private struct MaskedWord {
      let offset: Int
      var mask: UInt64 = 0
      var expected: UInt64 = 0

      init(_ text: [UInt8], at start: Int) {
        let skipped = max(0, text.count - 8)
        offset = start + skipped
        for (index, byte) in text.dropFirst(skipped).enumerated() {
          mask |= 0xFF << UInt64(8 * index)
          expected |= UInt64(byte) << UInt64(8 * index)
        }
      }

      @inline(__always)
      func matches(_ reply: UnsafeRawPointer) -> Bool { reply.loadUnaligned(fromByteOffset: offset, as: UInt64.self) & mask == expected }
    }
  }

  /// Reads one reply of any kind. The slow way: the usual replies are recognized by a `ReplyTemplate`.
  enum ReplyReader {
    struct Reply {
      var outcome: Outcome
      /// 0: it is not complete yet.
      var length: Int
      var valueOffset = 0
      static let incomplete = Reply(outcome: .miss, length: 0)
    }

    static func read(_ start: UnsafePointer<UInt8>, _ available: Int) -> Reply {
      guard let newline = memchr(start, 0x0A, available) else { return .incomplete }
      let lineEnd = UnsafeRawPointer(newline) - UnsafeRawPointer(start) + 1
      let line = UnsafeBufferPointer(start: start, count: lineEnd)
      switch line.first {
      case UInt8(ascii: "V"):
        if begins(line, "VALUE ") { return data(line, field: 3, end: "\r\nEND\r\n", .hit, available) }
        if begins(line, "VA ") { return data(line, field: 1, end: "\r\n", .hit, available) }
      case UInt8(ascii: "L"):
        if begins(line, "LVALUE ") { return data(line, field: 4, end: "\r\nEND\r\n", .miss, available) }
      case UInt8(ascii: "E"):
        if begins(line, "END\r\n") || begins(line, "EN\r\n") { return Reply(outcome: .miss, length: lineEnd) }
        if begins(line, "EX") { return Reply(outcome: .refused, length: lineEnd) }
        if begins(line, "ERROR") { return Reply(outcome: .error, length: lineEnd) }
      case UInt8(ascii: "H"):
        if begins(line, "HD") { return Reply(outcome: .stored, length: lineEnd) }
      case UInt8(ascii: "N"):
        if begins(line, "NS") || begins(line, "NF") || begins(line, "NOT_") { return Reply(outcome: .refused, length: lineEnd) }
      case UInt8(ascii: "S"):
        if begins(line, "STORED\r\n") { return Reply(outcome: .stored, length: lineEnd) }
        if begins(line, "SERVER_ERROR") { return Reply(outcome: .error, length: lineEnd) }
      case UInt8(ascii: "C"):
        if begins(line, "CLIENT_ERROR") { return Reply(outcome: .error, length: lineEnd) }
      default: break
      }
      return Reply(outcome: .garbage, length: lineEnd)
    }

    private static func begins(_ line: UnsafeBufferPointer<UInt8>, _ text: StaticString) -> Bool {
      guard let start = line.baseAddress, line.count >= text.utf8CodeUnitCount else { return false }
      return memcmp(start, text.utf8Start, text.utf8CodeUnitCount) == 0
    }

    /// A line whose field number `field` (from 0) is a length, then so many bytes, then `end`.
    private static func data(
      _ line: UnsafeBufferPointer<UInt8>, field: Int, end: StaticString, _ outcome: Outcome, _ available: Int
    ) -> Reply {
      var at = 0
      for _ in 0..<field {
        while at < line.count && line[at] != 0x20 { at += 1 }
        at += 1
      }
      var length = 0
      let first = at
      while at < line.count, at - first < 10, line[at] >= 0x30, line[at] <= 0x39 {
        length = length * 10 + Int(line[at] - 0x30)
        at += 1
      }
      if at == first { return Reply(outcome: .garbage, length: line.count) }
      let total = line.count + length + end.utf8CodeUnitCount
      if total > available { return .incomplete }
      guard let start = line.baseAddress, memcmp(start + line.count + length, end.utf8Start, end.utf8CodeUnitCount) == 0 else {
        return Reply(outcome: .garbage, length: total)
      }
      return Reply(outcome: outcome, length: total, valueOffset: line.count)
    }
  }
#endif
