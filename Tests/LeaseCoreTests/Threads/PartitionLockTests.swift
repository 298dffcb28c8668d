import Foundation
import Testing

@testable import LeaseCore

@Suite("The lock of a partition")
struct PartitionLockTests {
  /// A lock and what it guards, at a fixed address.
  final class Guarded: @unchecked Sendable {
    let lock = PartitionLock()
    var count = 0
  }

  @Test("Lets one in at a time, and wakes who sleeps")
  func oneAtATime() {
    let guarded = Guarded()
    let threads = 8
    let rounds = 2_000
    let done = DispatchGroup()
    for _ in 0..<threads {
      done.enter()
      Thread {
        for round in 0..<rounds {
          guarded.lock.lock()
          let before = guarded.count
          // Held over other threads' turns, so that they give up spinning and sleep.
          if round % 50 == 0 { usleep(200) }
          guarded.count = before + 1
          guarded.lock.unlock()
        }
        done.leave()
      }.start()
    }
    #expect(done.wait(timeout: .now() + 300) == .success)
    #expect(guarded.count == threads * rounds)
  }
}
