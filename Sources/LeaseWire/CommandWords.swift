extension RequestParser {
  /// The command that a line's first word names; by length first, so that few words are compared.
  static func command(_ word: Token) -> Command {
    switch word.count {
    case 2: metaCommand(word)
    case 3...5: shortCommand(word)
    case 6...8: middleCommand(word)
    default: longCommand(word)
    }
  }

  private static func metaCommand(_ word: Token) -> Command {
    guard word.first == UInt8(ascii: "m") else { return .unknown }
    switch word.start.load(fromByteOffset: 1, as: UInt8.self) {
    case UInt8(ascii: "g"): return .metaGet
    case UInt8(ascii: "s"): return .metaSet
    case UInt8(ascii: "d"): return .metaDelete
    case UInt8(ascii: "a"): return .metaArithmetic
    case UInt8(ascii: "n"): return .metaNoop
    case UInt8(ascii: "x"): return .metaCancel
    case UInt8(ascii: "e"): return .metaDebug
    default: return .unknown
    }
  }

  private static func shortCommand(_ word: Token) -> Command {
    if word.equals("get") { return .get }
    if word.equals("set") { return .set }
    if word.equals("gets") { return .gets }
    if word.equals("add") { return .add }
    if word.equals("cas") { return .cas }
    if word.equals("gat") { return .gat }
    if word.equals("gats") { return .gats }
    if word.equals("incr") { return .incr }
    if word.equals("decr") { return .decr }
    if word.equals("touch") { return .touch }
    if word.equals("stats") { return .stats }
    if word.equals("quit") { return .quit }
    if word.equals("watch") { return .watch }
    if word.equals("lru") { return .lru }
    if word.equals("slabs") { return .slabs }
    return .unknown
  }

  private static func middleCommand(_ word: Token) -> Command {
    if word.equals("delete") { return .delete }
    if word.equals("append") { return .append }
    if word.equals("replace") { return .replace }
    if word.equals("prepend") { return .prepend }
    if word.equals("version") { return .version }
    if word.equals("policy") { return .policy }
    if word.equals("metaget") { return .metaget }
    if word.equals("shutdown") { return .shutdown }
    return .unknown
  }

  private static func longCommand(_ word: Token) -> Command {
    if word.equals("lease-get") { return .leaseGet }
    if word.equals("lease-set") { return .leaseSet }
    if word.equals("lease-extend") { return .leaseExtend }
    if word.equals("lease-release") { return .leaseRelease }
    if word.equals("lease-fail") { return .leaseFail }
    if word.equals("lease-pass") { return .leasePass }
    if word.equals("lease-keep") { return .leaseKeep }
    if word.equals("lease-hold") { return .leaseHold }
    if word.equals("lease-revoke") { return .leaseRevoke }
    if word.equals("flush_all") { return .flushAll }
    if word.equals("flush_prefix") { return .flushPrefix }
    if word.equals("verbosity") { return .verbosity }
    if word.equals("cache_memlimit") { return .cacheMemlimit }
    if word.equals("lru_crawler") { return .lruCrawler }
    return .unknown
  }
}
