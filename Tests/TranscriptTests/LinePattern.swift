import Foundation

/// The numbers and words that a transcript has given names to so far. Different names always stand for different values.
struct Bindings {
  private(set) var values: [String: [UInt8]] = [:]

  /// Binds at first sight; later the value must be the same. A new name refuses a value that another name of a number already has.
  mutating func bind(_ name: String, _ value: [UInt8]) -> Bool {
    if let known = values[name] { return known == value }
    if LinePattern.isNumberName(name), values.contains(where: { LinePattern.isNumberName($0.key) && $0.value == value }) { return false }
    values[name] = value
    return true
  }
}

/// One line of a transcript with its escapes resolved: either what is sent (every name must be bound) or what is expected.
struct LinePattern: Sendable {
  enum Element: Equatable, Sendable {
    case literal([UInt8])
    /// Anything, also nothing.
    case any
    /// One or more bytes without a space.
    case word
    /// Decimal digits whose number lies in the range.
    case number(ClosedRange<UInt64>)
    /// `<token:a>`, `<version:a>`, `<word:a>`, sent with an offset when one is given.
    case named(String, offset: UInt64)
    /// `<time+n>`: seconds since 1970, when the line is sent.
    case time(Int64)
  }

  let source: String
  let elements: [Element]

  /// A lease token or a version: 2 ≤ n < 2^63.
  static func isNumberName(_ name: String) -> Bool { name.hasPrefix("token:") || name.hasPrefix("version:") }

  // MARK: Matching

  func matches(_ line: [UInt8], _ bindings: inout Bindings) -> Bool {
    var trial = bindings
    guard Self.match(elements[...], line[...], &trial) else { return false }
    bindings = trial
    return true
  }

  private static func match(_ elements: ArraySlice<Element>, _ line: ArraySlice<UInt8>, _ bindings: inout Bindings) -> Bool {
    guard let first = elements.first else { return line.isEmpty }
    let rest = elements.dropFirst()
    switch first {
    case .literal(let bytes):
      return starts(line, with: bytes) && match(rest, line.dropFirst(bytes.count), &bindings)
    case .any:
      var tail = line
      while true {
        var trial = bindings
        if match(rest, tail, &trial) {
          bindings = trial
          return true
        }
        if tail.isEmpty { return false }
        tail = tail.dropFirst()
      }
    case .word:
      let word = line.prefix { $0 != UInt8(ascii: " ") }
      return !word.isEmpty && match(rest, line.dropFirst(word.count), &bindings)
    case .number(let range):
      let digits = Array(line.prefix(while: isDigit))
      guard let value = number(digits), range.contains(value) else { return false }
      return match(rest, line.dropFirst(digits.count), &bindings)
    case .named(let name, offset: 0) where isNumberName(name):
      let digits = Array(line.prefix(while: isDigit))
      guard let value = number(digits), value >= 2, value < 1 << 63, bindings.bind(name, digits) else { return false }
      return match(rest, line.dropFirst(digits.count), &bindings)
    case .named(let name, offset: 0):
      let word = Array(line.prefix { $0 != UInt8(ascii: " ") })
      guard !word.isEmpty, bindings.bind(name, word) else { return false }
      return match(rest, line.dropFirst(word.count), &bindings)
    case .named, .time:
      return false
    }
  }

  /// By memcmp: blocks of some megabytes are compared, also in debug builds.
  private static func starts(_ line: ArraySlice<UInt8>, with bytes: [UInt8]) -> Bool {
    guard line.count >= bytes.count else { return false }
    return line.withUnsafeBytes { lineBytes in
      bytes.withUnsafeBytes { bytes in
        guard let start = lineBytes.baseAddress, let expected = bytes.baseAddress else { return bytes.isEmpty }
        return memcmp(start, expected, bytes.count) == 0
      }
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

  private static func number(_ digits: [UInt8]) -> UInt64? { UInt64(String(decoding: digits, as: UTF8.self)) }

  // MARK: Sending

  /// The bytes to send, or the first name that is not bound (or cannot be sent).
  func bytes(_ bindings: Bindings, timeSeconds: Int64) throws(TranscriptError) -> [UInt8] {
    var bytes: [UInt8] = []
    for element in elements {
      switch element {
      case .literal(let literal): bytes += literal
      case .time(let offset): bytes += Array(String(timeSeconds + offset).utf8)
      case .named(let name, offset: let offset):
        guard let value = bindings.values[name] else { throw TranscriptError("<\(name)> is sent before it was seen") }
        if offset == 0 {
          bytes += value
        } else {
          guard let number = Self.number(value) else { throw TranscriptError("<\(name)> is no number") }
          bytes += Array(String(number &+ offset).utf8)
        }
      case .any, .word, .number: throw TranscriptError("a wildcard cannot be sent: \(source)")
      }
    }
    return bytes
  }
}

struct TranscriptError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
