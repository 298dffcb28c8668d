#if os(Linux)
  import Glibc

  struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    /// What a failed system call left in errno.
    static func system(_ what: String) -> BenchError { BenchError("\(what): \(String(cString: strerror(errno)))") }
  }

  /// Where the server listens: `host:port`, or a path of a Unix socket.
  struct Endpoint: Sendable, CustomStringConvertible {
    let description: String

    init(_ text: String) throws {
      description = text
      if !text.hasPrefix("/") && text.lastIndex(of: ":") == nil { throw BenchError("server must be host:port or /path: \(text)") }
    }

    /// A connected, blocking stream socket.
    func connect() throws -> Int32 {
      description.hasPrefix("/") ? try connectUnix() : try connectTCP()
    }

    private func connectUnix() throws -> Int32 {
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      let path = Array(description.utf8)
      if path.count >= MemoryLayout.size(ofValue: address.sun_path) { throw BenchError("socket path is too long: \(description)") }
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
      let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      if fd < 0 { throw BenchError.system("socket") }
      let result = withUnsafeBytes(of: &address) { raw in
        Glibc.connect(fd, raw.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
      }
      return try checked(fd, result)
    }

    private func connectTCP() throws -> Int32 {
      let colon = description.lastIndex(of: ":") ?? description.endIndex
      let host = description[..<colon].trimmingPrefix("[").replacing("]", with: "")
      let port = String(description[description.index(after: colon)...])
      var hints = addrinfo()
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
      var found: UnsafeMutablePointer<addrinfo>?
      let code = getaddrinfo(String(host), port, &hints, &found)
      defer { if let found { freeaddrinfo(found) } }
      guard code == 0, let address = found?.pointee else { throw BenchError("\(description): \(String(cString: gai_strerror(code)))") }
      let fd = socket(address.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      if fd < 0 { throw BenchError.system("socket") }
      var on: Int32 = 1
      setsockopt(fd, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
      return try checked(fd, Glibc.connect(fd, address.ai_addr, address.ai_addrlen))
    }

    private func checked(_ fd: Int32, _ result: Int32) throws -> Int32 {
      if result == 0 { return fd }
      let error = BenchError.system("connect to \(description)")
      close(fd)
      throw error
    }

    /// The server's `stats`, by name.
    func stats() throws -> [String: String] {
      let fd = try connect()
      defer { close(fd) }
      var limit = timeval(tv_sec: 10, tv_usec: 0)
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      let request = Array("stats\r\n".utf8)
      if send(fd, request, request.count, Int32(MSG_NOSIGNAL)) != request.count { throw BenchError.system("stats") }
      var text: [UInt8] = []
      var piece = [UInt8](repeating: 0, count: 16384)
      let end = Array("END\r\n".utf8)
      while !(text.count >= end.count && Array(text.suffix(end.count)) == end) {
        let count = recv(fd, &piece, piece.count, 0)
        if count <= 0 || text.count > 1 << 20 { throw BenchError("stats: no end of the reply") }
        text += piece[..<count]
      }
      let lines = text.split(whereSeparator: { $0 == 0x0D || $0 == 0x0A }).map { $0.split(separator: 0x20, maxSplits: 2) }
      return Dictionary(
        lines.filter { $0.count == 3 }.map { (String(decoding: $0[1], as: UTF8.self), String(decoding: $0[2], as: UTF8.self)) },
        uniquingKeysWith: { first, _ in first })
    }
  }
#endif
