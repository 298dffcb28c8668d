import Foundation
import Testing

@testable import MemleasedServer

/// The built `memleased` as a user starts it.
@Suite(.serialized) struct ProcessTests {
  private struct Ended {
    var code: Int32
    var output: String
    var error: String
  }

  /// `memleased` beside the test bundle.
  private static func binary() throws -> URL {
    let executable = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    let places = [executable] + Bundle.allBundles.map(\.bundleURL)
    for place in places {
      var folder = place
      for _ in 0..<5 where folder.path != "/" {
        folder.deleteLastPathComponent()
        let candidate = folder.appendingPathComponent("memleased")
        if FileManager.default.isExecutableFile(atPath: candidate.path), !candidate.hasDirectoryPath { return candidate }
      }
    }
    throw StartError("memleased is not built", exitCode: 1)
  }

  /// Started with `posix_spawn`: Foundation's `Process` leaves a socket in the child and waits for that, too, which a daemon keeps.
  private struct Started {
    let identifier: pid_t
    let output: FileHandle
    let error: FileHandle
    private let watchdog: DispatchWorkItem

    init(_ arguments: [String], environment: [String: String]) throws {
      let path = try ProcessTests.binary().path
      let (output, error) = (Pipe(), Pipe())
      var actions = posix_spawn_file_actions_t()
      posix_spawn_file_actions_init(&actions)
      defer { posix_spawn_file_actions_destroy(&actions) }
      posix_spawn_file_actions_adddup2(&actions, output.fileHandleForWriting.fileDescriptor, 1)
      posix_spawn_file_actions_adddup2(&actions, error.fileHandleForWriting.fileDescriptor, 2)
      var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
      var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") } + [nil]
      defer { for word in words + variables { free(word) } }
      var identifier: pid_t = 0
      try #require(posix_spawn(&identifier, path, &actions, nil, &words, &variables) == 0)
      output.fileHandleForWriting.closeFile()
      error.fileHandleForWriting.closeFile()
      self.identifier = identifier
      (self.output, self.error) = (output.fileHandleForReading, error.fileHandleForReading)
      let child = identifier
      watchdog = DispatchWorkItem { kill(child, SIGKILL) }
      DispatchQueue.global().asyncAfter(deadline: .now() + 60, execute: watchdog)
    }

    /// The exit code; -1: a signal ended it.
    func wait() -> Int32 {
      var status: Int32 = 0
      while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
      watchdog.cancel()
      return status & 0x7f == 0 ? (status >> 8) & 0xff : -1
    }
  }

  /// Starts, waits for the end (a watchdog ends what runs on), and gives what was said.
  private static func run(_ arguments: [String], environment: [String: String] = [:]) throws -> Ended {
    let started = try Started(arguments, environment: environment)
    let text = String(decoding: started.output.readDataToEndOfFile(), as: UTF8.self)
    let errors = String(decoding: started.error.readDataToEndOfFile(), as: UTF8.self)
    return Ended(code: started.wait(), output: text, error: errors)
  }

  private static let asRoot = getuid() == 0 ? ["-u", "root"] : []

  @Test func aPortInUseIsOneLine() throws {
    var configuration = ServerConfiguration()
    configuration.addresses = ["127.0.0.1"]
    configuration.port = 0
    let listener = try #require(try Listener.open(configuration).first)
    defer { listener.close() }
    let ended = try Self.run(["-l", "127.0.0.1", "-p", String(listener.port)] + Self.asRoot)
    #expect(ended.code == 71 && ended.output.isEmpty)
    #expect(ended.error == "memleased: cannot listen on 127.0.0.1:\(listener.port): Address already in use\n")
  }

  @Test(arguments: [["-m", "0"], ["--bogus"], ["-p"], ["extra"], ["-B", "binary"], ["-o", "bogus"]])
  func aBadFlagIsOneLine(arguments: [String]) throws {
    let ended = try Self.run(arguments)
    #expect(ended.code == 64 && ended.output.isEmpty)
    #expect(ended.error.hasPrefix("memleased: ") && ended.error.filter { $0 == "\n" }.count == 1 && ended.error.hasSuffix("\n"))
  }

  @Test func aBadVariableIsOneLine() throws {
    let ended = try Self.run([], environment: ["MEMLEASE_LEASE_MS": "soon"])
    #expect(ended.code == 64)
    #expect(ended.error == "memleased: MEMLEASE_LEASE_MS: 'soon' is not a number of milliseconds (1 to 86400000)\n")
  }

  @Test func helpAndVersionEndWell() throws {
    let version = try Self.run(["-V"])
    #expect(version.code == 0 && version.output == "memleased 0.1.0\n" && version.error.isEmpty)
    let help = try Self.run(["-h"])
    #expect(help.code == 0 && help.output.contains("--plain-writes") && help.error.isEmpty)
  }

  /// Whether a process may raise its limit on descriptors above ten million: by its hard limit, or root up to the kernel's.
  private static let mayHoldTenMillionDescriptors: Bool = {
    var limit = rlimit()
    #if canImport(Glibc)
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    #else
      getrlimit(RLIMIT_NOFILE, &limit)
    #endif
    let kernels = (try? String(contentsOfFile: "/proc/sys/fs/nr_open", encoding: .utf8)).flatMap { Int($0.dropLast()) } ?? 0
    return limit.rlim_max > 10_000_000 || (getuid() == 0 && kernels > 10_000_000)
  }()

