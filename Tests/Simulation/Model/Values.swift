import LeaseCore

/// What the simulation knows of one value that it wrote, by its serial number.
struct ValueFacts {
  var key: Int
  /// When it was read from the database.
  var readTick: Int
  var databaseVersion: Int
  var writtenTick: Int
  var count: Int
  var freshUntilMs: Milliseconds
  var goneMs: Milliseconds
  /// Written without a token by a client that read the database before: nothing protects it.
  var isUnprotected = false
  /// Taken as a stale value only.
  var isStaleOnly = false
  /// The same, by `ms I`: memcached's readers see it, too.
  var isMarked = false
  var increments = 0
}

/// Values as bytes: a decimal number that says the serial, blanks, and in long ones the serial again as the last eight bytes.
struct ValueBytes {
  static let mostBytes = 48 << 10
  static let increments: UInt64 = 1_000
  private let scratch: UnsafeMutableRawPointer
  private var lastTail = 0

  init() {
    scratch = .allocate(byteCount: Self.mostBytes, alignment: 8)
    scratch.initializeMemory(as: UInt8.self, repeating: 32, count: Self.mostBytes)
  }

  func free() { scratch.deallocate() }

  /// Valid until the next call.
  mutating func write(serial: Int, count: Int) -> UnsafeRawPointer {
    (scratch + lastTail).initializeMemory(as: UInt8.self, repeating: 32, count: 8)
    scratch.initializeMemory(as: UInt8.self, repeating: 32, count: 24)
    var number = UInt64(serial) * Self.increments
    var digits = 0
    var rest = number
    repeat {
      digits += 1
      rest /= 10
    } while rest > 0
    for place in (0..<digits).reversed() {
      scratch.storeBytes(of: UInt8(48 + number % 10), toByteOffset: place, as: UInt8.self)
      number /= 10
    }
    if count >= 64 {
      lastTail = count - 8
      scratch.storeBytes(of: UInt64(serial), toByteOffset: lastTail, as: UInt64.self)
    }
    return UnsafeRawPointer(scratch)
  }

  /// The serial; nil: not a number.
  static func serial(_ bytes: UnsafeRawPointer?, _ count: Int) -> Int? {
    guard let bytes else { return nil }
    var index = 0
    while index < count, bytes.load(fromByteOffset: index, as: UInt8.self) == 32 { index += 1 }
    let first = index
    var number: UInt64 = 0
    while index < count, index < first + 19 {
      let digit = bytes.load(fromByteOffset: index, as: UInt8.self)
      guard digit >= 48, digit <= 57 else { break }
      number = number * 10 + UInt64(digit - 48)
      index += 1
    }
    // Nothing but blanks were appended to an empty value.
    if index == count, first == count, count < 64 { return -1 }
    return index == first ? nil : Int(truncatingIfNeeded: number / increments)
  }

  /// Whether the end of a long value belongs to its beginning; an increment fills it with blanks.
  static func isWhole(_ bytes: UnsafeRawPointer, _ count: Int, serial: Int) -> Bool {
    let tail = bytes.loadUnaligned(fromByteOffset: count - 8, as: UInt64.self)
    return tail == UInt64(serial) || tail == 0x2020_2020_2020_2020
  }
}
