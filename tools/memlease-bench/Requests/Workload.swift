#if os(Linux)
  import ArgumentParser

  enum Workload: String, CaseIterable, ExpressibleByArgument, Sendable {
    case get, set, mix, mg, ms
    case metaMix = "meta-mix"
    case leaseGet = "lease-get"
    case mgLease = "mg-lease"
    case multiGet = "multi-get"
    case multiMg = "multi-mg"

    /// The verb that reads, nil for a workload that only writes.
    var reading: Verb? {
      switch self {
      case .get, .mix: .get
      case .mg, .metaMix: .mg
      case .leaseGet: .leaseGet
      case .mgLease: .mgLease
      case .multiGet: .multiGet
      case .multiMg: .multiMg
      case .set, .ms: nil
      }
    }

    /// The verb that writes: this workload's own writes, and its preload.
    var writing: Verb {
      switch self {
      case .mg, .ms, .metaMix, .mgLease, .multiMg: .ms
      case .get, .set, .mix, .leaseGet, .multiGet: .set
      }
    }

    /// Some requests read, some write.
    var isMix: Bool { self == .mix || self == .metaMix }

    /// Each request reads several keys.
    var isMulti: Bool { reading?.gapBytes != nil }

    /// One request in so many writes; 1: all do, 0: none does.
    func writeEvery(inMix: Int) -> UInt64 { isMix ? UInt64(inMix) : reading == nil ? 1 : 0 }
  }
#endif
