#if os(Linux)
  import ArgumentParser

  struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "run",
      abstract: "Closed loop: every connection keeps a fixed number of requests in flight.",
      discussion: "Exits with 1 when a request got an error or a wrong value. Misses are shown, and no error.")

    @OptionGroup var common: CommonOptions

    @Option(help: "What to send: \(Workload.allCases.map(\.rawValue).joined(separator: ", ")). mix is 10 get to 1 set.")
    var workload = Workload.get

    @Option(help: "Connections in all.")
    var connections = 50

    @Option(help: "Requests in flight per connection.")
    var depth = 1

    @Option(help: "batch: send `depth` requests when all of the last are answered; each: one new request for each reply.")
    var refill = Refill.batch

    @Option(help: "Seconds to measure.")
    var seconds: Double?

    @Option(help: "Measure so many requests, instead of so many seconds.")
    var requests: Int?

    @Option(help: "Different keys.")
    var keys = 100_000

    @Option(help: "Zipf's exponent of the keys' popularity; 0: all alike. Default: 0.99 for mix, else 0.")
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

    private var theta: Double { zipf ?? (workload == .mix ? 0.99 : 0) }

    func validate() throws {
      try common.checkKeys(keys)
      if !(1...60_000).contains(connections) { throw ValidationError("--connections must be 1 to 60000") }
      if !(1...4096).contains(depth) { throw ValidationError("--depth must be 1 to 4096") }
      if !(1...64).contains(threads) || threads > connections {
        throw ValidationError("--threads must be 1 to 64, and at most the connections")
      }
      if seconds != nil && requests != nil { throw ValidationError("--seconds or --requests, not both") }
      if let seconds, !(0.01...86_400).contains(seconds) { throw ValidationError("--seconds must be 0.01 to 86400") }
      if let requests, requests < connections { throw ValidationError("--requests must be at least one for each connection") }
      if !(0...3600).contains(warmUpSeconds) { throw ValidationError("--warm-up-seconds must be 0 to 3600") }
      if !(0...10).contains(theta) { throw ValidationError("--zipf must be 0 to 10") }
      if serverPid.map({ CPUTime.of(pid: $0) == nil }) == true { throw ValidationError("--server-pid: no such process") }
    }

    func run() throws {
      let endpoint = try Endpoint(common.server)
      if !noPreload { try preload(endpoint) }
      let script = Script.random(
        workload, keys: KeyChoice(keys: keys, theta: theta), shape: common.shape, depth: depth, seed: seed)
      var schedule = Schedule(warmUpNs: UInt64(warmUpSeconds * 1e9))
      schedule.refill = refill
      schedule.givesWay = giveWay
      if let requests { schedule.requestsPerConnection = requests / connections } else { schedule.measureNs = UInt64((seconds ?? 5) * 1e9) }
      let load = Load(
        endpoint: endpoint, script: script, connections: connections, depth: depth, threads: threads, schedule: schedule,
        serverPID: serverPid)
      let report = RunReport(self, theta: theta, try load.run())
      try printReport(report, asJSON: common.json) { report.text }
      if report.hasFailed { throw ExitCode.failure }
    }

    private func preload(_ endpoint: Endpoint) throws {
      let tally = try Load.each(0..<keys, verb: workload.writing, shape: common.shape, endpoint: endpoint)
      if tally.stored != keys {
        throw BenchError("preload: \(tally.stored) of \(keys) stored\(tally.firstError.map { ", first error: \($0)" } ?? "")")
      }
    }
  }

  /// What `run` prints. Its names are the JSON's.
  struct RunReport: Encodable {
    let server: String
    let workload, refill: String
    let connections, depth, threads, keys, keyBytes, valueBytes: Int
    let zipf: Double
    let giveWay: Bool
    let seconds: Double
    let requests, hits, misses, stored, refused, errors, wrongValues: Int
    let firstError: String?
    let requestsPerSecond: Double
    let p50Us, p90Us, p99Us, p999Us, maxUs: Double
    /// The generator's own: microseconds per request, and the part of its threads' time that it was busy.
    let ownCPUUs, ownBusy: Double
    /// The server's CPU microseconds per request, which are seconds per million requests.
    let serverCPUUs, serverUserUs, serverSystemUs: Double?
    /// What everybody else on this machine used, in cores. Only known with the server's process.
    let otherBusy: Double?

    var hasFailed: Bool { errors + wrongValues > 0 || requests == 0 }

    init(_ command: RunCommand, theta: Double, _ result: LoadResult) {
      let tally = result.tally
      server = command.common.server
      workload = command.workload.rawValue
      refill = command.refill.rawValue
      (connections, depth, threads, keys) = (command.connections, command.depth, command.threads, command.keys)
      (keyBytes, valueBytes) = (command.common.keyBytes, command.common.valueBytes)
      zipf = theta
      giveWay = command.giveWay
      let elapsed = max(1e-9, Double(tally.endNs &- tally.startNs) / 1e9)
      seconds = elapsed
      (requests, hits, misses, stored) = (tally.requests, tally.hits, tally.misses, tally.stored)
      (refused, errors, wrongValues, firstError) = (tally.refused, tally.errors, tally.wrong, tally.firstError)
      requestsPerSecond = Double(tally.requests) / elapsed
      func microseconds(_ fraction: Double) -> Double { Double(tally.latencies.percentile(fraction)) / 1000 }
      (p50Us, p90Us, p99Us, p999Us) = (microseconds(0.5), microseconds(0.9), microseconds(0.99), microseconds(0.999))
      maxUs = Double(tally.latencies.maximum) / 1000
      let perRequest = 1e6 / Double(max(1, tally.requests))
      ownCPUUs = result.own.total * perRequest
      ownBusy = result.own.total / elapsed / Double(command.threads)
      serverCPUUs = result.server.map { $0.total * perRequest }
      serverUserUs = result.server.map { $0.user * perRequest }
      serverSystemUs = result.server.map { $0.system * perRequest }
      if let machine = result.machine, let server = result.server {
        otherBusy = max(0, machine.total - result.own.total - server.total) / elapsed
      } else {
        otherBusy = nil
      }
    }

    var text: String {
      var lines = [
        "\(workload)  \(connections) connections x \(depth) in flight (\(refill)), \(keys) keys, \(keyBytes)+\(valueBytes) bytes, zipf \(zipf)",
        "  \(fixed(requestsPerSecond, 0)) requests/s, \(requests) in \(fixed(seconds, 2)) s",
        "  hits \(hits), misses \(misses), stored \(stored), refused \(refused), errors \(errors), wrong values \(wrongValues)",
        "  latency us: p50 \(fixed(p50Us, 1)), p90 \(fixed(p90Us, 1)), p99 \(fixed(p99Us, 1)), p99.9 \(fixed(p999Us, 1)), max \(fixed(maxUs, 1))",
        "  generator CPU: \(fixed(ownCPUUs, 3)) us/request, \(fixed(ownBusy * 100, 0)) % busy",
      ]
      if let total = serverCPUUs, let user = serverUserUs, let system = serverSystemUs {
        lines.append("  server CPU:    \(fixed(total, 3)) us/request (user \(fixed(user, 3)), system \(fixed(system, 3)))")
      }
      if let otherBusy { lines.append("  others on this machine: \(fixed(otherBusy * 100, 0)) % of a core") }
      if let firstError { lines.append("  first error: \(firstError)") }
      return lines.joined(separator: "\n")
    }
  }
#endif
