import CLibevent

// The one place that names libevent. Everybody else sees these names.

/// One registered interest (a descriptor, a timer, a signal). Lives in its owner's memory at a fixed address.
typealias LoopEvent = event

/// Runs on the loop's thread; `context` is what the event was assigned with. Captures nothing.
typealias LoopCallback = @convention(c) (_ fd: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) -> Void

/// What an event waits for.
enum LoopInterest {
  static let read = Int16(EV_READ)
  static let write = Int16(EV_WRITE)
  /// The client has closed, even while unread bytes lie before that.
  static let end = Int16(EV_CLOSED)
  /// Told once of each change, not for as long as it lasts. All events of one descriptor agree in it.
  static let edge = Int16(bitPattern: UInt16(EV_ET))
  static let timeout = Int16(EV_TIMEOUT)
  static let signal = Int16(EV_SIGNAL)
  static let persist = Int16(EV_PERSIST)
}

/// A libevent base without locks: used by one thread only, which is why its work comes through an inbox.
struct EventLoop: @unchecked Sendable {
  // Safe to share: handed to its thread before the first event and touched by nobody else after.
  let base: OpaquePointer

  init?() {
    guard let settings = event_config_new() else { return nil }
    defer { event_config_free(settings) }
    event_config_set_flag(settings, Int32(EVENT_BASE_FLAG_NOLOCK.rawValue))
    guard let base = event_base_new_with_config(settings) else { return nil }
    self.base = base
  }

  /// Binds `target` to this loop. It waits for nothing until `add`.
  func assign(
    _ target: UnsafeMutablePointer<LoopEvent>, fd: Int32, _ interest: Int16, _ context: UnsafeMutableRawPointer?,
    _ callback: LoopCallback
  ) {
    event_assign(target, base, fd, interest, callback, context)
  }

  /// Starts waiting. False: the kernel refused.
  @discardableResult
  static func add(_ target: UnsafeMutablePointer<LoopEvent>) -> Bool { event_add(target, nil) == 0 }

  /// Starts waiting, for `milliseconds` at most.
  @discardableResult
  static func add(_ target: UnsafeMutablePointer<LoopEvent>, afterMs milliseconds: UInt64) -> Bool {
    let bounded = min(milliseconds, 1 << 40)
    var time = timeval(tv_sec: .init(bounded / 1000), tv_usec: .init(bounded % 1000 * 1000))
    return event_add(target, &time) == 0
  }

  static func remove(_ target: UnsafeMutablePointer<LoopEvent>) { event_del(target) }

  /// Until `stop`.
  func run() { event_base_loop(base, 0) }
  /// Waits, if it may, calls back for what is ready then, and returns. False: stopped, or nothing is left to wait for.
  func turn(mayWait: Bool) -> Bool {
    event_base_loop(base, Int32(mayWait ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK)) == 0 && event_base_got_break(base) == 0
  }
  func stop() { event_base_loopbreak(base) }
  func free() { event_base_free(base) }

  static var version: String { String(cString: event_get_version()) }
}
