import Testing

@testable import LeaseWire

@Suite struct NumberTests {
  func token<R>(_ text: String, _ body: (Token) -> R) -> R {
    let bytes = Array(text.utf8) + [0]
    return bytes.withUnsafeBytes { body(Token(start: $0.baseAddress ?? Request.nowhere, count: bytes.count - 1)) }
  }

  @Test(arguments: [0, 1, 9, 10, 99, 100, 999, 1000, 9999, 10_000, 99_999, 100_000, 1 << 32, .max, .max - 1, 10_000_000_000_000_000_000])
  func writesAndReads(value: UInt64) {
    var bytes = [UInt8](repeating: 0, count: 32)
    let text = bytes.withUnsafeMutableBytes { buffer -> String in
      guard let base = buffer.baseAddress else { return "" }
      let end = Numbers.write(value, to: base)
      return String(decoding: UnsafeRawBufferPointer(start: base, count: end - base), as: UTF8.self)
    }
    #expect(text == String(value))
    #expect(token(text) { Numbers.unsigned($0) } == value)
  }

  @Test func limits() {
    #expect(token("18446744073709551616") { Numbers.unsigned($0) } == nil)
    #expect(token("99999999999999999999") { Numbers.unsigned($0) } == nil)
    #expect(token("") { Numbers.unsigned($0) } == nil)
    #expect(token("+") { Numbers.unsigned($0) } == nil)
    #expect(token("-") { Numbers.signed64($0) } == nil)
    #expect(token("--1") { Numbers.signed64($0) } == nil)
    #expect(token("-+1") { Numbers.signed64($0) } == nil)
    #expect(token("-9223372036854775808") { Numbers.signed64($0) } == Int64.min)
    #expect(token("9223372036854775808") { Numbers.signed64($0) } == nil)
    #expect(token("-2147483648") { Numbers.signed32($0) } == Int32.min)
    #expect(token("-2147483649") { Numbers.signed32($0) } == nil)
    #expect(token("+7") { Numbers.signed32($0) } == 7)
  }
}

@Suite struct Base64Tests {
  @Test func roundTrips() {
    for count in 1...64 {
      let source = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 37 + count) }
      var text = [UInt8](repeating: 0, count: 128)
      var back = [UInt8](repeating: 0, count: 128)
      let decoded = source.withUnsafeBytes { input in
        text.withUnsafeMutableBytes { middle in
          back.withUnsafeMutableBytes { output -> Int? in
            guard let a = input.baseAddress, let b = middle.baseAddress, let c = output.baseAddress else { return nil }
            let end = Base64.encode(a, count: count, into: b)
            #expect(end - b == Base64.encodedCount(count))
            return Base64.decode(b, count: end - b, into: c)
          }
        }
      }
      #expect(decoded == count)
      #expect(Array(back.prefix(count)) == source)
    }
  }
}

@Suite struct ScanTests {
  /// Against the plain definition, for every position of the stop and every length.
  @Test func findsStops() {
    for length in 0...40 {
      for stop in 0...length {
        for byte: UInt8 in [0, 9, 10, 13, 32, 31] {
          var bytes = (0..<length).map { UInt8(33 + ($0 * 7) % 222) }
          if stop < length { bytes[stop] = byte }
          bytes.append(0x41)
          bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            let end = base + length
            #expect(Scan.tokenEnd(base, end) - base == stop)
            let newline = Scan.newline(base, end).map { $0 - base }
            #expect(newline == (stop < length && byte == 10 ? stop : nil))
          }
        }
      }
    }
  }
}

@Suite struct FastLineTests {
  func withLine<R>(_ text: String, _ body: (UnsafeRawPointer, UnsafeRawPointer) -> R) -> R {
    let bytes = Array(text.utf8) + [0]
    return bytes.withUnsafeBytes { buffer in
      let base = buffer.baseAddress ?? Request.nowhere
      return body(base, base + (bytes.count - 1))
    }
  }

  @Test func words() {
    #expect(withLine("get k") { a, _ in FastLine.word(a) == FastLine.getWord })
    #expect(withLine("set k") { a, _ in FastLine.word(a) == FastLine.setWord })
    #expect(withLine("mg k ") { a, _ in FastLine.word(a) & FastLine.metaMask == FastLine.metaGetWord })
  }

