import LeaseCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Sending. What a batch wrote into the worker's output goes into the kernel when the loop's turn ends, or at once where that is not simple:
/// much output, large values, behind what this connection already waits to send.
extension UnsafeMutablePointer where Pointee == Connection {
  /// Sends the worker's output on this connection. Returns false when the connection is broken.
  func flush() -> Bool {
    let worker = pointee.worker
    guard !worker.pointee.output.isEmpty else { return true }
    if pointee.isPostponed { worker.sendPostponed() }
    if worker.pointee.isObserved { logOutput(worker) }
    var sent = 0
    if pointee.pendingFirst == nil {
      sent = worker.pointee.output.cutCount == 0 ? sendFlat(worker) : sendGathered(worker)
      if sent < 0 {
        worker.pointee.output.clear()
        return false
      }
      if worker.pointee.output.cutCount == 0, sent == worker.pointee.output.ownCount {
        worker.pointee.output.clear()
        pointee.many.outputMark = -1
        return true
      }
    }
    queueRest(worker, from: sent)
    worker.pointee.output.clear()
    pointee.many.outputMark = -1
    updateBackpressure()
    return true
  }

  /// Leaves the worker's output where it is until the turn of its loop ends: the kernel's code for sending stays in the processor's cache while
  /// it sends for all, and a client that is woken finds more to do. Only for a connection with nothing unsent.
  func postpone() {
    let worker = pointee.worker
    let start = worker.pointee.output.start
    let count = worker.pointee.output.takePostponed()
    guard count > 0 else { return }
    (worker.pointee.postponed + worker.pointee.postponedCount).initialize(
      to: PostponedReplies(connection: self, start: start, count: count))
    worker.pointee.postponedCount += 1
    pointee.isPostponed = true
    pointee.many.outputMark = -1
    if worker.pointee.postponedCount == Worker.callbacksPerTurn || worker.pointee.output.start > OutputBuffer.postponedBytes {
      worker.sendPostponed()
    }
  }

  /// An error is left to the next receiving, which meets it, too.
  func sendPostponed(from start: Int, count: Int) {
    let worker = pointee.worker
    pointee.isPostponed = false
    // It may have postponed twice in this turn: what the kernel did not take of the first goes first.
    let isFirst = pointee.pendingFirst == nil
    let sent = isFirst ? accountSent(worker, send(pointee.fd, worker.pointee.output.base + start, count, sendFlags)) : 0
    guard sent >= 0, sent < count else { return }
    var place = 0
    queueFlat(worker, from: start, to: start + count, place: &place, sent: sent)
    updateBackpressure()
    if pointee.isBlocked { stopReading() }
  }

  /// `-vv`.
  private func logOutput(_ worker: WorkerPointer) {
    guard worker.withShared({ $0.verbosity > 1 }) else { return }
    let start = worker.pointee.output.start
    let output = UnsafeRawBufferPointer(start: worker.pointee.output.base + start, count: worker.pointee.output.ownCount)
    var total = output.count
    for index in 0..<worker.pointee.output.cutCount { total += worker.pointee.output.cuts[index].value.count }
    VerboseLog.sent(output, totalBytes: total, fd: pointee.fd)
  }

  /// What was sent, 0 when the kernel takes nothing now, -1 when broken.
  private func sendFlat(_ worker: WorkerPointer) -> Int {
    let output = worker.pointee.output
    let result = send(pointee.fd, output.base + output.start, output.ownCount, sendFlags)
    return accountSent(worker, result)
  }

  private func sendGathered(_ worker: WorkerPointer) -> Int {
    let parts = worker.pointee.vectors
    var count = 0
    var offset = worker.pointee.output.start
    for index in 0..<worker.pointee.output.cutCount {
      let cut = worker.pointee.output.cuts[index]
      if cut.offset > offset {
        parts[count] = iovec(iov_base: worker.pointee.output.base + offset, iov_len: cut.offset - offset)
        count += 1
        offset = cut.offset
      }
      parts[count] = iovec(iov_base: cut.value.bytes, iov_len: cut.value.count)
      count += 1
    }
    if worker.pointee.output.count > offset {
      parts[count] = iovec(iov_base: worker.pointee.output.base + offset, iov_len: worker.pointee.output.count - offset)
      count += 1
    }
    return accountSent(worker, sendVectors(parts, count))
  }

  private func sendVectors(_ parts: UnsafeMutablePointer<iovec>, _ count: Int) -> Int {
    var message = msghdr()
    message.msg_iov = parts
    message.msg_iovlen = .init(count)
    return sendmsg(pointee.fd, &message, sendFlags)
  }

