#if os(Linux)
  import Glibc

  /// One client connection with up to `depth` requests in flight.
  /// Invariants: requests are answered in order, `oldest` (a script index) is the first unanswered one, `inFlight` the number of them;
  /// `batches` are the times they count from, oldest first; `unsentFrom..<unsentTo` are script bytes of requests in flight that the socket did
  /// not take yet.
  struct Connection {
    struct Batch {
      var startNs: UInt64
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
    var sentBytes = 0
    var isWaitingToWrite = false
    /// How far the reply to `oldest` is read, if that is a request for several keys.
    var partial = PartialReply()

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

    var isBlocked: Bool { unsentFrom < unsentTo }
    var hasRoom: Bool { inFlight < depth && remaining > 0 && !isBlocked }

    /// Closed loop: takes as many new requests into flight as depth and `remaining` allow, and sends them with one call. False: the connection is lost.
    @inline(__always)
    mutating func topUp(_ script: Script, nowNs: UInt64) -> Bool {
      if unsentFrom < unsentTo || (refill == .batch && inFlight > 0) { return true }
      let count = min(depth - inFlight, remaining)
      if count <= 0 { return true }
      unsentFrom = script.offsets[next]
      unsentTo = script.offsets[next + count]
      take(count, startNs: nowNs, cycle: script.count)
      return flush(script)
    }

    /// Open loop: takes one more request, which counts from the moment it was due. `flush` sends it, with those that were taken before.
    mutating func takeDue(_ script: Script, dueNs: UInt64) {
      if unsentFrom == unsentTo {
        unsentFrom = script.offsets[next]
        unsentTo = unsentFrom
      }
      unsentTo += script.offsets[next + 1] - script.offsets[next]
      take(1, startNs: dueNs, cycle: script.count)
    }

    @inline(__always)
    private mutating func take(_ count: Int, startNs: UInt64, cycle: Int) {
      next += count
      if next >= cycle { next %= cycle }
      remaining -= count
      inFlight += count
      var slot = firstBatch + batchCount
      if slot >= depth { slot -= depth }
      batches[slot] = Batch(startNs: startNs, count: count)
      batchCount += 1
    }

    mutating func flush(_ script: Script) -> Bool {
      while unsentFrom < unsentTo {
        let sent = send(fd, script.bytes + unsentFrom, unsentTo - unsentFrom, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        if sent <= 0 { return sent < 0 && (errno == EAGAIN || errno == EINTR) }
        unsentFrom += sent
        sentBytes += sent
      }
      return true
    }

    /// The oldest `count` requests are answered, or given up on: their times go to `latencies`.
    @inline(__always)
    mutating func answered(_ count: Int, nowNs: UInt64, cycle: Int, _ latencies: inout Latencies) {
      oldest += count
      if oldest >= cycle { oldest %= cycle }
      inFlight -= count
      var left = count
      while left > 0 {
        let taken = min(left, batches[firstBatch].count)
        latencies.record(nowNs &- batches[firstBatch].startNs, times: UInt64(taken))
        left -= taken
        batches[firstBatch].count -= taken
        if batches[firstBatch].count > 0 { break }
        firstBatch += 1
        if firstBatch == depth { firstBatch = 0 }
        batchCount -= 1
      }
    }
  }

  /// How far the reply to a request for several keys is read.
  /// Invariant: the keys before `nextKey` are answered, `found` of them with a value; `nextKeyAt` is a script offset.
  struct PartialReply {
    var nextKey = 0
    var nextKeyAt = 0
    var found = 0
    var isWrong = false
    var hasError = false
  }
#endif
