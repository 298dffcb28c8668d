#if os(Linux)
  import Glibc

  /// When the connections' next requests are due: for each a Poisson process of its own, drawn ahead by one.
  /// A request's moment depends on the seed alone, never on a reply, so a slow server cannot thin out the load that measures it.
  /// Invariant: `waiting` is a binary heap by `dueNs` of the connections that have room for a request, which `isWaiting` tells.
  struct Arrivals {
    private(set) var dueNs: [UInt64]
    private(set) var isWaiting: [Bool]
    private var random: [SplitMix]
    private var waiting: [Int]
    private let meanGapNs: Double

    /// `numbers`: the connections' numbers among all workers' connections, which seed them.
    init(numbers: [Int], meanGapNs: Double, seed: UInt64, beganNs: UInt64) {
      self.meanGapNs = meanGapNs
      var source = SplitMix(seed: seed)
      let base = source.next()
      random = numbers.map { SplitMix(seed: base ^ (UInt64($0) &* 0xD1B5_4A32_D192_ED03)) }
      dueNs = numbers.map { _ in beganNs }
      isWaiting = numbers.map { _ in false }
      waiting = []
      waiting.reserveCapacity(numbers.count)
      for connection in numbers.indices {
        advance(connection)
        wait(connection)
      }
    }

    /// The connection's next request is due an exponentially distributed time after the last one.
    mutating func advance(_ connection: Int) {
      let gapNs = -log(1 - random[connection].nextUnit()) * meanGapNs
      dueNs[connection] &+= UInt64(min(gapNs, 1e18))
    }

    /// The first moment when something is due on a connection with room.
    var nextNs: UInt64 { waiting.first.map { dueNs[$0] } ?? .max }

    mutating func wait(_ connection: Int) {
      waiting.append(connection)
      isWaiting[connection] = true
      var child = waiting.count - 1
      while child > 0 {
        let parent = (child - 1) / 2
        if dueNs[waiting[parent]] <= dueNs[waiting[child]] { return }
        waiting.swapAt(parent, child)
        child = parent
      }
    }

    /// Takes out the connection whose request has been due longest, if one is due by then.
    mutating func takeFirst(dueByNs nowNs: UInt64) -> Int? {
      guard let first = waiting.first, dueNs[first] <= nowNs else { return nil }
      isWaiting[first] = false
      let last = waiting.removeLast()
      if waiting.isEmpty { return first }
      waiting[0] = last
      var parent = 0
      while true {
        var least = parent
        for child in (2 * parent + 1)..<(2 * parent + 3) where child < waiting.count && dueNs[waiting[child]] < dueNs[waiting[least]] {
          least = child
        }
        if least == parent { return first }
        waiting.swapAt(parent, least)
        parent = least
      }
    }
  }
#endif