  @Test func takesOnlyPlainLines() {
    #expect(withLine("get key\r\n") { FastLine.getKey($0, $1) } == 3)
    #expect(withLine("mg key v\r\n") { FastLine.metaGet($0, $1).lineCount } == 10)
    let line = withLine("set key 1 2 3\r\nabc\r\n") { FastLine.set($0, $1) }
    #expect(line.keyCount == 3 && line.clientFlags == 1 && line.exptime == 2 && line.valueCount == 3 && line.lineCount == 15)
    for text in ["get a b\r\n", "get \r\n", "get a\n", "get \(longKey)\r\n", "get a\r"] {
      #expect(withLine(text) { FastLine.getKey($0, $1) } == 0)
    }
    for text in ["mg a v k\r\n", "mg a k c N10 Oabc f s q v\r\n", "mg a v O\r\n", "mg a v N123456789\r\n"] {
      let line = withLine(text) { FastLine.metaGet($0, $1) }
      #expect(line.keyCount == 1 && line.lineCount == text.utf8.count)
      #expect(line.wantsLease == text.contains("N"))
    }
    let longOpaque = String(repeating: "x", count: WireLimits.opaqueBytes)
    for flags in [
      "", " k", "  v", " v  k", " v v", " v k k", " v N", " v Nx", " v N-1", " v N1234567890", " v t", " v Lw5", " v b", " v T0", " v vv",
      " v k1",
      " v C5", " v O\(longOpaque)", " v ", " V", " v\u{7f}",
    ] {
      #expect(withLine("mg a\(flags)\r\n") { FastLine.metaGet($0, $1).flagsCount } == 0, "\(flags)")
    }
    #expect(withLine("mg  v\r\n") { FastLine.metaGet($0, $1).flagsCount } == 0)
    for text in [
      "set a 1 2 3 noreply\r\n", "set a -1 2 3\r\n", "set a 1 -2 3\r\n", "set a 1 2 -3\r\n", "set a 1 2\r\n", "set a 4294967296 2 3\r\n",
      "set a 1 2147483648 3\r\n", "set a 1 2 2147483647\r\n", "set a 1 2 99999999999\r\n", "set a  1 2 3\r\n", "set \(longKey) 0 0 0\r\n",
    ] { #expect(withLine(text) { FastLine.set($0, $1) }.lineCount == 0) }
  }

  /// Every prefix of a plain line is refused, none is taken for a shorter one.
  @Test func refusesPrefixes() {
    func prefixes(_ text: String) -> [String] {
      (4..<text.utf8.count).map { String(decoding: Array(text.utf8.prefix($0)), as: UTF8.self) }
    }
    for text in prefixes("get some-key\r\n") { #expect(withLine(text) { FastLine.getKey($0, $1) } == 0) }
    for text in prefixes("mg some-key v\r\n") + prefixes("mg some-key k c N10 O1 v\r\n") {
      #expect(withLine(text) { FastLine.metaGet($0, $1).flagsCount } == 0)
    }
    for text in prefixes("set some-key 12 34 56\r\n") { #expect(withLine(text) { FastLine.set($0, $1) }.lineCount == 0) }
  }
}

@Suite struct RandomBytes {
  /// Random lines built from the protocol's own words, and plain noise: the parser must give an answer to each.
  @Test func neverTraps() {
    var generator = SplitMix(state: 42)
    let words = [
      "get", "set", "mg", "ms", "md", "ma", "me", "lease-set", "lease-fail", "cas", "incr", "k", "0", "-1", "99999999999999999999", "Lw1,f",
      "b", "N", "C18446744073709551615", "noreply", "", " ", "\u{0}", "\u{7f}", "aGk=", "O", "M", "MA", "L", "L,", "Lf,,", "+", "-",
    ]
    for _ in 0..<20_000 {
      var line = ""
      for _ in 0..<Int(generator.next() % 8) {
        line += words[Int(generator.next() % UInt64(words.count))]
        if generator.next() % 5 != 0 { line += " " }
      }
      parse(line) { request, _ in #expect(request.key.count >= 0 && request.valueCount >= 0) }
    }
    for _ in 0..<20_000 {
      let bytes = (0..<Int(generator.next() % 64)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
      parse(String(decoding: bytes, as: UTF8.self)) { request, _ in #expect(request.key.count >= 0) }
    }
  }
}

struct SplitMix {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
