import Synchronization

/// What one worker counts. Only that worker adds (so an add is a plain load and a store), anybody reads.
public struct WorkerCounters: ~Copyable {
  public let bytesRead = Atomic<UInt64>(0)
  public let bytesWritten = Atomic<UInt64>(0)
  /// Times that a connection had more requests ready than `-R` lets it have in one turn.
  public let connectionYields = Atomic<UInt64>(0)
  public let authCommands = Atomic<UInt64>(0)
  public let authErrors = Atomic<UInt64>(0)
  /// Connections closed by `idle_timeout`.
  public let idleKicks = Atomic<UInt64>(0)
  /// Lines answered with `ERROR` or `CLIENT_ERROR`.
  public let refusedLines = Atomic<UInt64>(0)
  /// Connections closed because their queued output or their line was above its bound.
  public let overflowCloses = Atomic<UInt64>(0)
  public let flushCommands = Atomic<UInt64>(0)
  public let metaCommands = Atomic<UInt64>(0)
  /// Replies of `SERVER_ERROR 307 busy`.
  public let busyReplies = Atomic<UInt64>(0)
  /// Memory of connections (structures, own buffers), kept by the worker as it grows and shrinks.
  public let connectionBytes = Atomic<UInt64>(0)
  /// Memory that failed to be allocated for a connection or a reply.
  public let allocationFailures = Atomic<UInt64>(0)

  /// Requests that could not wait because their connection had too many that do.
  public let waitersRefused = Atomic<UInt64>(0)
  /// Connections closed because they left too many answers lying.
  public let slowWaitersClosed = Atomic<UInt64>(0)

  public init() {}

  /// The numbers now. Each is exact; together they are not of one instant.
  public var counts: WorkerCounts {
    var counts = WorkerCounts()
    counts.bytesRead = bytesRead.load(ordering: .relaxed)
    counts.bytesWritten = bytesWritten.load(ordering: .relaxed)
    counts.connectionYields = connectionYields.load(ordering: .relaxed)
    counts.authCommands = authCommands.load(ordering: .relaxed)
    counts.authErrors = authErrors.load(ordering: .relaxed)
    counts.idleKicks = idleKicks.load(ordering: .relaxed)
    counts.refusedLines = refusedLines.load(ordering: .relaxed)
    counts.overflowCloses = overflowCloses.load(ordering: .relaxed)
    counts.flushCommands = flushCommands.load(ordering: .relaxed)
    counts.metaCommands = metaCommands.load(ordering: .relaxed)
    counts.busyReplies = busyReplies.load(ordering: .relaxed)
    counts.connectionBytes = connectionBytes.load(ordering: .relaxed)
    counts.allocationFailures = allocationFailures.load(ordering: .relaxed)
    counts.waitersRefused = waitersRefused.load(ordering: .relaxed)
    counts.slowWaitersClosed = slowWaitersClosed.load(ordering: .relaxed)
    return counts
  }
}

/// `WorkerCounters` as plain numbers: of one worker, or the sum of all.
public struct WorkerCounts: Sendable, Equatable {
  public var bytesRead: UInt64 = 0, bytesWritten: UInt64 = 0, connectionYields: UInt64 = 0
  public var authCommands: UInt64 = 0, authErrors: UInt64 = 0, idleKicks: UInt64 = 0
  public var refusedLines: UInt64 = 0, overflowCloses: UInt64 = 0, flushCommands: UInt64 = 0, metaCommands: UInt64 = 0
  public var busyReplies: UInt64 = 0, connectionBytes: UInt64 = 0, allocationFailures: UInt64 = 0
  public var waitersRefused: UInt64 = 0, slowWaitersClosed: UInt64 = 0
  public init() {}

  public static func += (sum: inout WorkerCounts, other: WorkerCounts) {
    sum.combine(other) { $0 &+ $1 }
  }

  /// What came on top of `base`; `connectionBytes` is a level, not a count, and stays.
  func since(_ base: WorkerCounts) -> WorkerCounts {
    var difference = self
    difference.combine(base) { $0 &- $1 }
    difference.connectionBytes = connectionBytes
    return difference
  }

  private mutating func combine(_ other: WorkerCounts, _ operation: (UInt64, UInt64) -> UInt64) {
    for path in Self.fields { self[keyPath: path] = operation(self[keyPath: path], other[keyPath: path]) }
  }

  private static var fields: [WritableKeyPath<WorkerCounts, UInt64>] {
    [
      \.bytesRead, \.bytesWritten, \.connectionYields, \.authCommands, \.authErrors, \.idleKicks, \.refusedLines, \.overflowCloses,
      \.flushCommands, \.metaCommands, \.busyReplies, \.connectionBytes, \.allocationFailures, \.waitersRefused, \.slowWaitersClosed,
    ]
  }
}

/// What the accepting thread counts. It alone adds, except `current`, which workers lower when they close a connection.
public struct AcceptCounters: ~Copyable {
  public let current = Atomic<Int>(0)
  public let total = Atomic<UInt64>(0)
  /// Closed at once because `-c` was reached.
  public let rejected = Atomic<UInt64>(0)
  /// Times that accepting stopped for want of descriptors, how long in all, and whether it is stopped now.
  public let disabledCount = Atomic<UInt64>(0)
  public let disabledMicroseconds = Atomic<UInt64>(0)
  public let isDisabled = Atomic<Bool>(false)
  public init() {}
}

extension Atomic where Value == UInt64 {
  /// Adds, for a counter with one writer: a load and a store, no locked instruction.
  @inline(__always)
  public borrowing func bump(_ count: UInt64 = 1) {
    store(load(ordering: .relaxed) &+ count, ordering: .relaxed)
  }
}
