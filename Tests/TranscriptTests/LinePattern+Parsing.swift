extension LinePattern {
  /// Longest line that `\{x*n}` may make.
  static let largestRepeat = 1 << 28

  init(parsing source: String) throws(TranscriptError) {
    var elements: [Element] = []
    var literal: [UInt8] = []
    var rest = Array(source.utf8)[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "\\"):
        literal += try Self.escape(&rest, in: source)
      case UInt8(ascii: "<"):
        guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { throw TranscriptError("no > after < in: \(source)") }
        let name = String(decoding: rest[rest.startIndex..<end], as: UTF8.self)
        rest = rest[(end + 1)...]
        if !literal.isEmpty { elements.append(.literal(literal)) }
        literal = []
        elements.append(try Self.wildcard(name))
      default:
        literal.append(byte)
      }
    }
    if !literal.isEmpty { elements.append(.literal(literal)) }
    self.source = source
    self.elements = elements
  }

  private static func escape(_ rest: inout ArraySlice<UInt8>, in source: String) throws(TranscriptError) -> [UInt8] {
    guard let code = rest.popFirst() else { throw TranscriptError("a lone \\ at the end of: \(source)") }
    switch code {
    case UInt8(ascii: "r"): return [13]
    case UInt8(ascii: "n"): return [10]
    case UInt8(ascii: "t"): return [9]
    case UInt8(ascii: "\\"), UInt8(ascii: "<"): return [code]
    case UInt8(ascii: "x"):
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else { throw TranscriptError("bad \\x in: \(source)") }
      rest = rest.dropFirst(2)
      return [value]
    case UInt8(ascii: "{"):
      // \{text*count}
      guard let end = rest.firstIndex(of: UInt8(ascii: "}")), let star = rest[..<end].lastIndex(of: UInt8(ascii: "*")),
        let count = Int(String(decoding: rest[(star + 1)..<end], as: UTF8.self)), count >= 0
      else { throw TranscriptError("bad \\{text*count} in: \(source)") }
      let text = Array(rest[rest.startIndex..<star])
      guard !text.isEmpty, count <= largestRepeat / text.count else { throw TranscriptError("bad \\{text*count} in: \(source)") }
      rest = rest[(end + 1)...]
      // Doubling: megabytes of it are made in debug builds.
      var repeated: [UInt8] = []
      var power = text
      var remaining = count
      while remaining > 0 {
        if remaining & 1 == 1 { repeated += power }
        remaining >>= 1
        if remaining > 0 { power += power }
      }
      return repeated
    default: throw TranscriptError("unknown escape \\\(Character(UnicodeScalar(code))) in: \(source)")
    }
  }

  private static func wildcard(_ name: String) throws(TranscriptError) -> Element {
    if name == "any" { return .any }
    if name == "word" { return .word }
    if name == "number" { return .number(0...UInt64.max) }
    if name.hasPrefix("number:") {
      let bounds = name.dropFirst(7).split(separator: ".", omittingEmptySubsequences: true).compactMap { UInt64($0) }
      guard bounds.count == 2, bounds[0] <= bounds[1] else { throw TranscriptError("bad range <\(name)>") }
      return .number(bounds[0]...bounds[1])
    }
    if name == "time" { return .time(0) }
    if name.hasPrefix("time+") || name.hasPrefix("time-"), let offset = Int64(name.dropFirst(4)) { return .time(offset) }
    for kind in ["token:", "version:", "word:"] where name.hasPrefix(kind) {
      let parts = name.split(separator: "+", maxSplits: 1)
      guard let base = parts.first, base.count > kind.count else { break }
      if parts.count == 1 { return .named(String(base), offset: 0) }
      guard let offset = UInt64(parts[1]), offset > 0 else { break }
      return .named(String(base), offset: offset)
    }
    throw TranscriptError("unknown wildcard <\(name)>")
  }
}
