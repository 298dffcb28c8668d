import Testing

@testable import LeaseWire

/// Parses a line (without its end) and hands the request to `check` while the bytes are alive.
func parse<R>(_ line: String, memcached: Bool = false, _ check: (Request, (Token) -> String) throws -> R) rethrows -> R {
  var bytes = Array(line.utf8)
  let scratch = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 8)
  defer { scratch.deallocate() }
  let parser = RequestParser(decodedKey: scratch, ignoresLeaseOptions: memcached)
  return try bytes.withUnsafeMutableBytes { buffer in
    var request = Request()
    let start = buffer.baseAddress.map { UnsafeRawPointer($0) } ?? UnsafeRawPointer(scratch)
    parser.parse(start, count: buffer.count, into: &request)
    return try check(request) { token in
      String(decoding: UnsafeRawBufferPointer(start: token.start, count: token.count), as: UTF8.self)
    }
  }
}

/// The error of a line.
func error(_ line: String, memcached: Bool = false) -> String {
  parse(line, memcached: memcached) { request, _ in request.error == .none ? "" : request.error.text.description }
}

let longKey = String(repeating: "k", count: 251)

@Suite struct ClassicLines {
  @Test func storage() {
    parse("set key 5 -1 10 noreply") { request, text in
      #expect(request.command == .set && request.error == .none)
      #expect(text(request.key) == "key")
      #expect(request.clientFlags == 5 && request.exptime == -1 && request.valueCount == 10)
      #expect(request.isQuiet && request.hasLength && !request.hasCompare)
    }
    parse("cas key 0 0 2 18446744073709551615") { request, _ in
      #expect(request.command == .cas && request.number == .max && request.hasCompare)
    }
    parse("  append   k  1 2 3  ") { request, text in
      #expect(request.command == .append && text(request.key) == "k" && request.valueCount == 3)
    }
  }

  @Test(arguments: [
    ("", "ERROR"), ("x", "ERROR"), ("SET k 0 0 1", "ERROR"), ("set", "ERROR"), ("set k 0 0", "ERROR"),
    ("set k 0 0 -1", "CLIENT_ERROR bad command line format"), ("set k 0 0 abc", "CLIENT_ERROR bad command line format"),
    ("set k 0 0 2147483648", "CLIENT_ERROR bad command line format"), ("set k -1 0 2", "CLIENT_ERROR bad command line format"),
    ("set k 4294967296 0 2", "CLIENT_ERROR bad command line format"), ("set k 0 2147483648 2", "CLIENT_ERROR bad command line format"),
    ("set k 0 1x 2", "CLIENT_ERROR bad command line format"), ("set \(longKey) 0 0 2", "CLIENT_ERROR bad command line format"),
    ("set k\u{1}y 0 0 2", "CLIENT_ERROR bad command line format"),
    ("cas k 0 0 2", "ERROR"), ("cas k 0 0 2 a", "CLIENT_ERROR bad command line format"),
    ("incr k", "ERROR"), ("incr k a", "CLIENT_ERROR invalid numeric delta argument"),
    ("incr k -1", "CLIENT_ERROR invalid numeric delta argument"),
    ("incr k 18446744073709551616", "CLIENT_ERROR invalid numeric delta argument"),
    ("touch k", "ERROR"), ("touch k a", "CLIENT_ERROR invalid exptime argument"), ("delete", "ERROR"),
    ("delete k 1", "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]"),
    ("delete \(longKey)", "CLIENT_ERROR bad command line format"), ("metaget", "ERROR"),
  ])
  func errors(line: String, expected: String) {
    #expect(error(line) == expected)
  }

  @Test(arguments: [
    "delete k", "delete k 0", "delete k noreply", "delete k 0 noreply", "incr k 1", "decr k 18446744073709551615", "touch k -5",
  ])
  func accepted(line: String) {
    #expect(error(line) == "")
  }

  /// A refused storage line whose length is known still announces its data block.
  @Test(arguments: [
    "set k -1 0 7", "set \(longKey) 0 0 7", "cas k 0 0 7 a", "lease-set k x 0 0 7", "lease-fail k 5 z 7", "ms k 7 Z", "ms k 7 q q",
  ])
  func lengthSurvivesErrors(line: String) {
    parse(line) { request, _ in
      #expect(request.error != .none && request.hasLength && request.valueCount == 7)
    }
  }
}

