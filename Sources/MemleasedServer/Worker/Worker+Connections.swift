import LeaseCore

/// Connections come, are read, and go.
extension UnsafeMutablePointer where Pointee == Worker {
  func open(_ fd: Int32) {
    let id = UInt64(pointee.index) << 48 | pointee.nextConnectionNumber
    pointee.nextConnectionNumber &+= 1
    let isAuthenticated = withShared { !$0.needsAuthentication }
    let connection = ConnectionPointer.allocate(capacity: 1)
    connection.initialize(
      to: Connection(fd: fd, id: id, worker: self, isAuthenticated: isAuthenticated, nowSeconds: nowSeconds))
    pointee.loop.assign(connection.pointee.readEvent, fd: fd, LoopInterest.read | LoopInterest.persist, connection) { _, _, context in
      context?.assumingMemoryBound(to: Connection.self).readable()
    }
    link(connection)
    connection.accountBytes(Connection.structureBytes)
    pointee.registry._withUnsafeGuaranteedRef { $0.add(connection.pointee.record) }
    withShared { shared in
      shared.watchHub.publishConnectionNew(fd: fd)
      if shared.verbosity > 1 { VerboseLog.opened(fd: fd) }
    }
    connection.pointee.isReading = EventLoop.add(connection.pointee.readEvent)
    if !connection.pointee.isReading { close(connection, .error) } else { noteIdleDeadline() }
  }

  /// A descriptor that came too late.
  func refuse(_ fd: Int32) {
    _ = systemClose(fd)
    withShared { $0.connectionClosed() }
  }

  private func link(_ connection: ConnectionPointer) {
    connection.pointee.next = pointee.connections
    pointee.connections?.pointee.previous = connection
    pointee.connections = connection
    pointee.connectionCount += 1
  }

  private func unlink(_ connection: ConnectionPointer) {
    if let previous = connection.pointee.previous {
      previous.pointee.next = connection.pointee.next
    } else {
      pointee.connections = connection.pointee.next
    }
    connection.pointee.next?.pointee.previous = connection.pointee.previous
    pointee.connectionCount -= 1
  }

  /// Ends a connection at once: its leases are released, its descriptor closed, its memory freed.
  func close(_ connection: ConnectionPointer, _ reason: WatchedClose) {
    if connection.pointee.isPostponed { sendPostponed() }
    EventLoop.remove(connection.pointee.readEvent)
    connection.forgetRoom()
    forgetYielding(connection)
    unlink(connection)
    withStore { store in
      dropParked(connection, onlyKeys: false, store)
      connection.releaseHeldLeases(store: store, nowMs: pointee.nowMs)
      if let large = connection.pointee.largeWrite.value { large.release() }
    }
    connection.pointee.largeWrite.line?.deallocate()
    connection.dropAllPending()
    connection.freeInput()
    connection.accountBytes(-Connection.structureBytes)
    withShared { shared in
      if let watcher = connection.pointee.watcher { shared.watchHub.unsubscribe(watcher.takeRetainedValue()) }
      shared.watchHub.publishConnectionClose(fd: connection.pointee.fd, reason: reason)
      if shared.verbosity > 1 { VerboseLog.closed(fd: connection.pointee.fd, reason: reason) }
    }
    pointee.registry._withUnsafeGuaranteedRef { $0.remove(connection.pointee.record) }
    connection.closeEndFD()
    _ = systemClose(connection.pointee.fd)
    withShared { $0.connectionClosed() }
    connection.pointee.freeParts()
    connection.deinitialize(count: 1)
    connection.deallocate()
    if pointee.isDraining, pointee.connections == nil { pointee.loop.stop() }
  }

  /// What this connection has left to execute comes when the others had their turn.
  func yield(_ connection: ConnectionPointer) {
    guard !connection.pointee.isYielding else { return }
    connection.pointee.isYielding = true
    pointee.yielding.append(connection)
  }

  /// Each of those that yielded so far has another turn.
  func resumeYielding() {
    let count = pointee.yielding.count
    for place in 0..<count {
      guard let connection = pointee.yielding[place] else { continue }
      pointee.yielding[place] = nil
      connection.pointee.isYielding = false
      beginCallback()
      _ = connection.executeInput()
    }
    pointee.yielding.removeFirst(count)
  }

  private func forgetYielding(_ connection: ConnectionPointer) {
    guard connection.pointee.isYielding, let place = pointee.yielding.firstIndex(of: connection) else { return }
    pointee.yielding[place] = nil
  }

  func connection(_ id: UInt64) -> ConnectionPointer? {
    var node = pointee.connections
    while let connection = node {
      if connection.pointee.id == id { return connection }
      node = connection.pointee.next
    }
    return nil
  }

  /// The server ends: answer what has arrived, send it, close. What a client has not taken after `Server.drainMs` is cut off.
  func drain() {
    guard !pointee.isDraining else { return }
    pointee.isDraining = true
    // From here on whatever is not pending is sent.
    sendPostponed()
    while !pointee.firedLanes.isEmpty { answerLanes() }
    var node = pointee.connections
    while let connection = node {
      node = connection.pointee.next
      if connection.pointee.parked != nil { withStore { endAllWaits(connection, $0) } }
    }
    node = pointee.connections
    while let connection = node {
      node = connection.pointee.next
      connection.readable(isLast: true)
    }
    pointee.drainEndsAtMs = pointee.nowMs &+ Server.drainMs
    node = pointee.connections
    while let connection = node {
      node = connection.pointee.next
      // Who yields has requests that were read but not answered yet, who waits has an answer on its way: they close when that is sent.
      if connection.isDrained { close(connection, .shutdown) }
    }
    guard pointee.connections != nil else { return pointee.loop.stop() }
    scheduleTimer()
  }

  /// A watching connection's lines go out, if it has room; else they wait in the watcher, which drops what is too much.
  func forwardWatched(_ connection: ConnectionPointer) {
    guard let watcher = connection.pointee.watcher, !connection.pointee.isBlocked else { return }
    let bytes = watcher._withUnsafeGuaranteedRef { $0.takeAll() }
    bytes.withUnsafeBytes { connection.queue($0) }
    if !connection.sendPending() { close(connection, .error) }
  }
}
