import LeaseCore

/// `stats settings`: memcached's names where they mean something here, then ours.
struct SettingsStats {
  let configuration: ServerConfiguration
  let memoryLimitBytes: Int
  let isDetailEnabled: Bool
  let watcherQueueBytes: Int
  let verbosity: Int
  let partitions: Int
  let segmentBytes: Int

  func append(to reply: inout [UInt8]) {
    reply.appendStat("maxbytes", memoryLimitBytes)
    reply.appendStat("maxconns", configuration.maxConnections)
    reply.appendStat("tcpport", configuration.unixSocketPath == nil ? configuration.port : 0)
    reply.appendStat("udpport", 0)
    reply.appendStat("inter", configuration.addresses.isEmpty ? "NULL" : configuration.addresses.joined(separator: ","))
    reply.appendStat("verbosity", verbosity)
    reply.appendStat("evictions", configuration.evicts ? "on" : "off")
    reply.appendStat("domain_socket", configuration.unixSocketPath ?? "NULL")
    reply.appendStat("umask", String(configuration.unixSocketMode, radix: 8))
    reply.appendStat("shutdown_command", isYes: configuration.isShutdownCommandEnabled)
    reply.appendStat("num_threads", configuration.workers)
    reply.appendStat("stat_key_prefix", String(UnicodeScalar(configuration.statPrefixDelimiter)))
    reply.appendStat("detail_enabled", isYes: isDetailEnabled)
    reply.appendStat("reqs_per_event", configuration.requestsPerEvent)
    reply.appendStat("cas_enabled", isYes: true)
    reply.appendStat("tcp_backlog", configuration.backlog)
    reply.appendStat("binding_protocol", "ascii")
    reply.appendStat("auth_enabled_sasl", isYes: false)
    reply.appendStat("auth_enabled_ascii", configuration.authFilePath ?? "no")
    reply.appendStat("item_size_max", configuration.largestValueBytes)
    reply.appendStat("maxconns_fast", isYes: true)
    reply.appendStat("flush_enabled", isYes: !configuration.isFlushDisabled)
    reply.appendStat("dump_enabled", isYes: !configuration.isDumpDisabled)
    reply.appendStat("idle_timeout", configuration.idleTimeoutSeconds)
    reply.appendStat("watcher_logbuf_size", watcherQueueBytes)
    reply.appendStat("track_sizes", isYes: false)
    reply.appendStat("ssl_enabled", isYes: false)
    appendOurs(to: &reply)
  }

  private func appendOurs(to reply: inout [UInt8]) {
    reply.appendStat("watch_enabled", isYes: !configuration.isWatchDisabled)
    reply.appendStat("memcached_mode", isYes: configuration.isMemcachedMode)
    reply.appendStat("plain_writes", configuration.plainWrites.text)
    reply.appendStat("lease_ms", configuration.leaseMs)
    reply.appendStat("stale_window_ms", configuration.staleWindowMs)
    reply.appendStat("grant_interval_ms", configuration.grantIntervalMs)
    reply.appendStat("max_leases", configuration.maxLeases)
    reply.appendStat("holders", configuration.holders)
    reply.appendStat("grace_ms", configuration.graceMs)
    reply.appendStat("refresh_ahead_ms", configuration.refreshAheadMs)
    reply.appendStat("coalesce_gets_ms", configuration.coalesceGetsMs)
    reply.appendStat("max_wait_ms", configuration.longestWaitMs)
    reply.appendStat("max_waiters", configuration.maxWaiters)
    reply.appendStat("waiter_memory", configuration.waiterCopyBytes)
    reply.appendStat("max_waiters_per_key", configuration.maxWaitersPerKey)
    reply.appendStat("max_waiters_per_connection", configuration.maxWaitersPerConnection)
    reply.appendStat("config_file", configuration.configurationFilePath ?? "NULL")
    reply.appendStat("release_on_disconnect", isYes: configuration.releasesOnDisconnect)
    reply.appendStat("partitions", partitions)
    reply.appendStat("segment_bytes", segmentBytes)
  }
}
