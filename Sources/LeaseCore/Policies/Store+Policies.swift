/// Policies per key prefix. Changing one is linear in policies and partitions, whatever the number of items; looking one up costs nothing
/// while there are none.
extension Store {
  public static var mostPolicies: Int { PolicyBook.most }

  /// Replaces the prefix's policy or makes one.
  public func setPolicy(_ prefix: [UInt8], _ policy: Policy) -> PolicyStatus { changePolicies([(prefix, policy)]) }

  /// What was flushed under the prefix stays so; then the removed policy counts among the most that there may be.
  public func removePolicy(_ prefix: [UInt8]) -> PolicyStatus { changePolicies([(prefix, nil)]) }

  /// Sets policies, or removes them (nil), in this order; everything or nothing.
  public func changePolicies(_ changes: [(prefix: [UInt8], policy: Policy?)]) -> PolicyStatus {
    policyBook.withLock { book in
      let status = book.change(changes)
      if status == .done { publish(&book, flushedAtMs: nil) }
      return status
    }
  }

  /// All policies, by prefix.
  public var policies: [(prefix: [UInt8], policy: Policy)] {
    policyBook.withLock { book in book.entries.compactMap { entry in entry.policy.map { (entry.prefix, $0) } } }
  }

  /// The policy of the longest prefix of a key.
  public func policy(for key: [UInt8]) -> (prefix: [UInt8], policy: Policy)? {
    policyBook.withLock { book in book.policy(for: key).flatMap { entry in entry.policy.map { (entry.prefix, $0) } } }
  }

  /// Everything under a policy's prefix becomes absent, or stale for the policy's stale window; its leases are void. Call it without any
  /// partition's lock. O(policies + segments), whatever the number of items: those go when their memory is needed or somebody asks for them.
  public func flushPrefix(_ prefix: [UInt8], stale: Bool, nowMs: Milliseconds) -> PolicyStatus {
    policyBook.withLock { book in
      // What is written while the partitions are visited may be taken for older or newer: the flush is not over.
      let generation = newestGeneration
      guard book.flush(prefix, stale: stale, generation: generation, defaults: defaultSettings, nowMs: nowMs) else { return .notFound }
      publish(&book, flushedAtMs: nowMs)
      return .done
    }
  }

  /// Gives the partitions a new table, one after the other, and frees the old one.
  private func publish(_ book: inout PolicyBook, flushedAtMs: Milliseconds?) {
    var new: UnsafeMutablePointer<PolicyTable>?
    if !book.entries.isEmpty {
      let table = UnsafeMutablePointer<PolicyTable>.allocate(capacity: 1)
      table.initialize(to: PolicyTable(book.entries, defaults: defaultSettings, flushSerial: book.flushSerial, seed: policySeed))
      new = table
    }
    for index in 0..<partitionCount {
      partition(index).locked { $0.setPolicies(new, flushedAtMs: flushedAtMs) }
    }
    if let old = book.table {
      old.deinitialize(count: 1)
      old.deallocate()
    }
    book.table = new
    setCoalescesGets(defaultSettings.coalesceGetsMs > 0 || new?.pointee.coalescesGets ?? false)
  }

  /// At the end of the store.
  func freePolicies() {
    policyBook.withLock { book in
      book.table?.deinitialize(count: 1)
      book.table?.deallocate()
      book.table = nil
    }
  }
}

extension Partition {
  /// What the key's policy says about plain writes, or else the server.
  public func plainWrites(_ key: CacheKey, _ servers: PlainWrites) -> PlainWrites { state.pointee.plainWrites(for: key, servers) }

  fileprivate func setPolicies(_ table: UnsafeMutablePointer<PolicyTable>?, flushedAtMs: Milliseconds?) {
    state.pointee.policies = table
    if let flushedAtMs {
      state.pointee.begin(flushedAtMs)
      state.pointee.beginFlush()
    }
    state.pointee.refreshesAhead = state.pointee.leases.settings.refreshAheadMs > 0 || table?.pointee.refreshesAhead ?? false
  }
}
