/// The steps of a start in their order. The caller runs the server with `prepared`, then calls `finish`.
public struct Startup: Sendable {
  public let prepared: PreparedStart
  private let pidFile: PidFile?

  /// Opens everything; a refusal leaves nothing behind. Call it on the first thread, before any other.
  public init(_ options: StartOptions) throws(StartError) {
    var options = options
    if options.process.isDaemon {
      options.makePathsAbsolute()
      Daemon.closeInheritedDescriptors()
    }
    let configuration = options.server
    ProcessSetup.prepareSignals()
    let authFile = try configuration.authFilePath.map { path throws(StartError) in try AuthFile(path: path) }
    try ProcessSetup.raiseDescriptorLimit(configuration)
    if options.process.raisesCoreLimit { try ProcessSetup.raiseCoreLimit() }
    let listeners = try Listener.open(configuration)
    ProcessSetup.holdSignals()
    var pidFile: PidFile?
    var daemon: Daemon?
    do throws(StartError) {
      // Listening comes first, so that a port in use is still said on the terminal.
      if options.process.isDaemon { daemon = try Daemon.detach(keepsStreams: configuration.verbosity > 0) }
      pidFile = try options.process.pidFilePath.map { path throws(StartError) in try PidFile(path: path) }
      if options.process.locksMemory { ProcessSetup.lockMemory() }
      try ProcessSetup.dropPrivileges(
        to: options.process.user, files: [configuration.unixSocketPath, options.process.pidFilePath].compactMap { $0 })
    } catch {
      for listener in listeners { listener.close() }
      pidFile?.remove()
      throw error
    }
    self.pidFile = pidFile
    var prepared = PreparedStart(configuration: configuration, listeners: listeners, authFile: authFile)
    if let daemon { prepared.onReady = { daemon.becomeReady() } }
    self.prepared = prepared
    if configuration.verbosity > 0 { Self.say(options.notes, listeners) }
  }

  /// After the server has ended.
  public func finish() { pidFile?.remove() }

  private static func say(_ notes: [String], _ listeners: [Listener]) {
    for note in notes { writeErrorLine("memleased: \(note)") }
    for listener in listeners { writeErrorLine("memleased: listening on \(listener.address)") }
  }
}

extension StartOptions {
  /// A daemon works in `/`.
  fileprivate mutating func makePathsAbsolute() {
    server.unixSocketPath = server.unixSocketPath.map(ProcessSetup.absolutePath)
    server.configurationFilePath = server.configurationFilePath.map(ProcessSetup.absolutePath)
    process.pidFilePath = process.pidFilePath.map(ProcessSetup.absolutePath)
  }
}
