import Synchronization

/// What waiters are told, the same for all of them: shared, not copied for each. `result` reads as if `Partition.read` had said it.
/// Sendable: never changed after `init`; what `result` points to lives as long as the outcome.
public final class WaitOutcome: @unchecked Sendable {
  public let result: ReadResult
  /// A copy of the value or the message.
  private let ownBytes: UnsafeMutableRawPointer?
  private let ownCount: Int
  private let budget: MemoryBudget?

  /// Small values and messages are copied once and again into each reply; larger ones are sent from one place.
  static let largestCopyBytes = 4096

  /// Takes over `ownBytes`; retains `result.item.large`.
  private init(_ result: ReadResult, ownBytes: UnsafeMutableRawPointer?, count: Int, budget: MemoryBudget?) {
    self.result = result
    self.ownBytes = ownBytes
    ownCount = count
    self.budget = budget
    result.item.large?.retain()
  }

  /// For a result that points nowhere: a wait that ended.
  public convenience init(_ result: ReadResult) {
    assert(result.status != .hit && result.messageBytes == nil, "it would outlive what it points to")
    self.init(result, ownBytes: nil, count: 0, budget: nil)
  }

  deinit {
    ownBytes?.deallocate()
    if ownCount > 0 { budget?.giveWaiterCopy(bytes: ownCount) }
    result.item.large?.release()
  }

  /// What the outcome keeps in memory, however many are told.
  public var sizeBytes: Int { result.item.count + result.messageCount }

  /// Copies what `result` points to, so that it outlives the lock. Nil: too much waits to be sent already.
  static func keeping(_ result: ReadResult, _ budget: MemoryBudget) -> WaitOutcome? {
    var kept = result
    if let message = result.messageBytes, result.messageCount > 0 {
      guard let copy = copy(message, result.messageCount, budget) else { return nil }
      kept.messageBytes = UnsafeRawPointer(copy)
      return WaitOutcome(kept, ownBytes: copy, count: result.messageCount, budget: budget)
    }
    guard result.status == .hit, result.item.large == nil, let value = result.item.value, result.item.count > 0 else {
      return WaitOutcome(kept, ownBytes: nil, count: 0, budget: nil)
    }
    if result.item.count <= largestCopyBytes {
      guard let copy = copy(value, result.item.count, budget) else { return nil }
      kept.item.value = UnsafeRawPointer(copy)
      return WaitOutcome(kept, ownBytes: copy, count: result.item.count, budget: budget)
    }
    guard let large = LargeValue(copyForWaiters: result.item.count, budget: budget) else { return nil }
    large.bytes.copyMemory(from: value, byteCount: result.item.count)
    kept.item.value = nil
    kept.item.large = large
    let outcome = WaitOutcome(kept, ownBytes: nil, count: 0, budget: nil)
    large.release()
    return outcome
  }

  private static func copy(_ bytes: UnsafeRawPointer, _ count: Int, _ budget: MemoryBudget) -> UnsafeMutableRawPointer? {
    guard budget.takeWaiterCopy(bytes: count) else { return nil }
    let copy = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 8)
    copy.copyMemory(from: bytes, byteCount: count)
    return copy
  }
}
