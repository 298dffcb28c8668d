import LeaseCore
import LeaseWire

typealias ConnectionPointer = UnsafeMutablePointer<Connection>

/// What a connection's next bytes are.
enum ConnectionPhase: UInt8 {
  /// The start of a line.
  case line
  /// Keys of a `get`-like line, until its end.
  case manyKeys
  /// The rest of a line that is not looked at.
  case swallowLine
  /// `remaining` bytes that are not looked at: the data block of a refused command.
  case swallowData
  /// A large value, received straight into its place; then its line end.
  case largeValue
  /// Inside `lru_crawler metadump` or `mgdump`: no bytes are read until it is over.
  case dump
  /// `watch`: what comes is not looked at.
  case watching
  /// A request waits in the store and keeps its place: what comes is kept.
  case parked
  /// As `parked`, for keys of a `get`-like line that is read to its end.
  case awaitKeys
}

/// A lease that this connection was granted.
struct HeldLease {
  var hash: UInt64
  var token: UInt64
}

/// A lump of bytes that the kernel did not take yet: own bytes, or a pinned large value.
struct PendingChunk {
  var next: UnsafeMutablePointer<PendingChunk>?
  var bytes: UnsafeMutableRawPointer
  var offset: Int
  var count: Int
  var large: LargeValue?
}

/// One client. Flat, at a fixed address, touched by its worker only (but `record`, which others read).
/// Invariants: `inputStart <= inputEnd <= inputCapacity`; `pendingBytes` is what the chunks still hold, each with a fixed surcharge;
/// reading is on exactly when it is not blocked and not closing.
struct Connection {
  let record: UnsafeMutablePointer<ConnectionRecord>
  let fd: Int32
  let id: UInt64
  let worker: WorkerPointer
  let readEvent: UnsafeMutablePointer<LoopEvent>
  /// There while the kernel takes no more and something is unsent.
  var writeEvent: UnsafeMutablePointer<LoopEvent>?
  var previous: ConnectionPointer?
  var next: ConnectionPointer?

  var phase = ConnectionPhase.line
  var isAuthenticated: Bool
  /// Output above its bound: requests wait, nothing is read.
  var isBlocked = false
  /// In its worker's list of those: there are requests in `input`.
  var isYielding = false
  /// Close as soon as the output is gone.
  var isClosing = false
  var isReading = false
  /// It has replies in the worker's output that are sent when the loop's turn ends.
  var isPostponed = false

  // Bytes received but not executed yet; nil when there are none.
  var input: UnsafeMutableRawPointer?
  var inputStart = 0
  var inputEnd = 0
  var inputCapacity = 0
  /// Executing goes no further before so many bytes are there.
  var neededBytes = 0

  var pendingFirst: UnsafeMutablePointer<PendingChunk>?
  var pendingLast: UnsafeMutablePointer<PendingChunk>?
  var pendingBytes = 0

  /// Data to swallow.
  var remaining = 0
  var many = ManyKeys()
  var largeWrite = LargeWrite()
  var dump = DumpState()
  var watcher: Unmanaged<Watcher>?

  /// Requests that wait in the store, the newest first; those of them whose answer could not be taken yet, and its bytes.
  var parked: ParkedPointer?
  var parkedCount = 0
  var deferredCount = 0
  var deferredBytes = 0
  var lastDeferred: ObjectIdentifier?
  /// Too much came while a request waits: only the client's end is listened for, on `endFD`, a duplicate (-1: none).
  var isHearingEnd = false
  var endFD: Int32 = -1

  var held: UnsafeMutablePointer<HeldLease>?
  var heldCount = 0
  var heldCapacity = 0
  /// So many leases go by before a list that was full of live ones is looked through again.
  var heldSkips = 0

  init(fd: Int32, id: UInt64, worker: WorkerPointer, isAuthenticated: Bool, nowSeconds: UInt32) {
    record = .allocate(capacity: 1)
    record.initialize(to: ConnectionRecord(fd: fd, nowSeconds: nowSeconds))
    readEvent = .allocate(capacity: 1)
    readEvent.initialize(to: LoopEvent())
    self.fd = fd
    self.id = id
    self.worker = worker
    self.isAuthenticated = isAuthenticated
  }
}

extension Connection {
  /// Frees what `init` made. The event is removed and the record is out of its registry.
  func freeParts() {
    record.deinitialize(count: 1)
    record.deallocate()
    readEvent.deinitialize(count: 1)
    readEvent.deallocate()
  }
  static let structureBytes = MemoryLayout<Connection>.stride + MemoryLayout<ConnectionRecord>.stride + MemoryLayout<LoopEvent>.stride
}

/// Where a multi-key line stands.
struct ManyKeys {
  var command = Command.get
  var exptime: Int32 = 0
  var keyCount = 0
  /// Keys whose value another is fetching.
  var waitingKeys = 0
  /// So much of the connection's part of the output lies before the line's replies, while nothing of them was sent: an error takes them
  /// back. -1: too late.
  var outputMark = -1
}

/// A large value that is being received, and the line that announced it.
struct LargeWrite {
  var value: LargeValue?
  var received = 0
  var line: UnsafeMutableRawPointer?
  var lineCount = 0
}

/// Where a dump stands.
struct DumpState {
  var partition = 0
  var cursor: UInt64 = 0
  var isMeta = false
}

/// The bounds of a connection. A flag may override the ones that have one.
enum ConnectionLimits {
  /// Unsent output above which a connection's requests wait.
  static let pendingBytes = 256 << 10
  /// Memory of a worker's connections (structures, unexecuted input, unsent output) above which it is overloaded: a value that needs memory
  /// of its connection is refused as busy, and whoever does not read at once waits.
  static let workerBytes = 256 << 20
  /// What may come behind a request that waits before nothing more is read.
  static let parkedInputBytes = 64 << 10
  /// Answers that wait for a client to read what it was sent; above it the client is cut off.
  static let deferredBytes = 32 << 20
  /// What an own input buffer takes beside what is needed.
  static let inputSlack = 16 << 10
  /// Leases that one connection is remembered to hold; further ones end at their deadline only.
  static let heldLeases = 65_536
  /// What a queued chunk costs beside its bytes.
  static let chunkCharge = 64
}
