import LeaseCore
import LeaseWire

/// `mg`, `md`, `ma`, `me`, `mn`.
extension UnsafeMutablePointer where Pointee == Worker {
  func runMeta(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, _ store: Store) {
    if request.pointee.command == .metaNoop { return pointee.output.line("MN") }
    let key = cacheKey(request.pointee.key, store)
    switch request.pointee.command {
    case .metaGet: runMetaGet(connection, key, store)
    case .metaDelete: runMetaDelete(connection, request, key, store)
    case .metaArithmetic: runMetaArithmetic(request, key, store)
    default: runMetaDebug(request, key, store)
    }
  }

  // MARK: mg

  /// The request is in `pointee.request`.
  func runMetaGet(_ connection: ConnectionPointer, _ key: CacheKey, _ store: Store) {
    let request = pointee.request
    var result = ReadResult()
    let partition = store.partition(hash: key.hash)
    partition.lock()
    // A fresh value that no lease rule touches: whatever lease was asked for, it is a plain hit.
    if request.pointee.flags.bits & Self.carefulFlags == 0,
      partition.readPlain(key, nowMs: pointee.nowMs, wantsLease: request.pointee.wantsLease, into: &result.item)
    {
      result.status = .hit
      hitReply(request, result, nil)
      partition.unlock()
      if pointee.isObserved { observeRead(connection, key, result) }
      return
    }
    let options = readOptions(connection, request)
    let oldExpiry = options.touch == nil ? nil : expiryBeforeTouch(request, partition, key)
    partition.read(key, nowMs: pointee.nowMs, options, into: &result)
    if result.status != .hit, parks(connection, key, partition, options, &result) { return partition.unlock() }
    metaGetReply(request, &result, oldExpiry)
    partition.unlock()
    if result.isGrant { connection.hold(hash: key.hash, token: result.token, store: store, nowMs: pointee.nowMs) }
    if pointee.isObserved { observeRead(connection, key, result) }
  }

  /// Flags that change what a read does to a fresh value.
  private static var carefulFlags: UInt64 {
    MetaFlags.bit(UInt8(ascii: "T")) | MetaFlags.bit(UInt8(ascii: "R")) | MetaFlags.bit(UInt8(ascii: "u"))
  }

  /// A request with `Lw` that finds another holder waits, and so does one without lease options where gets are coalesced. The partition is
  /// locked. False: it is to be answered now.
  private func parks(
    _ connection: ConnectionPointer, _ key: CacheKey, _ partition: Partition, _ options: ReadOptions, _ result: inout ReadResult
  ) -> Bool {
    let request = pointee.request
    var waitMs = request.pointee.options.waitMs
    let isPlain = !request.pointee.options.hasWait
    if isPlain {
      guard pointee.isCoalescing, !options.knowsLeases else { return false }
      switch partition.joinFetch(key, nowMs: pointee.nowMs, holderID: options.holderID) {
      case .none: return false
      case .filler(let token):
        result.token = token
        return false
      case .waiter(let coalesceMs): waitMs = coalesceMs
      }
    } else if result.status != .hotMiss, result.status != .passed {
      return false
    }
    let opaque = opaque(request)
    // In order behind its own wait the holder's fill would never be read.
    if opaque == nil, partition.isHeld(key, nowMs: pointee.nowMs, by: options.holderID) { return false }
    guard
      park(
        connection, key, partition, options, isPlain: isPlain, waitMs: waitMs, opaque == nil ? .inOrder : .outOfOrder,
        line: pointee.line, opaque: opaque)
    else { return false }
    if opaque == nil { connection.pointee.phase = .parked }
    return true
  }

  private func opaque(_ request: UnsafeMutablePointer<Request>) -> Token? {
    guard request.pointee.flags.has("O") else { return nil }
    var cursor = LineCursor(request.pointee.rest.start, count: request.pointee.rest.count)
    while let flag = cursor.nextShort() {
      if flag.first == UInt8(ascii: "O") { return flag.dropFirst() }
    }
    return nil
  }

