import LeaseCore
import LeaseWire

/// The `lease-` commands but `lease-get` and `lease-set`.
extension UnsafeMutablePointer where Pointee == Worker {
  func runLease(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, _ store: Store) {
    let key = cacheKey(request.pointee.key, store)
    let token = request.pointee.number
    let timeMs = min(request.pointee.milliseconds, CommandTimes.longestMs)
    let nowMs = pointee.nowMs
    let isQuiet = request.pointee.isQuiet
    let partition = store.partition(hash: key.hash)
    switch request.pointee.command {
    case .leaseExtend:
      let isDone = partition.locked { $0.leaseExtend(key, nowMs: nowMs, token: token, byMs: timeMs) }
      if isDone { observeLease(connection, key, .extend) }
      reply(isDone ? "EXTENDED" : "NOT_FOUND", unless: isQuiet)
    case .leaseRelease:
      let isDone = partition.locked { $0.leaseRelease(key, nowMs: nowMs, token: token) }
      if isDone { observeLease(connection, key, .release) }
      reply(isDone ? "RELEASED" : "NOT_FOUND", unless: isQuiet)
    case .leasePass:
      let isDone = partition.locked { $0.leasePass(key, nowMs: nowMs, token: token, forMs: timeMs) }
      if isDone { observeLease(connection, key, .pass) }
      reply(isDone ? "PASSED" : "NOT_FOUND", unless: isQuiet)
    case .leaseKeep:
      let expiry = Clock.expiry(seconds: request.pointee.exptime, nowMs: nowMs)
      let isDone = partition.locked { $0.leaseKeep(key, nowMs: nowMs, token: token, expiry: expiry) }
      if isDone { observeLease(connection, key, .keep) }
      reply(isDone ? "STORED" : "NOT_STORED", unless: isQuiet)
    case .leaseRevoke:
      let count = partition.locked { $0.leaseRevoke(key, nowMs: nowMs) }
      if count > 0 { observeLease(connection, key, .revoke) }
      if !isQuiet { replyRevoked(count) }
    default:
      runLeaseHold(connection, key, partition, timeMs, store)
    }
  }

  private func replyRevoked(_ count: Int) {
    guard count > 0 else { return pointee.output.line("NOT_FOUND") }
    var writer = pointee.output.writer
    writer.text("REVOKED ")
    writer.number(UInt64(UInt(bitPattern: count)))
    writer.lineEnd()
    pointee.output.take(writer)
  }

  private func runLeaseHold(_ connection: ConnectionPointer, _ key: CacheKey, _ partition: Partition, _ timeMs: UInt64, _ store: Store) {
    let token = partition.locked { $0.leaseHold(key, nowMs: pointee.nowMs, forMs: timeMs, holderID: connection.pointee.id) }
    guard let token else { return pointee.output.line("NOT_STORED") }
    connection.hold(hash: key.hash, token: token, store: store, nowMs: pointee.nowMs)
    observeLease(connection, key, .hold)
    var writer = pointee.output.writer
    writer.text("HELD ")
    writer.number(token)
    writer.lineEnd()
    pointee.output.take(writer)
  }

  func runLeaseFail(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, message: UnsafeRawPointer, _ store: Store) {
    let key = cacheKey(request.pointee.key, store)
    let bytes = UnsafeRawBufferPointer(start: message, count: request.pointee.valueCount)
    let timeMs = min(request.pointee.milliseconds, CommandTimes.longestMs)
    let isDone = store.partition(hash: key.hash).locked {
      $0.leaseFail(key, nowMs: pointee.nowMs, token: request.pointee.number, forMs: timeMs, message: bytes)
    }
    if isDone { observeLease(connection, key, .fail) }
    reply(isDone ? "STORED" : "NOT_STORED", unless: request.pointee.isQuiet)
  }

  /// A `lease-set` with a negative exptime gives the lease back.
  func releaseBySet(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, _ key: CacheKey, _ store: Store) {
    let isDone = store.partition(hash: key.hash).locked {
      $0.leaseRelease(key, nowMs: pointee.nowMs, token: request.pointee.number)
    }
    if isDone { observeLease(connection, key, .release) }
    reply(isDone ? "STORED" : "NOT_STORED", unless: request.pointee.isQuiet)
  }
}
