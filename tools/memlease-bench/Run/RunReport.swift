#if os(Linux)
  /// What `run` prints. Its names are the JSON's.
  struct RunReport: Encodable {
    let server: String
    let workload, loop, refill: String
    /// `keyBytes` and `valueBytes` are the mean, where sizes differ.
    let connections, depth, threads, keys, keyBytes, valueBytes: Int
    let keyBytesDistribution, valueBytesDistribution, ttlSecondsDistribution: String
    /// 1 but for multi-get and multi-mg.
    let keysPerRequest: Int
    /// Only of a mix.
    let writeEvery: Int?
    let seed: UInt64
    let zipf: Double
    let giveWay: Bool
    let seconds: Double
    /// A request for several keys is one request: a hit when it found all of them, else a miss.
    let requests, hits, misses, stored, refused, errors, wrongValues: Int
    let keysRead, keyHits, keyMisses: Int
    let sentBytes, receivedBytes: Int
    let firstError: String?
    let requestsPerSecond: Double
    let meanUs, p50Us, p90Us, p99Us, p999Us, p9999Us, maxUs: Double
    /// Only of an open loop.
    let openLoop: OpenLoopReport?
    /// The generator's own: microseconds per request, and the part of its threads' time that it was busy; of the busiest thread alone.
    let ownCPUUs, ownBusy, ownBusiest: Double
    /// The server's CPU microseconds per request, which are seconds per million requests.
    let serverCPUUs, serverUserUs, serverSystemUs: Double?
    /// What everybody else on this machine used, in cores. Only known with the server's process.
    let otherBusy: Double?

    var hasFailed: Bool { errors + wrongValues > 0 || requests == 0 }

    init(_ command: RunCommand, _ result: LoadResult) {
      let tally = result.tally
      let common = command.common
      let workload = command.workload
      server = common.server
      self.workload = workload.rawValue
      loop = command.rate == nil ? "closed" : "open"
      refill = command.refill.rawValue
      (connections, depth, threads, keys) = (command.connections, command.depth, command.threads, command.keys)
      (keyBytes, valueBytes) = (common.keyBytes.rounded, common.valueBytes.rounded)
      keyBytesDistribution = common.keyBytes.description
      valueBytesDistribution = common.valueBytes.description
      ttlSecondsDistribution = common.ttlSeconds.description
      keysPerRequest = workload.isMulti ? command.keysPerRequest : 1
      writeEvery = workload.isMix ? command.writeEvery : nil
      seed = command.seed
      zipf = command.theta
      giveWay = command.giveWay
      let elapsed = max(1e-9, Double(tally.endNs &- tally.startNs) / 1e9)
      seconds = elapsed
      (requests, hits, misses, stored) = (tally.requests, tally.hits, tally.misses, tally.stored)
      (refused, errors, wrongValues, firstError) = (tally.refused, tally.errors, tally.wrong, tally.firstError)
      (keyHits, keyMisses) = workload.isMulti ? (tally.keyHits, tally.keyMisses) : (tally.hits, tally.misses)
      keysRead = keyHits + keyMisses
      (sentBytes, receivedBytes) = (tally.sentBytes, tally.receivedBytes)
      requestsPerSecond = Double(tally.requests) / elapsed
      func microseconds(_ fraction: Double) -> Double { Double(tally.latencies.percentile(fraction)) / 1000 }
      meanUs = tally.latencies.mean / 1000
      (p50Us, p90Us, p99Us) = (microseconds(0.5), microseconds(0.9), microseconds(0.99))
      (p999Us, p9999Us, maxUs) = (microseconds(0.999), microseconds(0.9999), Double(tally.latencies.maximum) / 1000)
      openLoop = command.rate.map { OpenLoopReport(rate: $0, tally.openLoop) }
      let perRequest = 1e6 / Double(max(1, tally.requests))
      ownCPUUs = result.own.total * perRequest
      ownBusy = result.own.total / elapsed / Double(command.threads)
      ownBusiest = tally.busiest
      serverCPUUs = result.server.map { $0.total * perRequest }
      serverUserUs = result.server.map { $0.user * perRequest }
      serverSystemUs = result.server.map { $0.system * perRequest }
      if let machine = result.machine, let server = result.server {
        otherBusy = max(0, machine.total - result.own.total - server.total) / elapsed
      } else {
        otherBusy = nil
      }
    }
  }

  /// Whether the rate was kept, and who was late if not.
  struct OpenLoopReport: Encodable {
    /// Requests per second that were meant to be sent.
    let rate: Double
    /// How late the generator itself sent what was due.
    let sendLagP50Us, sendLagP99Us, sendLagMaxUs: Double
    /// Requests that waited for room on their connection, because the server was late with those before.
    let heldBack: Int
    /// Requests that were due but not answered within two seconds after the end. They count in the percentiles, with the time that they waited.
    let unfinished: Int

    init(rate: Double, _ tally: OpenLoopTally) {
      self.rate = rate
      sendLagP50Us = Double(tally.sendLags.percentile(0.5)) / 1000
      sendLagP99Us = Double(tally.sendLags.percentile(0.99)) / 1000
      sendLagMaxUs = Double(tally.sendLags.maximum) / 1000
      heldBack = tally.heldBack
      unfinished = tally.unfinished
    }
  }
#endif
