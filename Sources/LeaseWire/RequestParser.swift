/// Reads one line into a `Request`, in place. Holds only what lives as long as its owner: where a decoded key goes.
public struct RequestParser {
  /// Room for a decoded key: `WireLimits.keyBytes`. A request with `b` points into it until the next parse.
  public let decodedKey: UnsafeMutableRawPointer
  /// memcached mode: the `L` flag means nothing.
  public let ignoresLeaseOptions: Bool

  public init(decodedKey: UnsafeMutableRawPointer, ignoresLeaseOptions: Bool) {
    self.decodedKey = decodedKey
    self.ignoresLeaseOptions = ignoresLeaseOptions
  }

  /// Parses `count` bytes without the line end. `request` is reset first; see its `error`.
  public func parse(_ line: UnsafeRawPointer, count: Int, into request: inout Request) {
    request = Request()
    var cursor = LineCursor(line, count: count)
    guard let word = cursor.next() else {
      request.error = .unknownCommand
      return
    }
    request.command = RequestParser.command(word)
    switch request.command {
    case .unknown:
      request.error = .unknownCommand
    case .set, .add, .replace, .append, .prepend, .cas:
      parseStorage(&cursor, &request)
    case .metaGet, .metaDelete, .metaArithmetic, .metaSet:
      parseMeta(&cursor, &request)
    case .metaCancel:
      parseMetaCancel(&cursor, &request)
    case .metaDebug:
      parseMetaDebug(&cursor, &request)
    case .incr, .decr, .touch, .delete:
      parseSimple(&cursor, &request)
    case .leaseSet, .leaseExtend, .leaseRelease, .leaseFail, .leasePass, .leaseKeep, .leaseHold, .leaseRevoke:
      parseLease(&cursor, &request)
    case .metaget:
      _ = takeKey(&cursor, &request)
    default:
      break
    }
    if request.rest.count == 0 {
      request.rest = Token(start: cursor.position, count: cursor.end - cursor.position)
    }
    if !isMeta(request.command), RequestParser.endsInNoreply(line, count) {
      // `delete noreply` names a key.
      request.isQuiet = request.command != .delete || !request.key.equals("noreply") || request.key.start + 7 != cursor.position
    }
  }

  private func isMeta(_ command: Command) -> Bool {
    switch command {
    case .metaGet, .metaSet, .metaDelete, .metaArithmetic, .metaDebug, .metaNoop, .metaCancel: true
    default: false
    }
  }

  // MARK: Heads of multi-key commands

  /// If a line that takes any number of keys starts here, reads its head (command, and exptime for `gat`) and returns how many bytes
  /// that was; the keys follow. 0: it is another command, or more bytes must come first.
  public static func manyKeysHead(_ start: UnsafeRawPointer, _ end: UnsafeRawPointer, into request: inout Request) -> Int {
    var cursor = LineCursor(start, count: end - start)
    cursor.skipSpaces()
    let wordStart = cursor.position
    cursor.position = Scan.tokenEnd(wordStart, end)
    guard cursor.position < end else { return 0 }
    let command = command(Token(start: wordStart, count: cursor.position - wordStart))
    guard command.takesManyKeys else { return 0 }
    request.command = command
    request.error = .none
    guard command == .gat || command == .gats else { return cursor.position - start }
    cursor.skipSpaces()
    let timeStart = cursor.position
    cursor.position = Scan.tokenEnd(timeStart, end)
    guard cursor.position < end else { return 0 }
    if cursor.position == timeStart {
      request.error = .unknownCommand
    } else if let exptime = Numbers.signed32(Token(start: timeStart, count: cursor.position - timeStart)) {
      request.exptime = exptime
    } else {
      request.error = .badExptime
    }
    return cursor.position - start
  }

  // MARK: Classic

  /// `<key> <flags> <exptime> <bytes> [<cas unique>]`
  private func parseStorage(_ cursor: inout LineCursor, _ request: inout Request) {
    guard let key = cursor.next(), let flags = cursor.next(), let exptime = cursor.next(), let length = cursor.next() else {
      request.error = .unknownCommand
      return
    }
    request.key = key
    let unique = request.command == .cas ? cursor.next() : nil
    if request.command == .cas, unique == nil {
      request.error = .unknownCommand
      return
    }
    guard takeLength(length, &request) else { return }
    if let unique {
      guard let number = Numbers.unsigned(unique) else {
        request.error = .badLine
        return
      }
      request.number = number
      request.hasCompare = true
    }
    guard let clientFlags = Numbers.unsigned32(flags), let seconds = Numbers.signed32(exptime), RequestParser.isValidKey(key) else {
      request.error = .badLine
      return
    }
    request.clientFlags = clientFlags
    request.exptime = seconds
    if hasTooMany(&cursor) { request.error = .unknownCommand }
  }

  /// One more word may follow, `noreply` as a rule.
  private func hasTooMany(_ cursor: inout LineCursor) -> Bool { cursor.next() != nil && cursor.next() != nil }

