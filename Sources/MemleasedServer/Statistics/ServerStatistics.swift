import LeaseCore
import Synchronization

/// Everything that `stats` shows, in one place. The server makes one before its workers, gives each worker its counters and its
/// registry, and passes the words after `stats` to `answer`. Thread-safe.
public final class ServerStatistics: @unchecked Sendable {
  // Safe to share: the pointers are set once; what they point to is atomic; the rest has its own lock.
  public let configuration: ServerConfiguration
  public let store: Store
  public let watchHub: WatchHub
  public let prefixes: PrefixStatistics
  private let workers: UnsafeMutablePointer<WorkerCounters>
  private let acceptors: UnsafeMutablePointer<AcceptCounters>
  fileprivate let registries: [ConnectionRegistry]
  let listeners = Guarded<[Listener]>([])
  let startSecond: UInt64
  /// `-v`, and what the verbosity command makes of it.
  let verbosity: Atomic<Int>
  fileprivate let base = Guarded(Base())

  /// What `stats reset` subtracts.
  struct Base: Sendable {
    var workers = WorkerCounts()
    var totalConnections: UInt64 = 0, rejectedConnections: UInt64 = 0
  }

  public init(configuration: ServerConfiguration, store: Store, watchHub: WatchHub) {
    self.configuration = configuration
    self.store = store
    self.watchHub = watchHub
    prefixes = PrefixStatistics(delimiter: configuration.statPrefixDelimiter, isEnabled: configuration.isStatDetailEnabled)
    let count = max(1, configuration.workers)
    workers = .allocate(capacity: count)
    for index in 0..<count { (workers + index).initialize(to: WorkerCounters()) }
    acceptors = .allocate(capacity: 1)
    acceptors.initialize(to: AcceptCounters())
    registries = (0..<count).map { _ in ConnectionRegistry() }
    verbosity = Atomic(configuration.verbosity)
    startSecond = Clock.nowMs() / 1000
  }

  deinit {
    workers.deinitialize(count: registries.count)
    workers.deallocate()
    acceptors.deinitialize(count: 1)
    acceptors.deallocate()
  }

  /// Where this worker counts. Valid as long as this object.
  public func counters(worker index: Int) -> UnsafePointer<WorkerCounters> { UnsafePointer(workers + index) }
  public func registry(worker index: Int) -> ConnectionRegistry { registries[index] }
  public var acceptCounters: UnsafePointer<AcceptCounters> { UnsafePointer(acceptors) }

  /// The sockets, for `stats conns`.
  public func setListeners(_ list: [Listener]) { listeners.withLock { $0 = list } }

  /// Answers `stats <words>`: appends the whole reply with its last line. `arguments` is what stands between `stats` and the line's
  /// end, blanks included. Takes no partition's lock for longer than a copy of its counters; call it without one.
  public func answer(_ arguments: UnsafeRawBufferPointer, into reply: inout [UInt8]) {
    let words = arguments.split(separator: UInt8(ascii: " ")).map { String(decoding: UnsafeRawBufferPointer(rebasing: $0), as: UTF8.self) }
    switch words.first ?? "" {
    case "": GeneralStats(snapshot: snapshot(), configuration: configuration).append(to: &reply)
    case "leases": LeaseStats(snapshot: snapshot(), configuration: configuration).append(to: &reply)
    case "settings": settingsStats.append(to: &reply)
    case "items": classStats.appendItems(to: &reply)
    case "slabs": classStats.appendSlabs(to: &reply)
    // The form that memcached gives without `-o track_sizes`.
    case "sizes", "sizes_enable", "sizes_disable": reply.appendStat("sizes_status", "disabled")
    case "conns": appendConnections(to: &reply)
    case "reset":
      reset()
      return reply.appendLine("RESET")
    case "detail": return answerDetail(words.dropFirst().first, into: &reply)
    case "cachedump": return reply.appendLine("CLIENT_ERROR stats cachedump not allowed")
    default: return reply.appendLine("ERROR")
    }
    reply.appendLine("END")
  }

  private func answerDetail(_ word: String?, into reply: inout [UInt8]) {
    switch word {
    case "on", "off":
      prefixes.setEnabled(word == "on")
      reply.appendLine("OK")
    case "dump":
      for (prefix, counts) in prefixes.dump() {
        reply.append(contentsOf: "PREFIX ".utf8)
        reply.append(contentsOf: prefix)
        reply.appendLine(" get \(counts.gets) hit \(counts.hits) set \(counts.sets) del \(counts.deletes)")
      }
      reply.appendLine("END")
    default: reply.appendLine("CLIENT_ERROR usage: stats detail on|off|dump")
    }
  }

