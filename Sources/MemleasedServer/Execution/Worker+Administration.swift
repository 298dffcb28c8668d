import LeaseCore
import LeaseWire

/// Everything that is not about one key.
extension UnsafeMutablePointer where Pointee == Worker {
  func runAdministration(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>, _ store: Store) -> Step {
    var arguments = LineCursor(request.pointee.rest.start, count: request.pointee.rest.count)
    let isQuiet = request.pointee.isQuiet
    switch request.pointee.command {
    case .version: version()
    case .quit: return .closes
    case .verbosity: verbosity(&arguments, isQuiet)
    case .flushPrefix: flushPrefix(&arguments, isQuiet, store)
    case .policy: runPolicy(connection, &arguments, isQuiet, store)
    case .flushAll: flushAll(&arguments, isQuiet, store)
    case .shutdown: return shutdown(&arguments)
    case .cacheMemlimit: cacheMemlimit(&arguments, isQuiet, store)
    case .stats: statistics(connection, request)
    case .lruCrawler: lruCrawler(connection, &arguments, store)
    case .lru: reply(arguments.next() == nil ? "ERROR" : "OK", unless: isQuiet)
    case .slabs: slabs(&arguments, isQuiet)
    case .watch: watch(connection, &arguments)
    default: refuse(.unknownCommand)
    }
    return .next
  }

  private func version() {
    var writer = pointee.output.writer
    writer.text("VERSION ")
    for byte in ServerConfiguration.version.utf8 { writer.byte(byte) }
    writer.lineEnd()
    pointee.output.take(writer)
  }

  private func verbosity(_ arguments: inout LineCursor, _ isQuiet: Bool) {
    guard let level = arguments.next(), !level.equals("noreply") else { return refuse(.unknownCommand) }
    guard let number = Numbers.unsigned32(level) else { return refuse(.badLine) }
    withShared { $0.setVerbosity(Int(min(number, 2))) }
    reply("OK", unless: isQuiet)
  }

  /// `flush_all [<seconds>] [noreply]`: now, or later; a later order replaces one that still waits.
  private func flushAll(_ arguments: inout LineCursor, _ isQuiet: Bool, _ store: Store) {
    pointee.counters.pointee.flushCommands.bump()
    if withShared({ $0.configuration.isFlushDisabled }) { return reply("CLIENT_ERROR flush_all not allowed", unless: isQuiet) }
    var seconds: Int32 = 0
    if let delay = arguments.next(), !delay.equals("noreply") {
      guard let number = Numbers.signed32(delay) else { return refuse(.badExptime) }
      seconds = number
    }
    let expiry = Clock.expiry(seconds: seconds, nowMs: pointee.nowMs)
    let isLater = seconds > 0 && expiry != .immediately
    withShared { $0.worker(0).post(.flush(atMs: isLater ? expiry.atMs : 0)) }
    if !isLater { flushEverything(store) }
    reply("OK", unless: isQuiet)
  }

  private func shutdown(_ arguments: inout LineCursor) -> Step {
    guard withShared({ $0.configuration.isShutdownCommandEnabled }) else {
      pointee.output.line("ERROR: shutdown not enabled")
      return .next
    }
    if let mode = arguments.next(), !mode.equals("graceful") {
      pointee.output.line("CLIENT_ERROR invalid shutdown mode")
      return .next
    }
    withShared { $0.requestShutdown() }
    return .closes
  }

  private func cacheMemlimit(_ arguments: inout LineCursor, _ isQuiet: Bool, _ store: Store) {
    guard let limit = arguments.next(), let megabytes = Numbers.unsigned32(limit) else { return refuse(.unknownCommand) }
    if megabytes < 8 { return reply("MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m", unless: isQuiet) }
    if megabytes > 1_000_000_000 { return reply("MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes", unless: isQuiet) }
    let isDone = store.setMemoryLimit(bytes: Int(megabytes) << 20)
    reply(isDone ? "OK" : "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust", unless: isQuiet)
  }

  private func statistics(_ connection: ConnectionPointer, _ request: UnsafeMutablePointer<Request>) {
    var text: [UInt8] = []
    let words = UnsafeRawBufferPointer(start: request.pointee.rest.start, count: request.pointee.rest.count)
    withShared { $0.statistics.answer(words, into: &text) }
    sendText(text, on: connection)
  }

