import Foundation
import LeaseCore
import Testing

@testable import MemleasedServer

@Suite struct ConfigurationFileTests {
  private func load(_ text: String) throws -> ConfigurationFile { try ConfigurationFile(contents: Array(text.utf8), name: "conf") }

  private func refusal(_ text: String) -> String? {
    do {
      _ = try load(text)
      return nil
    } catch {
      guard let error = error as? StartError else { return "\(error)" }
      return error.exitCode == 64 ? error.message : "exit code \(error.exitCode)"
    }
  }

  /// A file that is gone again after the test.
  private final class TemporaryFile {
    let path: String
    init(_ text: String) throws {
      path = NSTemporaryDirectory() + "memleased-\(UUID().uuidString).conf"
      try text.write(toFile: path, atomically: false, encoding: .utf8)
    }
    deinit { unlink(path) }
  }

  @Test func settingsPoliciesAndComments() throws {
    let file = try load(
      """
      # a comment
      port = 1\r
        memory-limit=5\t
      listen = a
      listen = b,c

      [prefix user:]
      # another
      lease-ms = 300
      plain-writes = guard
      coalesce-gets-ms = 5
      [prefix "page:"]
      [prefix a=b]
      holders = 2
      """)
    #expect(file.settings[.port] == [SettingValue(text: "1", origin: "conf:2: port")])
    #expect(file.settings[.memoryLimit]?.map(\.text) == ["5"])
    #expect(file.settings[.listen]?.map(\.text) == ["a", "b,c"])
    #expect(file.policies.map { String(decoding: $0.prefix, as: UTF8.self) } == ["user:", "page:", "a=b"])
    var user = Policy()
    user.leaseMs = 300
    user.plainWrites = .guarded
    user.coalesceGetsMs = 5
    #expect(file.policies[0].policy == user)
    #expect(file.policies[1].policy == Policy())
    #expect(file.policies[2].policy.holders == 2)
    #expect(try load("").policies.isEmpty)
  }

  @Test(arguments: [
    ("port", "conf:1: 'port' is neither 'name = value' nor '[prefix ...]'"),
    ("\n\nports = 1", "conf:3: 'ports' is not a setting"),
    ("config = x", "conf:1: 'config' is not a setting"),
    ("port = 1\nport = 2", "conf:2: port: is here a second time"),
    ("[prefix a]\nport = 1", "conf:2: 'port' is not a setting of a policy"),
    ("[prefix a]\nlease-ms = soon", "conf:2: lease-ms: 'soon' is not a number of milliseconds (1 to 86400000)"),
    ("[prefix a]\nlease-ms =", "conf:2: lease-ms: '' is not a number of milliseconds (1 to 86400000)"),
    ("[prefix a]\nlease-ms = 1\nlease-ms = 1", "conf:3: lease-ms: is here a second time"),
    ("[prefix a]\n[prefix a]", "conf:2: [prefix a]: is here a second time"),
    ("[prefix]", "conf:1: '[prefix]' is not '[prefix ...]'"),
    ("[prefix a", "conf:1: '[prefix a' is not '[prefix ...]'"),
    ("[policy a]", "conf:1: '[policy a]' is not '[prefix ...]'"),
    ("[prefix ]", "conf:1: a prefix has 1 to 250 bytes, none of them a space or control character"),
    ("[prefix a b]", "conf:1: a prefix has 1 to 250 bytes, none of them a space or control character"),
  ])
  func whatIsWrongIsNamed(text: String, line: String) { #expect(refusal(text) == line) }

  @Test func bounds() {
    let sections = (0..<1_025).map { "[prefix \($0)]" }
    #expect(refusal(sections.dropLast().joined(separator: "\n")) == nil)
    #expect(refusal(sections.joined(separator: "\n")) == "conf:1025: more than 1024 prefixes")
    #expect(refusal("[prefix \(String(repeating: "x", count: 250))]") == nil)
    #expect(refusal("[prefix \(String(repeating: "x", count: 251))]") != nil)
  }

  @Test func aFlagWinsOverTheEnvironmentAndThatOverTheFile() throws {
    let file = try TemporaryFile("port = 1\nthreads = 2\nmemory-limit = 3\ndisable-evictions = on\nmemcached = off\nlisten = x\n")
    let options = try options(
      ["--config", file.path, "-p", "11"], environment: ["MEMLEASE_PORT": "21", "MEMLEASE_THREADS": "22", "MEMLEASE_LISTEN": ""])
    #expect(options.server.port == 11 && options.server.workers == 22 && options.server.memoryBytes == 3 << 20)
    #expect(!options.server.evicts && !options.server.isMemcachedMode && options.server.addresses == ["x"])
    #expect(options.server.configurationFilePath == file.path)
    let other = try TemporaryFile("port = 99")
    #expect(try ServerTests.options([], environment: ["MEMLEASE_CONFIG": other.path]).server.port == 99)
  }

  @Test func aValueIsRefusedByItsPlace() throws {
    let file = try TemporaryFile("# x\nthreads = many\n")
    #expect(throws: StartError("\(file.path):2: threads: 'many' is not a number of threads (1 to 256)", exitCode: 64)) {
      try options(["--config", file.path])
    }
    #expect(throws: StartError("configuration file /nonexistent: No such file or directory", exitCode: 66)) {
      try options(["--config", "/nonexistent"])
    }
  }

  @Test func coalescedGetsNeedPlainWrites() throws {
    let file = try TemporaryFile("[prefix a]\ncoalesce-gets-ms = 5\n")
    #expect(throws: StartError("\(file.path):2: coalesce-gets-ms: needs plain-writes guard or allow", exitCode: 64)) {
      try options(["--config", file.path])
    }
    #expect(try options(["--config", file.path, "--plain-writes", "guard"]).server.policies.count == 1)
  }
}
