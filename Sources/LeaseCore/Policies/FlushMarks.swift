/// What was flushed under a prefix: items in segments up to `generation` are absent, or stale until a time.
struct FlushMark: Equatable {
  var generation: UInt64
  /// 0: absent at once.
  var staleUntilMs: Milliseconds
}

/// What flushes say of one item.
enum FlushState: Equatable {
  case untouched
  case absent
  case stale(untilMs: Milliseconds)
}

/// The flushes of one prefix, oldest first. Invariant: generations grow; at most `most` marks, and no item comes back by their being merged.
struct FlushMarks: Equatable {
  static let most = 4
  private(set) var marks: [FlushMark] = []

  mutating func add(_ mark: FlushMark, nowMs: Milliseconds) {
    if mark.staleUntilMs <= nowMs {
      marks = [FlushMark(generation: mark.generation, staleUntilMs: 0)]
      return
    }
    // Windows that are over are all the same; of too many that are not, the oldest two end with the earlier one.
    var index = 0
    while index + 1 < marks.count {
      if marks[index].staleUntilMs <= nowMs, marks[index + 1].staleUntilMs <= nowMs { mergeNext(into: index) } else { index += 1 }
    }
    if marks.count == Self.most { mergeNext(into: 0) }
    marks.append(mark)
  }

  private mutating func mergeNext(into index: Int) {
    let next = marks.remove(at: index + 1)
    marks[index] = FlushMark(generation: next.generation, staleUntilMs: min(marks[index].staleUntilMs, next.staleUntilMs))
  }
}