  private func readOptions(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>) -> ReadOptions {
    var options = ReadOptions()
    options.kind = .meta
    let flags = request.pointee.flags
    let hasOptions = flags.has("L") && !pointee.isMemcachedMode
    options.wantsLease = request.pointee.wantsLease
    options.knowsLeases = flags.has("N") || flags.has("R") || hasOptions
    options.freshOnly = request.pointee.options.isFreshOnly
    options.leavesAccessAlone = flags.has("u")
    if request.pointee.options.hasLease {
      options.leaseMs = min(request.pointee.options.leaseMs, CommandTimes.longestMs)
    } else if request.pointee.vivifyTime > 0 {
      options.leaseMs = UInt64(request.pointee.vivifyTime) &* 1000
    }
    if flags.has("R") { options.refreshBelowMs = Int64(request.pointee.refreshBelow) &* 1000 }
    options.holders = Int(clamping: min(request.pointee.options.holders, 1 << 20))
    if flags.has("T") { options.touch = Clock.expiry(seconds: request.pointee.exptime, nowMs: pointee.nowMs) }
    options.holderID = connection.pointee.id
    return options
  }

  /// A `t` that stands before `T` tells the time before the change.
  private func expiryBeforeTouch(_ request: UnsafeMutablePointer<Request>, _ partition: Partition, _ key: CacheKey) -> Expiry? {
    guard request.pointee.flags.has("t") else { return nil }
    var cursor = LineCursor(request.pointee.rest.start, count: request.pointee.rest.count)
    while let flag = cursor.nextShort() {
      if flag.first == UInt8(ascii: "T") { return nil }
      if flag.first == UInt8(ascii: "t") { break }
    }
    var description = ItemDescription()
    return partition.describe(key, nowMs: pointee.nowMs, into: &description) ? description.item.expiry : nil
  }

  func metaGetReply(_ request: UnsafeMutablePointer<Request>, _ result: inout ReadResult, _ oldExpiry: Expiry?) {
    switch result.status {
    case .hit: hitReply(request, result, oldExpiry)
    case .granted, .hotMiss: stubReply(request, result)
    case .failed where request.pointee.flags.has("L"): failureReply(request, result)
    case .passed where request.pointee.flags.has("L"): codeReply(request, "PS")
    case .miss, .failed, .passed:
      if !request.pointee.isQuiet { codeReply(request, "EN") }
    }
  }

  private func codeReply(_ request: UnsafeMutablePointer<Request>, _ code: StaticString) {
    var writer = pointee.output.writer
    writer.text(code)
    writer.metaFlags(request.pointee, MetaValues())
    writer.lineEnd()
    pointee.output.take(writer)
  }

  private func hitReply(_ request: UnsafeMutablePointer<Request>, _ result: ReadResult, _ oldExpiry: Expiry?) {
    var writer = pointee.output.writer
    // With `C` a reader that has this very version is spared the value.
    let isKnown = request.pointee.hasCompare && result.item.version == request.pointee.number
    let sendsValue = request.pointee.flags.has("v") && !isKnown
    if sendsValue { writer.valueHead(count: result.item.count) } else { writer.text("HD") }
    if request.pointee.rest.count > 0 {
      var values = MetaValues()
      values.letters = MetaValues.readLetters
      values.version = result.isWon ? result.token : result.item.version
      values.clientFlags = result.item.clientFlags
      values.sizeBytes = result.item.count
      values.secondsLeft = Clock.secondsLeft(oldExpiry ?? result.item.expiry, nowMs: pointee.nowMs)
      values.idleSeconds = result.item.idleSeconds
      values.wasFetched = result.item.wasFetched
      writer.metaFlags(request.pointee, values)
    }
    leaseMarks(&writer, result)
    writer.lineEnd()
    if sendsValue { pointee.output.value(result.item, &writer) }
    pointee.output.take(writer)
  }

