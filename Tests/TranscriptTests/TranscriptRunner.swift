import Foundation

/// Plays one transcript against one server. Stops at the first line that differs.
struct TranscriptRunner {
  /// How long an expected line may take. Generous: it is only used up by a failure.
  static let lineLimitMs = 60_000

  let transcript: Transcript
  let transport: Transcript.Transport
  let server: ServerProcess
  private var connections: [String: SpecSocket] = [:]
  private var bindings = Bindings()
  private var history: [String] = []

  init(_ transcript: Transcript, _ transport: Transcript.Transport) throws(TranscriptError) {
    self.transcript = transcript
    self.transport = transport
    server = try ServerProcess.start(transcript, transport)
  }

  mutating func run() throws(TranscriptError) {
    try run(transcript.steps[...])
    // Nothing may be left over: every connection whose end is not in the transcript answers the next request at once.
    for (name, socket) in connections.sorted(by: { $0.key < $1.key }) {
      try expectSilence(Transcript.Step(line: transcript.steps.last?.line ?? transcript.line, connection: name, action: .silent), socket)
    }
  }

  private mutating func run(_ steps: ArraySlice<Transcript.Step>) throws(TranscriptError) {
    var rest = steps
    while let step = rest.first {
      switch step.action {
      case .send:
        let requests = rest.prefix { $0.isSend && $0.connection == step.connection }
        try send(requests)
        rest = rest.dropFirst(requests.count)
      case .expectAmong:
        let group = rest.prefix { $0.isExpectAmong && $0.connection == step.connection }
        rest = rest.dropFirst(group.count)
        guard let end = rest.first, end.connection == step.connection, case .expect(let last) = end.action else {
          throw failure(step, "<~ needs a line with < of the same connection after it")
        }
        try expectAmong(group, end, last)
        rest = rest.dropFirst()
      default:
        try run(step)
        rest = rest.dropFirst()
      }
    }
  }

  private mutating func run(_ step: Transcript.Step) throws(TranscriptError) {
    switch step.action {
    case .send, .expectAmong: break
    case .expect(let pattern):
      let socket = try connection(step)
      guard case .line(let line) = try readLine(step, socket, expecting: pattern) else { break }
      guard pattern.matches(line, &bindings) else { throw mismatch(step, expected: pattern.source, actual: line) }
      note(step, "< " + show(line))
    case .acceptLineFeeds:
      try connection(step).acceptsLineFeeds = true
    case .close:
      try connection(step).close()
      connections[step.connection] = nil
      note(step, " close")
    case .expectClosed:
      let socket = try connection(step)
      switch socket.readLine(limitMs: Self.lineLimitMs) {
      case .closed: connections[step.connection] = nil
      case .timedOut: throw failure(step, "the server did not close the connection")
      case .line(let line): throw mismatch(step, expected: "(connection closed)", actual: line)
      }
      note(step, " closed")
    case .silent:
      try expectSilence(step, try connection(step))
    case .waits:
      let line = try connection(step).readLine(limitMs: 0)
      if case .line(let line) = line { throw mismatch(step, expected: "(nothing yet)", actual: line) }
      guard line == .timedOut else { throw failure(step, "the server closed the connection") }
    case .waiters(let count):
      try awaitWaiters(step, count)
    case .retry(let limitMs, let steps):
      try retry(step, limitMs, steps)
    case .serverExits(let code):
      let status = server.waitForExit(limitMs: Self.lineLimitMs)
      guard status == code else { throw failure(step, "the server's exit code is \(status.map(String.init) ?? "none: it still runs")") }
      connections.removeAll()
    }
  }

  // MARK: Steps

  private mutating func send(_ steps: ArraySlice<Transcript.Step>) throws(TranscriptError) {
    guard let first = steps.first else { return }
    let socket = try connection(first)
    let bytes = try requestBytes(steps)
    // Over a Unix socket in small pieces, over TCP at once: a server must not care.
    guard socket.send(bytes, pieceBytes: transport == .unix ? 5 : 0, limitMs: Self.lineLimitMs) else {
      throw failure(first, "sending failed")
    }
  }

  private mutating func requestBytes(_ steps: ArraySlice<Transcript.Step>) throws(TranscriptError) -> [UInt8] {
    var bytes: [UInt8] = []
    for step in steps {
      guard case .send(let pattern, let endsLine) = step.action else { continue }
      do {
        let line = try pattern.bytes(bindings, timeSeconds: Int64(Date().timeIntervalSince1970))
        bytes += endsLine ? line + [13, 10] : line
        note(step, "> " + show(line))
      } catch { throw failure(step, error.description) }
    }
    return bytes
  }

  private mutating func expectAmong(
    _ group: ArraySlice<Transcript.Step>, _ end: Transcript.Step, _ last: LinePattern
  ) throws(TranscriptError) {
    let socket = try connection(end)
    var missing: [(Transcript.Step, LinePattern)] = []
    for step in group { if case .expectAmong(let pattern?) = step.action { missing.append((step, pattern)) } }
    var seen: [String] = []
    while true {
      guard case .line(let line) = try readLine(missing.first?.0 ?? end, socket, expecting: missing.first?.1 ?? last) else { return }
      seen.append(show(line))
      if let found = missing.firstIndex(where: { $0.1.matches(line, &bindings) }) {
        missing.remove(at: found)
      } else if last.matches(line, &bindings) {
        break
      }
      if seen.count > 1_000_000 { throw failure(end, "no end after a million lines") }
    }
    if let (step, pattern) = missing.first {
      throw failure(step, "no line matches: \(pattern.source)\n  lines that came:\n    " + seen.suffix(200).joined(separator: "\n    "))
    }
    note(end, "< " + (seen.last ?? ""))
  }

