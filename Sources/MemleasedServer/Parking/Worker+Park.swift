import LeaseCore
import LeaseWire

/// Requests that wait: how they come to, and how they leave without an answer from their key.
extension UnsafeMutablePointer where Pointee == Worker {
  /// With the key's partition locked, after a read that found it owed. `line`, a meta line or a key, is kept to be read anew. True: parked.
  func park(
    _ connection: ConnectionPointer, _ key: CacheKey, _ partition: Partition, _ options: ReadOptions, isPlain: Bool, waitMs: UInt64,
    _ kind: ParkedRequest.Kind, line: Token, opaque: Token?
  ) -> Bool {
    guard !pointee.isDraining else { return false }
    guard connection.pointee.parkedCount < pointee.maxWaitersPerConnection else {
      pointee.counters.pointee.waitersRefused.bump()
      return false
    }
    let waiter = Waiter(worker: pointee.index, options: options, isPlain: isPlain)
    let number = withStore { $0.partitionIndex(hash: key.hash) }
    let parked = ParkedPointer.make(waiter, connection, partition: number, kind, line: line, opaque: opaque)
    guard partition.park(key, nowMs: pointee.nowMs, parked.waiter, waitMs: waitMs) else {
      parked.free()
      return false
    }
    link(parked, connection)
    if parked.pointee.hasOpaque { pointee.opaques.insert(parked) }
    pointee.waits.insert(parked.waiter)
    if parked.pointee.waiter.deadlineMs < pointee.timerAtMs { scheduleTimer() }
    return true
  }

  private func link(_ parked: ParkedPointer, _ connection: ConnectionPointer) {
    parked.pointee.next = connection.pointee.parked
    connection.pointee.parked?.pointee.previous = parked
    connection.pointee.parked = parked
    connection.pointee.parkedCount += 1
    connection.accountBytes(parked.sizeBytes)
  }

  /// Out of every list but its lane; what is left is to free it.
  func unlink(_ parked: ParkedPointer) {
    let connection = parked.pointee.connection
    if let previous = parked.pointee.previous {
      previous.pointee.next = parked.pointee.next
    } else {
      connection.pointee.parked = parked.pointee.next
    }
    parked.pointee.next?.pointee.previous = parked.pointee.previous
    connection.pointee.parkedCount -= 1
    connection.accountBytes(-parked.sizeBytes)
    if parked.pointee.hasOpaque { pointee.opaques.remove(parked) }
    pointee.waits.remove(parked.waiter)
  }

  // MARK: Deadlines

  /// Answers those whose wait is over, a bounded number at once.
  func endDueWaits(_ store: Store) {
    var left = Worker.answersPerTurn
    while left > 0, let waiter = pointee.waits.takeDue(nowMs: pointee.nowMs) {
      left -= 1
      let parked = ParkedPointer(waiter)
      var result = ReadResult()
      let partition = store.partition(Int(parked.pointee.partition))
      let isOver = partition.locked { $0.endWait(waiter, nowMs: pointee.nowMs, .timedOut, into: &result) }
      // Else its answer is on the way.
      if isOver { answer(parked, WaitOutcome(result), store) }
    }
    finishAnswers()
  }

  /// The server ends: whoever waits is told what a wait's end tells.
  func endAllWaits(_ connection: ConnectionPointer, _ store: Store) {
    var node = connection.pointee.parked
    while let parked = node {
      node = parked.pointee.next
      var result = ReadResult()
      let partition = store.partition(Int(parked.pointee.partition))
      let isOver = partition.locked { $0.endWait(parked.waiter, nowMs: pointee.nowMs, .timedOut, into: &result) }
      if isOver { answer(parked, WaitOutcome(result), store) }
    }
    finishAnswers()
  }

  // MARK: Taken back

  /// `mx <opaque>`.
  func cancelParked(_ connection: ConnectionPointer, _ opaque: Token, _ store: Store) {
    guard let parked = pointee.opaques.find(opaque, connection), pointee.deferred[parked] == nil else { return pointee.output.line("NF") }
    var result = ReadResult()
    let partition = store.partition(Int(parked.pointee.partition))
    guard partition.locked({ $0.endWait(parked.waiter, nowMs: pointee.nowMs, .cancelled, into: &result) }) else {
      return pointee.output.line("NF")
    }
    unlink(parked)
    parked.free()
    pointee.output.line("HD")
  }

  /// The connection closes, or the line that asked for these keys is refused: nobody is to be told any more.
  func dropParked(_ connection: ConnectionPointer, onlyKeys: Bool, _ store: Store) {
    var node = connection.pointee.parked
    while let parked = node {
      node = parked.pointee.next
      if onlyKeys, parked.pointee.kind != .key { continue }
      drop(parked, store)
    }
  }

  private func drop(_ parked: ParkedPointer, _ store: Store) {
    var result = ReadResult()
    let partition = store.partition(Int(parked.pointee.partition))
    var answer = takeDeferred(parked)
    if answer == nil, !partition.locked({ $0.endWait(parked.waiter, nowMs: pointee.nowMs, .disconnected, into: &result) }) {
      answer = parked.pointee.waiter.firedLane?.outcome
      parked.pointee.waiter.firedLane?.remove(parked.waiter)
    }
    if let answer, answer.result.isGrant { giveBack(key(of: parked, store).hash, token: answer.result.token, partition) }
    unlink(parked)
    parked.free()
  }

  /// A lease that its waiter never heard of goes to the next one.
  private func giveBack(_ hash: UInt64, token: UInt64, _ partition: Partition) {
    _ = partition.locked { $0.disconnectHolder(hash: hash, token: token, nowMs: pointee.nowMs) }
  }
}
