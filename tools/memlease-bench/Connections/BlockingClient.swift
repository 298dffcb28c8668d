#if os(Linux)
  import Glibc

  /// One connection for steps whose time is not measured: it sends, and waits for what must come.
  struct BlockingClient {
    let fd: Int32
    private static let limitSeconds = 60

    init(_ endpoint: Endpoint) throws {
      fd = try endpoint.connect()
      var limit = timeval(tv_sec: Self.limitSeconds, tv_usec: 0)
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
      var sent = 0
      while sent < bytes.count {
        let count = bytes.withUnsafeBytes {
          Glibc.send(fd, $0.baseAddress.unsafelyUnwrapped + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
        }
        if count <= 0 && errno != EINTR { throw BenchError.system("send") }
        sent += max(0, count)
      }
    }

    /// Exactly these lines. Nothing may come behind them.
    func lines(_ count: Int) throws -> [String] {
      var text: [UInt8] = []
      var lineEnds = 0
      var piece = [UInt8](repeating: 0, count: 65536)
      while lineEnds < count {
        let received = recv(fd, &piece, piece.count, 0)
        if received <= 0 { throw BenchError.system("no answer") }
        lineEnds += piece[..<received].count { $0 == 0x0A }
        text += piece[..<received]
      }
      if lineEnds > count || text.last != 0x0A { throw BenchError("more replies than requests") }
      return text.split { $0 == 0x0D || $0 == 0x0A }.map { String(decoding: $0, as: UTF8.self) }
    }

    func receive(bytes: Int) throws {
      var piece = [UInt8](repeating: 0, count: 262_144)
      var left = bytes
      while left > 0 {
        let received = recv(fd, &piece, min(left, piece.count), 0)
        if received <= 0 { throw BenchError.system("no answer") }
        left -= received
      }
    }

    /// Resets the connection, so that it does not linger in TIME_WAIT and take a port from the next run.
    func reset() {
      var noLinger = linger(l_onoff: 1, l_linger: 0)
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &noLinger, socklen_t(MemoryLayout<linger>.size))
      close(fd)
    }
  }

  extension Endpoint {
    /// Asks until the server's number is at least this.
    func await(_ stat: String, atLeast count: Int) throws {
      let giveUpNs = monotonicNs() + 60_000_000_000
      while try stats()[stat].flatMap({ Int($0) }) ?? 0 < count {
        if monotonicNs() > giveUpNs { throw BenchError("\(stat) did not reach \(count) within a minute") }
        usleep(20_000)
      }
    }
  }

  /// Lets this process have as many connections as it may.
  func raiseDescriptorLimit(toHold connections: Int) throws {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    if limit.rlim_max < UInt(connections) + 16 { throw BenchError("only \(limit.rlim_max) descriptors, see ulimit -n") }
  }
#endif
