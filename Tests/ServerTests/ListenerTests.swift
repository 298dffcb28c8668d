import Synchronization
import Testing

@testable import MemleasedServer

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// One after the other: a Unix socket is opened under a umask of its own, which is the whole process's.
@Suite(.serialized) struct ListenerTests {
  private func configuration(_ addresses: [String], port: Int = 0) -> ServerConfiguration {
    var configuration = ServerConfiguration()
    configuration.addresses = addresses
    configuration.port = port
    return configuration
  }

  private func unix(_ path: String, mode: Int = 0o700) -> ServerConfiguration {
    var configuration = ServerConfiguration()
    configuration.unixSocketPath = path
    configuration.unixSocketMode = mode
    return configuration
  }

  private func refusal(_ configuration: ServerConfiguration) -> StartError? {
    do {
      for listener in try Listener.open(configuration) { listener.close() }
      return nil
    } catch { return error }
  }

  /// Whether it can be opened within the limit. A child process that another test is starting holds copies of descriptors that are
  /// closed here, until it runs its program.
  private func canOpen(_ configuration: ServerConfiguration) -> Bool {
    let limit = ContinuousClock.now + .seconds(60)
    while refusal(configuration) != nil {
      guard ContinuousClock.now < limit else { return false }
      poll(nil, 0, 2)
    }
    return true
  }

  /// The connection that comes within the limit: the client's `connect` may return before it is in the listener's queue.
  private func accept(from listener: Listener) -> AcceptResult {
    var entry = pollfd(fd: listener.fd, events: Int16(POLLIN), revents: 0)
    poll(&entry, 1, 60_000)
    return listener.accept()
  }

  /// A directory of its own, removed at the end.
  private func withDirectory(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/memleased-test-XXXXXX".utf8CString)
    let path = try #require(mkdtemp(&template).map { String(cString: $0) })
    defer { rmdir(path) }
    try body(path)
  }

