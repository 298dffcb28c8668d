import CLibevent

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

// System calls that the C library's own Swift module leaves out.

/// A descriptor that is readable once it was written to, however often; nil where the system has none.
func makeWakeUpDescriptor() -> Int32? {
  #if os(Linux)
    let fd = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    return fd >= 0 ? fd : nil
  #else
    return nil
  #endif
}

#if os(Linux)
  /// A connection, non-blocking and close-on-exec (Linux gives both flags the same values here and in `open`); -1: `errno` says why not.
  func acceptNonBlocking(_ listener: Int32) -> Int32 { accept4(listener, nil, nil, Int32(O_NONBLOCK | O_CLOEXEC)) }
#endif
