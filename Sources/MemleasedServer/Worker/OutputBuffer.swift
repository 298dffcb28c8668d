import LeaseCore
import LeaseWire

/// Where a large value goes in a worker's output: behind the first `offset` bytes of the flat buffer. Holds one reference.
struct OutputCut {
  var offset: Int
  var value: LargeValue
}

/// A worker's replies until they are sent: flat bytes, and large values that are sent from where they lie.
/// Invariant: `start <= count <= capacity`, no cut lies before `start`, cuts are in the order of their offsets.
struct OutputBuffer {
  let base: UnsafeMutableRawPointer
  let capacity: Int
  /// Flush before a reply when less than this is free: the largest value that is copied, and its lines.
  let reserve: Int
  var count = 0
  /// Where the replies of the connection that is being executed begin. Before it lies what is sent when the loop's turn ends.
  var start = 0
  let cuts: UnsafeMutablePointer<OutputCut>
  var cutCount = 0
  var cutBytes = 0

  static let mostCuts = 64
  /// What is there beside the reserve: the bytes that one send gathers.
  static let batchBytes = 128 << 10

  /// So much may lie before `start`: half of a batch, so that the other half is there for each connection.
  static let postponedBytes = batchBytes / 2

  init(largestInlineBytes: Int) {
    reserve = largestInlineBytes + ReplyWriter.roomForLine
    capacity = reserve + OutputBuffer.batchBytes
    base = .allocate(byteCount: capacity, alignment: 64)
    cuts = .allocate(capacity: OutputBuffer.mostCuts)
  }

  func free() {
    base.deallocate()
    cuts.deallocate()
  }

  @inline(__always) var isEmpty: Bool { count == start }
  @inline(__always) var ownCount: Int { count - start }
  @inline(__always) var isNearlyFull: Bool { capacity - count < reserve || cutCount >= OutputBuffer.mostCuts - 1 || cutBytes > 1 << 20 }
  @inline(__always) var writer: ReplyWriter { ReplyWriter(base + count) }
  @inline(__always) mutating func take(_ writer: ReplyWriter) { count = writer.position - base }

  @inline(__always)
  mutating func line(_ text: StaticString) {
    var writer = writer
    writer.line(text)
    take(writer)
  }

  /// Adds a value and its line end: copied, or pinned when it lives in an allocation of its own. Call with the partition locked.
  @inline(__always)
  mutating func value(_ item: ItemView, _ writer: inout ReplyWriter) {
    if let large = item.large {
      take(writer)
      cut(large)
      writer.lineEnd()
      return
    }
    if let bytes = item.value { writer.bytes(bytes, item.count) }
    writer.lineEnd()
  }

  @inline(never)
  private mutating func cut(_ large: LargeValue) {
    large.retain()
    (cuts + cutCount).initialize(to: OutputCut(offset: count, value: large))
    cutCount += 1
    cutBytes += large.count
  }

  /// Leaves so much of what the connection that is being executed has, for a reply that turned out to be an error.
  mutating func rewind(toOwn ownBytes: Int) {
    let offset = start + ownBytes
    while cutCount > 0, cuts[cutCount - 1].offset >= offset {
      cutCount -= 1
      cutBytes -= cuts[cutCount].value.count
      cuts[cutCount].value.release()
    }
    count = offset
  }

  /// What was written becomes postponed; returns its size.
  mutating func takePostponed() -> Int {
    assert(cutCount == 0, "large values are sent at once")
    let taken = ownCount
    start = count
    return taken
  }

  /// All that was postponed is sent. Its room is free again, unless the replies of the connection that is being executed lie behind it.
  mutating func dropPostponed() {
    guard isEmpty else { return }
    start = 0
    count = 0
  }

  /// Forgets the replies of the connection that is being executed.
  mutating func clear() {
    for index in 0..<cutCount { cuts[index].value.release() }
    cutCount = 0
    cutBytes = 0
    count = start
  }
}
