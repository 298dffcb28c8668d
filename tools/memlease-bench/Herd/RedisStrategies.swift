#if os(Linux)
  import Glibc

  /// A lock in Redis: `SET lock NX PX` elects who fetches. The losers ask again every 50 ms, or subscribe to the key's channel.
  final class RedisStrategy: HerdStrategy {
    /// RESP3, so that a client that has subscribed can ask on the same connection.
    let greeting = (request: "HELLO 3\r\nPING\r\n", replyEnd: "+PONG\r\n")
    private let get, lock, fill, unlock, subscribe: [UInt8]
    private let publishes: Bool

    /// What a client's next reply answers.
    private enum Step: UInt8 {
      case get, lock
      /// With the lock: the last holder may have written between this client's get and its lock.
      case getWithLock
      /// Behind the subscription, and after the message.
      case secondGet, lastGet
      case fill
    }

    init(key: String, value: [UInt8], publishes: Bool) {
      self.publishes = publishes
      get = Self.command("GET", key)
      lock = Self.command("SET", "lock:\(key)", "holder", "NX", "PX", "30000")
      let text = String(decoding: value, as: UTF8.self)
      let set = Self.command("SET", key, text, "PX", "60000")
      let publish = publishes ? Self.command("PUBLISH", "filled:\(key)", "1") : []
      unlock = Self.command("DEL", "lock:\(key)")
      fill = set + publish + unlock
      // Between the lost lock and the subscription the value may have come: asked once more behind it, in the same packet.
      subscribe = Self.command("SUBSCRIBE", "filled:\(key)") + get
    }

    private static func command(_ words: String...) -> [UInt8] {
      Array(("*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()).utf8)
    }

    func ask(_ client: Int, _ herd: Herd) { send(client, get, .get, herd) }

    private func send(_ client: Int, _ bytes: [UInt8], _ step: Step, _ herd: Herd, requests: Int = 1) {
      herd.clients[client].step = step.rawValue
      herd.send(client, bytes, requests: requests)
    }

    func reply(_ client: Int, _ start: UnsafePointer<UInt8>, _ available: Int, _ herd: Herd) -> Int {
      let reply = RedisReply(start, available)
      switch reply.kind {
      case .incomplete: return 0
      case .error: herd.fail("unexpected reply", start, reply.length)
      case .subscribed: herd.answered(client)
      case .message: if !herd.clients[client].hasValue { send(client, get, .lastGet, herd) }
      default:
        answered(client, reply, start, herd)
        herd.answered(client)
      }
      return reply.length
    }

    private func answered(_ client: Int, _ reply: RedisReply, _ start: UnsafePointer<UInt8>, _ herd: Herd) {
      let step = Step(rawValue: herd.clients[client].step)
      if reply.kind == .bytes {
        if step == .getWithLock { send(client, unlock, .fill, herd) }
        return herd.gotValue(client, start + reply.valueOffset)
      }
      switch step {
      case .get: send(client, lock, .lock, herd)
      case .lock where reply.kind == .status: send(client, get, .getWithLock, herd)
      case .getWithLock: herd.fetch(client)
      case .lock where publishes: send(client, subscribe, .secondGet, herd, requests: 2)
      case .lock: herd.wait(client, .poll)
      case .secondGet, .fill: break
      // The message overtook the answer to the second get.
      case .lastGet where herd.clients[client].unanswered > 1: break
      case .lastGet, nil: herd.failure = BenchError("no value after the message")
      }
    }

    func resume(_ client: Int, after pause: Pause, _ herd: Herd) {
      if pause != .fetch { return ask(client, herd) }
      herd.clients[client].step = Step.fill.rawValue
      herd.fill(client, fill, requests: publishes ? 3 : 2)
      herd.gotValue(client)
    }
  }

  /// One RESP2 or RESP3 reply, as far as these strategies need it.
  struct RedisReply {
    enum Kind {
      case incomplete, status, number, bytes, null, error, subscribed, message
    }

    var kind = Kind.incomplete
    var length = 0
    var valueOffset = 0

    init(_ start: UnsafePointer<UInt8>, _ available: Int) {
      guard let newline = memchr(start, 0x0A, available) else { return }
      let lineEnd = UnsafeRawPointer(newline) - UnsafeRawPointer(start) + 1
      length = lineEnd
      switch start[0] {
      case UInt8(ascii: "+"): kind = .status
      case UInt8(ascii: ":"): kind = .number
      case UInt8(ascii: "_"): kind = .null
      case UInt8(ascii: "$"): readBytes(start, available, lineEnd)
      case UInt8(ascii: ">"): readPush(start, available, lineEnd)
      default: kind = .error
      }
    }

    private mutating func readBytes(_ start: UnsafePointer<UInt8>, _ available: Int, _ lineEnd: Int) {
      guard let count = Self.number(start, lineEnd) else {
        kind = .null
        return
      }
      valueOffset = lineEnd
      length = lineEnd + count + 2
      if available >= length { kind = .bytes }
    }

    /// A kind, a channel and a text or a number.
    private mutating func readPush(_ start: UnsafePointer<UInt8>, _ available: Int, _ lineEnd: Int) {
      var at = lineEnd
      var isMessage = false
      for element in 0..<(Self.number(start, lineEnd) ?? 0) {
        if at >= available { return }
        let part = RedisReply(start + at, available - at)
        if part.kind == .incomplete { return }
        if element == 0 { isMessage = start[at + part.valueOffset] == UInt8(ascii: "m") }
        at += part.length
      }
      kind = isMessage ? .message : .subscribed
      length = at
    }

    /// Behind the first byte; nil where that is no number, or a negative one.
    private static func number(_ start: UnsafePointer<UInt8>, _ lineEnd: Int) -> Int? {
      Int(String(decoding: UnsafeBufferPointer(start: start + 1, count: lineEnd - 3), as: UTF8.self)).flatMap { $0 < 0 ? nil : $0 }
    }
  }
#endif
