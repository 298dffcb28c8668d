import LeaseCore
import LeaseWire

/// `get gets gat gats lease-get`: keys are executed as they are parsed, so that a line of any length needs no memory.
extension UnsafeMutablePointer where Pointee == Worker {
  func beginManyKeys(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>) {
    if request.pointee.error != .none {
      refuse(request.pointee.error)
      connection.pointee.phase = .swallowLine
      return
    }
    connection.pointee.phase = .manyKeys
    connection.pointee.many = ManyKeys(
      command: request.pointee.command, exptime: request.pointee.exptime, keyCount: 0, outputMark: pointee.output.ownCount)
  }

  /// As many keys as are there, up to a group.
  func runManyKeys(
    _ connection: ConnectionPointer, _ position: inout UnsafeRawPointer, _ end: UnsafeRawPointer, _ store: Store
  ) -> Step {
    var keys = 0
    var stop = KeyStop.key
    var place = position
    let group = pointee.group
    while keys < Worker.groupSize {
      var key = Token(start: place, count: 0)
      stop = nextKey(&place, end, &key)
      guard stop == .key else { break }
      let hash = store.hash(key.start, count: key.count)
      store.prefetchBucket(hash: hash)
      group[keys].key = key.start
      group[keys].keyCount = key.count
      group[keys].hash = hash
      keys += 1
    }
    if keys > 1 {
      for index in 0..<keys { store.prefetchItem(hash: group[index].hash) }
    }
    for index in 0..<keys {
      if pointee.output.isNearlyFull {
        // What could not be sent blocks the connection: go on here when it has drained.
        guard connection.flush() else {
          connection.pointee.isClosing = true
          return .closes
        }
        if connection.pointee.isBlocked {
          position = group[index].key
          return .next
        }
      }
      connection.pointee.many.keyCount += 1
      answerKey(connection, group + index, store)
    }
    position = place
    return finishKeys(connection, stop, store)
  }

  private func finishKeys(_ connection: ConnectionPointer, _ stop: KeyStop, _ store: Store) -> Step {
    switch stop {
    case .key: return .next
    case .incomplete: return .more
    case .invalid:
      // As memcached, the error replaces what the line has answered, if that is not sent yet.
      if connection.pointee.many.waitingKeys > 0 { dropParked(connection, onlyKeys: true, store) }
      if connection.pointee.many.outputMark >= 0 { pointee.output.rewind(toOwn: connection.pointee.many.outputMark) }
      refuse(.badLine)
      connection.pointee.phase = .swallowLine
      return .next
    case .lineEnd:
      connection.pointee.phase = .line
      if connection.pointee.many.keyCount == 0 {
        refuse(.unknownCommand)
      } else if connection.pointee.many.waitingKeys > 0 {
        connection.pointee.phase = .awaitKeys
      } else {
        endKeys(connection)
      }
      return .next
    }
  }

  /// `END`, and the next line.
  func endKeys(_ connection: ConnectionPointer) {
    connection.pointee.phase = .line
    var writer = pointee.output.writer
    writer.end()
    pointee.output.take(writer)
  }

  private enum KeyStop { case key, lineEnd, incomplete, invalid }

  /// The next key, when it is complete. Moves `place` behind it, or behind the line end.
  private func nextKey(_ place: inout UnsafeRawPointer, _ end: UnsafeRawPointer, _ key: inout Token) -> KeyStop {
    while place < end, place.load(as: UInt8.self) == 0x20 { place += 1 }
    let stop = Scan.tokenEnd(place, end)
    let count = stop - place
    guard count <= WireLimits.keyBytes else { return .invalid }
    guard stop < end else { return .incomplete }
    let byte = stop.load(as: UInt8.self)
    var isLineEnd = byte == 0x0a
    if byte == 0x0d {
      guard stop + 1 < end else { return .incomplete }
      isLineEnd = (stop + 1).load(as: UInt8.self) == 0x0a
    }
    guard isLineEnd || byte == 0x20 else { return .invalid }
    if count == 0 {
      place = stop + (byte == 0x0d ? 2 : 1)
      return .lineEnd
    }
    key = Token(start: place, count: count)
    place = stop
    return .key
  }

  private func answerKey(_ connection: ConnectionPointer, _ entry: UnsafeMutablePointer<BatchEntry>, _ store: Store) {
    let key = CacheKey(bytes: entry.pointee.key, count: entry.pointee.keyCount, hash: entry.pointee.hash)
    switch connection.pointee.many.command {
    case .get: answerClassic(connection, key, withVersion: false, store)
    case .gets: answerClassic(connection, key, withVersion: true, store)
    case .leaseGet: answerLeaseGet(connection, key, store)
    default: answerTouching(connection, key, store)
    }
  }

