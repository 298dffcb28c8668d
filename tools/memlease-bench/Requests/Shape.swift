#if os(Linux)
  import Glibc

  /// The sizes and times to live of every key and value, and how to render them. They are functions of the key's number alone, whatever the seed:
  /// whoever reads a key knows what must have been written there, by another run, too.
  struct Shape: Sendable {
    var keyBytes: Distribution
    var valueBytes: Distribution
    var ttlSeconds = Distribution(0)

    func keyBytes(of number: Int) -> Int { keyBytes.only ?? keyBytes.value(at: Self.point(number, 1)) }
    func valueBytes(of number: Int) -> Int { valueBytes.only ?? valueBytes.value(at: Self.point(number, 2)) }
    func ttlSeconds(of number: Int) -> Int { ttlSeconds.only ?? ttlSeconds.value(at: Self.point(number, 3)) }

    private static func point(_ number: Int, _ what: UInt64) -> Double {
      var random = SplitMix(seed: UInt64(truncatingIfNeeded: number) &* 4 &+ what)
      return random.nextUnit()
    }

    /// A `k`, then the number, padded with zeros.
    func appendKey(_ number: Int, to bytes: inout [UInt8]) {
      let start = bytes.count
      let count = keyBytes(of: number)
      bytes.append(UInt8(ascii: "k"))
      for _ in 1..<count { bytes.append(UInt8(ascii: "0")) }
      var rest = number
      var at = start + count - 1
      while rest > 0 && at > start {
        bytes[at] = UInt8(ascii: "0") + UInt8(rest % 10)
        rest /= 10
        at -= 1
      }
    }

    /// Of a key that `appendKey` wrote.
    func number(ofKey key: UnsafeBufferPointer<UInt8>) -> Int {
      key.suffix(18).reduce(0) { $1 >= 0x30 && $1 <= 0x39 ? $0 * 10 + Int($1 - 0x30) : 0 }
    }

    /// The key's last eight bytes, then filler: a reader can tell whose value it got.
    func appendValue(_ number: Int, to bytes: inout [UInt8]) {
      let start = bytes.count
      let count = valueBytes(of: number)
      appendKey(number, to: &bytes)
      if bytes.count - start > 8 { bytes.removeSubrange(start..<(bytes.count - 8)) }
      let missing = count - (bytes.count - start)
      if missing > 0 { bytes.append(contentsOf: repeatElement(UInt8(ascii: "x"), count: missing)) } else { bytes.removeLast(-missing) }
    }

    /// Whether a value of this key must look so: its length, and as much of its tag as fits.
    func isValue(_ value: UnsafePointer<UInt8>, _ count: Int, ofKey key: UnsafeBufferPointer<UInt8>) -> Bool {
      guard let start = key.baseAddress, count == valueBytes.only ?? valueBytes(of: number(ofKey: key)) else { return false }
      let tagBytes = min(8, key.count)
      return memcmp(start + key.count - tagBytes, value, min(tagBytes, count)) == 0
    }

    /// How many different keys there can be.
    var keyLimit: Int {
      var limit = 1
      for _ in 1..<min(keyBytes.least, 10) { limit *= 10 }
      return limit
    }

    /// Of an average request that writes.
    var meanBytes: Int { Int(keyBytes.mean + valueBytes.mean) + 64 }
  }
#endif
