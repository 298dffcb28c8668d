import Foundation
import LeaseSimulation

extension Simulate {
  /// One case for each thousand seeds, and one for each seed that failed.
  func writeResults(_ range: SeedRange, _ failures: [SimulationFailure], to path: String) throws {
    var cases = ""
    var first = range.first
    while first <= range.last {
      let last = min(range.last, first + 999)
      let failed = failures.filter { (first...last).contains($0.seed) }
      if failed.isEmpty { cases += "<testcase classname=\"Simulation\" name=\"seeds \(first) to \(last)\"/>\n" }
      for failure in failed {
        cases +=
          "<testcase classname=\"Simulation\" name=\"seed \(failure.seed)\"><failure message=\"\(escaped("\(failure)"))\"/></testcase>\n"
      }
      if last == .max { break }
      first = last + 1
    }
    try "<testsuite name=\"Simulation\">\n\(cases)</testsuite>\n".write(toFile: path, atomically: true, encoding: .utf8)
  }

  private func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("\"", with: "&quot;")
  }
}
