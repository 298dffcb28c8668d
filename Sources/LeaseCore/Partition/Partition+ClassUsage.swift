/// What the segments of one time class hold. Class 0 never expires.
public struct ClassUsage: Sendable, Equatable {
  public var segments: UInt64 = 0, items: UInt64 = 0, liveBytes: UInt64 = 0, usedBytes: UInt64 = 0, evictions: UInt64 = 0
  /// When the oldest of its segments was opened; `.max`: it has none.
  public var oldestMs: Milliseconds = .max
  public init() {}
}

extension Partition {
  func resetCounters() {
    counters = Counters()
    for index in 0..<TimeClasses.most { state.pointee.evictedByClass[index] = 0 }
  }

  /// Adds this partition's segments and evictions to `classes`, by class index; the array grows as needed. O(segments), for `stats`.
  public func addClassUsage(to classes: inout [ClassUsage]) {
    while classes.count < TimeClasses.most { classes.append(ClassUsage()) }
    for number in 0..<state.pointee.segmentCount where state.pointee.segments[number].phase != .free {
      let segment = state.pointee.segments + number
      let index = Int(segment.pointee.classIndex)
      classes[index].segments &+= 1
      classes[index].items &+= UInt64(max(0, segment.pointee.liveItems))
      classes[index].liveBytes &+= UInt64(max(0, segment.pointee.liveBytes))
      classes[index].usedBytes &+= UInt64(max(0, segment.pointee.usedBytes))
      classes[index].oldestMs = min(classes[index].oldestMs, segment.pointee.createdMs)
    }
    for index in 0..<TimeClasses.most { classes[index].evictions &+= state.pointee.evictedByClass[index] }
  }
}
