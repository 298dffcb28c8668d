import LeaseCore

/// Clients that change the database, and tell the cache.
extension Simulation {
  /// The row changes; its delete is sent later.
  func commit() {
    let key = anyKey()
    tick += 1
    keys[key].databaseVersion += 1
    if plannedDeletes.count < 8 { plannedDeletes.append(key) }
    note("commit of key \(key): version \(keys[key].databaseVersion)")
  }

  func delete() {
    let key = plannedDeletes.isEmpty || random.oneIn(4) ? anyKey() : plannedDeletes.remove(at: random.below(plannedDeletes.count))
    begin(key)
    settle(key)
    var request = DeleteRequest()
    request.removeValue = random.oneIn(20)
    let status = ask(key) { $1.delete($0, nowMs: handedMs, request) }
    note("delete key \(key)\(request.removeValue ? " x" : ""): \(status)")
    if request.removeValue {
      // An item keeps its place without its value, and is no older than before.
      keys[key].current = -1
    } else {
      keys[key].deleteTick = tick
      keepStaleUntil(key, timeMs(key))
    }
    voidByDelete(key)
    verify(key)
  }

  /// Nobody is promoted before the grant interval is over.
  private func voidByDelete(_ key: Int) {
    endAll(key, .voided)
    keys[key].outcome = .none
    promote(key)
  }

  /// What a delete or a hold made stale may be shown for the window after that time.
  func keepStaleUntil(_ key: Int, _ fromMs: Milliseconds) {
    keys[key].hiddenMs = timeMs(key)
    keys[key].staleUntilMs = max(keys[key].staleUntilMs, fromMs + settings[key].staleWindowMs)
  }

  /// `md I`.
  func markStale() {
    let key = anyKey()
    begin(key)
    settle(key)
    var request = DeleteRequest()
    request.invalidate = true
    if random.oneIn(2) { request.touch = expiry() }
    let status = ask(key) { $1.delete($0, nowMs: handedMs, request) }
    if let touch = request.touch, status == .deleted { noteTouch(key, touch) }
    note("mark key \(key) stale: \(status)")
    keys[key].markTick = tick
    voidByDelete(key)
    verify(key)
  }

  func hold() {
    guard let connection = anyConnection() else { return }
    let key = anyKey()
    let forMs: UInt64 = random.pick([0, 50, 800, 4_000])
    begin(key)
    settle(key)
    let hadWriter = keys[key].writer
    let full = store.partition(keys[key].partition).locked { $0.counters.leaseTableFull }
    let token = ask(key) { $1.leaseHold($0, nowMs: handedMs, forMs: forMs, holderID: connections[connection].id) }
    note("hold key \(key) for \(forMs): \(token ?? 0)")
    if hadWriter {
      expect(token == nil, .tooManyTokens, "key \(key): a second writer holds it")
      return verify(key)
    }
    endAll(key, .replaced)
    keys[key].outcome = .none
    guard let token else {
      let isFull = store.partition(keys[key].partition).locked { $0.counters.leaseTableFull } > full
      expect(isFull, .grantRefused, "key \(key): a hold was refused for nothing")
      promote(key)
      return verify(key)
    }
    check(token: token)
    let lengthMs = forMs == 0 ? settings[key].leaseMs : forMs
    add(key, ModelLease(token: token, deadlineMs: timeMs(key) + lengthMs, kind: .writer, holderID: connections[connection].id))
    keys[key].holdTick = tick
    keys[key].markBeforeHoldTick = keys[key].markTick
    keepStaleUntil(key, timeMs(key) + lengthMs)
    // The writer commits while it holds the key.
    keys[key].databaseVersion += 1
    won(key, connection, token, shown: -1, .writer)
    verify(key)
  }

  /// The writer's `md C<token>`, or a reader's way to release.
  func deleteByToken() {
    guard let index = anyFetch() else { return }
    let fetch = fetches.remove(at: index)
    var request = DeleteRequest()
    request.compare = fetch.token
    settleAndAsk(fetch.key, fetch.token, "delete") {
      $1.delete($0, nowMs: handedMs, request) == .deleted
    } ended: {
      if keys[fetch.key].leases[$0].kind == .writer {
        keys[fetch.key].deleteTick = tick
      }
      release(fetch.key, $0)
    }
  }

  func plainWrite() {
    let key = anyKey()
    keys[key].databaseVersion += 1
    var request = StoreRequest()
    request.plainWrites = profile.plainWrites
    if random.oneIn(4) { request.mode = random.pick([.add, .replace]) }
    write(key, request, readTick: tick + 1, databaseVersion: keys[key].databaseVersion)
  }

  /// Reads a value and its version, to write the next by them.
  func casRead() {
    let key = anyKey()
    begin(key)
    settle(key)
    var seen = Shown()
    ask(key) { name, partition in
      var result = ReadResult()
      guard partition.readFresh(name, nowMs: handedMs, into: &result.item) else { return }
      result.status = .hit
      seen = shown(key, result)
      showFresh(key, seen.serial, isClassic: true)
    }
    // A get is not told of the mark, and a hold does not change the version that it saw.
    if seen.serial >= 0, !isMarked(key, seen.serial), plannedCas.count < 8 {
      plannedCas.append(PlannedCas(key: key, version: seen.version, readTick: tick, databaseVersion: keys[key].databaseVersion))
    }
    note("read key \(key) for a cas: value \(seen.serial) version \(seen.version)")
    verify(key)
  }

