/// The waiters of one worker by the time at which their wait is over, the earliest first.
/// Invariant: each waiter in it knows its index; only its worker touches it, and of the waiters only `heapIndex` and `deadlineMs`: the rest is
/// their partition's, under its lock. So this is no generic heap, whose access would be to the whole waiter.
public struct WaiterHeap {
  private var waiters: [WaiterPointer] = []

  public init() {}

  public var count: Int { waiters.count }
  /// `.max`: nobody waits.
  public var earliestMs: Milliseconds { waiters.first?.pointee.deadlineMs ?? .max }

  /// O(log waiters); O(1) when the deadlines come in their order.
  public mutating func insert(_ waiter: WaiterPointer) {
    waiters.append(waiter)
    waiter.pointee.heapIndex = Int32(truncatingIfNeeded: waiters.count - 1)
    rise(waiters.count - 1)
  }

  /// Nothing happens when it is not in the heap. O(log waiters).
  public mutating func remove(_ waiter: WaiterPointer) {
    let index = Int(waiter.pointee.heapIndex)
    guard index >= 0 else { return }
    waiter.pointee.heapIndex = -1
    let last = waiters.removeLast()
    guard last != waiter else { return }
    waiters[index] = last
    last.pointee.heapIndex = Int32(truncatingIfNeeded: index)
    rise(index)
    sink(Int(last.pointee.heapIndex))
  }

  /// The first whose wait is over, taken out; nil: none yet.
  public mutating func takeDue(nowMs: Milliseconds) -> WaiterPointer? {
    guard let first = waiters.first, first.pointee.deadlineMs <= nowMs else { return nil }
    remove(first)
    return first
  }

  private mutating func rise(_ start: Int) {
    var index = start
    while index > 0, waiters[index].pointee.deadlineMs < waiters[(index - 1) / 2].pointee.deadlineMs {
      swapPlaces(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  private mutating func sink(_ start: Int) {
    var index = start
    while true {
      var least = index
      for child in (2 * index + 1)...(2 * index + 2) where child < waiters.count {
        if waiters[child].pointee.deadlineMs < waiters[least].pointee.deadlineMs { least = child }
      }
      if least == index { return }
      swapPlaces(index, least)
      index = least
    }
  }

  private mutating func swapPlaces(_ a: Int, _ b: Int) {
    waiters.swapAt(a, b)
    waiters[a].pointee.heapIndex = Int32(truncatingIfNeeded: a)
    waiters[b].pointee.heapIndex = Int32(truncatingIfNeeded: b)
  }
}
