import LeaseCore
import LeaseWire

/// What one step of executing came to.
enum Step {
  /// Go on with what is there.
  case next
  /// Not complete: more bytes must come.
  case more
  /// A request waits in the store: those behind it wait, too.
  case waits
  case closes
}

/// The way of a connection's bytes: the common lines in groups, everything else one by one.
extension UnsafeMutablePointer where Pointee == Worker {
  /// Executes from `position` on and moves it behind what is done. Replies are in `output`, unless it had to be emptied on the way.
  func execute(
    _ connection: ConnectionPointer, _ position: inout UnsafeRawPointer, _ end: UnsafeRawPointer, _ store: Store
  ) -> ExecutionOutcome {
    pointee.isObserved = withShared { $0.isObserved }
    pointee.isCoalescing = store.coalescesGets
    var budget = pointee.requestsPerTurn
    while true {
      if pointee.output.isNearlyFull {
        guard connection.flush() else { return .broken }
      }
      if connection.pointee.phase == .line, connection.pointee.deferredCount > 0, !writeDeferred(connection, store) { return .broken }
      if connection.pointee.isBlocked { return .blocked }
      var step = Step.next
      if connection.pointee.phase == .line {
        if position == end { return .needsMore }
        if budget <= 0 { return .yields }
        if connection.pointee.isAuthenticated, !pointee.isObserved {
          gatherGroup(&position, end, budget, store)
          if pointee.groupCount > 0 {
            budget -= pointee.groupCount
            guard answerGroup(connection, &position, store) else { return .broken }
            continue
          }
        }
        budget -= 1
        step = runLine(connection, &position, end, store)
      } else {
        step = runPhase(connection, &position, end, &budget, store)
      }
      switch step {
      case .next: continue
      case .more: return connection.pointee.phase == .dump ? .yields : .needsMore
      case .waits: return .parked
      case .closes: return .closes
      }
    }
  }

  private func runPhase(
    _ connection: ConnectionPointer, _ position: inout UnsafeRawPointer, _ end: UnsafeRawPointer, _ budget: inout Int, _ store: Store
  ) -> Step {
    switch connection.pointee.phase {
    case .manyKeys:
      return runManyKeys(connection, &position, end, store)
    case .swallowLine:
      guard let newline = Scan.newline(position, end) else {
        position = end
        return .more
      }
      position = newline + 1
      connection.pointee.phase = .line
      return .next
    case .swallowData:
      let count = min(connection.pointee.remaining, end - position)
      position += count
      connection.pointee.remaining -= count
      guard connection.pointee.remaining == 0 else { return .more }
      connection.pointee.phase = .line
      return .next
    case .largeValue:
      return runLargeValue(connection, &position, end, store)
    case .dump:
      budget -= 1
      runDump(connection, store)
      return budget <= 0 ? .more : .next
    case .watching:
      position = end
      return .more
    case .parked, .awaitKeys:
      return .waits
    case .line:
      return .next
    }
  }

  // MARK: Groups of common lines

  /// Collects the plain lines that stand next, up to a group's size: parsed, hashed, their buckets on the way into the processor's cache.
  @inline(__always)
  private func gatherGroup(_ position: inout UnsafeRawPointer, _ end: UnsafeRawPointer, _ budget: Int, _ store: Store) {
    let limit = min(Worker.groupSize, budget)
    var count = 0
    let group = pointee.group
    let largestInline = min(pointee.largestInlineBytes, pointee.largestValueBytes)
    var place = position
    while count < limit, end - place >= 7 {
      let word = FastLine.word(place)
      let entry = group + count
      if word == FastLine.getWord {
        let keyCount = FastLine.getKey(place, end)
        if keyCount == 0 { break }
        entry.pointee.kind = .get
        entry.pointee.key = place + 4
        entry.pointee.keyCount = keyCount
        place += keyCount + 6
      } else if word & FastLine.metaMask == FastLine.metaGetWord {
        let line = FastLine.metaGet(place, end)
        if line.flagsCount == 0 { break }
        entry.pointee.kind = .metaGet
        entry.pointee.key = place + 3
        entry.pointee.keyCount = line.keyCount
        entry.pointee.flagsCount = line.flagsCount
        entry.pointee.wantsLease = line.wantsLease
        place += line.lineCount
      } else if word == FastLine.setWord {
        let line = FastLine.set(place, end)
        let value = place + line.lineCount
        guard line.lineCount > 0, line.valueCount <= largestInline, end - value >= line.valueCount + 2,
          (value + line.valueCount).loadUnaligned(as: UInt16.self).littleEndian == 0x0a0d
        else { break }
        entry.pointee.kind = .set
        entry.pointee.key = place + 4
        entry.pointee.keyCount = line.keyCount
        entry.pointee.set(line, value: value)
        place = value + (line.valueCount + 2)
      } else {
        break
      }
      entry.pointee.hash = store.hash(entry.pointee.key, count: entry.pointee.keyCount)
      store.prefetchBucket(hash: entry.pointee.hash)
      count += 1
    }
    pointee.groupCount = count
    position = place
  }

  /// Answers the group. When output is blocked or a request is parked on the way, `position` goes back to the first line that is not answered. False: broken.
  @inline(__always)
  private func answerGroup(_ connection: ConnectionPointer, _ position: inout UnsafeRawPointer, _ store: Store) -> Bool {
    let count = pointee.groupCount
    let group = pointee.group
    if count > 1 {
      for index in 0..<count { store.prefetchItem(hash: group[index].hash) }
    }
    pointee.groupCount = 0
    for index in 0..<count {
      if pointee.output.isNearlyFull {
        guard connection.flush() else { return false }
        if connection.pointee.isBlocked {
          position = lineStart(group + index)
          return true
        }
      }
      switch group[index].kind {
      case .get: answerGet(connection, group + index, store)
      case .metaGet: answerMetaGet(connection, group + index, store)
      case .set: answerSet(group + index, store)
      }
      if connection.pointee.phase != .line {
        if index + 1 < count { position = lineStart(group + index + 1) }
        return true
      }
    }
    return true
  }

