import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Hands out all memory that counts under `-m`: segments, index tables, large values.
/// Invariant: used bytes, resident free segments and recycled mappings together never exceed the limit, except right after it was lowered.
final class MemoryBudget: Sendable {
  /// Pages of their own.
  struct Mapping {
    let memory: UnsafeMutableRawPointer
    let bytes: Int
  }

  /// More are unmapped, and so is what would be more than an eighth of the limit.
  private static let mostRecycled = 16
  private static let mostRecycledBytes = 16 << 20

  /// The book-keeping of one budget.
  struct State: @unchecked Sendable {
    var limitBytes: Int
    var usedBytes = 0
    /// Free segments that still have their pages, and those that gave them back.
    var residentFree: [UnsafeMutableRawPointer] = []
    var returnedFree: [UnsafeMutableRawPointer] = []
    /// Mappings of large values that are gone, with their pages, the oldest first: mapping anew costs a page fault every 4 KB.
    var recycled: [Mapping] = []
    var recycledBytes = 0
    /// The reserved address range that new segments are cut from.
    var regionNext: UnsafeMutableRawPointer
    var regionEnd: UnsafeMutableRawPointer
    /// All ranges that were ever reserved, to be unmapped at the end.
    var regions: [(memory: UnsafeMutableRawPointer, bytes: Int)]
    var droppedHead: UnsafeMutableRawPointer?

    func residentBytes(_ segmentBytes: Int) -> Int { usedBytes + residentFree.count * segmentBytes + recycledBytes }
  }

  let segmentBytes: Int
  /// Copies of values that waiters have not been sent yet, beside the limit, and their own bound.
  private let waiterCopyBytes = Atomic<Int>(0)
  private let mostWaiterCopyBytes: Int
  private let state: Guarded<State>

  init?(limitBytes: Int, segmentBytes: Int, mostWaiterCopyBytes: Int) {
    self.mostWaiterCopyBytes = mostWaiterCopyBytes
    self.segmentBytes = segmentBytes
    guard let region = mapMemory(bytes: limitBytes + segmentBytes) else { return nil }
    let regions = [(memory: region, bytes: limitBytes + segmentBytes)]
    state = Guarded(State(limitBytes: limitBytes, regionNext: region, regionEnd: region + limitBytes, regions: regions))
  }

  /// Only after every partition and every large value is gone.
  deinit {
    state.withLock { state in
      for mapping in state.recycled { unmapMemory(mapping.memory, bytes: mapping.bytes) }
      for region in state.regions { unmapMemory(region.memory, bytes: region.bytes) }
    }
  }

  /// Memory for one more segment that does not count: a partition's spare, which changes places with counted ones. Unmapped with the ranges.
  func mapSpare() -> UnsafeMutableRawPointer? {
    state.withLock { state in
      guard let memory = mapMemory(bytes: segmentBytes) else { return nil }
      state.regions.append((memory: memory, bytes: segmentBytes))
      return memory
    }
  }

  var limitBytes: Int { state.withLock { $0.limitBytes } }
  var usedBytes: Int { state.withLock { $0.usedBytes } }

  /// A segment's memory, not zeroed, or nil when the budget is used up.
  func takeSegment() -> UnsafeMutableRawPointer? {
    state.withLock { state in
      if let memory = state.residentFree.popLast() {
        state.usedBytes += segmentBytes
        return memory
      }
      guard state.usedBytes + segmentBytes <= state.limitBytes else { return nil }
      let memory: UnsafeMutableRawPointer
      if let returned = state.returnedFree.popLast() {
        memory = returned
      } else if state.regionNext + segmentBytes <= state.regionEnd {
        memory = state.regionNext
        state.regionNext += segmentBytes
      } else {
        return nil
      }
      state.usedBytes += segmentBytes
      trimFree(&state)
      return memory
    }
  }

  func giveSegment(_ memory: UnsafeMutableRawPointer) {
    state.withLock { state in
      state.usedBytes -= segmentBytes
      if state.residentBytes(segmentBytes) + segmentBytes <= state.limitBytes {
        state.residentFree.append(memory)
      } else {
        returnPages(memory, segmentBytes)
        state.returnedFree.append(memory)
      }
    }
  }

  /// Pages for a large value: at least so many bytes, at most an eighth more. Nil: the budget is used up, or the kernel refuses.
  func takeMapping(bytes: Int) -> Mapping? {
    let recycled = state.withLock { state -> Mapping? in
      guard let index = state.recycled.lastIndex(where: { $0.bytes >= bytes && $0.bytes <= bytes + bytes / 8 }) else { return nil }
      let mapping = state.recycled.remove(at: index)
      state.recycledBytes -= mapping.bytes
      state.usedBytes += mapping.bytes
      return mapping
    }
    if let recycled { return recycled }
    guard reserve(bytes: bytes) else { return nil }
    guard let memory = mapMemory(bytes: bytes) else {
      release(bytes: bytes)
      return nil
    }
    return Mapping(memory: memory, bytes: bytes)
  }

