import LeaseCore

/// Clients that read, wait, and become holders.
extension Simulation {
  /// What a read showed, copied out from under the lock.
  struct Shown {
    var status = ReadStatus.miss
    var isStale = false, isWon = false, isOwed = false
    var token: UInt64 = 0
    var version: UInt64 = 0
    var serial = -1
    var hasValue: Bool { status == .hit }
  }

  func anyKey() -> Int { random.below(keys.count) }

  /// A connection whose worker is not busy with a close; nil: there is none.
  func anyConnection() -> Int? {
    let connection = random.below(connections.count)
    return workers[connections[connection].worker].closing < 0 ? connection : nil
  }

  func leaseOptions(_ connection: Int) -> ReadOptions {
    var options = ReadOptions()
    options.kind = .meta
    options.knowsLeases = true
    options.wantsLease = true
    options.freshOnly = random.oneIn(3)
    options.leaseMs = random.pick([0, 0, 30, 400, 2_500])
    options.holders = random.pick([0, 0, 0, 1, 2, 3])
    options.leavesAccessAlone = random.oneIn(20)
    options.holderID = connections[connection].id
    return options
  }

  /// `mg N… Lw…`, with `Lf`, `Lh`, `Ll` or R now and then.
  func leaseRead(isRefresh: Bool) {
    guard let connection = anyConnection() else { return }
    let key = anyKey()
    var options = leaseOptions(connection)
    if isRefresh {
      options.refreshBelowMs = random.pick([1_000, 30_000, 1 << 40])
      options.wantsLease = random.oneIn(2)
    }
    if random.oneIn(25) { options.touch = expiry() }
    if random.oneIn(30) { options.wantsLease = false }
    let waitMs: UInt64 = random.oneIn(8) ? 0 : random.pick([1, 40, 300, 2_000, 20_000, 100_000])
    read(key, connection, options, waitMs: options.wantsLease ? waitMs : 0)
  }

  /// `lease-get`, which is never parked.
  func leaseGet() {
    guard let connection = anyConnection() else { return }
    var options = leaseOptions(connection)
    options.kind = .lease
    options.freshOnly = false
    options.holders = 0
    read(anyKey(), connection, options, waitMs: 0)
  }

  private func read(_ key: Int, _ connection: Int, _ options: ReadOptions, waitMs: UInt64) {
    begin(key)
    settle(key)
    let wish = wish(key, holders: options.kind == .lease ? 0 : options.holders)
    var seen = Shown()
    var parked = -1
    ask(key) { name, partition in
      let full = partition.counters.leaseTableFull
      var result = ReadResult()
      partition.read(name, nowMs: handedMs, options, into: &result)
      checkPromoted()
      seen = shown(key, result)
      // Touched before it is found to be stale, and not to be shown.
      if let touch = options.touch, seen.hasValue || options.freshOnly { noteTouch(key, touch) }
      checkRead(key, seen, options, wish: partition.counters.leaseTableFull > full && wish == .granted ? .passed : wish)
      if seen.isWon {
        check(token: seen.token)
        let lengthMs = options.leaseMs == 0 ? settings[key].leaseMs : options.leaseMs
        let kind: ModelLease.Kind = seen.hasValue && !seen.isStale ? .refresh : .reader
        add(key, ModelLease(token: seen.token, deadlineMs: timeMs(key) + lengthMs, kind: kind, holderID: options.holderID))
        promote(key)
      }
      let mayPark = seen.status == .hotMiss || (seen.status == .passed && keys[key].writer)
      if waitMs > 0, mayPark, !waiters.isFull { parked = park(key, connection, name, partition, options, waitMs) }
    }
    note(
      "read key \(key) connection \(connection): \(seen.status)\(seen.isStale ? " X" : "")\(seen.isWon ? " W" : "") value \(seen.serial) "
        + "token \(seen.token)" + (parked >= 0 ? ", waiter \(parked) parked until +\(waiters[parked].deadlineMs - Self.startMs)" : ""))
    if seen.isWon { won(key, connection, seen.token, shown: seen.serial, .reader) }
    verify(key)
  }

