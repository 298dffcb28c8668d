#if os(Linux)
  import ArgumentParser

  struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "replay",
      abstract: "Sends a trace's requests to a server, fills what it misses, and reports the hit ratio.",
      discussion: """
        A trace is CSV with the columns time, key, size, op, ttl, or with a first line that names its columns in any order; other columns
        are passed over. time is in seconds, size that of the value in bytes, ttl in seconds (0: for ever, its column may be missing).
        op is get, set, delete, or a command that comes to the same (gets, add, incr, get_lease, ...); without the column everything is a get.
        For traces without names of columns, such as Twitter's: --columns time,key,-,size,-,op,ttl

        The file is read as it is sent, so it may be of any length. All requests of a key go over one connection, in order. With --depth above 1 a
        key that is asked for again before its fill was sent is missed twice.

        Exits with 1 when a reply was no answer to its request.
        """)

    @Option(help: "host:port, or the path of a Unix socket.")
    var server = "127.0.0.1:11211"

    @Option(help: "The trace; - is standard input.")
    var trace: String

    @Option(help: "Names of the columns, with commas between them, - for those to be passed over.")
    var columns: String?

    @Option(help: "So many times the trace's own pace; 0: as fast as replies come.")
    var speed = 0.0

    @Option(help: "Connections in all.")
    var connections = 1

    @Option(help: "Requests in flight per connection; a fill is sent at once, however many there are.")
    var depth = 32

    @Flag(help: "Do not set what was missed.")
    var noFill = false

    @Flag(help: "Print one line of JSON.")
    var json = false

    func validate() throws {
      do { _ = try Endpoint(server) } catch { throw ValidationError("\(error)") }
      if !(0...1e6).contains(speed) { throw ValidationError("--speed must be 0 to a million") }
      if !(1...1024).contains(connections) { throw ValidationError("--connections must be 1 to 1024") }
      if !(1...4096).contains(depth) { throw ValidationError("--depth must be 1 to 4096") }
      if columns != nil && named == nil { throw ValidationError("--columns must name a key column") }
    }

    private var named: TraceColumns? { columns.flatMap { TraceColumns(names: $0.split(separator: ",", omittingEmptySubsequences: false)) } }

    func run() throws {
      let reader = try TraceReader(path: trace, columns: named)
      var replay = try Replay(
        reader, endpoint: try Endpoint(server), connections: connections, depth: depth, speed: speed, fills: !noFill)
      let (beganNs, ownBefore) = (monotonicNs(), CPUTime.own())
      try replay.run()
      let seconds = Double(monotonicNs() - beganNs) / 1e9
      let report = ReplayReport(self, replay.tally, seconds: seconds, ownSeconds: (CPUTime.own() - ownBefore).total)
      try printReport(report, asJSON: json) { report.text }
      if report.errors > 0 { throw ExitCode.failure }
    }
  }

  /// What `replay` prints. Its names are the JSON's.
  struct ReplayReport: Encodable {
    let server, trace: String
    let connections, depth: Int
    let speed, seconds, requestsPerSecond: Double
    let requests, gets, hits, misses, sets, deletes, fills, refused, errors: Int
    let firstError: String?
    /// Of the gets.
    let hitRatio: Double
    let hitBytes, valueBytesWritten: Int
    let p50Us, p90Us, p99Us, p999Us, maxUs: Double
    /// The generator's own CPU per request.
    let ownCPUUs: Double

    init(_ command: ReplayCommand, _ tally: ReplayTally, seconds: Double, ownSeconds: Double) {
      (server, trace) = (command.server, command.trace)
      (connections, depth, speed) = (command.connections, command.depth, command.speed)
      self.seconds = seconds
      requestsPerSecond = Double(tally.requests) / max(1e-9, seconds)
      (requests, gets, hits, misses) = (tally.requests, tally.gets, tally.hits, tally.misses)
      (sets, deletes, fills) = (tally.sets, tally.deletes, tally.fills)
      (refused, errors, firstError) = (tally.refused, tally.errors, tally.firstError)
      hitRatio = Double(tally.hits) / Double(max(1, tally.gets))
      (hitBytes, valueBytesWritten) = (tally.hitBytes, tally.valueBytesWritten)
      func microseconds(_ fraction: Double) -> Double { Double(tally.latencies.percentile(fraction)) / 1000 }
      (p50Us, p90Us, p99Us, p999Us) = (microseconds(0.5), microseconds(0.9), microseconds(0.99), microseconds(0.999))
      maxUs = Double(tally.latencies.maximum) / 1000
      ownCPUUs = ownSeconds * 1e6 / Double(max(1, tally.requests))
    }

    var text: String {
      """
      replay  \(trace), \(connections) connections x \(depth) in flight\(speed > 0 ? ", \(fixed(speed, 2)) times its pace" : "")
        \(requests) requests in \(fixed(seconds, 2)) s, \(fixed(requestsPerSecond, 0)) requests/s
        gets \(gets), hits \(hits), misses \(misses), hit ratio \(fixed(hitRatio * 100, 2)) %
        fills \(fills), sets \(sets), deletes \(deletes), refused \(refused), errors \(errors)\(firstError.map { " (first: \($0))" } ?? "")
        latency us: p50 \(fixed(p50Us, 1)), p90 \(fixed(p90Us, 1)), p99 \(fixed(p99Us, 1)), p99.9 \(fixed(p999Us, 1)), max \(fixed(maxUs, 1))
        generator CPU: \(fixed(ownCPUUs, 3)) us/request
      """
    }
  }
#endif
