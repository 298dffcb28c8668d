import LeaseCore
import LeaseWire

/// Telling watchers and `stats detail`. Called only when somebody wants to know.
extension UnsafeMutablePointer where Pointee == Worker {
  func observeLine(_ connection: ConnectionPointer, _ line: UnsafeRawPointer, _ end: UnsafeRawPointer) {
    withShared { shared in
      let isLogged = shared.verbosity > 1
      guard isLogged || shared.watchHub.isWatched(.rawCommands) else { return }
      var stop = line
      let limit = min(end, line + WireLimits.lineBytes)
      while stop < limit, stop.load(as: UInt8.self) != 0x0a, stop.load(as: UInt8.self) != 0x0d { stop += 1 }
      let text = UnsafeRawBufferPointer(start: line, count: stop - line)
      if isLogged { VerboseLog.received(text, fd: connection.pointee.fd) }
      shared.watchHub.publishRawCommand(line: text, fd: connection.pointee.fd)
    }
  }

  func observeGet(_ connection: ConnectionPointer, _ key: CacheKey, isHit: Bool, count: Int) {
    let bytes = UnsafeRawBufferPointer(start: key.bytes, count: key.count)
    withShared { shared in
      shared.statistics.prefixes.recordGet(key: bytes, isHit: isHit)
      shared.watchHub.publishGet(
        key: bytes, status: isHit ? .found : .notFound, classIndex: isHit ? 1 : 0, fd: connection.pointee.fd, sizeBytes: isHit ? count : 0)
    }
  }

  func observeRead(_ connection: ConnectionPointer, _ key: CacheKey, _ result: ReadResult) {
    observeGet(connection, key, isHit: result.status == .hit, count: result.item.count)
    if result.isWon {
      observeLease(connection, key, result.status == .hit && !result.isStale ? .refreshGrant : .grant)
    } else if result.status == .hotMiss {
      observeLease(connection, key, .hotMiss)
    } else if result.isStale {
      observeLease(connection, key, .staleHit)
    }
  }

  func observeStore(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, _ status: StoreStatus) {
    let bytes = UnsafeRawBufferPointer(start: request.pointee.key.start, count: request.pointee.key.count)
    let seconds = request.pointee.exptime
    withShared { shared in
      shared.statistics.prefixes.recordSet(key: bytes)
      shared.watchHub.publishStore(
        key: bytes, status: watched(status), command: commandName(request.pointee.command), ttlSeconds: UInt64(max(0, seconds)),
        classIndex: 1,
        fd: connection.pointee.fd, sizeBytes: request.pointee.valueCount)
      guard request.pointee.command == .leaseSet || request.pointee.hasCompare else { return }
      switch status {
      case .stored: shared.watchHub.publishLease(key: bytes, event: .fill, fd: connection.pointee.fd)
      case .staleStored: shared.watchHub.publishLease(key: bytes, event: .staleFill, fd: connection.pointee.fd)
      case .notStored, .exists, .notFound: shared.watchHub.publishLease(key: bytes, event: .refusedFill, fd: connection.pointee.fd)
      default: break
      }
    }
  }

  func observeDelete(_ request: UnsafeMutablePointer<Request>, _ status: DeleteStatus) {
    let bytes = UnsafeRawBufferPointer(start: request.pointee.key.start, count: request.pointee.key.count)
    withShared { shared in
      shared.statistics.prefixes.recordDelete(key: bytes)
      guard status == .deleted else { return }
      shared.watchHub.publishDelete(
        key: bytes, command: request.pointee.command == .metaDelete ? "md" : "delete", classIndex: 1, sizeBytes: 0)
    }
  }

  @inline(__always)
  func observeLease(_ connection: ConnectionPointer, _ key: CacheKey, _ event: WatchedLease) {
    guard pointee.isObserved else { return }
    let bytes = UnsafeRawBufferPointer(start: key.bytes, count: key.count)
    withShared { $0.watchHub.publishLease(key: bytes, event: event, fd: connection.pointee.fd) }
  }

  private func watched(_ status: StoreStatus) -> WatchedStore {
    switch status {
    case .stored: .stored
    case .staleStored: .staleStored
    case .notStored: .notStored
    case .exists: .exists
    case .notFound: .notFound
    case .tokenRequired: .refused
    case .outOfMemory: .noMemory
    case .tooLarge: .tooLarge
    }
  }

  private func commandName(_ command: Command) -> StaticString {
    switch command {
    case .add: "add"
    case .replace: "replace"
    case .append: "append"
    case .prepend: "prepend"
    case .cas: "cas"
    case .leaseSet: "lease-set"
    case .metaSet: "ms"
    default: "set"
    }
  }
}
