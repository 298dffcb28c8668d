#if os(Linux)
  /// One of many clients that want the same key.
  /// Invariant: the first `filled` bytes of `buffer` are the start of a reply that is not complete yet; `firstSentNs` is 0 until it asked.
  struct HerdClient {
    var fd: Int32
    let buffer: UnsafeMutablePointer<UInt8>
    var filled = 0
    /// When it began to ask for the value that it is waiting for.
    var firstSentNs: UInt64 = 0
    var hasValue = false
    var isFinished = false
    /// Requests that are not answered yet.
    var unanswered = 0
    /// Where the client is in its strategy, if that needs to know.
    var step: UInt8 = 0
  }

  /// What a client may be waiting for, other than a reply.
  enum Pause: Int, CaseIterable {
    /// The simulated database answers.
    case fetch
    /// It is time to ask again.
    case poll
    /// The next read, or the next delete, in a load that goes on.
    case read, delete
  }

  /// What the clients do. One object speaks for all of them.
  protocol HerdStrategy: AnyObject {
    /// What every connection is asked before the clock starts, and how the reply ends: then the server has accepted it.
    var greeting: (request: String, replyEnd: String) { get }
    /// The client sends its first request.
    func ask(_ client: Int, _ herd: Herd)
    /// One reply, if it is complete. Returns its length, or 0.
    func reply(_ client: Int, _ start: UnsafePointer<UInt8>, _ available: Int, _ herd: Herd) -> Int
    /// A pause is over.
    func resume(_ client: Int, after pause: Pause, _ herd: Herd)
  }

  /// What happened on the connections, and when.
  struct HerdTally {
    var fetches = 0
    var requests = 0
    var sentBytes = 0
    var receivedBytes = 0
    var values = 0
    var staleValues = 0
    var wrongValues = 0
    var startNs: UInt64 = 0
    var firstFillNs: UInt64 = 0
    var lastValueNs: UInt64 = 0
    var latencies = Latencies()
  }

  /// Pauses of one length: who begins first ends first.
  struct PauseQueue {
    let lengthNs: UInt64
    private var entries: [(dueNs: UInt64, client: Int)] = []
    private var head = 0

    init(lengthNs: UInt64) { self.lengthNs = lengthNs }

    var nextNs: UInt64 { head < entries.count ? entries[head].dueNs : .max }

    mutating func append(_ client: Int, _ nowNs: UInt64) { entries.append((nowNs + lengthNs, client)) }

    mutating func takeDue(_ nowNs: UInt64) -> Int? {
      if nextNs > nowNs { return nil }
      head += 1
      let client = entries[head - 1].client
      if head == entries.count || head > 1 << 16 {
        entries.removeFirst(head)
        head = 0
      }
      return client
    }
  }
#endif
