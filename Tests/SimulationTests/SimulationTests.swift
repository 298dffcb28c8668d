import LeaseSimulation
import Testing

@Suite("Lease rules under seeded schedules")
struct SimulationTests {
  @Test("The rules hold", arguments: UInt64(1)...20)
  func rulesHold(block: UInt64) throws {
    for seed in (block * 10)..<(block * 10 + 10) {
      let simulation = try #require(Simulation(seed: seed))
      let failure = simulation.run(steps: 500)
      #expect(failure == nil, "\(failure.map(\.description) ?? "")")
    }
  }
}