  /// `<key> [<number>]`
  private func parseSimple(_ cursor: inout LineCursor, _ request: inout Request) {
    guard let key = cursor.next() else {
      request.error = .unknownCommand
      return
    }
    request.key = key
    let argument = cursor.next()
    if request.command == .delete {
      if !RequestParser.isValidKey(key) { request.error = .badLine }
      checkDelete(argument, &cursor, &request)
      return
    }
    guard let argument else {
      request.error = .unknownCommand
      return
    }
    if request.command == .touch {
      if let exptime = Numbers.signed32(argument) { request.exptime = exptime } else { request.error = .badExptime }
    } else {
      if let delta = Numbers.unsigned(argument) { request.number = delta } else { request.error = .badDelta }
    }
    if !RequestParser.isValidKey(key) { request.error = .badLine }
    if hasTooMany(&cursor) { request.error = .unknownCommand }
  }

  /// Only `0`, `noreply` or both may follow the key of a delete.
  private func checkDelete(_ first: Token?, _ cursor: inout LineCursor, _ request: inout Request) {
    guard let first else { return }
    if let second = cursor.next() {
      if cursor.next() != nil {
        request.error = .unknownCommand
      } else if !first.equals("0") || !second.equals("noreply") {
        request.error = .badDelete
      }
    } else if !first.equals("0"), !first.equals("noreply") {
      request.error = .badDelete
    }
  }

  private func takeLength(_ token: Token, _ request: inout Request) -> Bool {
    guard let length = Numbers.signed32(token), length >= 0, length <= Int32.max - 2 else {
      request.error = .badLine
      return false
    }
    request.valueCount = Int(length)
    request.hasLength = true
    return true
  }

  private func takeKey(_ cursor: inout LineCursor, _ request: inout Request) -> Bool {
    guard let key = cursor.next() else {
      request.error = .unknownCommand
      return false
    }
    request.key = key
    guard RequestParser.isValidKey(key) else {
      request.error = .badLine
      return false
    }
    return true
  }

  // MARK: Leases

  private func parseLease(_ cursor: inout LineCursor, _ request: inout Request) {
    guard let key = cursor.next() else {
      request.error = .unknownCommand
      return
    }
    request.key = key
    if request.command != .leaseHold, request.command != .leaseRevoke {
      guard let token = cursor.next() else {
        request.error = .unknownCommand
        return
      }
      if let number = Numbers.unsigned(token) { request.number = number } else { request.error = .badLine }
      request.hasCompare = true
    }
    switch request.command {
    case .leaseSet:
      guard let flags = cursor.next(), let exptime = cursor.next(), let length = cursor.next() else {
        request.error = .unknownCommand
        return
      }
      guard takeLength(length, &request) else { return }
      if let value = Numbers.unsigned32(flags) { request.clientFlags = value } else { request.error = .badLine }
      if let value = Numbers.signed32(exptime) { request.exptime = value } else { request.error = .badLine }
    case .leaseFail:
      guard takeMilliseconds(&cursor, &request), let length = cursor.next() else {
        if request.error == .none { request.error = .unknownCommand }
        return
      }
      guard takeLength(length, &request) else { return }
    case .leaseExtend, .leasePass, .leaseHold:
      guard takeMilliseconds(&cursor, &request) else { return }
    case .leaseKeep:
      guard let exptime = cursor.next() else {
        request.error = .unknownCommand
        return
      }
      if let value = Numbers.signed32(exptime) { request.exptime = value } else { request.error = .badExptime }
    default:
      break
    }
    if !RequestParser.isValidKey(key) { request.error = .badLine }
  }

  /// False only when the argument is missing; a bad number is noted and parsing goes on, so that a data block is still found.
  private func takeMilliseconds(_ cursor: inout LineCursor, _ request: inout Request) -> Bool {
    guard let token = cursor.next() else {
      request.error = .unknownCommand
      return false
    }
    if let value = Numbers.unsigned(token) { request.milliseconds = value } else { request.error = .badLine }
    return true
  }

  // MARK: Helpers

  /// 1...250 bytes without a control character. (A token never has a space.)
  @inlinable
  public static func isValidKey(_ key: Token) -> Bool {
    key.count > 0 && key.count <= WireLimits.keyBytes && Scan.tokenEnd(key.start, key.start + key.count) == key.start + key.count
  }

  static func endsInNoreply(_ line: UnsafeRawPointer, _ count: Int) -> Bool {
    var length = count
    while length > 0, line.load(fromByteOffset: length - 1, as: UInt8.self) == 0x20 { length -= 1 }
    guard length > 8, line.load(fromByteOffset: length - 1, as: UInt8.self) == UInt8(ascii: "y") else { return false }
    return line.load(fromByteOffset: length - 8, as: UInt8.self) == 0x20 && Scan.equals(line + (length - 7), 7, "noreply")
  }
}
