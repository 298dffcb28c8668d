/// A reader that waits for a key that another is fetching. Its memory is the caller's, at a fixed address while `isParked`.
/// Invariant: in the queue of its lane exactly while `lane` is set; answered or taken out exactly once.
public struct Waiter {
  var next: WaiterPointer?
  var previous: WaiterPointer?
  /// Set by `Partition.park`, nil again once it is taken out of its lane.
  var lane: LanePointer?
  /// Set by `Partition.park`: when its wait is over.
  public internal(set) var deadlineMs: Milliseconds = .max
  /// The connection that will hold the lease if this waiter is promoted; 0: none.
  let holderID: UInt64
  /// The length of that lease; 0: the key's.
  let leaseMs: UInt32
  let holders: UInt32
  /// Its turn among all waiters of its partition; begins anew after the last number.
  var sequence: UInt32 = 0
  /// Its place in its worker's `WaiterHeap`; -1: none.
  var heapIndex: Int32 = -1
  /// A reader that knows no leases (its get is coalesced): promoted, it is told of a miss.
  let isPlain: Bool
  /// Servers have at most 256 workers.
  let worker: UInt8

  /// `worker`: whose inbox the answer goes to.
  public init(worker: Int, options: ReadOptions, isPlain: Bool) {
    self.worker = UInt8(truncatingIfNeeded: worker)
    self.isPlain = isPlain
    holderID = options.holderID
    leaseMs = UInt32(clamping: min(options.leaseMs, LeaseSettings.longestLeaseMs))
    holders = UInt32(clamping: options.holders)
  }

  public var isParked: Bool { lane != nil }
  /// The lane it is in, if that was answered: only for its worker, after `Partition.endWait` said false.
  public var firedLane: FiredLane? { lane.map { FiredLane($0) } }
}

public typealias WaiterPointer = UnsafeMutablePointer<Waiter>

extension WaiterPointer {
  /// Of two that wait now.
  func came(before other: WaiterPointer) -> Bool { Int32(bitPattern: pointee.sequence &- other.pointee.sequence) < 0 }
}

/// The waiters of one key that one worker serves, first come first served.
/// Invariant: under its partition's lock while `outcome` is nil; then it belongs to its worker alone.
public struct Lane {
  var next: LanePointer?
  var first: WaiterPointer?
  var last: WaiterPointer?
  public internal(set) var count = 0
  /// Whose waiters these are; nil once they are answered.
  var record: RecordPointer?
  let workerNumber: UInt16
  /// What they are told.
  public internal(set) var outcome: WaitOutcome?

  public var worker: Int { Int(workerNumber) }
}

public typealias LanePointer = UnsafeMutablePointer<Lane>

/// Carries a lane to its worker. Sendable: from then on nobody else touches it.
public struct FiredLane: @unchecked Sendable {
  public let lane: LanePointer
  public let worker: Int
  init(_ lane: LanePointer) {
    self.lane = lane
    worker = Int(lane.pointee.workerNumber)
  }

  /// What all of its waiters are told.
  public var outcome: WaitOutcome? { lane.pointee.outcome }

  /// The next waiter to answer; nil: none is left, `free` the lane. O(1).
  public func takeFirst() -> WaiterPointer? {
    guard let waiter = lane.pointee.first else { return nil }
    lane.unlink(waiter)
    return waiter
  }

  /// Takes out one whose connection closed before it was told.
  public func remove(_ waiter: WaiterPointer) { lane.unlink(waiter) }

  public func free() {
    assert(lane.pointee.first == nil, "a waiter would never be answered")
    lane.deinitialize(count: 1)
    lane.deallocate()
  }
}

extension UnsafeMutablePointer<Lane> {
  static func make(worker: UInt16, record: RecordPointer?) -> LanePointer {
    let lane = LanePointer.allocate(capacity: 1)
    lane.initialize(to: Lane(record: record, workerNumber: worker))
    return lane
  }

  func append(_ waiter: WaiterPointer) {
    waiter.pointee.lane = self
    waiter.pointee.next = nil
    waiter.pointee.previous = pointee.last
    if let last = pointee.last { last.pointee.next = waiter } else { pointee.first = waiter }
    pointee.last = waiter
    pointee.count += 1
  }

  func unlink(_ waiter: WaiterPointer) {
    if let previous = waiter.pointee.previous { previous.pointee.next = waiter.pointee.next } else { pointee.first = waiter.pointee.next }
    if let next = waiter.pointee.next { next.pointee.previous = waiter.pointee.previous } else { pointee.last = waiter.pointee.previous }
    waiter.pointee.next = nil
    waiter.pointee.previous = nil
    waiter.pointee.lane = nil
    pointee.count -= 1
  }
}

/// Why a waiter leaves without an answer from its key.
public enum WaitEnd: UInt8, Sendable {
  /// Its time is over: a hot miss.
  case timedOut
  /// Its client took it back.
  case cancelled
  /// Its connection closed.
  case disconnected
}
