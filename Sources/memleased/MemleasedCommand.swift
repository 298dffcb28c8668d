import ArgumentParser
import MemleasedServer

/// The flags, with memcached's letters, long names and meanings. Values stay text here: `StartOptions` reads flags and environment in
/// one place, because ArgumentParser knows no environment variables and no defaults that depend on other flags.
struct MemleasedCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memleased",
    abstract: "A lease cache server that speaks memcached's protocol.",
    discussion: """
      Every setting is also an environment variable: MEMLEASE_ and the long name in capitals with underscores (MEMLEASE_MEMORY_LIMIT=256); \
      flags that take no value are on or off there. The same names are those of the configuration file. A flag wins over its variable, a \
      variable over the file.
      """
  )

  @Option(name: .setting(.port), help: .init("TCP port to listen on; 0: any free one, said with -v (default: 11211).", valueName: "num"))
  var port: String?
  @Option(name: .setting(.unixSocket), help: .init("Unix socket to listen on; there is no TCP then.", valueName: "file"))
  var unixSocket: String?
  @Option(name: .setting(.unixMask), help: .init("Access mode of the Unix socket, octal (default: 700).", valueName: "mask"))
  var unixMask: String?
  @Option(
    name: .setting(.listen), parsing: .singleValue,
    help: .init("Addresses to listen on: host, host:port or [v6]:port, a comma list or repeated (default: all).", valueName: "addr"))
  var listen: [String] = []
  @Option(name: .setting(.memoryLimit), help: .init("Memory for items in megabytes, or with k, m, g (default: 64).", valueName: "num"))
  var memoryLimit: String?
  @Flag(name: .setting(.disableEvictions), help: "Refuse writes when the memory is full instead of evicting.")
  var disableEvictions = false
  @Option(name: .setting(.connLimit), help: .init("Most connections at a time (default: 1024).", valueName: "num"))
  var connLimit: String?
  @Option(name: .setting(.threads), help: .init("Worker threads (default: the cores).", valueName: "num"))
  var threads: String?
  @Option(
    name: .setting(.maxItemSize),
    help: .init("Largest value, with k, m: 1k to 128m, at most half of -m (default: 1m, or half of -m).", valueName: "num"))
  var maxItemSize: String?
  @Option(name: .setting(.user), help: .init("User to become, when started as root.", valueName: "user"))
  var user: String?
  @Option(name: .setting(.listenBacklog), help: .init("Length of the queue of connections to accept (default: 1024).", valueName: "num"))
  var listenBacklog: String?
  @Flag(name: .setting(.disableFlushAll), help: "Refuse flush_all and flush_prefix.")
  var disableFlushAll = false
  @Flag(name: .setting(.enableShutdown), help: "Take the shutdown command.")
  var enableShutdown = false
  @Option(
    name: .setting(.maxReqsPerEvent),
    help: .init("Requests of one connection before the next one has its turn (default: 1024).", valueName: "num"))
  var maxReqsPerEvent: String?
  @Option(name: .setting(.authFile), help: .init("Users who must authenticate: lines of user:password, at most 8.", valueName: "file"))
  var authFile: String?
  @Flag(name: .setting(.verbose), help: "Say more on standard error; -vv: commands and replies, -vvv: more still.")
  var verbose: Int
  @Flag(name: .setting(.daemon), help: "Run in the background.")
  var daemon = false
  @Option(name: .setting(.pidfile), help: .init("File for the process id, removed at the end.", valueName: "file"))
  var pidfile: String?
  @Option(name: .setting(.protocol), help: .init("ascii or auto; there is no binary protocol (default: auto).", valueName: "name"))
  var `protocol`: String?
  @Option(
    name: .setting(.statDelimiter), help: .init("Ends a key's prefix in stats detail, and turns that on (default: ':').", valueName: "char")
  )
  var statDelimiter: String?
  @Flag(name: .setting(.enableCoredumps), help: "Raise the limit on core files as far as it may.")
  var enableCoredumps = false
  @Flag(name: .setting(.lockMemory), help: "Lock all memory, so that it is never swapped out.")
  var lockMemory = false
  @Flag(name: .setting(.disableDumping), help: "Refuse lru_crawler metadump and mgdump.")
  var disableDumping = false
  @Flag(name: .setting(.disableWatch), help: "Refuse watch.")
  var disableWatch = false
  @Option(
    name: .setting(.extended), parsing: .singleValue,
    help: .init("idle_timeout=<seconds> (default: 0, off); memcached's other extended options are taken without effect.", valueName: "opts")
  )
  var extended: [String] = []
  // The parser's own version flag has no letter.
  @Flag(name: [.customShort("V"), .long], help: "Print the version and exit.")
  var version = false

  @Option(
    name: .setting(.config), help: .init("File with any of these settings (name = value) and policies per key prefix.", valueName: "file"))
  var config: String?

  @OptionGroup(title: "Leases") var leases: LeaseFlags
  @OptionGroup(title: "Taken without effect, for memcached's sake") var ignored: IgnoredFlags

  struct LeaseFlags: ParsableArguments {
    @Option(
      name: .setting(.plainWrites),
      help: .init("Writes without a lease token: reject, guard (unless a lease is out) or allow (default: reject).", valueName: "policy"))
    var plainWrites: String?
    @Flag(name: .setting(.memcached), help: "Behave as memcached: --plain-writes allow, --stale-window-ms 0, the L flag ignored.")
    var memcached = false
    @Option(name: .setting(.leaseMs), help: .init("Length of a lease (default: 10000).", valueName: "ms"))
    var leaseMs: String?
    @Option(
      name: .setting(.staleWindowMs), help: .init("How long a deleted value may still be shown as stale (default: 10000).", valueName: "ms")
    )
    var staleWindowMs: String?
    @Option(name: .setting(.grantIntervalMs), help: .init("Least time between two leases of one key (default: 0, off).", valueName: "ms"))
    var grantIntervalMs: String?
    @Option(name: .setting(.maxLeases), help: .init("Most leases out at a time (default: 1000000).", valueName: "num"))
    var maxLeases: String?
    @Option(
      name: .setting(.releaseOnDisconnect),
      help: .init("End a connection's leases when it closes: on or off (default: on).", valueName: "on|off"))
    var releaseOnDisconnect: String?
    @Option(name: .setting(.holders), help: .init("Clients that may hold leases on one key at a time (default: 1).", valueName: "num"))
    var holders: String?
    @Option(
      name: .setting(.graceMs),
      help: .init("How long past its expiry a value may be shown as stale, if its write does not say (default: 0).", valueName: "ms"))
    var graceMs: String?
    @Option(
      name: .setting(.refreshAheadMs),
      help: .init("mg with N or L wins a lease when less than this is left, if it has no R (default: 0, off).", valueName: "ms"))
    var refreshAheadMs: String?
    @Option(
      name: .setting(.coalesceGets),
      help: .init("How long plain gets wait for another client's set after its miss (default: 0, off).", valueName: "ms"))
    var coalesceGets: String?
    @Option(name: .setting(.maxWaitMs), help: .init("Longest wait that a request may ask for (default: 30000).", valueName: "ms"))
    var maxWaitMs: String?
    @Option(name: .setting(.maxWaiters), help: .init("Most requests that wait at a time (default: 1000000).", valueName: "num"))
    var maxWaiters: String?
    @Option(
      name: .setting(.waiterMemory),
      help: .init("Megabytes for copies of values that waiting clients were not sent yet (default: 64).", valueName: "num"))
    var waiterMemory: String?
    @Option(name: .setting(.maxWaitersPerKey), help: .init("Those of one key (default: 65536).", valueName: "num"))
    var maxWaitersPerKey: String?
    @Option(name: .setting(.maxWaitersPerConnection), help: .init("Those of one connection (default: 65536).", valueName: "num"))
    var maxWaitersPerConnection: String?
  }

  struct IgnoredFlags: ParsableArguments {
    @Option(name: .setting(.udpPort), help: .init("There is no UDP here.", valueName: "num"))
    var udpPort: String?
    @Flag(name: .setting(.disableCAS), help: "Every value has a version.")
    var disableCAS = false
    @Option(name: .setting(.slabGrowthFactor), help: .init("There are no slabs here.", valueName: "num"))
    var slabGrowthFactor: String?
    @Option(name: .setting(.slabMinSize), help: .init("There are no slabs here.", valueName: "bytes"))
    var slabMinSize: String?
    @Flag(name: .setting(.enableLargepages), help: "There are no slabs here.")
    var enableLargepages = false
  }
}

