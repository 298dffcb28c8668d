import LeaseCore

/// The lease rules as the specification has them, in the model: what the store must have done by the end of a request.
extension Simulation {
  enum Wish: Equatable { case granted, owed, failed, passed }

  /// How many may hold the key for this waiter to be promoted. Coalesced gets wait for one.
  func holders(_ waiter: Int) -> Int {
    waiters[waiter].isPlain ? 1 : waiters[waiter].holders == 0 ? settings[waiters[waiter].key].holders : waiters[waiter].holders
  }

  /// The store looks at the key: what is over by now ends.
  func settle(_ key: Int) {
    let now = timeMs(key)
    if keys[key].isFlushed {
      keys[key].isFlushed = false
      forgetLeases(key)
    }
    var isChanged = false
    var index = 0
    while index < keys[key].leases.count {
      guard keys[key].leases[index].deadlineMs <= now else {
        index += 1
        continue
      }
      end(key, index, .expired)
      keys[key].nextGrantMs = 0
      isChanged = true
    }
    if keys[key].outcome != .none, keys[key].outcomeUntilMs <= now { keys[key].outcome = .none }
    if keys[key].nextGrantMs != 0, keys[key].nextGrantMs <= now {
      keys[key].nextGrantMs = 0
      isChanged = true
    }
    if isChanged { promote(key) }
  }

  /// One lease ends; its token is dead from now on.
  func end(_ key: Int, _ index: Int, _ reason: TokenEnd) {
    let lease = keys[key].leases.remove(at: index)
    if lease.waiter >= 0, reason != .voided {
      // Its token is not known yet: a lease of this step.
      keys[key].voided.append(VoidedToken(token: 0, deadlineMs: 0, sinceMs: 0, waiter: lease.waiter))
      return
    }
    bury(key, lease.token, reason)
  }

  func bury(_ key: Int, _ token: UInt64, _ reason: TokenEnd) {
    guard token != 0 else { return }
    ends[token] = reason
    if deadTokens.count < 24 {
      deadTokens.append((key, token))
    } else {
      deadTokens[random.below(24)] = (key, token)
    }
  }

  /// All leases end, by a delete or by something after which they are not even remembered.
  func endAll(_ key: Int, _ reason: TokenEnd) {
    while let lease = keys[key].leases.last {
      let isRemembered = reason == .voided && lease.kind != .writer && lease.kind != .filler
      if isRemembered {
        keys[key].voided.append(
          VoidedToken(token: lease.token, deadlineMs: lease.deadlineMs, sinceMs: timeMs(key), waiter: lease.waiter))
        keys[key].leases.removeLast()
        bury(key, lease.token, .voided)
      } else {
        end(key, keys[key].leases.count - 1, .replaced)
      }
    }
  }

  /// By a flush: the leases are void, and not even remembered. Who waits goes on waiting; one is promoted.
  func forgetLeases(_ key: Int) {
    endAll(key, .replaced)
    forgetVoided(key)
    keys[key].outcome = .none
    if keys[key].parked.isEmpty { keys[key].nextGrantMs = 0 }
    promote(key)
  }

  /// Voided tokens are worth nothing any more, not even as stale values.
  func forgetVoided(_ key: Int) {
    for voided in keys[key].voided where voided.token != 0 { ends[voided.token] = .replaced }
    keys[key].voided.removeAll { $0.waiter < 0 }
    for index in keys[key].voided.indices { keys[key].voided[index].deadlineMs = 0 }
  }

  /// One that waits gets each lease that may be given out now, the first that came first.
  func promote(_ key: Int) {
    let now = timeMs(key)
    guard keys[key].outcome == .none, !keys[key].writer else { return }
    while keys[key].nextGrantMs <= now,
      let place = keys[key].parked.firstIndex(where: { keys[key].leases.count < holders($0) })
    {
      let waiter = keys[key].parked.remove(at: place)
      let asked = waiters[waiter].leaseMs
      let lengthMs = waiters[waiter].isPlain ? max(settings[key].coalesceGetsMs, 1) : asked == 0 ? settings[key].leaseMs : asked
      answer(waiter, .promoted)
      waiters[waiter].lengthMs = lengthMs
      counts.promoted += 1
      add(
        key,
        ModelLease(
          token: 0, deadlineMs: now + lengthMs, kind: waiters[waiter].isPlain ? .filler : .reader, holderID: waiters[waiter].holderID,
          waiter: waiter))
    }
  }

  func add(_ key: Int, _ lease: ModelLease) {
    keys[key].leases.append(lease)
    if settings[key].grantIntervalMs > 0 { keys[key].nextGrantMs = timeMs(key) + settings[key].grantIntervalMs }
  }

  func answer(_ waiter: Int, _ answer: SimulatedWaiter.Answer) {
    waiters[waiter].state = .answered
    waiters[waiter].answer = answer
    waiters[waiter].answeredMs = timeMs(waiters[waiter].key)
    expected.append(waiter)
  }

  func answerAll(_ key: Int, _ told: SimulatedWaiter.Answer) {
    let count = UInt64(keys[key].parked.count)
    for waiter in keys[key].parked { answer(waiter, told) }
    keys[key].parked.removeAll(keepingCapacity: true)
    switch told {
    case .failed: counts.failed += count
    case .passed: counts.passed += count
    default: counts.filled += count
    }
  }

  /// A value was written: who waits has it, every lease is over.
  func wrote(_ key: Int, _ serial: Int) {
    answerAll(key, serial < 0 ? .kept : .filled(serial))
    endAll(key, .replaced)
    forgetVoided(key)
    keys[key].outcome = .none
    keys[key].current = serial
    keys[key].isRewritten = serial >= 0
  }

  /// What a wish for a lease must come to.
  func wish(_ key: Int, holders: Int) -> Wish {
    switch keys[key].outcome {
    case .failed: return .failed
    case .passed: return .passed
    case .none: break
    }
    if keys[key].writer { return .passed }
    if keys[key].leases.count >= (holders > 0 ? holders : settings[key].holders) { return .owed }
    return keys[key].nextGrantMs > timeMs(key) ? .owed : .granted
  }

  func isOwed(_ key: Int) -> Bool {
    keys[key].outcome == .none && (!keys[key].leases.isEmpty || keys[key].nextGrantMs > timeMs(key))
  }

  func leaseIndex(_ key: Int, _ token: UInt64) -> Int? { keys[key].leases.firstIndex { $0.token == token && token != 0 } }

  /// A new token that the store has said: never one that was given before.
  func check(token: UInt64) {
    expect(tokens.insert(token).inserted, .tokenRepeated, "\(token)")
    expect(token >= 2 && token < 1 << 63 && token >> 32 != 0x7ace_b00c, .wrongReply, "token \(token) is none")
  }
}