  private func lineStart(_ entry: UnsafeMutablePointer<BatchEntry>) -> UnsafeRawPointer {
    entry.pointee.key - (entry.pointee.kind == .metaGet ? 3 : 4)
  }

  @inline(__always)
  private func answerGet(_ connection: ConnectionPointer, _ entry: UnsafeMutablePointer<BatchEntry>, _ store: Store) {
    let key = CacheKey(bytes: entry.pointee.key, count: entry.pointee.keyCount, hash: entry.pointee.hash)
    let partition = store.partition(hash: key.hash)
    var item = ItemView()
    var writer = pointee.output.writer
    partition.lock()
    if partition.readFresh(key, nowMs: pointee.nowMs, into: &item) {
      writer.valueLine(Token(start: key.bytes, count: key.count), clientFlags: item.clientFlags, count: item.count, version: nil)
      pointee.output.value(item, &writer)
    } else if pointee.isCoalescing {
      return missCoalesced(connection, key, partition, store)
    }
    partition.unlock()
    writer.end()
    pointee.output.take(writer)
  }

  /// A plain `get` of one key that missed, where gets are coalesced. The partition is locked, and unlocked here.
  @inline(never)
  private func missCoalesced(_ connection: ConnectionPointer, _ key: CacheKey, _ partition: Partition, _ store: Store) {
    connection.pointee.many = ManyKeys(keyCount: 1)
    let token = joinFetch(connection, key, partition)
    partition.unlock()
    if token != 0 { connection.hold(hash: key.hash, token: token, store: store, nowMs: pointee.nowMs) }
    if connection.pointee.many.waitingKeys > 0 { connection.pointee.phase = .awaitKeys } else { endKeys(connection) }
  }

  /// `mg <key> v` and other plain flags.
  @inline(__always)
  private func answerMetaGet(_ connection: ConnectionPointer, _ entry: UnsafeMutablePointer<BatchEntry>, _ store: Store) {
    let key = CacheKey(bytes: entry.pointee.key, count: entry.pointee.keyCount, hash: entry.pointee.hash)
    let partition = store.partition(hash: key.hash)
    var item = ItemView()
    partition.lock()
    guard partition.readValue(key, nowMs: pointee.nowMs, wantsLease: entry.pointee.wantsLease, into: &item) else {
      partition.unlock()
      return answerGenerally(connection, entry, store)
    }
    var writer = pointee.output.writer
    writer.valueHead(count: item.count)
    // More than ` v`.
    if entry.pointee.flagsCount > 2 { writeFlags(entry, item, &writer) }
    writer.lineEnd()
    pointee.output.value(item, &writer)
    partition.unlock()
    pointee.output.take(writer)
  }

  @inline(never)
  private func writeFlags(_ entry: UnsafeMutablePointer<BatchEntry>, _ item: ItemView, _ writer: inout ReplyWriter) {
    let key = Token(start: entry.pointee.key, count: entry.pointee.keyCount)
    let flags = Token(start: key.start + key.count, count: entry.pointee.flagsCount)
    writer.plainFlags(flags, key: key, version: item.version, clientFlags: item.clientFlags, count: item.count)
  }

  /// No plain hit.
  @inline(never)
  private func answerGenerally(_ connection: ConnectionPointer, _ entry: UnsafeMutablePointer<BatchEntry>, _ store: Store) {
    var position = lineStart(entry)
    let end = entry.pointee.key + (entry.pointee.keyCount + entry.pointee.flagsCount + 2)
    _ = runLine(connection, &position, end, store)
  }

  @inline(__always)
  private func answerSet(_ entry: UnsafeMutablePointer<BatchEntry>, _ store: Store) {
    let key = CacheKey(bytes: entry.pointee.key, count: entry.pointee.keyCount, hash: entry.pointee.hash)
    var request = StoreRequest()
    request.value = entry.pointee.value
    request.count = entry.pointee.valueCount
    request.clientFlags = entry.pointee.clientFlags
    request.expiry = Clock.expiry(seconds: entry.pointee.exptime, nowMs: pointee.nowMs)
    request.plainWrites = pointee.plainWrites
    let partition = store.partition(hash: key.hash)
    partition.lock()
    let status = partition.store(key, nowMs: pointee.nowMs, request).status
    partition.unlock()
    pointee.output.line(storeReply(status))
  }

  /// The line of the classic dialect.
  @inline(__always)
  func storeReply(_ status: StoreStatus) -> StaticString {
    switch status {
    case .stored: "STORED"
    case .staleStored: "STALE_STORED"
    case .notStored: "NOT_STORED"
    case .exists: "EXISTS"
    case .notFound: "NOT_FOUND"
    case .tokenRequired: ReplyLine.tokenRequired
    case .outOfMemory: ReplyLine.outOfMemory
    case .tooLarge: ReplyLine.tooLarge
    }
  }
}

/// Replies that several commands share.
enum ReplyLine {
  static var tokenRequired: StaticString { "CLIENT_ERROR lease token required" }
  static var outOfMemory: StaticString { "SERVER_ERROR out of memory storing object" }
  static var tooLarge: StaticString { "SERVER_ERROR object too large for cache" }
  static var busy: StaticString { "SERVER_ERROR 307 busy" }
}