  private func accountSent(_ worker: WorkerPointer, _ result: Int) -> Int {
    if result >= 0 {
      worker.pointee.counters.pointee.bytesWritten.bump(UInt64(result))
      return result
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS ? 0 : -1
  }

  /// Queues what lies behind the first `sent` bytes of the output, flat bytes and large values in their order.
  private func queueRest(_ worker: WorkerPointer, from sent: Int) {
    var place = 0
    var offset = worker.pointee.output.start
    for index in 0..<worker.pointee.output.cutCount {
      let cut = worker.pointee.output.cuts[index]
      queueFlat(worker, from: offset, to: cut.offset, place: &place, sent: sent)
      offset = cut.offset
      let skip = min(max(0, sent - place), cut.value.count)
      if skip < cut.value.count {
        cut.value.retain()
        append(PendingChunk(next: nil, bytes: cut.value.bytes, offset: skip, count: cut.value.count, large: cut.value))
      }
      place += cut.value.count
    }
    queueFlat(worker, from: offset, to: worker.pointee.output.count, place: &place, sent: sent)
  }

  private func queueFlat(_ worker: WorkerPointer, from start: Int, to end: Int, place: inout Int, sent: Int) {
    let skip = min(max(0, sent - place), end - start)
    place += end - start
    let count = end - start - skip
    guard count > 0 else { return }
    let copy = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 8)
    copy.copyMemory(from: worker.pointee.output.base + start + skip, byteCount: count)
    accountBytes(count)
    append(PendingChunk(next: nil, bytes: copy, offset: 0, count: count, large: nil))
  }

  private func append(_ chunk: PendingChunk) {
    let node = UnsafeMutablePointer<PendingChunk>.allocate(capacity: 1)
    node.initialize(to: chunk)
    if let last = pointee.pendingLast { last.pointee.next = node } else { pointee.pendingFirst = node }
    pointee.pendingLast = node
    pointee.pendingBytes += chunk.count - chunk.offset + ConnectionLimits.chunkCharge
  }

  /// Queues bytes that are not in the worker's output: a watcher's lines.
  func queue(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    if pointee.isPostponed { pointee.worker.sendPostponed() }
    let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 8)
    copy.copyMemory(from: source, byteCount: bytes.count)
    accountBytes(bytes.count)
    append(PendingChunk(next: nil, bytes: copy, offset: 0, count: bytes.count, large: nil))
    updateBackpressure()
  }

  /// Sends what waits. False: broken.
  func sendPending() -> Bool {
    let worker = pointee.worker
    while let first = pointee.pendingFirst {
      let parts = worker.pointee.vectors
      var count = 0
      var total = 0
      var node: UnsafeMutablePointer<PendingChunk>? = first
      while let chunk = node, count < OutputBuffer.mostCuts {
        parts[count] = iovec(iov_base: chunk.pointee.bytes + chunk.pointee.offset, iov_len: chunk.pointee.count - chunk.pointee.offset)
        total += chunk.pointee.count - chunk.pointee.offset
        count += 1
        node = chunk.pointee.next
      }
      let sent = accountSent(worker, sendVectors(parts, count))
      if sent < 0 { return false }
      dropSent(sent)
      if sent < total { break }
    }
    updateBackpressure()
    return true
  }

  private func dropSent(_ sent: Int) {
    var rest = sent
    while rest > 0, let first = pointee.pendingFirst {
      let count = min(rest, first.pointee.count - first.pointee.offset)
      first.pointee.offset += count
      pointee.pendingBytes -= count
      rest -= count
      if first.pointee.offset == first.pointee.count { dropFirstPending() }
    }
  }

  private func dropFirstPending() {
    guard let first = pointee.pendingFirst else { return }
    pointee.pendingBytes -= first.pointee.count - first.pointee.offset + ConnectionLimits.chunkCharge
    pointee.pendingFirst = first.pointee.next
    if pointee.pendingFirst == nil { pointee.pendingLast = nil }
    if let large = first.pointee.large {
      large.release()
    } else {
      accountBytes(-first.pointee.count)
      first.pointee.bytes.deallocate()
    }
    first.deinitialize(count: 1)
    first.deallocate()
  }

  func dropAllPending() {
    while pointee.pendingFirst != nil { dropFirstPending() }
  }

  /// Waits for room in the kernel exactly while something is unsent, and blocks the connection while that is too much.
  private func updateBackpressure() {
    let waits = pointee.pendingFirst != nil
    if waits != (pointee.writeEvent != nil) {
      if waits { awaitRoom() } else { forgetRoom() }
    }
    let bound = pointee.worker.pointee.isOverloaded ? 0 : ConnectionLimits.pendingBytes
    if pointee.pendingBytes > bound { pointee.isBlocked = true }
    if !waits { pointee.isBlocked = false }
  }

  private func awaitRoom() {
    let event = UnsafeMutablePointer<LoopEvent>.allocate(capacity: 1)
    event.initialize(to: LoopEvent())
    pointee.writeEvent = event
    pointee.worker.pointee.loop.assign(event, fd: pointee.fd, LoopInterest.write | LoopInterest.persist, self) { _, _, context in
      context?.assumingMemoryBound(to: Connection.self).writable()
    }
    EventLoop.add(event)
  }

  func forgetRoom() {
    guard let event = pointee.writeEvent else { return }
    EventLoop.remove(event)
    event.deinitialize(count: 1)
    event.deallocate()
    pointee.writeEvent = nil
  }

  private var sendFlags: Int32 {
    #if canImport(Darwin)
      0
    #else
      Int32(MSG_NOSIGNAL)
    #endif
  }
}