@Suite struct LeaseLines {
  @Test func fields() {
    parse("lease-set k 77 1 60 5 noreply") { request, text in
      #expect(request.command == .leaseSet && text(request.key) == "k" && request.number == 77 && request.clientFlags == 1)
      #expect(request.exptime == 60 && request.valueCount == 5 && request.isQuiet && request.hasCompare)
    }
    parse("lease-extend k 77 500") { request, _ in #expect(request.number == 77 && request.milliseconds == 500) }
    parse("lease-fail k 77 500 3") { request, _ in #expect(request.milliseconds == 500 && request.valueCount == 3 && request.hasLength) }
    parse("lease-keep k 77 -1") { request, _ in #expect(request.exptime == -1 && request.error == .none) }
    parse("lease-hold k 500") { request, _ in #expect(request.milliseconds == 500 && request.error == .none) }
    parse("lease-release k 77 noreply") { request, _ in #expect(request.isQuiet && request.number == 77) }
  }

  @Test(arguments: [
    ("lease-set k 1 0 0", "ERROR"), ("lease-set k x 0 0 1", "CLIENT_ERROR bad command line format"),
    ("lease-set k 1 0 0 -1", "CLIENT_ERROR bad command line format"), ("lease-extend k 1", "ERROR"),
    ("lease-extend k 1 x", "CLIENT_ERROR bad command line format"), ("lease-hold k", "ERROR"), ("lease-release k", "ERROR"),
    ("lease-keep k 1 x", "CLIENT_ERROR invalid exptime argument"), ("lease-pass \(longKey) 1 1", "CLIENT_ERROR bad command line format"),
    ("lease-set", "ERROR"), ("lease-nothing k", "ERROR"),
  ])
  func errors(line: String, expected: String) {
    #expect(error(line) == expected)
  }
}

@Suite struct MetaLines {
  @Test func get() {
    parse("mg key s v t Oabc N30 R-1 T60 Lw500,l2000,f,h3") { request, text in
      #expect(request.error == .none && request.command == .metaGet && text(request.key) == "key")
      #expect(request.flags.has("s") && request.flags.has("N") && !request.flags.has("k"))
      #expect(request.vivifyTime == 30 && request.refreshBelow == -1 && request.exptime == 60)
      #expect(
        request.options.waitMs == 500 && request.options.leaseMs == 2000 && request.options.isFreshOnly && request.options.holders == 3)
    }
    parse("mg aGk= b") { request, text in #expect(text(request.key) == "hi" && request.isKeyEncoded && request.error == .none) }
  }

  @Test func set() {
    parse("ms key 5 C7 E9 F3 T1 I q MA N10 Lg30") { request, _ in
      #expect(request.error == .none && request.valueCount == 5 && request.number == 7 && request.explicitVersion == 9)
      #expect(request.clientFlags == 3 && request.isQuiet && request.mode == UInt8(ascii: "A") && request.options.graceSeconds == 30)
    }
  }

  @Test(arguments: [
    ("mg", "ERROR"), ("ms k", "CLIENT_ERROR bad command line format"), ("ms k S2", "CLIENT_ERROR bad command line format"),
    ("ms k -1", "CLIENT_ERROR bad command line format"), ("mg \(longKey)", "CLIENT_ERROR bad command line format"),
    ("mg k q q", "CLIENT_ERROR duplicate flag"), ("mg k Z", "CLIENT_ERROR invalid flag"), ("mg k 1", "CLIENT_ERROR invalid flag"),
    ("mg k S1", "CLIENT_ERROR invalid flag"), ("md k z", "CLIENT_ERROR invalid flag"), ("ma k z", "CLIENT_ERROR invalid or duplicate flag"),
    ("ma k q q", "CLIENT_ERROR invalid or duplicate flag"), ("mg k Nabc", "CLIENT_ERROR bad token in command line format"),
    ("mg k T2147483648", "CLIENT_ERROR bad token in command line format"), ("mg k N", "CLIENT_ERROR bad token in command line format"),
    ("ms k 2 Cx", "CLIENT_ERROR bad token in command line format"), ("ms k 2 F4294967296", "CLIENT_ERROR bad command line format"),
    ("mg k b", "CLIENT_ERROR error decoding key"), ("mg a=== b", "CLIENT_ERROR error decoding key"),
    ("ms k 2 MX", "CLIENT_ERROR invalid mode for ms M token"), ("ms k 2 M", "CLIENT_ERROR incorrect length for M token"),
    ("ma k MX", "CLIENT_ERROR invalid mode for ma M token"),
    ("mg k O\(String(repeating: "o", count: 32))", "CLIENT_ERROR opaque token too long"),
    ("mg k a b c d e f g h i j k l m n o p q r s t", "CLIENT_ERROR invalid flag"),
    ("mg k s v t f c k q u h l O1 N1 R1 T1 E1 C1 F1 x I P", "CLIENT_ERROR options flags are too long"),
    ("mg k Lx1", "CLIENT_ERROR invalid lease option"), ("mg k Lw", "CLIENT_ERROR invalid lease option"),
    ("mg k Lw1,", "CLIENT_ERROR invalid lease option"), ("mg k Lf1", "CLIENT_ERROR invalid lease option"),
    ("mg k Lg1", "CLIENT_ERROR invalid lease option"), ("ms k 1 Lw1", "CLIENT_ERROR invalid lease option"),
    ("me", "CLIENT_ERROR bad command line format"),
  ])
  func errors(line: String, expected: String) {
    #expect(error(line) == expected)
  }

  @Test func memcachedModeIgnoresLeaseOptions() {
    #expect(error("mg k Lanything,at=all v", memcached: true) == "")
  }

  /// Each letter memcached knows is taken with every command.
  @Test(arguments: ["k", "s", "t", "c", "f", "v", "h", "l", "u", "q", "x", "I", "P", "O1", "N1", "T1", "R1", "F1", "C1", "E1", "J1", "D1"])
  func flags(flag: String) {
    #expect(error("mg key \(flag)") == "" && error("md key \(flag)") == "" && error("ma key \(flag)") == "")
    #expect(error("ms key 2 \(flag)") == "")
  }
}

@Suite struct ManyKeys {
  func head(_ text: String) -> (Int, Request) {
    var request = Request()
    let bytes = Array(text.utf8)
    let count = bytes.withUnsafeBytes { buffer -> Int in
      guard let base = buffer.baseAddress else { return 0 }
      return RequestParser.manyKeysHead(base, base + buffer.count, into: &request)
    }
    return (count, request)
  }

  @Test func heads() {
    #expect(head("get a b\r\n").0 == 3 && head("gets a").1.command == .gets)
    #expect(head("gat 10 a").0 == 6 && head("gat 10 a").1.exptime == 10)
    #expect(head("lease-get k").1.command == .leaseGet && head("lease-get k").0 == 9)
    #expect(head("gat x a").1.error == .badExptime)
    #expect(head("gat\r\n").1.error == .unknownCommand)
    for text in ["", "g", "ge", "get", "gat 1", "set a", "lease-g", "getx a", "  "] { #expect(head(text).0 == 0) }
    #expect(head("  get a").0 == 5)
  }
}
