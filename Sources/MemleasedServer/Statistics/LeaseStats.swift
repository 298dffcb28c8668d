import LeaseCore

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
    reply.appendStat("lease_revokes", counters.leaseRevokes)
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
    appendWaits(to: &reply, counters)
  }

  private func appendWaits(to reply: inout [UInt8], _ counters: Counters) {
    reply.appendStat("waiters", snapshot.usage.waiters)
    reply.appendStat("waits_parked", counters.waitsParked)
    reply.appendStat("waits_filled", counters.waitsFilled)
    reply.appendStat("waits_failed", counters.waitsFailed)
    reply.appendStat("waits_passed", counters.waitsPassed)
    reply.appendStat("waits_promoted", counters.waitsPromoted)
    reply.appendStat("waits_timed_out", counters.waitsTimedOut)
    reply.appendStat("waits_cancelled", counters.waitsCancelled)
    reply.appendStat("waits_disconnected", counters.waitsDisconnected)
    reply.appendStat("waiters_refused_by_key", counters.waitersRefusedByKey)
    reply.appendStat("waiters_refused_in_all", counters.waitersRefusedInAll)
    reply.appendStat("waiters_refused_by_connection", snapshot.workers.waitersRefused)
    reply.appendStat("slow_waiters_closed", snapshot.workers.slowWaitersClosed)
    reply.appendStat("answers_without_value", counters.answersWithoutValue)
    reply.appendStat("coalesced_fetches", counters.coalescedFetches)
  }
}
