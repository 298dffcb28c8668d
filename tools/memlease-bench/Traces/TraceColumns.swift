/// Which field of a line is what. Invariant: there is a key column; -1: the trace has no such column.
struct TraceColumns: Equatable, Sendable {
  private(set) var time = -1
  private(set) var key = -1
  private(set) var size = -1
  private(set) var operation = -1
  private(set) var ttl = -1

  static let standard = TraceColumns(names: ["time", "key", "size", "op", "ttl"])

  /// Nil: no column is named `key`. What is not known is passed over.
  init?(names: [some StringProtocol]) {
    for (index, name) in names.enumerated() {
      switch name.lowercased().filter({ !$0.isWhitespace && $0 != "_" && $0 != "\"" }) {
      case "time", "timestamp", "ts": time = index
      case "key", "anonymizedkey", "keyid", "objid", "id": key = index
      case "size", "valuesize", "objsize": size = index
      case "op", "operation": operation = index
      case "ttl": ttl = index
      default: break
      }
    }
    if key < 0 { return nil }
  }
}
