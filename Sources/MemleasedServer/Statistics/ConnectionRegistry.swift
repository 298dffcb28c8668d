import LeaseCore
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What a connection is doing, in memcached's words (`stats conns`).
public enum ConnectionState: UInt8, Sendable {
  case waiting, reading, parsing, readingValue, writing, watching, closing, swallowing, parked

  var name: String {
    switch self {
    case .waiting: "conn_waiting"
    case .reading: "conn_read"
    case .parsing: "conn_parse_cmd"
    case .readingValue: "conn_nread"
    case .writing: "conn_mwrite"
    case .watching: "conn_watch"
    case .closing: "conn_closing"
    case .swallowing: "conn_swallow"
    case .parked: "conn_io_queue"
    }
  }
}

/// The part of a connection that `stats conns` reads: lives inside the connection's own memory, at a fixed address from
/// `ConnectionRegistry.add` to `remove`. The worker writes with relaxed stores, anybody reads under the registry's lock.
public struct ConnectionRecord: ~Copyable {
  public let fd: Int32
  fileprivate let index = Atomic<Int>(-1)
  fileprivate let stateCode = Atomic<UInt8>(ConnectionState.waiting.rawValue)
  fileprivate let commandSecond: Atomic<UInt32>

  /// `nowSeconds`: of any clock that does not step, the same one for all calls.
  public init(fd: Int32, nowSeconds: UInt32) {
    self.fd = fd
    commandSecond = Atomic(nowSeconds)
  }

  /// Once per batch of requests.
  @inline(__always)
  public func noteCommand(nowSeconds: UInt32) { commandSecond.store(nowSeconds, ordering: .relaxed) }
  @inline(__always)
  public func note(_ state: ConnectionState) { stateCode.store(state.rawValue, ordering: .relaxed) }
  public var state: ConnectionState { ConnectionState(rawValue: stateCode.load(ordering: .relaxed)) ?? .waiting }
  /// When the last command came: for idle timeouts.
  public var lastCommandSecond: UInt32 { commandSecond.load(ordering: .relaxed) }
}

/// One line group of `stats conns`.
public struct ConnectionInfo: Sendable, Equatable {
  public var fd: Int32
  public var address: String
  public var listenAddress: String?
  public var state: String
  public var idleSeconds: UInt32
}

/// A worker's open connections. The worker adds and removes; `stats conns` reads from any thread. Every record in it belongs to
/// an open descriptor: call `remove` before `close(fd)`.
public final class ConnectionRegistry: @unchecked Sendable {
  // Safe to share: `records` and what it points to are touched only under `lock`, except for a record's atomics.
  private let lock = Guarded<Void>(())
  private var records: [UnsafePointer<ConnectionRecord>] = []

  public init() {}

  public func add(_ record: UnsafePointer<ConnectionRecord>) {
    lock.withLock { _ in
      record.pointee.index.store(records.count, ordering: .relaxed)
      records.append(record)
    }
  }

  /// O(1). Does nothing when the record is not in it.
  public func remove(_ record: UnsafePointer<ConnectionRecord>) {
    lock.withLock { _ in
      let index = record.pointee.index.load(ordering: .relaxed)
      guard index >= 0, index < records.count, records[index] == record, let last = records.popLast() else { return }
      if last != record {
        records[index] = last
        last.pointee.index.store(index, ordering: .relaxed)
      }
      record.pointee.index.store(-1, ordering: .relaxed)
    }
  }

  public var count: Int { lock.withLock { _ in records.count } }

  /// Everything for `stats conns`; asks the kernel for the addresses, so that a connection needs no memory for them.
  func connections(nowSeconds: UInt32) -> [ConnectionInfo] {
    lock.withLock { _ in
      records.map { record in
        let fd = record.pointee.fd
        let peer = SocketAddress(peerOf: fd)
        let local = SocketAddress(localOf: fd)
        return ConnectionInfo(
          fd: fd,
          address: peer?.isUnix == false ? peer?.statText ?? "unknown" : local?.statText ?? "unknown",
          listenAddress: local?.statText,
          state: record.pointee.state.name,
          idleSeconds: nowSeconds &- min(nowSeconds, record.pointee.lastCommandSecond)
        )
      }
    }
  }
}
