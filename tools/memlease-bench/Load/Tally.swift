#if os(Linux)
  /// What a worker counted since its measuring began. A request that reads several keys is one request: a hit when it found all of them.
  struct Tally: Sendable {
    var hits = 0
    var misses = 0
    var stored = 0
    var refused = 0
    var errors = 0
    var wrong = 0
    /// Only of requests for several keys.
    var keyHits = 0
    var keyMisses = 0
    var sentBytes = 0
    var receivedBytes = 0
    var firstError: String?
    var latencies = Latencies()
    var openLoop = OpenLoopTally()
    var startNs: UInt64 = 0
    var endNs: UInt64 = 0
    /// CPU time of this worker's thread; the busiest thread's part of its time when merged.
    var busiest = 0.0

    var requests: Int { hits + misses + stored + refused + errors + wrong }

    mutating func merge(_ other: Tally) {
      hits += other.hits
      misses += other.misses
      stored += other.stored
      refused += other.refused
      errors += other.errors
      wrong += other.wrong
      keyHits += other.keyHits
      keyMisses += other.keyMisses
      sentBytes += other.sentBytes
      receivedBytes += other.receivedBytes
      firstError = firstError ?? other.firstError
      latencies.merge(other.latencies)
      openLoop.merge(other.openLoop)
      startNs = startNs == 0 ? other.startNs : min(startNs, other.startNs)
      endNs = max(endNs, other.endNs)
      busiest = max(busiest, other.busiest)
    }
  }

  /// How well a fixed rate was kept, and who was late.
  struct OpenLoopTally: Sendable {
    /// From the moment when a request was due, and its connection had room, to the end of its sending: the generator's own lateness.
    var sendLags = Latencies()
    /// Requests that were due while their connection was full: the server's lateness.
    var heldBack = 0
    /// Requests that were due, but neither answered nor given up on by the end.
    var unfinished = 0

    mutating func merge(_ other: OpenLoopTally) {
      sendLags.merge(other.sendLags)
      heldBack += other.heldBack
      unfinished += other.unfinished
    }
  }
#endif
