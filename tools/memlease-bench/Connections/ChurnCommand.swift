#if os(Linux)
  import ArgumentParser
  import CEpoll
  import Glibc

  struct ChurnCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "churn",
      abstract: "Connections that live for one request: connect, one get, close, as clients without a pool do.")

    @OptionGroup var common: ConnectionOptions

    @Option(help: "Connections that are open at a time; fewer than the server's listen backlog.")
    var connectionsAtATime = 50

    @Option(help: "Seconds to measure, after one that does not count.")
    var seconds = 5.0

    func validate() throws {
      if !(1...1000).contains(connectionsAtATime) { throw ValidationError("--connections-at-a-time must be 1 to 1000") }
      if !(0.1...3600).contains(seconds) { throw ValidationError("--seconds must be 0.1 to 3600") }
    }

    func run() throws {
      let churn = try Churn(endpoint: try Endpoint(common.server), connections: connectionsAtATime)
      defer { churn.closeAll() }
      try churn.run(seconds: 1)
      churn.latencies = Latencies()
      let before = PreciseCPU(serverPID: common.serverPid)
      try churn.run(seconds: seconds)
      let report = ChurnReport(self, churn.latencies, PreciseCPU(serverPID: common.serverPid) - before)
      try printReport(report, asJSON: common.json) { report.text }
    }
  }

  /// Connections that come and go on one epoll loop. Invariant: `sentNs[i]` is when the open connection `fds[i]` began to connect.
  private final class Churn {
    var latencies = Latencies()
    private let endpoint: Endpoint
    private let epoll: Int32
    private var fds: [Int32]
    private var sentNs: [UInt64]
    private var buffer = [UInt8](repeating: 0, count: 256)
    private let request = Array("get memlease-bench-churn\r\n".utf8)
    private let reply = Array("END\r\n".utf8)

    init(endpoint: Endpoint, connections: Int) throws {
      self.endpoint = endpoint
      fds = Array(repeating: -1, count: connections)
      sentNs = Array(repeating: 0, count: connections)
      epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
      if epoll < 0 { throw BenchError.system("epoll_create1") }
      for index in fds.indices { try open(index) }
    }

    func closeAll() {
      for fd in fds where fd >= 0 { close(fd) }
      close(epoll)
    }

    func run(seconds: Double) throws {
      let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: 64)
      defer { events.deallocate() }
      let endNs = monotonicNs() + UInt64(seconds * 1e9)
      while monotonicNs() < endNs {
        let count = epoll_wait(epoll, events, 64, 10_000)
        if count == 0 { throw BenchError("no answer for ten seconds") }
        for position in 0..<max(0, Int(count)) { try finish(Int(events[position].data.u64)) }
      }
    }

    private func open(_ index: Int) throws {
      sentNs[index] = monotonicNs()
      let fd = try endpoint.connect()
      fds[index] = fd
      if send(fd, request, request.count, Int32(MSG_NOSIGNAL)) != request.count { throw BenchError.system("send") }
      var event = epoll_event()
      event.events = EPOLLIN.rawValue
      event.data.u64 = UInt64(index)
      if epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0 { throw BenchError.system("epoll_ctl") }
    }

    /// Takes the reply, closes, and opens the next one.
    private func finish(_ index: Int) throws {
      let count = recv(fds[index], &buffer, buffer.count, 0)
      if count < 0 { throw BenchError.system("recv") }
      if !buffer[..<count].elementsEqual(reply) {
        throw BenchError("unexpected reply: \(String(decoding: buffer[..<count], as: UTF8.self))")
      }
      latencies.record(monotonicNs() - sentNs[index], times: 1)
      close(fds[index])
      fds[index] = -1
      try open(index)
    }
  }

  /// What `churn` prints. Its names are the JSON's.
  struct ChurnReport: Encodable {
    let server: String
    let connectionsAtATime: Int
    let seconds: Double
    let connections: Int
    let connectionsPerSecond: Double
    let serverMicrosecondsPerConnection: Double?
    /// From the connect to the reply.
    let p50Ms, p99Ms, maxMs: Double
    let cpu: PreciseCPU

    init(_ command: ChurnCommand, _ latencies: Latencies, _ cpu: PreciseCPU) {
      server = command.common.server
      connectionsAtATime = command.connectionsAtATime
      seconds = cpu.elapsedMs / 1000
      connections = Int(latencies.count)
      connectionsPerSecond = Double(latencies.count) / seconds
      let total = Double(latencies.count)
      serverMicrosecondsPerConnection = cpu.serverMs.map { $0 * 1000 / max(1, total) }
      (p50Ms, p99Ms) = (Double(latencies.percentile(0.5)) / 1e6, Double(latencies.percentile(0.99)) / 1e6)
      maxMs = Double(latencies.maximum) / 1e6
      self.cpu = cpu
    }

    var text: String {
      """
      churn  \(connectionsAtATime) connections at a time, one get each, \(fixed(seconds, 1)) s
        \(fixed(connectionsPerSecond, 0)) connections/s, server CPU \(serverMicrosecondsPerConnection.map { fixed($0, 2) } ?? "?") µs each
        connect to reply ms: p50 \(fixed(p50Ms, 2)), p99 \(fixed(p99Ms, 2)), max \(fixed(maxMs, 1))
        \(cpu.text)
      """
    }
  }
#endif
