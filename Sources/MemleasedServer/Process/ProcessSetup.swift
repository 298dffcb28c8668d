#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What a start does to the process, each a step that either works or throws one clear line. All before the first thread.
enum ProcessSetup {
  /// Descriptors beside the connections: listeners, three for each worker (event base, inbox, spare), standard streams, files.
  static func reservedDescriptors(workers: Int) -> Int { 32 + 3 * workers }

  /// Raises the limit on open descriptors so that `-c` connections fit.
  static func raiseDescriptorLimit(_ configuration: ServerConfiguration) throws(StartError) {
    let needed = rlim_t(configuration.maxConnections + reservedDescriptors(workers: configuration.workers))
    var limit = rlimit()
    guard getrlimit(descriptorLimit, &limit) == 0 else { throw .refused("cannot read the limit on open descriptors", errno: errno) }
    if limit.rlim_cur >= needed { return }
    var raised = limit
    raised.rlim_cur = needed
    // Above the hard limit only a privileged process gets further.
    raised.rlim_max = max(limit.rlim_max, needed)
    if setrlimit(descriptorLimit, &raised) == 0 { return }
    throw .system(
      "cannot hold \(configuration.maxConnections) connections (-c): that takes \(needed) open descriptors and the hard limit is "
        + "\(limit.rlim_max) (ulimit -Hn)")
  }

  static func raiseCoreLimit() throws(StartError) {
    var limit = rlimit()
    guard getrlimit(coreLimit, &limit) == 0 else { throw .refused("cannot read the limit on core files (-r)", errno: errno) }
    limit.rlim_cur = limit.rlim_max
    guard setrlimit(coreLimit, &limit) == 0, limit.rlim_cur != 0 else {
      throw .system("cannot have core files (-r): the hard limit is \(limit.rlim_max) (ulimit -Hc)")
    }
  }

  /// -k. As memcached a refusal is a warning: the limit on locked memory is often low.
  static func lockMemory() {
    guard mlockall(MCL_CURRENT | MCL_FUTURE) != 0 else { return }
    writeErrorLine("memleased: warning: cannot lock memory (-k): \(errorText(errno))")
  }

  /// -u. Only root can change; for others the flag has no effect, as in memcached. Root without -u runs on, with a warning: in a
  /// container that is the usual case. `files` (Unix socket, pid file) are given to the user, who has to use and remove them.
  static func dropPrivileges(to user: String?, files: [String]) throws(StartError) {
    guard getuid() == 0 || geteuid() == 0 else { return }
    guard let user else {
      writeErrorLine("memleased: warning: running as root; -u <user> gives that up after start")
      return
    }
    guard let entry = getpwnam(user) else { throw .noUser("cannot find the user '\(user)' (-u)") }
    let (group, id) = (entry.pointee.pw_gid, entry.pointee.pw_uid)
    guard id != 0 else { return }
    for file in files where chown(file, id, group) != 0 { throw .refused("cannot give \(file) to the user '\(user)' (-u)", errno: errno) }
    guard setgroups(0, nil) == 0, setgid(group) == 0, setuid(id) == 0 else {
      throw .refused("cannot become the user '\(user)' (-u)", errno: errno)
    }
  }

  /// A client that goes away must not end the process, and neither must a closed terminal. The other signals must arrive, whatever
  /// was blocked by who started us.
  static func prepareSignals() {
    setBlocked([])
    signal(SIGPIPE, SIG_IGN)
    signal(SIGHUP, SIG_IGN)
  }

  /// Signals that end the server wait from here until it can end in order (`acceptSignals`). Threads that start meanwhile leave
  /// them to the first one.
  static func holdSignals() { setBlocked([SIGTERM, SIGINT, SIGUSR1]) }

  /// Called on the first thread when its handlers stand.
  static func acceptSignals() { setBlocked([]) }

  private static func setBlocked(_ signals: [Int32]) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    pthread_sigmask(SIG_SETMASK, &set, nil)
  }

  /// The path as it stays valid when a daemon changes to `/`.
  static func absolutePath(_ path: String) -> String {
    guard !path.hasPrefix("/"), let directory = getcwd(nil, 0) else { return path }
    defer { free(directory) }
    return String(cString: directory) + "/" + path
  }

  #if canImport(Glibc)
    private static let descriptorLimit = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    private static let coreLimit = __rlimit_resource_t(RLIMIT_CORE.rawValue)
  #else
    private static let descriptorLimit = RLIMIT_NOFILE
    private static let coreLimit = RLIMIT_CORE
  #endif
}
