/// What a reader asks of the lease rules. All zero: a plain `get`.
public struct ReadOptions {
  public enum Kind: UInt8 {
    /// `get gets gat gats`: an owed key is a miss; a value kept stale by a delete or by grace is not shown, one made by `md I` is.
    case classic
    /// `mg`: as memcached's meta get; `knowsLeases`, `wantsLease`... below say which flags came.
    case meta
    /// `lease-get`: always asks for a lease and always takes the stale value.
    case lease
  }
  public var kind: Kind = .classic
  /// mg N, Lw or Ll (or lease-get): a lease is asked for on a miss or a stale value.
  public var wantsLease = false
  /// mg with N, R or any L: the request knows leases, so hidden stale values are shown to it.
  public var knowsLeases = false
  /// Lf: a stale value is no answer, except for the winner.
  public var freshOnly = false
  /// `u`: leave frequency, last access and fetched bit alone.
  public var leavesAccessAlone = false
  /// Ll or N in milliseconds; 0: the server's lease length.
  public var leaseMs: UInt64 = 0
  /// R: win a refresh lease when less than this is left. `Int64.min`: no R.
  public var refreshBelowMs: Int64 = .min
  /// Lh: up to so many holders. 0: the server's.
  public var holders: Int = 0
  /// T, gat: new expiry. nil: leave.
  public var touch: Expiry? = nil
  /// The connection that will hold a granted lease (for release on disconnect); 0: none.
  public var holderID: UInt64 = 0
  public init() {}
}

public enum ReadStatus: UInt8 {
  /// No value, nothing owed to this reader: `EN`, nothing in `get`.
  case miss
  /// `item` is valid. `isStale` (X), `isWon` (W), `isOwed` (Z) say more.
  case hit
  /// No value; this reader was granted `token` (W). `item` is not valid.
  case granted
  /// No value; another holds the lease (Z, token 1).
  case hotMiss
  /// The fill failed: `messageBytes`, `messageCount`, `remainingMs`. Only for readers with L or lease-get.
  case failed
  /// Uncacheable for now, or held by a writer, or the lease table is full: token 0, `PS` with L, else `EN`. (If there is a stale value
  /// the status is `.hit` with isStale, token 0.)
  case passed
}

/// What a read found. Pointers are valid only until the partition is unlocked.
public struct ReadResult {
  public var status: ReadStatus = .miss
  public var isStale = false
  public var isWon = false
  public var isOwed = false
  /// Granted: the lease token. Hot miss: 1. Else 0. For `mg c`: the token when won, else the item's version (1 on a Z without a value).
  public var token: UInt64 = 0
  public var item = ItemView()
  public var messageBytes: UnsafeRawPointer? = nil
  public var messageCount = 0
  /// Failed or passed: how long it still holds. Granted or hot miss without value: what is left of the lease (mg's `t` on a stub).
  public var remainingMs: UInt64 = 0
  public init() {}
}

extension PartitionState {
  /// A fresh value without lease options. False: a miss for a classic reader.
  @inline(__always)
  mutating func readFresh(_ key: CacheKey, into item: inout ItemView) -> Bool {
    counters.cmdGet &+= 1
    if let found = find(key), isPlainlyFresh(found) {
      counters.getHits &+= 1
      viewValue(found, into: &item)
      noteAccess(found)
      return true
    }
    return readWithCare(key, into: &item)
  }

  /// A fresh value without lease or stale mark: value, client flags and version of it. False: not so, or no value; nothing was counted.
  @inline(__always)
  mutating func readValue(_ key: CacheKey, wantsLease: Bool, into item: inout ItemView) -> Bool {
    guard let found = hitPlainly(key, wantsLease: wantsLease) else { return false }
    viewValue(found, into: &item)
    noteAccess(found)
    return true
  }

  /// The same with all that is to be told of it.
  @inline(__always)
  mutating func readPlain(_ key: CacheKey, wantsLease: Bool, into item: inout ItemView) -> Bool {
    guard let found = hitPlainly(key, wantsLease: wantsLease) else { return false }
    view(found, into: &item)
    noteAccess(found)
    return true
  }

  /// Counted if found.
  @inline(__always)
  private mutating func hitPlainly(_ key: CacheKey, wantsLease: Bool) -> Found? {
    guard let found = find(key), isPlainlyFresh(found) else { return nil }
    if wantsLease, refreshesAhead, settings(for: key).refreshAheadMs > 0 { return nil }
    counters.cmdGet &+= 1
    counters.getHits &+= 1
    return found
  }

  @inline(never)
  private mutating func readWithCare(_ key: CacheKey, into item: inout ItemView) -> Bool {
    let before = find(key)
    let wasFlushed = before.map { isFlushed($0) } ?? false
    let look = look(key)
    guard look.isItem, let found = look.found else {
      counters.getMisses &+= 1
      if before != nil, look.found == nil {
        if wasFlushed { counters.getFlushed &+= 1 } else { counters.getExpired &+= 1 }
      }
      return false
    }
    counters.getHits &+= 1
    view(found, into: &item)
    noteAccess(found)
    return true
  }

