import ArgumentParser
import LeaseSimulation

/// Runs seeds until all are done, and says which failed.
@main
struct Simulate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memlease-simulate",
    abstract: "Runs the cache's lease rules under seeded random schedules and checks them against a model after each step.")

  @Option(help: "The seeds to run, from A to B: A..B.") var seeds = SeedRange(first: 1, last: 1_000)
  @Option(help: "One seed.") var seed: UInt64?
  @Option(help: "Steps of each seed.") var steps = 1_000
  @Flag(help: "Prints each step.") var trace = false
  @Option(help: "Seeds that run at the same time.") var jobs = 1
  @Option(help: "Writes the results as JUnit XML to this file.") var junit: String?

  func run() async throws {
    let range = seed.map { SeedRange(first: $0, last: $0) } ?? seeds
    let start = ContinuousClock.now
    let failures = await Runner(steps: steps, trace: trace).run(range, jobs: max(jobs, 1))
    for failure in failures {
      print(failure)
      print("replay: tools/simulate --seed \(failure.seed) --steps \(steps) --trace")
    }
    let seconds = Double((ContinuousClock.now - start) / .milliseconds(1)) / 1_000
    print("\(range.count) seeds of \(steps) steps in \(seconds) s, \(failures.count) failed")
    if let junit { try writeResults(range, failures, to: junit) }
    if !failures.isEmpty { throw ExitCode.failure }
  }
}

/// `A..B`, both included.
struct SeedRange: ExpressibleByArgument, Sendable {
  let first: UInt64
  let last: UInt64
  var count: UInt64 { last - first + 1 }

  init(first: UInt64, last: UInt64) {
    self.first = first
    self.last = last
  }

  init?(argument: String) {
    let ends = argument.split(separator: ".", omittingEmptySubsequences: true).compactMap { UInt64($0) }
    guard ends.count == 2, ends[0] <= ends[1] else { return nil }
    self.init(first: ends[0], last: ends[1])
  }

  var defaultValueDescription: String { "\(first)..\(last)" }
}
