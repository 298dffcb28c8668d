/// Every command that the server knows.
public enum Command: UInt8, Sendable {
  case unknown
  // Classic reads; any number of keys follows.
  case get, gets, gat, gats, leaseGet
  // Classic writes with a data block.
  case set, add, replace, append, prepend, cas
  case incr, decr, touch, delete
  // Leases.
  case leaseSet, leaseExtend, leaseRelease, leaseFail, leasePass, leaseKeep, leaseHold, leaseRevoke
  // Meta.
  case metaNoop, metaCancel, metaGet, metaSet, metaDelete, metaArithmetic, metaDebug
  // Everything else: the rest of the line is the handler's to read.
  case flushAll, flushPrefix, policy, version, verbosity, quit, shutdown, cacheMemlimit, stats, lruCrawler, lru, slabs, watch, metaget

  /// `get` and its kin: keys until the end of the line.
  @inlinable public var takesManyKeys: Bool { rawValue >= Command.get.rawValue && rawValue <= Command.leaseGet.rawValue }
  /// A line of this command is followed by a data block of `valueCount` bytes.
  @inlinable public var hasData: Bool {
    switch self {
    case .set, .add, .replace, .append, .prepend, .cas, .leaseSet, .leaseFail, .metaSet: true
    default: false
    }
  }
}

/// Which meta flags a request carries: one bit per letter.
@frozen public struct MetaFlags: Equatable, Sendable {
  public var bits: UInt64 = 0
  @inlinable public init() {}

  @inlinable public static func bit(_ letter: UInt8) -> UInt64 { 1 &<< UInt64(letter & 63) }
  @inlinable public func has(_ letter: Unicode.Scalar) -> Bool {
    bits & MetaFlags.bit(UInt8(truncatingIfNeeded: letter.value)) != 0
  }
}

/// The options of the `L` flag. Zero or false: not given.
@frozen public struct LeaseOptions: Sendable {
  public var waitMs: UInt64 = 0
  public var leaseMs: UInt64 = 0
  public var holders: UInt64 = 0
  public var graceSeconds: UInt64 = 0
  public var hasWait = false
  public var hasLease = false
  public var hasGrace = false
  public var isFreshOnly = false
  @inlinable public init() {}
}

/// One parsed line. Everything that points, points into the caller's buffer; which fields hold depends on the command.
@frozen public struct Request {
  public var command = Command.unknown
  /// The line is refused with this; when `hasLength`, its data block follows all the same and must be swallowed.
  public var error = WireError.none
  /// Classic `noreply`, or meta `q`.
  public var isQuiet = false
  public var hasLength = false
  /// `b`: the key came base64 encoded.
  public var isKeyEncoded = false
  public var hasCompare = false
  public var hasExplicitVersion = false
  /// `M`: 0 when absent.
  public var mode: UInt8 = 0
  public var flags = MetaFlags()
  public var key = Token(start: Request.nowhere, count: 0)
  /// Classic: what follows the command and its key. Meta: the flags in the request's order.
  public var rest = Token(start: Request.nowhere, count: 0)
  public var clientFlags: UInt32 = 0
  /// exptime, `T`.
  public var exptime: Int32 = 0
  /// `N`.
  public var vivifyTime: Int32 = 0
  /// `R`.
  public var refreshBelow: Int32 = 0
  public var valueCount = 0
  /// cas unique, lease token, incr's delta, `C`.
  public var number: UInt64 = 0
  public var explicitVersion: UInt64 = 0
  public var delta: UInt64 = 1
  public var initial: UInt64 = 0
  public var milliseconds: UInt64 = 0
  public var options = LeaseOptions()

  @inlinable public init() {}
  /// `mg`: a lease is asked for, by `N`, `Lw` or `Ll`.
  @inlinable public var wantsLease: Bool { flags.has("N") || options.hasWait || options.hasLease }
  /// A place that may be named but never read: the key of a request that has none.
  @inlinable public static var nowhere: UnsafeRawPointer { UnsafeRawPointer((" " as StaticString).utf8Start) }
}

/// The limits of the grammar.
public enum WireLimits {
  /// The longest key.
  public static let keyBytes = 250
  /// The longest line of a command that does not take any number of keys.
  public static let lineBytes = 2048
  /// The longest `O` flag, its letter included.
  public static let opaqueBytes = 32
  /// The most tokens of a meta line: command, key, length and flags.
  public static let metaTokens = 20
}
