#if os(Linux)
  import CEpoll
  import Glibc

  /// One thread's share of the connections, and its epoll loop. Used by one thread at a time, which is why it may cross to another.
  final class Worker: @unchecked Sendable {
    let script: Script
    let schedule: Schedule
    let connections: UnsafeMutableBufferPointer<Connection>
    private let numbers: [Int]
    private let epoll: Int32
    private let progress: ProgressLine?
    private(set) var isMeasuring = false
    private(set) var isStopping = false
    private(set) var warmUpEndNs: UInt64 = 0
    /// Nothing is sent from then on.
    private(set) var endNs = UInt64.max
    /// Open loop only.
    var arrivals: Arrivals?
    var tally = Tally()
    var failure: BenchError?
    var onMeasureStart: (() -> Void)?

    /// `numbers`: this worker's connections among all `total`; they start evenly spread over the script.
    init(script: Script, endpoint: Endpoint, numbers: [Int], total: Int, depth: Int, schedule: Schedule, progress: ProgressLine?) throws {
      self.script = script
      self.schedule = schedule
      self.numbers = numbers
      self.progress = progress
      epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
      if epoll < 0 { throw BenchError.system("epoll_create1") }
      connections = .allocate(capacity: numbers.count)
      let largestReply = script.shape.valueBytes.greatest + 512
      for (index, number) in numbers.enumerated() {
        let fd = try endpoint.connect()
        let start = number * script.count / total
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
      warmUpEndNs = began &+ schedule.warmUpNs
      if schedule.measureNs != .max { endNs = warmUpEndNs &+ schedule.measureNs }
      beginSending(began)
      let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: 256)
      defer { events.deallocate() }
      var lastReply = began
      var nextProgress = progress == nil ? UInt64.max : began
      var served = 0
      while failure == nil && !isDone {
        let count = waitForEvents(events, 256)
        var now = monotonicNs()
        if count > 0 { lastReply = now } else if now &- lastReply > schedule.stallNs { lastReply = checkStall(now) }
        if Interrupt.isAsked && !isStopping { (warmUpEndNs, endNs) = (min(warmUpEndNs, now), now) }
        if !isMeasuring && now >= warmUpEndNs { startMeasuring(now) }
        if !isStopping && now >= endNs { stop() }
        for position in 0..<max(0, Int(count)) {
          now = serve(Int(events[position].data.u64), events[position].events, now)
        }
        if arrivals != nil { sendDue(now) }
        served += max(0, Int(count))
        if schedule.givesWay, served >= 32 {
          sched_yield()
          served = 0
        }
        if now >= nextProgress { nextProgress = reportProgress(now) }
      }
      tally.endNs = monotonicNs()
      finish()
    }

    private func beginSending(_ nowNs: UInt64) {
      if let meanGapNs = schedule.meanGapNs {
        if cepoll_wake_on_time() != 0 { failure = BenchError.system("prctl") }
        arrivals = Arrivals(numbers: numbers, meanGapNs: meanGapNs, seed: schedule.seed, beganNs: nowNs)
      } else {
        for index in connections.indices { topUp(index, monotonicNs()) }
      }
    }

    /// Until something can be read or written, or is to be done.
    private func waitForEvents(_ events: UnsafeMutablePointer<epoll_event>, _ capacity: Int32) -> Int32 {
      if arrivals == nil { return epoll_wait(epoll, events, capacity, 1000) }
      let now = monotonicNs()
      let wake = min(nextStepNs, now &+ 999_999_999)
      var limit = timespec(tv_sec: 0, tv_nsec: wake > now ? Int(wake &- now) : 0)
      return epoll_pwait2(epoll, events, capacity, &limit, nil)
    }

    /// In an open loop at a low rate silence is no stall.
    private func checkStall(_ nowNs: UInt64) -> UInt64 {
      if arrivals == nil || connections.contains(where: { $0.inFlight > 0 }) { failure = BenchError("no reply in time") }
      return nowNs
    }

    private var isDone: Bool {
      if !isMeasuring || (!isStopping && schedule.requestsPerConnection == .max) { return false }
      if arrivals != nil && isStopping { return isDrained }
      return connections.allSatisfy { $0.inFlight == 0 && $0.remaining == 0 }
    }

    private func startMeasuring(_ nowNs: UInt64) {
      isMeasuring = true
      tally = Tally()
      tally.startNs = nowNs
      tally.sentBytes = -sentBytes
      tally.busiest = -CPUTime.ownThreadSeconds()
      for index in connections.indices {
        connections[index].remaining = max(0, schedule.requestsPerConnection - connections[index].inFlight)
      }
      onMeasureStart?()
    }

    private func stop() {
      isStopping = true
      // An open loop still sends what was due by now.
      if arrivals == nil { for index in connections.indices { connections[index].remaining = 0 } }
    }

    private func finish() {
      if arrivals != nil { countUnfinished() }
      tally.sentBytes += sentBytes
      tally.busiest = (tally.busiest + CPUTime.ownThreadSeconds()) / max(1e-9, Double(tally.endNs &- tally.startNs) / 1e9)
    }

    private var sentBytes: Int { connections.reduce(0) { $0 + $1.sentBytes } }

    private func reportProgress(_ nowNs: UInt64) -> UInt64 {
      guard let progress else { return .max }
      progress.publish(worker: numbers[0], tally, nowNs: nowNs)
      return nowNs &+ ProgressLine.intervalNs
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
        tally.receivedBytes &+= count
        scan(connection, now)
      }
      if arrivals == nil { topUp(index, now) } else { refill(index, now) }
      return now
    }

    @inline(__always)
    private func topUp(_ index: Int, _ nowNs: UInt64) {
      let connection = connections.baseAddress.unsafelyUnwrapped + index
      let isAlive = connection.pointee.topUp(script, nowNs: nowNs)
      if connection.pointee.isBlocked || connection.pointee.isWaitingToWrite { flushRest(index) }
      if !isAlive { failure = failure ?? BenchError.system("send") }
    }

    /// Sends what the socket takes now, and asks to hear when it takes more.
    func flushRest(_ index: Int) {
      let connection = connections.baseAddress.unsafelyUnwrapped + index
      if !connection.pointee.flush(script) { failure = failure ?? BenchError.system("send") }
      let isBlocked = connection.pointee.isBlocked
      if isBlocked != connection.pointee.isWaitingToWrite { watch(index, EPOLL_CTL_MOD, writable: isBlocked) }
      connection.pointee.isWaitingToWrite = isBlocked
    }
  }
#endif
