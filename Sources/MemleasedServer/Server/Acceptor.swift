import LeaseCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The main thread: takes connections and deals them out in turn, handles signals, ends the server.
/// Invariant: accepting is off exactly while `acceptCounters.isDisabled` says so.
final class Acceptor {
  private let shared: ServerContext
  private let loop: EventLoop
  private let listeners: [Listener]
  private let inboxes: [Inbox]
  /// For each listener, each signal, the inbox, and the retry timer, in this order.
  private let events: UnsafeMutablePointer<LoopEvent>
  private let eventCount: Int
  private var nextWorker = 0
  private var disabledSinceMs: Milliseconds = 0
  private static let signals: [Int32] = [SIGTERM, SIGINT, SIGHUP, SIGUSR1]
  /// When descriptors ran out and no connection of ours closes, accepting is tried again after this.
  private static let retryMs: UInt64 = 100
  /// Connections taken in one turn of the loop.
  private static let acceptBurst = 64

  init?(shared: ServerContext, listeners: [Listener], inboxes: [Inbox]) {
    guard let loop = EventLoop() else { return nil }
    self.shared = shared
    self.loop = loop
    self.listeners = listeners
    self.inboxes = inboxes
    eventCount = listeners.count + Acceptor.signals.count + 2
    events = .allocate(capacity: eventCount)
    events.initialize(repeating: LoopEvent(), count: eventCount)
  }

  private var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }
  private var inboxEvent: UnsafeMutablePointer<LoopEvent> { events + (eventCount - 2) }
  private var retryEvent: UnsafeMutablePointer<LoopEvent> { events + (eventCount - 1) }
  private var accept: UnsafePointer<AcceptCounters> { shared.statistics.acceptCounters }

  /// Until a signal or `shutdown` ends it. `onReady` is called when clients and signals are waited for.
  func run(onReady: () -> Void) {
    for (index, listener) in listeners.enumerated() {
      loop.assign(events + index, fd: listener.fd, LoopInterest.read | LoopInterest.persist, context) { fd, _, context in
        Acceptor.from(context)?.acceptFrom(fd)
      }
      EventLoop.add(events + index)
    }
    for (index, number) in Acceptor.signals.enumerated() {
      let event = events + (listeners.count + index)
      loop.assign(event, fd: number, LoopInterest.signal | LoopInterest.persist, context) { number, _, context in
        Acceptor.from(context)?.received(signal: number)
      }
      EventLoop.add(event)
    }
    loop.assign(inboxEvent, fd: shared.mainInbox.readFD, LoopInterest.read | LoopInterest.persist, context) { _, _, context in
      Acceptor.from(context)?.woken()
    }
    EventLoop.add(inboxEvent)
    loop.assign(retryEvent, fd: -1, LoopInterest.timeout, context) { _, _, context in Acceptor.from(context)?.resume() }
    ProcessSetup.acceptSignals()
    onReady()
    loop.run()
  }

  func close() {
    for index in 0..<eventCount { EventLoop.remove(events + index) }
    for listener in listeners { listener.close() }
    loop.free()
    events.deinitialize(count: eventCount)
    events.deallocate()
  }

  private static func from(_ context: UnsafeMutableRawPointer?) -> Acceptor? {
    context.map { Unmanaged<Acceptor>.fromOpaque($0).takeUnretainedValue() }
  }

  // MARK: Connections

  private func acceptFrom(_ fd: Int32) {
    guard let listener = listeners.first(where: { $0.fd == fd }) else { return }
    for _ in 0..<Acceptor.acceptBurst {
      switch listener.accept() {
      case .connection(let connection):
        if accept.pointee.current.load(ordering: .relaxed) < shared.configuration.maxConnections {
          deal(connection)
        } else {
          reject(connection)
        }
      case .nothingWaits: return
      case .outOfResources:
        if shared.verbosity > 0 { writeErrorLine("memleased: too many open files or too little kernel memory: connections must wait") }
        disable()
        EventLoop.add(retryEvent, afterMs: Acceptor.retryMs)
        return
      }
    }
  }

  private func deal(_ fd: Int32) {
    accept.pointee.current.wrappingAdd(1, ordering: .relaxed)
    accept.pointee.total.bump()
    inboxes[nextWorker].post(.connection(fd: fd))
    nextWorker = (nextWorker + 1) % inboxes.count
  }

  /// One above `-c` is told so and closed, as memcached does.
  private func reject(_ fd: Int32) {
    accept.pointee.rejected.bump()
    let line: StaticString = "ERROR Too many open connections\r\n"
    _ = write(fd, line.utf8Start, line.utf8CodeUnitCount)
    closeDescriptor(fd)
  }

  /// No more connections until one closes or the retry timer fires: descriptors or kernel memory ran out.
  private func disable() {
    guard !accept.pointee.isDisabled.load(ordering: .relaxed) else { return }
    accept.pointee.isDisabled.store(true, ordering: .sequentiallyConsistent)
    accept.pointee.disabledCount.bump()
    disabledSinceMs = Clock.nowMs()
    for index in 0..<listeners.count { EventLoop.remove(events + index) }
  }

  private func resume() {
    guard accept.pointee.isDisabled.load(ordering: .relaxed) else { return }
    accept.pointee.isDisabled.store(false, ordering: .sequentiallyConsistent)
    accept.pointee.disabledMicroseconds.bump((Clock.nowMs() &- disabledSinceMs) &* 1000)
    for index in 0..<listeners.count { EventLoop.add(events + index) }
  }

  // MARK: Signals

  private func woken() {
    _ = shared.mainInbox.takeAll()
    if shared.isShutdownRequested { return stop() }
    resume()
  }

  private func received(signal number: Int32) {
    if number == SIGHUP { shared.reload() } else { stop() }
  }

  private func stop() { loop.stop() }
}
