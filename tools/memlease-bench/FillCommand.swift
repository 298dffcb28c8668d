#if os(Linux)
  import ArgumentParser

  struct FillCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "fill",
      abstract: "Writes distinct keys, then reports how many of them the server holds.",
      discussion: "Exits with 1 when a write got an error, or a value that was read back is another key's.")

    @OptionGroup var common: CommonOptions

    @Option(help: "Keys to write.")
    var count = 1_000_000

    @Option(help: "Keys to read back, spread evenly over all.")
    var sample = 50_000

    func validate() throws {
      try common.checkKeys(count)
      if !(1...10_000_000).contains(sample) { throw ValidationError("--sample must be 1 to 10000000") }
    }

    func run() throws {
      let endpoint = try Endpoint(common.server)
      let progress = ProgressLine("fill", threads: 1, isWanted: !common.quiet)
      let written = try Load.each(0..<count, verb: .set, shape: common.shape, endpoint: endpoint, progress: progress)
      let stats = try endpoint.stats()
      let size = min(sample, count)
      let numbers = (0..<size).map { $0 * count / size }
      let newest = Array(numbers.suffix(max(1, size / 10)))
      let newestRead = try Load.each(newest, verb: .get, shape: common.shape, endpoint: endpoint)
      let olderRead = try Load.each(numbers.dropLast(newest.count), verb: .get, shape: common.shape, endpoint: endpoint)
      let report = FillReport(
        server: common.server, count: count, keyBytes: common.keyBytes.rounded, valueBytes: common.valueBytes.rounded,
        stored: written.stored, refused: written.refused, errors: written.errors + newestRead.errors + olderRead.errors,
        wrongValues: newestRead.wrong + olderRead.wrong, firstError: written.firstError ?? newestRead.firstError ?? olderRead.firstError,
        currItems: stats["curr_items"].flatMap { Int($0) }, evictions: stats["evictions"].flatMap { Int($0) }, sampled: size,
        sampledHeld: newestRead.hits + olderRead.hits, newestTenthHeld: Double(newestRead.hits) / Double(newest.count),
        itemsHeldBySample: Int(Double(newestRead.hits + olderRead.hits) / Double(size) * Double(count)))
      try printReport(report, asJSON: common.json) { report.text }
      if report.hasFailed { throw ExitCode.failure }
    }
  }

  /// What `fill` prints. Its names are the JSON's. Sizes that differ are told by their mean.
  struct FillReport: Encodable {
    let server: String
    let count, keyBytes, valueBytes: Int
    let stored, refused, errors, wrongValues: Int
    let firstError: String?
    /// From the server's `stats`.
    let currItems, evictions: Int?
    let sampled, sampledHeld: Int
    let newestTenthHeld: Double
    let itemsHeldBySample: Int

    var hasFailed: Bool { stored != count || errors + wrongValues > 0 }

    var text: String {
      """
      fill  \(count) keys, \(keyBytes)+\(valueBytes) bytes
        stored \(stored), refused \(refused), errors \(errors)\(firstError.map { " (first: \($0))" } ?? ""), wrong values \(wrongValues)
        held: \(currItems.map(String.init) ?? "?") by curr_items, \(itemsHeldBySample) by a sample of \(sampled)
        newest tenth: \(fixed(newestTenthHeld * 100, 2)) % held
        evictions: \(evictions.map(String.init) ?? "?")
      """
    }
  }
#endif
