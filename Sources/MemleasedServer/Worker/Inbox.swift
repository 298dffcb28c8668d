import LeaseCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What other threads tell a worker.
enum WorkerMessage: Sendable {
  /// A new connection's descriptor, non-blocking.
  case connection(fd: Int32)
  /// A partition needs maintenance earlier than it said.
  case deadline(partition: Int, atMs: Milliseconds)
  /// Empty everything at this time; 0 takes an earlier order back.
  case flush(atMs: Milliseconds)
  /// Waiters of this worker were answered.
  case answered(FiredLane)
  /// Lines wait for a watching connection.
  case watcherReady(connection: UInt64)
  /// The limit of the memory changed, or other work of a kind that any maintenance does.
  case drain
}

/// Many producers, one consumer, woken by one descriptor however many messages wait.
/// Bounded by what can be in it: connections (-c), partitions, waiters, watchers and a few orders.
final class Inbox: Sendable {
  private let messages = Guarded<[WorkerMessage]>([])
  let readFD: Int32
  private let writeFD: Int32

  init?() {
    if let fd = makeWakeUpDescriptor() {
      (readFD, writeFD) = (fd, fd)
      return
    }
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { return nil }
    for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    (readFD, writeFD) = (ends[0], ends[1])
  }

  func post(_ message: WorkerMessage) {
    let wakes = messages.withLock { list in
      list.append(message)
      return list.count == 1
    }
    if wakes { wake() }
  }

  func wake() {
    var one: UInt64 = 1
    _ = write(writeFD, &one, 8)
  }

  /// Everything that waits; also resets the wake-up.
  func takeAll() -> [WorkerMessage] {
    var counter: UInt64 = 0
    _ = read(readFD, &counter, 8)
    return messages.withLock { list in
      let taken = list
      list = []
      return taken
    }
  }

  func close() {
    _ = systemClose(readFD)
    if writeFD != readFD { _ = systemClose(writeFD) }
  }
}

@inline(__always) func systemClose(_ fd: Int32) -> Int32 { close(fd) }
