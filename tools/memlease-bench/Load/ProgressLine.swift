#if os(Linux)
  import Foundation
  import Synchronization

  /// One line on a terminal that is written anew every second. Workers publish what they counted; the first of them shows the sum.
  final class ProgressLine: Sendable {
    static let intervalNs: UInt64 = 1_000_000_000

    private struct State {
      var tallies: [Int: Tally] = [:]
      var shownAtNs: UInt64 = 0
      var shownRequests = 0
      var shownCPUSeconds = 0.0
    }

    private let title: String
    private let threads: Int
    private let state = Mutex(State())

    /// nil where standard error is no terminal.
    init?(_ title: String, threads: Int, isWanted: Bool) {
      if !isWanted || isatty(STDERR_FILENO) == 0 { return nil }
      self.title = title
      self.threads = threads
    }

    func publish(worker: Int, _ tally: Tally, nowNs: UInt64) {
      state.withLock { state in
        state.tallies[worker] = tally
        if worker == 0 { show(&state, nowNs) }
      }
    }

    private func show(_ state: inout State, _ nowNs: UInt64) {
      var sum = Tally()
      for tally in state.tallies.values { sum.merge(tally) }
      let seconds = Double(nowNs &- state.shownAtNs) / 1e9
      let cpuSeconds = CPUTime.own().total
      if sum.startNs == 0 || sum.requests < state.shownRequests || state.shownAtNs == 0 {
        write("\(title): warming up")
      } else {
        write(
          describe(sum, rate: Double(sum.requests - state.shownRequests) / seconds, busy: (cpuSeconds - state.shownCPUSeconds) / seconds))
      }
      (state.shownAtNs, state.shownRequests, state.shownCPUSeconds) = (nowNs, sum.requests, cpuSeconds)
    }

    private func describe(_ sum: Tally, rate: Double, busy: Double) -> String {
      func us(_ fraction: Double) -> String { fixed(Double(sum.latencies.percentile(fraction)) / 1000, 0) }
      let trouble = sum.errors + sum.wrong > 0 ? ", errors \(sum.errors), wrong values \(sum.wrong)" : ""
      return "\(title): \(fixed(rate, 0)) requests/s, p50 \(us(0.5)) us, p99 \(us(0.99)) us, misses \(sum.misses)\(trouble), "
        + "generator \(fixed(busy / Double(threads) * 100, 0)) % busy"
    }

    func write(_ text: String) { FileHandle.standardError.write(Data("\r\u{1B}[K\(text)".utf8)) }

    /// Leaves the line empty.
    func clear() { write("") }
  }
#endif
