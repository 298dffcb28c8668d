import LeaseCore
import MemleasedServer
import Testing

@testable import memleased

/// Parses as `memleased` does, with two cores.
func options(_ arguments: [String], environment: [String: String] = [:]) throws -> StartOptions {
  try StartOptions(MemleasedCommand.parse(arguments).settings(environment: environment), cores: 2)
}

private func refusal(_ arguments: [String], environment: [String: String] = [:]) -> String? {
  do {
    _ = try options(arguments, environment: environment)
    return nil
  } catch let error as StartError {
    return error.exitCode == 64 ? error.message : "exit code \(error.exitCode)"
  } catch {
    return MemleasedCommand.message(for: error)
  }
}

@Suite struct ConfigurationTests {
  @Test func defaultsAreMemcachedsAndOurs() throws {
    let options = try options([])
    let server = options.server
    #expect(server.port == 11211 && server.addresses.isEmpty && server.unixSocketPath == nil && server.unixSocketMode == 0o700)
    #expect(server.maxConnections == 1024 && server.backlog == 1024 && server.idleTimeoutSeconds == 0)
    #expect(server.workers == 2 && server.requestsPerEvent == 1024)
    #expect(server.memoryBytes == 64 << 20 && server.largestValueBytes == 1 << 20 && server.evicts)
    #expect(server.plainWrites == .reject && !server.isMemcachedMode && server.releasesOnDisconnect)
    #expect(server.leaseMs == 10_000 && server.staleWindowMs == 10_000 && server.grantIntervalMs == 0 && server.maxLeases == 1_000_000)
    #expect(server.holders == 1 && server.graceMs == 0 && server.refreshAheadMs == 0 && server.coalesceGetsMs == 0)
    #expect(server.longestWaitMs == 30_000 && server.maxWaiters == 1_000_000)
    #expect(server.maxWaitersPerKey == 65_536 && server.maxWaitersPerConnection == 65_536)
    #expect(server.configurationFilePath == nil && server.policies.isEmpty)
    #expect(server.statPrefixDelimiter == UInt8(ascii: ":") && !server.isStatDetailEnabled)
    #expect(options.process == ProcessOptions() && options.notes.isEmpty)
  }

  @Test func everyLetterAndLongName() throws {
    let letters = [
      "-p", "1", "-a", "770", "-l", "127.0.0.1,[::1]:5", "-l", "h:7", "-m", "100", "-M", "-c", "9", "-t", "3", "-I", "2m", "-u", "nobody",
      "-b", "5", "-F", "-A", "-R", "7", "-Y", "/auth", "-vv", "-d", "-P", "/pid", "-B", "ascii", "-D", "/", "-r", "-k", "-X", "-W",
    ]
    let long = [
      "--port", "1", "--unix-mask", "770", "--listen", "127.0.0.1,[::1]:5", "--listen=h:7", "--memory-limit", "100", "--disable-evictions",
      "--conn-limit", "9", "--threads=3", "--max-item-size", "2m", "--user", "nobody", "--listen-backlog", "5", "--disable-flush-all",
      "--enable-shutdown", "--max-reqs-per-event", "7", "--auth-file", "/auth", "--verbose", "--verbose", "--daemon", "--pidfile", "/pid",
      "--protocol", "auto", "--stat-delimiter", "/", "--enable-coredumps", "--lock-memory", "--disable-dumping", "--disable-watch",
    ]
    for arguments in [letters, long] {
      let options = try options(arguments)
      let server = options.server
      #expect(server.port == 1 && server.unixSocketMode == 0o770 && server.addresses == ["127.0.0.1", "[::1]:5", "h:7"])
      #expect(server.memoryBytes == 100 << 20 && !server.evicts && server.maxConnections == 9 && server.workers == 3)
      #expect(server.largestValueBytes == 2 << 20 && server.backlog == 5 && server.isFlushDisabled && server.isShutdownCommandEnabled)
      #expect(server.requestsPerEvent == 7 && server.authFilePath == "/auth" && server.verbosity == 2)
      #expect(server.statPrefixDelimiter == UInt8(ascii: "/") && server.isStatDetailEnabled)
      #expect(server.isDumpDisabled && server.isWatchDisabled)
      let process = options.process
      #expect(process.user == "nobody" && process.isDaemon && process.pidFilePath == "/pid")
      #expect(process.raisesCoreLimit && process.locksMemory)
    }
  }

  @Test func joinedValuesAndClusters() throws {
    let options = try options(["-m64", "-p11300", "-I512k", "-vMF", "-t1", "-l127.0.0.1"])
    #expect(options.server.memoryBytes == 64 << 20 && options.server.port == 11300 && options.server.largestValueBytes == 512 << 10)
    #expect(options.server.verbosity == 1 && !options.server.evicts && options.server.isFlushDisabled && options.server.workers == 1)
  }

