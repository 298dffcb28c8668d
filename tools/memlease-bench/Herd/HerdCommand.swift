#if os(Linux)
  import ArgumentParser
  import Glibc

  enum Coordination: String, CaseIterable, ExpressibleByArgument {
    case parked
    case plain
    case polling
    case redisPolling = "redis-polling"
    case redisMessages = "redis-messages"

    func strategy(key: String, value: [UInt8], waitMs: Int) -> any HerdStrategy {
      switch self {
      case .parked: LeaseStrategy(key: key, value: value, waitMs: waitMs)
      case .plain: PlainStrategy(key: key, value: value)
      case .polling: LeaseStrategy(key: key, value: value, waitMs: nil)
      case .redisPolling: RedisStrategy(key: key, value: value, publishes: false)
      case .redisMessages: RedisStrategy(key: key, value: value, publishes: true)
      }
    }

    /// How long a loser waits before it asks again, where it polls.
    var pollNs: UInt64 { self == .redisPolling ? 50_000_000 : 20_000_000 }
  }

  /// What the subcommands with many clients have in common.
  struct HerdOptions: ParsableArguments {
    @Option(help: "host:port, or the path of a Unix socket.")
    var server = "127.0.0.1:11211"

    @Option(help: "The server's process: its CPU time is reported.")
    var serverPid: Int32?

    @Option(help: "Bytes of the value.")
    var valueBytes = 100

    @Option(help: "How long the simulated database takes for a fetch.")
    var fetchMs = 200.0

    @Flag(help: "Print one line of JSON.")
    var json = false

    func validate() throws {
      if !(1...65_536).contains(valueBytes) { throw ValidationError("--value-bytes must be 1 to 65536") }
      if !(0...60_000).contains(fetchMs) { throw ValidationError("--fetch-ms must be 0 to 60000") }
      if serverPid.map({ CPUTime.of(pid: $0) == nil }) == true { throw ValidationError("--server-pid: no such process") }
      do { _ = try Endpoint(server) } catch { throw ValidationError("\(error)") }
    }

    var fetchNs: UInt64 { UInt64(fetchMs * 1e6) }

    /// One that no earlier run used.
    var newKey: String { "herd-\(getpid())-\(monotonicNs())" }
  }

  struct HerdCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "herd",
      abstract: "Many clients miss the same key at the same moment.",
      discussion: """
        parked: mg with N30 and Lw, for a server that answers the losers when the value arrives. plain: get, and whoever misses fetches and \
        sets. polling: mg with N30, and a Z without a value is asked again after 20 ms. redis-polling: SET NX PX as a lock, the losers ask \
        again every 50 ms. redis-messages: the losers subscribe, the winner publishes that the value is there, and they get it.
        """)

    @OptionGroup var common: HerdOptions

    @Option(help: "What the clients do: \(Coordination.allCases.map(\.rawValue).joined(separator: ", ")).")
    var coordination = Coordination.parked

    @Option(help: "Clients, each with its own connection.")
    var clients = 10_000

    @Option(help: "How many fetches the simulated database takes at a time; the others queue for it. Default: any number.")
    var fetchesAtATime: Int?

    @Option(help: "The longest wait that a parked request asks for.")
    var waitMs = 30_000

    func validate() throws {
      if !(1...28_000).contains(clients) { throw ValidationError("--clients must be 1 to 28000") }
      if let fetchesAtATime, fetchesAtATime < 1 { throw ValidationError("--fetches-at-a-time must be at least 1") }
      if !(1...3_600_000).contains(waitMs) { throw ValidationError("--wait-ms must be 1 to 3600000") }
    }

    func run() throws {
      try raiseDescriptorLimit(toHold: clients)
      let key = common.newKey
      let strategy = coordination.strategy(key: key, value: Herd.value(common.valueBytes), waitMs: waitMs)
      let herd = try Herd(
        strategy: strategy, endpoint: try Endpoint(common.server), clients: clients, valueBytes: common.valueBytes,
        times: Herd.Times(fetchNs: common.fetchNs, pollNs: coordination.pollNs))
      defer { herd.closeAll() }
      let before = PreciseCPU(serverPID: common.serverPid)
      herd.fetchesAtATime = fetchesAtATime ?? Int.max
      herd.start()
      try herd.run()
      let report = HerdReport(self, herd.tally, PreciseCPU(serverPID: common.serverPid) - before)
      try printReport(report, asJSON: common.json) { report.text }
      if report.wrongValues > 0 { throw ExitCode.failure }
    }
  }

  /// What `herd` prints. Its names are the JSON's.
  struct HerdReport: Encodable {
    let server, coordination: String
    let clients, valueBytes: Int
    let fetchMs: Double
    let backendFetches, wrongValues: Int
    /// From the first write's send to the last client's value.
    let fillToLastMs: Double
    /// Each client's time from its first request to its value.
    let p50Ms, p99Ms, maxMs: Double
    let requests, sentBytes, receivedBytes: Int
    let cpu: PreciseCPU

    init(_ command: HerdCommand, _ tally: HerdTally, _ cpu: PreciseCPU) {
      server = command.common.server
      coordination = command.coordination.rawValue
      (clients, valueBytes, fetchMs) = (command.clients, command.common.valueBytes, command.common.fetchMs)
      (backendFetches, wrongValues) = (tally.fetches, tally.wrongValues)
      fillToLastMs = Double(tally.lastValueNs - tally.firstFillNs) / 1e6
      func milliseconds(_ fraction: Double) -> Double { Double(tally.latencies.percentile(fraction)) / 1e6 }
      (p50Ms, p99Ms, maxMs) = (milliseconds(0.5), milliseconds(0.99), Double(tally.latencies.maximum) / 1e6)
      (requests, sentBytes, receivedBytes) = (tally.requests, tally.sentBytes, tally.receivedBytes)
      self.cpu = cpu
    }

    var text: String {
      """
      herd  \(coordination), \(clients) clients, value of \(valueBytes) bytes, fetch of \(fixed(fetchMs, 0)) ms
        backend fetches \(backendFetches)
        from the fill to the last answer \(fixed(fillToLastMs, 1)) ms
        time to value ms: p50 \(fixed(p50Ms, 1)), p99 \(fixed(p99Ms, 1)), max \(fixed(maxMs, 1))
        \(requests) requests, \(sentBytes) bytes to the server, \(receivedBytes) bytes back
        \(cpu.text)
      """
    }
  }
#endif