extension NameSpecification {
  /// The setting's long name and letter; a value may follow its letter at once (`-m64`).
  fileprivate static func setting(_ setting: Setting) -> NameSpecification {
    let isFlag = Self.flags.contains(setting)
    let long = Element.customLong(setting.rawValue)
    return setting.letter.map { [.customShort($0, allowingJoined: !isFlag), long] } ?? [long]
  }

  private static let flags: Set<Setting> = [
    .disableEvictions, .disableFlushAll, .enableShutdown, .verbose, .daemon, .enableCoredumps, .lockMemory, .disableDumping, .disableWatch,
    .disableCAS, .enableLargepages, .memcached,
  ]
}

extension MemleasedCommand {
  /// What was given, for `StartOptions` to read beside the environment.
  func settings(environment: [String: String]) -> RawSettings {
    var settings = RawSettings(environment: environment)
    for (setting, text) in singleValues { if let text { settings.add(setting, text) } }
    for (setting, isOn) in flags where isOn { settings.add(setting, "on") }
    for text in listen { settings.add(.listen, text) }
    for text in extended { settings.add(.extended, text) }
    if verbose > 0 { settings.add(.verbose, String(min(verbose, 3))) }
    return settings
  }

  private var singleValues: [(Setting, String?)] {
    [
      (.port, port), (.unixSocket, unixSocket), (.unixMask, unixMask), (.memoryLimit, memoryLimit), (.connLimit, connLimit),
      (.threads, threads), (.maxItemSize, maxItemSize), (.user, user), (.listenBacklog, listenBacklog), (.maxReqsPerEvent, maxReqsPerEvent),
      (.authFile, authFile), (.pidfile, pidfile), (.protocol, `protocol`), (.statDelimiter, statDelimiter),
      (.plainWrites, leases.plainWrites), (.leaseMs, leases.leaseMs), (.staleWindowMs, leases.staleWindowMs),
      (.grantIntervalMs, leases.grantIntervalMs), (.maxLeases, leases.maxLeases), (.releaseOnDisconnect, leases.releaseOnDisconnect),
      (.holders, leases.holders), (.graceMs, leases.graceMs), (.refreshAheadMs, leases.refreshAheadMs),
      (.coalesceGets, leases.coalesceGets),
      (.maxWaitMs, leases.maxWaitMs), (.maxWaiters, leases.maxWaiters), (.maxWaitersPerKey, leases.maxWaitersPerKey),
      (.waiterMemory, leases.waiterMemory),
      (.maxWaitersPerConnection, leases.maxWaitersPerConnection), (.config, config),
      (.udpPort, ignored.udpPort), (.slabGrowthFactor, ignored.slabGrowthFactor), (.slabMinSize, ignored.slabMinSize),
    ]
  }

  private var flags: [(Setting, Bool)] {
    [
      (.disableEvictions, disableEvictions), (.disableFlushAll, disableFlushAll), (.enableShutdown, enableShutdown), (.daemon, daemon),
      (.enableCoredumps, enableCoredumps), (.lockMemory, lockMemory), (.disableDumping, disableDumping), (.disableWatch, disableWatch),
      (.memcached, leases.memcached), (.disableCAS, ignored.disableCAS), (.enableLargepages, ignored.enableLargepages),
    ]
  }
}
