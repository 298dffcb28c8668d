import LeaseCore

/// A key that owns its bytes, so that a test can name it once and use it in many calls.
struct TestKey: Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
  let bytes: [UInt8]
  init(_ text: String) { bytes = Array(text.utf8) }
  init(bytes: [UInt8]) { self.bytes = bytes }
  init(stringLiteral value: String) { self.init(value) }
  var description: String { String(decoding: bytes, as: UTF8.self) }
}

/// What a reader was told, in the words of the specification's table.
enum Outcome: Equatable {
  case miss
  case hit(String)
  /// A fresh value while another has a refresh lease (Z).
  case hitOwed(String)
  /// A fresh value and a refresh lease (W).
  case refresh(String)
  /// X W.
  case staleWon(String)
  /// X Z.
  case staleOwed(String)
  /// X alone.
  case stale(String)
  case granted
  case hotMiss
  case failed(String)
  case passed
}

/// A read's result, copied out from under the lock.
struct Seen {
  var status = ReadStatus.miss
  var isStale = false
  var isWon = false
  var isOwed = false
  var token: UInt64 = 0
  var value: [UInt8] = []
  var version: UInt64 = 0
  var clientFlags: UInt32 = 0
  var expiry = Expiry.never
  var wasFetched = false
  var idleSeconds: UInt64 = 0
  var message = ""
  var remainingMs: UInt64 = 0

  var text: String { String(decoding: value, as: UTF8.self) }
  var outcome: Outcome {
    switch status {
    case .miss: .miss
    case .hit:
      switch (isStale, isWon, isOwed) {
      case (false, true, _): .refresh(text)
      case (false, false, true): .hitOwed(text)
      case (false, false, false): .hit(text)
      case (true, true, _): .staleWon(text)
      case (true, false, true): .staleOwed(text)
      case (true, false, false): .stale(text)
      }
    case .granted: .granted
    case .hotMiss: .hotMiss
    case .failed: .failed(message)
    case .passed: .passed
    }
  }
}

struct StoreRefused: Error {}

/// A store, a clock that only the test turns, and each operation as one short call. Not for sharing between threads: each takes its own
/// harness on the same store.
final class CoreHarness {
  let store: Store
  var nowMs: Milliseconds

  init(
    memoryBytes: Int = 8 << 20, partitions: Int = 4, seed: UInt64 = 42, nowMs: Milliseconds = 1_800_000_000_000,
    _ configure: (inout StoreConfiguration) -> Void = { _ in }
  ) throws {
    var configuration = StoreConfiguration()
    configuration.memoryBytes = memoryBytes
    configuration.partitions = partitions
    configuration.seed = seed
    configure(&configuration)
    guard let store = Store(configuration) else { throw StoreRefused() }
    self.store = store
    self.nowMs = nowMs
  }

  init(sharing store: Store, nowMs: Milliseconds) {
    self.store = store
    self.nowMs = nowMs
  }

  func advance(ms: UInt64) { nowMs &+= ms }

  func expiry(_ ttlMs: UInt64?) -> Expiry { ttlMs.map { Expiry(atMs: nowMs &+ $0) } ?? .never }

  /// Runs `body` under the lock of the key's partition.
  func with<R>(_ key: TestKey, _ body: (CacheKey, Partition) -> R) -> R {
    key.bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { preconditionFailure("a key has at least one byte") }
      let hash = store.hash(base, count: bytes.count)
      let partition = store.partition(hash: hash)
      partition.lock()
      defer { partition.unlock() }
      return body(CacheKey(bytes: base, count: bytes.count, hash: hash), partition)
    }
  }

  func eachPartition(_ body: (Partition) -> Void) {
    for index in 0..<store.partitionCount {
      let partition = store.partition(index)
      partition.lock()
      body(partition)
      partition.unlock()
    }
  }
}

// MARK: Reading
extension CoreHarness {
  func read(_ key: TestKey, _ options: ReadOptions) -> Seen {
    with(key) { key, partition in
      var result = ReadResult()
      partition.read(key, nowMs: nowMs, options, into: &result)
      var seen = Seen()
      seen.status = result.status
      seen.isStale = result.isStale
      seen.isWon = result.isWon
      seen.isOwed = result.isOwed
      seen.token = result.token
      seen.remainingMs = result.remainingMs
      if result.status == .hit { seen.copy(result.item) }
      if let message = result.messageBytes {
        seen.message = String(decoding: UnsafeRawBufferPointer(start: message, count: result.messageCount), as: UTF8.self)
      }
      return seen
    }
  }

  /// `get`, by the general path.
  func get(_ key: TestKey) -> Seen { read(key, ReadOptions()) }

