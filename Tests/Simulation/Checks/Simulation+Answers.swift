import LeaseCore

/// After each request: the store has answered those waiters that the model says, and nobody else.
extension Simulation {
  func verify(_ key: Int) {
    collect()
    for waiter in expected { verifyAnswer(waiter) }
    nameTokens(key)
    if failure == nil { probe(key) }
  }

  /// Before the reply is looked at: it follows from who was promoted when the store looked at the key.
  func checkPromoted() {
    for waiter in expected where waiters[waiter].answer == .promoted {
      let token = waiters.pointer(waiter).pointee.firedLane?.outcome?.result.token ?? 0
      expect(token >= 2, .lostWakeUp, "waiter \(waiter) of key \(waiters[waiter].key) was not promoted")
    }
  }

  /// Takes what the store has just fired to the workers' inboxes.
  func collect() {
    var fired = 0
    for lane in mailbox.lanes {
      fired += lane.lane.pointee.count
      if lane.lane.pointee.worker < workers.count {
        workers[lane.lane.pointee.worker].inbox.append(lane)
      } else {
        fail(.answeredTwice, "an answer for worker \(lane.lane.pointee.worker), which there is not")
      }
    }
    mailbox.lanes.removeAll(keepingCapacity: true)
    for partition in upkeepMs.indices {
      upkeepMs[partition] = min(upkeepMs[partition], mailbox.upkeepMs[partition])
      mailbox.upkeepMs[partition] = .max
    }
    if fired != expected.count { verifyOthers() }
  }

  /// Who was answered without a reason?
  private func verifyOthers() {
    for waiter in 0..<WaiterTable.most where waiters[waiter].state == .parked {
      guard let outcome = waiters.pointer(waiter).pointee.firedLane?.outcome else { continue }
      let key = waiters[waiter].key
      if outcome.result.token >= 2 {
        failPromotion(waiter)
      } else {
        fail(.wrongAnswer, "waiter \(waiter) of key \(key) was told \(outcome.result.status) for no reason")
      }
    }
  }

  private func failPromotion(_ waiter: Int) {
    let key = waiters[waiter].key
    let isSecond = expected.contains { waiters[$0].key == key && waiters[$0].answer == .promoted }
    fail(
      isSecond ? .doublePromotion : .tooManyTokens,
      "waiter \(waiter) of key \(key) was promoted while \(keys[key].leases.count) leases were out, \(holders(waiter)) holders allowed")
  }

  private func verifyAnswer(_ waiter: Int) {
    let facts = waiters[waiter]
    guard let outcome = waiters.pointer(waiter).pointee.firedLane?.outcome else {
      return fail(.lostWakeUp, "waiter \(waiter) of key \(facts.key) was not told \(facts.answer)")
    }
    check(outcome.result, waiter, isNew: true)
  }

  /// What a waiter's answer says, when it is given, and again when it is delivered.
  func check(_ result: ReadResult, _ waiter: Int, isNew: Bool = false) {
    let facts = waiters[waiter]
    if result.token >= 2, facts.answer != .promoted, facts.answer != .none { return failPromotion(waiter) }
    // There was no memory for a copy: ask again.
    if profile.store.waiterCopyBytes < 1 << 20, result.status == .hotMiss, facts.answer != .promoted, facts.answer != .none {
      return expect(result.token == 1, .wrongAnswer, "waiter \(waiter) was told of a hot miss with token \(result.token)")
    }
    switch facts.answer {
    case .none: fail(.answeredTwice, "waiter \(waiter) was answered already")
    case .promoted: checkPromotion(result, waiter)
    case .filled, .kept:
      guard result.status == .hit, result.token == 0, !result.isStale, !result.isWon else {
        return fail(.wrongAnswer, "waiter \(waiter) was told \(result.status) of a fill")
      }
      let serial = serial(result.item, facts.key)
      if case .filled(let written) = facts.answer {
        expect(serial == written, .wrongAnswer, "waiter \(waiter) was told value \(serial), not \(written)")
      }
      // It was good when it was given; it may have been deleted since.
      if isNew { showFresh(facts.key, serial, isAnswer: true) }
    case .failed(let forMs):
      expect(result.status == .failed, .wrongAnswer, "waiter \(waiter) was told \(result.status) of a failure")
      expect(result.remainingMs == forMs, .wrongAnswer, "a failure of \(forMs) ms was told as one of \(result.remainingMs)")
      let message = UnsafeRawBufferPointer(start: result.messageBytes, count: result.messageCount)
      expect(message.elementsEqual(Self.message), .wrongAnswer, "waiter \(waiter) was told another message")
    case .passed(let forMs):
      expect(result.status == .passed, .wrongAnswer, "waiter \(waiter) was told \(result.status) of a pass")
      expect(result.remainingMs == forMs, .wrongAnswer, "a pass of \(forMs) ms was told as one of \(result.remainingMs)")
    }
  }

  static let message: [UInt8] = Array("no such row".utf8)

