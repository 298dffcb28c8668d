import LeaseCore

/// Bytes that were received but could not be executed yet.
extension UnsafeMutablePointer where Pointee == Connection {
  var unexecutedBytes: Int { pointee.inputEnd - pointee.inputStart }

  /// Keeps what lies from `position` to `end` of a buffer that is about to be used for something else.
  func keepInput(from position: UnsafeRawPointer, to end: UnsafeRawPointer) {
    let count = end - position
    guard count > 0 else { return }
    pointee.inputStart = 0
    pointee.inputEnd = 0
    reserveInput(max(count, pointee.neededBytes))
    guard let input = pointee.input else { return }
    input.copyMemory(from: position, byteCount: count)
    pointee.inputEnd = count
  }

  /// After executing from the own buffer: forget what is done, and the buffer with it when nothing is left.
  func consumeInput(upTo position: UnsafeRawPointer) {
    guard let input = pointee.input else { return }
    pointee.inputStart = position - UnsafeRawPointer(input)
    if pointee.inputStart == pointee.inputEnd { freeInput() }
  }

  /// Makes room for `count` unexecuted bytes in all, and some to receive into.
  func reserveInput(_ count: Int) {
    let held = unexecutedBytes
    let wanted = max(count, held) + ConnectionLimits.inputSlack
    if let input = pointee.input {
      if pointee.inputCapacity - pointee.inputStart >= wanted { return }
      if pointee.inputCapacity >= wanted {
        input.copyMemory(from: input + pointee.inputStart, byteCount: held)
        pointee.inputStart = 0
        pointee.inputEnd = held
        return
      }
    }
    let grown = pointee.worker.pointee.spareBuffers.take(wanted)
    if let input = pointee.input { grown.memory.copyMemory(from: input + pointee.inputStart, byteCount: held) }
    freeInput()
    accountBytes(grown.capacity)
    pointee.input = grown.memory
    pointee.inputEnd = held
    pointee.inputCapacity = grown.capacity
  }

  func freeInput() {
    if let input = pointee.input {
      pointee.worker.pointee.spareBuffers.give(.init(memory: input, capacity: pointee.inputCapacity))
    }
    accountBytes(-pointee.inputCapacity)
    pointee.input = nil
    pointee.inputStart = 0
    pointee.inputEnd = 0
    pointee.inputCapacity = 0
  }

  /// Notes memory of connections, for `stats` and for the worker's bound.
  func accountBytes(_ count: Int) {
    pointee.worker.pointee.connectionBytes += count
    pointee.worker.pointee.counters.pointee.connectionBytes.bump(UInt64(bitPattern: Int64(count)))
  }

  // MARK: Leases held

  /// Remembers a lease so that it ends when this connection does. When the list is full its dead are forgotten first; past the
  /// limit the lease is not remembered and ends at its deadline.
  func hold(hash: UInt64, token: UInt64, store: Store, nowMs: Milliseconds) {
    if pointee.heldCount == pointee.heldCapacity {
      guard pointee.heldSkips == 0 else {
        pointee.heldSkips -= 1
        return
      }
      makeRoomForLease(store, nowMs)
    }
    guard pointee.heldCount < pointee.heldCapacity, let held = pointee.held else { return }
    held[pointee.heldCount] = HeldLease(hash: hash, token: token)
    pointee.heldCount += 1
  }

  private func makeRoomForLease(_ store: Store, _ nowMs: Milliseconds) {
    var kept = 0
    if let held = pointee.held {
      for index in 0..<pointee.heldCount {
        let partition = store.partition(hash: held[index].hash)
        partition.lock()
        let isLive = partition.isLive(hash: held[index].hash, token: held[index].token, nowMs: nowMs)
        partition.unlock()
        if isLive {
          held[kept] = held[index]
          kept += 1
        }
      }
      pointee.heldCount = kept
    }
    // Half empty after the clean-up is enough; else twice as many, up to the limit.
    guard kept * 2 > pointee.heldCapacity || pointee.heldCapacity == 0 else { return }
    let capacity = min(max(4, pointee.heldCapacity * 2), ConnectionLimits.heldLeases)
    guard capacity > pointee.heldCapacity else {
      pointee.heldSkips = capacity / 2
      return
    }
    let grown = UnsafeMutablePointer<HeldLease>.allocate(capacity: capacity)
    if let held = pointee.held {
      grown.update(from: held, count: kept)
      held.deallocate()
    }
    accountBytes((capacity - pointee.heldCapacity) * MemoryLayout<HeldLease>.stride)
    pointee.held = grown
    pointee.heldCapacity = capacity
  }

  /// Ends what this connection still holds. Not when the server ends: nobody is to be promoted then.
  func releaseHeldLeases(store: Store, nowMs: Milliseconds) {
    guard let held = pointee.held else { return }
    if pointee.worker.pointee.releasesOnDisconnect, !pointee.worker.pointee.isDraining {
      for index in 0..<pointee.heldCount {
        let partition = store.partition(hash: held[index].hash)
        partition.lock()
        _ = partition.disconnectHolder(hash: held[index].hash, token: held[index].token, nowMs: nowMs)
        partition.unlock()
      }
    }
    held.deallocate()
    accountBytes(-pointee.heldCapacity * MemoryLayout<HeldLease>.stride)
    pointee.held = nil
    pointee.heldCount = 0
    pointee.heldCapacity = 0
  }
}
