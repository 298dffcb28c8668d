import LeaseCore

/// Clients that hold a lease: what becomes of their fetches.
extension Simulation {
  func anyFetch() -> Int? { fetches.isEmpty ? nil : random.below(fetches.count) }

  /// `lease-set`, `ms C`, or, by a plain get's client, an unprotected `set`.
  func fill(isLate: Bool) {
    guard let index = isLate ? fetches.indices.first : anyFetch() else { return }
    let fetch = random.oneIn(6) ? fetches[index] : fetches.remove(at: index)
    var request = StoreRequest()
    if fetch.kind == .filler {
      request.plainWrites = profile.plainWrites
    } else {
      request.compare = fetch.token
      request.isLeaseSet = random.oneIn(2)
      request.invalidate = !request.isLeaseSet && random.oneIn(4)
      request.plainWrites = profile.plainWrites
    }
    // An add by a version is a plain add where no value is, as in memcached.
    let mayAdd = request.isLeaseSet || profile.plainWrites == .reject
    if random.oneIn(12) { request.mode = mayAdd && random.oneIn(2) ? .add : .replace }
    write(fetch.key, request, readTick: fetch.readTick, databaseVersion: fetch.databaseVersion, isUnprotected: fetch.kind == .filler)
  }

  /// Any write of a whole value, and what the model makes of the reply.
  func write(_ key: Int, _ original: StoreRequest, readTick: Int, databaseVersion: Int, isUnprotected: Bool = false) {
    var request = original
    request.expiry = expiry()
    request.graceMs = random.pick([0, 0, 2_000, nil])
    let count = valueCount()
    let serial = values.count
    let bytes = bytes.write(serial: serial, count: count)
    if count > store.largestInlineBytes {
      guard let large = store.reserveLarge(count: count) else { return }
      large.bytes.copyMemory(from: bytes, byteCount: count)
      request.large = large
    } else {
      request.value = bytes
    }
    request.count = count
    begin(key)
    settle(key)
    let isLive = request.compare.map { leaseIndex(key, $0) != nil } ?? false
    let wasGuarded = keys[key].guards
    let goneMs = request.expiry == .never ? .max : request.expiry.atMs &+ (request.graceMs ?? settings[key].graceMs)
    values.append(
      ValueFacts(
        key: key, readTick: readTick, databaseVersion: databaseVersion, writtenTick: tick, count: count,
        freshUntilMs: request.expiry.atMs, goneMs: goneMs, isUnprotected: isUnprotected))
    let result = ask(key, checksPromotion: request.compare == nil) { $1.store($0, nowMs: handedMs, request) }
    if let large = request.large, !result.tookLarge { large.release() }
    store.drainDropped()
    note(
      "write key \(key) value \(serial) of \(count) bytes, compare \(request.compare ?? 0)\(request.invalidate ? " I" : ""): \(result.status)"
    )
    if let token = request.compare, tokens.contains(token) {
      judgeFill(key, serial, token, request, result.status, isLive: isLive)
    } else {
      judgeWrite(key, serial, request, result.status, wasGuarded: wasGuarded)
    }
    verify(key)
  }

  private func valueCount() -> Int {
    switch random.below(24) {
    case 0: 5_000
    case 1: store.largestInlineBytes
    case 2: 20_000 + random.below(20_000)
    case 3..<8: 100 + random.below(900)
    default: 16
    }
  }

