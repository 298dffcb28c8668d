import LeaseCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// How far a worker came with a connection's bytes.
enum ExecutionOutcome {
  /// Everything that is complete is done.
  case needsMore
  /// Too much is unsent: the rest waits until the client has read.
  case blocked
  /// A request waits in the store: the rest waits until it is answered.
  case parked
  /// Enough for this turn: other connections first.
  case yields
  /// `quit`, or an error after which the stream makes no sense: send what there is, then close.
  case closes
  /// The socket is dead.
  case broken
}

/// What the loop calls, and the order of a turn: receive, execute, keep the rest, send.
extension UnsafeMutablePointer where Pointee == Connection {
  func readable(isLast: Bool = false) {
    let worker = pointee.worker
    worker.beginCallback()
    // What it has goes first.
    if pointee.isYielding, !isLast { return }
    guard pointee.isReading, !pointee.isBlocked, !pointee.isClosing else { return }
    if pointee.phase == .largeValue, unexecutedBytes == 0 {
      receiveLarge()
    } else if unexecutedBytes > 0 {
      receiveMore()
    } else {
      receiveShared()
    }
  }

  /// The usual way: into the worker's buffer, executed from there.
  private func receiveShared() {
    let worker = pointee.worker
    let buffer = worker.pointee.receive
    let count = recv(pointee.fd, buffer, Worker.receiveBytes, 0)
    guard noteReceived(count) else { return }
    let start = UnsafeRawPointer(buffer)
    run(start, start + count, isOwn: false)
  }

  /// A request is incomplete: its rest goes behind what is there.
  private func receiveMore() {
    reserveInput(max(pointee.neededBytes, unexecutedBytes))
    guard let input = pointee.input else { return }
    let count = recv(pointee.fd, input + pointee.inputEnd, pointee.inputCapacity - pointee.inputEnd, 0)
    guard noteReceived(count) else { return }
    pointee.inputEnd += count
    guard unexecutedBytes >= pointee.neededBytes else { return }
    _ = executeInput()
  }

  /// Into the large value itself, and what follows it into the worker's buffer.
  private func receiveLarge() {
    guard let value = pointee.largeWrite.value else { return }
    let worker = pointee.worker
    let room = value.count - pointee.largeWrite.received
    let parts = worker.pointee.vectors
    parts[0] = iovec(iov_base: value.bytes + pointee.largeWrite.received, iov_len: room)
    parts[1] = iovec(iov_base: worker.pointee.receive, iov_len: Worker.receiveBytes)
    let count = readv(pointee.fd, parts, 2)
    guard noteReceived(count) else { return }
    pointee.largeWrite.received += min(count, room)
    let start = UnsafeRawPointer(worker.pointee.receive)
    if count > room { run(start, start + (count - room), isOwn: false) }
  }

  /// False: nothing came, or the connection is over (and gone).
  private func noteReceived(_ count: Int) -> Bool {
    let worker = pointee.worker
    if count > 0 {
      worker.pointee.counters.pointee.bytesRead.bump(UInt64(count))
      pointee.record.pointee.noteCommand(nowSeconds: worker.nowSeconds)
      return true
    }
    if count < 0, errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR { return false }
    worker.close(self, count == 0 ? .normal : .error)
    return false
  }

  /// Executes what lies in the own buffer. False: the connection is gone.
  func executeInput() -> Bool {
    let start = UnsafeRawPointer(pointee.input ?? pointee.worker.pointee.receive)
    return run(start + pointee.inputStart, start + pointee.inputEnd, isOwn: true)
  }

  /// One batch. False: the connection is gone.
  @discardableResult
  private func run(_ start: UnsafeRawPointer, _ end: UnsafeRawPointer, isOwn: Bool) -> Bool {
    let worker = pointee.worker
    var position = start
    pointee.neededBytes = 0
    let outcome = worker.withStore { store -> ExecutionOutcome in
      if pointee.deferredCount > 0, !worker.writeDeferred(self, store) { return .broken }
      let outcome = worker.execute(self, &position, end, store)
      store.drainDropped()
      return outcome
    }
    if outcome == .broken {
      worker.pointee.output.clear()
      worker.close(self, .error)
      return false
    }
    if isOwn { consumeInput(upTo: position) } else { keepInput(from: position, to: end) }
    if outcome == .needsMore, maySendLater {
      postpone()
      return settle(outcome)
    }
    guard flush() else {
      worker.close(self, .error)
      return false
    }
    return settle(outcome)
  }

  private var maySendLater: Bool {
    let worker = pointee.worker
    return pointee.pendingFirst == nil && worker.pointee.output.cutCount == 0 && !pointee.isClosing && !worker.pointee.isObserved
      && !worker.pointee.isDraining
  }

