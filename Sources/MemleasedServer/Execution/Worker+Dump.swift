import LeaseCore
import LeaseWire

/// `lru_crawler metadump` and `mgdump`: a walk over every partition, a batch at a time, as fast as the client reads.
extension UnsafeMutablePointer where Pointee == Worker {
  /// Items of one batch: their lines fit into the output's batch bytes.
  private static var dumpBatch: Int { 64 }
  /// A key with each byte percent-encoded, and the rest of its line.
  private static var longestDumpLine: Int { 3 * WireLimits.keyBytes + 200 }

  func beginDump(_ connection: ConnectionPointer, isMeta: Bool) {
    connection.pointee.dump = DumpState(partition: 0, cursor: 0, isMeta: isMeta)
    connection.pointee.phase = .dump
  }

  /// One batch of lines, or the end.
  func runDump(_ connection: ConnectionPointer, _ store: Store) {
    let isMeta = connection.pointee.dump.isMeta
    guard connection.pointee.dump.partition < store.partitionCount else {
      pointee.output.line(isMeta ? "EN" : "END")
      connection.pointee.phase = .line
      return
    }
    let partition = store.partition(connection.pointee.dump.partition)
    let nowMs = pointee.nowMs
    var writer = pointee.output.writer
    let start = writer.position
    // "About" a batch: what goes beyond the room is left out rather than written over the end.
    let room = pointee.output.capacity - pointee.output.count - Self.longestDumpLine
    partition.lock()
    let hasMore = partition.walk(&connection.pointee.dump.cursor, limit: Self.dumpBatch, nowMs: nowMs) { description in
      guard writer.position - start < room, let key = description.key else { return }
      if isMeta {
        dumpKeyLine(&writer, key, description.keyCount)
      } else {
        dumpLine(&writer, key, description)
      }
    }
    partition.unlock()
    pointee.output.take(writer)
    if !hasMore {
      connection.pointee.dump.partition += 1
      connection.pointee.dump.cursor = 0
    }
  }

  /// `key=<encoded> exp=<unix or -1> la=<unix> cas=<version> fetch=<yes|no> cls=<class> size=<bytes>`, ended by a bare newline.
  private func dumpLine(_ writer: inout ReplyWriter, _ key: UnsafeRawPointer, _ description: ItemDescription) {
    writer.text("key=")
    percentEncode(&writer, key, description.keyCount)
    writer.text(" exp=")
    if description.item.expiry == .never {
      writer.text("-1")
    } else {
      writer.number(description.item.expiry.atMs / 1000)
    }
    writer.text(" la=")
    let nowSeconds = pointee.nowMs / 1000
    writer.number(nowSeconds &- min(nowSeconds, description.item.idleSeconds))
    describe(&writer, description)
    writer.byte(0x0a)
  }

  /// `mg <key>`, in base64 where the key could not stand in a line.
  private func dumpKeyLine(_ writer: inout ReplyWriter, _ key: UnsafeRawPointer, _ count: Int) {
    writer.text("mg ")
    if RequestParser.isValidKey(Token(start: key, count: count)) {
      writer.bytes(key, count)
    } else {
      writer.position = Base64.encode(key, count: count, into: writer.position)
      writer.text(" b")
    }
    writer.lineEnd()
  }

  private func percentEncode(_ writer: inout ReplyWriter, _ bytes: UnsafeRawPointer, _ count: Int) {
    for index in 0..<count {
      let byte = bytes.load(fromByteOffset: index, as: UInt8.self)
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
        writer.byte(byte)
      default:
        writer.byte(UInt8(ascii: "%"))
        writer.byte(hexDigit(byte >> 4))
        writer.byte(hexDigit(byte & 15))
      }
    }
  }

  private func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 &+ value : 0x41 &+ value &- 10 }
}
