import LeaseCore
import LeaseWire

/// Answers that come back through the inbox: a lane of waiters at a time, a bounded number of them in one turn of the loop.
extension UnsafeMutablePointer where Pointee == Worker {
  /// Goes on with the lanes that were answered; asks for another turn when some are left.
  func answerLanes() {
    guard !pointee.firedLanes.isEmpty else { return }
    withStore { store in
      var left = Worker.answersPerTurn
      while left > 0, pointee.firedNext < pointee.firedLanes.count {
        let lane = pointee.firedLanes[pointee.firedNext]
        guard let outcome = lane.outcome, let waiter = lane.takeFirst() else {
          lane.free()
          pointee.firedNext += 1
          continue
        }
        left -= 1
        answer(ParkedPointer(waiter), outcome, store)
      }
      finishAnswers()
      store.drainDropped()
    }
    if pointee.firedNext < pointee.firedLanes.count {
      if pointee.firedNext > pointee.firedLanes.count / 2 {
        pointee.firedLanes.removeFirst(pointee.firedNext)
        pointee.firedNext = 0
      }
      pointee.inbox.wake()
    } else {
      pointee.firedLanes.removeAll(keepingCapacity: pointee.firedLanes.count <= 1024)
      pointee.firedNext = 0
    }
  }

  /// Writes the reply, or keeps it for later. The connection may be closed on the way, and others' output sent.
  func answer(_ parked: ParkedPointer, _ outcome: WaitOutcome, _ store: Store) {
    guard canTake(parked) else { return deferAnswer(parked, outcome) }
    turnOutput(to: parked.pointee.connection)
    write(parked, outcome.result, store)
  }

  /// Not in the middle of another reply, and not behind more output than a client may leave unread.
  private func canTake(_ parked: ParkedPointer) -> Bool {
    !parked.pointee.connection.pointee.isBlocked && mayInterleave(parked)
  }

  private func mayInterleave(_ parked: ParkedPointer) -> Bool {
    guard parked.pointee.kind == .outOfOrder else { return true }
    switch parked.pointee.connection.pointee.phase {
    case .manyKeys, .awaitKeys, .dump: return false
    default: return true
    }
  }

  /// Into the output, which is this connection's.
  private func write(_ parked: ParkedPointer, _ result: ReadResult, _ store: Store) {
    let connection = parked.pointee.connection
    unlink(parked)
    connection.pointee.record.pointee.noteCommand(nowSeconds: nowSeconds)
    let key = key(of: parked, store)
    if result.isGrant { connection.hold(hash: key.hash, token: result.token, store: store, nowMs: pointee.nowMs) }
    switch parked.pointee.kind {
    case .inOrder:
      writeMeta(parked, key, result, store)
      connection.pointee.phase = .line
      pointee.resumes = true
    case .outOfOrder: writeMeta(parked, key, result, store)
    case .key: writeKey(parked, key, result, store)
    }
    parked.free()
  }

  /// Reads its line anew: a meta line is the worker's request afterwards.
  func key(of parked: ParkedPointer, _ store: Store) -> CacheKey {
    var key = parked.line
    if parked.pointee.kind != .key {
      pointee.parser.parse(key.start, count: key.count, into: &pointee.request.pointee)
      key = pointee.request.pointee.key
    }
    return CacheKey(bytes: key.start, count: key.count, hash: store.hash(key.start, count: key.count))
  }

  private func writeMeta(_ parked: ParkedPointer, _ key: CacheKey, _ result: ReadResult, _ store: Store) {
    let request = pointee.request
    if result.status == .hit, !result.isStale, request.pointee.flags.has("T") { touch(key, request.pointee.exptime, store) }
    var result = result
    metaGetReply(request, &result, nil)
    if pointee.isObserved { observeRead(parked.pointee.connection, key, result) }
  }

