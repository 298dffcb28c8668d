import LeaseCore
import LeaseWire

/// The general way: one line, any command.
extension UnsafeMutablePointer where Pointee == Worker {
  /// One line from `position` on. `.more`: it is not complete, nothing happened.
  func runLine(
    _ connection: ConnectionPointer, _ position: inout UnsafeRawPointer, _ end: UnsafeRawPointer, _ store: Store
  ) -> Step {
    if position.load(as: UInt8.self) == 0x80 { return refuseBinary(&position, end) }
    guard connection.pointee.isAuthenticated else { return runAuthentication(connection, &position, end) }
    let request = pointee.request
    let head = RequestParser.manyKeysHead(position, end, into: &request.pointee)
    if head > 0 {
      beginManyKeys(connection, request)
      if pointee.isObserved { observeLine(connection, position, end) }
      position += head
      return .next
    }
    guard let line = takeLine(connection, position, end) else {
      return isTooLong(connection, &position, end) ? .next : .more
    }
    if pointee.isObserved { observeLine(connection, position, end) }
    pointee.line = Token(start: position, count: line.count)
    pointee.parser.parse(position, count: line.count, into: &request.pointee)
    let lineEnd = position + line.total
    if request.pointee.command.hasData {
      return runData(connection, request, &position, lineEnd, end, store)
    }
    position = lineEnd
    if request.pointee.error != .none {
      refuse(request)
      return .next
    }
    return runWithoutData(connection, request, store)
  }

  /// A whole line at `position`: its length without and with the line end. Nil: its end is not there, or it is too long.
  private func takeLine(
    _ connection: ConnectionPointer, _ position: UnsafeRawPointer, _ end: UnsafeRawPointer
  ) -> (count: Int, total: Int)? {
    guard let newline = Scan.newline(position, min(end, position + WireLimits.lineBytes + 1)) else { return nil }
    let total = newline + 1 - position
    let hasReturn = total > 1 && (newline - 1).load(as: UInt8.self) == 0x0d
    return (hasReturn ? total - 2 : total - 1, total)
  }

  /// A line that has no end within the limit is refused, its rest swallowed.
  func isTooLong(_ connection: ConnectionPointer, _ position: inout UnsafeRawPointer, _ end: UnsafeRawPointer) -> Bool {
    guard end - position > WireLimits.lineBytes else { return false }
    refuse(.lineTooLong)
    connection.pointee.phase = .swallowLine
    return true
  }

  /// A client of the binary protocol is told so in text and cut off.
  private func refuseBinary(_ position: inout UnsafeRawPointer, _ end: UnsafeRawPointer) -> Step {
    position = end
    pointee.output.line("CLIENT_ERROR the binary protocol is not supported, use the text protocol")
    pointee.counters.pointee.refusedLines.bump()
    return .closes
  }

  /// noreply keeps back every error but `ERROR`, as in memcached; the meta dialect always sends errors.
  private func refuse(_ request: UnsafeMutablePointer<Request>) {
    let error = request.pointee.error
    switch request.pointee.command {
    case .metaGet, .metaSet, .metaDelete, .metaArithmetic, .metaDebug, .metaCancel: refuse(error)
    default:
      if request.pointee.isQuiet, error != .unknownCommand {
        pointee.counters.pointee.refusedLines.bump()
      } else {
        refuse(error)
      }
    }
  }

  func refuse(_ error: WireError) {
    pointee.counters.pointee.refusedLines.bump()
    pointee.output.line(error.text)
  }

  /// A reply that `noreply` keeps back.
  @inline(__always)
  func reply(_ text: StaticString, unless isQuiet: Bool) {
    if !isQuiet { pointee.output.line(text) }
  }

  @inline(__always)
  func cacheKey(_ key: Token, _ store: Store) -> CacheKey {
    CacheKey(bytes: key.start, count: key.count, hash: store.hash(key.start, count: key.count))
  }

