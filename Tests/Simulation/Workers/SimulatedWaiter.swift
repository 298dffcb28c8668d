import LeaseCore

/// A parked request as its client knows it, at a fixed place of `WaiterTable`.
struct SimulatedWaiter {
  enum State { case free, parked, answered }
  /// What the store must have told it.
  enum Answer: Equatable { case none, promoted, filled(Int), failed(UInt64), passed(UInt64), kept }

  var state = State.free
  var key = 0
  var connection = 0
  var worker = 0
  var deadlineMs: Milliseconds = 0
  /// 0: the key's.
  var holders = 0
  var leaseMs: UInt64 = 0
  var isPlain = false
  var holderID: UInt64 = 0
  var answer = Answer.none
  /// When the answer was given.
  var answeredMs: Milliseconds = 0
  /// The length of the lease that it was promoted to.
  var lengthMs: UInt64 = 0
}

/// The memory of all waiters: the store points into it.
struct WaiterTable {
  static let most = 64
  private let base: UnsafeMutablePointer<Waiter>
  private(set) var facts: [SimulatedWaiter]
  private var free: [Int]

  init() {
    base = .allocate(capacity: Self.most)
    facts = Array(repeating: SimulatedWaiter(), count: Self.most)
    free = Array((0..<Self.most).reversed())
  }

  func deallocate() { base.deallocate() }

  var isFull: Bool { free.isEmpty }
  var isEmpty: Bool { free.count == Self.most }

  subscript(_ index: Int) -> SimulatedWaiter {
    _read { yield facts[index] }
    _modify { yield &facts[index] }
  }

  func pointer(_ index: Int) -> WaiterPointer { base + index }
  func index(_ pointer: WaiterPointer) -> Int { pointer - base }

  mutating func take(_ waiter: SimulatedWaiter, _ options: ReadOptions) -> Int? {
    guard let index = free.popLast() else { return nil }
    (base + index).initialize(to: Waiter(worker: waiter.worker, options: options, isPlain: waiter.isPlain))
    facts[index] = waiter
    return index
  }

  mutating func give(_ index: Int) {
    (base + index).deinitialize(count: 1)
    facts[index] = SimulatedWaiter()
    free.append(index)
  }

  /// The state a waiter is in, for those that are not free.
  func first(where isWanted: (SimulatedWaiter) -> Bool) -> Int? {
    facts.firstIndex { $0.state != .free && isWanted($0) }
  }
}
