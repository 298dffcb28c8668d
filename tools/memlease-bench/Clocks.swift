#if os(Linux)
  import Glibc

  @inline(__always)
  func monotonicNs() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(bitPattern: Int64(now.tv_sec)) &* 1_000_000_000 &+ UInt64(bitPattern: Int64(now.tv_nsec))
  }

  /// CPU time spent so far, in seconds.
  struct CPUTime {
    var user = 0.0
    var system = 0.0
    var total: Double { user + system }

    static func - (a: CPUTime, b: CPUTime) -> CPUTime { CPUTime(user: a.user - b.user, system: a.system - b.system) }

    static func own() -> CPUTime {
      var usage = rusage()
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
      return CPUTime(user: seconds(usage.ru_utime), system: seconds(usage.ru_stime))
    }

    /// Of the thread that asks.
    static func ownThreadSeconds() -> Double {
      var spent = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent)
      return Double(spent.tv_sec) + Double(spent.tv_nsec) / 1e9
    }

    /// Of all threads of a process, to the kernel's tick (10 ms).
    static func of(pid: Int32) -> CPUTime? {
      guard let text = readFile("/proc/\(pid)/stat"), let nameEnd = text.lastIndex(of: ")") else { return nil }
      let fields = text[nameEnd...].split(separator: " ")
      guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return nil }
      return CPUTime(user: user / ticksPerSecond, system: system / ticksPerSecond)
    }

    /// What the whole machine spent on everything.
    static func ofMachine() -> CPUTime? {
      guard let line = readFile("/proc/stat")?.split(separator: "\n").first else { return nil }
      let ticks = line.split(separator: " ").dropFirst().compactMap { Double($0) }
      guard ticks.count > 6 else { return nil }
      return CPUTime(user: (ticks[0] + ticks[1]) / ticksPerSecond, system: (ticks[2] + ticks[5] + ticks[6]) / ticksPerSecond)
    }

    private static var ticksPerSecond: Double { Double(sysconf(Int32(_SC_CLK_TCK))) }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
  }

  /// A small file of /proc, up to 16 KB; nil when it cannot be read.
  func readFile(_ path: String) -> String? {
    let fd = open(path, O_RDONLY | O_CLOEXEC)
    if fd < 0 { return nil }
    defer { close(fd) }
    var bytes = [UInt8](repeating: 0, count: 16_384)
    let count = read(fd, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
  }

  /// Everybody's CPU time at one moment.
  struct CPUSnapshot {
    let own = CPUTime.own()
    let machine = CPUTime.ofMachine()
    let server: CPUTime?

    init(serverPID: Int32?) { server = serverPID.flatMap { CPUTime.of(pid: $0) } }
  }
#endif
