import LeaseCore

/// Everything that `stats` and `stats leases` show, as of about one moment.
public struct ServerSnapshot: Sendable {
  public var counters = Counters()
  public var usage = Usage()
  public var workers = WorkerCounts()

  public var currentConnections = 0
  public var totalConnections: UInt64 = 0, rejectedConnections: UInt64 = 0
  public var listenDisabledCount: UInt64 = 0, listenDisabledMicroseconds: UInt64 = 0
  public var isAccepting = true

  public var watchers = 0
  public var watchSentLines: UInt64 = 0, watchSkippedLines: UInt64 = 0
  public var uncountedPrefixes: UInt64 = 0

  public var memoryLimitBytes = 0, memoryUsedBytes = 0, segmentBytes = 0, fixedOverheadBytes = 0, partitions = 0

  public var process = ProcessUsage()
  public var uptimeSeconds: UInt64 = 0, unixSeconds: UInt64 = 0
  public var libeventVersion = ""
  public init() {}
}

/// What the system says of this process.
public struct ProcessUsage: Sendable, Equatable {
  public var id: Int32 = 0
  public var userMicroseconds: UInt64 = 0, systemMicroseconds: UInt64 = 0
  public var residentBytes: UInt64 = 0
  public init() {}
}
