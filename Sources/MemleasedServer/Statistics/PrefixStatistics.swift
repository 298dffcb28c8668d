import LeaseCore
import Synchronization

/// `stats detail`: what happened under each key prefix (the part of a key before the first delimiter). At most `maxPrefixes`
/// prefixes; requests on further ones are counted in `overflow`. When off, recording costs one relaxed load.
public final class PrefixStatistics: Sendable {
  public static let maxPrefixes = 4096

  struct Counts: Sendable, Equatable {
    var gets: UInt64 = 0, hits: UInt64 = 0, sets: UInt64 = 0, deletes: UInt64 = 0
  }
  private struct State {
    var counts: [ArraySlice<UInt8>: Counts] = [:]
    var overflow: UInt64 = 0
  }

  private let enabled: Atomic<Bool>
  private let delimiter: UInt8
  private let state = Guarded(State())

  public init(delimiter: UInt8, isEnabled: Bool) {
    self.delimiter = delimiter
    enabled = Atomic(isEnabled)
  }

  @inline(__always)
  public var isEnabled: Bool { enabled.load(ordering: .relaxed) }

  func setEnabled(_ isEnabled: Bool) { enabled.store(isEnabled, ordering: .relaxed) }

  @inline(__always)
  public func recordGet(key: UnsafeRawBufferPointer, isHit: Bool) {
    guard isEnabled else { return }
    record(key) {
      $0.gets &+= 1
      if isHit { $0.hits &+= 1 }
    }
  }

  @inline(__always)
  public func recordSet(key: UnsafeRawBufferPointer) {
    guard isEnabled else { return }
    record(key) { $0.sets &+= 1 }
  }

  @inline(__always)
  public func recordDelete(key: UnsafeRawBufferPointer) {
    guard isEnabled else { return }
    record(key) { $0.deletes &+= 1 }
  }

  /// A key without the delimiter has no prefix and is not counted, as in memcached.
  @inline(never)
  private func record(_ key: UnsafeRawBufferPointer, _ change: (inout Counts) -> Void) {
    guard let end = key.firstIndex(of: delimiter) else { return }
    let prefix = ArraySlice(key[..<end])
    state.withLock { state in
      if state.counts[prefix] == nil, state.counts.count >= Self.maxPrefixes {
        state.overflow &+= 1
        return
      }
      change(&state.counts[prefix, default: Counts()])
    }
  }

  /// Requests that were not counted because there were too many prefixes.
  var uncounted: UInt64 { state.withLock { $0.overflow } }

  func clear() { state.withLock { $0 = State() } }

  /// What `stats detail dump` shows, sorted by prefix.
  func dump() -> [(prefix: [UInt8], counts: Counts)] {
    let counts = state.withLock { $0.counts }
    return counts.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { (Array($0.key), $0.value) }
  }
}