  func shown(_ key: Int, _ result: ReadResult) -> Shown {
    var seen = Shown()
    seen.status = result.status
    seen.isStale = result.isStale
    seen.isWon = result.isWon
    seen.isOwed = result.isOwed
    seen.token = result.token
    if result.status == .hit {
      seen.version = result.item.version
      seen.serial = serial(result.item, key)
    }
    return seen
  }

  private func checkRead(_ key: Int, _ seen: Shown, _ options: ReadOptions, wish: Wish) {
    if seen.hasValue, !seen.isStale {
      showFresh(key, seen.serial)
      if seen.isWon { expect(wish == .granted, .tooManyTokens, "key \(key): a refresh lease was given, but \(wish)") }
      return
    }
    if seen.hasValue { showStale(key, seen.serial) }
    if seen.isWon { return expect(wish == .granted, .tooManyTokens, "key \(key): a lease was given, but \(wish)") }
    // Without N only who is shown a stale value, or would be but for `f`, takes a lease.
    if wish == .granted {
      let mayDecline = !options.wantsLease && options.kind == .meta && !seen.hasValue && keys[key].guards == (seen.status == .hotMiss)
      return expect(mayDecline, .grantRefused, "key \(key): \(seen.status) though a lease was free")
    }
    switch (seen.status, wish) {
    case (.hit, .passed): expect(!seen.isOwed, .wrongReply, "key \(key): Z on a key that nobody may fill")
    case (.hit, _): expect(seen.isOwed, .wrongReply, "key \(key): X alone on a key that is \(wish)")
    case (.hotMiss, .owed), (.failed, .failed), (.passed, .passed): break
    case (.miss, _), (.hotMiss, _):
      expect(!options.wantsLease, .wrongReply, "key \(key): \(seen.status) where \(wish) was due")
    default: fail(.wrongReply, "key \(key): \(seen.status) where \(wish) was due")
    }
  }

  /// Under the lock of the read that found the key owed. The waiter; -1: not parked.
  private func park(
    _ key: Int, _ connection: Int, _ name: CacheKey, _ partition: Partition, _ options: ReadOptions, _ waitMs: UInt64, isPlain: Bool = false
  )
    -> Int
  {
    let waitMs = min(waitMs, settings[key].longestWaitMs)
    let waiter = SimulatedWaiter(
      state: .parked, key: key, connection: connection, worker: connections[connection].worker, deadlineMs: timeMs(key) + waitMs,
      holders: isPlain ? 0 : options.holders, leaseMs: isPlain ? 0 : options.leaseMs, isPlain: isPlain,
      holderID: connections[connection].id)
    let isRoom = keys[key].parked.count < profile.store.maxWaitersPerKey && counts.waiting < profile.store.maxWaiters
    let isExpected = isRoom && waitMs > 0 && isOwed(key)
    guard let index = waiters.take(waiter, options) else { return -1 }
    let isParked = partition.park(name, nowMs: handedMs, waiters.pointer(index), waitMs: waitMs)
    expect(isParked == isExpected, .wrongParking, "key \(key): parked \(isParked), to be parked \(isExpected)")
    guard isParked else {
      waiters.give(index)
      return -1
    }
    keys[key].parked.append(index)
    counts.parked += 1
    workers[waiter.worker].heap.insert(waiters.pointer(index))
    return index
  }

