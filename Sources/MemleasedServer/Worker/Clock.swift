import LeaseCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The server's one clock: Unix milliseconds at the start plus monotonic milliseconds since, so it never steps.
enum Clock {
  private static let startUnixMs: UInt64 = milliseconds(CLOCK_REALTIME)
  private static let startMonotonicMs: UInt64 = {
    _ = startUnixMs
    return milliseconds(CLOCK_MONOTONIC)
  }()

  static func nowMs() -> Milliseconds {
    startUnixMs &+ (milliseconds(CLOCK_MONOTONIC) &- startMonotonicMs)
  }

  private static func milliseconds(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) &* 1000 &+ UInt64(time.tv_nsec) / 1_000_000
  }

  /// memcached's longest relative time: 30 days. Above it a time is absolute Unix seconds.
  static let longestRelativeSeconds: Int32 = 60 * 60 * 24 * 30

  /// 0 never, negative at once, up to 30 days from now, else at that Unix second. To the millisecond, so never early.
  @inline(__always)
  static func expiry(seconds: Int32, nowMs: Milliseconds) -> Expiry {
    if seconds == 0 { return .never }
    if seconds < 0 { return .immediately }
    if seconds <= longestRelativeSeconds { return Expiry(atMs: nowMs &+ UInt64(seconds) &* 1000) }
    let atMs = UInt64(seconds) &* 1000
    return atMs <= nowMs ? .immediately : Expiry(atMs: atMs)
  }

  /// Seconds left of an expiry, rounded up as memcached's whole-second clock has it; -1: never.
  static func secondsLeft(_ expiry: Expiry, nowMs: Milliseconds) -> Int64 {
    if expiry == .never { return -1 }
    if expiry.atMs <= nowMs { return 0 }
    return Int64(clamping: (expiry.atMs &- nowMs &+ 999) / 1000)
  }
}
