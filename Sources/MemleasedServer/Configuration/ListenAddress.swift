/// One entry of `-l`: `host`, `host:port`, `[v6]`, `[v6]:port`, a bare v6 address, or `*` for every interface.
struct ListenAddress: Equatable {
  /// nil: every interface.
  var host: String?
  var port: Int

  init(host: String?, port: Int) {
    self.host = host
    self.port = port
  }

  /// nil: it is none.
  init?(_ text: Substring, defaultPort: Int) {
    guard !text.isEmpty, !text.contains(where: \.isWhitespace) else { return nil }
    var host = text
    var portText: Substring?
    if text.first == "[" {
      guard let end = text.firstIndex(of: "]") else { return nil }
      host = text[text.index(after: text.startIndex)..<end]
      let rest = text[text.index(after: end)...]
      guard rest.isEmpty || rest.first == ":" else { return nil }
      portText = rest.isEmpty ? nil : rest.dropFirst()
    } else if text.filter({ $0 == ":" }).count == 1, let colon = text.firstIndex(of: ":") {
      host = text[..<colon]
      portText = text[text.index(after: colon)...]
    }
    guard !host.isEmpty else { return nil }
    var port = defaultPort
    if let portText {
      guard !portText.isEmpty, portText.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(portText), number <= 65_535 else {
        return nil
      }
      port = number
    }
    self.init(host: host == "*" ? nil : String(host), port: port)
  }
}
