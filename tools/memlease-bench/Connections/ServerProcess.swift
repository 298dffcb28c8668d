#if os(Linux)
  import Glibc

  /// A server's process, as the kernel sees it from outside.
  struct ServerProcess {
    let pid: Int32

    /// Exact, where `VmRSS` may be some pages per thread off.
    func residentBytes() throws -> Int {
      let lines = try Self.text("/proc/\(pid)/smaps_rollup").split(separator: "\n")
      guard let fields = lines.first(where: { $0.hasPrefix("Rss:") })?.split(separator: " "), fields.count > 1,
        let kilobytes = Int(fields[1])
      else { throw BenchError("/proc/\(pid)/smaps_rollup has no Rss") }
      return kilobytes * 1024
    }

    /// How often its threads have gone to sleep so far, which is how often they were woken.
    func sleeps() throws -> Int {
      guard let directory = opendir("/proc/\(pid)/task") else { throw BenchError.system("/proc/\(pid)/task") }
      defer { closedir(directory) }
      var sleeps = 0
      while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        guard let thread = Int32(name) else { continue }
        let lines = try Self.text("/proc/\(pid)/task/\(thread)/status").split(separator: "\n")
        sleeps += lines.first { $0.hasPrefix("voluntary_ctxt_switches:") }?.split(separator: "\t").last.flatMap { Int($0) } ?? 0
      }
      return sleeps
    }

    private static func text(_ path: String) throws -> String {
      guard let text = readFile(path) else { throw BenchError("cannot read \(path)") }
      return text
    }
  }
#endif
