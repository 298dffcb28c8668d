import Foundation
import LeaseCore
import Testing

/// Policies that are changed and flushed while other threads read and write.
@Suite("Policies and threads", .serialized)
struct PolicyThreadTests {
  @Test("After a flush returns, none of the values that its thread wrote before is seen again, whatever others do")
  func flushes() throws {
    let core = try CoreHarness(memoryBytes: 4 << 20, partitions: 4)
    core.setPolicy("a:") { $0.staleWindowMs = 50 }
    let seenAgain = Guarded<[String]>([])
    let done = DispatchGroup()
    for index in 0..<4 {
      done.enter()
      let thread = Thread { [store = core.store, nowMs = core.nowMs] in
        let core = CoreHarness(sharing: store, nowMs: nowMs)
        for round in 0..<60 {
          let keys = (0..<50).map { TestKey("a:\(index):\(round):\($0)") }
          for key in keys { core.set(key, "v", ttl: round % 2 == 0 ? nil : 60_000) }
          let token = core.grant(TestKey("a:\(index):lease"))
          if core.flushPrefix("a:", stale: round % 3 == 0) != .done { seenAgain.withLock { $0.append("the policy is gone") } }
          let back = keys.filter { core.quickGet($0).status == .hit }
          let isLate = core.fill(TestKey("a:\(index):lease"), token, "late") == .stored
          if !back.isEmpty || isLate { seenAgain.withLock { $0.append("\(back.count) values in round \(round), late fill: \(isLate)") } }
          core.setPolicy("a:\(index):") { $0.leaseMs = UInt64(round + 1) }
          if core.leaseGet(TestKey("a:\(index):\(round)")).remainingMs != UInt64(round + 1) {
            seenAgain.withLock { $0.append("another's policy in round \(round)") }
          }
          core.removePolicy("a:\(index):")
          core.maintain()
        }
        done.leave()
      }
      thread.stackSize = 1 << 20
      thread.start()
    }
    #expect(done.wait(timeout: .now() + 300) == .success)
    #expect(seenAgain.withLock { $0 } == [])
    #expect(core.policyPrefixes == ["a:"])
  }
}
