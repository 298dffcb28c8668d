/// What a line of a trace asks for.
enum TraceOperation: UInt8, Sendable, CaseIterable {
  case get, set, delete

  var name: String {
    switch self {
    case .get: "get"
    case .set: "set"
    case .delete: "delete"
    }
  }

  /// The names that published traces use: memcached's commands, and CacheLib's with leases. Nil: unknown.
  init?(name: some StringProtocol) {
    switch name.lowercased() {
    case "get", "gets", "mg", "read", "get_lease", "gat", "gats": self = .get
    case "set", "add", "replace", "cas", "append", "prepend", "incr", "decr", "ms", "write", "set_lease": self = .set
    case "delete", "md", "del", "delete_lease": self = .delete
    default: return nil
    }
  }
}

/// One request of a generated trace. The key is a number; its text is as long as the trace's keys are.
struct TraceRecord: Sendable {
  var timeUs: UInt64
  var key: UInt64
  var sizeBytes: Int
  var operation: TraceOperation
  /// 0: never expires.
  var ttlSeconds: UInt64
}
