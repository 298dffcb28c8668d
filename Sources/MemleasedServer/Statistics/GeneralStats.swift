/// `stats`: memcached's names where memcached has the thing, then ours.
struct GeneralStats {
  let snapshot: ServerSnapshot
  let configuration: ServerConfiguration

  func append(to reply: inout [UInt8]) {
    appendProcess(to: &reply)
    appendConnections(to: &reply)
    appendCommands(to: &reply)
    appendTraffic(to: &reply)
    appendItems(to: &reply)
    LeaseStats(snapshot: snapshot, configuration: configuration).appendCounters(to: &reply)
    appendMemory(to: &reply)
  }

  private func appendProcess(to reply: inout [UInt8]) {
    let process = snapshot.process
    reply.appendStat("pid", process.id)
    reply.appendStat("uptime", snapshot.uptimeSeconds)
    reply.appendStat("time", snapshot.unixSeconds)
    reply.appendStat("version", ServerConfiguration.version)
    reply.appendStat("libevent", snapshot.libeventVersion)
    reply.appendStat("pointer_size", MemoryLayout<Int>.size * 8)
    reply.appendStat("rusage_user", secondsText(process.userMicroseconds))
    reply.appendStat("rusage_system", secondsText(process.systemMicroseconds))
  }

  private func appendConnections(to reply: inout [UInt8]) {
    reply.appendStat("max_connections", configuration.maxConnections)
    reply.appendStat("curr_connections", snapshot.currentConnections)
    reply.appendStat("total_connections", snapshot.totalConnections)
    reply.appendStat("rejected_connections", snapshot.rejectedConnections)
    reply.appendStat("connection_structures", snapshot.currentConnections)
    reply.appendStat("connection_bytes", snapshot.workers.connectionBytes)
    reply.appendStat("reserved_fds", ProcessSetup.reservedDescriptors(workers: configuration.workers))
  }

  private func appendCommands(to reply: inout [UInt8]) {
    let counters = snapshot.counters
    let workers = snapshot.workers
    reply.appendStat("cmd_get", counters.cmdGet)
    reply.appendStat("cmd_set", counters.cmdSet)
    reply.appendStat("cmd_flush", workers.flushCommands)
    reply.appendStat("cmd_touch", counters.cmdTouch)
    reply.appendStat("cmd_meta", workers.metaCommands)
    reply.appendStat("get_hits", counters.getHits)
    reply.appendStat("get_misses", counters.getMisses)
    reply.appendStat("get_expired", counters.getExpired)
    reply.appendStat("get_flushed", counters.getFlushed)
    reply.appendStat("delete_misses", counters.deleteMisses)
    reply.appendStat("delete_hits", counters.deleteHits)
    reply.appendStat("incr_misses", counters.incrMisses)
    reply.appendStat("incr_hits", counters.incrHits)
    reply.appendStat("decr_misses", counters.decrMisses)
    reply.appendStat("decr_hits", counters.decrHits)
    reply.appendStat("cas_misses", counters.casMisses)
    reply.appendStat("cas_hits", counters.casHits)
    reply.appendStat("cas_badval", counters.casBadval)
    reply.appendStat("touch_hits", counters.touchHits)
    reply.appendStat("touch_misses", counters.touchMisses)
    reply.appendStat("store_too_large", counters.storeTooLarge)
    reply.appendStat("store_no_memory", counters.storeNoMemory)
    reply.appendStat("auth_cmds", workers.authCommands)
    reply.appendStat("auth_errors", workers.authErrors)
    reply.appendStat("idle_kicks", workers.idleKicks)
    reply.appendStat("refused_lines", workers.refusedLines)
    reply.appendStat("busy_replies", workers.busyReplies)
    reply.appendStat("overflow_closes", workers.overflowCloses)
  }

  private func appendTraffic(to reply: inout [UInt8]) {
    let usage = snapshot.usage
    reply.appendStat("bytes_read", snapshot.workers.bytesRead)
    reply.appendStat("bytes_written", snapshot.workers.bytesWritten)
    reply.appendStat("limit_maxbytes", snapshot.memoryLimitBytes)
    reply.appendStat("accepting_conns", snapshot.isAccepting ? 1 : 0)
    reply.appendStat("listen_disabled_num", snapshot.listenDisabledCount)
    reply.appendStat("time_in_listen_disabled_us", snapshot.listenDisabledMicroseconds)
    reply.appendStat("threads", configuration.workers)
    reply.appendStat("conn_yields", snapshot.workers.connectionYields)
    // The index has any number of buckets; memcached's power of two is the one below it.
    reply.appendStat("hash_power_level", usage.indexBuckets == 0 ? 0 : 63 - usage.indexBuckets.leadingZeroBitCount)
    reply.appendStat("hash_bytes", usage.indexBytes)
    reply.appendStat("hash_is_expanding", usage.isIndexGrowing ? 1 : 0)
    reply.appendStat("malloc_fails", snapshot.workers.allocationFailures)
    reply.appendStat("log_watcher_skipped", snapshot.watchSkippedLines)
    reply.appendStat("log_watcher_sent", snapshot.watchSentLines)
    reply.appendStat("log_watchers", snapshot.watchers)
    reply.appendStat("detail_uncounted", snapshot.uncountedPrefixes)
  }

  private func appendItems(to reply: inout [UInt8]) {
    let counters = snapshot.counters
    reply.appendStat("bytes", snapshot.usage.liveBytes &+ snapshot.usage.largeBytes)
    reply.appendStat("curr_items", snapshot.usage.items)
    reply.appendStat("total_items", counters.totalItems)
    reply.appendStat("expired_unfetched", counters.expiredUnfetched)
    reply.appendStat("evicted_unfetched", counters.evictedUnfetched)
    reply.appendStat("evictions", counters.evictions)
    reply.appendStat("reclaimed", counters.reclaimed)
    reply.appendStat("segments_evicted", counters.segmentsEvicted)
    reply.appendStat("segments_expired", counters.segmentsExpired)
    reply.appendStat("segments_merged", counters.segmentsMerged)
  }

  /// Where the memory is: `memory_used_bytes` (segments, index, large values) stays within `limit_maxbytes`; what the process holds beyond
  /// is `fixed_overhead_bytes`, `connection_bytes` and the program itself.
  private func appendMemory(to reply: inout [UInt8]) {
    reply.appendStat("memory_used_bytes", snapshot.memoryUsedBytes)
    reply.appendStat("segments", snapshot.usage.segments)
    reply.appendStat("segments_bytes", snapshot.usage.segments &* UInt64(max(0, snapshot.segmentBytes)))
    reply.appendStat("large_values", snapshot.usage.largeValues)
    reply.appendStat("large_bytes", snapshot.usage.largeBytes)
    reply.appendStat("fixed_overhead_bytes", snapshot.fixedOverheadBytes)
    reply.appendStat("resident_bytes", snapshot.process.residentBytes)
  }

  private func secondsText(_ microseconds: UInt64) -> String {
    let fraction = String(microseconds % 1_000_000)
    return "\(microseconds / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
  }
}
