import LeaseCore
import Synchronization
import Testing

@testable import MemleasedServer

/// A reply's `STAT` lines by name, and its other lines.
private struct StatReply {
  var values: [String: String] = [:]
  var names: [String] = []
  var others: [String] = []

  init(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    for line in text.components(ofLines: "\r\n") {
      let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
      if words.count == 3, words[0] == "STAT" {
        names.append(String(words[1]))
        values[String(words[1])] = String(words[2])
      } else {
        others.append(line)
      }
    }
  }
}

extension String {
  fileprivate func components(ofLines separator: String) -> [String] {
    var lines: [String] = []
    var line = ""
    for character in self {
      if String(character) == separator {
        lines.append(line)
        line = ""
      } else {
        line.append(character)
      }
    }
    return line.isEmpty ? lines : lines + [line]
  }
}

@Suite struct StatisticsTests {
  private func statistics(_ change: (inout ServerConfiguration) -> Void = { _ in }) throws -> ServerStatistics {
    var configuration = ServerConfiguration()
    configuration.workers = 2
    change(&configuration)
    var store = StoreConfiguration()
    store.memoryBytes = 4 << 20
    store.seed = 1
    return ServerStatistics(configuration: configuration, store: try #require(Store(store)), watchHub: WatchHub())
  }

  private func ask(_ statistics: ServerStatistics, _ words: String) -> StatReply {
    var reply: [UInt8] = []
    Array(words.utf8).withUnsafeBytes { statistics.answer($0, into: &reply) }
    return StatReply(reply)
  }

  /// Every name of memcached 1.6's `stats` that has a meaning here.
  private let memcachedNames = """
    pid uptime time version libevent pointer_size rusage_user rusage_system max_connections curr_connections total_connections \
    rejected_connections connection_structures reserved_fds cmd_get cmd_set cmd_flush cmd_touch cmd_meta get_hits get_misses get_expired \
    get_flushed delete_misses delete_hits incr_misses incr_hits decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits touch_misses \
    store_too_large store_no_memory auth_cmds auth_errors idle_kicks bytes_read bytes_written limit_maxbytes accepting_conns \
    listen_disabled_num time_in_listen_disabled_us threads conn_yields hash_power_level hash_bytes hash_is_expanding malloc_fails \
    log_watcher_skipped log_watcher_sent log_watchers bytes curr_items total_items expired_unfetched evicted_unfetched evictions reclaimed
    """

  @Test func generalHasMemcachedsNamesAndOursOnce() throws {
    let reply = ask(try statistics(), "")
    #expect(reply.others == ["END"])
    #expect(Set(reply.names).count == reply.names.count)
    for name in memcachedNames.split(separator: " ") { #expect(reply.values[String(name)] != nil, "\(name)") }
    let ours = """
      leases lease_grants refresh_grants lease_fills hot_misses stale_hits lease_voids lease_expired lease_releases lease_disconnects \
      lease_fails lease_passes lease_keeps lease_holds lease_extends stale_stored lease_set_refused plain_writes_refused lease_table_full \
      grants_delayed segments_bytes large_bytes fixed_overhead_bytes resident_bytes memory_used_bytes
      """
    for name in ours.split(separator: " ") { #expect(reply.values[String(name)] != nil, "\(name)") }
    #expect(reply.values["version"] == "0.1.0" && reply.values["libevent"]?.hasPrefix("2.") == true && reply.values["threads"] == "2")
    #expect(reply.values["limit_maxbytes"] == String(4 << 20))
    #expect(Int(reply.values["resident_bytes"] ?? "") ?? 0 > 1 << 20)
    #expect(reply.values["rusage_user"]?.wholeMatch(of: /\d+\.\d{6}/) != nil)
  }

  @Test func generalShowsTheSnapshot() {
    var snapshot = ServerSnapshot()
    snapshot.counters.cmdGet = 1
    snapshot.counters.getHits = 2
    snapshot.counters.leaseGrants = 3
    snapshot.counters.hotMisses = 4
    snapshot.usage.items = 5
    snapshot.usage.segments = 6
    snapshot.usage.indexBuckets = 70
    snapshot.usage.leases = 7
    snapshot.workers.bytesRead = 8
    snapshot.workers.metaCommands = 9
    snapshot.segmentBytes = 10
    snapshot.isAccepting = false
    snapshot.process.userMicroseconds = 1_000_042
    var reply: [UInt8] = []
    GeneralStats(snapshot: snapshot, configuration: ServerConfiguration()).append(to: &reply)
    let values = StatReply(reply).values
    let expected = [
      "cmd_get": "1", "get_hits": "2", "lease_grants": "3", "hot_misses": "4", "curr_items": "5", "segments_bytes": "60",
      "hash_power_level": "6", "leases": "7", "bytes_read": "8", "cmd_meta": "9", "accepting_conns": "0", "rusage_user": "1.000042",
    ]
    for (name, value) in expected { #expect(values[name] == value, "\(name)") }
  }

  @Test func settingsHaveMemcachedsNames() throws {
    let reply = ask(
      try statistics {
        $0.port = 5
        $0.addresses = ["a", "b:1"]
        $0.evicts = false
        $0.authFilePath = "/auth"
        $0.plainWrites = .guarded
        $0.idleTimeoutSeconds = 9
        $0.unixSocketMode = 0o660
        $0.isFlushDisabled = true
      }, "settings")
    let expected = [
      "maxbytes": "4194304", "maxconns": "1024", "tcpport": "5", "udpport": "0", "inter": "a,b:1", "verbosity": "0", "evictions": "off",
      "domain_socket": "NULL", "umask": "660", "shutdown_command": "no", "num_threads": "2", "stat_key_prefix": ":", "detail_enabled": "no",
      "reqs_per_event": "1024", "cas_enabled": "yes", "tcp_backlog": "1024", "binding_protocol": "ascii", "auth_enabled_sasl": "no",
      "auth_enabled_ascii": "/auth", "item_size_max": "1048576", "maxconns_fast": "yes", "flush_enabled": "no", "dump_enabled": "yes",
      "idle_timeout": "9", "watcher_logbuf_size": "262144", "track_sizes": "no", "ssl_enabled": "no", "plain_writes": "guard",
      "memcached_mode": "no", "lease_ms": "10000", "release_on_disconnect": "yes",
    ]
    for (name, value) in expected { #expect(reply.values[name] == value, "\(name)") }
    #expect(Set(reply.names).count == reply.names.count && reply.others == ["END"])
  }

  @Test func workersAddUpAndResetStartsAgain() throws {
    let statistics = try statistics()
    statistics.counters(worker: 0).pointee.bytesRead.bump(5)
    statistics.counters(worker: 1).pointee.bytesRead.bump(6)
    statistics.counters(worker: 1).pointee.connectionBytes.bump(100)
    statistics.acceptCounters.pointee.total.bump(3)
    statistics.acceptCounters.pointee.current.store(2, ordering: .relaxed)
    #expect(ask(statistics, "").values["bytes_read"] == "11")
    let reset = ask(statistics, " reset ")
    #expect(reset.others == ["RESET"] && reset.names.isEmpty)
    statistics.counters(worker: 0).pointee.bytesRead.bump(1)
    let values = ask(statistics, "").values
    #expect(values["bytes_read"] == "1" && values["total_connections"] == "0")
    #expect(values["curr_connections"] == "2" && values["connection_bytes"] == "100", "what is there now stays")
  }

  @Test func itemsAndSlabsShowTimeClasses() {
    var classes = [ClassUsage(), ClassUsage(), ClassUsage()]
    classes[0].segments = 2
    classes[0].items = 10
    classes[0].liveBytes = 1000
    classes[0].oldestMs = 5000
    classes[2].segments = 1
    let stats = ClassStats(classes: classes, segmentBytes: 4096, nowMs: 9000)
    var items: [UInt8] = []
    stats.appendItems(to: &items)
    let itemValues = StatReply(items).values
    #expect(itemValues["items:1:number"] == "10" && itemValues["items:1:age"] == "4" && itemValues["items:1:mem_requested"] == "1000")
    #expect(itemValues["items:2:number"] == nil && itemValues["items:3:number"] == "0")
    var slabs: [UInt8] = []
    stats.appendSlabs(to: &slabs)
    let slabValues = StatReply(slabs).values
    let expected = [
      "1:chunk_size": "100", "1:chunks_per_page": "40", "1:total_pages": "2", "1:total_chunks": "80", "1:used_chunks": "10",
      "1:free_chunks": "70", "3:total_pages": "1", "active_slabs": "2", "total_malloced": "12288",
    ]
    for (name, value) in expected { #expect(slabValues[name] == value, "\(name)") }
  }

  @Test func theStoresClassesAreShown() throws {
    let statistics = try statistics()
    let store = statistics.store
    for (index, expiry) in [Expiry.never, Expiry(atMs: 1_000_060_000), Expiry.never].enumerated() {
      let key = Array("key\(index)".utf8)
      key.withUnsafeBytes { bytes in
        guard let base = bytes.baseAddress else { return }
        let hash = store.hash(base, count: bytes.count)
        var request = StoreRequest()
        request.value = base
        request.count = bytes.count
        request.expiry = expiry
        request.plainWrites = .allow
        store.partition(hash: hash).locked {
          #expect($0.store(CacheKey(bytes: base, count: bytes.count, hash: hash), nowMs: 1_000_000_000, request).status == .stored)
        }
      }
    }
    let items = ask(statistics, "items").values
    #expect(items["items:1:number"] == "2")
    #expect(items.filter { $0.key.hasSuffix(":number") }.values.compactMap { Int($0) }.reduce(0, +) == 3)
    let slabs = ask(statistics, "slabs").values
    #expect(slabs["active_slabs"] == "2")
    #expect(ask(statistics, "").values["curr_items"] == "3")
  }

  @Test func detailCountsByPrefix() throws {
    let statistics = try statistics()
    func on(_ key: String, _ body: (UnsafeRawBufferPointer) -> Void) { Array(key.utf8).withUnsafeBytes(body) }
    on("user:0") { statistics.prefixes.recordGet(key: $0, isHit: true) }
    #expect(ask(statistics, "detail dump").others == ["END"], "off")
    #expect(ask(statistics, "detail on").others == ["OK"])
    #expect(ask(statistics, "settings").values["detail_enabled"] == "yes")
    on("user:1") { statistics.prefixes.recordGet(key: $0, isHit: true) }
    on("user:2") { statistics.prefixes.recordGet(key: $0, isHit: false) }
    on("user:1:x") { statistics.prefixes.recordSet(key: $0) }
    on("app:1") { statistics.prefixes.recordDelete(key: $0) }
    on("plain") { statistics.prefixes.recordSet(key: $0) }
    #expect(
      ask(statistics, "detail dump").others == ["PREFIX app get 0 hit 0 set 0 del 1", "PREFIX user get 2 hit 1 set 1 del 0", "END"])
    #expect(ask(statistics, "detail off").others == ["OK"])
    on("user:1") { statistics.prefixes.recordSet(key: $0) }
    #expect(ask(statistics, "detail dump").others.contains("PREFIX user get 2 hit 1 set 1 del 0"))
    for words in ["detail", "detail maybe"] {
      #expect(ask(statistics, words).others == ["CLIENT_ERROR usage: stats detail on|off|dump"])
    }
  }

  @Test func detailHasABound() throws {
    let prefixes = PrefixStatistics(delimiter: UInt8(ascii: ":"), isEnabled: true)
    for number in 0..<(PrefixStatistics.maxPrefixes + 10) {
      Array("p\(number):x".utf8).withUnsafeBytes { prefixes.recordSet(key: $0) }
    }
    #expect(prefixes.dump().count == PrefixStatistics.maxPrefixes && prefixes.uncounted == 10)
    prefixes.clear()
    #expect(prefixes.dump().isEmpty && prefixes.uncounted == 0)
  }

  @Test func otherWords() throws {
    let statistics = try statistics()
    #expect(ask(statistics, "bogus").others == ["ERROR"])
    #expect(ask(statistics, "cachedump 1 1").others == ["CLIENT_ERROR stats cachedump not allowed"])
    for words in ["sizes", "sizes_enable", "sizes_disable"] { #expect(ask(statistics, words).values == ["sizes_status": "disabled"]) }
    let leases = ask(statistics, "leases")
    #expect(leases.values["leases"] == "0" && leases.values["max_leases"] == "1000000" && leases.others == ["END"])
  }

  @Test func countsSubtractAndAdd() {
    var a = WorkerCounts()
    a.bytesRead = 5
    a.connectionBytes = 7
    var b = a
    b.bytesRead = 9
    #expect(b.since(a).bytesRead == 4 && b.since(a).connectionBytes == 7)
    a += b
    #expect(a.bytesRead == 14 && a.connectionBytes == 14)
  }
}
