import Testing

@Suite struct TranscriptParserTests {
  private func parse(_ body: String, info: String = "") throws -> Transcript {
    let transcripts = try TranscriptParser(file: "t.md").parse("Text.\n\n```transcript\(info)\n\(body)\n```\nMore.\n")
    return try #require(transcripts.first)
  }

  private func matches(_ pattern: String, _ line: String, _ bindings: inout Bindings) throws -> Bool {
    try LinePattern(parsing: pattern).matches(Array(line.utf8), &bindings)
  }

  private func matches(_ pattern: String, _ line: String) throws -> Bool {
    var bindings = Bindings()
    return try matches(pattern, line, &bindings)
  }

  @Test func findsBlocksAndTheirLines() throws {
    let text =
      "```sh\n```\n# x\n```transcript\nC1> mn\nC1< MN\n```\n```text\nC1> no\n```\n```transcript flags=\"-A -m 8\" transport=\"tcp\" file=\"a:b|c:d\"\nC2> q\n```\n"
    let found = try TranscriptParser(file: "t.md").parse(text)
    #expect(found.map(\.line) == [4, 11])
    #expect(found[0].steps.map(\.line) == [5, 6])
    #expect(found[1].flags == ["-A", "-m", "8"])
    #expect(found[1].transports == [.tcp])
    #expect(found[1].fileContent == "a:b\nc:d\n")
    #expect(found[1].steps.map(\.connection) == ["C2"])
  }

  @Test(arguments: [
    "D1> x", "C1 shut", "C> x", "C1", "C1< <nothing>", "C1< <number:5>", "C1> \\q", "C1> \\x4", "C1> \\{x*}", "retry 5\nC1> mn",
    "retry 5s\nC1< MN", "retry 5s\nC1> mn\nC2< MN", "retry 5s\nC1> mn\nC1 close", "C1< <token:>", "C1> <", "server exits x", "waiters",
    "waiters x", "waiters -1", "C1 wait", "",
  ])
  func refusesWhatItDoesNotUnderstand(_ body: String) {
    #expect(throws: TranscriptError.self) { try parse(body) }
  }

  @Test(arguments: [" flags=x", " colour=\"red\"", " transport=\"udp\"", " flags=\"x"])
  func refusesBadInfoStrings(_ info: String) {
    #expect(throws: TranscriptError.self) { try parse("C1> mn", info: info) }
  }

  @Test func refusesABlockWithoutEnd() {
    #expect(throws: TranscriptError.self) { try TranscriptParser(file: "t.md").parse("```transcript\nC1> mn\n") }
  }

  @Test func sendsEscapesNamesAndRepeats() throws {
    var bindings = Bindings()
    let isNew = bindings.bind("token:a", Array("41".utf8))
    #expect(isNew)
    let pattern = try LinePattern(parsing: "a\\x00\\r\\n\\\\\\<\\{xy*2} <token:a> <token:a+1> <time+5>")
    #expect(try pattern.bytes(bindings, timeSeconds: 100) == Array("a\0\r\n\\<xyxy 41 42 105".utf8))
    #expect(throws: TranscriptError.self) { try LinePattern(parsing: "<token:b>").bytes(bindings, timeSeconds: 0) }
    #expect(throws: TranscriptError.self) { try LinePattern(parsing: "<any>").bytes(bindings, timeSeconds: 0) }
  }

  @Test func matchesLiteralsAndWildcards() throws {
    #expect(try matches("END", "END"))
    #expect(try !matches("END", "END "))
    #expect(try !matches("END", "EN"))
    #expect(try matches("a <any> d", "a b c d"))
    #expect(try matches("a<any>", "a"))
    #expect(try !matches("a <any> d", "a b c"))
    #expect(try matches("<word> x", "abc x"))
    #expect(try !matches("<word>x", " x"))
    #expect(try matches("t<number:1..30>", "t30"))
    #expect(try !matches("t<number:1..30>", "t31"))
    #expect(try !matches("t<number>", "t"))
    #expect(try matches("", ""))
  }

  @Test func bindsAtFirstSightAndThenCompares() throws {
    var bindings = Bindings()
    #expect(try matches("LVALUE k <token:a> 0 0", "LVALUE k 77 0 0", &bindings))
    #expect(try matches("<token:a>", "77", &bindings))
    #expect(try !matches("<token:a>", "78", &bindings))
    #expect(try !matches("<token:b>", "77", &bindings))
    #expect(try !matches("<version:b>", "77", &bindings))
    #expect(try matches("<version:b>", "78", &bindings))
    #expect(try matches("<word:w>", "77", &bindings))
  }

  @Test func tokensAreInTheirRange() throws {
    for bad in ["0", "1", "9223372036854775808", "x", ""] { #expect(try !matches("<token:a>", bad)) }
    for good in ["2", "9223372036854775807"] { #expect(try matches("<token:a>", good)) }
  }

  @Test func aFailedMatchBindsNothing() throws {
    var bindings = Bindings()
    #expect(try !matches("<token:a> x", "5 y", &bindings))
    #expect(bindings.values.isEmpty)
  }

  @Test func knowsTheLinesAboutWaiting() throws {
    let transcript = try parse("waiters 12\nC2 waits")
    guard case .waiters(12) = transcript.steps[0].action, case .waits = transcript.steps[1].action else {
      Issue.record("read as something else: \(transcript.steps)")
      return
    }
    #expect(transcript.steps[1].connection == "C2")
  }

  @Test func retryTakesItsParagraph() throws {
    let transcript = try parse("retry 3s\nC1> get a\nC1< END\n\nC2> mn\nC2< MN")
    #expect(transcript.steps.count == 3)
    guard case .retry(let limitMs, let steps) = transcript.steps[0].action else {
      Issue.record("no retry")
      return
    }
    #expect(limitMs == 3000)
    #expect(steps.map(\.line) == [5, 6])
  }
}
