import LeaseCore

/// `stats items` and `stats slabs`: the store's time classes stand where memcached has slab classes, a segment where it has a page, an
/// item of the class's mean size where it has a chunk. Class n of the store is shown as n + 1; a class without segments is left out.
struct ClassStats {
  let classes: [ClassUsage]
  let segmentBytes: Int
  let nowMs: Milliseconds

  func appendItems(to reply: inout [UInt8]) {
    for (index, usage) in classes.enumerated() where usage.segments > 0 {
      let prefix = "items:\(index + 1):"
      reply.appendStat(prefix + "number", usage.items)
      reply.appendStat(prefix + "age", ageSeconds(usage))
      reply.appendStat(prefix + "mem_requested", usage.liveBytes)
      reply.appendStat(prefix + "evicted", usage.evictions)
      // Not kept by class; memcached's tools want to see them.
      for name in ["evicted_time", "outofmemory"] { reply.appendStat(prefix + name, 0) }
    }
  }

  func appendSlabs(to reply: inout [UInt8]) {
    var active = 0
    var totalBytes: UInt64 = 0
    for (index, usage) in classes.enumerated() where usage.segments > 0 {
      let pageBytes = UInt64(max(1, segmentBytes))
      let meanBytes = max(1, usage.items == 0 ? pageBytes : usage.liveBytes / usage.items)
      let perPage = max(1, pageBytes / meanBytes)
      let total = max(perPage &* usage.segments, usage.items)
      let prefix = "\(index + 1):"
      reply.appendStat(prefix + "chunk_size", meanBytes)
      reply.appendStat(prefix + "chunks_per_page", perPage)
      reply.appendStat(prefix + "total_pages", usage.segments)
      reply.appendStat(prefix + "total_chunks", total)
      reply.appendStat(prefix + "used_chunks", usage.items)
      reply.appendStat(prefix + "free_chunks", total - usage.items)
      reply.appendStat(prefix + "free_chunks_end", 0)
      active += 1
      totalBytes &+= usage.segments &* pageBytes
    }
    reply.appendStat("active_slabs", active)
    reply.appendStat("total_malloced", totalBytes)
  }

  private func ageSeconds(_ usage: ClassUsage) -> UInt64 { usage.oldestMs < nowMs ? (nowMs - usage.oldestMs) / 1000 : 0 }
}