  private func checkPromotion(_ result: ReadResult, _ waiter: Int) {
    let facts = waiters[waiter]
    guard result.token >= 2 else {
      return fail(.lostWakeUp, "waiter \(waiter) of key \(facts.key) was told \(result.status), not promoted")
    }
    if facts.isPlain { return expect(result.status == .miss, .wrongAnswer, "a plain get that now fetches was told \(result.status)") }
    expect(result.isWon, .wrongAnswer, "a promoted waiter was not told that it won")
    if result.status == .hit {
      expect(result.isStale, .wrongAnswer, "a promoted waiter was told a fresh value")
    } else {
      expect(result.status == .granted, .wrongAnswer, "a promoted waiter was told \(result.status)")
      expect(result.remainingMs == facts.lengthMs, .wrongAnswer, "a lease of \(facts.lengthMs) was told as \(result.remainingMs)")
    }
  }

  /// The tokens of the leases that waiters were promoted to in this step. They come in the order of the promotions.
  private func nameTokens(_ key: Int) {
    var before: UInt64 = 0
    for waiter in expected where waiters[waiter].answer == .promoted {
      guard let result = waiters.pointer(waiter).pointee.firedLane?.outcome?.result else { continue }
      let key = waiters[waiter].key
      check(token: result.token)
      if keys.count == 1 {
        expect(result.token > before, .wrongAnswer, "who came first was promoted later")
        before = result.token
      }
      if let index = keys[key].leases.firstIndex(where: { $0.waiter == waiter }) {
        keys[key].leases[index].token = result.token
        keys[key].leases[index].waiter = -1
      } else if let index = keys[key].voided.firstIndex(where: { $0.waiter == waiter }) {
        keys[key].voided[index].token = result.token
        keys[key].voided[index].waiter = -1
        let isVoided = keys[key].voided[index].deadlineMs != 0
        if !isVoided { keys[key].voided.remove(at: index) }
        bury(key, result.token, isVoided ? .voided : .replaced)
      }
      if result.status == .hit { showStale(key, serial(result.item, key)) }
    }
  }

  /// The store's leases are the model's: each token is valid. To ask for one makes the store look at the key, so not while it has to do that.
  func probe(_ key: Int) {
    let now = timeMs(key)
    let leases = keys[key].leases
    if !keys[key].isFlushed, leases.allSatisfy({ $0.deadlineMs > now }), keys[key].nextGrantMs == 0 || keys[key].nextGrantMs > now {
      ask(key) { name, partition in
        for lease in leases {
          let isLive = partition.isLive(hash: name.hash, token: lease.token, nowMs: now)
          expect(isLive, .validTokenRefused, "key \(key): token \(lease.token) is not live")
        }
        if let dead = deadTokens.last, dead.key == key {
          let isLive = partition.isLive(hash: name.hash, token: dead.token, nowMs: now)
          expect(!isLive, .deadTokenAccepted, "key \(key): token \(dead.token) lives again")
        }
      }
    }
    verifyParked(key)
    expect(
      upkeepMs[keys[key].partition] <= keys[key].nextEventMs, .upkeepNotPlanned,
      "key \(key) has something to do at \(keys[key].nextEventMs), upkeep is planned for \(upkeepMs[keys[key].partition])")
  }

  /// Who still waits has somebody, or a time, to wait for.
  private func verifyParked(_ key: Int) {
    for waiter in keys[key].parked {
      expect(waiters.pointer(waiter).pointee.isParked, .lostWakeUp, "waiter \(waiter) is in no lane")
    }
    guard !keys[key].parked.isEmpty else { return }
    expect(
      !keys[key].leases.isEmpty || keys[key].nextGrantMs > 0, .lostWakeUp,
      "key \(key): \(keys[key].parked.count) wait for nothing")
  }

  /// The counters and amounts after each step.
  func checkTotals() {
    guard failure == nil else { return }
    let counters = store.counters
    expect(counters.waitsParked == counts.parked, .countersOff, "waitsParked is \(counters.waitsParked), not \(counts.parked)")
    expect(counters.waitsFilled == counts.filled, .countersOff, "waitsFilled is \(counters.waitsFilled), not \(counts.filled)")
    expect(counters.waitsFailed == counts.failed, .countersOff, "waitsFailed is \(counters.waitsFailed), not \(counts.failed)")
    expect(counters.waitsPassed == counts.passed, .countersOff, "waitsPassed is \(counters.waitsPassed), not \(counts.passed)")
    expect(counters.waitsPromoted == counts.promoted, .countersOff, "waitsPromoted is \(counters.waitsPromoted), not \(counts.promoted)")
    expect(counters.waitsTimedOut == counts.timedOut, .countersOff, "waitsTimedOut is \(counters.waitsTimedOut), not \(counts.timedOut)")
    expect(counters.waitsCancelled == counts.cancelled, .countersOff, "waitsCancelled is \(counters.waitsCancelled)")
    expect(counters.waitsDisconnected == counts.disconnected, .countersOff, "waitsDisconnected is \(counters.waitsDisconnected)")
    expect(store.waiterCount == counts.waiting, .countersOff, "\(store.waiterCount) wait, not \(counts.waiting)")
    let parked = keys.reduce(0) { $0 + $1.parked.count }
    expect(parked == counts.waiting, .countersOff, "\(parked) are parked, \(counts.waiting) wait")
    let leases = keys.reduce(0) { $0 + $1.leases.count }
    expect(store.usage.leases == UInt64(leases), .countersOff, "\(store.usage.leases) leases are out, not \(leases)")
  }
}