  private func judgeFill(_ key: Int, _ serial: Int, _ token: UInt64, _ request: StoreRequest, _ status: StoreStatus, isLive: Bool) {
    switch status {
    case .stored where isLive: wrote(key, serial)
    case .stored where request.invalidate:
      values[serial].isStaleOnly = true
      values[serial].isMarked = true
      // Over a value that is there the token stays good for this.
      noteLateFill(key, token, usesToken: false)
    case .stored: failDead(key, token, "a fill")
    case .staleStored:
      values[serial].isStaleOnly = true
      let voided = keys[key].voided.first { $0.token == token }
      let isKept = voided.map { $0.deadlineMs > timeMs(key) && $0.sinceMs + settings[key].staleWindowMs > timeMs(key) } ?? false
      expect(isKept && request.isLeaseSet, .deadTokenAccepted, "key \(key): token \(token) was good for a stale value still")
      noteLateFill(key, token, usesToken: true)
    case .outOfMemory: break
    case .notStored, .exists, .notFound:
      expect(!isLive || request.mode == .add, .validTokenRefused, "key \(key): the fill of token \(token) was answered \(status)")
    case .tokenRequired, .tooLarge: fail(.wrongReply, "key \(key): the fill of token \(token) was answered \(status)")
    }
  }

  private func noteLateFill(_ key: Int, _ token: UInt64, usesToken: Bool) {
    guard let index = keys[key].voided.firstIndex(where: { $0.token == token }) else { return }
    keys[key].staleUntilMs = max(keys[key].staleUntilMs, keys[key].voided[index].sinceMs + settings[key].staleWindowMs)
    if usesToken { keys[key].voided.remove(at: index) }
  }

  private func judgeWrite(_ key: Int, _ serial: Int, _ request: StoreRequest, _ status: StoreStatus, wasGuarded: Bool) {
    guard request.compare == nil else {
      if status == .stored { wrote(key, serial) }
      return
    }
    switch (profile.plainWrites, status) {
    case (.reject, .tokenRequired), (_, .outOfMemory): break
    case (.reject, _): fail(.wrongReply, "key \(key): a plain write was answered \(status)")
    case (.guarded, .notStored) where wasGuarded: break
    case (.guarded, .stored) where wasGuarded: fail(.wrongReply, "key \(key): a plain write was taken while a lease was out")
    case (_, .stored): wrote(key, serial)
    default: expect(status == .notStored && request.mode != .set, .wrongReply, "key \(key): a plain write was answered \(status)")
    }
  }

  func failDead(_ key: Int, _ token: UInt64, _ what: String) {
    let invariant: Invariant =
      switch ends[token] {
      case .expired: .expiredTokenAccepted
      case .voided: .staleFillAccepted
      default: .deadTokenAccepted
      }
    fail(invariant, "key \(key): \(what) with token \(token) was taken")
  }

  // MARK: Without a value

  func extendLease() {
    guard let index = anyFetch() else { return }
    let fetch = fetches[index]
    let byMs: UInt64 = random.pick([0, 20, 700, 4_000])
    settleAndAsk(fetch.key, fetch.token, "extend by \(byMs)") {
      $1.leaseExtend($0, nowMs: handedMs, token: fetch.token, byMs: byMs)
    } ended: {
      keys[fetch.key].leases[$0].deadlineMs = timeMs(fetch.key) + max(byMs, 1)
      if keys[fetch.key].leases[$0].kind == .writer { keepStaleUntil(fetch.key, keys[fetch.key].leases[$0].deadlineMs) }
      promote(fetch.key)
    }
  }

  func releaseLease() {
    guard let index = anyFetch() else { return }
    let fetch = fetches.remove(at: index)
    settleAndAsk(fetch.key, fetch.token, "release") {
      $1.leaseRelease($0, nowMs: handedMs, token: fetch.token)
    } ended: {
      release(fetch.key, $0)
    }
  }

  func release(_ key: Int, _ index: Int) {
    end(key, index, .used)
    keys[key].nextGrantMs = 0
    promote(key)
  }

  func failLease() {
    guard let index = anyFetch() else { return }
    let fetch = fetches.remove(at: index)
    let forMs: UInt64 = random.pick([0, 30, 500, 3_000])
    settleAndAsk(fetch.key, fetch.token, "fail for \(forMs)") { name, partition in
      Self.message.withUnsafeBytes { partition.leaseFail(name, nowMs: handedMs, token: fetch.token, forMs: forMs, message: $0) }
    } ended: {
      end(fetch.key, $0, .used)
      setOutcome(fetch.key, .failed, forMs)
      answerAll(fetch.key, .failed(forMs))
    }
  }

