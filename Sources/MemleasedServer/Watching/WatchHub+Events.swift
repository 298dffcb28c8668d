import LeaseCore

/// How a get ended, in memcached's words.
public enum WatchedGet: String, Sendable { case found, notFound = "not_found", expired, flushed }
/// How a write ended.
public enum WatchedStore: String, Sendable {
  case stored, notStored = "not_stored", exists, notFound = "not_found", tooLarge = "too_large", noMemory = "no_memory"
  case staleStored = "stale_stored", refused = "token_required"
}
/// Why a connection closed.
public enum WatchedClose: String, Sendable { case error, normal, idleTimeout = "idle_timeout", shutdown }
/// What happened to a lease.
public enum WatchedLease: String, Sendable {
  case grant, refreshGrant = "refresh_grant", hotMiss = "hot_miss", staleHit = "stale_hit", fill, staleFill = "stale_fill"
  case refusedFill = "refused_fill", void, release, disconnect, revoke, extend, fail, pass, keep, hold
}

/// The lines. Each call checks `isWatched` itself, so that a caller may call it straight away; keys are URI-encoded.
extension WatchHub {
  /// `type=item_get key=... status=... clsid=... cfd=... size=...`
  @inline(__always)
  public func publishGet(key: UnsafeRawBufferPointer, status: WatchedGet, classIndex: Int, fd: Int32, sizeBytes: Int) {
    guard isWatched(.fetchers) else { return }
    publish(.fetchers, "type=item_get", key: key, "status=\(status.rawValue) clsid=\(classIndex) cfd=\(fd) size=\(sizeBytes)")
  }

  /// `type=item_store key=... status=... cmd=... ttl=... clsid=... cfd=... size=...`; ttl in seconds, 0: never.
  @inline(__always)
  public func publishStore(
    key: UnsafeRawBufferPointer, status: WatchedStore, command: StaticString, ttlSeconds: UInt64, classIndex: Int, fd: Int32, sizeBytes: Int
  ) {
    guard isWatched(.mutations) else { return }
    publish(
      .mutations, "type=item_store", key: key,
      "status=\(status.rawValue) cmd=\(command) ttl=\(ttlSeconds) clsid=\(classIndex) cfd=\(fd) size=\(sizeBytes)")
  }

  /// `type=deleted key=... cmd=delete|md clsid=... size=...`
  @inline(__always)
  public func publishDelete(key: UnsafeRawBufferPointer, command: StaticString, classIndex: Int, sizeBytes: Int) {
    guard isWatched(.deletions) else { return }
    publish(.deletions, "type=deleted", key: key, "cmd=\(command) clsid=\(classIndex) size=\(sizeBytes)")
  }

  /// `type=eviction key=... fetch=yes|no ttl=... la=... clsid=... size=...`; ttl -1: never.
  @inline(__always)
  public func publishEviction(
    key: UnsafeRawBufferPointer, wasFetched: Bool, ttlSeconds: Int64, idleSeconds: UInt64, classIndex: Int, sizeBytes: Int
  ) {
    guard isWatched(.evictions) else { return }
    publish(
      .evictions, "type=eviction", key: key,
      "fetch=\(wasFetched ? "yes" : "no") ttl=\(ttlSeconds) la=\(idleSeconds) clsid=\(classIndex) size=\(sizeBytes)")
  }

  /// An item that the store evicts; called under its partition's lock, and only while somebody watches.
  func publishEviction(of description: ItemDescription) {
    let item = description.item
    publishEviction(
      key: UnsafeRawBufferPointer(start: description.key, count: description.keyCount), wasFetched: item.wasFetched,
      ttlSeconds: Clock.secondsLeft(item.expiry, nowMs: Clock.nowMs()), idleSeconds: item.idleSeconds, classIndex: description.classIndex,
      sizeBytes: item.count)
  }

  /// `type=conn_new rip=... rport=... transport=tcp|local cfd=...`; before the descriptor is closed.
  public func publishConnectionNew(fd: Int32) {
    guard isWatched(.connectionEvents) else { return }
    publish(.connectionEvents, "type=conn_new \(Self.peerText(fd)) cfd=\(fd)")
  }

  /// `type=conn_close rip=... rport=... transport=... reason=... cfd=...`; before the descriptor is closed.
  public func publishConnectionClose(fd: Int32, reason: WatchedClose) {
    guard isWatched(.connectionEvents) else { return }
    publish(.connectionEvents, "type=conn_close \(Self.peerText(fd)) reason=\(reason.rawValue) cfd=\(fd)")
  }

  /// `type=lease key=... event=... cfd=...`. Tokens are not shown: they are what lets somebody write.
  @inline(__always)
  public func publishLease(key: UnsafeRawBufferPointer, event: WatchedLease, fd: Int32) {
    guard isWatched(.leases) else { return }
    publish(.leases, "type=lease", key: key, "event=\(event.rawValue) cfd=\(fd)")
  }

  /// The request line as it came, without its line end.
  @inline(__always)
  public func publishRawCommand(line: UnsafeRawBufferPointer, fd: Int32) {
    guard isWatched(.rawCommands) else { return }
    publish(.rawCommands, "<\(fd) \(String(decoding: line.prefix(Self.longestRawCommand), as: UTF8.self))")
  }

  static var longestRawCommand: Int { 300 }

  private static func peerText(_ fd: Int32) -> String {
    guard let peer = SocketAddress(peerOf: fd), !peer.isUnix else { return "rip=unix rport=0 transport=local" }
    return "rip=\(peer.host) rport=\(peer.port) transport=tcp"
  }
}
