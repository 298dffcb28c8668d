#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Making a line and queueing it.
extension WatchHub {
  @inline(never)
  func publish(_ event: WatchEvents, _ head: String, key: UnsafeRawBufferPointer, _ tail: String) {
    var text = head
    text += " key="
    text += uriEncoded(key)
    text += " "
    text += tail
    publish(event, text)
  }

  @inline(never)
  func publish(_ event: WatchEvents, _ text: String) {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let lineID = lastLineID.add(1, ordering: .relaxed).newValue
    let line = "ts=\(time.tv_sec).\(time.tv_nsec / 1000) gid=\(lineID) \(text)\n"
    let interested = watchers.withLock { list in list.filter { !$0.events.isDisjoint(with: event) } }
    for watcher in interested {
      switch watcher.offer(line) {
      case .queued: sentLines.add(1, ordering: .relaxed)
      case .queuedAndWakes:
        sentLines.add(1, ordering: .relaxed)
        watcher.wake()
      case .skipped: skippedLines.add(1, ordering: .relaxed)
      case .closed: break
      }
    }
  }

  /// For `stats`.
  var watcherCount: Int { watchers.withLock { $0.count } }
}

extension Watcher {
  enum Offer { case queued, queuedAndWakes, skipped, closed }

  /// Queues the line if it fits; before the first line after a gap stands `skipped=<lines>`.
  func offer(_ line: String) -> Offer {
    queue.withLock { queue in
      guard !queue.isClosed else { return .closed }
      let note = queue.skipped > 0 ? "skipped=\(queue.skipped)\n" : ""
      guard queue.bytes.count + note.utf8.count + line.utf8.count <= queueBytes else {
        queue.skipped &+= 1
        return .skipped
      }
      queue.bytes.append(contentsOf: note.utf8)
      queue.bytes.append(contentsOf: line.utf8)
      queue.skipped = 0
      guard !queue.isWakeUnderWay else { return .queued }
      queue.isWakeUnderWay = true
      return .queuedAndWakes
    }
  }
}

/// Percent-encodes all but letters, digits and `-._~`.
func uriEncoded(_ bytes: UnsafeRawBufferPointer) -> String {
  let digits = Array("0123456789ABCDEF".utf8)
  var encoded: [UInt8] = []
  encoded.reserveCapacity(bytes.count)
  for byte in bytes {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
      encoded.append(byte)
    default:
      encoded.append(UInt8(ascii: "%"))
      encoded.append(digits[Int(byte >> 4)])
      encoded.append(digits[Int(byte & 15)])
    }
  }
  return String(decoding: encoded, as: UTF8.self)
}
