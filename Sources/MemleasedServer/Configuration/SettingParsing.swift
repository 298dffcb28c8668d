/// Reading one value; every refusal is one line that names the place, the value and what would be right.
extension SettingValue {
  func refusal(_ expected: String) -> StartError { .usage("\(origin): '\(text)' is not \(expected)") }

  func integer(_ range: ClosedRange<Int>, _ what: String) throws(StartError) -> Int {
    guard let number = decimal(text[...]), range.contains(number) else {
      throw refusal("\(what) (\(range.lowerBound) to \(range.upperBound))")
    }
    return number
  }

  /// A number of `unit` bytes, or a number with k, m or g.
  func bytes(unit: Int, _ range: ClosedRange<Int>, _ expected: String) throws(StartError) -> Int {
    var digits = text[...]
    var factor = unit
    switch digits.last {
    case "k", "K": factor = 1 << 10
    case "m", "M": factor = 1 << 20
    case "g", "G": factor = 1 << 30
    default: factor = 0
    }
    if factor != 0 { digits = digits.dropLast() } else { factor = unit }
    guard let number = decimal(digits) else { throw refusal(expected) }
    let (bytes, isTooLarge) = number.multipliedReportingOverflow(by: factor)
    guard !isTooLarge, range.contains(bytes) else { throw refusal(expected) }
    return bytes
  }

  func octalMode() throws(StartError) -> Int {
    guard !text.isEmpty, text.utf8.allSatisfy({ (48...55).contains($0) }), let mode = Int(text, radix: 8), mode <= 0o777 else {
      throw refusal("an octal mode (0 to 777)")
    }
    return mode
  }

  func isOn() throws(StartError) -> Bool {
    switch text.lowercased() {
    case "on", "yes", "true", "1": return true
    case "off", "no", "false", "0": return false
    default: throw refusal("on or off")
    }
  }

  /// Plain ASCII digits; nil for anything else or above `Int.max`.
  private func decimal(_ digits: Substring) -> Int? {
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return Int(digits)
  }
}

/// `-o`: memcached's extended options. `idle_timeout` works, the others have no meaning for this server.
struct ExtendedOptions {
  var idleTimeoutSeconds: Int?
  /// Named at start with `-v`, each once.
  var withoutMeaning: [String] = []

  /// The names that memcached 1.6 accepts; each may have a value, and most a `no_` in front.
  private static let known: Set<String> = [
    "maxconns_fast", "hashpower", "slab_reassign", "slab_automove", "slab_automove_ratio", "slab_automove_window",
    "slab_automove_freeratio", "slab_automove_version", "slab_chunk_max", "slab_sizes", "tail_repair_time", "hash_algorithm", "lru_crawler",
    "lru_crawler_sleep", "lru_crawler_tocrawl", "lru_maintainer", "hot_lru_pct", "warm_lru_pct", "hot_max_factor", "warm_max_factor",
    "temporary_ttl", "watcher_logbuf_size", "worker_logbuf_size", "read_buf_mem_limit", "resp_obj_mem_limit",
    "track_sizes", "hashexpand", "inline_ascii_resp", "inline_ascii_response", "chunked_items", "modern", "drop_privileges",
    "sock_cookie_id", "meta_response_old", "ext_path", "ext_page_size", "ext_wbuf_size", "ext_threads",
    "ext_io_depth", "ext_item_size", "ext_item_age", "ext_low_ttl", "ext_drop_unread", "ext_recache_rate", "ext_compact_under",
    "ext_drop_under", "ext_max_frag", "ext_max_sleep", "ext_page_count", "ext_global_pool_min", "ssl_chain_cert", "ssl_key",
    "ssl_keyformat", "ssl_verify_mode", "ssl_ciphers", "ssl_ca_cert", "ssl_wbuf_size", "ssl_session_cache", "ssl_kernel_tls",
    "ssl_min_version", "proxy_config", "proxy_arg", "proxy_uring", "proxy_memprofile",
  ]

  /// Several `-o` add up; each is a comma list.
  init(_ values: [SettingValue]) throws(StartError) {
    for value in values {
      for part in value.text.split(separator: ",", omittingEmptySubsequences: false) {
        let (name, argument) = Self.split(part)
        if name == "idle_timeout" {
          let seconds = SettingValue(text: argument ?? "", origin: "\(value.origin) idle_timeout")
          idleTimeoutSeconds = try seconds.integer(0...31_536_000, "a number of seconds")
          continue
        }
        guard Self.known.contains(name) || (name.hasPrefix("no_") && Self.known.contains(String(name.dropFirst(3)))) else {
          throw .usage("\(value.origin): '\(name)' is not an option of memcached or memleased")
        }
        if !withoutMeaning.contains(name) { withoutMeaning.append(name) }
      }
    }
  }

  private static func split(_ part: Substring) -> (name: String, argument: String?) {
    guard let equals = part.firstIndex(of: "=") else { return (String(part), nil) }
    return (String(part[..<equals]), String(part[part.index(after: equals)...]))
  }
}