  /// `get`, by the common path.
  func quickGet(_ key: TestKey) -> Seen {
    with(key) { key, partition in
      var seen = Seen()
      var item = ItemView()
      if partition.readFresh(key, nowMs: nowMs, into: &item) {
        seen.status = .hit
        seen.copy(item)
        // The common path does not ask for it.
        var description = ItemDescription()
        if partition.describe(key, nowMs: nowMs, into: &description) { seen.expiry = description.item.expiry }
      }
      return seen
    }
  }

  /// `lease-get`.
  func leaseGet(_ key: TestKey, holderID: UInt64 = 0, leaseMs: UInt64 = 0) -> Seen {
    var options = ReadOptions()
    options.kind = .lease
    options.wantsLease = true
    options.knowsLeases = true
    options.holderID = holderID
    options.leaseMs = leaseMs
    return read(key, options)
  }

  /// `mg key v` with what the other flags say. `wants`: N, Lw or Ll. `knows`: any L, N or R.
  func metaGet(
    _ key: TestKey, wants: Bool = false, knows: Bool = false, freshOnly: Bool = false, holders: Int = 0, leaseMs: UInt64 = 0,
    refreshBelowMs: Int64 = .min
  ) -> Seen {
    var options = ReadOptions()
    options.kind = .meta
    options.wantsLease = wants
    options.knowsLeases = knows || wants || freshOnly || holders > 0 || refreshBelowMs != .min
    options.freshOnly = freshOnly
    options.holders = holders
    options.leaseMs = leaseMs
    options.refreshBelowMs = refreshBelowMs
    return read(key, options)
  }

  /// The token of a lease that the test expects to be granted; 0 (never valid) when it was not.
  func grant(_ key: TestKey, holderID: UInt64 = 0, leaseMs: UInt64 = 0) -> UInt64 {
    let seen = leaseGet(key, holderID: holderID, leaseMs: leaseMs)
    return seen.status == .granted || seen.isWon ? seen.token : 0
  }
}

extension Seen {
  fileprivate mutating func copy(_ item: ItemView) {
    if let start = item.value { value = Array(UnsafeRawBufferPointer(start: start, count: item.count)) }
    version = item.version
    clientFlags = item.clientFlags
    expiry = item.expiry
    wasFetched = item.wasFetched
    idleSeconds = item.idleSeconds
  }
}

// MARK: Writing
extension CoreHarness {
  /// Stores `value` the way its size asks for: inline, or through `reserveLarge`; asks again where both parts of an append need large memory.
  func store(_ key: TestKey, _ value: [UInt8], _ request: StoreRequest) -> StoreResult {
    var request = request
    guard value.count > store.largestInlineBytes else {
      return value.withUnsafeBytes { bytes in
        request.value = bytes.baseAddress
        request.count = bytes.count
        return storeOnceOrTwice(key, request)
      }
    }
    guard let large = store.reserveLarge(count: value.count) else {
      var result = StoreResult()
      result.status = .outOfMemory
      return result
    }
    value.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      large.bytes.copyMemory(from: base, byteCount: bytes.count)
    }
    request.large = large
    request.count = value.count
    let result = storeOnceOrTwice(key, request)
    if !result.tookLarge { large.release() }
    store.drainDropped()
    return result
  }

  private func storeOnceOrTwice(_ key: TestKey, _ request: StoreRequest) -> StoreResult {
    let result = with(key) { $1.store($0, nowMs: nowMs, request) }
    guard result.wantedLargeBytes > 0 else { return result }
    return key.bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { preconditionFailure("a key has at least one byte") }
      let key = CacheKey(bytes: base, count: bytes.count, hash: store.hash(base, count: bytes.count))
      return store.storeJoined(key, nowMs: nowMs, request, wantedBytes: result.wantedLargeBytes)
    }
  }

  /// A plain write, allowed unless the test says otherwise. `ttl` in milliseconds; nil: never.
  @discardableResult
  func set(
    _ key: TestKey, _ value: String, ttl: UInt64? = nil, grace: UInt64 = 0, mode: StoreMode = .set, plainWrites: PlainWrites = .allow,
    explicitVersion: UInt64? = nil, clientFlags: UInt32 = 0
  ) -> StoreResult {
    var request = StoreRequest()
    request.mode = mode
    request.expiry = expiry(ttl)
    request.graceMs = grace
    request.plainWrites = plainWrites
    request.explicitVersion = explicitVersion
    request.clientFlags = clientFlags
    return store(key, Array(value.utf8), request)
  }

  /// `lease-set`.
  @discardableResult
  func fill(_ key: TestKey, _ token: UInt64, _ value: String, ttl: UInt64? = nil, grace: UInt64 = 0, expiry: Expiry? = nil) -> StoreStatus {
    var request = StoreRequest()
    request.expiry = expiry ?? self.expiry(ttl)
    request.graceMs = grace
    request.compare = token
    request.isLeaseSet = true
    return store(key, Array(value.utf8), request).status
  }

  /// `cas`, `ms C`, with `invalidate` for `ms C I`.
  @discardableResult
  func cas(_ key: TestKey, _ version: UInt64, _ value: String, ttl: UInt64? = nil, invalidate: Bool = false, expiry: Expiry? = nil)
    -> StoreResult
  {
    var request = StoreRequest()
    request.expiry = expiry ?? self.expiry(ttl)
    request.compare = version
    request.invalidate = invalidate
    return store(key, Array(value.utf8), request)
  }

  @discardableResult
  func delete(_ key: TestKey, compare: UInt64? = nil) -> DeleteStatus {
    var request = DeleteRequest()
    request.compare = compare
    return with(key) { $1.delete($0, nowMs: nowMs, request) }
  }

  /// `md I`, with `ttl` for its T.
  @discardableResult
  func markStale(_ key: TestKey, ttl: UInt64? = nil, compare: UInt64? = nil) -> DeleteStatus {
    var request = DeleteRequest()
    request.invalidate = true
    request.compare = compare
    request.touch = ttl.map { Expiry(atMs: nowMs &+ $0) }
    return with(key) { $1.delete($0, nowMs: nowMs, request) }
  }

  @discardableResult
  func touch(_ key: TestKey, ttl: UInt64?) -> Bool {
    let expiry = expiry(ttl)
    return with(key) { $1.touch($0, nowMs: nowMs, expiry) }
  }

  @discardableResult
  func incr(
    _ key: TestKey, by delta: UInt64 = 1, decrement: Bool = false, compare: UInt64? = nil, plainWrites: PlainWrites = .allow
  ) -> ArithmeticResult {
    var request = ArithmeticRequest()
    request.delta = delta
    request.isDecrement = decrement
    request.compare = compare
    request.plainWrites = plainWrites
    return with(key) { $1.arithmetic($0, nowMs: nowMs, request) }
  }
}