  private func appendConnections(to reply: inout [UInt8]) {
    let now = Clock.nowMs() / 1000
    for listener in listeners.withLock({ $0 }) {
      reply.appendStat("\(listener.fd):addr", listener.address)
      reply.appendStat("\(listener.fd):state", "conn_listening")
      reply.appendStat("\(listener.fd):secs_since_last_cmd", now - startSecond)
    }
    for registry in registries {
      for connection in registry.connections(nowSeconds: UInt32(truncatingIfNeeded: now)) {
        reply.appendStat("\(connection.fd):addr", connection.address)
        if let listenAddress = connection.listenAddress { reply.appendStat("\(connection.fd):listen_addr", listenAddress) }
        reply.appendStat("\(connection.fd):state", connection.state)
        reply.appendStat("\(connection.fd):secs_since_last_cmd", connection.idleSeconds)
      }
    }
  }

  private var settingsStats: SettingsStats {
    SettingsStats(
      configuration: configuration, memoryLimitBytes: store.memoryLimitBytes, isDetailEnabled: prefixes.isEnabled,
      watcherQueueBytes: watchHub.queueBytes, verbosity: verbosity.load(ordering: .relaxed), partitions: store.partitionCount,
      segmentBytes: store.segmentBytes)
  }

  private var classStats: ClassStats {
    var classes: [ClassUsage] = []
    for index in 0..<store.partitionCount { store.partition(index).locked { $0.addClassUsage(to: &classes) } }
    return ClassStats(classes: classes, segmentBytes: store.segmentBytes, nowMs: Clock.nowMs())
  }
}

extension ServerStatistics {
  /// Everything that `stats` shows, now.
  public func snapshot() -> ServerSnapshot {
    let base = base.withLock { $0 }
    var snapshot = ServerSnapshot()
    snapshot.counters = store.counters
    snapshot.usage = store.usage
    snapshot.workers = workerCounts.since(base.workers)
    snapshot.currentConnections = acceptCounters.pointee.current.load(ordering: .relaxed)
    snapshot.totalConnections = acceptCounters.pointee.total.load(ordering: .relaxed) &- base.totalConnections
    snapshot.rejectedConnections = acceptCounters.pointee.rejected.load(ordering: .relaxed) &- base.rejectedConnections
    snapshot.listenDisabledCount = acceptCounters.pointee.disabledCount.load(ordering: .relaxed)
    snapshot.listenDisabledMicroseconds = acceptCounters.pointee.disabledMicroseconds.load(ordering: .relaxed)
    snapshot.isAccepting = !acceptCounters.pointee.isDisabled.load(ordering: .relaxed)
    snapshot.watchers = watchHub.watcherCount
    snapshot.watchSentLines = watchHub.sentLines.load(ordering: .relaxed)
    snapshot.watchSkippedLines = watchHub.skippedLines.load(ordering: .relaxed)
    snapshot.uncountedPrefixes = prefixes.uncounted
    snapshot.memoryLimitBytes = store.memoryLimitBytes
    snapshot.memoryUsedBytes = store.memoryUsedBytes
    snapshot.segmentBytes = store.segmentBytes
    snapshot.fixedOverheadBytes = store.fixedOverheadBytes
    snapshot.partitions = store.partitionCount
    snapshot.process = .now()
    snapshot.uptimeSeconds = Clock.nowMs() / 1000 - startSecond
    snapshot.unixSeconds = Clock.nowMs() / 1000
    snapshot.libeventVersion = EventLoop.version
    return snapshot
  }

  private var workerCounts: WorkerCounts {
    (0..<registries.count).reduce(into: WorkerCounts()) { $0 += counters(worker: $1).pointee.counts }
  }

  /// `stats reset`: counts start at zero again; what the server holds now (items, connections, memory) stays as it is.
  func reset() {
    store.resetCounters()
    prefixes.clear()
    let new = Base(
      workers: workerCounts, totalConnections: acceptCounters.pointee.total.load(ordering: .relaxed),
      rejectedConnections: acceptCounters.pointee.rejected.load(ordering: .relaxed))
    base.withLock { $0 = new }
  }
}
