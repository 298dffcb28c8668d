#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

var permissionDenied: Int32 { EACCES }
var notPermitted: Int32 { EPERM }

/// What the system says of an errno.
func errorText(_ code: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
  return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// One line on standard error, in one write.
public func writeErrorLine(_ line: String) {
  var bytes = Array("\(line)\n".utf8)
  var offset = 0
  while offset < bytes.count {
    let count = bytes.count
    let written = bytes.withUnsafeMutableBytes { write(2, $0.baseAddress.map { $0 + offset }, count - offset) }
    guard written > 0 || (written < 0 && errno == EINTR) else { return }
    offset += max(written, 0)
  }
}
