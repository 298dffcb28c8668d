#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A socket's address as people read it. `port` is 0 and `host` the path (or "unix") for a Unix socket.
public struct SocketAddress: Sendable, Equatable {
  public let host: String
  public let port: Int
  public let isUnix: Bool
  public let isIPv6: Bool

  /// The other end of a connection; nil when the kernel does not know (it is closed).
  public init?(peerOf fd: Int32) { self.init { getpeername(fd, $0, $1) } }
  /// This end of a socket.
  public init?(localOf fd: Int32) { self.init { getsockname(fd, $0, $1) } }

  private init?(_ ask: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask($0, &length) }
    }
    guard result == 0 else { return nil }
    self.init(storage, length: length)
  }

  init?(_ storage: sockaddr_storage, length: socklen_t) {
    var storage = storage
    if Int32(storage.ss_family) == AF_UNIX {
      let pathOffset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
      let path = withUnsafeBytes(of: &storage) { bytes in
        let end = min(Int(length), bytes.count)
        return end > pathOffset ? String(decoding: bytes[pathOffset..<end].prefix { $0 != 0 }, as: UTF8.self) : ""
      }
      (host, port, isUnix, isIPv6) = (path.isEmpty ? "unix" : path, 0, true, false)
      return
    }
    var hostText = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var portText = [CChar](repeating: 0, count: 32)
    let result = withUnsafePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getnameinfo(
          $0, length, &hostText, socklen_t(hostText.count), &portText, socklen_t(portText.count), NI_NUMERICHOST | NI_NUMERICSERV)
      }
    }
    guard result == 0 else { return nil }
    host = text(ofCString: hostText)
    port = Int(text(ofCString: portText)) ?? 0
    isUnix = false
    isIPv6 = Int32(storage.ss_family) == AF_INET6
  }

  /// As `stats conns` shows it: `tcp:127.0.0.1:11211`, `tcp6:[::1]:11211`, `unix:/run/memleased.sock`.
  public var statText: String {
    if isUnix { return "unix:\(host)" }
    return isIPv6 ? "tcp6:[\(host)]:\(port)" : "tcp:\(host):\(port)"
  }
}

private func text(ofCString characters: [CChar]) -> String {
  String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
