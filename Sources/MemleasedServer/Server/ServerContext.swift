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
  /// Prefixes of the configuration file's policies.
  private let filePrefixes = Guarded<[[UInt8]]>([])
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
    _ = setFilePolicies(configuration.policies)
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

  /// SIGHUP: reads the users and the policies anew. A file that cannot be used leaves the old ones.
  func reload() {
    reloadUsers()
    reloadPolicies()
  }

  private func reloadPolicies() {
    guard let path = configuration.configurationFilePath else { return }
    do throws(StartError) {
      let file = try ConfigurationFile(path: path)
      try file.checkPolicies(servers: configuration.plainWrites)
      guard setFilePolicies(file.policies) else {
        throw .usage("\(path): more than \(Store.mostPolicies) policies with those set by command")
      }
      writeErrorLine("memleased: read the policies in \(path)")
    } catch {
      writeErrorLine("memleased: \(error.message); the old policies stay")
    }
  }

  /// Sets the file's policies in place of those that it had before; those that were set by command stay, unless the file names their prefix.
  private func setFilePolicies(_ policies: [PrefixPolicy]) -> Bool {
    filePrefixes.withLock { prefixes in
      let present = Set(store.policies.map(\.prefix))
      let kept = Set(policies.map(\.prefix))
      let removed = prefixes.filter { present.contains($0) && !kept.contains($0) }
      let changes =
        removed.map { (prefix: $0, policy: Policy?.none) } + policies.map { (prefix: $0.prefix, policy: Policy?.some($0.policy)) }
      guard store.changePolicies(changes) == .done else { return false }
      prefixes = policies.map(\.prefix)
      return true
    }
  }

  private func reloadUsers() {
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
