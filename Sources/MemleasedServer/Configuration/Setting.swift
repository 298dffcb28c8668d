/// Everything that can be set at start: the raw value is the long flag; with `MEMLEASE_` in front, upper case and underscores it is
/// the environment variable; as it is it is the name in the configuration file.
public enum Setting: String, CaseIterable, Sendable {
  // Listening.
  case port, listen, user, daemon, pidfile
  case unixSocket = "unix-socket", unixMask = "unix-mask", listenBacklog = "listen-backlog", connLimit = "conn-limit"
  case udpPort = "udp-port", `protocol`, authFile = "auth-file"
  // Work and memory.
  case threads, maxReqsPerEvent = "max-reqs-per-event", memoryLimit = "memory-limit", disableEvictions = "disable-evictions"
  case maxItemSize = "max-item-size", lockMemory = "lock-memory", enableCoredumps = "enable-coredumps"
  // Behaviour.
  case disableFlushAll = "disable-flush-all", enableShutdown = "enable-shutdown", disableCAS = "disable-cas"
  case disableDumping = "disable-dumping", disableWatch = "disable-watch"
  case statDelimiter = "stat-delimiter", extended, verbose
  // Leases.
  case plainWrites = "plain-writes", memcached, leaseMs = "lease-ms", staleWindowMs = "stale-window-ms"
  case grantIntervalMs = "grant-interval-ms", maxLeases = "max-leases", releaseOnDisconnect = "release-on-disconnect"
  case holders, graceMs = "grace-ms", refreshAheadMs = "refresh-ahead-ms", coalesceGets = "coalesce-gets"
  case maxWaitMs = "max-wait-ms", maxWaiters = "max-waiters", maxWaitersPerKey = "max-waiters-per-key"
  case waiterMemory = "waiter-memory"
  case maxWaitersPerConnection = "max-waiters-per-connection"
  // The file with all of these and the policies.
  case config
  // memcached's, without a meaning for this memory layout.
  case slabGrowthFactor = "slab-growth-factor", slabMinSize = "slab-min-size", enableLargepages = "enable-largepages"

  /// memcached's letter, where it has the setting.
  public var letter: Character? {
    switch self {
    case .port: "p"
    case .listen: "l"
    case .user: "u"
    case .daemon: "d"
    case .pidfile: "P"
    case .unixSocket: "s"
    case .unixMask: "a"
    case .listenBacklog: "b"
    case .connLimit: "c"
    case .udpPort: "U"
    case .protocol: "B"
    case .authFile: "Y"
    case .threads: "t"
    case .maxReqsPerEvent: "R"
    case .memoryLimit: "m"
    case .disableEvictions: "M"
    case .maxItemSize: "I"
    case .lockMemory: "k"
    case .enableCoredumps: "r"
    case .disableFlushAll: "F"
    case .enableShutdown: "A"
    case .disableCAS: "C"
    case .disableDumping: "X"
    case .disableWatch: "W"
    case .statDelimiter: "D"
    case .extended: "o"
    case .verbose: "v"
    case .slabGrowthFactor: "f"
    case .slabMinSize: "n"
    case .enableLargepages: "L"
    default: nil
    }
  }

  public var flagText: String { letter.map { "-\($0) (--\(rawValue))" } ?? "--\(rawValue)" }
  public var environmentName: String {
    "MEMLEASE_" + String(rawValue.uppercased().map { $0 == "-" ? "_" : $0 })
  }
}

/// A setting's value as somebody wrote it, and where.
public struct SettingValue: Sendable, Equatable {
  public var text: String
  /// As an error line names the place: `-p (--port)`, `MEMLEASE_PORT` or `<file>:<line>: port`.
  public var origin: String
}

/// What flags, environment and configuration file say, before it is checked. A flag wins over the environment, that over the file; the last of
/// repeated flags wins.
public struct RawSettings: Sendable {
  private var flags: [Setting: [String]] = [:]
  private let environment: [String: String]
  /// What the configuration file says.
  var file: [Setting: [SettingValue]] = [:]

  public init(environment: [String: String] = [:]) { self.environment = environment }

  /// A flag from the command line; repeated calls add up.
  public mutating func add(_ setting: Setting, _ text: String) { flags[setting, default: []].append(text) }

  /// Every value given: all flags, else the environment's one (an empty variable counts as not set), else the file's.
  func values(_ setting: Setting) -> [SettingValue] {
    if let texts = flags[setting] { return texts.map { SettingValue(text: $0, origin: setting.flagText) } }
    let name = setting.environmentName
    guard let text = environment[name], !text.isEmpty else { return file[setting] ?? [] }
    return [SettingValue(text: text, origin: name)]
  }

  func value(_ setting: Setting) -> SettingValue? { values(setting).last }

  /// Variables that look like ours and are not.
  var unknownEnvironmentNames: [String] {
    let known = Set(Setting.allCases.map(\.environmentName))
    return environment.keys.filter { $0.hasPrefix("MEMLEASE_") && !known.contains($0) }.sorted()
  }
}
