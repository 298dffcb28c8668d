#if os(Linux)
  import Glibc

  /// Reads one reply of any kind, or one piece of a reply for several keys. The slow way: the usual replies are recognized by a `ReplyTemplate`.
  enum ReplyReader {
    struct Reply {
      var outcome: Outcome
      /// 0: it is not complete yet.
      var length: Int
      var keyRange = 0..<0
      var valueRange = 0..<0
      /// The value comes with a lease (W), or while another holds one (Z): it is stale, or there is none.
      var isOwed = false
      static let incomplete = Reply(outcome: .miss, length: 0)
    }

    /// `inPieces`: a value's block is a piece of its own, without the line that ends the reply.
    static func read(_ start: UnsafePointer<UInt8>, _ available: Int, inPieces: Bool = false) -> Reply {
      guard let newline = memchr(start, 0x0A, available) else { return .incomplete }
      let lineEnd = UnsafeRawPointer(newline) - UnsafeRawPointer(start) + 1
      let line = UnsafeBufferPointer(start: start, count: lineEnd)
      switch line.first {
      case UInt8(ascii: "V"):
        let end: StaticString = inPieces ? "\r\n" : "\r\nEND\r\n"
        if begins(line, "VALUE ") { return data(line, field: 3, end: end, .hit, available) }
        if begins(line, "VA ") { return metaData(line, available) }
      case UInt8(ascii: "L"):
        if begins(line, "LVALUE ") { return data(line, field: 4, end: "\r\nEND\r\n", .miss, available) }
      case UInt8(ascii: "E"):
        if begins(line, "END\r\n") || begins(line, "EN\r\n") { return Reply(outcome: .miss, length: lineEnd) }
        if begins(line, "EX") { return Reply(outcome: .refused, length: lineEnd) }
        if begins(line, "ERROR\r\n") { return Reply(outcome: .unknownCommand, length: lineEnd) }
        if begins(line, "ERROR") { return Reply(outcome: .error, length: lineEnd) }
      case UInt8(ascii: "H"):
        if begins(line, "HD") { return Reply(outcome: .stored, length: lineEnd) }
      case UInt8(ascii: "M"):
        if inPieces && begins(line, "MN\r\n") { return Reply(outcome: .miss, length: lineEnd) }
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

    /// A hit of `mg`, and its flags.
    private static func metaData(_ line: UnsafeBufferPointer<UInt8>, _ available: Int) -> Reply {
      var reply = data(line, field: 1, end: "\r\n", .hit, available)
      var at = "VA ".utf8.count
      while at < line.count - 1 {
        let start = at
        while at < line.count && line[at] > 0x20 { at += 1 }
        switch line[start] {
        case UInt8(ascii: "W"), UInt8(ascii: "Z"): reply.isOwed = true
        case UInt8(ascii: "k"): reply.keyRange = (start + 1)..<at
        default: break
        }
        at += 1
      }
      return reply
    }

    /// A line whose field number `field` (from 0) is a length, then so many bytes, then `end`.
    private static func data(
      _ line: UnsafeBufferPointer<UInt8>, field: Int, end: StaticString, _ outcome: Outcome, _ available: Int
    ) -> Reply {
      var at = 0
      var key = 0..<0
      for number in 0..<field {
        let start = at
        while at < line.count && line[at] != 0x20 { at += 1 }
        if number == 1 { key = start..<at }
        at += 1
      }
      var length = 0
      let first = at
      while at < line.count, at - first < 10, line[at] >= 0x30, line[at] <= 0x39 {
        length = length * 10 + Int(line[at] - 0x30)
        at += 1
      }
      if at == first { return Reply(outcome: .garbage, length: line.count) }
      let valueEnd = line.count + length
      let total = valueEnd + end.utf8CodeUnitCount
      if total > available { return .incomplete }
      guard let start = line.baseAddress, memcmp(start + valueEnd, end.utf8Start, end.utf8CodeUnitCount) == 0 else {
        return Reply(outcome: .garbage, length: total)
      }
      return Reply(outcome: outcome, length: total, keyRange: key, valueRange: line.count..<valueEnd)
    }
  }
#endif