  private func runWithoutData(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, _ store: Store) -> Step {
    switch request.pointee.command {
    case .metaCancel:
      cancelParked(connection, request.pointee.key, store)
    case .metaGet, .metaDelete, .metaArithmetic, .metaDebug, .metaNoop:
      runMeta(connection, request, store)
    case .incr, .decr, .touch, .delete, .metaget:
      runSimple(connection, request, store)
    case .leaseExtend, .leaseRelease, .leasePass, .leaseKeep, .leaseHold, .leaseRevoke:
      runLease(connection, request, store)
    default:
      return runAdministration(connection, request, store)
    }
    return .next
  }

  // MARK: Commands with a data block

  /// The line is parsed and ends at `lineEnd`; its data block follows. `position` moves only when something was done.
  private func runData(
    _ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, _ position: inout UnsafeRawPointer,
    _ lineEnd: UnsafeRawPointer, _ end: UnsafeRawPointer, _ store: Store
  ) -> Step {
    if request.pointee.error != .none {
      refuse(request)
      position = lineEnd
      if request.pointee.hasLength { swallow(connection, request.pointee.valueCount + 2) }
      return .next
    }
    let count = request.pointee.valueCount
    let isMessage = request.pointee.command == .leaseFail
    if count > (isMessage ? CommandLimits.failureMessageBytes : pointee.largestValueBytes) {
      refuseTooLarge(request, store)
      position = lineEnd
      swallow(connection, count + 2)
      return .next
    }
    if count > pointee.largestInlineBytes, !isMessage {
      return beginLarge(connection, request, &position, lineEnd, end, store)
    }
    guard end - lineEnd >= count + 2 else {
      if pointee.isOverloaded, connection.pointee.inputCapacity < count {
        refuseBusy(request)
        position = lineEnd
        swallow(connection, count + 2)
        return .next
      }
      connection.pointee.neededBytes = lineEnd - position + count + 2
      return .more
    }
    position = lineEnd + (count + 2)
    guard isDataEnd(lineEnd + count) else {
      refuseDataChunk(request)
      return .next
    }
    finishData(connection, request, value: lineEnd, large: nil, store)
    return .next
  }

  func isDataEnd(_ place: UnsafeRawPointer) -> Bool { place.loadUnaligned(as: UInt16.self).littleEndian == 0x0a0d }

  private func swallow(_ connection: ConnectionPointer, _ count: Int) {
    connection.pointee.remaining = count
    connection.pointee.phase = .swallowData
  }

  private func refuseBusy(_ request: UnsafeMutablePointer<Request>) {
    pointee.counters.pointee.busyReplies.bump()
    reply(ReplyLine.busy, unless: request.pointee.isQuiet && request.pointee.command != .metaSet)
  }

  /// The meta dialect always sends errors.
  func refuseDataChunk(_ request: UnsafeMutablePointer<Request>) {
    pointee.counters.pointee.refusedLines.bump()
    reply(WireError.badDataChunk.text, unless: request.pointee.isQuiet && request.pointee.command != .metaSet)
  }

  /// As memcached, a set that fails for its size leaves no older value behind, where the writer was entitled to replace it.
  private func refuseTooLarge(_ request: UnsafeMutablePointer<Request>, _ store: Store) {
    reply(ReplyLine.tooLarge, unless: request.pointee.isQuiet && request.pointee.command != .metaSet)
    guard request.pointee.command != .leaseFail else { return }
    dropFailedSet(request, store, isTooLarge: true)
  }

  /// Counts a set that cannot be carried out, and removes what it meant to replace.
  func dropFailedSet(_ request: UnsafeMutablePointer<Request>, _ store: Store, isTooLarge: Bool) {
    let key = cacheKey(request.pointee.key, store)
    let isPlainSet = request.pointee.command == .set || (request.pointee.command == .metaSet && request.pointee.mode == 0)
    store.partition(hash: key.hash).locked { partition in
      if isTooLarge {
        partition.counters.storeTooLarge &+= 1
      } else {
        partition.counters.storeNoMemory &+= 1
      }
      if isPlainSet, !request.pointee.hasCompare, partition.plainWrites(key, pointee.plainWrites) == .allow {
        let before = partition.counters
        _ = partition.delete(key, nowMs: pointee.nowMs, DeleteRequest())
        // Nobody asked for a deletion.
        partition.counters.deleteHits = before.deleteHits
        partition.counters.deleteMisses = before.deleteMisses
      }
    }
  }

