#if os(Linux)
  import Glibc
  import Synchronization

  /// Ctrl-C ends a run early, with a report of what it measured; a second one ends the process at once.
  enum Interrupt {
    private static let wasAsked = Atomic(false)

    static var isAsked: Bool { wasAsked.load(ordering: .relaxed) }

    static func watch() {
      // Touched before the first signal: a handler must not be what initializes it.
      wasAsked.store(false, ordering: .relaxed)
      signal(SIGINT) { _ in
        if Interrupt.wasAsked.exchange(true, ordering: .relaxed) { _exit(130) }
      }
    }
  }
#endif
