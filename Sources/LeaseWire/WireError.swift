/// Why a line was refused. The text is what goes over the wire, memcached's words where memcached has them.
public enum WireError: UInt8, Sendable {
  case none
  case unknownCommand
  case badLine
  case badDelete
  case lineTooLong
  case duplicateFlag
  case invalidFlag
  case invalidOrDuplicateFlag
  case tooManyFlags
  case badToken
  case badInitial
  case badDelta
  case badMetaDelta
  case badExptime
  case badKeyEncoding
  case badModeLength
  case badSetMode
  case badArithmeticMode
  case opaqueTooLong
  case badLeaseOption
  case badDataChunk

  public var text: StaticString {
    switch self {
    case .none, .unknownCommand: "ERROR"
    case .badLine: "CLIENT_ERROR bad command line format"
    case .badDelete: "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]"
    case .lineTooLong: "CLIENT_ERROR line too long"
    case .duplicateFlag: "CLIENT_ERROR duplicate flag"
    case .invalidFlag: "CLIENT_ERROR invalid flag"
    case .invalidOrDuplicateFlag: "CLIENT_ERROR invalid or duplicate flag"
    case .tooManyFlags: "CLIENT_ERROR options flags are too long"
    case .badToken: "CLIENT_ERROR bad token in command line format"
    case .badInitial: "CLIENT_ERROR invalid numeric initial value"
    case .badDelta: "CLIENT_ERROR invalid numeric delta argument"
    case .badMetaDelta: "CLIENT_ERROR invalid numeric delta value"
    case .badExptime: "CLIENT_ERROR invalid exptime argument"
    case .badKeyEncoding: "CLIENT_ERROR error decoding key"
    case .badModeLength: "CLIENT_ERROR incorrect length for M token"
    case .badSetMode: "CLIENT_ERROR invalid mode for ms M token"
    case .badArithmeticMode: "CLIENT_ERROR invalid mode for ma M token"
    case .opaqueTooLong: "CLIENT_ERROR opaque token too long"
    case .badLeaseOption: "CLIENT_ERROR invalid lease option"
    case .badDataChunk: "CLIENT_ERROR bad data chunk"
    }
  }
}
