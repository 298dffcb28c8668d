#if os(Linux)
  import ArgumentParser
  import CEpoll
  import Glibc
  import Synchronization

  struct FloorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "floor",
      abstract: "A bare server that stores nothing: what any server must spend to answer a herd.",
      discussion: """
        The first mg is granted, the others are kept waiting; an ms sends its data to all of them, with one send each. For one run of herd at \
        a time. Runs until it is killed.
        """)

    @Option(help: "Port on 127.0.0.1.")
    var port: UInt16

    @Option(help: "Threads, each with its share of the connections.")
    var threads = 1

    func validate() throws {
      if !(1...64).contains(threads) { throw ValidationError("--threads must be 1 to 64") }
    }

    func run() throws {
      var limit = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      limit.rlim_cur = limit.rlim_max
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      let floor = Floor(threads: threads)
      let workers = (0..<threads).map { FloorWorker($0, floor) }
      for worker in workers.dropFirst() {
        var thread = pthread_t()
        let code = pthread_create(
          &thread, nil,
          { context in
            if let context { Unmanaged<FloorWorker>.fromOpaque(context).takeRetainedValue().run() }
            return nil
          }, Unmanaged.passRetained(worker).toOpaque())
        if code != 0 { throw BenchError("pthread_create: \(String(cString: strerror(code)))") }
      }
      try workers[0].listen(port: port)
      workers[0].run()
    }
  }

  /// What the threads share.
  private final class Floor: Sendable {
    /// Whether somebody was told to fetch since the last fill.
    let isGranted = Mutex(false)
    let lastReply = Mutex<[UInt8]>([])
    let epolls: [Int32]
    /// Wakes each thread to send the last reply.
    let wakeUps: [Int32]

    init(threads: Int) {
      epolls = (0..<threads).map { _ in epoll_create1(Int32(EPOLL_CLOEXEC)) }
      wakeUps = (0..<threads).map { _ in eventfd(0, 0) }
    }

    func watch(_ fd: Int32, thread: Int) {
      var event = epoll_event()
      event.events = EPOLLIN.rawValue
      event.data.fd = fd
      epoll_ctl(epolls[thread], EPOLL_CTL_ADD, fd, &event)
    }
  }

  /// One thread. Invariant: `waiting` are its connections that asked since the last fill and were not granted, in their order.
  private final class FloorWorker {
    private let number: Int
    private let floor: Floor
    private let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: 128 << 10)
    private var listener: Int32 = -1
    private var accepted = 0
    private var waiting: [Int32] = []
    private var filler: Int32 = -1
    /// A fill whose data is not all there yet.
    private var unread: [UInt8] = []

    init(_ number: Int, _ floor: Floor) {
      self.number = number
      self.floor = floor
      floor.watch(floor.wakeUps[number], thread: number)
    }

    func listen(port: UInt16) throws {
      listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      var on: Int32 = 1
      setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      let listener = listener
      let bound = withUnsafeBytes(of: &address) { raw in
        bind(listener, raw.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
      }
      if bound != 0 || Glibc.listen(listener, 4096) != 0 { throw BenchError.system("listen on \(port)") }
      floor.watch(listener, thread: number)
    }

    func run() {
      let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: 512)
      while true {
        let count = epoll_wait(floor.epolls[number], events, 512, -1)
        for position in 0..<max(0, Int(count)) {
          let fd = events[position].data.fd
          if fd == listener {
            accept()
          } else if fd == floor.wakeUps[number] {
            read(fd, buffer, 8)
            answerWaiting()
          } else {
            receive(fd)
          }
        }
      }
    }

    private func accept() {
      let fd = Glibc.accept(listener, nil, nil)
      if fd < 0 { return }
      var on: Int32 = 1
      setsockopt(fd, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
      floor.watch(fd, thread: accepted % floor.epolls.count)
      accepted += 1
    }

    private func receive(_ fd: Int32) {
      let count = recv(fd, buffer, 128 << 10, Int32(MSG_DONTWAIT))
      if count <= 0 {
        if count < 0 && errno == EAGAIN { return }
        waiting.removeAll { $0 == fd }
        if fd == filler {
          filler = -1
          floor.isGranted.withLock { $0 = false }
        }
        close(fd)
      } else if fd == filler {
        unread += UnsafeBufferPointer(start: buffer, count: count)
        fill()
      } else if buffer[1] == UInt8(ascii: "n") {
        answer(fd, Array("MN\r\n".utf8))
      } else if isFirst() {
        filler = fd
        answer(fd, Array("VA 0 c5000000000000000001 W\r\n\r\n".utf8))
      } else {
        waiting.append(fd)
      }
    }

    /// True for the first since the last fill.
    private func isFirst() -> Bool {
      floor.isGranted.withLock { isGranted in
        defer { isGranted = true }
        return !isGranted
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
      floor.lastReply.withLock { $0 = reply }
      floor.isGranted.withLock { $0 = false }
      var one: UInt64 = 1
      for wakeUp in floor.wakeUps where wakeUp != floor.wakeUps[number] { write(wakeUp, &one, 8) }
      answer(filler, Array("HD\r\n".utf8))
      filler = -1
      unread.removeAll()
      answerWaiting()
    }

    private func answerWaiting() {
      let reply = floor.lastReply.withLock { $0 }
      for fd in waiting { answer(fd, reply) }
      waiting.removeAll(keepingCapacity: true)
    }

    @inline(__always)
    private func answer(_ fd: Int32, _ reply: [UInt8]) {
      _ = reply.withUnsafeBytes { send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) }
    }
  }
#endif
