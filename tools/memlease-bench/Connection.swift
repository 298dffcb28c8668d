#if os(Linux)
  import ArgumentParser
  import Glibc

  /// When a connection sends again.
  enum Refill: String, Sendable, CaseIterable, ExpressibleByArgument {
    /// A batch of `depth` once all replies of the last one are there, as a client that pipelines does.
    case batch
    /// A new request for every reply, as a client that multiplexes does.
    case each
  }

  /// One client connection with up to `depth` requests in flight.
  /// Invariants: requests are answered in order, `oldest` (a script index) is the first unanswered one, `inFlight` the number of them;
  /// `batches` are their send times, oldest first; `unsentFrom..<unsentTo` are script bytes of requests in flight that the socket did not take yet.
  struct Connection {
    struct Batch {
      var sentNs: UInt64
      var count: Int
    }

    let fd: Int32
    let depth: Int
    let refill: Refill
    let capacity: Int
    let buffer: UnsafeMutablePointer<UInt8>
    var filled = 0

    var next: Int
    var oldest: Int
    var inFlight = 0
    /// Requests that may still be sent.
    var remaining: Int
    var unsentFrom = 0
    var unsentTo = 0
    var isWaitingToWrite = false

    private let batches: UnsafeMutablePointer<Batch>
    private var firstBatch = 0
    private var batchCount = 0

    init(fd: Int32, depth: Int, refill: Refill, largestReply: Int, start: Int, remaining: Int) {
      self.fd = fd
      self.depth = depth
      self.refill = refill
      self.remaining = remaining
      capacity = max(64 << 10, 2 * largestReply)
      // Templates may load a word behind the end.
      buffer = .allocate(capacity: capacity + 8)
      batches = .allocate(capacity: depth)
      next = start
      oldest = start
    }

    func destroy() {
      close(fd)
      buffer.deallocate()
      batches.deallocate()
    }

    /// Takes as many new requests into flight as depth and `remaining` allow, and sends them with one call. False: the connection is lost.
    @inline(__always)
    mutating func topUp(_ script: Script, nowNs: UInt64) -> Bool {
      if unsentFrom < unsentTo || (refill == .batch && inFlight > 0) { return true }
      let count = min(depth - inFlight, remaining)
      if count <= 0 { return true }
      unsentFrom = script.offsets[next]
      unsentTo = script.offsets[next + count]
      next += count
      if next >= script.count { next %= script.count }
      remaining -= count
      inFlight += count
      var slot = firstBatch + batchCount
      if slot >= depth { slot -= depth }
      batches[slot] = Batch(sentNs: nowNs, count: count)
      batchCount += 1
      return flush(script)
    }

    mutating func flush(_ script: Script) -> Bool {
      while unsentFrom < unsentTo {
        let sent = send(fd, script.bytes + unsentFrom, unsentTo - unsentFrom, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        if sent <= 0 { return sent < 0 && (errno == EAGAIN || errno == EINTR) }
        unsentFrom += sent
      }
      return true
    }

    /// The oldest `count` requests are answered: their times go to `latencies`.
    @inline(__always)
    mutating func answered(_ count: Int, nowNs: UInt64, cycle: Int, _ latencies: inout Histogram) {
      oldest += count
      if oldest >= cycle { oldest %= cycle }
      inFlight -= count
      var left = count
      while left > 0 {
        let taken = min(left, batches[firstBatch].count)
        latencies.record(nowNs &- batches[firstBatch].sentNs, times: UInt64(taken))
        left -= taken
        batches[firstBatch].count -= taken
        if batches[firstBatch].count > 0 { break }
        firstBatch += 1
        if firstBatch == depth { firstBatch = 0 }
        batchCount -= 1
      }
    }
  }
#endif