  func passLease() {
    guard let index = anyFetch() else { return }
    let fetch = fetches.remove(at: index)
    let forMs: UInt64 = random.pick([0, 30, 500, 3_000])
    settleAndAsk(fetch.key, fetch.token, "pass for \(forMs)") {
      $1.leasePass($0, nowMs: handedMs, token: fetch.token, forMs: forMs)
    } ended: {
      end(fetch.key, $0, .used)
      setOutcome(fetch.key, .passed, forMs)
      answerAll(fetch.key, .passed(forMs))
    }
  }

  private func setOutcome(_ key: Int, _ outcome: SimulatedKey.Outcome, _ forMs: UInt64) {
    keys[key].outcome = forMs > 0 ? outcome : .none
    keys[key].outcomeUntilMs = timeMs(key) + forMs
  }

  /// `lease-keep`, by a client that was shown a stale value and found the database unchanged.
  func keepLease() {
    guard let index = fetches.firstIndex(where: { $0.shown >= 0 }) else { return }
    let fetch = fetches.remove(at: index)
    guard values[fetch.shown].databaseVersion == fetch.databaseVersion, !values[fetch.shown].isUnprotected else { return }
    let expiry = expiry()
    settleAndAsk(fetch.key, fetch.token, "keep", mayRefuse: true) {
      $1.leaseKeep($0, nowMs: handedMs, token: fetch.token, expiry: expiry)
    } ended: { _ in
      keys[fetch.key].keptVersion = fetch.databaseVersion
      keys[fetch.key].keptTick = fetch.readTick
      values[fetch.shown].isStaleOnly = false
      noteTouch(fetch.key, expiry)
      wrote(fetch.key, -1)
    }
  }

  /// The client is gone without a word; what its connection holds is given back when that closes, or never.
  func crash() {
    guard let index = anyFetch() else { return }
    let fetch = fetches.remove(at: index)
    note("crash of the holder of token \(fetch.token)")
  }

  /// A token that is worth nothing any more is tried again.
  func useDeadToken() {
    guard !deadTokens.isEmpty else { return }
    let (key, token) = deadTokens[random.below(deadTokens.count)]
    let asked = random.oneIn(4) ? anyKey() : key
    switch random.below(6) {
    case 0:
      settleAndAsk(asked, token, "extend") {
        $1.leaseExtend($0, nowMs: handedMs, token: token, byMs: 1_000)
      } ended: { _ in
      }
    case 1:
      settleAndAsk(asked, token, "release") {
        $1.leaseRelease($0, nowMs: handedMs, token: token)
      } ended: { _ in
      }
    case 2:
      settleAndAsk(asked, token, "pass") {
        $1.leasePass($0, nowMs: handedMs, token: token, forMs: 100)
      } ended: { _ in
      }
    case 3:
      settleAndAsk(asked, token, "keep") {
        $1.leaseKeep($0, nowMs: handedMs, token: token, expiry: .never)
      } ended: { _ in
      }
    default:
      var request = StoreRequest()
      request.compare = token
      request.isLeaseSet = true
      write(asked, request, readTick: 0, databaseVersion: 0)
    }
  }

  /// A request that a valid token makes true, and no other.
  func settleAndAsk(
    _ key: Int, _ token: UInt64, _ what: String, mayRefuse: Bool = false, _ body: (CacheKey, Partition) -> Bool, ended: (Int) -> Void
  ) {
    begin(key)
    settle(key)
    // Whether the token is good is the first question.
    let isTrue = ask(key, checksPromotion: false, body)
    note("\(what) of token \(token) on key \(key): \(isTrue)")
    if let index = leaseIndex(key, token) {
      expect(isTrue || mayRefuse, .validTokenRefused, "key \(key): \(what) with token \(token) was refused")
      if isTrue { ended(index) }
    } else if isTrue {
      failDead(key, token, what)
    }
    verify(key)
  }
}
