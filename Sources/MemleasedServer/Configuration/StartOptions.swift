import LeaseCore

/// What a start does to the process itself, beside the server (-u -d -P -k -r).
public struct ProcessOptions: Sendable, Equatable {
  public var user: String?
  public var isDaemon = false
  public var pidFilePath: String?
  public var locksMemory = false
  public var raisesCoreLimit = false
  public init() {}
}

/// Flags, environment and configuration file, checked: everything that a start needs, and what it says with `-v`.
public struct StartOptions: Sendable {
  public var server = ServerConfiguration()
  public var process = ProcessOptions()
  /// Said once, on standard error, with `-v`.
  public var notes: [String] = []

  /// The largest `-I`, and the smallest.
  static let itemSizeBytes = 1 << 10...128 << 20
  static let memoryBytes = 1 << 20...1 << 44
  static let longestUnixPathBytes = 103

  /// Refuses with one clear line; `cores` is the default of `-t`.
  public init(_ settings: RawSettings, cores: Int) throws(StartError) {
    server.workers = min(256, max(1, cores))
    var settings = settings
    let file = try settings.value(.config).map { value throws(StartError) in try ConfigurationFile(path: value.text) }
    settings.file = file?.settings ?? [:]
    server.configurationFilePath = settings.value(.config)?.text
    server.policies = file?.policies ?? []
    try readListening(settings)
    try readMemory(settings)
    try readBehaviour(settings)
    try readLeases(settings)
    try readWaiting(settings)
    try file?.checkPolicies(servers: server.plainWrites)
    try readProcess(settings)
    try readWithoutEffect(settings)
    for name in settings.unknownEnvironmentNames { notes.append("\(name): no such setting") }
  }

  private mutating func readListening(_ settings: RawSettings) throws(StartError) {
    if let value = settings.value(.port) { server.port = try value.integer(0...65_535, "a port") }
    for value in settings.values(.listen) {
      for part in value.text.split(separator: ",", omittingEmptySubsequences: false) {
        // memcached's mark for a listener without TLS: all of ours are.
        let address = part.hasPrefix("notls:") ? part.dropFirst(6) : part
        guard ListenAddress(address, defaultPort: server.port) != nil else {
          throw .usage("\(value.origin): '\(part)' is not an address (host, host:port or [v6]:port)")
        }
        server.addresses.append(String(address))
      }
    }
    if let value = settings.value(.unixSocket) {
      guard !value.text.isEmpty, value.text.utf8.count <= Self.longestUnixPathBytes else {
        throw .usage("\(value.origin): a socket's path has 1 to \(Self.longestUnixPathBytes) bytes")
      }
      server.unixSocketPath = value.text
      if !server.addresses.isEmpty { notes.append("-l has no effect: with -s there is no TCP listener") }
    }
    if let value = settings.value(.unixMask) { server.unixSocketMode = try value.octalMode() }
    if let value = settings.value(.listenBacklog) { server.backlog = try value.integer(1...1_000_000, "a queue length") }
    if let value = settings.value(.connLimit) { server.maxConnections = try value.integer(1...10_000_000, "a number of connections") }
    let extended = try ExtendedOptions(settings.values(.extended))
    server.idleTimeoutSeconds = extended.idleTimeoutSeconds ?? 0
    notes += extended.withoutMeaning.map { "-o \($0): has no meaning here" }
  }

  private mutating func readMemory(_ settings: RawSettings) throws(StartError) {
    if let value = settings.value(.threads) { server.workers = try value.integer(1...256, "a number of threads") }
    if let value = settings.value(.maxReqsPerEvent) { server.requestsPerEvent = try value.integer(1...1_000_000, "a number of requests") }
    if let value = settings.value(.memoryLimit) {
      server.memoryBytes = try value.bytes(unit: 1 << 20, Self.memoryBytes, "a memory size in megabytes (from 1; or with k, m, g)")
    }
    if let value = settings.value(.disableEvictions) { server.evicts = !(try value.isOn()) }
    server.largestValueBytes = min(1 << 20, server.memoryBytes / 2)
    if let value = settings.value(.maxItemSize) {
      server.largestValueBytes = try value.bytes(unit: 1, Self.itemSizeBytes, "an item size (1k to 128m)")
      guard server.largestValueBytes <= server.memoryBytes / 2 else {
        throw .usage("\(value.origin): '\(value.text)' is more than half of the memory limit (-m)")
      }
    }
  }