// MARK: Leases and upkeep
extension CoreHarness {
  func extend(_ key: TestKey, _ token: UInt64, ms: UInt64) -> Bool {
    with(key) { $1.leaseExtend($0, nowMs: nowMs, token: token, byMs: ms) }
  }

  func release(_ key: TestKey, _ token: UInt64) -> Bool { with(key) { $1.leaseRelease($0, nowMs: nowMs, token: token) } }

  func fail(_ key: TestKey, _ token: UInt64, ms: UInt64, _ message: String = "no") -> Bool {
    Array(message.utf8).withUnsafeBytes { bytes in
      with(key) { $1.leaseFail($0, nowMs: nowMs, token: token, forMs: ms, message: bytes) }
    }
  }

  func pass(_ key: TestKey, _ token: UInt64, ms: UInt64) -> Bool { with(key) { $1.leasePass($0, nowMs: nowMs, token: token, forMs: ms) } }

  func keep(_ key: TestKey, _ token: UInt64, ttl: UInt64?) -> Bool {
    let expiry = expiry(ttl)
    return with(key) { $1.leaseKeep($0, nowMs: nowMs, token: token, expiry: expiry) }
  }

  func hold(_ key: TestKey, ms: UInt64, holderID: UInt64 = 0) -> UInt64? {
    with(key) { $1.leaseHold($0, nowMs: nowMs, forMs: ms, holderID: holderID) }
  }

  func disconnect(_ key: TestKey, _ token: UInt64) -> Bool { with(key) { $1.disconnectHolder(hash: $0.hash, token: token, nowMs: nowMs) } }

  func isLive(_ key: TestKey, _ token: UInt64) -> Bool { with(key) { $1.isLive(hash: $0.hash, token: token, nowMs: nowMs) } }

  func flush() { eachPartition { $0.flush(nowMs: nowMs) } }

  /// Lets every partition do what is due now. Returns the earliest time at which one has something to do again.
  @discardableResult
  func maintain() -> Milliseconds {
    var earliestMs = Milliseconds.max
    eachPartition { partition in
      var nextMs = partition.maintain(nowMs: nowMs)
      var rounds = 0
      while nextMs <= nowMs && rounds < 10_000 {
        nextMs = partition.maintain(nowMs: nowMs)
        rounds += 1
      }
      earliestMs = min(earliestMs, nextMs)
    }
    store.drainDropped()
    return earliestMs
  }

  var usage: Usage { store.usage }
  var counters: Counters { store.counters }
}
