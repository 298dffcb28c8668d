import LeaseCore
import LeaseSimulation
import Testing

/// The simulator in a debug build, where the store's own assertions are on. `tools/test` runs many more seeds in a release build.
@Suite("Lease rules under seeded schedules")
struct SimulationTests {
  static func run(_ seed: UInt64, breaking rule: BrokenRule? = nil, steps: Int = 500) throws -> Simulation {
    let simulation = try #require(Simulation(seed: seed, adjust: { $0.brokenRule = rule }))
    _ = simulation.run(steps: steps)
    return simulation
  }

  @Test("The rules hold", arguments: UInt64(0)..<20)
  func rulesHold(block: UInt64) throws {
    for seed in (block * 20)..<(block * 20 + 20) {
      let failure = try Self.run(seed).failure
      #expect(failure == nil, "\(failure.map(\.description) ?? "")")
    }
  }

  @Test("Every way in which a wait ends is met")
  func everyEndIsMet() throws {
    var met = WaitCounts()
    for seed in UInt64(0)..<20 { met += try Self.run(seed).counts }
    for count in [met.filled, met.failed, met.passed, met.promoted, met.timedOut, met.cancelled, met.disconnected] { #expect(count > 0) }
  }
}

/// A rule that is broken on purpose is noticed, by the invariant that says so, and again under the same seed.
@Suite("Broken rules are noticed")
struct BrokenRuleTests {
  static let seeds = UInt64(0)..<60

  static func invariant(_ rule: BrokenRule) -> Invariant {
    switch rule {
    case .doublePromotion: .doublePromotion
    case .lostWakeUp: .lostWakeUp
    case .staleFillAccepted: .staleFillAccepted
    case .expiredTokenAccepted: .expiredTokenAccepted
    case .waiterPastDeadline: .waiterPastDeadline
    }
  }

  static func failures(_ rule: BrokenRule, most: Int) throws -> [SimulationFailure] {
    var failures: [SimulationFailure] = []
    for seed in seeds where failures.count < most {
      if let failure = try SimulationTests.run(seed, breaking: rule).failure { failures.append(failure) }
    }
    return failures
  }

  @Test("Within sixty seeds, the first five times by the right invariant", arguments: BrokenRule.allCases)
  func isNoticed(rule: BrokenRule) throws {
    let failures = try Self.failures(rule, most: 5)
    #expect(failures.count == 5)
    for failure in failures { #expect(failure.invariant == Self.invariant(rule), "\(failure)") }
  }

  @Test("The same seed fails again at the same step with the same words", arguments: BrokenRule.allCases)
  func isReplayed(rule: BrokenRule) throws {
    let failure = try #require(try Self.failures(rule, most: 1).first)
    var lines: [String] = []
    let replay = try #require(Simulation(seed: failure.seed, trace: { lines.append($0) }, adjust: { $0.brokenRule = rule }))
    #expect(replay.run(steps: 500) == failure)
    #expect(lines.last == "FAILED \(failure)")
  }
}
