import LeaseCore

/// Everything that a start of the server decides. Filled from flags and environment by `memleased`, checked before it gets here.
public struct ServerConfiguration: Sendable {
  // Listening (-p -s -a -l -b -c). `addresses` are `host` or `host:port`; empty means all interfaces.
  public var port = 11211
  public var addresses: [String] = []
  public var unixSocketPath: String? = nil
  public var unixSocketMode = 0o700
  public var backlog = 1024
  public var maxConnections = 1024
  /// -o idle_timeout: 0 is off.
  public var idleTimeoutSeconds = 0

  // Work (-t -R).
  public var workers = 4
  public var requestsPerEvent = 1024

  // Memory (-m -M -I).
  public var memoryBytes = 64 << 20
  public var largestValueBytes = 1 << 20
  public var evicts = true

  // Behaviour (-F -A -Y -v -D).
  public var isFlushDisabled = false
  public var isShutdownCommandEnabled = false
  /// -X: `lru_crawler metadump` and `mgdump` answer `ERROR metadump not allowed`.
  public var isDumpDisabled = false
  /// -W: `watch` answers `CLIENT_ERROR watch commands not allowed`.
  public var isWatchDisabled = false
  public var authFilePath: String? = nil
  public var verbosity = 0
  public var statPrefixDelimiter: UInt8 = UInt8(ascii: ":")
  public var isStatDetailEnabled = false

  // Leases.
  public var plainWrites = PlainWrites.reject
  /// --memcached: L is ignored as memcached ignores it; plain writes are allowed, no stale window.
  public var isMemcachedMode = false
  public var leaseMs: UInt64 = 10_000
  public var staleWindowMs: UInt64 = 10_000
  public var grantIntervalMs: UInt64 = 0
  public var maxLeases = 1_000_000
  public var holders = 1
  /// How long a value may be shown as stale past its expiry, when its write does not say.
  public var graceMs: UInt64 = 0
  /// Readers that ask for a lease win one when less than this is left; 0: only when they say so.
  public var refreshAheadMs: UInt64 = 0
  /// Longer waits are cut to it.
  public var longestWaitMs: UInt64 = 30_000
  public var maxWaiters = 1_000_000
  public var maxWaitersPerKey = 65_536
  public var waiterCopyBytes = 64 << 20
  public var maxWaitersPerConnection = 65_536
  /// How long a plain get waits for another's fetch; 0: it does not.
  public var coalesceGetsMs: UInt64 = 0
  /// --config: read again for its policies with SIGHUP.
  public var configurationFilePath: String? = nil
  public var policies: [PrefixPolicy] = []
  public var releasesOnDisconnect = true

  public init() {}

  /// What `version`, `stats` and `-V` show.
  public static let version = "0.1.0"
}
