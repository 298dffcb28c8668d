#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A process that goes on in the background (-d). The starting process stays until the server is ready, so that its exit code is true
/// and errors still reach the terminal: 0 when the server runs, else what the server's start ended with.
struct Daemon: Sendable {
  private let readyDescriptor: Int32
  private let keepsStreams: Bool

  #if canImport(Darwin)
    static func detach(keepsStreams: Bool) throws(StartError) -> Daemon {
      throw .usage("-d: not available on this system; let launchd run it in the foreground")
    }
  #else
    /// Returns in the new process only. Call it before the first thread.
    static func detach(keepsStreams: Bool) throws(StartError) -> Daemon {
      var ends: [Int32] = [-1, -1]
      guard pipe(&ends) == 0 else { throw .refused("cannot become a daemon (-d)", errno: errno) }
      let child = fork()
      guard child >= 0 else { throw .refused("cannot become a daemon (-d)", errno: errno) }
      if child > 0 {
        closeDescriptor(ends[1])
        waitUntilReady(ends[0], child)
      }
      closeDescriptor(ends[0])
      _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
      setsid()
      return Daemon(readyDescriptor: ends[1], keepsStreams: keepsStreams)
    }

    /// The starting process's end.
    private static func waitUntilReady(_ fd: Int32, _ child: pid_t) -> Never {
      var byte: UInt8 = 0
      var count: Int
      repeat { count = read(fd, &byte, 1) } while count < 0 && errno == EINTR
      if count == 1 { _exit(0) }
      var status: Int32 = 0
      while waitpid(child, &status, 0) < 0, errno == EINTR {}
      // WIFEXITED and WEXITSTATUS are macros that Swift does not see.
      _exit(status & 0x7f == 0 ? (status >> 8) & 0xff : 71)
    }
  #endif

  /// What the starting shell or supervisor left open would stay open as long as the daemon lives. Call it before anything is opened.
  static func closeInheritedDescriptors() {
    guard let directory = opendir("/dev/fd") else { return }
    defer { closedir(directory) }
    var inherited: [Int32] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if let fd = Int32(name), fd > 2, fd != dirfd(directory) { inherited.append(fd) }
    }
    for fd in inherited { closeDescriptor(fd) }
  }

  /// The server runs: the starting process may go, and the terminal is let go, unless `-v` wants it (as in memcached).
  func becomeReady() {
    chdir("/")
    if !keepsStreams {
      let null = open("/dev/null", O_RDWR)
      for stream in 0..<Int32(3) { dup2(null, stream) }
      if null > 2 { closeDescriptor(null) }
    }
    _ = write(readyDescriptor, "+", 1)
    closeDescriptor(readyDescriptor)
  }
}
