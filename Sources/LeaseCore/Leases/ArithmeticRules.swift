public struct ArithmeticRequest {
  public var isDecrement = false
  public var delta: UInt64 = 1
  public var initial: UInt64 = 0
  /// `ma N`: create with this expiry on a miss.
  public var vivifyExpiry: Expiry? = nil
  public var touch: Expiry? = nil
  public var compare: UInt64? = nil
  public var explicitVersion: UInt64? = nil
  public var plainWrites = PlainWrites.reject
  public init() {}
}
public enum ArithmeticStatus: UInt8 { case done, notFound, notNumeric, exists, notStored, tokenRequired, outOfMemory }
public struct ArithmeticResult {
  public var status = ArithmeticStatus.notFound
  public var number: UInt64 = 0
  public var version: UInt64 = 0
  public var expiry = Expiry.never
  public init() {}
}

/// Decimal digits of a 64-bit number, at most 20.
struct Digits {
  private var storage: (UInt64, UInt64, UInt64) = (0, 0, 0)
  private(set) var count = 0

  init(_ number: UInt64) {
    var rest = number
    repeat {
      count += 1
      rest /= 10
    } while rest > 0
    rest = number
    let count = count
    withUnsafeMutableBytes(of: &storage) { bytes in
      for position in (0..<count).reversed() {
        bytes[position] = UInt8(truncatingIfNeeded: 48 + rest % 10)
        rest /= 10
      }
    }
  }

  func withBytes<R>(_ body: (UnsafeRawPointer?) -> R) -> R { withUnsafeBytes(of: storage) { body($0.baseAddress) } }
}

extension PartitionState {
  mutating func arithmetic(_ key: CacheKey, _ request: ArithmeticRequest) -> ArithmeticResult {
    var result = ArithmeticResult()
    var look = look(key)
    if let status = refusal(key, look, request) {
      result.status = status
      return result
    }
    guard look.isItem, let found = look.found else { return vivify(key, look, request) }
    // In this order, as memcached: an empty value, a wrong version, a value that is no number.
    if isEmpty(found) {
      result.status = .notNumeric
      return result
    }
    if let compare = request.compare, look.record?.liveGrant(token: compare) == nil,
      version(of: found) != compare || look.record?.writer != nil
    {
      counters.casBadval += 1
      result.status = .exists
      return result
    }
    guard let current = number(found) else {
      result.status = .notNumeric
      return result
    }
    let number = request.isDecrement ? (current > request.delta ? current - request.delta : 0) : current &+ request.delta
    guard let version = write(number, key, look, found, request) else {
      result.status = .outOfMemory
      return result
    }
    if request.isDecrement { counters.decrHits += 1 } else { counters.incrHits += 1 }
    endByArithmetic(key, look, request)
    if let touch = request.touch {
      look = self.look(key)
      if look.isItem { touchFound(key, &look, touch) }
    }
    result.status = .done
    result.number = number
    result.version = version
    if let now = find(key) { result.expiry = expiry(of: now) }
    return result
  }

  /// As in memcached a value that was marked stale stays so, and who waits for a fresh one goes on waiting; but not if it is a holder's fill.
  private mutating func endByArithmetic(_ key: CacheKey, _ look: Look, _ request: ArithmeticRequest) {
    guard let record = look.record, var written = find(key) else { return }
    if let token = request.compare, record.liveGrant(token: token) != nil {
      setFlags(&written) { $0.remove(.isStaleMarked) }
    } else if visibility(of: written) == .staleMarked {
      return record.noteValueReplaced()
    }
    endByWrite(record, told(written))
  }

  private func isEmpty(_ found: Found) -> Bool { !found.header.flags.contains(.isLarge) && found.header.valueCount == 0 }

  private mutating func refusal(_ key: CacheKey, _ look: Look, _ request: ArithmeticRequest) -> ArithmeticStatus? {
    guard request.compare == nil else { return nil }
    switch plainWrites(for: key, request.plainWrites) {
    case .allow: return nil
    case .guarded:
      guard let record = look.record, record.liveLeases > 0 else { return nil }
      counters.plainWritesRefused += 1
      return .notStored
    case .reject:
      counters.plainWritesRefused += 1
      return .tokenRequired
    }
  }

