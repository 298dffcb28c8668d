#if os(Linux)
  import Glibc

  /// Cache-aside without any coordination: whoever misses fetches and writes.
  final class PlainStrategy: HerdStrategy {
    let greeting = (request: "mn\r\n", replyEnd: "MN\r\n")
    private let get: [UInt8]
    private let set: [UInt8]

    init(key: String, value: [UInt8]) {
      get = Array("get \(key)\r\n".utf8)
      set = Array("set \(key) 0 60 \(value.count)\r\n".utf8) + value + Array("\r\n".utf8)
    }

    func ask(_ client: Int, _ herd: Herd) { herd.send(client, get) }

    func reply(_ client: Int, _ start: UnsafePointer<UInt8>, _ available: Int, _ herd: Herd) -> Int {
      let reply = ReplyReader.read(start, available)
      if reply.length == 0 { return 0 }
      switch reply.outcome {
      case .hit: herd.gotValue(client, start + reply.valueRange.lowerBound)
      case .miss: herd.fetch(client)
      case .stored: break
      default: herd.fail("unexpected reply", start, reply.length)
      }
      herd.answered(client)
      return reply.length
    }

    func resume(_ client: Int, after pause: Pause, _ herd: Herd) {
      if pause == .fetch {
        herd.fill(client, set)
        herd.gotValue(client)
      } else {
        ask(client, herd)
      }
    }
  }

  /// memcached's N, W and Z. With `waitMs` the request may be parked: the server answers when there is a value, or when this client is
  /// promoted. A Z without a value is asked again after a pause.
  final class LeaseStrategy: HerdStrategy {
    let greeting = (request: "mn\r\n", replyEnd: "MN\r\n")
    private let get: [UInt8]
    private let key: String
    private let value: [UInt8]
    /// The token of each client that holds the lease.
    private var tokens: [Int: [UInt8]] = [:]
    /// The key may be deleted while somebody fetches: then the fill is kept as the stale value (`I`), or refused.
    var expectsDeletes = false

    init(key: String, value: [UInt8], waitMs: Int?) {
      self.key = key
      self.value = value
      get = Array("mg \(key) v c N30\(waitMs.map { " Lw\($0)" } ?? "")\r\n".utf8)
    }

    func ask(_ client: Int, _ herd: Herd) { herd.send(client, get) }

    func reply(_ client: Int, _ start: UnsafePointer<UInt8>, _ available: Int, _ herd: Herd) -> Int {
      let reply = ReplyReader.read(start, available)
      if reply.length == 0 { return 0 }
      switch reply.outcome {
      case .hit: took(client, MetaValue(start, reply), herd)
      case .stored: break
      case .refused where expectsDeletes: break
      default: herd.fail("unexpected reply", start, reply.length)
      }
      herd.answered(client)
      return reply.length
    }

    private func took(_ client: Int, _ found: MetaValue, _ herd: Herd) {
      if found.isWon {
        tokens[client] = found.version
        herd.fetch(client)
      } else if !found.hasValue {
        herd.wait(client, .poll)
      } else {
        if found.isStale { herd.tally.staleValues += 1 }
        herd.gotValue(client, found.start)
      }
    }

    func resume(_ client: Int, after pause: Pause, _ herd: Herd) {
      if pause != .fetch { return ask(client, herd) }
      guard let token = tokens.removeValue(forKey: client) else { return }
      var fill = Array("ms \(key) \(value.count) C".utf8)
      fill += token
      fill += Array((expectsDeletes ? " T60 I\r\n" : " T60\r\n").utf8)
      fill += value
      fill += Array("\r\n".utf8)
      herd.fill(client, fill)
      herd.gotValue(client)
    }
  }

  /// A `VA` line's flags.
  struct MetaValue {
    let start: UnsafePointer<UInt8>
    var isWon = false
    var isStale = false
    var version: [UInt8] = []
    let hasValue: Bool

    init(_ line: UnsafePointer<UInt8>, _ reply: ReplyReader.Reply) {
      start = line + reply.valueRange.lowerBound
      hasValue = !reply.valueRange.isEmpty
      let text = UnsafeBufferPointer(start: line, count: reply.valueRange.lowerBound - 2)
      var at = 0
      while let space = text[at...].firstIndex(of: UInt8(ascii: " ")), space + 1 < text.count {
        at = space + 1
        switch text[at] {
        case UInt8(ascii: "W"): isWon = true
        case UInt8(ascii: "X"): isStale = true
        case UInt8(ascii: "c"): version = Array(text[(at + 1)...].prefix { $0 != UInt8(ascii: " ") })
        default: break
        }
      }
    }
  }
#endif
