import LeaseCore
import LeaseWire

/// `-Y`: nothing but a `set` whose data is `user password` until one was right.
extension UnsafeMutablePointer where Pointee == Worker {
  func runAuthentication(_ connection: ConnectionPointer, _ position: inout UnsafeRawPointer, _ end: UnsafeRawPointer) -> Step {
    guard let newline = Scan.newline(position, end) else {
      guard isTooLong(connection, &position, end) else { return .more }
      return .next
    }
    let lineEnd = newline + 1
    let hasReturn = newline > position && (newline - 1).load(as: UInt8.self) == 0x0d
    let request = pointee.request
    pointee.parser.parse(position, count: newline - position - (hasReturn ? 1 : 0), into: &request.pointee)
    if request.pointee.command == .quit { return .closes }
    let count = request.pointee.valueCount
    guard request.pointee.command == .set, request.pointee.hasLength, count <= WireLimits.lineBytes else {
      position = lineEnd
      pointee.counters.pointee.refusedLines.bump()
      pointee.output.line("CLIENT_ERROR unauthenticated")
      if request.pointee.hasLength {
        connection.pointee.remaining = count + 2
        connection.pointee.phase = .swallowData
      }
      return .next
    }
    guard end - lineEnd >= count + 2 else {
      connection.pointee.neededBytes = lineEnd - position + count + 2
      return .more
    }
    position = lineEnd + (count + 2)
    pointee.counters.pointee.authCommands.bump()
    guard isDataEnd(lineEnd + count) else {
      refuse(.badDataChunk)
      return .next
    }
    let credentials = UnsafeRawBufferPointer(start: lineEnd, count: count)
    if withShared({ $0.accepts(credentials: credentials) }) {
      connection.pointee.isAuthenticated = true
      pointee.output.line("STORED")
    } else {
      pointee.counters.pointee.authErrors.bump()
      pointee.output.line("CLIENT_ERROR authentication failure")
    }
    return .next
  }
}
