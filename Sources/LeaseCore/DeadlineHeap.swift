/// Something with a deadline that knows its place in a `DeadlineHeap`.
protocol DeadlineHeapMember {
  var deadlineMs: Milliseconds { get }
  /// -1: in no heap.
  var heapIndex: Int32 { get set }
}

/// Members at fixed addresses by their deadlines, the earliest first. Invariant: each member in it knows its index.
struct DeadlineHeap<Member: DeadlineHeapMember> {
  typealias MemberPointer = UnsafeMutablePointer<Member>
  private var members: [MemberPointer] = []

  var count: Int { members.count }
  var first: MemberPointer? { members.first }
  /// `.max`: it is empty.
  var earliestMs: Milliseconds { members.first?.pointee.deadlineMs ?? .max }
  var sizeBytes: Int { members.capacity * MemoryLayout<MemberPointer>.size }

  /// After the member's deadline was set: it takes its place, whether it was in the heap or not. O(log members); O(1) for a new one that is the last.
  mutating func place(_ member: MemberPointer) {
    if member.pointee.heapIndex < 0 {
      member.pointee.heapIndex = Int32(truncatingIfNeeded: members.count)
      members.append(member)
    }
    sift(Int(member.pointee.heapIndex))
  }

  /// Nothing happens when it is not in the heap. O(log members).
  mutating func remove(_ member: MemberPointer) {
    let index = Int(member.pointee.heapIndex)
    guard index >= 0 else { return }
    member.pointee.heapIndex = -1
    let last = members.removeLast()
    guard last != member else { return }
    members[index] = last
    last.pointee.heapIndex = Int32(truncatingIfNeeded: index)
    sift(index)
  }

  private mutating func sift(_ start: Int) {
    var index = start
    while index > 0, members[index].pointee.deadlineMs < members[(index - 1) / 2].pointee.deadlineMs {
      swapPlaces(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
    while true {
      var least = index
      for child in (2 * index + 1)...(2 * index + 2) where child < members.count {
        if members[child].pointee.deadlineMs < members[least].pointee.deadlineMs { least = child }
      }
      if least == index { return }
      swapPlaces(index, least)
      index = least
    }
  }

  private mutating func swapPlaces(_ a: Int, _ b: Int) {
    members.swapAt(a, b)
    members[a].pointee.heapIndex = Int32(truncatingIfNeeded: a)
    members[b].pointee.heapIndex = Int32(truncatingIfNeeded: b)
  }
}