  func casWrite() {
    guard !plannedCas.isEmpty else { return }
    let planned = plannedCas.remove(at: random.below(plannedCas.count))
    var request = StoreRequest()
    request.compare = planned.version
    request.isLeaseSet = random.oneIn(3)
    request.plainWrites = profile.plainWrites
    write(planned.key, request, readTick: planned.readTick, databaseVersion: planned.databaseVersion)
  }

  func increment() {
    let key = anyKey()
    begin(key)
    settle(key)
    var request = ArithmeticRequest()
    request.plainWrites = profile.plainWrites
    if random.oneIn(4), let fetch = fetches.last(where: { $0.key == key && $0.kind != .filler }) { request.compare = fetch.token }
    let wasGuarded = keys[key].guards
    let result = ask(key) { $1.arithmetic($0, nowMs: handedMs, request) }
    note("increment key \(key), compare \(request.compare ?? 0): \(result.status) \(result.number)")
    if result.status == .done {
      let serial = Int(result.number / ValueBytes.increments)
      if let token = request.compare {
        if leaseIndex(key, token) == nil { failDead(key, token, "an increment") }
      } else {
        expect(profile.plainWrites != .reject, .wrongReply, "key \(key): a plain increment was taken")
        expect(profile.plainWrites != .guarded || !wasGuarded, .wrongReply, "key \(key): an increment was taken while a lease was out")
      }
      expect(values.indices.contains(serial) && values[serial].key == key, .wrongValue, "key \(key): counted to \(result.number)")
      if failure == nil { counted(key, serial, isFill: request.compare != nil) }
    }
    verify(key)
  }

  private func counted(_ key: Int, _ serial: Int, isFill: Bool) {
    values[serial].increments += 1
    // As in memcached a value that was marked stale stays so, unless a holder changes it.
    if !isFill, isMarked(key, serial) { return }
    let current = keys[key].current
    wrote(key, serial)
    keys[key].isRewritten = false
    keys[key].current = isFill ? -1 : current
    if isFill { vouch(key, serial) }
  }

  private func isMarked(_ key: Int, _ serial: Int) -> Bool {
    let value = values[serial]
    if isKept(key, value), !value.isStaleOnly { return false }
    return value.isStaleOnly || (value.isUnprotected ? value.writtenTick : value.readTick) < keys[key].floorTick
  }

  /// A client without scruples says that an old value is right.
  private func vouch(_ key: Int, _ serial: Int) {
    values[serial].isUnprotected = true
    values[serial].isStaleOnly = false
    values[serial].writtenTick = tick
    values[serial].freshUntilMs = .max
    values[serial].goneMs = .max
  }

  /// `append`: a blank more, which does not change what the value says.
  func append() {
    let key = anyKey()
    begin(key)
    settle(key)
    var request = StoreRequest()
    request.mode = random.oneIn(2) ? .append : .prepend
    request.plainWrites = profile.plainWrites
    request.expiry = .never
    let blank: [UInt8] = [32]
    let result = blank.withUnsafeBytes { bytes in
      request.value = bytes.baseAddress
      request.count = 1
      return ask(key) { $1.store($0, nowMs: handedMs, request) }
    }
    note("append to key \(key): \(result.status)")
    if result.status == .stored {
      expect(profile.plainWrites != .reject, .wrongReply, "key \(key): a plain append was taken")
      // As in memcached, a value that was marked stale is so no more: the client has changed it without a token.
      for serial in values.indices where values[serial].key == key && isMarked(key, serial) { vouch(key, serial) }
      wrote(key, -1)
    }
    verify(key)
  }

  func touch() {
    let key = anyKey()
    begin(key)
    settle(key)
    let expiry = expiry()
    let isFound = ask(key) { $1.touch($0, nowMs: handedMs, expiry) }
    if isFound { noteTouch(key, expiry) }
    note("touch key \(key): \(isFound)")
    verify(key)
  }

  func flush() {
    for partition in 0..<store.partitionCount {
      begin(partition: partition)
      store.partition(partition).locked { $0.flush(nowMs: handedMs) }
      note("flush of partition \(partition)")
      for key in keys.indices where keys[key].partition == partition {
        keys[key].deleteTick = tick
        keys[key].flushTick = tick
        forgetLeases(key)
      }
      verifyAll(partition)
    }
  }

  /// After something that concerns all keys of a partition.
  func verifyAll(_ partition: Int) {
    for key in keys.indices where keys[key].partition == partition {
      verify(key)
      expected.removeAll(keepingCapacity: true)
    }
  }

  /// Other keys fill the memory.
  func pressure() {
    note("others fill the memory")
    let count = random.pick([10, 60, 150])
    for _ in 0..<count {
      let key = fillers.key(random.below(FillerKeys.most))
      let partition = store.partitionIndex(hash: key.hash)
      begin(partition: partition)
      var request = StoreRequest()
      request.plainWrites = .allow
      request.expiry = random.oneIn(2) ? .never : Expiry(atMs: nowMs + random.pick([200, 5_000, 60_000]))
      let size = random.pick([60, 900, 4_000, 7_000, 7_000])
      request.value = bytes.write(serial: 0, count: size)
      request.count = min(size, store.largestInlineBytes)
      _ = store.partition(partition).locked { $0.store(key, nowMs: handedMs, request) }
    }
    if random.oneIn(3), let large = store.reserveLarge(count: 40_000) {
      let key = fillers.key(random.below(FillerKeys.most))
      var request = StoreRequest()
      request.plainWrites = .allow
      request.large = large
      request.count = large.count
      begin(partition: store.partitionIndex(hash: key.hash))
      let result = store.partition(hash: key.hash).locked { $0.store(key, nowMs: handedMs, request) }
      if !result.tookLarge { large.release() }
    }
    store.drainDropped()
  }
}
