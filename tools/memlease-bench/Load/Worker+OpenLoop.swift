#if os(Linux)
  /// An open loop: requests are due when their time has come, whatever became of those before, and count from that moment.
  /// A connection waits in `arrivals` exactly while it has room; one that is full goes on when a reply makes room.
  extension Worker {
    /// The last moment at which a request can be due.
    private var lastDueNs: UInt64 { endNs == .max ? .max : endNs - 1 }

    /// When this worker has to wake, if nothing happens before.
    var nextStepNs: UInt64 {
      var step = isStopping ? endNs &+ schedule.drainNs : endNs
      if !isMeasuring { step = min(step, warmUpEndNs) }
      if let due = arrivals?.nextNs, due <= lastDueNs { step = min(step, due) }
      return step
    }

    /// Sends what is due on connections with room.
    func sendDue(_ nowNs: UInt64) {
      var now = nowNs
      while failure == nil, let index = arrivals?.takeFirst(dueByNs: min(now, lastDueNs)) {
        let oldestDueNs = arrivals?.dueNs[index] ?? now
        let count = takeDue(index, byNs: now)
        flushRest(index)
        now = monotonicNs()
        tally.openLoop.sendLags.record(now &- oldestDueNs, times: UInt64(count))
        waitIfRoom(index)
      }
    }

    /// After a reply, or when the socket takes more: a connection that was full takes what became due meanwhile.
    func refill(_ index: Int, _ nowNs: UInt64) {
      if connections[index].isWaitingToWrite { flushRest(index) }
      if arrivals?.isWaiting[index] != false { return }
      let count = takeDue(index, byNs: nowNs)
      if count > 0 {
        tally.openLoop.heldBack += count
        flushRest(index)
      }
      waitIfRoom(index)
    }

    /// Takes what is due into flight, as far as there is room; returns how many.
    private func takeDue(_ index: Int, byNs nowNs: UInt64) -> Int {
      let limitNs = min(nowNs, lastDueNs)
      let connection = connections.baseAddress.unsafelyUnwrapped + index
      if connection.pointee.isBlocked { return 0 }
      var count = 0
      while connection.pointee.inFlight < connection.pointee.depth, connection.pointee.remaining > 0,
        let dueNs = arrivals?.dueNs[index], dueNs <= limitNs
      {
        connection.pointee.takeDue(script, dueNs: dueNs)
        arrivals?.advance(index)
        count += 1
      }
      return count
    }

    private func waitIfRoom(_ index: Int) {
      if connections[index].hasRoom { arrivals?.wait(index) }
    }

    /// After the end: everything that was due is answered, or has had its time.
    var isDrained: Bool {
      if monotonicNs() >= endNs &+ schedule.drainNs { return true }
      return connections.indices.allSatisfy { connections[$0].inFlight == 0 && arrivals?.dueNs[$0] ?? .max > lastDueNs }
    }

    /// What was due and is not answered counts with the time that it has waited: leaving it out would hide the worst.
    func countUnfinished() {
      guard endNs != .max, failure == nil else { return }
      let now = monotonicNs()
      for index in connections.indices {
        let inFlight = connections[index].inFlight
        connections[index].answered(inFlight, nowNs: now, cycle: script.count, &tally.latencies)
        tally.openLoop.unfinished += inFlight
        while let dueNs = arrivals?.dueNs[index], dueNs <= lastDueNs {
          tally.latencies.record(now &- dueNs, times: 1)
          tally.openLoop.unfinished += 1
          arrivals?.advance(index)
        }
      }
    }
  }
#endif
