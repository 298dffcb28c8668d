#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

extension Listener {
  /// Opens what the configuration asks for: the Unix socket alone if there is one (as memcached), else every address of `-l`, or every
  /// interface. All of them, or none and a clear line. Call it before threads start (it changes the umask for a moment).
  public static func open(_ configuration: ServerConfiguration) throws(StartError) -> [Listener] {
    if let path = configuration.unixSocketPath {
      return [try openUnix(path: path, mode: configuration.unixSocketMode, backlog: configuration.backlog)]
    }
    var addresses: [ListenAddress] = []
    for text in configuration.addresses {
      guard let address = ListenAddress(text[...], defaultPort: configuration.port) else {
        throw .usage("cannot listen on '\(text)': not an address")
      }
      if !addresses.contains(address) { addresses.append(address) }
    }
    if addresses.isEmpty { addresses = [ListenAddress(host: nil, port: configuration.port)] }
    var listeners: [Listener] = []
    do throws(StartError) {
      for address in addresses { try openTCP(address, backlog: configuration.backlog, into: &listeners) }
    } catch {
      for listener in listeners { listener.close() }
      throw error
    }
    return listeners
  }

  /// Every socket address that the host stands for. An address family that this machine does not have is passed over
  /// as long as another one works.
  private static func openTCP(_ address: ListenAddress, backlog: Int, into listeners: inout [Listener]) throws(StartError) {
    let name = "\(address.host ?? "*"):\(address.port)"
    var hints = addrinfo()
    hints.ai_flags = AI_PASSIVE
    hints.ai_family = AF_UNSPEC
    #if canImport(Glibc)
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      hints.ai_socktype = SOCK_STREAM
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    let result = getaddrinfo(address.host, String(address.port), &hints, &list)
    guard result == 0, let first = list else {
      throw StartError("cannot listen on \(name): \(String(cString: gai_strerror(result)))", exitCode: 68)
    }
    defer { freeaddrinfo(first) }
    let countBefore = listeners.count
    var missing: Int32?
    for info in sequence(first: first, next: { $0.pointee.ai_next }) {
      // Port 0: the kernel chooses once, the other families follow.
      let chosenPort = address.port == 0 && listeners.count > countBefore ? listeners[countBefore].port : nil
      switch bindAndListen(info.pointee, port: chosenPort, backlog: backlog) {
      case .success(let fd):
        let local = SocketAddress(localOf: fd)
        listeners.append(Listener(fd: fd, address: local?.statText ?? name, port: local?.port ?? address.port, unixPath: nil))
      case .failure(let refusal) where [EAFNOSUPPORT, EADDRNOTAVAIL].contains(refusal.code): missing = refusal.code
      case .failure(let refusal): throw .refused("cannot listen on \(name)", errno: refusal.code)
      }
    }
    if listeners.count == countBefore { throw .refused("cannot listen on \(name)", errno: missing ?? EADDRNOTAVAIL) }
  }

  private static func openUnix(path: String, mode: Int, backlog: Int) throws(StartError) -> Listener {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { throw .usage("unix socket \(path): the path is too long") }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    try removeStaleSocket(path, address)
    let fd = makeSocket(AF_UNIX)
    guard fd >= 0 else { throw .refused("unix socket \(path)", errno: errno) }
    let oldMask = umask(mode_t(~mode & 0o777))
    let isBound = withSocketAddress(address) { bind(fd, $0, $1) } == 0
    let code = errno
    umask(oldMask)
    guard isBound else {
      closeDescriptor(fd)
      throw .refused("unix socket \(path)", errno: code)
    }
    guard listen(fd, Int32(clamping: backlog)) == 0 else {
      let code = errno
      closeDescriptor(fd)
      throw .refused("unix socket \(path)", errno: code)
    }
    return Listener(fd: fd, address: "unix:\(path)", port: 0, unixPath: path)
  }

  /// A socket's file of a server that is gone is removed; a file that somebody answers on, or that is no socket, is a refusal.
  private static func removeStaleSocket(_ path: String, _ address: sockaddr_un) throws(StartError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else { throw .system("unix socket \(path): the file exists and is not a socket") }
    let probe = makeSocket(AF_UNIX)
    guard probe >= 0 else { throw .refused("unix socket \(path)", errno: errno) }
    defer { closeDescriptor(probe) }
    if withSocketAddress(address, { connect(probe, $0, $1) }) != 0 {
      switch errno {
      case ECONNREFUSED, ENOENT:
        if unlink(path) != 0, errno != ENOENT { throw .refused("unix socket \(path)", errno: errno) }
        return
      case EACCES, EPERM: throw .refused("unix socket \(path)", errno: errno)
      default: break
      }
    }
    throw .system("unix socket \(path): another server listens on it")
  }
}

private struct Refusal: Error { let code: Int32 }

private func bindAndListen(_ info: addrinfo, port: Int?, backlog: Int) -> Result<Int32, Refusal> {
  let fd = makeSocket(info.ai_family)
  guard fd >= 0 else { return .failure(Refusal(code: errno)) }
  setOption(fd, SOL_SOCKET, SO_REUSEADDR)
  // Its connections inherit both.
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE)
  setOption(fd, Int32(IPPROTO_TCP), TCP_NODELAY)
  if info.ai_family == AF_INET6 { setOption(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY) }
  var storage = sockaddr_storage()
  withUnsafeMutableBytes(of: &storage) { bytes in
    guard let address = info.ai_addr else { return }
    bytes.copyMemory(from: UnsafeRawBufferPointer(start: address, count: min(Int(info.ai_addrlen), bytes.count)))
    // sin_port and sin6_port lie at the same place.
    if let port { bytes.storeBytes(of: UInt16(truncatingIfNeeded: port).bigEndian, toByteOffset: 2, as: UInt16.self) }
  }
  let isListening = withUnsafePointer(to: &storage) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(fd, $0, info.ai_addrlen) == 0 && listen(fd, Int32(clamping: backlog)) == 0
    }
  }
  guard isListening else {
    let code = errno
    closeDescriptor(fd)
    return .failure(Refusal(code: code))
  }
  return .success(fd)
}

private func makeSocket(_ family: Int32) -> Int32 {
  #if canImport(Glibc)
    let fd = socket(family, Int32(SOCK_STREAM.rawValue), 0)
  #else
    let fd = socket(family, SOCK_STREAM, 0)
  #endif
  if fd >= 0 { setNonBlocking(fd) }
  return fd
}

private func withSocketAddress(_ address: sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
  withUnsafePointer(to: address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
  }
}
