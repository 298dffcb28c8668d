import Synchronization

/// The head of a large value's own mapping; the bytes follow at `LargeValue.headerBytes`.
struct LargeHeader: ~Copyable {
  let references = Atomic<Int>(1)
  let count: Int
  /// 0: on the heap, for waiters only.
  let mappedBytes: Int
  let budget: Unmanaged<MemoryBudget>
  /// In the partition's queue of large values, under its lock; then in the budget's list of dropped ones.
  var next: UnsafeMutablePointer<LargeHeader>?
  var previous: UnsafeMutablePointer<LargeHeader>?
  /// Of the key, and the place in the order of eviction: that of a segment as old.
  var hash: UInt64 = 0
  var sequence: UInt64 = 0
  /// In the queue of what eviction kept.
  var isKept = false

  init(count: Int, mappedBytes: Int, budget: MemoryBudget) {
    self.count = count
    self.mappedBytes = mappedBytes
    self.budget = Unmanaged.passUnretained(budget)
  }
}

/// A value in an allocation of its own, reference counted by hand: it stays readable until the last `release`, whatever the store does.
/// Its bytes count under `-m` until then. Sendable: the count is atomic, and nobody writes the bytes once the value is stored.
public struct LargeValue: @unchecked Sendable {
  static let headerBytes = 80
  let header: UnsafeMutablePointer<LargeHeader>

  init(header: UnsafeMutablePointer<LargeHeader>) { self.header = header }

  /// Memory from the budget, or nil when it is used up.
  init?(count: Int, budget: MemoryBudget) {
    guard let mapping = budget.takeMapping(bytes: roundedToPages(Self.headerBytes + count)) else { return nil }
    header = mapping.memory.bindMemory(to: LargeHeader.self, capacity: 1)
    header.initialize(to: LargeHeader(count: count, mappedBytes: mapping.bytes, budget: budget))
  }

  /// A copy for waiters, of a value that is not large to the store: under their own bound, not under `-m`; gone when the last of them has it.
  init?(copyForWaiters count: Int, budget: MemoryBudget) {
    guard budget.takeWaiterCopy(bytes: count) else { return nil }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: Self.headerBytes + count, alignment: 64)
    header = memory.bindMemory(to: LargeHeader.self, capacity: 1)
    header.initialize(to: LargeHeader(count: count, mappedBytes: 0, budget: budget))
  }

  public var bytes: UnsafeMutableRawPointer { UnsafeMutableRawPointer(header) + Self.headerBytes }
  public var count: Int { header.pointee.count }
  var mappedBytes: Int { header.pointee.mappedBytes }

  public func retain() { header.pointee.references.wrappingAdd(1, ordering: .relaxed) }

  /// The last reference may unmap: a system call, so not under a partition's lock.
  public func release() {
    guard header.pointee.references.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
    let mappedBytes = header.pointee.mappedBytes
    let budget = header.pointee.budget
    if mappedBytes == 0 {
      budget.takeUnretainedValue().giveWaiterCopy(bytes: header.pointee.count)
      header.deinitialize(count: 1)
      return UnsafeMutableRawPointer(header).deallocate()
    }
    header.deinitialize(count: 1)
    budget.takeUnretainedValue().giveMapping(.init(memory: UnsafeMutableRawPointer(header), bytes: mappedBytes))
  }
}
