import Testing

@testable import MemleasedServer

@Suite struct AuthFileTests {
  private func load(_ text: String) throws -> AuthFile { try AuthFile(contents: Array(text.utf8), name: "users") }

  private func accepts(_ file: AuthFile, _ credentials: String) -> Bool {
    Array(credentials.utf8).withUnsafeBytes { file.accepts(credentials: $0) }
  }

  private func refusal(_ text: String) -> String? {
    do {
      _ = try load(text)
      return nil
    } catch { return (error as? StartError)?.message }
  }

  @Test func acceptsTheUsersOfTheFileAlone() throws {
    let file = try load("ada:secret\r\nbob:hunter2:with colon\neve:\n")
    for right in ["ada secret", "bob hunter2:with colon", "eve "] { #expect(accepts(file, right), "\(right)") }
    let wrong = [
      "", " ", "ada", "ada ", "ada secre", "ada secretx", "ada secret ", "ad secret", "adaa secret", "bob secret", "ada hunter2:with colon",
      "eve x", "secret ada", "ada:secret", "ada secretsecret", "adaada secret",
    ]
    for credentials in wrong { #expect(!accepts(file, credentials), "\(credentials)") }
  }

  @Test func theLastLineNeedsNoEnd() throws {
    #expect(accepts(try load("a:b"), "a b"))
    #expect(try load("a:b\n").entries.count == 1)
  }

  @Test func refusesWithTheLine() {
    #expect(refusal("") == "auth file users: no user in it")
    #expect(refusal("\n") == "auth file users: line 1 is not user:password")
    #expect(refusal("a:b\n\nc:d\n") == "auth file users: line 2 is not user:password")
    #expect(refusal("nocolon\n") == "auth file users: line 1 is not user:password")
    #expect(refusal(":b\n") == "auth file users: line 1 is not user:password")
    #expect(refusal("a:\u{0}b\n") == "auth file users: line 1 is not user:password")
    #expect(refusal("a:" + String(repeating: "x", count: 254)) == "auth file users: line 1 is longer than 255 bytes")
    #expect(refusal("a:" + String(repeating: "x", count: 253)) == nil)
    let eight = (1...8).map { "u\($0):p\n" }.joined()
    #expect(refusal(eight) == nil)
    #expect(refusal(eight + "u9:p\n") == "auth file users: more than 8 users")
  }

  @Test func aFileThatIsNotThereIsOneLine() {
    #expect(throws: StartError("auth file /nonexistent/users: No such file or directory", exitCode: 66)) {
      try AuthFile(path: "/nonexistent/users")
    }
    #expect(throws: StartError("auth file /: Is a directory", exitCode: 66)) { try AuthFile(path: "/") }
    #expect(throws: StartError("auth file /dev/zero: more than 8 users", exitCode: 66)) { try AuthFile(path: "/dev/zero") }
  }
}
