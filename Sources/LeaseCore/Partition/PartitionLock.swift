import CIntrinsics
import Synchronization

/// A partition's lock: one word, taken and given back with one instruction where nobody else wants it (a pthread mutex takes 60, twice in a
/// pipelined request). Who finds it taken spins shortly, for it is held shortly, and then sleeps.
/// Invariant: `sleepers` whenever a thread may sleep on the word.
struct PartitionLock: ~Copyable {
  private static let free: UInt32 = 0
  private static let taken: UInt32 = 1
  private static let sleepers: UInt32 = 2
  private static let spins = 100

  private let word = Atomic<UInt32>(PartitionLock.free)

  @inline(__always)
  func lock() {
    if !word.compareExchange(expected: Self.free, desired: Self.taken, ordering: .acquiring).exchanged { lockSlowly() }
  }

  @inline(__always)
  func unlock() {
    if word.exchange(Self.free, ordering: .releasing) == Self.sleepers { wakeOne() }
  }

  @inline(never)
  private func lockSlowly() {
    for _ in 0..<Self.spins {
      if word.load(ordering: .relaxed) == Self.free,
        word.compareExchange(expected: Self.free, desired: Self.taken, ordering: .acquiring).exchanged
      {
        return
      }
      memlease_pause()
    }
    // From here on others may sleep, too: taken as if they did.
    while word.exchange(Self.sleepers, ordering: .acquiring) != Self.free {
      withAddress { memlease_sleep_while($0, Self.sleepers) }
    }
  }

  @inline(never)
  private func wakeOne() { withAddress { memlease_wake_one($0) } }

  /// An atomic is its word.
  private func withAddress(_ body: (UnsafeRawPointer) -> Void) {
    withUnsafePointer(to: word) { body(UnsafeRawPointer($0)) }
  }
}
