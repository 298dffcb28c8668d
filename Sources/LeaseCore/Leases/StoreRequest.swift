public enum StoreMode: UInt8 { case set, add, replace, append, prepend }

/// A write. `value`/`count` are copied, unless `large` is given (see `Store.reserveLarge`): that belongs to the store afterwards if
/// `StoreResult.tookLarge` says so; otherwise the caller still owns it.
public struct StoreRequest {
  public var mode = StoreMode.set
  public var value: UnsafeRawPointer? = nil
  public var count = 0
  public var large: LargeValue? = nil
  public var clientFlags: UInt32 = 0
  public var expiry = Expiry.never
  /// Nil: the key's.
  public var graceMs: UInt64? = nil
  /// `cas`, `ms C`: the version or lease token that the writer saw.
  public var compare: UInt64? = nil
  /// `lease-set`: `compare` must be a lease token or a fresh value's version; refusals are NOT_STORED, not EXISTS.
  public var isLeaseSet = false
  /// `ms I`: an older `compare` is kept as stale instead of refused.
  public var invalidate = false
  /// `E`.
  public var explicitVersion: UInt64? = nil
  /// `ms MA N`, `MP N`: append or prepend that creates; expiry is then this.
  public var vivify = false
  public var plainWrites = PlainWrites.reject
  /// Append, prepend, asked again by `Store.storeJoined`: memory for both parts. The caller keeps its reference.
  public var joined: LargeValue? = nil
  public init() {}
}

public enum StoreStatus: UInt8 {
  case stored, staleStored, notStored, exists, notFound
  /// Plain write refused: `CLIENT_ERROR lease token required`.
  case tokenRequired
  case outOfMemory
  case tooLarge
}

public struct StoreResult {
  public var status = StoreStatus.notStored
  public var version: UInt64 = 0
  /// The stored item's size (append, prepend: the new size).
  public var count = 0
  /// Whether the request's `large` belongs to the store now; otherwise the caller releases it.
  public var tookLarge = false
  /// Append, prepend, out of memory: both parts need so much large memory, see `Store.storeJoined`.
  public var wantedLargeBytes = 0
  public init() {}
}
