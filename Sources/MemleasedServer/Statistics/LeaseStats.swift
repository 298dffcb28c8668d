/// `stats leases`, and the lease part of `stats`.
struct LeaseStats {
  let snapshot: ServerSnapshot
  let configuration: ServerConfiguration

  func append(to reply: inout [UInt8]) {
    appendCounters(to: &reply)
    reply.appendStat("max_leases", configuration.maxLeases)
    reply.appendStat("lease_ms", configuration.leaseMs)
    reply.appendStat("stale_window_ms", configuration.staleWindowMs)
    reply.appendStat("grant_interval_ms", configuration.grantIntervalMs)
  }

  func appendCounters(to reply: inout [UInt8]) {
    let counters = snapshot.counters
    reply.appendStat("leases", snapshot.usage.leases)
    reply.appendStat("lease_records", snapshot.usage.leaseRecords)
    reply.appendStat("lease_bytes", snapshot.usage.leaseBytes)
    reply.appendStat("lease_grants", counters.leaseGrants)
    reply.appendStat("refresh_grants", counters.refreshGrants)
    reply.appendStat("lease_fills", counters.leaseFills)
    reply.appendStat("hot_misses", counters.hotMisses)
    reply.appendStat("stale_hits", counters.staleHits)
    reply.appendStat("lease_voids", counters.leaseVoids)
    reply.appendStat("lease_expired", counters.leaseExpired)
    reply.appendStat("lease_releases", counters.leaseReleases)
    reply.appendStat("lease_disconnects", counters.leaseDisconnects)
    reply.appendStat("lease_fails", counters.leaseFails)
    reply.appendStat("lease_passes", counters.leasePasses)
    reply.appendStat("lease_keeps", counters.leaseKeeps)
    reply.appendStat("lease_holds", counters.leaseHolds)
    reply.appendStat("lease_extends", counters.leaseExtends)
    reply.appendStat("stale_stored", counters.staleStored)
    reply.appendStat("lease_set_refused", counters.leaseSetRefused)
    reply.appendStat("plain_writes_refused", counters.plainWritesRefused)
    reply.appendStat("lease_table_full", counters.leaseTableFull)
    reply.appendStat("grants_delayed", counters.grantsDelayed)
  }
}
