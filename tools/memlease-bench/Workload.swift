#if os(Linux)
  import ArgumentParser

  enum Workload: String, CaseIterable, ExpressibleByArgument {
    case get, set, mix, mg, ms
    case leaseGet = "lease-get"
    case mgLease = "mg-lease"

    /// The verb that reads, nil for a workload that only writes.
    var reading: Verb? {
      switch self {
      case .get, .mix: .get
      case .mg: .mg
      case .leaseGet: .leaseGet
      case .mgLease: .mgLease
      case .set, .ms: nil
      }
    }

    /// The verb that writes: this workload's own writes, and its preload.
    var writing: Verb {
      switch self {
      case .mg, .ms, .mgLease: .ms
      case .get, .set, .mix, .leaseGet: .set
      }
    }

    /// One request in so many writes; 1: all do, 0: none does.
    var writeEvery: UInt64 {
      switch self {
      case .set, .ms: 1
      case .mix: 11
      case .get, .mg, .leaseGet, .mgLease: 0
      }
    }
  }

  /// The sizes of every key and value of one run, and how to render them.
  struct Shape: Sendable {
    var keyBytes: Int
    var valueBytes: Int

    /// A `k`, then the number, padded with zeros.
    func appendKey(_ number: Int, to bytes: inout [UInt8]) {
      let start = bytes.count
      bytes.append(UInt8(ascii: "k"))
      for _ in 1..<keyBytes { bytes.append(UInt8(ascii: "0")) }
      var rest = number
      var at = start + keyBytes - 1
      while rest > 0 && at > start {
        bytes[at] = UInt8(ascii: "0") + UInt8(rest % 10)
        rest /= 10
        at -= 1
      }
    }

    /// The key's last eight bytes, then filler: a reader can tell whose value it got.
    func appendValue(_ number: Int, to bytes: inout [UInt8]) {
      let start = bytes.count
      appendKey(number, to: &bytes)
      if bytes.count - start > 8 { bytes.removeSubrange(start..<(bytes.count - 8)) }
      while bytes.count - start < valueBytes { bytes.append(UInt8(ascii: "x")) }
      bytes.removeLast(bytes.count - start - valueBytes)
    }

    /// Whether a value is long enough to carry its key's last eight bytes.
    var isTagged: Bool { keyBytes >= 8 && valueBytes >= 8 }

    /// How many different keys there can be.
    var keyLimit: Int {
      var limit = 1
      for _ in 1..<min(keyBytes, 10) { limit *= 10 }
      return limit
    }
  }

  /// One kind of request, and how its usual reply looks.
  enum Verb {
    case get, set, mg, ms, leaseGet, mgLease

    var prefix: String {
      switch self {
      case .get: "get "
      case .set: "set "
      case .mg, .mgLease: "mg "
      case .ms: "ms "
      case .leaseGet: "lease-get "
      }
    }

    func append(_ number: Int, _ shape: Shape, to bytes: inout [UInt8]) {
      bytes += prefix.utf8
      shape.appendKey(number, to: &bytes)
      switch self {
      case .get, .leaseGet: bytes += "\r\n".utf8
      case .mg: bytes += " v\r\n".utf8
      case .mgLease: bytes += " k v c N10\r\n".utf8
      case .set: appendData(" 0 0 \(shape.valueBytes)\r\n", number, shape, to: &bytes)
      case .ms: appendData(" \(shape.valueBytes)\r\n", number, shape, to: &bytes)
      }
    }

    private func appendData(_ head: String, _ number: Int, _ shape: Shape, to bytes: inout [UInt8]) {
      bytes += head.utf8
      shape.appendValue(number, to: &bytes)
      bytes += "\r\n".utf8
    }

    /// The reply that is always the same but for key and value, so that it can be recognized with three loads; nil where it varies in length.
    func usualReply(_ shape: Shape) -> ReplyTemplate? {
      switch self {
      case .set: ReplyTemplate(outcome: .stored, head: "STORED\r\n")
      case .ms: ReplyTemplate(outcome: .stored, head: "HD\r\n")
      case .mg: ReplyTemplate(outcome: .hit, head: "VA \(shape.valueBytes)\r\n", valueBytes: shape.valueBytes, tail: "\r\n")
      case .get, .leaseGet:
        ReplyTemplate(
          outcome: .hit, head: "VALUE ", keyBytes: shape.keyBytes, middle: " 0 \(shape.valueBytes)\r\n", valueBytes: shape.valueBytes,
          tail: "\r\nEND\r\n")
      case .mgLease: nil
      }
    }
  }
#endif