  private func answerClassic(_ connection: ConnectionPointer, _ key: CacheKey, withVersion: Bool, _ store: Store) {
    let partition = store.partition(hash: key.hash)
    var item = ItemView()
    partition.lock()
    let isHit = partition.readFresh(key, nowMs: pointee.nowMs, into: &item)
    var token: UInt64 = 0
    if isHit {
      valueReply(key, item, withVersion: withVersion)
    } else if pointee.isCoalescing {
      token = joinFetch(connection, key, partition)
    }
    partition.unlock()
    if token != 0 { connection.hold(hash: key.hash, token: token, store: store, nowMs: pointee.nowMs) }
    if pointee.isObserved { observeGet(connection, key, isHit: isHit, count: item.count) }
  }

  private func answerTouching(_ connection: ConnectionPointer, _ key: CacheKey, _ store: Store) {
    var options = ReadOptions()
    options.touch = Clock.expiry(seconds: connection.pointee.many.exptime, nowMs: pointee.nowMs)
    var result = ReadResult()
    let partition = store.partition(hash: key.hash)
    partition.lock()
    partition.read(key, nowMs: pointee.nowMs, options, into: &result)
    let isHit = result.status == .hit
    var token: UInt64 = 0
    if isHit {
      valueReply(key, result.item, withVersion: connection.pointee.many.command == .gats)
    } else if pointee.isCoalescing {
      token = joinFetch(connection, key, partition)
    }
    partition.unlock()
    if token != 0 { connection.hold(hash: key.hash, token: token, store: store, nowMs: pointee.nowMs) }
    if pointee.isObserved { observeGet(connection, key, isHit: isHit, count: result.item.count) }
  }

  /// A key of a `get` missed where gets are coalesced: it waits for the one that fetches, or is the one. Returns the mark's token, to be held
  /// after unlocking; 0: none.
  func joinFetch(_ connection: ConnectionPointer, _ key: CacheKey, _ partition: Partition) -> UInt64 {
    switch partition.joinFetch(key, nowMs: pointee.nowMs, holderID: connection.pointee.id) {
    case .none: return 0
    case .filler(let token): return token
    case .waiter(let waitMs):
      var options = ReadOptions()
      options.holderID = connection.pointee.id
      let line = Token(start: key.bytes, count: key.count)
      if park(connection, key, partition, options, isPlain: true, waitMs: waitMs, .key, line: line, opaque: nil) {
        connection.pointee.many.waitingKeys += 1
      }
      return 0
    }
  }

  func valueReply(_ key: CacheKey, _ item: ItemView, withVersion: Bool) {
    var writer = pointee.output.writer
    writer.valueLine(
      Token(start: key.bytes, count: key.count), clientFlags: item.clientFlags, count: item.count,
      version: withVersion ? item.version : nil)
    pointee.output.value(item, &writer)
    pointee.output.take(writer)
  }

  /// One key of `lease-get`: always an answer of its own.
  private func answerLeaseGet(_ connection: ConnectionPointer, _ key: CacheKey, _ store: Store) {
    var result = ReadResult()
    let partition = store.partition(hash: key.hash)
    partition.lock()
    // The common case: a fresh value that no lease rule touches.
    if partition.readValue(key, nowMs: pointee.nowMs, into: &result.item) {
      valueReply(key, result.item, withVersion: false)
      partition.unlock()
      if pointee.isObserved { observeGet(connection, key, isHit: true, count: result.item.count) }
      return
    }
    var options = ReadOptions()
    options.kind = .lease
    options.wantsLease = true
    options.knowsLeases = true
    options.holderID = connection.pointee.id
    partition.read(key, nowMs: pointee.nowMs, options, into: &result)
    leaseReply(Token(start: key.bytes, count: key.count), result)
    partition.unlock()
    if result.isWon { connection.hold(hash: key.hash, token: result.token, store: store, nowMs: pointee.nowMs) }
    if pointee.isObserved { observeRead(connection, key, result) }
  }

  private func leaseReply(_ key: Token, _ result: ReadResult) {
    var writer = pointee.output.writer
    switch result.status {
    case .hit:
      if result.isStale {
        writer.leaseValueLine(key, token: result.token, clientFlags: result.item.clientFlags, count: result.item.count)
      } else {
        writer.valueLine(key, clientFlags: result.item.clientFlags, count: result.item.count, version: nil)
      }
      pointee.output.value(result.item, &writer)
    case .failed:
      writer.leaseFailLine(key, remainingMs: result.remainingMs, count: result.messageCount)
      if let message = result.messageBytes { writer.bytes(message, result.messageCount) }
      writer.lineEnd()
    case .granted, .hotMiss, .passed, .miss:
      writer.leaseValueLine(key, token: result.token, clientFlags: 0, count: 0)
      writer.lineEnd()
    }
    pointee.output.take(writer)
  }
}
