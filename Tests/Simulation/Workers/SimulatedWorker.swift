import LeaseCore

/// A worker thread of the server: answers reach it at once, and are looked at when the schedule lets it run.
struct SimulatedWorker {
  var heap = WaiterHeap()
  var inbox: [FiredLane] = []
  /// The connection that it is closing; -1: none. It does nothing else meanwhile.
  var closing = -1
}

/// A client's connection: what its close gives back.
struct SimulatedConnection {
  let worker: Int
  var id: UInt64
  var leases: [(key: Int, token: UInt64)] = []
}

/// What a client that was granted a lease knows.
struct Fetch {
  var key: Int
  var token: UInt64
  var kind: ModelLease.Kind
  var connection: Int
  var readTick: Int
  var databaseVersion: Int
  /// The stale value that came with the lease; -1: none.
  var shown: Int
}

/// A fresh value that a client read and will write by its version.
struct PlannedCas {
  var key: Int
  var version: UInt64
  var readTick: Int
  var databaseVersion: Int
}

/// Where the store's callbacks leave what they say. Sendable: a simulation runs on one thread.
final class Mailbox: @unchecked Sendable {
  var lanes: [FiredLane] = []
  var upkeepMs: [Milliseconds] = []
}
