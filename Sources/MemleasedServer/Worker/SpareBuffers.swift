/// Input buffers that no connection uses now. Large values that arrive in pieces need one each for a moment: from the allocator it would be
/// faulted in page by page every time. Invariant: at most `most`, each of `smallestBytes` to `largestBytes`.
struct SpareBuffers {
  struct Buffer {
    let memory: UnsafeMutableRawPointer
    let capacity: Int
  }

  static let most = 16
  static let smallestBytes = 32 << 10
  static let largestBytes = 256 << 10

  private var spare: [Buffer] = []

  init() { spare.reserveCapacity(Self.most) }

  /// At least so many bytes, and not many times more. O(1): there are few spares.
  mutating func take(_ bytes: Int) -> Buffer {
    if bytes >= Self.smallestBytes, let index = spare.lastIndex(where: { $0.capacity >= bytes && $0.capacity <= 2 * bytes }) {
      return spare.remove(at: index)
    }
    return Buffer(memory: .allocate(byteCount: bytes, alignment: 16), capacity: bytes)
  }

  mutating func give(_ buffer: Buffer) {
    if spare.count < Self.most, buffer.capacity >= Self.smallestBytes, buffer.capacity <= Self.largestBytes {
      spare.append(buffer)
    } else {
      buffer.memory.deallocate()
    }
  }

  mutating func free() {
    for buffer in spare { buffer.memory.deallocate() }
    spare = []
  }
}
