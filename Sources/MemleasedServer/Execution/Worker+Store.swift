import LeaseCore
import LeaseWire

/// Commands whose data block has come.
extension UnsafeMutablePointer where Pointee == Worker {
  /// `large`: the value's own allocation, which goes to the store or is released here.
  func finishData(
    _ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, value: UnsafeRawPointer, large: LargeValue?, _ store: Store
  ) {
    if request.pointee.command == .leaseFail { return runLeaseFail(connection, request, message: value, store) }
    let key = cacheKey(request.pointee.key, store)
    if request.pointee.command == .leaseSet, request.pointee.exptime < 0 {
      large?.release()
      return releaseBySet(connection, request, key, store)
    }
    let write = storeRequest(request, value: value, large: large)
    let partition = store.partition(hash: key.hash)
    partition.lock()
    var result = partition.store(key, nowMs: pointee.nowMs, write)
    partition.unlock()
    if result.wantedLargeBytes > 0 { result = store.storeJoined(key, nowMs: pointee.nowMs, write, wantedBytes: result.wantedLargeBytes) }
    if let large, !result.tookLarge { large.release() }
    if pointee.isObserved { observeStore(connection, request, result.status) }
    if request.pointee.command == .metaSet {
      metaStoreReply(request, result)
    } else {
      reply(storeReply(result.status), unless: request.pointee.isQuiet)
    }
  }

  private func storeRequest(_ request: UnsafeMutablePointer<Request>, value: UnsafeRawPointer, large: LargeValue?) -> StoreRequest {
    var write = StoreRequest()
    write.value = value
    write.count = request.pointee.valueCount
    write.large = large
    write.clientFlags = request.pointee.clientFlags
    write.expiry = Clock.expiry(seconds: request.pointee.exptime, nowMs: pointee.nowMs)
    write.plainWrites = pointee.plainWrites
    if request.pointee.hasCompare { write.compare = request.pointee.number }
    switch request.pointee.command {
    case .add: write.mode = .add
    case .replace: write.mode = .replace
    case .append: write.mode = .append
    case .prepend: write.mode = .prepend
    case .leaseSet: write.isLeaseSet = true
    case .metaSet: metaStore(request, &write)
    default: break
    }
    return write
  }

  private func metaStore(_ request: UnsafeMutablePointer<Request>, _ write: inout StoreRequest) {
    switch request.pointee.mode {
    case UInt8(ascii: "E"): write.mode = .add
    case UInt8(ascii: "A"): write.mode = .append
    case UInt8(ascii: "P"): write.mode = .prepend
    // With a version to compare, replace is what set is: both want the value that has it.
    case UInt8(ascii: "R"): write.mode = request.pointee.hasCompare ? .set : .replace
    default: break
    }
    if write.mode == .append || write.mode == .prepend, request.pointee.flags.has("N") {
      write.vivify = true
      write.expiry = Clock.expiry(seconds: request.pointee.vivifyTime, nowMs: pointee.nowMs)
    }
    write.invalidate = request.pointee.flags.has("I") && request.pointee.hasCompare
    if request.pointee.hasExplicitVersion { write.explicitVersion = request.pointee.explicitVersion }
    if request.pointee.options.hasGrace { write.graceMs = min(request.pointee.options.graceSeconds, CommandTimes.longestSeconds) &* 1000 }
  }

  /// `HD`, `NS`, `EX`, `NF` with the flags asked back; errors in words.
  private func metaStoreReply(_ request: UnsafeMutablePointer<Request>, _ result: StoreResult) {
    let code: StaticString
    switch result.status {
    case .stored, .staleStored:
      if request.pointee.isQuiet { return }
      code = "HD"
    case .notStored: code = "NS"
    case .exists: code = "EX"
    case .notFound: code = "NF"
    case .tokenRequired, .outOfMemory, .tooLarge:
      return pointee.output.line(storeReply(result.status))
    }
    var values = MetaValues()
    values.letters = MetaValues.storeLetters
    values.version = result.version
    values.sizeBytes = result.count
    var writer = pointee.output.writer
    writer.text(code)
    writer.metaFlags(request.pointee, values)
    writer.lineEnd()
    pointee.output.take(writer)
  }

  // MARK: Commands of one line

  /// incr, decr, touch, delete, metaget.
  func runSimple(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, _ store: Store) {
    let key = cacheKey(request.pointee.key, store)
    let partition = store.partition(hash: key.hash)
    let isQuiet = request.pointee.isQuiet
    switch request.pointee.command {
    case .touch:
      let expiry = Clock.expiry(seconds: request.pointee.exptime, nowMs: pointee.nowMs)
      let isFound = partition.locked { $0.touch(key, nowMs: pointee.nowMs, expiry) }
      reply(isFound ? "TOUCHED" : "NOT_FOUND", unless: isQuiet)
    case .delete:
      let status = partition.locked { $0.delete(key, nowMs: pointee.nowMs, DeleteRequest()) }
      if pointee.isObserved { observeDelete(request, status) }
      reply(status == .deleted ? "DELETED" : "NOT_FOUND", unless: isQuiet)
    case .metaget:
      replyMetaget(request, partition, key)
    default:
      var change = ArithmeticRequest()
      change.isDecrement = request.pointee.command == .decr
      change.delta = request.pointee.number
      change.plainWrites = pointee.plainWrites
      let result = partition.locked { $0.arithmetic(key, nowMs: pointee.nowMs, change) }
      if !isQuiet { arithmeticReply(result) }
    }
  }

  private func arithmeticReply(_ result: ArithmeticResult) {
    switch result.status {
    case .done:
      var writer = pointee.output.writer
      writer.number(result.number)
      writer.lineEnd()
      pointee.output.take(writer)
    case .notFound: pointee.output.line("NOT_FOUND")
    case .notNumeric: pointee.output.line("CLIENT_ERROR cannot increment or decrement non-numeric value")
    case .exists: pointee.output.line("EXISTS")
    case .notStored: pointee.output.line("NOT_STORED")
    case .tokenRequired: pointee.output.line(ReplyLine.tokenRequired)
    case .outOfMemory: pointee.output.line("SERVER_ERROR out of memory")
    }
  }

  /// `META <key> age: <seconds>; exptime: <unix or 0>; from: unknown; is_transient: 0`, then `END`.
  private func replyMetaget(_ request: UnsafeMutablePointer<Request>, _ partition: Partition, _ key: CacheKey) {
    var writer = pointee.output.writer
    var description = ItemDescription()
    partition.lock()
    if partition.describe(key, nowMs: pointee.nowMs, into: &description) {
      writer.text("META ")
      writer.token(request.pointee.key)
      writer.text(" age: ")
      writer.number(description.ageSeconds)
      writer.text("; exptime: ")
      writer.number(description.item.expiry == .never ? 0 : description.item.expiry.atMs / 1000)
      writer.text("; from: unknown; is_transient: 0")
      writer.lineEnd()
    }
    partition.unlock()
    writer.end()
    pointee.output.take(writer)
  }
}

/// Times that clients give are cut to these, so that sums of them do not overflow.
enum CommandTimes {
  /// A hundred years.
  static let longestSeconds: UInt64 = 100 * 366 * 86_400
  static let longestMs: UInt64 = longestSeconds * 1000
}