  @Test func theLastOfRepeatedFlagsWins() throws {
    #expect(try options(["-m", "5", "-m", "7"]).server.memoryBytes == 7 << 20)
  }

  @Test func ourFlags() throws {
    let options = try options([
      "--plain-writes", "guard", "--lease-ms", "5", "--stale-window-ms", "0", "--grant-interval-ms", "7", "--max-leases", "9",
      "--release-on-disconnect", "off", "--holders", "2", "--grace-ms", "3", "--refresh-ahead-ms", "4", "--coalesce-gets", "6",
      "--max-wait-ms", "0", "--waiter-memory", "3k", "--max-waiters", "11", "--max-waiters-per-key", "12", "--max-waiters-per-connection",
      "13",
    ])
    let server = options.server
    #expect(server.plainWrites == .guarded && server.leaseMs == 5 && server.staleWindowMs == 0 && server.grantIntervalMs == 7)
    #expect(server.maxLeases == 9 && !server.releasesOnDisconnect && server.holders == 2)
    #expect(server.graceMs == 3 && server.refreshAheadMs == 4 && server.coalesceGetsMs == 6 && server.longestWaitMs == 0)
    #expect(server.waiterCopyBytes == 3 << 10)
    #expect(server.maxWaiters == 11 && server.maxWaitersPerKey == 12 && server.maxWaitersPerConnection == 13)
  }

  @Test func coalescedGetsNeedPlainWrites() throws {
    #expect(refusal(["--coalesce-gets", "5"]) == "--coalesce-gets: needs --plain-writes guard or allow")
    #expect(try options(["--coalesce-gets", "0"]).server.coalesceGetsMs == 0)
    #expect(try options(["--coalesce-gets", "5", "--memcached"]).server.coalesceGetsMs == 5)
  }

  @Test func memcachedModeIsAShorthandThatOthersRefine() throws {
    let plain = try options(["--memcached"]).server
    #expect(plain.isMemcachedMode && plain.plainWrites == .allow && plain.staleWindowMs == 0)
    let refined = try options(["--memcached", "--plain-writes", "guard", "--stale-window-ms", "3"]).server
    #expect(refined.isMemcachedMode && refined.plainWrites == .guarded && refined.staleWindowMs == 3)
  }

  @Test(arguments: [
    ("1", 1 << 20), ("64", 64 << 20), ("64m", 64 << 20), ("2G", 2 << 30), ("2048k", 2 << 20),
  ])
  func memorySizes(text: String, bytes: Int) throws {
    #expect(try options(["-m", text]).server.memoryBytes == bytes)
  }

  @Test(arguments: [("1k", 1 << 10), ("1024", 1 << 10), ("1M", 1 << 20), ("128m", 128 << 20)])
  func itemSizes(text: String, bytes: Int) throws {
    #expect(try options(["-m", "1024", "-I", text]).server.largestValueBytes == bytes)
  }

  @Test func theItemSizeFollowsASmallMemory() throws {
    #expect(try options(["-m", "1"]).server.largestValueBytes == 512 << 10)
    #expect(try options(["-m", "2"]).server.largestValueBytes == 1 << 20)
    #expect(refusal(["-m", "1", "-I", "1m"]) == "-I (--max-item-size): '1m' is more than half of the memory limit (-m)")
  }

  @Test(arguments: [
    ["-p", "65536"], ["-p", "-1"], ["-p", "x"], ["-p", ""], ["-p", "1x"], ["-p", "+1"], ["-p", "99999999999999999999"], ["-m", "0"],
    ["-m", "0.5"],
    ["-m", "9999999999g"], ["-m", "k"], ["-I", "1023"], ["-I", "129m", "-m", "1024"], ["-I", "1g", "-m", "8g"], ["-c", "0"], ["-t", "0"],
    ["-t", "257"], ["-R", "0"], ["-b", "0"], ["-a", "800"], ["-a", "1000"], ["-a", ""], ["-D", ""], ["-D", "::"], ["-D", " "],
    ["-B", "binary"],
    ["-B", "x"], ["-U", "x"], ["-o", "bogus"], ["-o", ""], ["-o", "idle_timeout"], ["-o", "idle_timeout=x"], ["-o", "hashpower=1,,modern"],
    ["-l", ""], ["-l", "a,,b"], ["-l", "h:99999"], ["-l", "h:"], ["-l", "[::1"], ["-l", "[::1]x"], ["-l", ":1"], ["-s", ""],
    ["-s", String(repeating: "x", count: 104)], ["--plain-writes", "maybe"], ["--lease-ms", "0"], ["--lease-ms", "-5"],
    ["--lease-ms", "86400001"], ["--holders", "0"], ["--max-wait-ms", "x"], ["--max-waiters", "0"], ["--grace-ms", "-1"],
    ["--max-leases", "0"], ["--release-on-disconnect", "maybe"], ["--bogus"], ["extra"], ["-p"], ["-q"],
  ])
  func badValuesAreRefusedInOneLine(arguments: [String]) {
    let line = refusal(arguments)
    #expect(line != nil)
    #expect(line?.contains("\n") == false && line?.isEmpty == false)
  }

