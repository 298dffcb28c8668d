#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What came of asking for one connection.
public enum AcceptResult: Sendable, Equatable {
  /// Non-blocking, close-on-exec, TCP_NODELAY set.
  case connection(fd: Int32)
  case nothingWaits
  /// EMFILE, ENFILE, ENOBUFS or ENOMEM: stop accepting until a connection closes or a moment has passed.
  case outOfResources
}

/// A socket that listens: non-blocking, close-on-exec. `close()` is called once.
public struct Listener: Sendable, Equatable {
  public let fd: Int32
  /// As `stats conns` shows it: `tcp:127.0.0.1:11211`.
  public let address: String
  /// The port it got; 0 for a Unix socket.
  public let port: Int
  /// To be removed by `close()`.
  public let unixPath: String?

  public var isUnix: Bool { unixPath != nil }

  /// Takes one waiting connection. Errors of a single connection (it went away before it was accepted) count as nothing: ask again.
  public func accept() -> AcceptResult {
    while true {
      let connection = acceptConnection(fd)
      if connection >= 0 { return .connection(fd: connection) }
      switch errno {
      case EINTR, ECONNABORTED: continue
      case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .outOfResources
      default: return .nothingWaits
      }
    }
  }

  /// Stops listening and removes the Unix socket's file.
  public func close() {
    closeDescriptor(fd)
    if let unixPath { unlink(unixPath) }
  }
}

/// Non-blocking and close-on-exec.
private func acceptConnection(_ listener: Int32) -> Int32 {
  #if os(Linux)
    return acceptNonBlocking(listener)
  #else
    let connection = Darwin.accept(listener, nil, nil)
    if connection >= 0 {
      setNonBlocking(connection)
      setOption(connection, SOL_SOCKET, SO_NOSIGPIPE)
    }
    return connection
  #endif
}

@discardableResult
func setOption(_ fd: Int32, _ level: Int32, _ name: Int32, _ value: Int32 = 1) -> Bool {
  var value = value
  return setsockopt(fd, level, name, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
}

/// Non-blocking and close-on-exec, for a new socket.
func setNonBlocking(_ fd: Int32) {
  // A new socket has no other flags that would have to be kept.
  _ = fcntl(fd, F_SETFL, O_NONBLOCK)
  _ = fcntl(fd, F_SETFD, FD_CLOEXEC)
}

func closeDescriptor(_ fd: Int32) { _ = close(fd) }
