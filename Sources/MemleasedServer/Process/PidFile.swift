#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The file with the process id (-P): written whole or not at all, removed at the end.
struct PidFile: Sendable {
  let path: String

  init(path: String) throws(StartError) {
    self.path = path
    let temporary = path + ".tmp"
    let fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard fd >= 0 else { throw .cannotCreate("cannot write the pid file \(path) (-P): \(errorText(errno))") }
    let line = Array("\(getpid())\n".utf8)
    let isWritten = write(fd, line, line.count) == line.count
    let code = errno
    closeDescriptor(fd)
    guard isWritten, rename(temporary, path) == 0 else {
      unlink(temporary)
      throw .cannotCreate("cannot write the pid file \(path) (-P): \(errorText(isWritten ? errno : code))")
    }
  }

  /// Without the right to remove it (the privileges may be gone) it stays; the next start overwrites it.
  func remove() {
    if unlink(path) != 0, errno != ENOENT { writeErrorLine("memleased: warning: cannot remove the pid file \(path): \(errorText(errno))") }
  }
}
