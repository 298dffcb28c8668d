import Foundation

/// A blocking client connection with deadlines. Invariant: `received` holds what came and was not yet taken as a line.
final class SpecSocket {
  private let descriptor: Int32
  private var received: [UInt8] = []
  private var start = 0
  private(set) var isClosed = false
  /// A bare LF ends a line, too (dumps and logs come so).
  var acceptsLineFeeds = false

  private init(descriptor: Int32) { self.descriptor = descriptor }

  deinit { close() }

  func close() {
    if !isClosed { _ = Foundation.close(descriptor) }
    isClosed = true
  }

  // MARK: Connecting

  static func tcp(port: UInt16) -> SpecSocket? {
    guard let descriptor = open(AF_INET) else { return nil }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    var address = loopback(port: port)
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    return finish(descriptor, status)
  }

  static func unix(path: String) -> SpecSocket? {
    guard let descriptor = open(AF_UNIX) else { return nil }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return finish(descriptor, -1) }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    return finish(descriptor, status)
  }

  /// A TCP port that nobody else is given until `release` is called with the descriptor. It does not listen: a server that sets
  /// SO_REUSEADDR can. On a Mac it could not, so there the port is only one that was free a moment ago.
  static func reservePort() -> (port: UInt16, descriptor: Int32)? {
    guard let descriptor = open(AF_INET) else { return nil }
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    var address = loopback(port: 0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer -> Int32 in
        guard bind(descriptor, pointer, length) == 0 else { return -1 }
        return getsockname(descriptor, pointer, &length)
      }
    }
    guard status == 0 else {
      release(descriptor)
      return nil
    }
    #if canImport(Darwin)
      release(descriptor)
      return (UInt16(bigEndian: address.sin_port), -1)
    #else
      return (UInt16(bigEndian: address.sin_port), descriptor)
    #endif
  }

  static func release(_ reservation: Int32) { if reservation >= 0 { _ = Foundation.close(reservation) } }

  private static func loopback(port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
  }

  /// Closed on exec, so that no server started later keeps it open.
  private static func open(_ family: Int32) -> Int32? {
    #if canImport(Glibc) || canImport(Musl)
      let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    #else
      let descriptor = socket(family, SOCK_STREAM, 0)
      if descriptor >= 0 {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &one, socklen_t(MemoryLayout<Int32>.size))
      }
    #endif
    return descriptor >= 0 ? descriptor : nil
  }

  private static func finish(_ descriptor: Int32, _ status: Int32) -> SpecSocket? {
    if status == 0 { return SpecSocket(descriptor: descriptor) }
    _ = Foundation.close(descriptor)
    return nil
  }

  // MARK: Sending and receiving

  /// Sends everything, the first 4096 bytes in pieces of `pieceBytes` (0: at once). Replies that come meanwhile are kept, so that neither side blocks.
  /// False: the limit is over. A server that closes meanwhile shows when the next line is read, behind all that it said before.
  func send(_ bytes: [UInt8], pieceBytes: Int, limitMs: Int) -> Bool {
    var sent = 0
    while sent < bytes.count, !isClosed {
      guard let events = wait(Int16(POLLIN | POLLOUT), limitMs) else { return false }
      if events & Int16(POLLIN) != 0, !receive() { break }
      if events & Int16(POLLOUT) == 0 { continue }
      let end = pieceBytes > 0 && sent < 4096 ? min(sent + pieceBytes, bytes.count) : min(sent + 65536, bytes.count)
      let count = bytes.withUnsafeBytes {
        #if canImport(Glibc) || canImport(Musl)
          Foundation.send(descriptor, $0.baseAddress.map { $0 + sent }, end - sent, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        #else
          Foundation.send(descriptor, $0.baseAddress.map { $0 + sent }, end - sent, MSG_DONTWAIT)
        #endif
      }
      if count > 0 {
        sent += count
      } else if errno == EPIPE || errno == ECONNRESET {
        while receive() {}
      } else if errno != EAGAIN && errno != EINTR {
        return false
      }
    }
    return true
  }

  enum Line: Equatable {
    case line([UInt8])
    case closed
    case timedOut
  }

  /// The next line without its end.
  func readLine(limitMs: Int) -> Line {
    var searched = start
    while true {
      while let end = lineFeed(from: searched) {
        let hasReturn = end > start && received[end - 1] == 13
        if hasReturn || acceptsLineFeeds {
          let line = Array(received[start..<(hasReturn ? end - 1 : end)])
          start = end + 1
          if start == received.count { received.removeAll(keepingCapacity: true); start = 0 }
          return .line(line)
        }
        searched = end + 1
      }
      searched = received.count
      guard !isClosed, wait(Int16(POLLIN), limitMs) != nil else { return isClosed ? .closed : .timedOut }
      if !receive() { return .closed }
    }
  }

  private func lineFeed(from index: Int) -> Int? {
    received.withUnsafeBytes { bytes in
      guard index < bytes.count, let start = bytes.baseAddress else { return nil }
      guard let found = memchr(start + index, 10, bytes.count - index) else { return nil }
      return UnsafeRawPointer(found) - start
    }
  }

  private func wait(_ events: Int16, _ limitMs: Int) -> Int16? {
    var entry = pollfd(fd: descriptor, events: events, revents: 0)
    while true {
      let status = poll(&entry, 1, Int32(limitMs))
      if status > 0 { return entry.revents }
      if status == 0 || errno != EINTR { return nil }
    }
  }

  private func receive() -> Bool {
    let count = withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 16) { buffer -> Int in
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count > 0 { received.append(contentsOf: buffer[..<count]) }
      return count
    }
    if count <= 0 { close() }
    return count > 0
  }
}
