/// Finds the ```transcript blocks of a Markdown text. Everything that it does not understand is an error with its line.
struct TranscriptParser {
  let file: String

  func parse(_ text: String) throws(TranscriptError) -> [Transcript] {
    var transcripts: [Transcript] = []
    var current: Transcript? = nil
    var body: [(line: Int, text: String)] = []
    var isInOtherFence = false
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, rawLine) in lines.enumerated() {
      let line = rawLine.hasSuffix("\r") ? String(rawLine.dropLast()) : String(rawLine)
      guard line.hasPrefix("```") else {
        if current != nil { body.append((index + 1, line)) }
        continue
      }
      if var transcript = current {
        transcript.steps = try steps(body[...])
        if transcript.steps.isEmpty { throw error(transcript.line, "an empty transcript") }
        transcripts.append(transcript)
        current = nil
        body = []
      } else if isInOtherFence {
        isInOtherFence = false
      } else {
        let info = line.dropFirst(3)
        if info == "transcript" || info.hasPrefix("transcript ") {
          current = try header(String(info.dropFirst(10)), line: index + 1)
        } else {
          isInOtherFence = true
        }
      }
    }
    if let current { throw error(current.line, "the block has no end") }
    return transcripts
  }

  private func error(_ line: Int, _ text: String) -> TranscriptError { TranscriptError("\(file):\(line): \(text)") }

  // MARK: Info string

  private func header(_ info: String, line: Int) throws(TranscriptError) -> Transcript {
    var transcript = Transcript(file: file, line: line)
    var rest = info[...].drop { $0 == " " }
    while !rest.isEmpty {
      guard let equals = rest.firstIndex(of: "="), rest[equals...].hasPrefix("=\""),
        let end = rest[rest.index(equals, offsetBy: 2)...].firstIndex(of: "\"")
      else { throw error(line, "bad info string: \(info)") }
      let value = String(rest[rest.index(equals, offsetBy: 2)..<end])
      switch rest[..<equals] {
      case "flags": transcript.flags = value.split(separator: " ").map(String.init)
      case "file": transcript.fileContent = value.split(separator: "|").map { $0 + "\n" }.joined()
      case "transport":
        guard let transport = Transcript.Transport(rawValue: value) else { throw error(line, "unknown transport \(value)") }
        transcript.transports = [transport]
      default: throw error(line, "unknown option \(rest[..<equals])")
      }
      rest = rest[rest.index(after: end)...].drop { $0 == " " }
    }
    return transcript
  }

  // MARK: Steps

  private func steps(_ body: ArraySlice<(line: Int, text: String)>) throws(TranscriptError) -> [Transcript.Step] {
    var steps: [Transcript.Step] = []
    var rest = body
    while let (line, text) = rest.popFirst() {
      if text.allSatisfy({ $0 == " " }) || text.hasPrefix("#") { continue }
      if text.hasPrefix("retry ") {
        let paragraph = rest.prefix { !$0.text.isEmpty }
        rest = rest.dropFirst(paragraph.count)
        let inner = try self.steps(paragraph)
        try checkRetry(inner, line: line)
        steps.append(.init(line: line, connection: inner[0].connection, action: .retry(limitMs: try limit(text, line: line), inner)))
      } else {
        steps.append(try step(text, line: line))
      }
    }
    return steps
  }

  /// What is retried must be requests and their replies on one connection: after a mismatch it must be in step again.
  private func checkRetry(_ steps: [Transcript.Step], line: Int) throws(TranscriptError) {
    guard let first = steps.first, case .send = first.action else { throw error(line, "retry needs a request") }
    for step in steps {
      guard step.connection == first.connection else { throw error(step.line, "retry on more than one connection") }
      switch step.action {
      case .send, .expect: continue
      default: throw error(step.line, "only requests and replies can be retried")
      }
    }
  }

  private func limit(_ text: String, line: Int) throws(TranscriptError) -> Int {
    guard text.hasSuffix("s"), let seconds = Int(text.dropFirst(6).dropLast()), seconds > 0, seconds <= 60 else {
      throw error(line, "retry needs a limit of 1s to 60s")
    }
    return seconds * 1000
  }

  private func step(_ text: String, line: Int) throws(TranscriptError) -> Transcript.Step {
    if text.hasPrefix("server exits "), let code = Int32(text.dropFirst(13)) {
      return .init(line: line, connection: "", action: .serverExits(code: code))
    }
    if text.hasPrefix("waiters "), let count = Int(text.dropFirst(8)), count >= 0 {
      return .init(line: line, connection: "", action: .waiters(count))
    }
    let name = text.prefix { $0.isASCII && ($0.isLetter || $0.isNumber) }
    guard name.first == "C", name.count > 1 else { throw error(line, "not a transcript line: \(text)") }
    let connection = String(name)
    let rest = text.dropFirst(name.count)
    func pattern(_ prefix: Int) throws(TranscriptError) -> LinePattern {
      var source = rest.dropFirst(prefix)
      if source.first == " " { source = source.dropFirst() }
      do { return try LinePattern(parsing: String(source)) } catch { throw self.error(line, error.description) }
    }
    let action: Transcript.Step.Action
    switch rest {
    case " linefeeds": action = .acceptLineFeeds
    case " close": action = .close
    case " closed": action = .expectClosed
    case " silent": action = .silent
    case " waits": action = .waits
    case "<~": action = .expectAmong(nil)
    case _ where rest.hasPrefix(">>"): action = .send(try pattern(2), endsLine: false)
    case _ where rest.hasPrefix(">"): action = .send(try pattern(1), endsLine: true)
    case _ where rest.hasPrefix("<~"): action = .expectAmong(try pattern(2))
    case _ where rest.hasPrefix("<"): action = .expect(try pattern(1))
    default: throw error(line, "not a transcript line: \(text)")
    }
    return .init(line: line, connection: connection, action: action)
  }
}