  /// A text of any length: through the output buffer while it fits, else behind what waits.
  func sendText(_ text: [UInt8], on connection: ConnectionPointer) {
    text.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      var offset = 0
      while offset < bytes.count {
        if pointee.output.isNearlyFull, !connection.flush() { return connection.pointee.isClosing = true }
        let count = min(bytes.count - offset, pointee.output.capacity - pointee.output.count - ReplyWriter.roomForLine)
        var writer = pointee.output.writer
        writer.bytes(start + offset, count)
        pointee.output.take(writer)
        offset += count
      }
    }
  }

  /// There is no crawler: what controls it is accepted, its dumps are real.
  private func lruCrawler(_ connection: ConnectionPointer, _ arguments: inout LineCursor, _ store: Store) {
    guard let word = arguments.next() else { return refuse(.unknownCommand) }
    if word.equals("enable") || word.equals("disable") { return pointee.output.line("OK") }
    guard let argument = arguments.next() else { return refuse(.unknownCommand) }
    if word.equals("sleep") || word.equals("tocrawl") {
      guard Numbers.unsigned32(argument) != nil else { return refuse(.badLine) }
      return pointee.output.line("OK")
    }
    let isCrawl = word.equals("crawl")
    let isMetaDump = word.equals("mgdump")
    guard isCrawl || isMetaDump || word.equals("metadump") else { return refuse(.unknownCommand) }
    guard isClassList(argument) else { return pointee.output.line("BADCLASS invalid class id") }
    if isCrawl { return pointee.output.line("OK") }
    guard withShared({ !$0.configuration.isDumpDisabled }) else {
      return pointee.output.line(isMetaDump ? "ERROR mgdump not allowed" : "ERROR metadump not allowed")
    }
    beginDump(connection, isMeta: isMetaDump)
  }

  /// `all`, `hash`, or class numbers of 1...63 parted by commas. Items are not in classes here: every list means all.
  private func isClassList(_ list: Token) -> Bool {
    if list.equals("all") || list.equals("hash") { return true }
    var number = 0
    var digits = 0
    for index in 0..<list.count {
      let byte = list.start.load(fromByteOffset: index, as: UInt8.self)
      if byte == UInt8(ascii: ","), digits > 0 {
        (number, digits) = (0, 0)
        continue
      }
      guard byte >= 0x30, byte <= 0x39, digits < 2 else { return false }
      number = number * 10 + Int(byte - 0x30)
      digits += 1
      guard number < 64 else { return false }
    }
    return digits > 0
  }

  private func slabs(_ arguments: inout LineCursor, _ isQuiet: Bool) {
    guard let word = arguments.next(), arguments.next() != nil else { return refuse(.unknownCommand) }
    if word.equals("automove") { return reply("OK", unless: isQuiet) }
    if word.equals("reassign") { return reply("NOSPARE source class has no spare pages", unless: isQuiet) }
    refuse(.unknownCommand)
  }

  // MARK: watch

  private func watch(_ connection: ConnectionPointer, _ arguments: inout LineCursor) {
    guard withShared({ !$0.configuration.isWatchDisabled }) else { return pointee.output.line("CLIENT_ERROR watch commands not allowed") }
    guard pointee.output.isEmpty else { return pointee.output.line("ERROR cannot pipeline other commands before watch") }
    var events: WatchEvents = []
    var hasWords = false
    while let word = arguments.next() {
      hasWords = true
      guard let event = WatchEvents(name: UnsafeRawBufferPointer(start: word.start, count: word.count)) else {
        return refuse(.unknownCommand)
      }
      events.formUnion(event)
    }
    if !hasWords { events = .fetchers }
    let id = connection.pointee.id
    let inbox = pointee.inbox
    guard let watcher = withShared({ $0.watchHub.subscribe(events) { inbox.post(.watcherReady(connection: id)) } }) else {
      return pointee.output.line("WATCHER_TOO_MANY log watcher limit reached")
    }
    connection.pointee.watcher = Unmanaged.passRetained(watcher)
    connection.pointee.phase = .watching
    pointee.output.line("OK")
  }
}