  func giveMapping(_ mapping: Mapping) {
    let isKept = state.withLock { state in
      state.usedBytes -= mapping.bytes
      guard state.recycled.count < Self.mostRecycled,
        state.recycledBytes + mapping.bytes <= min(Self.mostRecycledBytes, state.limitBytes / 8),
        state.residentBytes(segmentBytes) + mapping.bytes <= state.limitBytes
      else { return false }
      state.recycled.append(mapping)
      state.recycledBytes += mapping.bytes
      return true
    }
    if !isKept { unmapMemory(mapping.memory, bytes: mapping.bytes) }
  }

  /// Books bytes for an index table or a large value; what is free gives its pages back to make room.
  func reserve(bytes: Int) -> Bool {
    state.withLock { state in
      guard state.usedBytes + bytes <= state.limitBytes else { return false }
      state.usedBytes += bytes
      trimFree(&state)
      return true
    }
  }

  func release(bytes: Int) { state.withLock { $0.usedBytes -= bytes } }

  /// False: no address space. A lowered limit is met as partitions give memory back.
  func setLimit(bytes: Int) -> Bool {
    state.withLock { state in
      if bytes > state.limitBytes {
        let more = bytes - state.limitBytes
        guard let region = mapMemory(bytes: more + segmentBytes) else { return false }
        // What is left of the old range is cut into free segments without pages.
        while state.regionNext + segmentBytes <= state.regionEnd {
          state.returnedFree.append(state.regionNext)
          state.regionNext += segmentBytes
        }
        state.regionNext = region
        state.regionEnd = region + more + segmentBytes
        state.regions.append((memory: region, bytes: more + segmentBytes))
      }
      state.limitBytes = bytes
      trimFree(&state)
      return true
    }
  }

  private func trimFree(_ state: inout State) {
    while state.residentBytes(segmentBytes) > state.limitBytes {
      if !state.recycled.isEmpty {
        let mapping = state.recycled.removeFirst()
        state.recycledBytes -= mapping.bytes
        unmapMemory(mapping.memory, bytes: mapping.bytes)
      } else if let memory = state.residentFree.popLast() {
        returnPages(memory, segmentBytes)
        state.returnedFree.append(memory)
      } else {
        return
      }
    }
  }

  /// False: too much waits to be sent already.
  func takeWaiterCopy(bytes: Int) -> Bool {
    guard waiterCopyBytes.wrappingAdd(bytes, ordering: .relaxed).newValue > mostWaiterCopyBytes else { return true }
    giveWaiterCopy(bytes: bytes)
    return false
  }

  func giveWaiterCopy(bytes: Int) { waiterCopyBytes.wrappingSubtract(bytes, ordering: .relaxed) }
  var usedWaiterCopyBytes: Int { waiterCopyBytes.load(ordering: .relaxed) }

  // MARK: Large values that the store has let go of

  /// Called under a partition's lock: unmapping is a system call and waits until `drainDropped`.
  func drop(_ value: LargeValue) {
    state.withLock { state in
      value.header.pointee.next = state.droppedHead.map { $0.assumingMemoryBound(to: LargeHeader.self) }
      state.droppedHead = UnsafeMutableRawPointer(value.header)
    }
    hasDropped.store(true, ordering: .releasing)
  }

  private let hasDropped = Atomic<Bool>(false)

  @inline(__always)
  func drainDropped() {
    if hasDropped.load(ordering: .relaxed) { drainDroppedSlowly() }
  }

  @inline(never)
  private func drainDroppedSlowly() {
    hasDropped.store(false, ordering: .relaxed)
    var head = state.withLock { state in
      let head = state.droppedHead
      state.droppedHead = nil
      return DroppedList(head: head)
    }.head
    while let raw = head {
      let value = LargeValue(header: raw.assumingMemoryBound(to: LargeHeader.self))
      head = value.header.pointee.next.map { UnsafeMutableRawPointer($0) }
      value.release()
    }
  }

  /// Carries the list's head out of the lock.
  private struct DroppedList: @unchecked Sendable { var head: UnsafeMutableRawPointer? }
}

let pageBytes = Int(getpagesize())

func roundedToPages(_ bytes: Int) -> Int { (bytes + pageBytes - 1) / pageBytes * pageBytes }

/// Zeroed pages that become resident when touched; nil when the address space or the kernel's limits say no.
func mapMemory(bytes: Int) -> UnsafeMutableRawPointer? {
  #if os(Linux)
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
  #else
    let flags = MAP_PRIVATE | MAP_ANON
  #endif
  let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, flags, -1, 0)
  return memory == MAP_FAILED ? nil : memory
}

func unmapMemory(_ memory: UnsafeMutableRawPointer, bytes: Int) { munmap(memory, bytes) }

private func returnPages(_ memory: UnsafeMutableRawPointer, _ bytes: Int) { madvise(memory, bytes, Int32(MADV_DONTNEED)) }
