import LeaseCore

/// What a policy can say, by the names that commands and the configuration file use.
enum PolicyField: String, CaseIterable {
  case leaseMs = "lease-ms", grantIntervalMs = "grant-interval-ms", holders, longestWaitMs = "max-wait-ms"
  case staleWindowMs = "stale-window-ms", graceMs = "grace-ms", refreshAheadMs = "refresh-ahead-ms"
  case plainWrites = "plain-writes", coalesceGetsMs = "coalesce-gets-ms"

  /// Reads one value into the policy.
  func read(_ value: SettingValue, into policy: inout Policy) throws(StartError) {
    switch self {
    case .leaseMs: policy.leaseMs = try value.milliseconds(atLeast: 1)
    case .grantIntervalMs: policy.grantIntervalMs = try value.milliseconds()
    case .holders: policy.holders = try value.integer(1...Policy.mostHolders, "a number of holders")
    case .longestWaitMs: policy.longestWaitMs = try value.milliseconds()
    case .staleWindowMs: policy.staleWindowMs = try value.milliseconds()
    case .graceMs: policy.graceMs = try value.milliseconds()
    case .refreshAheadMs: policy.refreshAheadMs = try value.milliseconds()
    case .plainWrites: policy.plainWrites = try value.plainWrites()
    case .coalesceGetsMs: policy.coalesceGetsMs = try value.milliseconds()
    }
  }

  /// The value as `read` takes it; nil: the policy does not say.
  func text(of policy: Policy) -> String? {
    switch self {
    case .leaseMs: policy.leaseMs.map { String($0) }
    case .grantIntervalMs: policy.grantIntervalMs.map { String($0) }
    case .holders: policy.holders.map { String($0) }
    case .longestWaitMs: policy.longestWaitMs.map { String($0) }
    case .staleWindowMs: policy.staleWindowMs.map { String($0) }
    case .graceMs: policy.graceMs.map { String($0) }
    case .refreshAheadMs: policy.refreshAheadMs.map { String($0) }
    case .plainWrites: policy.plainWrites.map(\.text)
    case .coalesceGetsMs: policy.coalesceGetsMs.map { String($0) }
    }
  }
}

extension Policy {
  /// ` name=value` for each field that is set.
  var text: String {
    PolicyField.allCases.compactMap { field in field.text(of: self).map { " \(field.rawValue)=\($0)" } }.joined()
  }

  /// Gets that wait for a plain set need one that is taken. `servers`: where the policy does not say.
  func checkCoalescing(_ origin: String, servers: PlainWrites) throws(StartError) {
    guard coalesceGetsMs ?? 0 > 0, plainWrites ?? servers == .reject else { return }
    throw .usage("\(origin)needs plain-writes guard or allow")
  }
}

extension PlainWrites {
  /// As flags, commands and `stats settings` spell it.
  var text: String {
    switch self {
    case .reject: "reject"
    case .guarded: "guard"
    case .allow: "allow"
    }
  }
}

extension SettingValue {
  /// Up to a day.
  func milliseconds(atLeast least: Int = 0) throws(StartError) -> UInt64 {
    UInt64(try integer(least...Int(Policy.longestMs), "a number of milliseconds"))
  }

  func plainWrites() throws(StartError) -> PlainWrites {
    switch text {
    case "reject": .reject
    case "guard": .guarded
    case "allow": .allow
    default: throw refusal("reject, guard or allow")
    }
  }
}
