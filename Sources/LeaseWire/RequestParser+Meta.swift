extension RequestParser {
  /// `<key> [<datalen>] <flags>*`
  func parseMeta(_ cursor: inout LineCursor, _ request: inout Request) {
    guard let key = cursor.next() else {
      request.error = .unknownCommand
      return
    }
    request.key = key
    var tokens = 2
    if request.command == .metaSet {
      tokens = 3
      guard let length = cursor.next(), let count = Numbers.signed32(length), count >= 0, count <= Int32.max - 2 else {
        request.error = .badLine
        return
      }
      request.valueCount = Int(count)
      request.hasLength = true
    }
    cursor.skipSpaces()
    request.rest = Token(start: cursor.position, count: cursor.end - cursor.position)
    guard RequestParser.isValidKey(key) else {
      request.error = .badLine
      return
    }
    while let flag = cursor.nextShort() {
      tokens += 1
      guard tokens <= WireLimits.metaTokens else {
        request.error = .tooManyFlags
        return
      }
      let error = takeFlag(flag, &request)
      if error == .none { continue }
      request.error = error
      if error == .duplicateFlag || error == .invalidFlag { break }
    }
    if request.error != .none, request.command == .metaArithmetic, request.error != .opaqueTooLong, request.error != .badLeaseOption {
      request.error = .invalidOrDuplicateFlag
    }
    if request.error == .none { checkMode(&request) }
  }

  /// `me <key> [b]`
  func parseMetaDebug(_ cursor: inout LineCursor, _ request: inout Request) {
    guard let key = cursor.next(), RequestParser.isValidKey(key) else {
      request.error = .badLine
      return
    }
    request.key = key
    if let flag = cursor.next(), flag.equals("b"), takeFlag(flag, &request) != .none { request.error = .badLine }
  }

  /// `mx <opaque>`: the opaque is the request's key.
  func parseMetaCancel(_ cursor: inout LineCursor, _ request: inout Request) {
    guard let opaque = cursor.next(), opaque.count < WireLimits.opaqueBytes, cursor.next() == nil else {
      request.error = .badLine
      return
    }
    request.key = opaque
  }

  /// One flag of any meta command: memcached takes each with every command. Sets what it means.
  private func takeFlag(_ flag: Token, _ request: inout Request) -> WireError {
    let letter = flag.first
    guard letter < 127 else { return .duplicateFlag }
    let isLetter = (letter >= 65 && letter <= 90) || (letter >= 97 && letter <= 122)
    guard isLetter else { return .invalidFlag }
    let bit = MetaFlags.bit(letter)
    guard request.flags.bits & bit == 0 else { return .duplicateFlag }
    request.flags.bits |= bit
    let value = flag.dropFirst()
    switch letter {
    case UInt8(ascii: "k"), UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "c"), UInt8(ascii: "f"), UInt8(ascii: "v"),
      UInt8(ascii: "h"), UInt8(ascii: "l"), UInt8(ascii: "u"), UInt8(ascii: "x"), UInt8(ascii: "I"), UInt8(ascii: "P"):
      return .none
    case UInt8(ascii: "q"):
      request.isQuiet = true
      return .none
    case UInt8(ascii: "O"):
      return flag.count > WireLimits.opaqueBytes ? .opaqueTooLong : .none
    case UInt8(ascii: "b"):
      return decodeKey(&request)
    case UInt8(ascii: "M"):
      guard value.count == 1 else { return .badModeLength }
      request.mode = value.first
      return .none
    case UInt8(ascii: "L"):
      return ignoresLeaseOptions ? .none : RequestParser.takeLeaseOptions(value, &request)
    default:
      return takeNumber(letter, value, &request)
    }
  }

  private func takeNumber(_ letter: UInt8, _ value: Token, _ request: inout Request) -> WireError {
    switch letter {
    case UInt8(ascii: "N"):
      guard let number = Numbers.signed32(value) else { return .badToken }
      request.vivifyTime = number
    case UInt8(ascii: "T"):
      guard let number = Numbers.signed32(value) else { return .badToken }
      request.exptime = number
    case UInt8(ascii: "R"):
      guard let number = Numbers.signed32(value) else { return .badToken }
      request.refreshBelow = number
    case UInt8(ascii: "F"):
      guard let number = Numbers.unsigned32(value) else { return .badLine }
      request.clientFlags = number
    case UInt8(ascii: "C"):
      guard let number = Numbers.unsigned(value) else { return .badToken }
      request.number = number
      request.hasCompare = true
    case UInt8(ascii: "E"):
      guard let number = Numbers.unsigned(value) else { return .badToken }
      request.explicitVersion = number
      request.hasExplicitVersion = true
    case UInt8(ascii: "J"):
      guard let number = Numbers.unsigned(value) else { return .badInitial }
      request.initial = number
    case UInt8(ascii: "D"):
      guard let number = Numbers.unsigned(value) else { return .badMetaDelta }
      request.delta = number
    default:
      return .invalidFlag
    }
    return .none
  }

  private func decodeKey(_ request: inout Request) -> WireError {
    guard let count = Base64.decode(request.key.start, count: request.key.count, into: decodedKey), count > 0 else {
      return .badKeyEncoding
    }
    request.key = Token(start: UnsafeRawPointer(decodedKey), count: count)
    request.isKeyEncoded = true
    return .none
  }

  /// `w<ms>`, `l<ms>`, `f`, `h<n>` for mg, `g<seconds>` for ms, parted by commas. Another command, or another letter, is an error.
  static func takeLeaseOptions(_ text: Token, _ request: inout Request) -> WireError {
    var position = text.start
    let end = text.start + text.count
    while position < end {
      let letter = position.load(as: UInt8.self)
      position += 1
      let digits = position
      while position < end, position.load(as: UInt8.self) != UInt8(ascii: ",") { position += 1 }
      guard takeLeaseOption(letter, Token(start: digits, count: position - digits), &request) else { return .badLeaseOption }
      if position < end {
        position += 1
        if position == end { return .badLeaseOption }
      }
    }
    return .none
  }

  private static func takeLeaseOption(_ letter: UInt8, _ digits: Token, _ request: inout Request) -> Bool {
    if request.command == .metaGet, letter == UInt8(ascii: "f") {
      request.options.isFreshOnly = true
      return digits.count == 0
    }
    guard digits.count > 0, digits.first != UInt8(ascii: "+"), let number = Numbers.unsigned(digits) else { return false }
    switch (request.command, letter) {
    case (.metaGet, UInt8(ascii: "w")):
      request.options.waitMs = number
      request.options.hasWait = true
    case (.metaGet, UInt8(ascii: "l")):
      request.options.leaseMs = number
      request.options.hasLease = true
    case (.metaGet, UInt8(ascii: "h")):
      request.options.holders = number
    case (.metaSet, UInt8(ascii: "g")):
      request.options.graceSeconds = number
      request.options.hasGrace = true
    default:
      return false
    }
    return true
  }

  private func checkMode(_ request: inout Request) {
    guard request.mode != 0 else { return }
    if request.command == .metaSet {
      switch request.mode {
      case UInt8(ascii: "E"), UInt8(ascii: "A"), UInt8(ascii: "P"), UInt8(ascii: "R"), UInt8(ascii: "S"):
        return
      default:
        request.error = .badSetMode
      }
    } else if request.command == .metaArithmetic {
      switch request.mode {
      case UInt8(ascii: "I"), UInt8(ascii: "+"), UInt8(ascii: "D"), UInt8(ascii: "-"):
        return
      default:
        request.error = .badArithmeticMode
      }
    }
  }
}
