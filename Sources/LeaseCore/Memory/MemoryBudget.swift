import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Hands out all memory that counts under `-m`: segments, index tables, large values.
/// Invariant: used bytes + resident free segments never exceed the limit, except right after the limit was lowered.
final class MemoryBudget: Sendable {
  /// The book-keeping of one budget.
  struct State: @unchecked Sendable {
    var limitBytes: Int
    var usedBytes = 0
    /// Free segments that still have their pages, and those that gave them back.
    var residentFree: [UnsafeMutableRawPointer] = []
    var returnedFree: [UnsafeMutableRawPointer] = []
    /// The reserved address range that new segments are cut from.
    var regionNext: UnsafeMutableRawPointer
    var regionEnd: UnsafeMutableRawPointer
    /// All ranges that were ever reserved, to be unmapped at the end.
    var regions: [(memory: UnsafeMutableRawPointer, bytes: Int)]
    var droppedHead: UnsafeMutableRawPointer?
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
      return memory
    }
  }

  func giveSegment(_ memory: UnsafeMutableRawPointer) {
    state.withLock { state in
      state.usedBytes -= segmentBytes
      if state.usedBytes + (state.residentFree.count + 1) * segmentBytes <= state.limitBytes {
        state.residentFree.append(memory)
      } else {
        returnPages(memory, segmentBytes)
        state.returnedFree.append(memory)
      }
    }
  }

  /// Books bytes for an index table or a large value; free segments give their pages back to make room.
  func reserve(bytes: Int) -> Bool {
    state.withLock { state in
      guard state.usedBytes + bytes <= state.limitBytes else { return false }
      state.usedBytes += bytes
      trimResidentFree(&state)
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
      trimResidentFree(&state)
      return true
    }
  }

  private func trimResidentFree(_ state: inout State) {
    while state.usedBytes + state.residentFree.count * segmentBytes > state.limitBytes, let memory = state.residentFree.popLast() {
      returnPages(memory, segmentBytes)
      state.returnedFree.append(memory)
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
