/// Rules that a test of the tests breaks on purpose, to see that it is noticed. Only in debug builds: elsewhere `breaks` is a constant false.
package enum BrokenRule: Sendable, CaseIterable {
  /// Two waiters are promoted for one lost lease.
  case doublePromotion
  /// A lost lease promotes nobody.
  case lostWakeUp
  /// The fill of a token that a delete voided is taken as fresh.
  case staleFillAccepted
  /// A fill that comes after its lease's deadline is taken.
  case expiredTokenAccepted
  /// A waiter's deadline is later than it asked for.
  case waiterPastDeadline
}

extension PartitionState {
  @inline(__always)
  func breaks(_ rule: BrokenRule) -> Bool {
    #if DEBUG
      shared.brokenRule == rule
    #else
      false
    #endif
  }

  func firstToWait(_ record: RecordPointer) -> WaiterPointer? {
    var first = record.pointee.lanes?.pointee.first
    var lane = record.pointee.lanes
    while let current = lane {
      if let waiter = current.pointee.first, let earlier = first, waiter.pointee.sequence < earlier.pointee.sequence { first = waiter }
      lane = current.pointee.next
    }
    return first
  }

  /// The lease lasts until its late fill.
  func prolong(_ key: CacheKey, token: UInt64?) {
    guard let token, let grant = leases.find(key)?.liveGrant(token: token), grant.pointee.deadlineMs <= nowMs else { return }
    grant.pointee.deadlineMs = nowMs + 1
  }
}