  /// `get` and `mg` without lease options, coalesced where the store does that.
  func plainRead() {
    guard let connection = anyConnection() else { return }
    let key = anyKey()
    begin(key)
    settle(key)
    var options = ReadOptions()
    options.kind = random.oneIn(3) ? .meta : .classic
    options.holderID = connections[connection].id
    if random.oneIn(15) { options.touch = expiry() }
    let wish = wish(key, holders: 0)
    var seen = Shown()
    var role = FetchRole.none
    var parked = -1
    ask(key) { name, partition in
      var result = ReadResult()
      if options.kind == .classic, options.touch == nil {
        let isHit =
          random.oneIn(2)
          ? partition.readFresh(name, nowMs: handedMs, into: &result.item)
          : partition.readPlain(name, nowMs: handedMs, into: &result.item) || partition.readFresh(name, nowMs: handedMs, into: &result.item)
        if isHit { result.status = .hit }
      } else {
        partition.read(name, nowMs: handedMs, options, into: &result)
      }
      checkPromoted()
      seen = shown(key, result)
      if let touch = options.touch, seen.hasValue { noteTouch(key, touch) }
      if seen.hasValue { showPlain(key, seen, options) }
      if seen.isWon { grantPlain(key, seen, options, wish) }
      guard seen.status == .miss || seen.status == .hotMiss, settings[key].coalesceGetsMs > 0 else { return }
      role = join(key, connection, name, partition)
      if case .waiter(let waitMs) = role, !waiters.isFull {
        parked = park(key, connection, name, partition, options, waitMs, isPlain: true)
      }
    }
    note("plain read key \(key) connection \(connection): \(seen.status) value \(seen.serial) \(role) \(parked)")
    if case .filler(let token) = role { won(key, connection, token, shown: -1, .filler) }
    if seen.isWon { won(key, connection, seen.token, shown: seen.serial, .reader) }
    verify(key)
  }

  private func showPlain(_ key: Int, _ seen: Shown, _ options: ReadOptions) {
    if seen.isStale { return showStale(key, seen.serial) }
    showFresh(key, seen.serial, isClassic: options.kind == .classic)
  }

  /// memcached's own: a value marked stale is won by the first who sees it.
  private func grantPlain(_ key: Int, _ seen: Shown, _ options: ReadOptions, _ wish: Wish) {
    expect(wish == .granted, .tooManyTokens, "key \(key): a lease was given, but \(wish)")
    check(token: seen.token)
    add(key, ModelLease(token: seen.token, deadlineMs: timeMs(key) + settings[key].leaseMs, kind: .reader, holderID: options.holderID))
    promote(key)
  }

  private func join(_ key: Int, _ connection: Int, _ name: CacheKey, _ partition: Partition) -> FetchRole {
    let full = partition.counters.leaseTableFull
    let holderID = connections[connection].id
    let role = partition.joinFetch(name, nowMs: handedMs, holderID: holderID)
    let isHolder = keys[key].leases.contains { $0.holderID == holderID }
    switch role {
    case .waiter: expect(isOwed(key) && !isHolder, .wrongParking, "key \(key): a plain get is to wait for nobody else")
    case .filler(let token):
      expect(keys[key].outcome == .none && !isOwed(key), .tooManyTokens, "key \(key): a second plain get is the filler")
      check(token: token)
      let deadlineMs = timeMs(key) + settings[key].coalesceGetsMs
      add(key, ModelLease(token: token, deadlineMs: deadlineMs, kind: .filler, holderID: holderID))
    case .none:
      expect(
        keys[key].outcome != .none || isHolder || partition.counters.leaseTableFull > full, .grantRefused,
        "key \(key): nobody is the filler of a plain get")
    }
    return role
  }

  /// A client has a lease now: its connection owns it, and it reads the database.
  func won(_ key: Int, _ connection: Int, _ token: UInt64, shown: Int, _ kind: ModelLease.Kind) {
    connections[connection].leases.append((key, token))
    if connections[connection].leases.count > 16 {
      let forgotten = connections[connection].leases.filter { ends[$0.token] == nil }
      connections[connection].leases = forgotten
    }
    if fetches.count > 40 { fetches.remove(at: random.below(fetches.count)) }
    fetches.append(
      Fetch(
        key: key, token: token, kind: kind, connection: connection, readTick: tick, databaseVersion: keys[key].databaseVersion,
        shown: shown))
  }

  func expiry() -> Expiry {
    switch random.below(8) {
    case 0: .immediately
    case 1: Expiry(atMs: nowMs + UInt64(random.below(20)))
    case 2, 3: .never
    default: Expiry(atMs: nowMs + random.pick([100, 1_000, 5_000, 60_000]))
    }
  }

  func noteTouch(_ key: Int, _ expiry: Expiry) {
    keys[key].touchedUntilMs = max(keys[key].touchedUntilMs, max(expiry.atMs, nowMs))
  }
}