  private mutating func expectSilence(_ step: Transcript.Step, _ socket: SpecSocket) throws(TranscriptError) {
    guard socket.send(Array("mn\r\n".utf8), pieceBytes: 0, limitMs: Self.lineLimitMs) else { throw failure(step, "sending failed") }
    switch socket.readLine(limitMs: Self.lineLimitMs) {
    case .line(let line):
      guard line == Array("MN".utf8) else { throw mismatch(step, expected: "(nothing more)", actual: line) }
    case .closed: throw failure(step, "the server closed the connection")
    case .timedOut: throw failure(step, "the server does not answer any more")
    }
  }

  /// Asks on a connection of its own, so that no request of the transcript is behind or before it.
  private func awaitWaiters(_ step: Transcript.Step, _ count: Int) throws(TranscriptError) {
    guard let socket = server.connect() else { throw failure(step, "cannot connect") }
    defer { socket.close() }
    let limit = Date().addingTimeInterval(Double(Self.lineLimitMs) / 1000)
    while true {
      guard socket.send(Array("stats leases\r\n".utf8), pieceBytes: 0, limitMs: Self.lineLimitMs) else {
        throw failure(step, "sending failed")
      }
      var waiters: Int? = nil
      while true {
        guard case .line(let line) = try readLine(step, socket, expecting: nil) else { return }
        let text = String(decoding: line, as: UTF8.self)
        if text == "END" { break }
        if text.hasPrefix("STAT waiters ") { waiters = Int(text.dropFirst(13)) }
      }
      if waiters == count { return }
      if Date() > limit { throw failure(step, "the server counts \(waiters.map(String.init) ?? "no") waiters") }
      poll(nil, 0, 2)
    }
  }

  private mutating func retry(_ step: Transcript.Step, _ limitMs: Int, _ steps: [Transcript.Step]) throws(TranscriptError) {
    let socket = try connection(steps[0])
    let limit = Date().addingTimeInterval(Double(limitMs) / 1000)
    while true {
      let known = bindings
      let request = try requestBytes(steps.filter(\.isSend)[...]) + Array("mn\r\n".utf8)
      guard socket.send(request, pieceBytes: 0, limitMs: Self.lineLimitMs) else { throw failure(step, "sending failed") }
      var lines: [[UInt8]] = []
      while true {
        guard case .line(let line) = try readLine(steps[0], socket, expecting: nil) else { return }
        if line == Array("MN".utf8) { break }
        lines.append(line)
      }
      let expected = steps.compactMap { step -> LinePattern? in if case .expect(let pattern) = step.action { pattern } else { nil } }
      if lines.count == expected.count {
        var trial = bindings
        if zip(lines, expected).allSatisfy({ $1.matches($0, &trial) }) {
          bindings = trial
          for line in lines { note(steps[0], "< " + show(line)) }
          return
        }
      }
      bindings = known
      if Date() > limit {
        throw failure(step, "still not after \(limitMs) ms; last reply:\n    " + lines.map(show).joined(separator: "\n    "))
      }
      poll(nil, 0, 5)
    }
  }

  // MARK: Helpers

  private mutating func connection(_ step: Transcript.Step) throws(TranscriptError) -> SpecSocket {
    if let socket = connections[step.connection] { return socket }
    guard let socket = server.connect() else { throw failure(step, "cannot connect") }
    connections[step.connection] = socket
    return socket
  }

  private func readLine(_ step: Transcript.Step, _ socket: SpecSocket, expecting pattern: LinePattern?) throws(TranscriptError)
    -> SpecSocket.Line
  {
    let line = socket.readLine(limitMs: Self.lineLimitMs)
    switch line {
    case .line: return line
    case .closed: throw failure(step, "expected: \(pattern?.source ?? "a reply")\n  actual:   (connection closed)")
    case .timedOut: throw failure(step, "expected: \(pattern?.source ?? "a reply")\n  actual:   (nothing came)")
    }
  }

  private mutating func note(_ step: Transcript.Step, _ text: String) {
    history.append("\(step.connection)\(text)")
    if history.count > 24 { history.removeFirst() }
  }

  private func show(_ line: [UInt8]) -> String {
    var text = ""
    for byte in line.prefix(400) {
      text += byte >= 32 && byte < 127 ? String(UnicodeScalar(byte)) : (byte < 16 ? "\\x0" : "\\x") + String(byte, radix: 16)
    }
    return line.count > 400 ? text + "... (\(line.count) bytes)" : text
  }

  private func mismatch(_ step: Transcript.Step, expected: String, actual: [UInt8]) -> TranscriptError {
    failure(step, "expected: \(expected)\n  actual:   \(show(actual))")
  }

  private func failure(_ step: Transcript.Step, _ text: String) -> TranscriptError {
    let names = bindings.values.sorted { $0.key < $1.key }.map { "\($0.key) = \(show($0.value))" }
    var message = "\(transcript.file):\(step.line) (\(transport.rawValue)) \(step.connection)\n  \(text)"
    if !names.isEmpty { message += "\n  names: " + names.joined(separator: ", ") }
    if !history.isEmpty { message += "\n  before:\n    " + history.suffix(12).joined(separator: "\n    ") }
    let log = server.log
    if !log.isEmpty { message += "\n  server log:\n    " + log.suffix(2000).split(separator: "\n").joined(separator: "\n    ") }
    return TranscriptError(message)
  }
}

extension Transcript.Step {
  var isSend: Bool { if case .send = action { true } else { false } }
  var isExpectAmong: Bool { if case .expectAmong = action { true } else { false } }
}
