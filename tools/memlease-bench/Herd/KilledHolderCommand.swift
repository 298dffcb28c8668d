#if os(Linux)
  import ArgumentParser

  struct KilledHolderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "killed-holder",
      abstract: "The connection of a lease's holder is closed while the others wait parked: who fetches instead, and how soon?",
      discussion: "Exits with 1 when not exactly one waiter was granted the lease.")

    @OptionGroup var common: HerdOptions

    @Option(help: "Waiters, each with its own connection.")
    var waiters = 1000

    func validate() throws {
      if !(1...28_000).contains(waiters) { throw ValidationError("--waiters must be 1 to 28000") }
    }

    func run() throws {
      try raiseDescriptorLimit(toHold: waiters + 1)
      let strategy = KilledHolderStrategy(
        LeaseStrategy(key: common.newKey, value: Herd.value(common.valueBytes), waitMs: 30_000))
      let herd = try Herd(
        strategy: strategy, endpoint: try Endpoint(common.server), clients: waiters + 1, valueBytes: common.valueBytes,
        times: Herd.Times(fetchNs: common.fetchNs))
      defer { herd.closeAll() }
      let before = PreciseCPU(serverPID: common.serverPid)
      herd.start()
      try herd.run()
      let report = KilledHolderReport(self, strategy, herd.tally, PreciseCPU(serverPID: common.serverPid) - before)
      try printReport(report, asJSON: common.json) { report.text }
      if report.newFetches != 1 || report.wrongValues > 0 { throw ExitCode.failure }
    }
  }

  /// The first holder dies when its fetch is done, in place of writing; the next one writes.
  private final class KilledHolderStrategy: HerdStrategy {
    let greeting: (request: String, replyEnd: String)
    private let leases: LeaseStrategy
    private(set) var killedNs: UInt64 = 0
    private(set) var grantedNs: UInt64 = 0

    init(_ leases: LeaseStrategy) {
      self.leases = leases
      greeting = leases.greeting
    }

    func ask(_ client: Int, _ herd: Herd) { leases.ask(client, herd) }

    func reply(_ client: Int, _ start: UnsafePointer<UInt8>, _ available: Int, _ herd: Herd) -> Int {
      let fetches = herd.tally.fetches
      let length = leases.reply(client, start, available, herd)
      if herd.tally.fetches > fetches && killedNs > 0 && grantedNs == 0 { grantedNs = herd.nowNs }
      return length
    }

    func resume(_ client: Int, after pause: Pause, _ herd: Herd) {
      if pause == .fetch && killedNs == 0 {
        killedNs = monotonicNs()
        herd.kill(client)
      } else {
        leases.resume(client, after: pause, herd)
      }
    }
  }

  /// What `killed-holder` prints. Its names are the JSON's.
  struct KilledHolderReport: Encodable {
    let server: String
    let waiters, newFetches, wrongValues: Int
    /// From the close of the holder's connection to the next grant's arrival, and to the last waiter's value.
    let closeToGrantMs, closeToLastMs: Double
    let fetchMs: Double
    let cpu: PreciseCPU

    fileprivate init(_ command: KilledHolderCommand, _ strategy: KilledHolderStrategy, _ tally: HerdTally, _ cpu: PreciseCPU) {
      server = command.common.server
      waiters = command.waiters
      (newFetches, wrongValues) = (tally.fetches - 1, tally.wrongValues)
      closeToGrantMs = Double(strategy.grantedNs &- strategy.killedNs) / 1e6
      closeToLastMs = Double(tally.lastValueNs &- strategy.killedNs) / 1e6
      fetchMs = command.common.fetchMs
      self.cpu = cpu
    }

    var text: String {
      """
      killed-holder  \(waiters) waiters, fetch of \(fixed(fetchMs, 0)) ms
        new fetches \(newFetches), the first granted \(fixed(closeToGrantMs, 2)) ms after the holder's connection was closed
        the last waiter's value came \(fixed(closeToLastMs, 1)) ms after it
        \(cpu.text)
      """
    }
  }
#endif
