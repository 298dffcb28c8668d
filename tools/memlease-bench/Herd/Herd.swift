#if os(Linux)
  import CEpoll
  import Glibc

  /// All the clients on one epoll loop. Everything that strategies use to act is here, and counts.
  final class Herd {
    struct Times {
      /// How long the simulated database takes.
      var fetchNs: UInt64 = 200_000_000
      var pollNs: UInt64 = 20_000_000
      var readNs: UInt64 = 0
      var deleteNs: UInt64 = 0
    }

    /// How many fetches the simulated database takes at a time; the others queue for it.
    var fetchesAtATime = Int.max
    private var runningFetches = 0
    private var queuedFetches: [Int] = []
    private var nextQueued = 0

    /// What a complete value must be.
    let value: [UInt8]
    let clients: UnsafeMutableBufferPointer<HerdClient>
    var tally = HerdTally()
    var failure: BenchError?
    /// Clients that have no value yet, or an unanswered request. At 0 the run is over.
    private(set) var unfinished: Int
    /// Whoever has the value pauses and asks again, until the end of the time.
    var readsOn = false
    /// The loop's time, taken before each event.
    private(set) var nowNs: UInt64 = 0

    private let strategy: any HerdStrategy
    private let capacity: Int
    private let epoll: Int32
    private var pauses: [PauseQueue]
    private static let stallNs: UInt64 = 60_000_000_000

    init(strategy: any HerdStrategy, endpoint: Endpoint, clients count: Int, valueBytes: Int, times: Times) throws {
      self.strategy = strategy
      value = Self.value(valueBytes)
      capacity = valueBytes + 1024
      pauses = [times.fetchNs, times.pollNs, times.readNs, times.deleteNs].map { PauseQueue(lengthNs: $0) }
      unfinished = count
      clients = .allocate(capacity: count)
      epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
      if epoll < 0 { throw BenchError.system("epoll_create1") }
      for index in clients.indices {
        clients.initializeElement(at: index, to: HerdClient(fd: try endpoint.connect(), buffer: .allocate(capacity: capacity)))
      }
      try greet()
      for index in clients.indices {
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        event.data.u64 = UInt64(index)
        if epoll_ctl(epoll, EPOLL_CTL_ADD, clients[index].fd, &event) != 0 { throw BenchError.system("epoll_ctl") }
      }
    }

    static func value(_ size: Int) -> [UInt8] { (0..<size).map { UInt8(ascii: "a") + UInt8($0 % 26) } }

    /// Resets the connections, so that none lingers in TIME_WAIT and takes a port from the next run.
    func closeAll() {
      for client in clients {
        if client.fd >= 0 { reset(client.fd) }
        client.buffer.deallocate()
      }
      clients.deallocate()
      close(epoll)
    }

    private func reset(_ fd: Int32) {
      var noLinger = linger(l_onoff: 1, l_linger: 0)
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &noLinger, socklen_t(MemoryLayout<linger>.size))
      close(fd)
    }

    private func greet() throws {
      let request = Array(strategy.greeting.request.utf8)
      let end = Array(strategy.greeting.replyEnd.utf8)
      for client in clients where Glibc.send(client.fd, request, request.count, Int32(MSG_NOSIGNAL)) != request.count {
        throw BenchError.system("greeting")
      }
      for client in clients {
        var filled = 0
        while !(filled >= end.count && memcmp(client.buffer + filled - end.count, end, end.count) == 0) {
          let count = recv(client.fd, client.buffer + filled, capacity - filled, 0)
          if count <= 0 {
            throw BenchError("greeting: \(String(decoding: UnsafeBufferPointer(start: client.buffer, count: filled), as: UTF8.self))")
          }
          filled += count
        }
      }
    }

    /// Everybody asks, in one burst.
    func start() {
      nowNs = monotonicNs()
      tally.startNs = nowNs
      for index in clients.indices { strategy.ask(index, self) }
    }

    /// Returns when `unfinished` is 0, or at `endNs`.
    func run(untilNs endNs: UInt64 = .max) throws {
      let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: 512)
      defer { events.deallocate() }
      var progressNs = monotonicNs()
      while failure == nil && unfinished > 0 && nowNs < endNs {
        let count = epoll_wait(epoll, events, 512, waitMs(endNs))
        nowNs = monotonicNs()
        for position in 0..<max(0, Int(count)) { receive(Int(events[position].data.u64)) }
        if resumeDue() || count > 0 { progressNs = nowNs }
        if nowNs &- progressNs > Self.stallNs { failure = BenchError("nothing happened for a minute, \(unfinished) clients are waiting") }
      }
      if let failure { throw failure }
    }

    private func waitMs(_ endNs: UInt64) -> Int32 {
      var nextNs = min(endNs, nowNs + 1_000_000_000)
      for pause in pauses { nextNs = min(nextNs, pause.nextNs) }
      let now = monotonicNs()
      return nextNs <= now ? 0 : Int32((nextNs - now + 999_999) / 1_000_000)
    }

    /// A limited number at a time, so that replies are not left lying meanwhile.
    private func resumeDue() -> Bool {
      var anyDue = false
      for pause in Pause.allCases {
        var count = 0
        while count < 256, failure == nil, let client = pauses[pause.rawValue].takeDue(nowNs) {
          if pause == .fetch { endFetch() }
          strategy.resume(client, after: pause, self)
          count += 1
        }
        anyDue = anyDue || count > 0
      }
      return anyDue
    }

    private func receive(_ index: Int) {
      let client = clients.baseAddress.unsafelyUnwrapped + index
      if client.pointee.fd < 0 { return }
      let buffer = client.pointee.buffer
      let count = recv(client.pointee.fd, buffer + client.pointee.filled, capacity - client.pointee.filled, Int32(MSG_DONTWAIT))
      if count <= 0 {
        if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
        failure = failure ?? (count == 0 ? BenchError("the server closed a connection") : BenchError.system("recv"))
        return
      }
      nowNs = monotonicNs()
      tally.receivedBytes += count
      let filled = client.pointee.filled + count
      var at = 0
      while at < filled && failure == nil {
        let taken = strategy.reply(index, buffer + at, filled - at, self)
        if taken == 0 { break }
        at += taken
      }
      if at < filled {
        if at == 0 && filled == capacity { fail("a reply is longer than expected", buffer, filled) }
        memmove(buffer, buffer + at, filled - at)
      }
      client.pointee.filled = filled - at
    }
  }

  /// What strategies do.
  extension Herd {
    /// Sends a piece of text that consists of `requests` requests.
    func send(_ client: Int, _ bytes: [UInt8], requests: Int = 1) {
      let fd = clients[client].fd
      nowNs = monotonicNs()
      if clients[client].firstSentNs == 0 { clients[client].firstSentNs = nowNs }
      clients[client].unanswered += requests
      tally.requests += requests
      tally.sentBytes += bytes.count
      var sent = 0
      while sent < bytes.count {
        let count = bytes.withUnsafeBytes {
          Glibc.send(fd, $0.baseAddress.unsafelyUnwrapped + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
        }
        if count <= 0 && errno != EINTR {
          failure = failure ?? BenchError.system("send")
          return
        }
        sent += max(0, count)
      }
    }

    /// Sends the request that writes the value: from here on the others can have it. Comes before the client's own `gotValue`.
    func fill(_ client: Int, _ bytes: [UInt8], requests: Int = 1) {
      if tally.firstFillNs == 0 { tally.firstFillNs = monotonicNs() }
      send(client, bytes, requests: requests)
    }

    /// The client asks the simulated database, and is resumed after `Pause.fetch`.
    func fetch(_ client: Int) {
      tally.fetches += 1
      if runningFetches == fetchesAtATime { return queuedFetches.append(client) }
      runningFetches += 1
      wait(client, .fetch)
    }

    private func endFetch() {
      runningFetches -= 1
      if nextQueued == queuedFetches.count { return }
      nextQueued += 1
      runningFetches += 1
      wait(queuedFetches[nextQueued - 1], .fetch)
    }

    func wait(_ client: Int, _ pause: Pause) { pauses[pause.rawValue].append(client, nowNs) }

    /// One request of the client is answered.
    func answered(_ client: Int) {
      clients[client].unanswered -= 1
      if clients[client].unanswered < 0 { failure = failure ?? BenchError("more replies than requests") }
      finishIfDone(client)
    }

    /// The client has the value that it asked for: from its own fetch, or out of a reply.
    func gotValue(_ client: Int, _ start: UnsafePointer<UInt8>? = nil) {
      if let start, memcmp(start, value, value.count) != 0 { tally.wrongValues += 1 }
      if clients[client].hasValue { return }
      clients[client].hasValue = true
      tally.values += 1
      tally.lastValueNs = nowNs
      tally.latencies.record(nowNs - clients[client].firstSentNs, times: 1)
      finishIfDone(client)
    }

    private func finishIfDone(_ client: Int) {
      if clients[client].isFinished || !clients[client].hasValue || clients[client].unanswered > 0 { return }
      if readsOn {
        clients[client].hasValue = false
        clients[client].firstSentNs = 0
        wait(client, .read)
      } else {
        clients[client].isFinished = true
        unfinished -= 1
      }
    }

    /// The client dies, and the kernel closes its connection.
    func kill(_ client: Int) {
      close(clients[client].fd)
      clients[client].fd = -1
      clients[client].hasValue = true
      clients[client].unanswered = 0
      finishIfDone(client)
    }

    func fail(_ what: String, _ start: UnsafePointer<UInt8>, _ count: Int) {
      let text = String(decoding: UnsafeBufferPointer(start: start, count: min(count, 200)), as: UTF8.self)
      failure = failure ?? BenchError("\(what): \(text)")
    }
  }
#endif
