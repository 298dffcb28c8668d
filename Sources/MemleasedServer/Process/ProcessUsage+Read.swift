#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

extension ProcessUsage {
  /// Asks the system.
  static func now() -> ProcessUsage {
    var process = ProcessUsage()
    process.id = getpid()
    var usage = rusage()
    if getrusage(selfUsage, &usage) == 0 {
      process.userMicroseconds = microseconds(usage.ru_utime)
      process.systemMicroseconds = microseconds(usage.ru_stime)
    }
    process.residentBytes = residentBytesNow() ?? 0
    return process
  }

  #if canImport(Glibc)
    private static let selfUsage = RUSAGE_SELF.rawValue
  #else
    private static let selfUsage = RUSAGE_SELF
  #endif

  private static func microseconds(_ time: timeval) -> UInt64 { UInt64(max(0, time.tv_sec)) &* 1_000_000 &+ UInt64(max(0, time.tv_usec)) }

  #if canImport(Darwin)
    private static func residentBytesNow() -> UInt64? {
      var info = mach_task_basic_info()
      var count = mach_msg_type_number_t(MemoryLayout<mach_task_basic_info>.size / MemoryLayout<natural_t>.size)
      let result = withUnsafeMutablePointer(to: &info) { pointer in
        pointer.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
          task_info(mach_task_self_, task_flavor_t(MACH_TASK_BASIC_INFO), $0, &count)
        }
      }
      return result == KERN_SUCCESS ? UInt64(info.resident_size) : nil
    }
  #else
    /// The second number of /proc/self/statm.
    private static func residentBytesNow() -> UInt64? {
      let fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
      guard fd >= 0 else { return nil }
      defer { closeDescriptor(fd) }
      var buffer = [UInt8](repeating: 0, count: 128)
      let count = read(fd, &buffer, buffer.count)
      guard count > 0 else { return nil }
      let fields = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ")
      guard fields.count > 1, let pages = UInt64(fields[1]) else { return nil }
      return pages &* UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
    }
  #endif
}
