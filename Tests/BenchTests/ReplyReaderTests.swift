#if os(Linux)
  import Testing

  @testable import memlease_bench

  struct ReplyReaderTests {
    @Test(arguments: [
      ("VALUE k 0 3\r\nabc\r\nEND\r\n", Outcome.hit), ("VA 3 kkey\r\nabc\r\n", .hit), ("END\r\n", .miss), ("EN\r\n", .miss),
      ("LVALUE k 12 0 0\r\n\r\nEND\r\n", .miss), ("STORED\r\n", .stored), ("HD c1\r\n", .stored), ("NS\r\n", .refused),
      ("NOT_STORED\r\n", .refused), ("EX\r\n", .refused), ("SERVER_ERROR busy\r\n", .error), ("CLIENT_ERROR bad\r\n", .error),
      ("ERROR\r\n", .unknownCommand), ("ERROR Too many open connections\r\n", .error), ("HTTP/1.1 400\r\n", .garbage),
      ("VALUE k 0 3\r\nabcd\r\nEND\r\n", .garbage), ("VALUE k 0 x\r\n", .garbage),
    ])
    func wholeReplies(_ reply: String, _ outcome: Outcome) {
      #expect(read(reply).outcome == outcome)
    }

    @Test(arguments: ["VALUE k 0 3\r\nabc\r\nEND\r\n", "VA 3 k\r\nabc\r\n", "STORED\r\n", "LVALUE k 12 0 3\r\nabc\r\nEND\r\n"])
    func aReplyThatIsNotAllThereIsIncompleteAtEveryByte(_ reply: String) {
      for count in 0..<reply.utf8.count { #expect(read(String(decoding: reply.utf8.prefix(count), as: UTF8.self)).length == 0) }
      #expect(read(reply + "EN").length == reply.utf8.count)
    }

    @Test func piecesOfAReplyForSeveralKeys() {
      #expect(describe(read("VALUE key 0 3\r\nabc\r\nVALUE", inPieces: true)) == "hit 20 key=6..<9 value=15..<18")
      #expect(describe(read("VA 3 kkey\r\nabc\r\nMN\r\n", inPieces: true)) == "hit 16 key=6..<9 value=11..<14")
      #expect(read("MN\r\n", inPieces: true).outcome == .miss)
      #expect(read("END\r\n", inPieces: true).length == 5)
    }

    @Test func aValueThatComesWithALeaseIsToldFromAHit() {
      #expect(read("VA 0 c12 W\r\n\r\n").isOwed)
      #expect(read("VA 3 c12 X Z\r\nabc\r\n").isOwed)
      #expect(!read("VA 3 kW c12\r\nabc\r\n").isOwed)
    }

    private func read(_ text: String, inPieces: Bool = false) -> ReplyReader.Reply {
      let bytes = Array(text.utf8) + [0]
      return bytes.withUnsafeBufferPointer { buffer in
        buffer.baseAddress.map { ReplyReader.read($0, text.utf8.count, inPieces: inPieces) } ?? .incomplete
      }
    }

    private func describe(_ reply: ReplyReader.Reply) -> String {
      "\(reply.outcome) \(reply.length) key=\(reply.keyRange) value=\(reply.valueRange)"
    }
  }
#endif
