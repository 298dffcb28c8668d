import Foundation
import Testing

/// One block of the specification over one transport.
struct TranscriptCase: Sendable, CustomTestStringConvertible {
  let transcript: Transcript
  let transport: Transcript.Transport
  var testDescription: String { "\(transcript.file):\(transcript.line) over \(transport.rawValue)" }

  /// All blocks of protocol-spec and README. Files that cannot be parsed are reported by `specificationParses`.
  static let all: [TranscriptCase] = Specification.texts.flatMap { file, text in
    let transcripts = (try? TranscriptParser(file: file).parse(text)) ?? []
    return transcripts.flatMap { transcript in
      transcript.transports.map { TranscriptCase(transcript: transcript, transport: $0) }
    }
  }
}

/// The Markdown files with transcripts, by their path in the package.
enum Specification {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static let texts: [(file: String, text: String)] = {
    let folder = root.appendingPathComponent("protocol-spec").path
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasSuffix(".md") }.sorted()
    return (["README.md"] + names.map { "protocol-spec/\($0)" }).compactMap { file in
      (try? String(contentsOf: root.appendingPathComponent(file), encoding: .utf8)).map { (file, $0) }
    }
  }()
}

@Suite struct TranscriptTests {
  @Test func specificationParses() throws {
    #expect(Specification.texts.count >= 9)
    for (file, text) in Specification.texts {
      let transcripts = try TranscriptParser(file: file).parse(text)
      if file != "protocol-spec/README.md" { #expect(!transcripts.isEmpty, "\(file) has no transcript") }
    }
  }

  /// Transcripts wait more than they work: on threads of their own they do not keep the other tests from theirs.
  private static let queue: OperationQueue = {
    let queue = OperationQueue()
    queue.maxConcurrentOperationCount = 4
    return queue
  }()

  @Test(arguments: TranscriptCase.all)
  func transcript(_ example: TranscriptCase) async {
    let failure = await withCheckedContinuation { result in
      Self.queue.addOperation { result.resume(returning: Self.failure(of: example)) }
    }
    if let failure { Issue.record(Comment(rawValue: failure)) }
  }

  /// What differs, or nil.
  private static func failure(of example: TranscriptCase) -> String? {
    do throws(TranscriptError) {
      var runner = try TranscriptRunner(example.transcript, example.transport)
      try runner.run()
      return nil
    } catch { return error.description }
  }
}
