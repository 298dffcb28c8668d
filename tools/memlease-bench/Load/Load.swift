#if os(Linux)
  import Glibc

  /// What one load did, over all its threads.
  struct LoadResult {
    var tally: Tally
    /// CPU time from the first moment that counted to the end.
    var server: CPUTime?
    var own: CPUTime
    var machine: CPUTime?
  }

  /// Spreads connections over threads and runs them side by side.
  struct Load {
    var endpoint: Endpoint
    var script: Script
    var connections: Int
    var depth: Int
    var threads: Int
    var schedule: Schedule
    var serverPID: Int32?
    var progress: ProgressLine?

    func run() throws -> LoadResult {
      var workers: [Worker] = []
      defer { for worker in workers { worker.closeAll() } }
      for thread in 0..<threads {
        workers.append(
          try Worker(
            script: script, endpoint: endpoint, numbers: Array(stride(from: thread, to: connections, by: threads)), total: connections,
            depth: depth, schedule: schedule, progress: progress))
      }
      var before = CPUSnapshot(serverPID: serverPID)
      workers[0].onMeasureStart = { before = CPUSnapshot(serverPID: serverPID) }
      try runSideBySide(workers)
      let after = CPUSnapshot(serverPID: serverPID)
      workers[0].onMeasureStart = nil
      var tally = Tally()
      for worker in workers {
        if let failure = worker.failure { throw failure }
        tally.merge(worker.tally)
      }
      return LoadResult(
        tally: tally, server: difference(after.server, before.server), own: after.own - before.own,
        machine: difference(after.machine, before.machine))
    }

    private func difference(_ after: CPUTime?, _ before: CPUTime?) -> CPUTime? {
      guard let after, let before else { return nil }
      return after - before
    }

    /// The first worker on this thread, the others on threads of their own.
    private func runSideBySide(_ workers: [Worker]) throws {
      var threads: [pthread_t] = []
      for worker in workers.dropFirst() {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(worker)
        let code = pthread_create(
          &thread, nil,
          { context in
            if let context { Unmanaged<Worker>.fromOpaque(context).takeRetainedValue().run() }
            return nil
          }, context.toOpaque())
        if code != 0 {
          context.release()
          throw BenchError("pthread_create: \(String(cString: strerror(code)))")
        }
        threads.append(thread)
      }
      workers[0].run()
      for thread in threads { pthread_join(thread, nil) }
    }
  }

  extension Load {
    /// Sends one request for each of the key numbers, a limited number of rendered requests at a time.
    static func each(
      _ numbers: some RandomAccessCollection<Int>, verb: Verb, shape: Shape, endpoint: Endpoint, progress: ProgressLine? = nil
    ) throws -> Tally {
      let chunk = max(64, min(1 << 17, (64 << 20) / shape.meanBytes))
      var tally = Tally()
      var from = numbers.startIndex
      while from < numbers.endIndex {
        progress?.write("\(verb): \(numbers.distance(from: numbers.startIndex, to: from)) of \(numbers.count) keys")
        let to = numbers.index(from, offsetBy: chunk, limitedBy: numbers.endIndex) ?? numbers.endIndex
        let count = numbers.distance(from: from, to: to)
        // Shares must be equal: a rest that does not divide goes over fewer connections.
        let connections = [8, 4, 2].first { count % $0 == 0 } ?? 1
        let depth = shape.valueBytes.greatest > 64 << 10 ? 1 : 64
        let script = Script.each(numbers[from..<to], verb: verb, shape: shape, depth: depth)
        let load = Load(
          endpoint: endpoint, script: script, connections: connections, depth: depth, threads: 1,
          schedule: Schedule(requestsPerConnection: count / connections))
        tally.merge(try load.run().tally)
        from = to
      }
      progress?.clear()
      return tally
    }
  }
#endif
