#if os(Linux)
  import ArgumentParser
  import Glibc

  struct IdleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "idle",
      abstract: "What connections that are silent cost the server: resident memory for each, and how often it wakes up meanwhile.",
      discussion: "Exact with a server that was started for it: memory that was freed before is taken first, and not seen.")

    @OptionGroup var common: ConnectionOptions

    @Option(help: "Connections; the server must allow some more.")
    var connections = 10_000

    @Flag(help: "Each has asked and was answered before it falls silent.")
    var active = false

    @Option(help: "Each has also written and read back a value of so many bytes; 0: none.")
    var valueBytes = 0

    @Option(help: "Seconds of silence to count wake-ups in; 0: memory only.")
    var seconds = 5.0

    func validate() throws {
      if !(0...28_000).contains(connections) { throw ValidationError("--connections must be 0 to 28000") }
      if !(0...(128 << 20)).contains(valueBytes) { throw ValidationError("--value-bytes must be 0 to 128 MiB") }
      if !(0...3600).contains(seconds) { throw ValidationError("--seconds must be 0 to 3600") }
    }

    func run() throws {
      try raiseDescriptorLimit(toHold: connections)
      let endpoint = try Endpoint(common.server)
      let server = ServerProcess(pid: common.serverPid)
      let open = Int(try endpoint.stats()["curr_connections"] ?? "") ?? 0
      let before = try server.residentBytes()
      var clients: [BlockingClient] = []
      defer { for client in clients { client.reset() } }
      for _ in 0..<connections { clients.append(try BlockingClient(endpoint)) }
      // The connection that asks was counted above, too.
      try endpoint.await("curr_connections", atLeast: open + connections)
      if active { try askOnce(clients) }
      if valueBytes > 0 { for client in clients { try exchangeValue(client) } }
      let after = try server.residentBytes()
      let (sleeps, cpu) = (try server.sleeps(), PreciseCPU(serverPID: common.serverPid))
      usleep(useconds_t(seconds * 1e6))
      let report = IdleReport(
        self, before: before, after: after, sleeps: try server.sleeps() - sleeps, PreciseCPU(serverPID: common.serverPid) - cpu)
      try printReport(report, asJSON: common.json) { report.text }
    }

    private func askOnce(_ clients: [BlockingClient]) throws {
      for client in clients { try client.send("get memlease-bench-idle\r\n") }
      for client in clients where try client.lines(1) != ["END"] { throw BenchError("get: no miss") }
    }

    private func exchangeValue(_ client: BlockingClient) throws {
      let key = "memlease-bench-idle-value"
      try client.send(Array("set \(key) 0 60 \(valueBytes)\r\n".utf8) + [UInt8](repeating: 0x78, count: valueBytes) + [0x0D, 0x0A])
      let stored = try client.lines(1)
      if stored != ["STORED"] { throw BenchError("set: \(stored)") }
      try client.send("get \(key)\r\n")
      try client.receive(bytes: "VALUE \(key) 0 \(valueBytes)\r\n".utf8.count + valueBytes + "\r\nEND\r\n".utf8.count)
    }
  }

  /// What `idle` prints. Its names are the JSON's.
  struct IdleReport: Encodable {
    let server: String
    let connections, valueBytes: Int
    let isActive: Bool
    let residentBytesBefore, residentBytesAfter: Int
    let bytesPerConnection: Double?
    let seconds: Double
    let wakeUps: Int
    let wakeUpsPerSecond: Double?
    let cpu: PreciseCPU

    init(_ command: IdleCommand, before: Int, after: Int, sleeps: Int, _ cpu: PreciseCPU) {
      server = command.common.server
      (connections, valueBytes, isActive) = (command.connections, command.valueBytes, command.active)
      (residentBytesBefore, residentBytesAfter) = (before, after)
      bytesPerConnection = connections > 0 ? Double(after - before) / Double(connections) : nil
      seconds = cpu.elapsedMs / 1000
      wakeUps = sleeps
      wakeUpsPerSecond = command.seconds > 0 ? Double(sleeps) / seconds : nil
      self.cpu = cpu
    }

    var text: String {
      """
      idle  \(connections) connections\(isActive ? ", each has asked once" : "")\(valueBytes > 0 ? ", each had a value of \(valueBytes) bytes" : "")
        resident \(residentBytesBefore >> 10) KB before, \(residentBytesAfter >> 10) KB after\(bytesPerConnection.map { ", \(fixed($0, 0)) bytes per connection" } ?? "")
        woken \(wakeUps) times in \(fixed(seconds, 1)) s of silence
        \(cpu.text)
      """
    }
  }
#endif