  private mutating func readBehaviour(_ settings: RawSettings) throws(StartError) {
    if let value = settings.value(.disableFlushAll) { server.isFlushDisabled = try value.isOn() }
    if let value = settings.value(.enableShutdown) { server.isShutdownCommandEnabled = try value.isOn() }
    if let value = settings.value(.disableDumping) { server.isDumpDisabled = try value.isOn() }
    if let value = settings.value(.disableWatch) { server.isWatchDisabled = try value.isOn() }
    if let value = settings.value(.verbose) { server.verbosity = try value.integer(0...10, "a level") }
    server.authFilePath = settings.value(.authFile)?.text
    if let value = settings.value(.statDelimiter) {
      guard value.text.utf8.count == 1, let byte = value.text.utf8.first, byte > 32, byte < 127 else {
        throw value.refusal("one printable character")
      }
      server.statPrefixDelimiter = byte
      server.isStatDetailEnabled = true
    }
    if let value = settings.value(.protocol) {
      switch value.text {
      case "ascii", "auto", "auto-negotiate": break
      case "binary": throw .usage("\(value.origin): the binary protocol is not spoken here; use ascii or auto")
      default: throw value.refusal("a protocol (ascii or auto)")
      }
    }
  }

  private mutating func readLeases(_ settings: RawSettings) throws(StartError) {
    if let value = settings.value(.memcached), try value.isOn() {
      server.isMemcachedMode = true
      server.plainWrites = .allow
      server.staleWindowMs = 0
    }
    if let value = settings.value(.plainWrites) { server.plainWrites = try value.plainWrites() }
    if let value = settings.value(.leaseMs) { server.leaseMs = try value.milliseconds(atLeast: 1) }
    if let value = settings.value(.staleWindowMs) { server.staleWindowMs = try value.milliseconds() }
    if let value = settings.value(.grantIntervalMs) { server.grantIntervalMs = try value.milliseconds() }
    if let value = settings.value(.graceMs) { server.graceMs = try value.milliseconds() }
    if let value = settings.value(.refreshAheadMs) { server.refreshAheadMs = try value.milliseconds() }
    if let value = settings.value(.holders) { server.holders = try value.integer(1...Policy.mostHolders, "a number of holders") }
    if let value = settings.value(.maxLeases) { server.maxLeases = try value.integer(1...100_000_000, "a number of leases") }
    if let value = settings.value(.releaseOnDisconnect) { server.releasesOnDisconnect = try value.isOn() }
  }

  private mutating func readWaiting(_ settings: RawSettings) throws(StartError) {
    let (range, waiters) = (1...100_000_000, "a number of waiters")
    if let value = settings.value(.maxWaitMs) { server.longestWaitMs = try value.milliseconds() }
    if let value = settings.value(.maxWaiters) { server.maxWaiters = try value.integer(range, waiters) }
    if let value = settings.value(.waiterMemory) {
      server.waiterCopyBytes = try value.bytes(unit: 1 << 20, 0...1 << 40, "a memory size in megabytes (or with k, m, g)")
    }
    if let value = settings.value(.maxWaitersPerKey) { server.maxWaitersPerKey = try value.integer(range, waiters) }
    if let value = settings.value(.maxWaitersPerConnection) { server.maxWaitersPerConnection = try value.integer(range, waiters) }
    if let value = settings.value(.coalesceGets) {
      server.coalesceGetsMs = try value.milliseconds()
      guard server.coalesceGetsMs == 0 || server.plainWrites != .reject else {
        throw .usage("\(value.origin): needs --plain-writes guard or allow")
      }
    }
  }

  private mutating func readProcess(_ settings: RawSettings) throws(StartError) {
    if let value = settings.value(.user) { process.user = value.text }
    if let value = settings.value(.daemon) { process.isDaemon = try value.isOn() }
    if let value = settings.value(.pidfile) { process.pidFilePath = value.text }
    if let value = settings.value(.lockMemory) { process.locksMemory = try value.isOn() }
    if let value = settings.value(.enableCoredumps) { process.raisesCoreLimit = try value.isOn() }
  }

  private mutating func readWithoutEffect(_ settings: RawSettings) throws(StartError) {
    if let value = settings.value(.udpPort), try value.integer(0...65_535, "a port") != 0 {
      notes.append("\(value.origin): has no effect, there is no UDP here")
    }
    if let value = settings.value(.disableCAS), try value.isOn() {
      notes.append("\(value.origin): has no effect, every value has a version")
    }
    for setting in [Setting.slabGrowthFactor, .slabMinSize, .enableLargepages] {
      if let value = settings.value(setting) { notes.append("\(value.origin): has no meaning here, there are no slabs") }
    }
  }
}
