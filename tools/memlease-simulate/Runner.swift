import LeaseSimulation
import Synchronization

/// Runs a range of seeds on so many threads.
struct Runner: Sendable {
  let steps: Int
  let trace: Bool

  /// The failures, in the order of their seeds.
  func run(_ range: SeedRange, jobs: Int) async -> [SimulationFailure] {
    let next = SharedCounter(range.first)
    return await withTaskGroup(of: [SimulationFailure].self) { group in
      for _ in 0..<jobs {
        group.addTask {
          var failures: [SimulationFailure] = []
          while let seed = next.take(), seed <= range.last {
            if let failure = runOne(seed) { failures.append(failure) }
          }
          return failures
        }
      }
      var all: [SimulationFailure] = []
      for await failures in group { all += failures }
      return all.sorted { $0.seed < $1.seed }
    }
  }

  private func runOne(_ seed: UInt64) -> SimulationFailure? {
    guard let simulation = Simulation(seed: seed, trace: trace ? { print($0) } : nil) else {
      fatalError("no memory for the store of seed \(seed)")
    }
    return simulation.run(steps: steps)
  }
}

/// Numbers seeds for several threads.
private final class SharedCounter: Sendable {
  private let next: Atomic<UInt64>
  init(_ first: UInt64) { next = Atomic(first) }
  func take() -> UInt64? { next.wrappingAdd(1, ordering: .relaxed).oldValue }
}
