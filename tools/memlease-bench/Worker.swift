#if os(Linux)
  import CEpoll
  import Glibc

  /// What a worker counted since its measuring began.
  struct Tally {
    var hits = 0
    var misses = 0
    var stored = 0
    var refused = 0
    var errors = 0
    var wrong = 0
    var firstError: String?
    var latencies = Histogram()
    var startNs: UInt64 = 0
    var endNs: UInt64 = 0

    var requests: Int { hits + misses + stored + refused + errors + wrong }

    mutating func merge(_ other: Tally) {
      hits += other.hits
      misses += other.misses
      stored += other.stored
      refused += other.refused
      errors += other.errors
      wrong += other.wrong
      firstError = firstError ?? other.firstError
      latencies.merge(other.latencies)
      startNs = startNs == 0 ? other.startNs : min(startNs, other.startNs)
      endNs = max(endNs, other.endNs)
    }
  }

  /// How long a worker loads the server: first `warmUpNs` that are not counted, then until `measureNs` are over or each connection has sent
  /// `requestsPerConnection`, whichever comes first.
  struct Schedule: Sendable {
    var warmUpNs: UInt64 = 0
    var measureNs: UInt64 = .max
    var requestsPerConnection = Int.max
    var refill = Refill.batch
    /// Offers the processor to others after every 32 answered batches.
    var givesWay = false
    /// No reply at all for so long: given up.
    var stallNs: UInt64 = 10_000_000_000
  }

  /// One thread's share of the connections, and its epoll loop. Used by one thread at a time, which is why it may cross to another.
  final class Worker: @unchecked Sendable {
    private let script: Script
    private let schedule: Schedule
    private let connections: UnsafeMutableBufferPointer<Connection>
    private let epoll: Int32
    private var isMeasuring = false
    private var isStopping = false
    private(set) var tally = Tally()
    private(set) var failure: BenchError?
    var onMeasureStart: (() -> Void)?

    /// `starts`: for each connection the script index of its first request.
    init(script: Script, endpoint: Endpoint, starts: [Int], depth: Int, schedule: Schedule) throws {
      self.script = script
      self.schedule = schedule
      epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
      if epoll < 0 { throw BenchError.system("epoll_create1") }
      connections = .allocate(capacity: starts.count)
      let largestReply = script.shape.valueBytes + 512
      for (index, start) in starts.enumerated() {
        let fd = try endpoint.connect()
        connections.initializeElement(
          at: index,
          to: Connection(fd: fd, depth: depth, refill: schedule.refill, largestReply: largestReply, start: start, remaining: Int.max))
        watch(index, EPOLL_CTL_ADD, writable: false)
      }
    }

    func closeAll() {
      for connection in connections { connection.destroy() }
      connections.deallocate()
      close(epoll)
    }

    private func watch(_ index: Int, _ operation: Int32, writable: Bool) {
      var event = epoll_event()
      event.events = EPOLLIN.rawValue | (writable ? EPOLLOUT.rawValue : 0)
      event.data.u64 = UInt64(index)
      if epoll_ctl(epoll, operation, connections[index].fd, &event) != 0 { failure = failure ?? BenchError.system("epoll_ctl") }
    }

    func run() {
      let began = monotonicNs()
      if schedule.warmUpNs == 0 { startMeasuring(began) }
      let warmUpEnd = began &+ schedule.warmUpNs
      let end = schedule.measureNs == .max ? UInt64.max : warmUpEnd &+ schedule.measureNs
      for index in connections.indices { topUp(index, monotonicNs()) }
      let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: 256)
      defer { events.deallocate() }
      var lastProgress = began
      var served = 0
      while failure == nil && !isDone {
        let count = epoll_wait(epoll, events, 256, 1000)
        var now = monotonicNs()
        if count > 0 { lastProgress = now } else if now &- lastProgress > schedule.stallNs { failure = BenchError("no reply in time") }
        if !isMeasuring && now >= warmUpEnd { startMeasuring(now) }
        if !isStopping && now >= end { stop() }
        for position in 0..<max(0, Int(count)) {
          now = serve(Int(events[position].data.u64), events[position].events, now)
        }
        served += max(0, Int(count))
        if schedule.givesWay, served >= 32 {
          sched_yield()
          served = 0
        }
      }
      tally.endNs = monotonicNs()
    }

    /// Nothing is in flight, and nothing more may be sent.
    private var isDone: Bool {
      if !isMeasuring || (!isStopping && schedule.requestsPerConnection == .max) { return false }
      return connections.allSatisfy { $0.inFlight == 0 && $0.remaining == 0 }
    }

    private func startMeasuring(_ nowNs: UInt64) {
      isMeasuring = true
      tally = Tally()
      tally.startNs = nowNs
      for index in connections.indices {
        connections[index].remaining = max(0, schedule.requestsPerConnection - connections[index].inFlight)
      }
      onMeasureStart?()
    }

    private func stop() {
      isStopping = true
      for index in connections.indices { connections[index].remaining = 0 }
    }

    /// Handles one connection's event; returns the time that it took on the way.
    @inline(__always)
    private func serve(_ index: Int, _ events: UInt32, _ nowNs: UInt64) -> UInt64 {
      let connection = connections.baseAddress.unsafelyUnwrapped + index
      let count = recv(
        connection.pointee.fd, connection.pointee.buffer + connection.pointee.filled,
        connection.pointee.capacity - connection.pointee.filled, Int32(MSG_DONTWAIT))
      if count == 0 { failure = BenchError("the server closed a connection\(tally.firstError.map { " after: \($0)" } ?? "")") }
      if count < 0 && errno != EAGAIN && errno != EINTR { failure = BenchError.system("recv") }
      let now = monotonicNs()
      if count > 0 {
        connection.pointee.filled += count
        scan(connection, now)
      }
      topUp(index, now)
      return now
    }

    @inline(__always)
    private func topUp(_ index: Int, _ nowNs: UInt64) {
      let connection = connections.baseAddress.unsafelyUnwrapped + index
      var isAlive = connection.pointee.topUp(script, nowNs: nowNs)
      let isBlocked = connection.pointee.unsentFrom < connection.pointee.unsentTo
      if isBlocked || connection.pointee.isWaitingToWrite {
        isAlive = isAlive && connection.pointee.flush(script)
        let isStillBlocked = connection.pointee.unsentFrom < connection.pointee.unsentTo
        if isStillBlocked != connection.pointee.isWaitingToWrite { watch(index, EPOLL_CTL_MOD, writable: isStillBlocked) }
        connection.pointee.isWaitingToWrite = isStillBlocked
      }
      if !isAlive { failure = failure ?? BenchError.system("send") }
    }

    /// Counts the complete replies in the buffer and moves an incomplete rest to its start.
    private func scan(_ connection: UnsafeMutablePointer<Connection>, _ nowNs: UInt64) {
      let buffer = connection.pointee.buffer
      let filled = connection.pointee.filled
      var at = 0
      var replies = 0
      while at < filled && replies < connection.pointee.inFlight && failure == nil {
        let request = connection.pointee.oldest + replies
        let length = readUsual(buffer + at, filled - at, request: request)
        let taken = length > 0 ? length : readAny(buffer + at, filled - at, request: request)
        if taken == 0 { break }
        at += taken
        replies += 1
      }
      connection.pointee.answered(replies, nowNs: nowNs, cycle: script.count, &tally.latencies)
      if at < filled {
        if replies > 0 && connection.pointee.inFlight == 0 { failure = failure ?? BenchError("more replies than requests") }
        if at == 0 && filled == connection.pointee.capacity { failure = failure ?? BenchError("a reply is longer than expected") }
        memmove(buffer, buffer + at, filled - at)
      }
      connection.pointee.filled = filled - at
    }

    @inline(__always)
    private func readUsual(_ reply: UnsafeMutablePointer<UInt8>, _ available: Int, request: Int) -> Int {
      for template in script.templates where available >= template.length && template.matches(reply) {
        if template.outcome == .stored {
          tally.stored &+= 1
        } else if isOwnValue(reply + template.valueOffset, request) {
          tally.hits &+= 1
        } else {
          tally.wrong &+= 1
        }
        return template.length
      }
      return 0
    }

    @inline(__always)
    private func isOwnValue(_ value: UnsafePointer<UInt8>, _ request: Int) -> Bool {
      if !script.shape.isTagged { return true }
      let key = script.bytes + script.offsets[request >= script.count ? request % script.count : request] + script.keyEnd - 8
      return UnsafeRawPointer(key).loadUnaligned(as: UInt64.self) == UnsafeRawPointer(value).loadUnaligned(as: UInt64.self)
    }

    private func readAny(_ start: UnsafeMutablePointer<UInt8>, _ available: Int, request: Int) -> Int {
      let reply = ReplyReader.read(start, available)
      if reply.length == 0 { return 0 }
      switch reply.outcome {
      case .hit: if isOwnValue(start + reply.valueOffset, request) { tally.hits += 1 } else { tally.wrong += 1 }
      case .miss: tally.misses += 1
      case .stored: tally.stored += 1
      case .refused: tally.refused += 1
      case .wrong: tally.wrong += 1
      case .error, .garbage:
        tally.errors += 1
        let text = String(decoding: UnsafeBufferPointer(start: start, count: min(reply.length, 200)), as: UTF8.self)
        tally.firstError = tally.firstError ?? String(text.prefix { $0 != "\r\n" && $0 != "\n" })
        if reply.outcome == .garbage { failure = BenchError("not a reply: \(tally.firstError ?? "")") }
      }
      return reply.length
    }
  }
#endif
