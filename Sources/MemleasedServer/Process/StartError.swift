/// Why the server cannot start: one clear line, and the exit code (of sysexits.h) that goes with it.
public struct StartError: Error, Sendable, Equatable, CustomStringConvertible {
  public let message: String
  public let exitCode: Int32
  public var description: String { message }

  public init(_ message: String, exitCode: Int32) {
    self.message = message
    self.exitCode = exitCode
  }

  /// A flag or environment variable with a value that makes no sense: 64.
  static func usage(_ message: String) -> StartError { StartError(message, exitCode: 64) }
  /// A file or user that is not there or not readable: 66, 67.
  static func noInput(_ message: String) -> StartError { StartError(message, exitCode: 66) }
  static func noUser(_ message: String) -> StartError { StartError(message, exitCode: 67) }
  /// The system refuses (port in use, limits): 71. A file cannot be made: 73. No permission: 77.
  static func system(_ message: String) -> StartError { StartError(message, exitCode: 71) }
  static func cannotCreate(_ message: String) -> StartError { StartError(message, exitCode: 73) }
  static func noPermission(_ message: String) -> StartError { StartError(message, exitCode: 77) }

  /// The refusal of a system call: no permission gets its own code.
  static func refused(_ what: String, errno code: Int32) -> StartError {
    let line = "\(what): \(errorText(code))"
    return code == permissionDenied || code == notPermitted ? noPermission(line) : system(line)
  }
}
