import LeaseCore
import LeaseWire

/// `policy` and `flush_prefix`.
extension UnsafeMutablePointer where Pointee == Worker {
  /// `policy set <prefix> <name>=<value>* | remove <prefix> | list | get <key>`
  func runPolicy(_ connection: ConnectionPointer, _ arguments: inout LineCursor, _ isQuiet: Bool, _ store: Store) {
    guard let word = arguments.next() else { return refuse(.unknownCommand) }
    if word.equals("list"), arguments.next() == nil {
      return sendPolicies(store.policies, on: connection)
    }
    guard let name = arguments.next() else { return refuse(.unknownCommand) }
    guard RequestParser.isValidKey(name) else { return refuse(.badLine) }
    let prefix = Array(UnsafeRawBufferPointer(start: name.start, count: name.count))
    if word.equals("set") {
      setPolicy(connection, prefix, &arguments, isQuiet, store)
    } else if word.equals("remove"), endsHere(&arguments) {
      reply(store.removePolicy(prefix) == .done ? "OK" : "NOT_FOUND", unless: isQuiet)
    } else if word.equals("get"), arguments.next() == nil {
      sendPolicies(store.policy(for: prefix).map { [$0] } ?? [], on: connection)
    } else {
      refuse(.unknownCommand)
    }
  }

  private func endsHere(_ arguments: inout LineCursor) -> Bool {
    guard let last = arguments.next() else { return true }
    return last.equals("noreply") && arguments.next() == nil
  }

  private func setPolicy(
    _ connection: ConnectionPointer, _ prefix: [UInt8], _ arguments: inout LineCursor, _ isQuiet: Bool, _ store: Store
  ) {
    do throws(StartError) {
      let policy = try readPolicy(&arguments)
      try policy.checkCoalescing("coalesce-gets-ms: ", servers: pointee.plainWrites)
      switch store.setPolicy(prefix, policy) {
      case .done: reply("OK", unless: isQuiet)
      case .tooMany: throw .usage("there are \(Store.mostPolicies) policies already")
      case .invalid, .notFound: refuse(.badLine)
      }
    } catch {
      pointee.counters.pointee.refusedLines.bump()
      var text: [UInt8] = []
      text.appendLine("CLIENT_ERROR \(error.message)")
      if !isQuiet { sendText(text, on: connection) }
    }
  }

  private func readPolicy(_ arguments: inout LineCursor) throws(StartError) -> Policy {
    var policy = Policy()
    while let word = arguments.next() {
      if word.equals("noreply"), arguments.position == arguments.end { break }
      let parts = printable(word).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard let field = PolicyField(rawValue: parts[0]) else { throw .usage("'\(parts[0])' is not a setting of a policy") }
      guard parts.count == 2 else { throw .usage("\(parts[0]): needs a value, as in \(parts[0])=\(field == .plainWrites ? "guard" : "1")") }
      try field.read(SettingValue(text: parts[1], origin: parts[0]), into: &policy)
    }
    return policy
  }

  /// What may stand in an error line.
  private func printable(_ word: Token) -> String {
    let bytes = UnsafeRawBufferPointer(start: word.start, count: min(word.count, 80))
    return String(decoding: bytes.map { (33...126).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }

  /// `POLICY <prefix> <name>=<value>*` for each, then `END`.
  private func sendPolicies(_ policies: [(prefix: [UInt8], policy: Policy)], on connection: ConnectionPointer) {
    var text: [UInt8] = []
    for (prefix, policy) in policies {
      text.append(contentsOf: "POLICY ".utf8)
      text.append(contentsOf: prefix)
      text.appendLine(policy.text)
    }
    text.appendLine("END")
    sendText(text, on: connection)
  }

  /// `flush_prefix <prefix> [stale] [noreply]`
  func flushPrefix(_ arguments: inout LineCursor, _ isQuiet: Bool, _ store: Store) {
    guard let name = arguments.next() else { return refuse(.unknownCommand) }
    pointee.counters.pointee.flushCommands.bump()
    // A prefix of that name alone asks for its reply.
    var next = arguments.next()
    let isQuiet = isQuiet && next != nil
    if withShared({ $0.configuration.isFlushDisabled }) { return reply("CLIENT_ERROR flush_prefix not allowed", unless: isQuiet) }
    let isStale = next?.equals("stale") ?? false
    if isStale { next = arguments.next() }
    if let last = next, last.equals("noreply") { next = arguments.next() }
    guard next == nil, RequestParser.isValidKey(name) else { return refuse(.badLine) }
    let prefix = Array(UnsafeRawBufferPointer(start: name.start, count: name.count))
    let status = store.flushPrefix(prefix, stale: isStale, nowMs: pointee.nowMs)
    reply(status == .done ? "OK" : "NOT_FOUND", unless: isQuiet)
  }
}
