import LeaseCore
import LeaseWire

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

typealias WorkerPointer = UnsafeMutablePointer<Worker>

/// One request of a pipelined group: parsed and hashed, its memory on the way, not yet answered.
struct BatchEntry {
  enum Kind: UInt8 { case get, metaGet, set }
  var kind = Kind.get
  var key: UnsafeRawPointer
  var keyCount = 0
  var hash: UInt64 = 0
  // Only for `mg`.
  var flagsCount = 0
  var wantsLease = false
  // Only for `set`.
  var clientFlags: UInt32 = 0
  var exptime: Int32 = 0
  var value: UnsafeRawPointer
  var valueCount = 0

  mutating func set(_ line: FastLine.SetLine, value: UnsafeRawPointer) {
    clientFlags = line.clientFlags
    exptime = line.exptime
    self.value = value
    valueCount = line.valueCount
  }
}

/// What one connection has left in the output until the loop's turn ends.
struct PostponedReplies {
  var connection: ConnectionPointer
  var start: Int
  var count: Int
}

/// One thread's world: its loop, its connections, its buffers. Flat, at a fixed address, touched by its own thread only, except `inbox`
/// and what `counters` and `registry` point to. Invariant between two callbacks: nothing but postponed replies is in `output`, and the
/// group is empty.
struct Worker {
  let index: Int
  let loop: EventLoop
  let inbox: Inbox
  let shared: Unmanaged<ServerContext>
  let store: Unmanaged<Store>
  let counters: UnsafePointer<WorkerCounters>
  let registry: Unmanaged<ConnectionRegistry>

  /// For the inbox and for the timer.
  let inboxEvent: UnsafeMutablePointer<LoopEvent>
  let timerEvent: UnsafeMutablePointer<LoopEvent>

  /// What a readable connection without unexecuted bytes is received into: the pages that are used stay in the processor's cache, the others
  /// are there for large values.
  let receive: UnsafeMutableRawPointer
  static let receiveBytes = 256 << 10
  var spareBuffers = SpareBuffers()
  var output: OutputBuffer
  /// Whose replies lie before the output's start, in their order.
  let postponed: UnsafeMutablePointer<PostponedReplies>
  var postponedCount = 0
  let vectors: UnsafeMutablePointer<iovec>
  let group: UnsafeMutablePointer<BatchEntry>
  var groupCount = 0
  static let groupSize = 16
  /// The general parser's result, reused.
  let request: UnsafeMutablePointer<Request>
  let parser: RequestParser

  // Settings that the hot path asks.
  let plainWrites: PlainWrites
  let requestsPerTurn: Int
  let largestInlineBytes: Int
  let largestValueBytes: Int
  let releasesOnDisconnect: Bool
  let isMemcachedMode: Bool
  /// Somebody watches, or `stats detail` is on: every request takes the general way, which tells them. Read once per batch.
  var isObserved = false

  /// Plain gets wait for another's fetch. Read once per batch.
  var isCoalescing = false
  let maxWaitersPerConnection: Int

  // Requests that wait in the store.
  var waits = WaiterHeap()
  var opaques = OpaqueTable()
  /// Those whose connection could not take its answer at once.
  var deferred: [ParkedPointer: DeferredAnswer] = [:]
  /// Lanes that were answered; those before `firedNext` are done.
  var firedLanes: [FiredLane] = []
  var firedNext = 0
  static let answersPerTurn = 64
  /// Whose answers are in the output, and whether requests wait behind them.
  var answered: ConnectionPointer?
  var resumes = false
  /// The line that is being executed, without its end.
  var line = Token(start: Request.nowhere, count: 0)

  /// Read once in a turn of the loop.
  var nowMs: Milliseconds
  /// In this turn of the loop, and since the processor was last offered to other threads.
  var callbacks = 0
  var callbacksSinceYield = 0
  static let callbacksPerTurn = 64
  var connections: ConnectionPointer?
  var connectionCount = 0
  /// Those that have more to execute than was their turn, in their order; nil: closed since.
  var yielding: [ConnectionPointer?] = []
  /// Memory of the connections.
  var connectionBytes = 0
  @inline(__always) var isOverloaded: Bool { connectionBytes > ConnectionLimits.workerBytes }
  var nextConnectionNumber: UInt64 = 1
  var isDraining = false
  /// When clients that have not taken their answers are cut off; `.max`: not draining.
  var drainEndsAtMs = Milliseconds.max

  /// When this worker's partitions need maintenance: `partition` is `index + n * stride`.
  let deadlines: UnsafeMutablePointer<Milliseconds>
  let deadlineCount: Int
  let stride: Int
  /// When the timer is set for; `.max`: not set.
  var timerAtMs = Milliseconds.max
  /// A delayed flush_all; worker 0 only.
  var flushAtMs = Milliseconds.max
  /// When the next connection may be idle for too long.
  var idleSweepAtMs = Milliseconds.max

