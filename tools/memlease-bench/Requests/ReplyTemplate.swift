#if os(Linux)
  /// A reply that differs from the next only in key and value.
  /// Invariant: it matches when three masked words do; every load lies within `length`, or within 8 bytes behind it.
  struct ReplyTemplate {
    let outcome: Outcome
    let length: Int
    let valueOffset: Int
    private let head: MaskedWord
    private let middle: MaskedWord
    private let tail: MaskedWord

    init(outcome: Outcome, head: String, keyBytes: Int = 0, middle: String = "", valueBytes: Int = 0, tail: String = "") {
      self.outcome = outcome
      let middleStart = head.utf8.count + keyBytes
      valueOffset = middleStart + middle.utf8.count
      let tailStart = valueOffset + valueBytes
      length = tailStart + tail.utf8.count
      self.head = MaskedWord(Array(head.utf8), at: 0)
      self.middle = MaskedWord(Array(middle.utf8), at: middleStart)
      self.tail = MaskedWord(Array(tail.utf8), at: tailStart)
    }

    @inline(__always)
    func matches(_ reply: UnsafeRawPointer) -> Bool { head.matches(reply) && middle.matches(reply) && tail.matches(reply) }

    /// Up to the last eight bytes of a piece of text, as one word.
    private struct MaskedWord {
      let offset: Int
      var mask: UInt64 = 0
      var expected: UInt64 = 0

      init(_ text: [UInt8], at start: Int) {
        let skipped = max(0, text.count - 8)
        offset = start + skipped
        for (index, byte) in text.dropFirst(skipped).enumerated() {
          mask |= 0xFF << UInt64(8 * index)
          expected |= UInt64(byte) << UInt64(8 * index)
        }
      }

      @inline(__always)
      func matches(_ reply: UnsafeRawPointer) -> Bool { reply.loadUnaligned(fromByteOffset: offset, as: UInt64.self) & mask == expected }
    }
  }
#endif
