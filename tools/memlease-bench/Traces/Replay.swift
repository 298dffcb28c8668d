#if os(Linux)
  import Glibc

  /// Sends a trace's requests on some connections from one thread. All requests of a key go the same way, so they stay in order.
  struct Replay: ~Copyable {
    private let depth: Int
    /// 0: as fast as the replies come.
    private let speed: Double
    private let connections: [ReplayConnection]
    private var reader: TraceReader
    /// Was read, and is not due, or its connection has enough to do.
    private var held: TraceLine?
    private var isRead = false
    private var polled: [pollfd]
    private var firstTimeUs: UInt64?
    private let startNs = monotonicNs()
    private(set) var tally = ReplayTally()

    init(_ reader: consuming TraceReader, endpoint: Endpoint, connections count: Int, depth: Int, speed: Double, fills: Bool) throws {
      self.reader = reader
      self.depth = depth
      self.speed = speed
      connections = try (0..<count).map { _ in try ReplayConnection(endpoint: endpoint, fills: fills) }
      polled = connections.map { pollfd(fd: $0.fd, events: Int16(POLLIN), revents: 0) }
    }

    mutating func run() throws {
      while true {
        let dueNs = try sendDue()
        var inFlight = 0
        for index in connections.indices {
          try connections[index].flush()
          inFlight += connections[index].inFlight
          polled[index].events = Int16(connections[index].hasOutput ? POLLIN | POLLOUT : POLLIN)
        }
        if isRead, held == nil, inFlight == 0 { return }
        try wait(untilNs: dueNs)
      }
    }

    /// Until one is not due yet, or its connection is full. Returns when the next is due, if that is what it waits for.
    private mutating func sendDue() throws -> UInt64? {
      while let line = try held ?? nextLine() {
        held = line
        let nowNs = monotonicNs()
        var beganNs = nowNs
        if speed > 0 {
          beganNs = due(line)
          if beganNs > nowNs { return beganNs }
        }
        let index = connection(of: line.key)
        if connections[index].inFlight >= depth { return nil }
        connections[index].request(line, beganNs: beganNs)
        held = nil
      }
      return nil
    }

    private mutating func nextLine() throws -> TraceLine? {
      if isRead { return nil }
      let line = try reader.next()
      if line == nil { isRead = true }
      return line
    }

    private mutating func due(_ line: TraceLine) -> UInt64 {
      let first = firstTimeUs ?? line.timeUs
      firstTimeUs = first
      // Whatever the trace says, within what a UInt64 holds.
      let afterNs = min(1e18, Double(line.timeUs > first ? line.timeUs - first : 0) * 1000 / speed)
      return startNs + UInt64(afterNs)
    }

    private func connection(of key: [UInt8]) -> Int {
      if connections.count == 1 { return 0 }
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      for byte in key { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
      return Int(hash >> 32) % connections.count
    }

    private mutating func wait(untilNs dueNs: UInt64?) throws {
      var timeoutMs: Int32 = 10_000
      if let dueNs {
        let nowNs = monotonicNs()
        timeoutMs = Int32(min(10_000, dueNs > nowNs ? (dueNs - nowNs) / 1_000_000 : 0))
      }
      let ready = poll(&polled, nfds_t(polled.count), timeoutMs)
      if ready < 0 && errno != EINTR { throw BenchError.system("poll") }
      if ready == 0 && dueNs == nil { throw BenchError("no reply within 10 s") }
      for index in polled.indices where polled[index].revents & Int16(POLLIN | POLLERR | POLLHUP) != 0 {
        try connections[index].receive(into: &tally)
      }
    }
  }
#endif
