#if os(Linux)
  import ArgumentParser
  import Glibc

  struct WaitingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "waiting",
      abstract: "What leases that are out and requests that wait for them cost the server in resident memory.",
      discussion: "Exact with a server that was started for it: memory that was freed before is taken first, and not seen.")

    @OptionGroup var common: ConnectionOptions

    @Option(help: "Leases to take, each on a key of its own.")
    var leases = 100_000

    @Option(help: "Requests that wait, spread over the connections; a server may allow only so many for one key.")
    var requests = 50_000

    @Option(help: "Keys that they wait for, at most as many as leases.")
    var keys = 1

    @Option(help: "Connections; those that wait are not those that hold the leases.")
    var connections = 100

    @Option(help: "Bytes of each key.")
    var keyBytes = 16

    func validate() throws {
      if !(1...1_000_000).contains(leases) { throw ValidationError("--leases must be 1 to 1000000") }
      if !(1...1_000_000).contains(requests) { throw ValidationError("--requests must be 1 to 1000000") }
      if !(1...leases).contains(keys) { throw ValidationError("--keys must be 1 to --leases") }
      if !(1...10_000).contains(connections) { throw ValidationError("--connections must be 1 to 10000") }
      if !(10...250).contains(keyBytes) { throw ValidationError("--key-bytes must be 10 to 250") }
    }

    func run() throws {
      try raiseDescriptorLimit(toHold: 2 * connections)
      let endpoint = try Endpoint(common.server)
      let server = ServerProcess(pid: common.serverPid)
      var clients: [BlockingClient] = []
      defer { for client in clients { client.reset() } }
      for _ in 0..<(2 * connections) { clients.append(try BlockingClient(endpoint)) }
      for client in clients {
        try client.send("mn\r\n")
        _ = try client.lines(1)
      }
      let (holders, readers) = (clients[..<connections], clients[connections...])
      let empty = try server.residentBytes()
      for (number, client) in holders.enumerated() { try takeLeases(client, number) }
      let leased = try server.residentBytes()
      for (number, client) in readers.enumerated() { try park(client, number) }
      try endpoint.await("waiters", atLeast: requests)
      let report = WaitingReport(self, empty: empty, leased: leased, parked: try server.residentBytes())
      try printReport(report, asJSON: common.json) { report.text }
    }

    private func key(_ number: Int) -> String {
      let digits = String(number)
      return "k" + String(repeating: "0", count: keyBytes - 1 - digits.count) + digits
    }

    /// Each connection its share, so many at a time that neither side's buffers fill.
    private func eachShare(_ number: Int, of total: Int, _ body: ([Int]) throws -> Void) rethrows {
      let mine = Array(stride(from: number, to: total, by: connections))
      for start in stride(from: 0, to: mine.count, by: 1000) { try body(Array(mine[start..<min(start + 1000, mine.count)])) }
    }

    private func takeLeases(_ client: BlockingClient, _ number: Int) throws {
      try eachShare(number, of: leases) { numbers in
        try client.send(numbers.map { "mg \(key($0)) c Ll600000\r\n" }.joined())
        let replies = try client.lines(numbers.count)
        if let other = replies.first(where: { !$0.hasPrefix("HD c") || !$0.hasSuffix(" W") }) { throw BenchError("no lease: \(other)") }
      }
    }

    private func park(_ client: BlockingClient, _ number: Int) throws {
      try eachShare(number, of: requests) { numbers in
        try client.send(numbers.map { "mg \(key($0 % keys)) v O\($0) Lw30000\r\n" }.joined() + "mn\r\n")
        let replies = try client.lines(1)
        if replies != ["MN"] { throw BenchError("does not wait: \(replies)") }
      }
    }
  }

  /// What `waiting` prints. Its names are the JSON's.
  struct WaitingReport: Encodable {
    let server: String
    let leases, requests, keys, connections, keyBytes: Int
    /// The key's included, once; a request also keeps the flags it came with.
    let bytesPerLease, bytesPerParkedRequest: Double

    init(_ command: WaitingCommand, empty: Int, leased: Int, parked: Int) {
      server = command.common.server
      (leases, requests, keys) = (command.leases, command.requests, command.keys)
      (connections, keyBytes) = (command.connections, command.keyBytes)
      bytesPerLease = Double(leased - empty) / Double(leases)
      bytesPerParkedRequest = Double(parked - leased) / Double(requests)
    }

    var text: String {
      """
      waiting  \(requests) requests for \(keys) of \(leases) leased keys of \(keyBytes) bytes, \(connections) connections that hold, as many that wait
        a lease \(fixed(bytesPerLease, 0)) bytes, a parked request \(fixed(bytesPerParkedRequest, 0)) bytes, the key included
      """
    }
  }
#endif
