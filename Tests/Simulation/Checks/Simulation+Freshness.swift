import LeaseCore

/// What readers are shown: nothing as fresh that may be out of date, nothing stale for too long, nothing damaged.
extension Simulation {
  /// The serial of a value that somebody is shown; -1: an empty value. The value is whole and the key's own.
  func serial(_ item: ItemView, _ key: Int) -> Int {
    let bytes = item.value ?? item.large.map { UnsafeRawPointer($0.bytes) }
    guard let bytes, item.count > 0 else { return -1 }
    let said = ValueBytes.serial(bytes, item.count)
    if said == -1 { return -1 }
    guard let serial = said, values.indices.contains(serial), values[serial].key == key else {
      fail(.wrongValue, "key \(key): a value that nobody wrote")
      return -1
    }
    if item.count >= 64, item.count == values[serial].count, !ValueBytes.isWhole(bytes, item.count, serial: serial) {
      fail(.wrongValue, "key \(key): value \(serial) is torn")
    }
    expect(!tokens.contains(item.version), .tokenRepeated, "value \(serial) has a token as its version")
    return serial
  }

  /// A value shown without X. `isClassic`: to a reader that cannot be told of a mark by `md I`. `isAnswer`: to a waiter, who gets a fill
  /// even when that is over on arrival.
  func showFresh(_ key: Int, _ serial: Int, isClassic: Bool = false, isAnswer: Bool = false) {
    guard serial >= 0 else { return }
    let value = values[serial]
    let facts = keys[key]
    if value.isStaleOnly, isClassic, value.isMarked { return }
    let readTick = readTick(key, value)
    let isOld = isClassic ? facts.isHidden(readTick: readTick) : readTick < facts.floorTick
    expect(
      value.isUnprotected || !isOld, .staleServedAsFresh,
      "key \(key): value \(serial), read at tick \(readTick), was shown after a delete or hold at tick \(facts.floorTick)")
    expect(!value.isStaleOnly, .staleServedAsFresh, "key \(key): value \(serial) was kept as stale only")
    expect(facts.current < 0 || facts.current == serial, .wrongValue, "key \(key): value \(serial) came back after \(facts.current)")
    expect(value.writtenTick >= facts.flushTick, .wrongValue, "key \(key): value \(serial) came back after a flush")
    let untilMs = max(value.freshUntilMs, facts.touchedUntilMs)
    expect(
      isAnswer || untilMs >= .max - 2 || timeMs(key) <= untilMs + 2, .staleTooLong, "key \(key): value \(serial) was fresh until \(untilMs)"
    )
  }

  /// A holder found the database as it was when the value was read, and nothing has come since.
  func isKept(_ key: Int, _ value: ValueFacts) -> Bool {
    keys[key].keptTick > 0 && readTick(key, value) >= keys[key].floorTick && keys[key].keptVersion == value.databaseVersion
  }

  /// When the database was last known to have this value.
  func readTick(_ key: Int, _ value: ValueFacts) -> Int {
    keys[key].keptVersion == value.databaseVersion ? max(value.readTick, keys[key].keptTick) : value.readTick
  }

  /// A value shown with X.
  func showStale(_ key: Int, _ serial: Int) {
    guard serial >= 0 else { return }
    let value = values[serial]
    let facts = keys[key]
    expect(value.writtenTick >= facts.flushTick, .wrongValue, "key \(key): value \(serial) came back after a flush")
    if isKept(key, value) || value.isMarked || value.isUnprotected { return }
    let ownMs = max(value.goneMs, facts.touchedUntilMs &+ (facts.touchedUntilMs < .max - 2_000 ? 2_000 : 0))
    // A value that had expired, and was in its grace, stays so.
    let wasFresh = facts.touchedUntilMs == 0 && value.freshUntilMs > facts.hiddenMs
    let readTick = readTick(key, value)
    let untilMs =
      if value.isStaleOnly || (facts.isHidden(readTick: readTick) && wasFresh) {
        facts.staleUntilMs
      } else if readTick >= max(facts.deleteTick, facts.holdTick) {
        ownMs
      } else {
        max(ownMs, facts.staleUntilMs)
      }
    expect(
      untilMs >= .max - 2 || timeMs(key) <= untilMs + 2, .staleTooLong,
      "key \(key): value \(serial) was to be shown as stale until \(untilMs) only")
  }
}
