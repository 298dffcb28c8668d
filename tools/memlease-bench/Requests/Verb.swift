#if os(Linux)
  /// One kind of request, and how its usual reply looks.
  enum Verb: Sendable {
    case get, set, mg, ms, leaseGet, mgLease, multiGet, multiMg

    var prefix: String {
      switch self {
      case .get, .multiGet: "get "
      case .set: "set "
      case .mg, .mgLease, .multiMg: "mg "
      case .ms: "ms "
      case .leaseGet: "lease-get "
      }
    }

    /// What stands behind each key of a request that reads.
    private var suffix: String {
      switch self {
      case .get, .leaseGet, .set, .ms: "\r\n"
      case .mg: " v\r\n"
      case .mgLease: " k v c N10\r\n"
      case .multiGet: " "
      case .multiMg: " k v q\r\n"
      }
    }

    /// Requests for several keys: from the end of one key to the start of the next; nil for a request for one.
    var gapBytes: Int? {
      switch self {
      case .multiGet: suffix.utf8.count
      case .multiMg: suffix.utf8.count + prefix.utf8.count
      case .get, .set, .mg, .ms, .leaseGet, .mgLease: nil
      }
    }

    func append(_ number: Int, _ shape: Shape, to bytes: inout [UInt8]) {
      bytes += prefix.utf8
      shape.appendKey(number, to: &bytes)
      switch self {
      case .get, .leaseGet, .mg, .mgLease, .multiGet, .multiMg: bytes += suffix.utf8
      case .set:
        bytes += " 0 \(shape.ttlSeconds(of: number)) \(shape.valueBytes(of: number))\r\n".utf8
        shape.appendValue(number, to: &bytes)
        bytes += suffix.utf8
      case .ms:
        let ttlSeconds = shape.ttlSeconds(of: number)
        bytes += " \(shape.valueBytes(of: number))\(ttlSeconds > 0 ? " T\(ttlSeconds)" : "")\r\n".utf8
        shape.appendValue(number, to: &bytes)
        bytes += suffix.utf8
      }
    }

    /// One request for all of the keys: `get a b c`, or quiet `mg`s closed by an `mn`.
    func append(_ numbers: [Int], _ shape: Shape, to bytes: inout [UInt8]) {
      if self == .multiGet {
        bytes += "get".utf8
        for number in numbers {
          bytes.append(0x20)
          shape.appendKey(number, to: &bytes)
        }
        bytes += "\r\n".utf8
      } else {
        for number in numbers { append(number, shape, to: &bytes) }
        if self == .multiMg { bytes += "mn\r\n".utf8 }
      }
    }

    /// The reply that is always the same but for key and value, so that it can be recognized with three loads; nil where it varies in length.
    func usualReply(_ shape: Shape) -> ReplyTemplate? {
      switch self {
      case .set: return ReplyTemplate(outcome: .stored, head: "STORED\r\n")
      case .ms: return ReplyTemplate(outcome: .stored, head: "HD\r\n")
      case .mgLease, .multiGet, .multiMg: return nil
      case .mg, .get, .leaseGet: break
      }
      guard let keyBytes = shape.keyBytes.only, let valueBytes = shape.valueBytes.only, keyBytes >= 8, valueBytes >= 8 else { return nil }
      if self == .mg { return ReplyTemplate(outcome: .hit, head: "VA \(valueBytes)\r\n", valueBytes: valueBytes, tail: "\r\n") }
      return ReplyTemplate(
        outcome: .hit, head: "VALUE ", keyBytes: keyBytes, middle: " 0 \(valueBytes)\r\n", valueBytes: valueBytes, tail: "\r\nEND\r\n")
    }
  }
#endif
