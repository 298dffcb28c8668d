/// What `-v` and `-vv` say on standard error, in memcached's manner: `<fd` and what came, `>fd` and what went out. Written by the worker
/// itself, so it is for looking at a server, not for running one.
enum VerboseLog {
  /// More of a line is not shown.
  static let longestLine = 300

  static func received(_ line: UnsafeRawBufferPointer, fd: Int32) { writeErrorLine("<\(fd) \(printable(line))") }

  /// The first line of what a batch sends, and how much that is in all.
  static func sent(_ output: UnsafeRawBufferPointer, totalBytes: Int, fd: Int32) {
    let line = UnsafeRawBufferPointer(rebasing: output.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") })
    writeErrorLine(">\(fd) \(printable(line)) (\(totalBytes) bytes)")
  }

  static func opened(fd: Int32) { writeErrorLine("<\(fd) new connection from \(SocketAddress(peerOf: fd)?.statText ?? "unknown")") }
  static func closed(fd: Int32, reason: WatchedClose) { writeErrorLine("<\(fd) connection closed (\(reason.rawValue))") }

  /// A client's bytes must not steer the terminal: everything but printable ASCII is shown as `\xNN`.
  static func printable(_ bytes: UnsafeRawBufferPointer) -> String {
    var text = ""
    for byte in bytes.prefix(longestLine) {
      if byte >= 32, byte < 127 {
        text.unicodeScalars.append(UnicodeScalar(byte))
      } else {
        text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }
    return bytes.count > longestLine ? text + "..." : text
  }
}
