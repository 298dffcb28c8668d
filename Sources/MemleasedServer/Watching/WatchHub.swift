import LeaseCore
import Synchronization

/// Which lines a watcher wants: the words after `watch`.
public struct WatchEvents: OptionSet, Sendable, Hashable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let fetchers = WatchEvents(rawValue: 1)
  public static let mutations = WatchEvents(rawValue: 2)
  public static let evictions = WatchEvents(rawValue: 4)
  public static let connectionEvents = WatchEvents(rawValue: 8)
  public static let deletions = WatchEvents(rawValue: 16)
  public static let rawCommands = WatchEvents(rawValue: 32)
  public static let systemEvents = WatchEvents(rawValue: 64)
  public static let leases = WatchEvents(rawValue: 128)

  /// The event group with this name on the wire; nil: there is none (`watch` answers `ERROR`).
  public init?(name: UnsafeRawBufferPointer) {
    switch String(decoding: name, as: UTF8.self) {
    case "fetchers": self = .fetchers
    case "mutations": self = .mutations
    case "evictions": self = .evictions
    case "connevents": self = .connectionEvents
    case "deletions": self = .deletions
    case "rawcmds": self = .rawCommands
    case "sysevents": self = .systemEvents
    case "leases": self = .leases
    // Names of memcached that never produce a line here.
    case "proxyreqs", "proxyevents", "proxyuser": self = []
    default: return nil
    }
  }
}

/// One `watch` connection's bounded queue of lines. Publishers append or drop, never wait; the connection's worker drains.
public final class Watcher: Sendable {
  let events: WatchEvents
  let queueBytes: Int
  let wake: @Sendable () -> Void
  struct Queue {
    var bytes: [UInt8] = []
    /// Lines dropped since the last one that fitted.
    var skipped: UInt64 = 0
    var isWakeUnderWay = false
    var isClosed = false
  }
  let queue = Guarded(Queue())

  init(events: WatchEvents, queueBytes: Int, wake: @escaping @Sendable () -> Void) {
    self.events = events
    self.queueBytes = queueBytes
    self.wake = wake
  }

  /// Takes everything that waits. Called on the connection's worker, after `wake`; the next line wakes again.
  public func takeAll() -> [UInt8] {
    queue.withLock { queue in
      queue.isWakeUnderWay = false
      let bytes = queue.bytes
      queue.bytes = []
      return bytes
    }
  }
}

/// Hands lines about what happens to the connections that `watch`. When nobody watches, a publisher pays one relaxed load
/// (`isWatched`); it never waits for a watcher. At most `maxWatchers` watchers, each with a bounded queue.
public final class WatchHub: Sendable {
  public static let maxWatchers = 20
  let wanted = Atomic<UInt32>(0)
  let lastLineID = Atomic<UInt64>(0)
  let sentLines = Atomic<UInt64>(0)
  let skippedLines = Atomic<UInt64>(0)
  let watchers = Guarded<[Watcher]>([])
  let queueBytes: Int

  private let onChange: @Sendable (WatchEvents) -> Void

  /// `queueBytes`: of each watcher, memcached's `watcher_logbuf_size`. `onChange` is told what is watched now, whenever that may have changed.
  public init(queueBytes: Int = 256 << 10, onChange: @escaping @Sendable (WatchEvents) -> Void = { _ in }) {
    self.queueBytes = queueBytes
    self.onChange = onChange
  }

  /// Ask this before making a line.
  @inline(__always)
  public func isWatched(_ events: WatchEvents) -> Bool { wanted.load(ordering: .relaxed) & events.rawValue != 0 }

  /// A new watcher, or nil when there are too many (`WATCHER_TOO_MANY log watcher limit reached`). `wake` is called from any
  /// thread, once until the next `takeAll`, with no lock held; it should post to the connection's worker. The caller answers `OK`.
  public func subscribe(_ events: WatchEvents, wake: @escaping @Sendable () -> Void) -> Watcher? {
    watchers.withLock { list in
      guard list.count < Self.maxWatchers else { return nil }
      let watcher = Watcher(events: events, queueBytes: queueBytes, wake: wake)
      list.append(watcher)
      updateWanted(list)
      return watcher
    }
  }

  /// When the watcher's connection closes. After it returns, `wake` may run once more at most.
  public func unsubscribe(_ watcher: Watcher) {
    watchers.withLock { list in
      list.removeAll { $0 === watcher }
      updateWanted(list)
    }
    watcher.queue.withLock {
      $0.isClosed = true; $0.bytes = []
    }
  }

  private func updateWanted(_ list: [Watcher]) {
    let events = list.reduce(WatchEvents()) { $0.union($1.events) }
    wanted.store(events.rawValue, ordering: .relaxed)
    onChange(events)
  }
}
