#if os(Linux)
  import ArgumentParser

  struct HotKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "hot-key",
      abstract: "Clients read one key all the time, while it is deleted again and again: how often must the database be asked?",
      discussion: "With leases the fills carry I: one that a delete overtook is kept as the stale value.")

    @OptionGroup var common: HerdOptions

    @Option(help: "What the readers do: \(Coordination.parked.rawValue) (stale values are taken) or \(Coordination.plain.rawValue).")
    var coordination = Coordination.parked

    @Option(help: "Readers, each with its own connection.")
    var clients = 200

    @Option(help: "A reader's pause between its reads.")
    var readEveryMs = 10.0

    @Option(help: "Deletes of the key.")
    var deletesPerSecond = 50.0

    @Option(help: "Seconds to measure, after one that does not count.")
    var seconds = 5.0

    func validate() throws {
      if coordination != .parked && coordination != .plain { throw ValidationError("--coordination must be parked or plain") }
      if !(1...10_000).contains(clients) { throw ValidationError("--clients must be 1 to 10000") }
      if !(0.1...10_000).contains(readEveryMs) { throw ValidationError("--read-every-ms must be 0.1 to 10000") }
      if !(0.1...10_000).contains(deletesPerSecond) { throw ValidationError("--deletes-per-second must be 0.1 to 10000") }
      if !(0.1...3600).contains(seconds) { throw ValidationError("--seconds must be 0.1 to 3600") }
    }

    func run() throws {
      try raiseDescriptorLimit(toHold: clients + 1)
      let key = common.newKey
      let readers = coordination.strategy(key: key, value: Herd.value(common.valueBytes), waitMs: 30_000)
      (readers as? LeaseStrategy)?.expectsDeletes = true
      let strategy = HotKeyStrategy(readers: readers, key: key, deleter: clients)
      let herd = try Herd(
        strategy: strategy, endpoint: try Endpoint(common.server), clients: clients + 1, valueBytes: common.valueBytes,
        times: Herd.Times(fetchNs: common.fetchNs, readNs: UInt64(readEveryMs * 1e6), deleteNs: UInt64(1e9 / deletesPerSecond)))
      defer { herd.closeAll() }
      herd.readsOn = true
      herd.start()
      try herd.run(untilNs: monotonicNs() + 1_000_000_000)
      herd.tally = HerdTally()
      strategy.deletes = 0
      let before = PreciseCPU(serverPID: common.serverPid)
      try herd.run(untilNs: monotonicNs() + UInt64(seconds * 1e9))
      let report = HotKeyReport(self, herd.tally, deletes: strategy.deletes, PreciseCPU(serverPID: common.serverPid) - before)
      try printReport(report, asJSON: common.json) { report.text }
      if report.wrongValues > 0 { throw ExitCode.failure }
    }
  }

  /// The last client deletes, the others read.
  private final class HotKeyStrategy: HerdStrategy {
    let greeting: (request: String, replyEnd: String)
    private let readers: any HerdStrategy
    private let delete: [UInt8]
    private let deleter: Int
    var deletes = 0

    init(readers: any HerdStrategy, key: String, deleter: Int) {
      self.readers = readers
      self.deleter = deleter
      greeting = readers.greeting
      delete = Array("md \(key)\r\n".utf8)
    }

    func ask(_ client: Int, _ herd: Herd) {
      if client == deleter { herd.wait(client, .delete) } else { readers.ask(client, herd) }
    }

    func reply(_ client: Int, _ start: UnsafePointer<UInt8>, _ available: Int, _ herd: Herd) -> Int {
      if client != deleter { return readers.reply(client, start, available, herd) }
      let reply = ReplyReader.read(start, available)
      if reply.length == 0 { return 0 }
      if reply.outcome != .stored && reply.outcome != .refused { herd.fail("unexpected reply", start, reply.length) }
      herd.answered(client)
      return reply.length
    }

    func resume(_ client: Int, after pause: Pause, _ herd: Herd) {
      if client != deleter { return readers.resume(client, after: pause, herd) }
      herd.wait(client, .delete)
      herd.send(client, delete)
      deletes += 1
    }
  }

  /// What `hot-key` prints. Its names are the JSON's.
  struct HotKeyReport: Encodable {
    let server, coordination: String
    let clients: Int
    let fetchMs, readEveryMs, seconds: Double
    let deletes, reads, staleReads, backendFetches, wrongValues: Int
    let readsPerSecond, backendFetchesPerSecond: Double
    let p50Ms, p99Ms: Double
    let cpu: PreciseCPU

    init(_ command: HotKeyCommand, _ tally: HerdTally, deletes: Int, _ cpu: PreciseCPU) {
      server = command.common.server
      coordination = command.coordination.rawValue
      clients = command.clients
      (fetchMs, readEveryMs, seconds) = (command.common.fetchMs, command.readEveryMs, cpu.elapsedMs / 1000)
      self.deletes = deletes
      (reads, staleReads, backendFetches, wrongValues) = (tally.values, tally.staleValues, tally.fetches, tally.wrongValues)
      readsPerSecond = Double(reads) / seconds
      backendFetchesPerSecond = Double(backendFetches) / seconds
      p50Ms = Double(tally.latencies.percentile(0.5)) / 1e6
      p99Ms = Double(tally.latencies.percentile(0.99)) / 1e6
      self.cpu = cpu
    }

    var text: String {
      """
      hot-key  \(coordination), \(clients) readers, each every \(fixed(readEveryMs, 1)) ms, fetch of \(fixed(fetchMs, 0)) ms, \(fixed(seconds, 1)) s
        \(deletes) deletes, \(fixed(readsPerSecond, 0)) reads/s, \(staleReads) of them stale
        backend fetches \(backendFetches), \(fixed(backendFetchesPerSecond, 1)) per second
        time to value ms: p50 \(fixed(p50Ms, 2)), p99 \(fixed(p99Ms, 2))
        \(cpu.text)
      """
    }
  }
#endif
