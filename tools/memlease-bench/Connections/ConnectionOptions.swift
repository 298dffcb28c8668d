#if os(Linux)
  import ArgumentParser

  /// What the measurements of connections have in common.
  struct ConnectionOptions: ParsableArguments {
    @Option(help: "host:port, or the path of a Unix socket.")
    var server = "127.0.0.1:11211"

    @Option(help: "The server's process, whose memory and CPU time are reported.")
    var serverPid: Int32

    @Flag(help: "Print one line of JSON.")
    var json = false

    func validate() throws {
      if CPUTime.of(pid: serverPid) == nil { throw ValidationError("--server-pid: no such process") }
      do { _ = try Endpoint(server) } catch { throw ValidationError("\(error)") }
    }
  }
#endif
