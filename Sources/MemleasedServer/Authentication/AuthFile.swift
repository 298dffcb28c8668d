/// The users who may use the server (`-Y`): 1...`maxUsers` lines `user:password`, each at most `maxLineBytes`, as memcached's.
public struct AuthFile: Sendable {
  public static let maxUsers = 8
  public static let maxLineBytes = 255

  struct Entry: Sendable, Equatable {
    var user: [UInt8]
    var password: [UInt8]
  }
  let entries: [Entry]

  /// Reads and checks the file.
  public init(path: String) throws(StartError) {
    let maxBytes = (Self.maxLineBytes + 2) * (Self.maxUsers + 1)
    try self.init(
      contents: readFile(path, what: "auth file", maxBytes: maxBytes, otherwise: "more than \(Self.maxUsers) users"), name: path)
  }

  init(contents: [UInt8], name: String) throws(StartError) {
    var entries: [Entry] = []
    let lines = contents.split(omittingEmptySubsequences: false) { $0 == UInt8(ascii: "\n") }
    for (index, line) in lines.enumerated() {
      let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
      if line.isEmpty, index == lines.count - 1 { break }
      guard line.count <= Self.maxLineBytes else {
        throw .noInput("auth file \(name): line \(index + 1) is longer than \(Self.maxLineBytes) bytes")
      }
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex, !line.contains(0) else {
        throw .noInput("auth file \(name): line \(index + 1) is not user:password")
      }
      guard entries.count < Self.maxUsers else { throw .noInput("auth file \(name): more than \(Self.maxUsers) users") }
      entries.append(Entry(user: Array(line[..<colon]), password: Array(line[(colon + 1)...])))
    }
    guard !entries.isEmpty else { throw .noInput("auth file \(name): no user in it") }
    self.entries = entries
  }

  /// The data block of the `set` that authenticates: `user password`. Compares with every entry, in a time that tells nothing
  /// of how much was right.
  public func accepts(credentials: UnsafeRawBufferPointer) -> Bool {
    guard let space = credentials.firstIndex(of: UInt8(ascii: " ")) else { return false }
    return accepts(
      user: UnsafeRawBufferPointer(rebasing: credentials[..<space]), password: UnsafeRawBufferPointer(rebasing: credentials[(space + 1)...])
    )
  }

  func accepts(user: UnsafeRawBufferPointer, password: UnsafeRawBufferPointer) -> Bool {
    var accepted = false
    for entry in entries {
      let isUser = isEqualInConstantTime(user, entry.user)
      let isPassword = isEqualInConstantTime(password, entry.password)
      accepted = (isUser && isPassword) || accepted
    }
    return accepted
  }
}

/// Looks at every byte of what the client sent, whatever the stored bytes are.
private func isEqualInConstantTime(_ sent: UnsafeRawBufferPointer, _ stored: [UInt8]) -> Bool {
  var difference = UInt64(sent.count ^ stored.count)
  stored.withUnsafeBufferPointer { stored in
    for index in 0..<sent.count {
      let other = stored.isEmpty ? 0 : stored[index % stored.count]
      difference |= UInt64(sent[index] ^ other)
    }
  }
  return difference == 0
}
