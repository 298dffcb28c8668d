/// One executable example of the specification: a server's flags and the lines that its clients and it exchange.
struct Transcript: Sendable {
  enum Transport: String, CaseIterable, Sendable { case tcp, unix }

  struct Step: Sendable {
    enum Action: Sendable {
      /// `C1> text`: sent with CRLF. `C1>> text`: sent without.
      case send(LinePattern, endsLine: Bool)
      /// `C1< text`.
      case expect(LinePattern)
      /// `C1<~ text`: a line that must come before the next `C1<` line matches, in any order, among others. Nil: others may come.
      case expectAmong(LinePattern?)
      /// `C1 linefeeds`: from here on a bare LF ends a line on this connection.
      case acceptLineFeeds
      /// `C1 close`.
      case close
      /// `C1 closed`: the server closed the connection.
      case expectClosed
      /// `C1 silent`: everything that was expected has come, and nothing else: an `mn` is answered next.
      case silent
      /// `C1 waits`: nothing more has come so far.
      case waits
      /// `retry 5s`: the steps of the paragraph, again and again until they match.
      case retry(limitMs: Int, [Step])
      /// `waiters 2`: the server comes to count so many parked requests.
      case waiters(Int)
      /// `server exits 0`.
      case serverExits(code: Int32)
    }
    let line: Int
    let connection: String
    let action: Action
  }

  let file: String
  let line: Int
  var flags: [String] = []
  /// Content of a temporary file whose path stands for `<file>` in the flags.
  var fileContent: String? = nil
  var transports = Transport.allCases
  var steps: [Step] = []
}
