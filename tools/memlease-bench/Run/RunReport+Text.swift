#if os(Linux)
  extension RunReport {
    /// A generator that is busier than this may be what limits the rate.
    private static let busyLimit = 0.9

    var text: String { (head + outcome + generator + serverLines).joined(separator: "\n") }

    private var head: [String] {
      let flow = openLoop.map { "\(fixed($0.rate, 0))/s, up to \(depth) in flight" } ?? "\(depth) in flight (\(refill))"
      let perRequest = keysPerRequest > 1 ? ", \(keysPerRequest) per request" : ""
      return [
        "\(workload)  \(connections) connections x \(flow), \(keys) keys\(perRequest), "
          + "\(keyBytesDistribution)+\(valueBytesDistribution) bytes, zipf \(zipf)",
        "  \(fixed(requestsPerSecond, 0)) requests/s, \(requests) in \(fixed(seconds, 2)) s",
      ]
    }

    private var outcome: [String] {
      var lines = [
        "  hits \(hits), misses \(misses), stored \(stored), refused \(refused), errors \(errors), wrong values \(wrongValues)"
      ]
      if keysPerRequest > 1 { lines.append("  keys: \(fixed(Double(keysRead) / seconds, 0))/s, hits \(keyHits), misses \(keyMisses)") }
      lines.append(
        "  latency us: p50 \(fixed(p50Us, 1)), p90 \(fixed(p90Us, 1)), p99 \(fixed(p99Us, 1)), p99.9 \(fixed(p999Us, 1)), max \(fixed(maxUs, 1))"
      )
      if let firstError { lines.append("  first error: \(firstError)") }
      return lines
    }

    private var generator: [String] {
      var lines: [String] = []
      if let openLoop {
        lines.append(
          "  sent late by us: p50 \(fixed(openLoop.sendLagP50Us, 1)), p99 \(fixed(openLoop.sendLagP99Us, 1)), "
            + "max \(fixed(openLoop.sendLagMaxUs, 1)); held back by the server: \(openLoop.heldBack), unfinished: \(openLoop.unfinished)")
      }
      lines.append(
        "  generator CPU: \(fixed(ownCPUUs, 3)) us/request, \(fixed(ownBusy * 100, 0)) % busy, busiest thread \(fixed(ownBusiest * 100, 0)) %"
      )
      if ownBusiest > Self.busyLimit { lines.append("  The generator may be what limits this: try more --threads.") }
      return lines
    }

    private var serverLines: [String] {
      var lines: [String] = []
      if let total = serverCPUUs, let user = serverUserUs, let system = serverSystemUs {
        lines.append("  server CPU:    \(fixed(total, 3)) us/request (user \(fixed(user, 3)), system \(fixed(system, 3)))")
      }
      if let otherBusy { lines.append("  others on this machine: \(fixed(otherBusy * 100, 0)) % of a core") }
      return lines
    }
  }
#endif
