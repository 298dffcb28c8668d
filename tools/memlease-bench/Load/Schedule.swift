#if os(Linux)
  import ArgumentParser

  /// When a connection sends again, in a closed loop.
  enum Refill: String, Sendable, CaseIterable, ExpressibleByArgument {
    /// A batch of `depth` once all replies of the last one are there, as a client that pipelines does.
    case batch
    /// A new request for every reply, as a client that multiplexes does.
    case each
  }

  /// How long a worker loads the server: first `warmUpNs` that are not counted, then until `measureNs` are over or each connection has sent
  /// `requestsPerConnection`, whichever comes first.
  struct Schedule: Sendable {
    var warmUpNs: UInt64 = 0
    var measureNs: UInt64 = .max
    var requestsPerConnection = Int.max
    var refill = Refill.batch
    /// Open loop: so many nanoseconds between two requests of a connection, on average. nil: closed loop.
    var meanGapNs: Double?
    /// Of the moments of an open loop.
    var seed: UInt64 = 1
    /// Open loop: what was due before the end has so long to be answered.
    var drainNs: UInt64 = 2_000_000_000
    /// Offers the processor to others after every 32 answered batches.
    var givesWay = false
    /// No reply at all for so long: given up.
    var stallNs: UInt64 = 10_000_000_000
  }
#endif
