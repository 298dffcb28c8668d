/// Lines of a `stats` reply.
extension [UInt8] {
  mutating func appendStat(_ name: String, _ value: String) {
    append(contentsOf: "STAT ".utf8)
    append(contentsOf: name.utf8)
    append(UInt8(ascii: " "))
    append(contentsOf: value.utf8)
    append(contentsOf: "\r\n".utf8)
  }

  mutating func appendStat(_ name: String, _ value: some BinaryInteger) { appendStat(name, String(value)) }

  mutating func appendStat(_ name: String, isYes value: Bool) { appendStat(name, value ? "yes" : "no") }

  mutating func appendLine(_ line: String) {
    append(contentsOf: line.utf8)
    append(contentsOf: "\r\n".utf8)
  }
}
