#if os(Linux)
  import Glibc

  /// What a replay counted.
  struct ReplayTally {
    var requests = 0, gets = 0, hits = 0, sets = 0, deletes = 0, fills = 0
    /// Writes that the server did not take, for want of room or for the value's size.
    var refused = 0
    /// Replies that are no answer to the request.
    var errors = 0
    var firstError: String?
    var hitBytes = 0, valueBytesWritten = 0
    /// Of the trace's own requests, not of fills: to the reply from the time of sending, or, where the trace sets the pace, from when it was due.
    var latencies = Latencies()

    var misses: Int { gets - hits }

    mutating func noteError(_ reply: String) {
      errors += 1
      if firstError == nil { firstError = reply }
    }
  }

  /// One connection of a replay. Invariant: `pending` are the requests that were not answered, in the order in which they were sent.
  final class ReplayConnection {
    private struct Pending {
      var line: TraceLine
      var beganNs: UInt64
      var isFill: Bool
    }

    let fd: Int32
    private let fills: Bool
    private var pending: [Pending] = []
    private var firstPending = 0
    private var output: [UInt8] = []
    private var sentBytes = 0
    private var input: [UInt8] = []
    private var inputStart = 0
    private var inputEnd = 0

    init(endpoint: Endpoint, fills: Bool) throws {
      fd = try endpoint.connect()
      self.fills = fills
      input = [UInt8](repeating: 0, count: 256 << 10)
      let flags = fcntl(fd, F_GETFL)
      if flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 { throw BenchError.system("fcntl") }
    }

    deinit { close(fd) }

    var inFlight: Int { pending.count - firstPending }
    var hasOutput: Bool { sentBytes < output.count }

    func request(_ line: TraceLine, beganNs: UInt64, isFill: Bool = false) {
      switch line.operation {
      case .get: append("get ", line.key, "\r\n")
      case .delete: append("delete ", line.key, "\r\n")
      case .set:
        append("set ", line.key, " 0 \(Self.expiryField(line.ttlSeconds)) \(line.sizeBytes)\r\n")
        output.append(contentsOf: repeatElement(UInt8(ascii: "v"), count: line.sizeBytes))
        append("\r\n", [], "")
      }
      pending.append(Pending(line: line, beganNs: beganNs, isFill: isFill))
    }

    private func append(_ before: String, _ key: [UInt8], _ after: String) {
      output.append(contentsOf: before.utf8)
      output.append(contentsOf: key)
      output.append(contentsOf: after.utf8)
    }

    /// Beyond 30 days the protocol takes it for a point of time; beyond ten years it is for ever, as servers may know no time after 2038.
    private static func expiryField(_ seconds: UInt64) -> UInt64 {
      switch seconds {
      case ...(30 * 86_400): seconds
      case ...(3650 * 86_400): UInt64(max(0, time(nil))) + seconds
      default: 0
      }
    }

    /// Sends what the socket takes.
    func flush() throws {
      while hasOutput {
        let start = sentBytes
        let count = output.withUnsafeBytes { send(fd, $0.baseAddress.map { $0 + start }, $0.count - start, Int32(MSG_NOSIGNAL)) }
        if count < 0 {
          if errno == EAGAIN || errno == EINTR { return dropSent() }
          throw BenchError.system("send")
        }
        sentBytes += count
      }
      output.removeAll(keepingCapacity: true)
      sentBytes = 0
    }

    /// Else it would stay, and grow, for as long as the server does not catch up.
    private func dropSent() {
      if sentBytes < output.count / 2 { return }
      output.removeFirst(sentBytes)
      sentBytes = 0
    }

    /// Takes what has arrived, and answers misses with fills.
    func receive(into tally: inout ReplayTally) throws {
      if inputStart > 0 {
        moveToFront(&input, inputStart..<inputEnd)
        (inputStart, inputEnd) = (0, inputEnd - inputStart)
      }
      if inputEnd == input.count { input.append(contentsOf: repeatElement(0, count: input.count)) }
      let filled = inputEnd
      let count = input.withUnsafeMutableBytes { recv(fd, $0.baseAddress.map { $0 + filled }, $0.count - filled, 0) }
      if count == 0 { throw BenchError("the server closed the connection") }
      if count < 0 {
        if errno == EAGAIN || errno == EINTR { return }
        throw BenchError.system("recv")
      }
      inputEnd += count
      let nowNs = monotonicNs()
      while firstPending < pending.count, takeReply(nowNs, &tally) {}
      if firstPending == pending.count || firstPending > 4096 {
        pending.removeSubrange(0..<firstPending)
        firstPending = 0
      }
    }

    private func takeReply(_ nowNs: UInt64, _ tally: inout ReplayTally) -> Bool {
      let (start, available) = (inputStart, inputEnd - inputStart)
      let reply = input.withUnsafeBufferPointer { bytes in
        bytes.baseAddress.map { ReplyReader.read($0 + start, available) } ?? .incomplete
      }
      if reply.length == 0 { return false }
      let request = pending[firstPending]
      firstPending += 1
      inputStart += reply.length
      count(reply, of: request.line, isFill: request.isFill, at: start, &tally)
      if !request.isFill { tally.latencies.record(nowNs > request.beganNs ? nowNs - request.beganNs : 0, times: 1) }
      if request.line.operation == .get, reply.outcome == .miss, fills {
        var fill = request.line
        fill.operation = .set
        self.request(fill, beganNs: nowNs, isFill: true)
      }
      return true
    }

    private func count(_ reply: ReplyReader.Reply, of line: TraceLine, isFill: Bool, at start: Int, _ tally: inout ReplayTally) {
      func text() -> String { String(decoding: input[start..<(start + min(reply.length, 200))], as: UTF8.self) }
      if isFill { tally.fills += 1 } else { tally.requests += 1 }
      switch line.operation {
      case .get:
        tally.gets += 1
        switch reply.outcome {
        case .hit:
          tally.hits += 1
          tally.hitBytes += reply.valueRange.count
        case .miss: break
        default: tally.noteError(text())
        }
      case .set:
        if !isFill { tally.sets += 1 }
        switch reply.outcome {
        case .stored: tally.valueBytesWritten += line.sizeBytes
        case .refused: tally.refused += 1
        case .error where text().hasPrefix("SERVER_ERROR"): tally.refused += 1
        default: tally.noteError(text())
        }
      case .delete:
        tally.deletes += 1
        // DELETED is no reply to anything that the load workloads send.
        if !text().hasPrefix("DELETED") && !text().hasPrefix("NOT_FOUND") { tally.noteError(text()) }
      }
    }
  }
#endif