  // MARK: Large values

  /// Takes memory for a value that is not copied, remembers the line, and receives straight into that memory from here on.
  private func beginLarge(
    _ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, _ position: inout UnsafeRawPointer,
    _ lineEnd: UnsafeRawPointer, _ end: UnsafeRawPointer, _ store: Store
  ) -> Step {
    let count = request.pointee.valueCount
    let lineStart = position
    position = lineEnd
    if !request.pointee.hasCompare, refusesPlainWrite(cacheKey(request.pointee.key, store), store) {
      reply(ReplyLine.tokenRequired, unless: request.pointee.isQuiet && request.pointee.command != .metaSet)
      swallow(connection, count + 2)
      return .next
    }
    guard let value = store.reserveLarge(count: count) else {
      reply(ReplyLine.outOfMemory, unless: request.pointee.isQuiet && request.pointee.command != .metaSet)
      dropFailedSet(request, store, isTooLarge: false)
      swallow(connection, count + 2)
      return .next
    }
    let lineCount = lineEnd - lineStart
    let line = UnsafeMutableRawPointer.allocate(byteCount: lineCount, alignment: 8)
    line.copyMemory(from: lineStart, byteCount: lineCount)
    let received = min(count, end - lineEnd)
    value.bytes.copyMemory(from: lineEnd, byteCount: received)
    position = lineEnd + received
    connection.pointee.largeWrite = LargeWrite(value: value, received: received, line: line, lineCount: lineCount)
    connection.pointee.phase = .largeValue
    return .next
  }

  /// Counts a refusal where plain writes are not taken at all.
  private func refusesPlainWrite(_ key: CacheKey, _ store: Store) -> Bool {
    store.partition(hash: key.hash).locked { partition in
      guard partition.plainWrites(key, pointee.plainWrites) == .reject else { return false }
      partition.counters.plainWritesRefused &+= 1
      return true
    }
  }

  /// More of a large value, and in the end its line end and the command itself.
  func runLargeValue(
    _ connection: ConnectionPointer, _ position: inout UnsafeRawPointer, _ end: UnsafeRawPointer, _ store: Store
  ) -> Step {
    guard let value = connection.pointee.largeWrite.value, let line = connection.pointee.largeWrite.line else {
      connection.pointee.phase = .line
      return .next
    }
    let received = connection.pointee.largeWrite.received
    let count = min(value.count - received, end - position)
    if count > 0 {
      (value.bytes + received).copyMemory(from: position, byteCount: count)
      connection.pointee.largeWrite.received += count
      position += count
    }
    guard connection.pointee.largeWrite.received == value.count, end - position >= 2 else { return .more }
    let isValid = isDataEnd(position)
    position += 2
    connection.pointee.phase = .line
    // The line was parsed before: what it says is still there, in a copy.
    let hasReturn =
      connection.pointee.largeWrite.lineCount > 1
      && line.load(fromByteOffset: connection.pointee.largeWrite.lineCount - 2, as: UInt8.self) == 0x0d
    pointee.parser.parse(
      line, count: connection.pointee.largeWrite.lineCount - (hasReturn ? 2 : 1), into: &pointee.request.pointee)
    if isValid {
      finishData(connection, pointee.request, value: UnsafeRawPointer(value.bytes), large: value, store)
    } else {
      refuseDataChunk(pointee.request)
      value.release()
    }
    line.deallocate()
    connection.pointee.largeWrite = LargeWrite()
    return .next
  }
}

/// The bounds of single commands.
enum CommandLimits {
  /// The longest message of `lease-fail`.
  static let failureMessageBytes = 1024
}