  private mutating func vivify(_ key: CacheKey, _ look: Look, _ request: ArithmeticRequest) -> ArithmeticResult {
    var result = ArithmeticResult()
    let isOwed = look.record.map { $0.liveGrants > 0 } ?? false
    // A version says nothing about a number that is not there, as in memcached, where plain writes are taken.
    let isFill =
      request.compare.map { look.record?.liveGrant(token: $0) != nil || (plainWrites(for: key, request.plainWrites) != .reject && !isOwed) }
      ?? true
    guard let expiry = request.vivifyExpiry, isFill else {
      if request.isDecrement { counters.decrMisses += 1 } else { counters.incrMisses += 1 }
      result.status = request.compare != nil && isOwed && !isFill ? .exists : .notFound
      return result
    }
    var draft = Draft()
    draft.version = request.explicitVersion ?? takeNumber()
    draft.setExpiry(expiry, graceMs: graceMs(for: key, nil))
    if look.record != nil { draft.flags.insert(.hasRecord) }
    let digits = Digits(request.initial)
    if draft.goneMs > nowMs {
      guard digits.withBytes({ put(key, draft, .bytes($0, digits.count)) }) != nil else {
        result.status = .outOfMemory
        return result
      }
      counters.totalItems += 1
    }
    if let record = look.record {
      digits.withBytes { bytes in
        var written = ReadResult()
        written.status = .hit
        written.item.value = bytes
        written.item.count = digits.count
        written.item.version = draft.version ?? 0
        written.item.expiry = expiry
        endByWrite(record, written)
      }
    }
    result.status = .done
    result.number = request.initial
    result.version = draft.version ?? 0
    result.expiry = expiry
    return result
  }

  /// The value as a number: digits with blanks around them, below 2^64; what stands behind a blank does not count, as in memcached.
  private func number(_ found: Found) -> UInt64? {
    let header = found.header
    guard !header.flags.contains(.isLarge) else { return nil }
    let bytes = UnsafeRawBufferPointer(start: found.item.value(header), count: header.valueCount)
    var index = 0
    while index < bytes.count, isBlank(bytes[index]) { index += 1 }
    if index < bytes.count, bytes[index] == UInt8(ascii: "+") { index += 1 }
    var number: UInt64 = 0
    let first = index
    while index < bytes.count, bytes[index] >= 48, bytes[index] <= 57 {
      let (product, overflow) = number.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(bytes[index] - 48))
      if overflow || carry { return nil }
      number = sum
      index += 1
    }
    guard index > first, index == bytes.count || isBlank(bytes[index]) else { return nil }
    return number
  }

  private func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

  /// A number that fits is written in place and padded with blanks, as memcached does; the version is then stored with the item.
  private mutating func write(_ number: UInt64, _ key: CacheKey, _ look: Look, _ found: Found, _ request: ArithmeticRequest) -> UInt64? {
    let digits = Digits(number)
    let version = request.explicitVersion ?? takeNumber()
    let header = found.header
    let width = max(digits.count, header.valueCount)
    if header.flags.contains(.hasVersion), digits.count <= header.valueCount {
      let value = found.item.value(header)
      digits.withBytes { if let bytes = $0 { value.copyMemory(from: bytes, byteCount: digits.count) } }
      (value + digits.count).initializeMemory(as: UInt8.self, repeating: 32, count: width - digits.count)
      found.item.versionField = version
      noteAccess(found)
      return version
    }
    var draft = draft(of: found)
    draft.version = version
    return withUnsafeTemporaryAllocation(byteCount: width, alignment: 8) { buffer in
      guard let base = buffer.baseAddress else { return nil }
      base.initializeMemory(as: UInt8.self, repeating: 32, count: width)
      digits.withBytes { if let bytes = $0 { base.copyMemory(from: bytes, byteCount: digits.count) } }
      return put(key, draft, .bytes(base, width))
    }
  }
}
