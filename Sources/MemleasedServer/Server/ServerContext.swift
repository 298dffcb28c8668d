import LeaseCore
import Synchronization

/// What every thread of a running server shares. Lives as long as the server; its parts are thread-safe themselves.
final class ServerContext: Sendable {
  let configuration: ServerConfiguration
  let store: Store
  let statistics: ServerStatistics
  let watchHub: WatchHub
  /// To the accepting thread: wakes it to look at connections that closed, and at `isShutdownRequested`.
  let mainInbox: Inbox
  private let inboxes = Guarded<[Inbox]>([])
  private let authFile: Guarded<AuthFile?>
  private let shutdownRequested = Atomic<Bool>(false)

  init?(_ start: PreparedStart, store: Store) {
    guard let inbox = Inbox() else { return nil }
    configuration = start.configuration
    self.store = store
    mainInbox = inbox
    let watchHub = WatchHub { [weak store] in store?.watchEvictions($0.contains(.evictions)) }
    self.watchHub = watchHub
    store.onEviction { watchHub.publishEviction(of: $0) }
    statistics = ServerStatistics(configuration: start.configuration, store: store, watchHub: watchHub)
    statistics.setListeners(start.listeners)
    authFile = Guarded(start.authFile)
  }

  // MARK: Threads

  func setInboxes(_ list: [Inbox]) { inboxes.withLock { $0 = list } }
  func worker(_ index: Int) -> Inbox { inboxes.withLock { $0[index] } }

  /// A worker closed a connection; the accepting thread may have waited for that.
  func connectionClosed() {
    let accept = statistics.acceptCounters
    accept.pointee.current.wrappingSubtract(1, ordering: .relaxed)
    if accept.pointee.isDisabled.load(ordering: .sequentiallyConsistent) { mainInbox.wake() }
  }

  func requestShutdown() {
    shutdownRequested.store(true, ordering: .sequentiallyConsistent)
    mainInbox.wake()
  }
  var isShutdownRequested: Bool { shutdownRequested.load(ordering: .sequentiallyConsistent) }

  // MARK: Requests

  /// Somebody watches, counts prefixes or reads the log of `-vv`: requests tell what they do.
  var isObserved: Bool {
    statistics.prefixes.isEnabled || watchHub.isWatched(ServerContext.requestEvents) || statistics.verbosity.load(ordering: .relaxed) > 1
  }
  private static let requestEvents: WatchEvents = [.fetchers, .mutations, .deletions, .rawCommands, .leases]

  var verbosity: Int { statistics.verbosity.load(ordering: .relaxed) }
  func setVerbosity(_ level: Int) { statistics.verbosity.store(level, ordering: .relaxed) }

  var needsAuthentication: Bool { authFile.withLock { $0 != nil } }
  func accepts(credentials: UnsafeRawBufferPointer) -> Bool {
    authFile.withLock { $0?.accepts(credentials: credentials) ?? true }
  }

  /// SIGHUP: reads the users anew. A file that cannot be used leaves the old ones.
  func reload() {
    guard let path = configuration.authFilePath else { return }
    do {
      let file = try AuthFile(path: path)
      authFile.withLock { $0 = file }
      writeErrorLine("memleased: read \(path)")
    } catch {
      writeErrorLine("memleased: \(error.message); the old users stay")
    }
  }
}
