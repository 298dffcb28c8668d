import LeaseCore

/// The inbox, and what happens at its time: maintenance, a delayed flush, idle connections.
extension UnsafeMutablePointer where Pointee == Worker {
  func inboxReady() {
    beginCallback()
    for message in pointee.inbox.takeAll() { handle(message) }
    answerLanes()
  }

  private func handle(_ message: WorkerMessage) {
    switch message {
    case .connection(let fd):
      if pointee.isDraining { refuse(fd) } else { open(fd) }
    case .deadline(let partition, let atMs):
      noteDeadline(partition: partition, atMs: atMs)
    case .answered(let lane):
      pointee.firedLanes.append(lane)
    case .flush(let atMs):
      pointee.flushAtMs = atMs == 0 ? .max : atMs
      scheduleTimer()
    case .watcherReady(let id):
      if let connection = connection(id) { forwardWatched(connection) }
    case .drain:
      drain()
    }
  }

  func noteDeadline(partition: Int, atMs: Milliseconds) {
    let slot = (partition - pointee.index) / pointee.stride
    guard partition % pointee.stride == pointee.index, slot < pointee.deadlineCount, atMs < pointee.deadlines[slot] else { return }
    pointee.deadlines[slot] = atMs
    scheduleTimer()
  }

  /// Sets the timer for the earliest thing there is to do, if that changed.
  func scheduleTimer() {
    var earliest = min(min(pointee.flushAtMs, pointee.idleSweepAtMs), min(pointee.drainEndsAtMs, pointee.waits.earliestMs))
    for slot in 0..<pointee.deadlineCount { earliest = min(earliest, pointee.deadlines[slot]) }
    guard earliest != pointee.timerAtMs else { return }
    pointee.timerAtMs = earliest
    guard earliest != .max else {
      EventLoop.remove(pointee.timerEvent)
      return
    }
    EventLoop.add(pointee.timerEvent, afterMs: earliest > pointee.nowMs ? earliest &- pointee.nowMs : 0)
  }

  func timerFired() {
    beginCallback()
    pointee.timerAtMs = .max
    let nowMs = pointee.nowMs
    if pointee.flushAtMs <= nowMs {
      pointee.flushAtMs = .max
      withStore { flushEverything($0) }
    }
    withStore { store in
      for slot in 0..<pointee.deadlineCount where pointee.deadlines[slot] <= nowMs {
        let partition = store.partition(pointee.index + slot * pointee.stride)
        partition.lock()
        let next = partition.maintain(nowMs: nowMs)
        partition.unlock()
        // At least a millisecond later, so that a deadline that cannot be met does not spin.
        pointee.deadlines[slot] = max(next, nowMs &+ 1)
      }
      endDueWaits(store)
      store.drainDropped()
    }
    if pointee.idleSweepAtMs <= nowMs { closeIdle() }
    if pointee.drainEndsAtMs <= nowMs { return pointee.loop.stop() }
    scheduleTimer()
  }

  func flushEverything(_ store: Store) {
    for index in 0..<store.partitionCount {
      let partition = store.partition(index)
      partition.lock()
      partition.flush(nowMs: pointee.nowMs)
      partition.unlock()
    }
    store.drainDropped()
  }

  // MARK: Idle connections

  /// Asks for a sweep when the newest connection may have been idle for too long, unless one comes earlier.
  func noteIdleDeadline() {
    let seconds = withShared { $0.configuration.idleTimeoutSeconds }
    guard seconds > 0 else { return }
    let atMs = pointee.nowMs &+ UInt64(seconds) &* 1000 &+ 1000
    if atMs < pointee.idleSweepAtMs {
      pointee.idleSweepAtMs = atMs
      scheduleTimer()
    }
  }

  private func closeIdle() {
    let seconds = withShared { UInt32(clamping: $0.configuration.idleTimeoutSeconds) }
    var oldest = nowSeconds
    var node = pointee.connections
    while let connection = node {
      node = connection.pointee.next
      if connection.pointee.phase == .watching || connection.pointee.parkedCount > 0 { continue }
      let last = connection.pointee.record.pointee.lastCommandSecond
      if nowSeconds &- min(nowSeconds, last) > seconds {
        pointee.counters.pointee.idleKicks.bump()
        close(connection, .idleTimeout)
      } else {
        oldest = min(oldest, last)
      }
    }
    pointee.idleSweepAtMs = .max
    if pointee.connections != nil { pointee.idleSweepAtMs = (UInt64(oldest) &+ UInt64(seconds) &+ 1) &* 1000 }
  }
}