  mutating func read(_ key: CacheKey, _ options: ReadOptions, into result: inout ReadResult) {
    result = ReadResult()
    var look = look(key)
    // A value whose new expiry is past is shown once more, as memcached does.
    let endsNow = look.isItem && options.touch.map { $0.atMs <= nowMs } ?? false
    if let touch = options.touch, look.isItem, !endsNow { touchFound(key, &look, touch) }
    switch look.visibility {
    case .fresh: readFresh(key, look, options, &result)
    case .staleMarked: readStale(key, look, options, &result)
    case .hiddenStale where options.knowsLeases || options.kind == .lease: readStale(key, look, options, &result)
    case .hiddenStale, .absent: readAbsent(key, look, options, &result)
    }
    if endsNow, let found = find(key) { remove(found, hash: key.hash) }
    count(options, result)
  }

  private mutating func count(_ options: ReadOptions, _ result: ReadResult) {
    let isHit = result.status == .hit
    if options.touch != nil {
      counters.cmdTouch &+= 1
      if isHit { counters.touchHits &+= 1 } else { counters.touchMisses &+= 1 }
      if options.kind == .meta { return }
    }
    counters.cmdGet &+= 1
    if isHit { counters.getHits &+= 1 } else { counters.getMisses &+= 1 }
    if isHit, result.isStale { counters.staleHits &+= 1 }
    if result.status == .hotMiss { counters.hotMisses &+= 1 }
  }

  private mutating func show(_ found: Found, _ options: ReadOptions, _ result: inout ReadResult) {
    // A grant may just have marked the item.
    let found = Found(slot: found.slot, item: found.item, header: found.item.header)
    result.status = .hit
    view(found, into: &result.item)
    if !options.leavesAccessAlone { noteAccess(found) }
  }

  private mutating func readFresh(_ key: CacheKey, _ look: Look, _ options: ReadOptions, _ result: inout ReadResult) {
    guard let found = look.found else { return }
    show(found, options, &result)
    if let record = look.record { result.isOwed = record.liveGrants > 0 && options.kind == .meta }
    let refreshBelowMs = refreshBelowMs(for: key, options)
    guard refreshBelowMs != .min, !result.isOwed, result.item.expiry != .never,
      Int64(clamping: result.item.expiry.atMs) - Int64(clamping: nowMs) < refreshBelowMs,
      look.record.map({ $0.pointee.outcome == .none }) ?? true
    else { return }
    if let token = tryGrant(key, look, .refresh, options).token {
      result.isWon = true
      result.token = token
      counters.refreshGrants += 1
    }
  }

  private mutating func readStale(_ key: CacheKey, _ look: Look, _ options: ReadOptions, _ result: inout ReadResult) {
    guard let found = look.found else { return }
    if options.kind == .classic { return show(found, options, &result) }
    let answer = tryGrant(key, look, .reader, options)
    if options.freshOnly, answer.token == nil {
      return tell(answer, key, look.record, options, &result)
    }
    show(found, options, &result)
    result.isStale = true
    switch answer {
    case .granted(let token):
      result.isWon = true
      result.token = token
    case .owed, .failed:
      result.isOwed = true
      result.token = 1
    case .tooFew, .passed: break
    }
  }

  private mutating func readAbsent(_ key: CacheKey, _ look: Look, _ options: ReadOptions, _ result: inout ReadResult) {
    if options.kind == .classic { return }
    if options.wantsLease || options.kind == .lease {
      return tell(tryGrant(key, look, .reader, options), key, look.record, options, &result)
    }
    guard let record = look.record else { return }
    switch record.pointee.outcome {
    case .failed: tell(.failed, key, record, options, &result)
    case .passed: tell(.passed, key, record, options, &result)
    case .none:
      if record.writer != nil {
        tell(.passed, key, record, options, &result)
      } else if record.liveLeases > 0 {
        tell(.owed, key, record, options, &result)
      }
    }
  }

  /// An answer without a value; who would rather wait asks `park`.
  private func tell(_ answer: Answer, _ key: CacheKey, _ record: RecordPointer?, _ options: ReadOptions, _ result: inout ReadResult) {
    switch answer {
    case .granted(let token):
      result.status = .granted
      result.isWon = true
      result.token = token
      result.remainingMs = leaseLengthMs(key, options)
    case .owed:
      result.status = .hotMiss
      result.isOwed = true
      result.token = 1
      if let record, record.lastDeadlineMs > nowMs { result.remainingMs = record.lastDeadlineMs - nowMs }
    case .failed:
      guard options.knowsLeases || options.kind == .lease, let record else { return }
      result = failure(record)
    case .passed:
      result.status = .passed
      if let record, record.pointee.outcome == .passed { result.remainingMs = record.pointee.outcomeUntilMs - nowMs }
    case .tooFew:
      result.status = .passed
    }
  }
}
