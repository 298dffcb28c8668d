import LeaseCore

/// What one step may do.
enum Action: Int, CaseIterable {
  case leaseRead, refreshRead, plainRead, leaseGet
  case fill, lateFill, extend, release, fail, pass, keep, crash, useDeadToken
  case commit, delete, markStale, hold, plainWrite, casRead, casWrite, increment, append, touch, flush, flushPrefix
  case cancel, close
  case deliverOne, deliverAll, runTimers
  case pressure, upkeep, changePolicy
  case passTime, stepBack, leap
}

/// How one seed's world is made: its store, its clients, and how often each thing happens. All of it follows from the seed.
struct Profile {
  var store = StoreConfiguration()
  var keys = 1
  var workers = 1
  var connectionsPerWorker = 3
  var plainWrites = PlainWrites.reject
  /// Sums of the actions' weights up to each.
  var weightSums: [Int] = []

  init(seed: UInt64, _ random: inout SeededRandom) {
    store.seed = seed
    store.partitions = random.pick([1, 1, 2])
    store.memoryBytes = store.partitions << 20
    store.largestValueBytes = 64 << 10
    store.evicts = !random.oneIn(6)
    store.leaseMs = random.pick([50, 500, 3_000, 10_000])
    store.staleWindowMs = random.pick([0, 300, 2_000, 10_000])
    store.grantIntervalMs = random.pick([0, 0, 0, 200, 3_000])
    store.holders = random.pick([1, 1, 1, 2, 3])
    store.longestWaitMs = random.pick([800, 5_000, 30_000])
    store.maxLeases = random.pick([2, 5, 1_000_000, 1_000_000, 1_000_000, 1_000_000])
    store.maxWaiters = random.pick([5, 1_000_000, 1_000_000, 1_000_000])
    store.maxWaitersPerKey = random.pick([2, 6, 65_536, 65_536, 65_536])
    store.waiterCopyBytes = random.pick([6_000, 64 << 20, 64 << 20, 64 << 20])
    plainWrites = random.pick([.reject, .reject, .guarded, .allow])
    store.coalesceGetsMs = plainWrites == .reject ? 0 : random.pick([0, 400, 3_000])
    keys = 1 + random.below(4)
    workers = 1 + random.below(4)
    weigh(&random)
  }

  /// Each seed does some things often and others seldom or never, so that all seeds together meet the rare mixtures, too.
  private mutating func weigh(_ random: inout SeededRandom) {
    var sum = 0
    for action in Action.allCases {
      let usual = Self.usualWeight(action)
      let factor = Self.isVital(action) ? random.pick([2, 4, 8]) : random.pick([0, 1, 4, 4, 8, 16])
      sum += usual * factor
      weightSums.append(sum)
    }
  }

  /// Without these nothing is tested.
  private static func isVital(_ action: Action) -> Bool {
    switch action {
    case .leaseRead, .deliverOne, .deliverAll, .runTimers, .upkeep, .passTime, .fill: true
    default: false
    }
  }

  private static func usualWeight(_ action: Action) -> Int {
    switch action {
    case .leaseRead: 60
    case .plainRead: 15
    case .refreshRead, .leaseGet: 6
    case .fill: 14
    case .lateFill: 4
    case .extend, .release, .fail, .pass, .keep, .crash, .useDeadToken: 3
    case .commit: 3
    case .delete: 6
    case .markStale, .hold, .plainWrite, .casRead, .casWrite, .increment, .append, .touch: 2
    case .flush, .flushPrefix: 1
    case .cancel: 4
    case .close: 3
    case .deliverOne: 20
    case .deliverAll: 14
    case .runTimers: 14
    case .pressure: 1
    case .upkeep: 16
    case .changePolicy: 2
    case .passTime: 36
    case .stepBack, .leap: 1
    }
  }

  func action(_ random: inout SeededRandom) -> Action {
    let roll = random.below(weightSums.last ?? 0)
    let index = weightSums.firstIndex { roll < $0 } ?? 0
    return Action(rawValue: index) ?? .passTime
  }
}
