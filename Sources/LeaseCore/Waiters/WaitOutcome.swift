import Synchronization

/// What waiters are told, the same for all of them: shared, not copied for each. `result` reads as if `Partition.read` had said it.
/// Sendable: never changed after `init`; what `result` points to lives as long as the outcome.
public final class WaitOutcome: @unchecked Sendable {
  public let result: ReadResult
  private let ownBytes: UnsafeMutableRawPointer?

  /// Small values and messages are copied once and again into each reply; larger ones are sent from one place.
  static let largestCopyBytes = 4096

  /// Takes over `ownBytes`; retains `result.item.large`.
  private init(_ result: ReadResult, ownBytes: UnsafeMutableRawPointer?) {
    self.result = result
    self.ownBytes = ownBytes
    result.item.large?.retain()
  }

  /// For a result that points nowhere: a wait that ended.
  public convenience init(_ result: ReadResult) {
    assert(result.status != .hit && result.messageBytes == nil, "it would outlive what it points to")
    self.init(result, ownBytes: nil)
  }

  deinit {
    ownBytes?.deallocate()
    result.item.large?.release()
  }

  /// What the outcome keeps in memory, however many are told.
  public var sizeBytes: Int { result.item.count + result.messageCount }

  /// Copies what `result` points to, so that it outlives the lock.
  static func keeping(_ result: ReadResult) -> WaitOutcome {
    var kept = result
    if let message = result.messageBytes, result.messageCount > 0 {
      let copy = copy(message, result.messageCount)
      kept.messageBytes = UnsafeRawPointer(copy)
      return WaitOutcome(kept, ownBytes: copy)
    }
    guard result.status == .hit, result.item.large == nil, let value = result.item.value, result.item.count > 0 else {
      return WaitOutcome(kept, ownBytes: nil)
    }
    if result.item.count <= largestCopyBytes {
      let copy = copy(value, result.item.count)
      kept.item.value = UnsafeRawPointer(copy)
      return WaitOutcome(kept, ownBytes: copy)
    }
    let large = LargeValue(outsideBudget: result.item.count)
    large.bytes.copyMemory(from: value, byteCount: result.item.count)
    kept.item.value = nil
    kept.item.large = large
    let outcome = WaitOutcome(kept, ownBytes: nil)
    large.release()
    return outcome
  }

  private static func copy(_ bytes: UnsafeRawPointer, _ count: Int) -> UnsafeMutableRawPointer {
    let copy = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 8)
    copy.copyMemory(from: bytes, byteCount: count)
    return copy
  }
}
