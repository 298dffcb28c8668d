/// What holds for a key. Without policies all of these are one nil check, inlined; the rest stays out of the common path's code.
extension PartitionState {
  @inline(__always)
  func settings(for key: CacheKey) -> LeaseSettings {
    policies == nil ? leases.settings : settings(of: key.bytes, count: key.count)
  }

  @inline(__always)
  func settings(of record: RecordPointer) -> LeaseSettings {
    policies == nil ? leases.settings : settings(of: record.key, count: Int(record.pointee.keyCount))
  }

  @inline(never)
  private func settings(of key: UnsafeRawPointer, count: Int) -> LeaseSettings {
    policies?.pointee.find(key, count: count)?.pointee.settings ?? leases.settings
  }

  /// `servers`: what holds where no policy says otherwise.
  @inline(__always)
  func plainWrites(for key: CacheKey, _ servers: PlainWrites) -> PlainWrites {
    policies == nil ? servers : policyPlainWrites(key) ?? servers
  }

  @inline(never)
  private func policyPlainWrites(_ key: CacheKey) -> PlainWrites? {
    policies?.pointee.changesPlainWrites ?? false ? settings(for: key).plainWrites : nil
  }

  /// A write's own grace, or else the key's.
  @inline(__always)
  func graceMs(for key: CacheKey, _ given: UInt64?) -> UInt64 {
    given ?? (policies == nil ? leases.settings.graceMs : policyGraceMs(key))
  }

  @inline(never)
  private func policyGraceMs(_ key: CacheKey) -> UInt64 {
    policies?.pointee.changesGrace ?? false ? settings(for: key).graceMs : leases.settings.graceMs
  }

  /// With how little left a reader wins a refresh lease; `Int64.min`: never.
  func refreshBelowMs(for key: CacheKey, _ options: ReadOptions) -> Int64 {
    guard options.refreshBelowMs == .min, refreshesAhead, options.wantsLease, options.kind == .meta else { return options.refreshBelowMs }
    let aheadMs = settings(for: key).refreshAheadMs
    return aheadMs == 0 ? .min : Int64(clamping: aheadMs)
  }
}
