/// The policies as they are changed; partitions read a `PolicyTable` made of them.
/// Invariant: sorted by prefix, each once; an entry carries the flushes of every shorter prefix, too.
struct PolicyBook {
  struct Entry {
    let prefix: [UInt8]
    /// Nil: removed, but what was flushed under it stays so.
    var policy: Policy?
    var marks = FlushMarks()
    /// Number of its last flush, in the order of all flushes.
    var flushSerial: UInt32 = 0
  }

  static let most = 1024
  static let prefixBytes = 1...250
  private(set) var entries: [Entry] = []
  private(set) var flushSerial: UInt32 = 0
  /// What the partitions have now.
  var table: UnsafeMutablePointer<PolicyTable>?

  // MARK: Changing

  /// Sets policies, or removes them (nil). Everything or nothing is changed.
  mutating func change(_ changes: [(prefix: [UInt8], policy: Policy?)]) -> PolicyStatus {
    var changed = self
    for (prefix, policy) in changes {
      if let policy {
        guard Self.prefixBytes.contains(prefix.count), policy.isValid else { return .invalid }
        changed.set(prefix, policy)
      } else {
        guard changed.remove(prefix) else { return .notFound }
      }
    }
    guard changed.entries.count <= Self.most else { return .tooMany }
    self = changed
    return .done
  }

  private mutating func set(_ prefix: [UInt8], _ policy: Policy) {
    if let index = index(of: prefix) { return entries[index].policy = policy }
    var entry = Entry(prefix: prefix, policy: policy)
    if let parent = Self.parent(of: prefix, in: entries) {
      entry.marks = parent.marks
      entry.flushSerial = parent.flushSerial
    }
    entries.insert(entry, at: entries.firstIndex { prefix.lexicographicallyPrecedes($0.prefix) } ?? entries.count)
  }

  private mutating func remove(_ prefix: [UInt8]) -> Bool {
    guard let index = index(of: prefix), entries[index].policy != nil else { return false }
    entries[index].policy = nil
    let parent = Self.parent(of: prefix, in: entries)
    // Nothing was flushed under it but what a shorter prefix tells as well.
    if entries[index].marks == parent?.marks ?? FlushMarks(), entries[index].flushSerial == parent?.flushSerial ?? 0 {
      entries.remove(at: index)
    }
    return true
  }

  /// Notes a flush of everything up to a generation, under this prefix and all longer ones. False: there is no policy of this prefix.
  mutating func flush(_ prefix: [UInt8], stale: Bool, generation: UInt64, defaults: LeaseSettings, nowMs: Milliseconds) -> Bool {
    guard let index = index(of: prefix), entries[index].policy != nil else { return false }
    flushSerial += 1
    for index in entries.indices where entries[index].prefix.starts(with: prefix) {
      let windowMs = stale ? Self.settings(of: entries[index], in: entries, defaults: defaults).staleWindowMs : 0
      entries[index].marks.add(FlushMark(generation: generation, staleUntilMs: nowMs + windowMs), nowMs: nowMs)
      entries[index].flushSerial = flushSerial
    }
    return true
  }

  // MARK: Looking

  private func index(of prefix: [UInt8]) -> Int? { entries.firstIndex { $0.prefix == prefix } }

  /// The policy that a key follows, with its prefix.
  func policy(for key: [UInt8]) -> Entry? {
    entries.filter { $0.policy != nil && key.starts(with: $0.prefix) }.max { $0.prefix.count < $1.prefix.count }
  }

  /// The longest entry whose prefix is a shorter beginning of this one.
  private static func parent(of prefix: [UInt8], in entries: [Entry]) -> Entry? {
    entries.filter { $0.prefix.count < prefix.count && prefix.starts(with: $0.prefix) }.max { $0.prefix.count < $1.prefix.count }
  }

  /// A removed policy's keys follow the next shorter one that is not.
  static func settings(of entry: Entry, in entries: [Entry], defaults: LeaseSettings) -> LeaseSettings {
    var entry: Entry? = entry
    while let current = entry {
      if let policy = current.policy { return defaults.applying(policy) }
      entry = parent(of: current.prefix, in: entries)
    }
    return defaults
  }
}
