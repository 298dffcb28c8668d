#if os(Linux)
  import ArgumentParser
  import Foundation

  struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "run",
      abstract: "Loads a server with one kind of work, and measures it.",
      discussion: """
        Closed loop: every connection keeps a fixed number of requests in flight. With --rate an open loop: requests are due at random moments \
        that no reply can delay, and their latency counts from the moment when they were due.

        Ctrl-C ends it early, with the report. Exits with 1 when a request got an error or a wrong value. Misses are shown, and no error.
        """)

    @OptionGroup var common: CommonOptions

    @Option(help: "What to send.")
    var workload = Workload.get

    @Option(help: "multi-get, multi-mg: keys in one request.")
    var keysPerRequest = 16

    @Option(help: "mix, meta-mix: one request in so many writes, the others read.")
    var writeEvery = 11

    @Option(help: "Open loop: requests per second in all. --depth is the most in flight per connection then.")
    var rate: Double?

    @Option(help: "Connections in all.")
    var connections = 50

    @Option(help: "Requests in flight per connection.")
    var depth = 1

    @Option(help: "Closed loop. batch: send `depth` requests when all of the last are answered; each: one new request for each reply.")
    var refill = Refill.batch

    @Option(help: "Seconds to measure. (default: 5)")
    var seconds: Double?

    @Option(help: "Measure so many requests, instead of so many seconds; in an open loop: as long as so many take on average.")
    var requests: Int?

    @Option(help: "Different keys.")
    var keys = 100_000

    @Option(help: "Zipf's exponent of the keys' popularity; 0: all alike. (default: 0.99 for mix and meta-mix, else 0)")
    var zipf: Double?

    @Option(help: "Threads of the load generator.")
    var threads = 1

    @Option(help: "Seconds of load before measuring starts.")
    var warmUpSeconds = 0.5

    @Option(help: "The server's process: its CPU time is reported.")
    var serverPid: Int32?

    @Flag(help: "The keys are there already: do not write them first.")
    var noPreload = false

    @Flag(help: "Offer the processor to others all the time: for a server that has to share it with this generator.")
    var giveWay = false

    @Option(help: "Seed of the random choices.")
    var seed: UInt64 = 1

    @Option(help: "Write the latencies to this file, in HdrHistogram's text format (.hgrm), in microseconds.")
    var histogram: String?

    var theta: Double { zipf ?? (workload.isMix ? 0.99 : 0) }

    func validate() throws {
      try common.checkKeys(keys)
      if !(1...60_000).contains(connections) { throw ValidationError("--connections must be 1 to 60000") }
      if !(1...4096).contains(depth) { throw ValidationError("--depth must be 1 to 4096") }
      if !(1...64).contains(threads) || threads > connections {
        throw ValidationError("--threads must be 1 to 64, and at most the connections")
      }
      if !(2...1000).contains(keysPerRequest) { throw ValidationError("--keys-per-request must be 2 to 1000") }
      if !(2...1_000_000).contains(writeEvery) { throw ValidationError("--write-every must be 2 to 1000000") }
      if let rate, !(0.01...100_000_000).contains(rate) { throw ValidationError("--rate must be 0.01 to 100000000") }
      if seconds != nil && requests != nil { throw ValidationError("--seconds or --requests, not both") }
      if let seconds, !(0.01...86_400).contains(seconds) { throw ValidationError("--seconds must be 0.01 to 86400") }
      if secondsToMeasure > 86_400 { throw ValidationError("--requests at this --rate would take more than a day") }
      if let requests, requests < connections { throw ValidationError("--requests must be at least one for each connection") }
      if !(0...3600).contains(warmUpSeconds) { throw ValidationError("--warm-up-seconds must be 0 to 3600") }
      if !(0...10).contains(theta) { throw ValidationError("--zipf must be 0 to 10") }
      if serverPid.map({ CPUTime.of(pid: $0) == nil }) == true { throw ValidationError("--server-pid: no such process") }
    }

    func run() throws {
      Interrupt.watch()
      let endpoint = try Endpoint(common.server)
      let progress = ProgressLine(workload.rawValue, threads: threads, isWanted: !common.quiet)
      if !noPreload { try preload(endpoint, progress) }
      let script = Script.random(
        workload, keys: KeyChoice(keys: keys, theta: theta), shape: common.shape, depth: depth, keysPerRequest: keysPerRequest,
        writeEvery: workload.writeEvery(inMix: writeEvery), seed: seed, atMost: requests ?? .max)
      let load = Load(
        endpoint: endpoint, script: script, connections: connections, depth: depth, threads: threads, schedule: schedule,
        serverPID: serverPid, progress: progress)
      defer { progress?.clear() }
      let result = try load.run()
      progress?.clear()
      if let histogram { try Data(result.tally.latencies.distribution.utf8).write(to: URL(fileURLWithPath: histogram)) }
      let report = RunReport(self, result)
      try printReport(report, asJSON: common.json) { report.text }
      if report.hasFailed { throw ExitCode.failure }
    }

    private var schedule: Schedule {
      var schedule = Schedule(warmUpNs: UInt64(warmUpSeconds * 1e9))
      schedule.refill = refill
      schedule.givesWay = giveWay
      schedule.seed = seed
      schedule.meanGapNs = rate.map { Double(connections) / $0 * 1e9 }
      if let requests, rate == nil {
        schedule.requestsPerConnection = requests / connections
      } else {
        schedule.measureNs = UInt64(secondsToMeasure * 1e9)
      }
      return schedule
    }

    private var secondsToMeasure: Double {
      if let requests, let rate { return Double(requests) / rate }
      return seconds ?? 5
    }

    private func preload(_ endpoint: Endpoint, _ progress: ProgressLine?) throws {
      let tally = try Load.each(0..<keys, verb: workload.writing, shape: common.shape, endpoint: endpoint, progress: progress)
      if tally.stored != keys {
        throw BenchError("preload: \(tally.stored) of \(keys) stored\(tally.firstError.map { ", first error: \($0)" } ?? "")")
      }
    }
  }
#endif
