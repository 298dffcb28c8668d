#if os(Linux)
  /// Requests rendered once and sent many times, straight from this memory.
  /// Invariant: request `i` lies at `offsets[i]..<offsets[i + 1]`; behind the last, the first `overrun` requests are repeated, so that a batch of up
  /// to so many is one piece wherever it starts. Never changed after `init`, which is why threads may share it.
  final class Script: @unchecked Sendable {
    let count: Int
    let bytes: UnsafeMutablePointer<UInt8>
    let offsets: UnsafeMutablePointer<Int>
    /// Where the first key of a reading request starts.
    let keyStart: Int
    /// Where a reading request's key ends, if all keys are equally long.
    let fixedKeyEnd: Int
    /// Requests for several keys: how many, and what lies between two of them.
    let keysPerRequest: Int
    let keyGapBytes: Int
    /// Requests for several keys are groups of quiet ones.
    let readsGroups: Bool
    let shape: Shape
    let templates: [ReplyTemplate]

    private init(
      requests: Int, overrun: Int, shape: Shape, verbs: [Verb], keysPerRequest: Int = 1, render: (Int, inout [UInt8]) -> Void
    ) {
      var rendered: [UInt8] = []
      var starts: [Int] = []
      for index in 0..<requests {
        starts.append(rendered.count)
        render(index, &rendered)
      }
      let wrapped = rendered.count
      for index in 0...overrun { starts.append(wrapped + Self.start(of: index, in: starts, wrapped: wrapped, requests: requests)) }
      let size = starts[requests + overrun]
      bytes = .allocate(capacity: size)
      bytes.initialize(from: rendered, count: wrapped)
      for index in wrapped..<size { bytes[index] = bytes[index - wrapped] }
      offsets = .allocate(capacity: starts.count)
      offsets.initialize(from: starts, count: starts.count)
      count = requests
      self.shape = shape
      self.keysPerRequest = keysPerRequest
      keyStart = verbs.first?.prefix.utf8.count ?? 0
      keyGapBytes = verbs.first?.gapBytes ?? 0
      readsGroups = verbs.first == .multiMg
      fixedKeyEnd = keyStart + (shape.keyBytes.only ?? 0)
      templates = verbs.compactMap { $0.usualReply(shape) }
    }

    deinit {
      bytes.deallocate()
      offsets.deallocate()
    }

    private static func start(of index: Int, in starts: [Int], wrapped: Int, requests: Int) -> Int {
      index / requests * wrapped + starts[index % requests]
    }

    @inline(__always)
    func offset(of request: Int) -> Int { offsets[request >= count ? request % count : request] }

    /// The key that starts there.
    func key(at offset: Int) -> UnsafeBufferPointer<UInt8> {
      var end = offset
      while bytes[end] > 0x20 { end += 1 }
      return UnsafeBufferPointer(start: bytes + offset, count: end - offset)
    }

    /// Requests for keys drawn at random: as many as will be sent, or as make a long enough cycle without filling the machine's caches for nothing.
    static func random(
      _ workload: Workload, keys: KeyChoice, shape: Shape, depth: Int, keysPerRequest: Int, writeEvery every: UInt64, seed: UInt64,
      atMost most: Int
    ) -> Script {
      let budgetBytes = 96 << 20
      let readBytes = Int(shape.keyBytes.mean) + 24
      let requestBytes = workload.isMulti ? readBytes * keysPerRequest : every == 0 ? readBytes : shape.meanBytes
      let requests = max(depth, min(1 << 20, most, budgetBytes / requestBytes))
      var random = SplitMix(seed: seed)
      let verbs = (workload.reading.map { [$0] } ?? []) + (every > 0 ? [workload.writing] : [])
      return Script(
        requests: requests, overrun: depth, shape: shape, verbs: verbs, keysPerRequest: workload.isMulti ? keysPerRequest : 1
      ) { _, bytes in
        let writes = every > 0 && random.next() % every == 0
        let verb = writes ? workload.writing : workload.reading ?? workload.writing
        if workload.isMulti {
          verb.append((0..<keysPerRequest).map { _ in keys.next(&random) }, shape, to: &bytes)
        } else {
          verb.append(keys.next(&random), shape, to: &bytes)
        }
      }
    }

    /// One request for each of the key numbers.
    static func each(_ numbers: some RandomAccessCollection<Int>, verb: Verb, shape: Shape, depth: Int) -> Script {
      let list = Array(numbers)
      return Script(requests: list.count, overrun: depth, shape: shape, verbs: [verb]) { index, bytes in
        verb.append(list[index], shape, to: &bytes)
      }
    }
  }
#endif