  @Test func theRefusalNamesThePlaceAndTheValue() {
    #expect(refusal(["-t", "many"]) == "-t (--threads): 'many' is not a number of threads (1 to 256)")
    #expect(refusal([], environment: ["MEMLEASE_THREADS": "many"]) == "MEMLEASE_THREADS: 'many' is not a number of threads (1 to 256)")
    #expect(refusal(["-B", "binary"]) == "-B (--protocol): the binary protocol is not spoken here; use ascii or auto")
  }

  @Test func extendedOptions() throws {
    let options = try options(["-o", "idle_timeout=30,hashpower=20,no_lru_crawler", "-o", "hashpower=21,ssl_chain_cert=/x"])
    #expect(options.server.idleTimeoutSeconds == 30)
    #expect(
      options.notes == ["hashpower", "no_lru_crawler", "ssl_chain_cert"].map { "-o \($0): has no meaning here" }, "each is named once")
  }

  @Test func flagsWithoutEffectAreSaidOnce() throws {
    let notes = try options(["-U", "11211", "-C", "-f", "1.1", "-n", "10", "-L"]).notes
    #expect(notes.count == 5)
    #expect(notes.contains("-C (--disable-cas): has no effect, every value has a version"))
    #expect(try options(["-U", "0"]).notes.isEmpty, "no UDP was asked for")
  }

  @Test func everySettingIsAnEnvironmentVariable() throws {
    let options = try options(
      [],
      environment: [
        "MEMLEASE_PORT": "1", "MEMLEASE_LISTEN": "a,b:2", "MEMLEASE_MEMORY_LIMIT": "5", "MEMLEASE_DISABLE_EVICTIONS": "on",
        "MEMLEASE_CONN_LIMIT": "6", "MEMLEASE_THREADS": "7", "MEMLEASE_MAX_ITEM_SIZE": "8k", "MEMLEASE_VERBOSE": "2",
        "MEMLEASE_EXTENDED": "idle_timeout=9", "MEMLEASE_PLAIN_WRITES": "allow", "MEMLEASE_LEASE_MS": "10",
        "MEMLEASE_STALE_WINDOW_MS": "11",
        "MEMLEASE_GRANT_INTERVAL_MS": "12", "MEMLEASE_MAX_LEASES": "13", "MEMLEASE_RELEASE_ON_DISCONNECT": "no",
        "MEMLEASE_MEMCACHED": "off",
        "MEMLEASE_USER": "nobody", "MEMLEASE_DAEMON": "0", "MEMLEASE_AUTH_FILE": "",
      ])
    let server = options.server
    #expect(server.port == 1 && server.addresses == ["a", "b:2"] && server.memoryBytes == 5 << 20 && !server.evicts)
    #expect(server.maxConnections == 6 && server.workers == 7 && server.largestValueBytes == 8 << 10 && server.verbosity == 2)
    #expect(server.idleTimeoutSeconds == 9 && server.plainWrites == .allow && server.leaseMs == 10 && server.staleWindowMs == 11)
    #expect(server.grantIntervalMs == 12 && server.maxLeases == 13 && !server.releasesOnDisconnect && !server.isMemcachedMode)
    #expect(options.process.user == "nobody" && !options.process.isDaemon)
    #expect(server.authFilePath == nil, "an empty variable is as none")
  }

  @Test func aFlagWinsOverItsVariable() throws {
    #expect(try options(["-m", "3"], environment: ["MEMLEASE_MEMORY_LIMIT": "5"]).server.memoryBytes == 3 << 20)
    #expect(try options(["-l", "x"], environment: ["MEMLEASE_LISTEN": "y"]).server.addresses == ["x"])
  }

  @Test func aMisspeltVariableIsNamed() throws {
    #expect(try options([], environment: ["MEMLEASE_MEMORY": "5", "OTHER": "x"]).notes == ["MEMLEASE_MEMORY: no such setting"])
  }

  @Test func helpAndVersion() throws {
    #expect(throws: (any Error).self) { try MemleasedCommand.parse(["-h"]) }
    do { _ = try MemleasedCommand.parse(["--help"]) } catch {
      #expect(MemleasedCommand.exitCode(for: error) == .success)
      let text = MemleasedCommand.fullMessage(for: error)
      for setting in Setting.allCases {
        #expect(text.contains("--\(setting.rawValue)"), "help names every flag")
        if let letter = setting.letter { #expect(text.contains("-\(letter), --\(setting.rawValue)")) }
      }
    }
    #expect(try MemleasedCommand.parse(["-V"]).version && MemleasedCommand.parse(["--version"]).version)
    #expect(ServerConfiguration.version == "0.1.0")
  }
}