  private func connectedSocket(to listener: Listener) throws -> Int32 {
    #if canImport(Glibc)
      let kind = Int32(SOCK_STREAM.rawValue)
    #else
      let kind = SOCK_STREAM
    #endif
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(listener.port).bigEndian)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let fd = socket(AF_INET, kind, 0)
    let result = withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    try #require(result == 0)
    return fd
  }

  @Test func opensAndAccepts() throws {
    let listeners = try Listener.open(configuration(["127.0.0.1"]))
    defer { for listener in listeners { listener.close() } }
    let listener = try #require(listeners.first)
    #expect(listeners.count == 1 && listener.port > 0 && listener.address == "tcp:127.0.0.1:\(listener.port)" && !listener.isUnix)
    #expect(listener.accept() == .nothingWaits)
    let client = try connectedSocket(to: listener)
    defer { close(client) }
    guard case .connection(let fd) = accept(from: listener) else {
      Issue.record("nothing accepted")
      return
    }
    defer { close(fd) }
    #expect(fcntl(fd, F_GETFL) & O_NONBLOCK != 0 && fcntl(fd, F_GETFD) & FD_CLOEXEC != 0)
    var noDelay: Int32 = 0
    var length = socklen_t(4)
    #expect(getsockopt(fd, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, &length) == 0 && noDelay != 0)
    #expect(SocketAddress(peerOf: fd) == SocketAddress(localOf: client))
    #expect(SocketAddress(localOf: fd)?.statText == listener.address)
  }

  @Test func severalAddressesOnceEach() throws {
    let listeners = try Listener.open(configuration(["127.0.0.1", "127.0.0.2:0", "127.0.0.1"]))
    defer { for listener in listeners { listener.close() } }
    #expect(listeners.count == 2)
  }

  @Test func aPortInUseIsOneLineAndLeavesNothingOpen() throws {
    let first = try Listener.open(configuration(["127.0.0.1"]))
    let port = try #require(first.first).port
    defer { for listener in first { listener.close() } }
    let error = try #require(refusal(configuration(["127.0.0.2:\(port)", "127.0.0.1:\(port)"])))
    #expect(error == StartError("cannot listen on 127.0.0.1:\(port): Address already in use", exitCode: 71))
    #expect(canOpen(configuration(["127.0.0.2:\(port)"])), "the other address was closed again")
  }

  @Test func anAddressThatIsNotOursIsRefused() throws {
    #expect(refusal(configuration(["192.0.2.1:1"]))?.message == "cannot listen on 192.0.2.1:1: Cannot assign requested address")
    let unknown = try #require(refusal(configuration(["host.invalid"])))
    #expect(unknown.message.hasPrefix("cannot listen on host.invalid:0: ") && unknown.exitCode == 68)
  }

  @Test func unixSocketHasItsModeAndGoes() throws {
    try withDirectory { directory in
      let path = directory + "/socket"
      let listener = try #require(try Listener.open(unix(path, mode: 0o750)).first)
      var status = stat()
      #expect(lstat(path, &status) == 0 && status.st_mode & 0o777 == 0o750)
      #expect(listener.isUnix && listener.address == "unix:\(path)")
      let second = refusal(unix(path))
      #expect(second == StartError("unix socket \(path): another server listens on it", exitCode: 71))
      listener.close()
      #expect(lstat(path, &status) != 0, "removed with the listener")
    }
  }

  @Test func aStaleUnixSocketIsReplacedAndAFileIsNot() throws {
    try withDirectory { directory in
      let path = directory + "/socket"
      let stale = try #require(try Listener.open(unix(path)).first)
      closeDescriptor(stale.fd)
      #expect(canOpen(unix(path)), "nobody answered")
      let file = open(path, O_CREAT | O_WRONLY, 0o600)
      close(file)
      #expect(refusal(unix(path))?.message == "unix socket \(path): the file exists and is not a socket")
      unlink(path)
      let missing = refusal(unix(directory + "/none/socket"))
      #expect(missing?.message == "unix socket \(directory)/none/socket: No such file or directory")
    }
  }

  @Test(arguments: [
    ("h", "h", 9), ("h:1", "h", 1), ("127.0.0.1:65535", "127.0.0.1", 65_535), ("[::1]", "::1", 9), ("[::1]:2", "::1", 2), ("::1", "::1", 9),
  ])
  func addresses(text: String, host: String, port: Int) {
    #expect(ListenAddress(text[...], defaultPort: 9) == ListenAddress(host: host, port: port))
  }

  @Test func theStarIsEveryInterface() {
    #expect(ListenAddress("*:3", defaultPort: 9) == ListenAddress(host: nil, port: 3))
  }

  @Test func connectionsAreListedWhileTheyAreOpen() throws {
    let listeners = try Listener.open(configuration(["127.0.0.1"]))
    let listener = try #require(listeners.first)
    defer { listener.close() }
    let client = try connectedSocket(to: listener)
    defer { close(client) }
    guard case .connection(let fd) = accept(from: listener) else {
      Issue.record("nothing accepted")
      return
    }
    defer { close(fd) }
    let registry = ConnectionRegistry()
    let records = UnsafeMutablePointer<ConnectionRecord>.allocate(capacity: 3)
    defer {
      records.deinitialize(count: 3)
      records.deallocate()
    }
    (records + 0).initialize(to: ConnectionRecord(fd: fd, nowSeconds: 10))
    (records + 1).initialize(to: ConnectionRecord(fd: client, nowSeconds: 10))
    (records + 2).initialize(to: ConnectionRecord(fd: -1, nowSeconds: 10))
    for index in 0..<3 { registry.add(records + index) }
    records[0].noteCommand(nowSeconds: 15)
    records[0].note(.readingValue)
    let infos = registry.connections(nowSeconds: 17)
    #expect(infos.count == 3)
    #expect(infos[0].address == SocketAddress(localOf: client)?.statText && infos[0].listenAddress == listener.address)
    #expect(infos[0].state == "conn_nread" && infos[0].idleSeconds == 2)
    #expect(infos[2].address == "unknown")
    registry.remove(records + 0)
    registry.remove(records + 0)
    #expect(registry.connections(nowSeconds: 17).map(\.fd) == [-1, client])
    registry.remove(records + 2)
    registry.remove(records + 1)
    #expect(registry.count == 0)
  }
}
