/// The waiters of one worker by the time at which their wait is over. Only its worker touches it.
public struct WaiterHeap {
  private var heap = DeadlineHeap<Waiter>()

  public init() {}

  public var count: Int { heap.count }
  /// `.max`: nobody waits.
  public var earliestMs: Milliseconds { heap.earliestMs }

  /// O(log waiters); O(1) when the deadlines come in their order.
  public mutating func insert(_ waiter: WaiterPointer) { heap.place(waiter) }

  /// Nothing happens when it is not in the heap. O(log waiters).
  public mutating func remove(_ waiter: WaiterPointer) { heap.remove(waiter) }

  /// The first whose wait is over, taken out; nil: none yet.
  public mutating func takeDue(nowMs: Milliseconds) -> WaiterPointer? {
    guard let first = heap.first, first.pointee.deadlineMs <= nowMs else { return nil }
    heap.remove(first)
    return first
  }
}

extension Waiter: DeadlineHeapMember {}
