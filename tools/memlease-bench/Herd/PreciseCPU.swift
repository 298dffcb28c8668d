#if os(Linux)
  import Glibc

  /// CPU milliseconds of the server's process, of this one, and of everybody else. A run of a second is too short for the kernel's ticks, so that
  /// the two processes are asked for their CPU clocks.
  struct PreciseCPU: Encodable {
    var serverMs: Double?
    var ownMs: Double
    /// Only to a tick (10 ms), and only with the server's process.
    var othersMs: Double?
    var elapsedMs: Double

    init(serverPID: Int32?) {
      serverMs = serverPID.flatMap { Self.clockMs(of: $0) }
      ownMs = Self.clockMs(of: getpid()) ?? 0
      let (own, server) = (ownMs, serverMs)
      othersMs = server.flatMap { server in CPUTime.ofMachine().map { $0.total * 1000 - own - server } }
      elapsedMs = Double(monotonicNs()) / 1e6
    }

    private static func clockMs(of pid: Int32) -> Double? {
      var clock = clockid_t()
      var time = timespec()
      if clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0 { return nil }
      return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
    }

    static func - (after: PreciseCPU, before: PreciseCPU) -> PreciseCPU {
      var spent = after
      spent.serverMs = after.serverMs.flatMap { after in before.serverMs.map { after - $0 } }
      spent.ownMs -= before.ownMs
      spent.othersMs = after.othersMs.flatMap { after in before.othersMs.map { max(0, after - $0) } }
      spent.elapsedMs -= before.elapsedMs
      return spent
    }

    var text: String {
      "CPU ms: server \(serverMs.map { fixed($0, 1) } ?? "?"), clients \(fixed(ownMs, 1)), others \(othersMs.map { fixed($0, 0) } ?? "?")"
        + " of \(fixed(elapsedMs, 0)) ms elapsed"
    }
  }
#endif
