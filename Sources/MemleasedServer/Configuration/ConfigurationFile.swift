import LeaseCore

/// A prefix and what its policy says.
public struct PrefixPolicy: Sendable, Equatable {
  public var prefix: [UInt8]
  public var policy: Policy
}

/// The configuration file (`--config`): `name = value` lines, the names being those of the long flags, then a section
/// `[prefix user:]` with the fields of a policy for each prefix. Lines that start with `#` are comments.
struct ConfigurationFile {
  private(set) var settings: [Setting: [SettingValue]] = [:]
  private(set) var policies: [PrefixPolicy] = []
  /// Where gets are coalesced under a policy: such a line may not go with what the server does of plain writes.
  private var coalescingOrigins: [String] = []

  static let maxBytes = 1 << 20
  static let maxSections = 1024

  init(path: String) throws(StartError) {
    try self.init(
      contents: readFile(path, what: "configuration file", maxBytes: Self.maxBytes, otherwise: "more than \(Self.maxBytes) bytes"),
      name: path)
  }

  init(contents: [UInt8], name: String) throws(StartError) {
    var isInSection = false
    var seen: Set<String> = []
    for (index, bytes) in contents.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      let line = trimmed(String(decoding: bytes, as: UTF8.self)[...])
      let place = "\(name):\(index + 1): "
      if line.isEmpty || line.first == "#" { continue }
      if line.first == "[" {
        try beginSection(line, place)
        isInSection = true
        seen = []
        continue
      }
      guard let equals = line.firstIndex(of: "=") else { throw .usage("\(place)'\(line)' is neither 'name = value' nor '[prefix ...]'") }
      let key = String(trimmed(line[..<equals]))
      let value = SettingValue(text: String(trimmed(line[line.index(after: equals)...])), origin: place + key)
      if isInSection { try addField(key, value, place) } else { try addSetting(key, value, place) }
      guard seen.insert(key).inserted || key == Setting.listen.rawValue || key == Setting.extended.rawValue else {
        throw .usage("\(place)\(key): is here a second time")
      }
    }
  }

  private mutating func addSetting(_ key: String, _ value: SettingValue, _ place: String) throws(StartError) {
    guard let setting = Setting(rawValue: key), setting != .config else { throw .usage("\(place)'\(key)' is not a setting") }
    settings[setting, default: []].append(value)
  }

  private mutating func addField(_ key: String, _ value: SettingValue, _ place: String) throws(StartError) {
    guard let field = PolicyField(rawValue: key) else { throw .usage("\(place)'\(key)' is not a setting of a policy") }
    try field.read(value, into: &policies[policies.count - 1].policy)
    if field == .coalesceGetsMs { coalescingOrigins[policies.count - 1] = "\(value.origin): " }
  }

  private mutating func beginSection(_ line: Substring, _ place: String) throws(StartError) {
    guard line.hasPrefix("[prefix "), line.hasSuffix("]") else { throw .usage("\(place)'\(line)' is not '[prefix ...]'") }
    var name = trimmed(line.dropFirst(8).dropLast())
    if name.count > 2, name.first == "\"", name.last == "\"" { name = name.dropFirst().dropLast() }
    let prefix = Array(name.utf8)
    guard (1...250).contains(prefix.count), prefix.allSatisfy({ $0 > 32 && $0 != 127 }) else {
      throw .usage("\(place)a prefix has 1 to 250 bytes, none of them a space or control character")
    }
    guard !policies.contains(where: { $0.prefix == prefix }) else { throw .usage("\(place)[prefix \(name)]: is here a second time") }
    guard policies.count < Self.maxSections else { throw .usage("\(place)more than \(Self.maxSections) prefixes") }
    policies.append(PrefixPolicy(prefix: prefix, policy: Policy()))
    coalescingOrigins.append("\(place)[prefix \(name)]: ")
  }

  /// `servers`: what holds where a policy says nothing of plain writes.
  func checkPolicies(servers: PlainWrites) throws(StartError) {
    for (policy, origin) in zip(policies, coalescingOrigins) { try policy.policy.checkCoalescing(origin, servers: servers) }
  }
}

private func trimmed(_ text: Substring) -> Substring {
  var text = text.drop { $0 == " " || $0 == "\t" || $0 == "\r" }
  while let last = text.last, last == " " || last == "\t" || last == "\r" { text.removeLast() }
  return text
}