  /// Sets the connection up for what comes next: all that is listened for is decided here. False: it is gone.
  private func settle(_ outcome: ExecutionOutcome) -> Bool {
    let worker = pointee.worker
    if outcome == .closes || pointee.isClosing {
      pointee.isClosing = true
      if pointee.pendingFirst == nil {
        worker.close(self, .normal)
        return false
      }
      stopReading()
    } else if pointee.isBlocked {
      stopReading()
      note(.writing)
    } else if outcome == .parked, unexecutedBytes >= ConnectionLimits.parkedInputBytes {
      hearEnd()
    } else if outcome == .yields || outcome == .blocked {
      // Blocked, but not any more: the last send made room.
      if outcome == .yields { worker.pointee.counters.pointee.connectionYields.bump() }
      startReading()
      worker.yield(self)
    } else if isDrained {
      worker.close(self, .shutdown)
      return false
    } else {
      startReading()
    }
    if !pointee.isBlocked { notePhase() }
    return true
  }

  /// The server ends, what had arrived was read, and nothing is on its way to this client.
  var isDrained: Bool {
    pointee.worker.pointee.drainEndsAtMs != .max && pointee.pendingFirst == nil && pointee.parkedCount == 0 && !pointee.isYielding
  }

  private func notePhase() {
    switch pointee.phase {
    case .largeValue: note(.readingValue)
    case .swallowData, .swallowLine: note(.swallowing)
    case .watching: note(.watching)
    case .dump: note(.writing)
    case .manyKeys: note(.reading)
    case .parked, .awaitKeys: note(.parked)
    case .line: note(unexecutedBytes == 0 ? .waiting : .reading)
    }
  }

  private func note(_ state: ConnectionState) { pointee.record.pointee.note(state) }

  func stopReading() {
    guard pointee.isReading else { return }
    pointee.isReading = false
    EventLoop.remove(pointee.readEvent)
  }

  private func startReading() {
    guard !pointee.isReading, !pointee.isBlocked, !pointee.isClosing else { return }
    if pointee.isHearingEnd { listen(onlyForEnd: false) }
    pointee.isReading = EventLoop.add(pointee.readEvent)
  }

  /// Nothing more is read before the waiting request is answered, but a client that goes away is noticed.
  private func hearEnd() {
    stopReading()
    if !pointee.isHearingEnd { listen(onlyForEnd: true) }
    EventLoop.add(pointee.readEvent)
  }

  private func listen(onlyForEnd: Bool) {
    let worker = pointee.worker
    pointee.isHearingEnd = onlyForEnd
    EventLoop.remove(pointee.readEvent)
    if onlyForEnd {
      // An error comes as readable, and so do bytes that are left where they are: told of once each, which takes a descriptor of its own.
      pointee.endFD = fcntl(pointee.fd, F_DUPFD_CLOEXEC, 0)
      let interest = LoopInterest.end | LoopInterest.persist
      let fd = pointee.endFD >= 0 ? pointee.endFD : pointee.fd
      worker.pointee.loop.assign(
        pointee.readEvent, fd: fd, pointee.endFD >= 0 ? interest | LoopInterest.read | LoopInterest.edge : interest, self
      ) { _, what, context in
        context?.assumingMemoryBound(to: Connection.self).heard(what)
      }
    } else {
      closeEndFD()
      worker.pointee.loop.assign(pointee.readEvent, fd: pointee.fd, LoopInterest.read | LoopInterest.persist, self) { _, _, context in
        context?.assumingMemoryBound(to: Connection.self).readable()
      }
    }
  }

  private func heard(_ what: Int16) {
    // What lies before an error is still to be had: only the error itself tells of it.
    var error: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    if what & LoopInterest.end == 0, getsockopt(pointee.fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0, error == 0 { return }
    pointee.worker.beginCallback()
    pointee.worker.close(self, .normal)
  }

  /// After its event was removed.
  func closeEndFD() {
    guard pointee.endFD >= 0 else { return }
    _ = systemClose(pointee.endFD)
    pointee.endFD = -1
  }

  // MARK: Answers to parked requests

  /// Answers are in the worker's output: send them.
  func finishAnswer() {
    let worker = pointee.worker
    guard flush() else { return worker.close(self, .error) }
    if pointee.pendingFirst == nil, pointee.isClosing { return worker.close(self, .normal) }
    if isDrained { return worker.close(self, .shutdown) }
    if pointee.isBlocked {
      stopReading()
      note(.writing)
    } else {
      if !pointee.isHearingEnd { startReading() }
      notePhase()
    }
  }

  /// As `finishAnswer`, and what waited behind the answered request is executed.
  func resume() {
    guard unexecutedBytes > 0 || pointee.deferredCount > 0 else { return finishAnswer() }
    _ = executeInput()
  }

  /// The kernel takes bytes again.
  func writable() {
    let worker = pointee.worker
    worker.beginCallback()
    guard sendPending() else { return worker.close(self, .error) }
    guard pointee.pendingFirst == nil else { return }
    if pointee.isClosing { return worker.close(self, .normal) }
    if unexecutedBytes > 0 || pointee.deferredCount > 0 || pointee.phase == .dump {
      guard executeInput() else { return }
    } else if isDrained {
      return worker.close(self, .shutdown)
    } else {
      notePhase()
      startReading()
    }
    if pointee.phase == .watching { worker.forwardWatched(self) }
  }
}