  init?(index: Int, shared: ServerContext) {
    guard let loop = EventLoop(), let inbox = Inbox() else { return nil }
    let configuration = shared.configuration
    self.index = index
    self.loop = loop
    self.inbox = inbox
    self.shared = Unmanaged.passUnretained(shared)
    store = Unmanaged.passUnretained(shared.store)
    counters = shared.statistics.counters(worker: index)
    registry = Unmanaged.passUnretained(shared.statistics.registry(worker: index))
    inboxEvent = .allocate(capacity: 2)
    inboxEvent.initialize(repeating: LoopEvent(), count: 2)
    timerEvent = inboxEvent + 1
    receive = .allocate(byteCount: Worker.receiveBytes + 16, alignment: 64)
    largestInlineBytes = shared.store.largestInlineBytes
    output = OutputBuffer(largestInlineBytes: largestInlineBytes)
    postponed = .allocate(capacity: Worker.callbacksPerTurn)
    vectors = .allocate(capacity: 2 * OutputBuffer.mostCuts + 2)
    group = .allocate(capacity: Worker.groupSize)
    group.initialize(repeating: BatchEntry(key: receive, value: receive), count: Worker.groupSize)
    request = .allocate(capacity: 1)
    request.initialize(to: Request())
    let decodedKey = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 16)
    parser = RequestParser(decodedKey: decodedKey, ignoresLeaseOptions: configuration.isMemcachedMode)
    plainWrites = configuration.plainWrites
    requestsPerTurn = max(1, configuration.requestsPerEvent)
    largestValueBytes = configuration.largestValueBytes
    releasesOnDisconnect = configuration.releasesOnDisconnect
    isMemcachedMode = configuration.isMemcachedMode
    maxWaitersPerConnection = configuration.maxWaitersPerConnection
    nowMs = Clock.nowMs()
    let workers = max(1, configuration.workers)
    stride = workers
    let partitions = shared.store.partitionCount
    deadlineCount = index < partitions ? (partitions - index + workers - 1) / workers : 0
    deadlines = .allocate(capacity: max(1, deadlineCount))
    deadlines.initialize(repeating: .max, count: max(1, deadlineCount))
  }
}

/// A thread's life.
extension UnsafeMutablePointer where Pointee == Worker {
  /// Registers inbox and timer. Call once, before `run`.
  func prepare() {
    pointee.loop.assign(pointee.inboxEvent, fd: pointee.inbox.readFD, LoopInterest.read | LoopInterest.persist, self) { _, _, context in
      context?.assumingMemoryBound(to: Worker.self).inboxReady()
    }
    EventLoop.add(pointee.inboxEvent)
    pointee.loop.assign(pointee.timerEvent, fd: -1, LoopInterest.timeout, self) { _, _, context in
      context?.assumingMemoryBound(to: Worker.self).timerFired()
    }
    // The partitions say themselves when they need care; the first round asks each.
    for slot in 0..<pointee.deadlineCount { pointee.deadlines[slot] = 0 }
    scheduleTimer()
  }

  /// Until the loop is stopped.
  func run() {
    while pointee.loop.turn(mayWait: pointee.yielding.isEmpty) {
      if !pointee.yielding.isEmpty { resumeYielding() }
      endTurn()
    }
  }

  func sendPostponed() {
    let count = pointee.postponedCount
    pointee.postponedCount = 0
    for index in 0..<count {
      let replies = pointee.postponed[index]
      replies.connection.sendPostponed(from: replies.start, count: replies.count)
    }
    pointee.output.dropPostponed()
  }

  /// After `run` has returned: everything goes.
  func free() {
    EventLoop.remove(pointee.inboxEvent)
    EventLoop.remove(pointee.timerEvent)
    while let connection = pointee.connections { close(connection, .shutdown) }
    for lane in pointee.firedLanes[pointee.firedNext...] { lane.free() }
    pointee.loop.free()
    pointee.inbox.close()
    pointee.inboxEvent.deinitialize(count: 2)
    pointee.inboxEvent.deallocate()
    pointee.receive.deallocate()
    pointee.spareBuffers.free()
    pointee.output.free()
    pointee.vectors.deallocate()
    pointee.postponed.deallocate()
    pointee.group.deallocate()
    pointee.request.deallocate()
    pointee.parser.decodedKey.deallocate()
    pointee.deadlines.deallocate()
    deinitialize(count: 1)
    deallocate()
  }

  func withStore<R>(_ body: (Store) -> R) -> R { pointee.store._withUnsafeGuaranteedRef(body) }
  func withShared<R>(_ body: (ServerContext) -> R) -> R { pointee.shared._withUnsafeGuaranteedRef(body) }

  /// Every callback begins with it. A long turn is cut: with thousands of busy connections each waits for those before it only.
  @inline(__always)
  func beginCallback() {
    if pointee.callbacks >= Worker.callbacksPerTurn { endTurn() }
    if pointee.callbacks == 0 { pointee.nowMs = Clock.nowMs() }
    pointee.callbacks += 1
  }

  /// Sends what connections have left in the output. Now and then other threads may have the processor: where busy threads share one, a worker
  /// that always finds more to do would keep another one's clients waiting for whole time slices.
  func endTurn() {
    pointee.callbacksSinceYield += pointee.callbacks
    pointee.callbacks = 0
    sendPostponed()
    guard pointee.callbacksSinceYield >= Worker.callbacksPerTurn else { return }
    sched_yield()
    pointee.callbacksSinceYield = 0
  }

  @inline(__always)
  var nowSeconds: UInt32 { UInt32(truncatingIfNeeded: pointee.nowMs / 1000) }
}
