#if os(Linux)
  import ArgumentParser
  import CEpoll
  import Glibc

  struct FloorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "floor",
      abstract: "A bare server that stores nothing: what any server must spend to answer a herd.",
      discussion:
        "The first mg is granted, the others are kept waiting; an ms sends its data to all of them, with one send each. Runs until it is killed."
    )

    @Option(help: "Port on 127.0.0.1.")
    var port: UInt16

    func run() throws {
      var limit = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      limit.rlim_cur = limit.rlim_max
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      try Floor(port: port).run()
    }
  }

  /// Invariant: `waiting` are the connections that asked since the last fill, in their order, without the first one.
  private final class Floor {
    private let listener: Int32
    private let epoll: Int32
    private let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: 128 << 10)
    private var isGranted = false
    private var waiting: [Int32] = []
    /// A fill whose data is not all there yet.
    private var unread: [UInt8] = []
    private var filler: Int32 = -1

    init(port: UInt16) throws {
      let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      var on: Int32 = 1
      setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      let bound = withUnsafeBytes(of: &address) { raw in
        bind(listener, raw.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
      }
      if bound != 0 || listen(listener, 4096) != 0 { throw BenchError.system("listen on \(port)") }
      self.listener = listener
      epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
      watch(listener)
    }

    private func watch(_ fd: Int32) {
      var event = epoll_event()
      event.events = EPOLLIN.rawValue
      event.data.fd = fd
      epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)
    }

    func run() throws -> Never {
      let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: 512)
      while true {
        let count = epoll_wait(epoll, events, 512, -1)
        for position in 0..<max(0, Int(count)) {
          let fd = events[position].data.fd
          if fd == listener { accept() } else { receive(fd) }
        }
      }
    }

    private func accept() {
      let fd = Glibc.accept(listener, nil, nil)
      if fd < 0 { return }
      var on: Int32 = 1
      setsockopt(fd, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
      watch(fd)
    }

    private func receive(_ fd: Int32) {
      let count = recv(fd, buffer, 128 << 10, Int32(MSG_DONTWAIT))
      if count <= 0 {
        if count < 0 && errno == EAGAIN { return }
        waiting.removeAll { $0 == fd }
        if fd == filler { isGranted = false }
        close(fd)
      } else if fd == filler {
        unread += UnsafeBufferPointer(start: buffer, count: count)
        fill()
      } else if buffer[1] == UInt8(ascii: "n") {
        answer(fd, Array("MN\r\n".utf8))
      } else if isGranted {
        waiting.append(fd)
      } else {
        isGranted = true
        filler = fd
        answer(fd, Array("VA 0 c5000000000000000001 W\r\n\r\n".utf8))
      }
    }

    /// `ms <key> <bytes> C<token> T60`, and the data.
    private func fill() {
      guard let lineEnd = unread.firstIndex(of: 0x0A) else { return }
      let words = unread[..<lineEnd].split(separator: 0x20)
      guard words.count > 2, let bytes = Int(String(decoding: words[2], as: UTF8.self)) else { return }
      let end = lineEnd + 1 + bytes + 2
      if unread.count < end { return }
      let reply = Array("VA \(bytes) c5000000000000000002\r\n".utf8) + unread[(lineEnd + 1)..<end]
      answer(filler, Array("HD\r\n".utf8))
      for fd in waiting { answer(fd, reply) }
      waiting.removeAll(keepingCapacity: true)
      unread.removeAll()
      isGranted = false
      filler = -1
    }

    @inline(__always)
    private func answer(_ fd: Int32, _ reply: [UInt8]) {
      _ = reply.withUnsafeBytes { send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) }
    }
  }
#endif
