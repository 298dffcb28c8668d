/// Decimal numbers as memcached reads and writes them: an optional sign, then digits only; anything else is no number.
public enum Numbers {
  /// Digits only, up to 2^64 - 1.
  @inlinable
  public static func unsigned(_ token: Token) -> UInt64? {
    var digits = token
    if digits.count > 1, digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
    guard digits.count > 0 else { return nil }
    var value: UInt64 = 0
    for index in 0..<digits.count {
      let digit = digits.start.load(fromByteOffset: index, as: UInt8.self) &- 0x30
      guard digit <= 9 else { return nil }
      if index < 18 {
        value = value &* 10 &+ UInt64(digit)
      } else {
        let (product, isTooBig) = value.multipliedReportingOverflow(by: 10)
        let (sum, isOver) = product.addingReportingOverflow(UInt64(digit))
        guard !isTooBig, !isOver else { return nil }
        value = sum
      }
    }
    return value
  }

  @inlinable
  public static func unsigned32(_ token: Token) -> UInt32? {
    guard let value = unsigned(token) else { return nil }
    return UInt32(exactly: value)
  }

  @inlinable
  public static func signed64(_ token: Token) -> Int64? {
    if token.count > 1, token.first == UInt8(ascii: "-") {
      let rest = token.dropFirst()
      guard rest.first != UInt8(ascii: "+"), let magnitude = unsigned(rest), magnitude <= 1 << 63 else { return nil }
      return Int64(truncatingIfNeeded: 0 &- magnitude)
    }
    guard let value = unsigned(token) else { return nil }
    return Int64(exactly: value)
  }

  @inlinable
  public static func signed32(_ token: Token) -> Int32? {
    guard let value = signed64(token) else { return nil }
    return Int32(exactly: value)
  }

  /// Writes `value` in decimal and returns the place behind it. Needs room for 20 bytes.
  @inlinable
  public static func write(_ value: UInt64, to target: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    if value < 10 {
      target.storeBytes(of: 0x30 &+ UInt8(truncatingIfNeeded: value), as: UInt8.self)
      return target + 1
    }
    let count = digitCount(value)
    var rest = value
    var position = target + count
    let pairs = UnsafeRawPointer(Numbers.digitPairs.utf8Start)
    while rest >= 100 {
      let quotient = rest / 100
      position -= 2
      let pair = Int(truncatingIfNeeded: rest &- quotient &* 100)
      position.storeBytes(of: pairs.loadUnaligned(fromByteOffset: 2 &* pair, as: UInt16.self), as: UInt16.self)
      rest = quotient
    }
    if rest >= 10 {
      target.storeBytes(of: pairs.loadUnaligned(fromByteOffset: 2 &* Int(truncatingIfNeeded: rest), as: UInt16.self), as: UInt16.self)
    } else {
      target.storeBytes(of: 0x30 &+ UInt8(truncatingIfNeeded: rest), as: UInt8.self)
    }
    return target + count
  }

  /// `00` to `99`.
  @inlinable static var digitPairs: StaticString {
    """
    0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
    5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
    """
  }

  @inlinable
  public static func digitCount(_ value: UInt64) -> Int {
    var count = 1
    var rest = value
    while rest >= 10_000 {
      rest /= 10_000
      count &+= 4
    }
    if rest >= 1000 { return count &+ 3 }
    if rest >= 100 { return count &+ 2 }
    return rest >= 10 ? count &+ 1 : count
  }
}