  private func writeKey(_ parked: ParkedPointer, _ key: CacheKey, _ result: ReadResult, _ store: Store) {
    let connection = parked.pointee.connection
    let command = connection.pointee.many.command
    if result.status == .hit {
      if command == .gat || command == .gats { touch(key, connection.pointee.many.exptime, store) }
      valueReply(key, result.item, withVersion: command == .gets || command == .gats)
    }
    connection.pointee.many.waitingKeys -= 1
    guard connection.pointee.phase == .awaitKeys, connection.pointee.many.waitingKeys == 0 else { return }
    endKeys(connection)
    pointee.resumes = true
  }

  /// `gat`, and `T`, mean the value that came.
  private func touch(_ key: CacheKey, _ exptime: Int32, _ store: Store) {
    let expiry = Clock.expiry(seconds: exptime, nowMs: pointee.nowMs)
    _ = store.partition(hash: key.hash).locked { $0.touch(key, nowMs: pointee.nowMs, expiry) }
  }

  // MARK: Whose output it is

  /// Answers to one connection that follow each other are sent together.
  private func turnOutput(to connection: ConnectionPointer) {
    if pointee.answered != connection { finishAnswers() }
    pointee.answered = connection
    if pointee.output.isNearlyFull, !connection.flush() { connection.pointee.isClosing = true }
  }

  /// Sends what was written for the last connection, and goes on with what waited behind its answer.
  func finishAnswers() {
    guard let connection = pointee.answered else { return }
    let resumes = pointee.resumes
    pointee.answered = nil
    pointee.resumes = false
    if resumes { connection.resume() } else { connection.finishAnswer() }
  }

  // MARK: Later

  /// The answer stays with its request until the connection can take it. A client that leaves too much lying is cut off.
  private func deferAnswer(_ parked: ParkedPointer, _ outcome: WaitOutcome) {
    let connection = parked.pointee.connection
    pointee.waits.remove(parked.waiter)
    // What waits one after the other for the same answer takes its memory once.
    let isShared = connection.pointee.lastDeferred == ObjectIdentifier(outcome)
    let bytes = isShared ? 0 : outcome.sizeBytes
    pointee.deferred[parked] = DeferredAnswer(outcome: outcome, bytes: bytes)
    connection.pointee.lastDeferred = ObjectIdentifier(outcome)
    connection.pointee.deferredCount += 1
    connection.pointee.deferredBytes += bytes
    guard bytes > 0, connection.pointee.deferredBytes > ConnectionLimits.deferredBytes || pointee.isOverloaded else { return }
    pointee.counters.pointee.slowWaitersClosed.bump()
    if pointee.answered == connection {
      pointee.answered = nil
      pointee.resumes = false
      pointee.output.clear()
    }
    close(connection, .error)
  }

  /// The connection can take answers again. They come in no order of their own. The output is the connection's.
  func writeDeferred(_ connection: ConnectionPointer, _ store: Store) -> Bool {
    var node = connection.pointee.deferredCount > 0 ? connection.pointee.parked : nil
    while let parked = node {
      node = parked.pointee.next
      guard pointee.deferred[parked] != nil, mayInterleave(parked) else { continue }
      if pointee.output.isNearlyFull, !connection.flush() { return false }
      if connection.pointee.isBlocked { break }
      if let outcome = takeDeferred(parked) { write(parked, outcome.result, store) }
      if connection.pointee.deferredCount == 0 { break }
    }
    pointee.resumes = false
    return true
  }

  /// It is written now, or dropped.
  func takeDeferred(_ parked: ParkedPointer) -> WaitOutcome? {
    guard let answer = pointee.deferred.removeValue(forKey: parked) else { return nil }
    if pointee.deferred.isEmpty { pointee.deferred = [:] }
    let connection = parked.pointee.connection
    connection.pointee.deferredCount -= 1
    connection.pointee.deferredBytes -= answer.bytes
    if connection.pointee.deferredCount == 0 { connection.pointee.lastDeferred = nil }
    return answer.outcome
  }
}

/// An answer that waits until its connection can take it.
struct DeferredAnswer {
  let outcome: WaitOutcome
  /// What of the connection's bound that takes.
  let bytes: Int
}

extension ReadResult {
  /// It gives its reader a lease, or, to a plain one, the mark of the fetching one.
  var isGrant: Bool { isWon || (status == .miss && token > 1) }
}
