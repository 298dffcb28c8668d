import LeaseCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A server from its open sockets to its end. The calling thread accepts and handles signals; `run` returns the exit code.
public struct Server {
  private let start: PreparedStart

  public init(_ start: PreparedStart) { self.start = start }

  /// How long clients have to take what is unsent when the server ends.
  static let drainMs: UInt64 = 700

  public func run() -> Int32 {
    signal(SIGPIPE, SIG_IGN)
    guard let store = Store(Server.storeConfiguration(start.configuration)) else {
      return fail("cannot reserve \(start.configuration.memoryBytes >> 20) MB of memory")
    }
    guard let shared = ServerContext(start, store: store) else { return fail("cannot create an event descriptor") }
    var workers: [WorkerPointer] = []
    for index in 0..<max(1, start.configuration.workers) {
      guard let worker = Worker(index: index, shared: shared) else { return fail("cannot create an event loop") }
      let pointer = WorkerPointer.allocate(capacity: 1)
      pointer.initialize(to: worker)
      workers.append(pointer)
    }
    let inboxes = workers.map { $0.pointee.inbox }
    shared.setInboxes(inboxes)
    let count = inboxes.count
    store.onEarlierDeadline { partition, atMs in inboxes[partition % count].post(.deadline(partition: partition, atMs: atMs)) }
    store.onAnswer { lane in inboxes[lane.worker].post(.answered(lane)) }
    guard let acceptor = Acceptor(shared: shared, listeners: start.listeners, inboxes: inboxes) else {
      return fail("cannot create an event loop")
    }
    var threads: [WorkerThread] = []
    for worker in workers {
      worker.prepare()
      guard let thread = WorkerThread(worker) else { return fail("cannot start a thread") }
      threads.append(thread)
    }
    ProgramPages.forget()
    acceptor.run(onReady: start.onReady)
    acceptor.close()
    for inbox in inboxes { inbox.post(.drain) }
    for thread in threads { thread.join() }
    for worker in workers { worker.free() }
    return 0
  }

  private func fail(_ message: String) -> Int32 {
    writeErrorLine("memleased: \(message)")
    return 71
  }

  private static func storeConfiguration(_ configuration: ServerConfiguration) -> StoreConfiguration {
    var settings = StoreConfiguration()
    settings.memoryBytes = configuration.memoryBytes
    settings.largestValueBytes = configuration.largestValueBytes
    settings.evicts = configuration.evicts
    var partitions = 8
    while partitions < 2 * configuration.workers { partitions *= 2 }
    settings.partitions = partitions
    settings.leaseMs = configuration.leaseMs
    settings.staleWindowMs = configuration.staleWindowMs
    settings.grantIntervalMs = configuration.grantIntervalMs
    settings.maxLeases = configuration.maxLeases
    settings.holders = configuration.holders
    settings.longestWaitMs = configuration.longestWaitMs
    settings.maxWaiters = configuration.maxWaiters
    settings.maxWaitersPerKey = configuration.maxWaitersPerKey
    settings.waiterCopyBytes = configuration.waiterCopyBytes
    settings.coalesceGetsMs = configuration.coalesceGetsMs
    settings.graceMs = configuration.graceMs
    settings.refreshAheadMs = configuration.refreshAheadMs
    var generator = SystemRandomNumberGenerator()
    settings.seed = generator.next()
    return settings
  }
}

/// A worker's thread.
struct WorkerThread {
  private let thread: pthread_t

  init?(_ worker: WorkerPointer) {
    #if canImport(Darwin)
      var thread: pthread_t?
    #else
      var thread = pthread_t()
    #endif
    let result = pthread_create(
      &thread, nil,
      { context in
        #if canImport(Darwin)
          context.assumingMemoryBound(to: Worker.self).run()
        #else
          context?.assumingMemoryBound(to: Worker.self).run()
        #endif
        return nil
      }, worker)
    guard result == 0 else { return nil }
    #if canImport(Darwin)
      guard let thread else { return nil }
    #endif
    self.thread = thread
  }

  func join() { pthread_join(thread, nil) }
}
