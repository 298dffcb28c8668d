import LeaseCore

/// Why a token is worth nothing any more.
enum TokenEnd {
  /// Its fill, failure, pass or keep was taken, or it was released.
  case used
  case expired
  /// By a delete: its late fill may be kept as stale until the window or the lease's own time is over.
  case voided
  /// By a newer value, a hold or a flush.
  case replaced
}

/// A lease as the specification has it.
struct ModelLease {
  enum Kind { case reader, refresh, writer, filler }
  /// 0 until the promoted waiter's answer says it.
  var token: UInt64
  var deadlineMs: Milliseconds
  var kind: Kind
  /// The connection's.
  var holderID: UInt64
  /// The waiter that was promoted to it in this step; -1: none.
  var waiter = -1
}

/// A token that a delete voided.
struct VoidedToken {
  var token: UInt64
  var deadlineMs: Milliseconds
  var sinceMs: Milliseconds
  var waiter = -1
}

/// A key as the specification's table has it, the database's row behind it, and what may still be shown of earlier values.
struct SimulatedKey {
  enum Outcome { case none, failed, passed }

  let name: CacheKey
  let partition: Int
  // The lease rules. Leases stay in here until the store looks at the key after their deadline.
  var leases: [ModelLease] = []
  var voided: [VoidedToken] = []
  /// Waiters in the order in which they came.
  var parked: [Int] = []
  var outcome = Outcome.none
  var outcomeUntilMs: Milliseconds = 0
  var nextGrantMs: Milliseconds = 0
  /// A flush of its prefix has come, and the store has not looked at the key since.
  var isFlushed = false
  // The database.
  var databaseVersion = 1
  // When a delete, a writer's hold and an `md I` came last. Values that were read from the database before may not be fresh; none that
  // was written before `flushTick` may be shown at all.
  var deleteTick = 0
  var holdTick = 0
  var markTick = 0
  /// The last mark before the last hold.
  var markBeforeHoldTick = 0
  var flushTick = 0
  /// When the last delete or hold came, and when what it made stale must be gone.
  var hiddenMs: Milliseconds = 0
  var staleUntilMs: Milliseconds = 0
  /// The value that was written last; -1: not known.
  var current = -1
  /// A touch may have prolonged any value until then.
  var touchedUntilMs: Milliseconds = 0
  /// A new value has come in the last step, which no touch has prolonged.
  var isRewritten = false
  /// A keep said at `keptTick` that values of this database version are right.
  var keptVersion = 0
  var keptTick = 0

  init(name: CacheKey, partition: Int) {
    self.name = name
    self.partition = partition
  }

  var floorTick: Int { max(deleteTick, holdTick, markTick) }

  /// Whether a value that was read at that tick has been hidden from memcached's readers since: by a delete, or by a hold, unless it was
  /// marked by then. That they see.
  func isHidden(readTick: Int) -> Bool {
    readTick < deleteTick || (readTick < holdTick && readTick >= markBeforeHoldTick)
  }

  var writer: Bool { leases.contains { $0.kind == .writer } }
  /// Those that keep a guarded write out.
  var guards: Bool { leases.contains { $0.kind != .filler } }

  /// The earliest time at which the lease rules have something to do.
  var nextEventMs: Milliseconds {
    var next = nextGrantMs == 0 ? .max : nextGrantMs
    for lease in leases { next = min(next, lease.deadlineMs) }
    return next
  }
}
