#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A whole file, or a refusal that names it.
func readFile(_ path: String, what: String, maxBytes: Int, otherwise tooLong: String) throws(StartError) -> [UInt8] {
  let fd = open(path, O_RDONLY | O_CLOEXEC)
  guard fd >= 0 else { throw .noInput("\(what) \(path): \(errorText(errno))") }
  defer { closeDescriptor(fd) }
  var contents: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 16_384)
  while true {
    let count = read(fd, &chunk, chunk.count)
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { throw .noInput("\(what) \(path): \(errorText(errno))") }
    if count == 0 { return contents }
    contents.append(contentsOf: chunk[..<count])
    guard contents.count <= maxBytes else { throw .noInput("\(what) \(path): \(tooLong)") }
  }
}