  /// An owed key: an empty value, with `W` for who shall fetch it and `Z` for the others.
  private func stubReply(_ request: UnsafeMutablePointer<Request>, _ result: ReadResult) {
    var writer = pointee.output.writer
    let hasValue = request.pointee.flags.has("v")
    writer.text(hasValue ? "VA 0" : "HD")
    if request.pointee.rest.count > 0 {
      var values = MetaValues()
      values.letters = MetaValues.readLetters
      values.version = result.token
      values.secondsLeft = Int64(clamping: (result.remainingMs &+ 999) / 1000)
      writer.metaFlags(request.pointee, values)
    }
    leaseMarks(&writer, result)
    writer.lineEnd()
    if hasValue { writer.lineEnd() }
    pointee.output.take(writer)
  }

  /// `Z`, `X`, `W`, as memcached orders them.
  private func leaseMarks(_ writer: inout ReplyWriter, _ result: ReadResult) {
    if result.isOwed { writer.flag(UInt8(ascii: "Z")) }
    if result.isStale { writer.flag(UInt8(ascii: "X")) }
    if result.isWon { writer.flag(UInt8(ascii: "W")) }
  }

  /// `FA <bytes> <flags>*` and the message.
  private func failureReply(_ request: UnsafeMutablePointer<Request>, _ result: ReadResult) {
    var writer = pointee.output.writer
    writer.text("FA ")
    writer.number(UInt64(UInt(bitPattern: result.messageCount)))
    writer.metaFlags(request.pointee, MetaValues())
    writer.lineEnd()
    if let message = result.messageBytes { writer.bytes(message, result.messageCount) }
    writer.lineEnd()
    pointee.output.take(writer)
  }

  // MARK: md

  private func runMetaDelete(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, _ key: CacheKey, _ store: Store) {
    var change = DeleteRequest()
    let flags = request.pointee.flags
    if request.pointee.hasCompare { change.compare = request.pointee.number }
    change.invalidate = flags.has("I")
    change.removeValue = flags.has("x")
    if flags.has("T") { change.touch = Clock.expiry(seconds: request.pointee.exptime, nowMs: pointee.nowMs) }
    if request.pointee.hasExplicitVersion { change.explicitVersion = request.pointee.explicitVersion }
    change.clientFlags = request.pointee.clientFlags
    let status = store.partition(hash: key.hash).locked { $0.delete(key, nowMs: pointee.nowMs, change) }
    if pointee.isObserved { observeDelete(request, status) }
    switch status {
    case .deleted:
      if !request.pointee.isQuiet { codeReply(request, "HD") }
    case .notFound: codeReply(request, "NF")
    case .exists: codeReply(request, "EX")
    case .outOfMemory: pointee.output.line("SERVER_ERROR out of memory")
    }
  }

  // MARK: ma

  private func runMetaArithmetic(_ request: UnsafeMutablePointer<Request>, _ key: CacheKey, _ store: Store) {
    var change = ArithmeticRequest()
    let flags = request.pointee.flags
    change.isDecrement = request.pointee.mode == UInt8(ascii: "D") || request.pointee.mode == UInt8(ascii: "-")
    change.delta = request.pointee.delta
    change.initial = request.pointee.initial
    if flags.has("N") { change.vivifyExpiry = Clock.expiry(seconds: request.pointee.vivifyTime, nowMs: pointee.nowMs) }
    if flags.has("T") { change.touch = Clock.expiry(seconds: request.pointee.exptime, nowMs: pointee.nowMs) }
    if request.pointee.hasCompare { change.compare = request.pointee.number }
    if request.pointee.hasExplicitVersion { change.explicitVersion = request.pointee.explicitVersion }
    change.plainWrites = pointee.plainWrites
    let partition = store.partition(hash: key.hash)
    partition.lock()
    let shownExpiry = expiryAsWritten(request, &change, partition, key)
    var result = partition.arithmetic(key, nowMs: pointee.nowMs, change)
    partition.unlock()
    if let shownExpiry { result.expiry = shownExpiry }
    switch result.status {
    case .done:
      if !request.pointee.isQuiet { numberReply(request, result) }
    case .notFound: codeReply(request, "NF")
    case .exists: codeReply(request, "EX")
    case .notStored: codeReply(request, "NS")
    case .notNumeric: pointee.output.line("CLIENT_ERROR cannot increment or decrement non-numeric value")
    case .tokenRequired: pointee.output.line(ReplyLine.tokenRequired)
    case .outOfMemory: pointee.output.line("SERVER_ERROR out of memory")
    }
  }

