import Foundation

/// A running `memleased` of one transcript. Invariant: it is ended, by its process id, when this object goes.
final class ServerProcess {
  enum Endpoint {
    case tcp(UInt16)
    case unix(String)
  }

  let endpoint: Endpoint
  private let process: pid_t
  private let directory: String
  private var status: Int32? = nil

  /// MEMLEASED, or `memleased` in the folder of the test bundle (or one above it).
  static let binary: String? = {
    let environment = ProcessInfo.processInfo.environment
    if let path = environment["MEMLEASED"] { return path }
    let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let places = [executable] + CommandLine.arguments.filter { $0.hasPrefix("/") } + Bundle.allBundles.map(\.bundlePath)
    for place in places where !place.isEmpty {
      var folder = URL(fileURLWithPath: place)
      for _ in 0..<5 where folder.path != "/" {
        folder.deleteLastPathComponent()
        let candidate = folder.appendingPathComponent("memleased").path
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: candidate, isDirectory: &isFolder), !isFolder.boolValue,
          FileManager.default.isExecutableFile(atPath: candidate)
        {
          return candidate
        }
      }
    }
    return nil
  }()

  static func start(_ transcript: Transcript, _ transport: Transcript.Transport) throws(TranscriptError) -> ServerProcess {
    guard let binary else { throw TranscriptError("memleased was not found; build it or set MEMLEASED") }
    // Where a port cannot be reserved another process may take it before the server does: then the next port.
    for attempt in 1...5 {
      let directory = try makeDirectory()
      let file = directory + "/file"
      if let content = transcript.fileContent { _ = FileManager.default.createFile(atPath: file, contents: Data(content.utf8)) }
      let endpoint: Endpoint
      var arguments = [binary]
      var reservation: Int32 = -1
      defer { SpecSocket.release(reservation) }
      switch transport {
      case .tcp:
        guard let (port, descriptor) = SpecSocket.reservePort() else { throw TranscriptError("no free port") }
        reservation = descriptor
        endpoint = .tcp(port)
        arguments += ["-l", "127.0.0.1", "-p", String(port)]
      case .unix:
        endpoint = .unix(directory + "/socket")
        arguments += ["-s", directory + "/socket"]
      }
      if getuid() == 0 { arguments += ["-u", "root"] }
      arguments += transcript.flags.map { $0 == "<file>" ? file : $0 }
      guard let process = spawn(arguments, log: directory + "/log") else { throw TranscriptError("cannot start \(binary)") }
      let server = ServerProcess(endpoint: endpoint, process: process, directory: directory)
      if server.waitUntilReady() { return server }
      if server.status == nil { throw TranscriptError("the server does not answer: \(server.log)") }
      if attempt == 5 || transport == .unix { throw TranscriptError("the server ended at its start: \(server.log)") }
    }
    throw TranscriptError("the server did not start")
  }

  private static func makeDirectory() throws(TranscriptError) -> String {
    var template = Array("/tmp/memleased-spec-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw TranscriptError("no temporary folder") }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private init(endpoint: Endpoint, process: pid_t, directory: String) {
    self.endpoint = endpoint
    self.process = process
    self.directory = directory
  }

  deinit {
    if status == nil {
      kill(process, SIGKILL)
      _ = waitForExit(limitMs: TranscriptRunner.lineLimitMs)
    }
    try? FileManager.default.removeItem(atPath: directory)
  }

  func connect() -> SpecSocket? {
    switch endpoint {
    case .tcp(let port): SpecSocket.tcp(port: port)
    case .unix(let path): SpecSocket.unix(path: path)
    }
  }

  /// What the server wrote to its standard error, for a failing test's message.
  var log: String { (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? "" }

  /// The exit code, or nil when it still runs after the limit. A signal's number comes back negative.
  func waitForExit(limitMs: Int) -> Int32? {
    var waitedMs = 0
    while status == nil, waitedMs <= limitMs {
      var raw: Int32 = 0
      if waitpid(process, &raw, WNOHANG) == process {
        status = raw & 0x7f == 0 ? (raw >> 8) & 0xff : -(raw & 0x7f)
      } else {
        poll(nil, 0, 2)
        waitedMs += 2
      }
    }
    return status
  }

  private func waitUntilReady() -> Bool {
    let limit = Date(timeIntervalSinceNow: Double(TranscriptRunner.lineLimitMs) / 1000)
    while Date() < limit {
      if connect() != nil { return true }
      if waitForExit(limitMs: 0) != nil { return false }
    }
    return false
  }

  private static func spawn(_ arguments: [String], log: String) -> pid_t? {
    #if canImport(Darwin)
      var actions: posix_spawn_file_actions_t? = nil
    #else
      var actions = posix_spawn_file_actions_t()
    #endif
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    // The host's MEMLEASE_ settings must not reach the server under test.
    let environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("MEMLEASE_") }
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") }
    variables.append(nil)
    defer { for variable in variables { free(variable) } }
    var process: pid_t = 0
    return posix_spawn(&process, arguments[0], &actions, nil, pointers, variables) == 0 ? process : nil
  }
}