  @Test(.disabled(if: mayHoldTenMillionDescriptors, "this machine has room for them"))
  func moreConnectionsThanDescriptorsAreRefused() throws {
    let ended = try Self.run(["-l", "127.0.0.1", "-p", "0", "-c", "10000000"] + Self.asRoot)
    #expect(ended.code == 71)
    #expect(ended.error.hasPrefix("memleased: cannot hold 10000000 connections (-c): ") && ended.error.filter { $0 == "\n" }.count == 1)
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func aSignalEndsItWithZeroAndHangupDoesNot(signal: Int32) throws {
    let started = try Started(["-l", "127.0.0.1", "-p", "0", "-v", "-m", "1"] + Self.asRoot, environment: [:])
    // It says so as soon as it listens.
    var said = ""
    while !said.contains("listening on") {
      let more = started.error.availableData
      try #require(!more.isEmpty, "it ended: \(said)")
      said += String(decoding: more, as: UTF8.self)
    }
    let port = try #require(said.firstMatch(of: /tcp:127\.0\.0\.1:(\d+)/).flatMap { Int($0.1) })
    #expect(try Self.ask(port, "mn\r\n") == "MN\r\n")
    kill(started.identifier, SIGHUP)
    #expect(try Self.ask(port, "mn\r\n") == "MN\r\n")
    kill(started.identifier, signal)
    #expect(started.wait() == 0)
  }

  @Test func hangupReadsThePoliciesAgain() throws {
    let path = NSTemporaryDirectory() + "memleased-\(UUID().uuidString).conf"
    defer { unlink(path) }
    func write(_ text: String) throws { try text.write(toFile: path, atomically: true, encoding: .utf8) }
    try write("[prefix a]\nholders = 2\n[prefix b]\n")
    let started = try Started(["-l", "127.0.0.1", "-p", "0", "-v", "-m", "1", "--config", path] + Self.asRoot, environment: [:])
    var said = ""
    func readUntil(_ text: String) throws {
      while !said.contains(text) {
        let more = started.error.availableData
        try #require(!more.isEmpty, "it ended: \(said)")
        said += String(decoding: more, as: UTF8.self)
      }
      said = ""
    }
    while said.firstMatch(of: /tcp:127\.0\.0\.1:(\d+)\n/) == nil {
      let more = started.error.availableData
      try #require(!more.isEmpty, "it ended: \(said)")
      said += String(decoding: more, as: UTF8.self)
    }
    let port = try #require(said.firstMatch(of: /tcp:127\.0\.0\.1:(\d+)/).flatMap { Int($0.1) })
    #expect(try Self.ask(port, "policy set c holders=4\r\n") == "OK\r\n")
    try write("[prefix a]\nholders = 3\n")
    kill(started.identifier, SIGHUP)
    try readUntil("memleased: read the policies in \(path)\n")
    #expect(try Self.ask(port, "policy get a\r\n") == "POLICY a holders=3\r\n")
    #expect(try Self.ask(port, "policy get b\r\n") == "END\r\n", "not in the file any more")
    #expect(try Self.ask(port, "policy get c\r\n") == "POLICY c holders=4\r\n", "set by command")
    try write("[prefix a]\nholders = none\n")
    kill(started.identifier, SIGHUP)
    try readUntil("memleased: \(path):2: holders: 'none' is not a number of holders (1 to 1048576); the old policies stay\n")
    #expect(try Self.ask(port, "policy get a\r\n") == "POLICY a holders=3\r\n")
    kill(started.identifier, SIGTERM)
    #expect(started.wait() == 0)
  }

  @Test func aDaemonIsReadyWhenTheCommandReturnsAndCleansUp() throws {
    var template = Array("/tmp/memleased-daemon-XXXXXX".utf8CString)
    let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
    defer { rmdir(directory) }
    let (socket, pidFile) = (directory + "/socket", directory + "/pid")
    let ended = try Self.run(["-d", "-s", socket, "-P", pidFile, "-m", "1"] + Self.asRoot)
    #expect(ended.code == 0)
    let identifier = try #require(pid_t(String(contentsOfFile: pidFile, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
    #expect(FileManager.default.fileExists(atPath: socket))
    kill(identifier, SIGTERM)
    // It is not our child: its end shows in the pid file's going, which comes last.
    let limit = Date(timeIntervalSinceNow: 60)
    while FileManager.default.fileExists(atPath: pidFile), Date() < limit { poll(nil, 0, 5) }
    #expect(!FileManager.default.fileExists(atPath: pidFile) && !FileManager.default.fileExists(atPath: socket))
  }

  @Test func aDaemonThatCannotStartSaysSo() throws {
    let ended = try Self.run(["-d", "-l", "127.0.0.1", "-p", "0", "-P", "/nonexistent/pid"] + Self.asRoot)
    #expect(ended.code == 73)
    #expect(ended.error == "memleased: cannot write the pid file /nonexistent/pid (-P): No such file or directory\n")
  }

  /// One request on a connection of its own, and the first line of its answer.
  private static func ask(_ port: Int, _ request: String) throws -> String {
    #if canImport(Glibc)
      let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #else
      let fd = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    defer { close(fd) }
    var limit = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    try #require(result == 0)
    let bytes = Array(request.utf8)
    try #require(send(fd, bytes, bytes.count, 0) == bytes.count)
    var answer: [UInt8] = []
    var byte: UInt8 = 0
    while answer.last != UInt8(ascii: "\n"), recv(fd, &byte, 1, 0) == 1 { answer.append(byte) }
    return String(decoding: answer, as: UTF8.self)
  }
}
