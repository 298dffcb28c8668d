/// Everything that is opened and checked before the server's threads start. `memleased` makes one and calls
/// `Server(PreparedStart).run()`, which returns the process's exit code when SIGTERM, SIGINT or `shutdown` ended it.
public struct PreparedStart: Sendable {
  public var configuration: ServerConfiguration
  /// Open sockets, at least one; the server closes them (`Listener.close`).
  public var listeners: [Listener]
  /// `-Y`; nil: everybody may do everything.
  public var authFile: AuthFile?

  /// Called once, when clients can be served.
  public var onReady: @Sendable () -> Void = {}

  public init(configuration: ServerConfiguration, listeners: [Listener], authFile: AuthFile? = nil) {
    self.configuration = configuration
    self.listeners = listeners
    self.authFile = authFile
  }
}
