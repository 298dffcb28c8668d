/// Base64 with the standard alphabet and padding, as `b` keys use it.
public enum Base64 {
  /// Decodes into `target` (room for `count` bytes). Nil when the text is not valid base64 or is empty.
  public static func decode(_ source: UnsafeRawPointer, count: Int, into target: UnsafeMutableRawPointer) -> Int? {
    guard count > 0, count % 4 == 0 else { return nil }
    var padding = 0
    if source.load(fromByteOffset: count - 1, as: UInt8.self) == UInt8(ascii: "=") { padding = 1 }
    if padding == 1, source.load(fromByteOffset: count - 2, as: UInt8.self) == UInt8(ascii: "=") { padding = 2 }
    var written = 0
    for group in stride(from: 0, to: count, by: 4) {
      var bits: UInt32 = 0
      for index in group..<group + 4 {
        bits <<= 6
        if index >= count - padding { continue }
        guard let value = value(of: source.load(fromByteOffset: index, as: UInt8.self)) else { return nil }
        bits |= UInt32(value)
      }
      let bytes = group + 4 == count ? 3 - padding : 3
      for index in 0..<bytes {
        target.storeBytes(of: UInt8(truncatingIfNeeded: bits >> UInt32(16 - 8 * index)), toByteOffset: written, as: UInt8.self)
        written += 1
      }
    }
    return written
  }

  /// Encodes and returns the place behind the text. Needs room for `encodedCount(count)` bytes.
  public static func encode(
    _ source: UnsafeRawPointer, count: Int, into target: UnsafeMutableRawPointer
  ) -> UnsafeMutableRawPointer {
    var position = target
    var index = 0
    while index < count {
      let rest = min(3, count - index)
      var bits: UInt32 = 0
      for offset in 0..<3 {
        bits <<= 8
        if offset < rest { bits |= UInt32(source.load(fromByteOffset: index + offset, as: UInt8.self)) }
      }
      for sextet in 0..<4 {
        let isPadding = sextet > rest
        let letter = isPadding ? UInt8(ascii: "=") : letter(UInt8(truncatingIfNeeded: bits >> UInt32(18 - 6 * sextet)) & 63)
        position.storeBytes(of: letter, as: UInt8.self)
        position += 1
      }
      index += 3
    }
    return position
  }

  public static func encodedCount(_ count: Int) -> Int { (count + 2) / 3 * 4 }

  static func value(of byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - 65
    case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 97 + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 48 + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }

  static func letter(_ value: UInt8) -> UInt8 {
    switch value {
    case 0..<26: value + 65
    case 26..<52: value - 26 + 97
    case 52..<62: value - 52 + 48
    case 62: UInt8(ascii: "+")
    default: UInt8(ascii: "/")
    }
  }
}