  /// memcached applies `T`, and `N` where it creates, in the order of the flags: the last one decides, and a `t` tells the time as of
  /// its place. Nil: there is no such order to keep.
  private func expiryAsWritten(
    _ request: UnsafeMutablePointer<Request>, _ change: inout ArithmeticRequest, _ partition: Partition, _ key: CacheKey
  ) -> Expiry? {
    let flags = request.pointee.flags
    guard (flags.has("T") || flags.has("N")) && flags.has("t") || flags.has("T") && flags.has("N") else { return nil }
    var description = ItemDescription()
    let exists = partition.describe(key, nowMs: pointee.nowMs, into: &description)
    var now = exists ? description.item.expiry : .never
    var shown: Expiry? = nil
    var cursor = LineCursor(request.pointee.rest.start, count: request.pointee.rest.count)
    while let flag = cursor.nextShort() {
      switch flag.first {
      case UInt8(ascii: "t"): shown = now
      case UInt8(ascii: "T"): now = change.touch ?? now
      case UInt8(ascii: "N"): if !exists { now = change.vivifyExpiry ?? now }
      default: break
      }
    }
    if !exists, change.vivifyExpiry != nil { change.vivifyExpiry = now }
    return shown
  }

  private func numberReply(_ request: UnsafeMutablePointer<Request>, _ result: ArithmeticResult) {
    var writer = pointee.output.writer
    let hasValue = request.pointee.flags.has("v")
    if hasValue { writer.valueHead(count: Numbers.digitCount(result.number)) } else { writer.text("HD") }
    var values = MetaValues()
    values.letters = MetaValues.arithmeticLetters
    values.version = result.version
    values.secondsLeft = Clock.secondsLeft(result.expiry, nowMs: pointee.nowMs)
    writer.metaFlags(request.pointee, values)
    writer.lineEnd()
    if hasValue {
      writer.number(result.number)
      writer.lineEnd()
    }
    pointee.output.take(writer)
  }

  // MARK: me

  /// `ME <key> exp=<seconds or -1> la=<seconds> cas=<version> fetch=<yes|no> cls=<class> size=<bytes>`.
  private func runMetaDebug(_ request: UnsafeMutablePointer<Request>, _ key: CacheKey, _ store: Store) {
    pointee.counters.pointee.metaCommands.bump()
    var writer = pointee.output.writer
    var description = ItemDescription()
    let partition = store.partition(hash: key.hash)
    partition.lock()
    if partition.describe(key, nowMs: pointee.nowMs, into: &description) {
      writer.text("ME ")
      if request.pointee.isKeyEncoded {
        writer.position = Base64.encode(key.bytes, count: key.count, into: writer.position)
      } else {
        writer.token(request.pointee.key)
      }
      writer.text(" exp=")
      writer.signed(Clock.secondsLeft(description.item.expiry, nowMs: pointee.nowMs))
      writer.text(" la=")
      writer.number(description.item.idleSeconds)
      describe(&writer, description)
    } else {
      writer.text("EN")
    }
    partition.unlock()
    writer.lineEnd()
    pointee.output.take(writer)
  }

  /// ` cas=... fetch=... cls=... size=...`, as `me` and the dumps end.
  func describe(_ writer: inout ReplyWriter, _ description: ItemDescription) {
    writer.text(" cas=")
    writer.number(description.item.version)
    writer.text(description.item.wasFetched ? " fetch=yes cls=" : " fetch=no cls=")
    writer.number(UInt64(UInt(bitPattern: description.classIndex)))
    writer.text(" size=")
    writer.number(UInt64(UInt(bitPattern: description.sizeBytes)))
  }
}
