#if os(Linux)
  import ArgumentParser
  import Glibc

  extension TraceKind: ExpressibleByArgument {}

  /// `LOW..HIGH` or one number, in bytes.
  extension SizeRange: ExpressibleByArgument {
    init?(argument: String) {
      let ends = argument.split(separator: "..", omittingEmptySubsequences: false).map { Int($0) }
      guard (1...2).contains(ends.count), let low = ends[0], let high = ends[ends.count - 1], low >= 1, low <= high, high <= 128 << 20
      else {
        return nil
      }
      self.init(lowBytes: low, highBytes: high)
    }
  }

  struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "trace",
      abstract: "Writes a trace of requests as CSV, to be replayed.",
      discussion: """
        Columns: time (seconds), key, size (bytes of the value), op (get; set with --writes), ttl (seconds, 0: for ever). The same options and seed
        give the same trace.

        Kinds: zipf (popularity that does not change), churn (popular keys die, new ones take their place), scan (zipf, and long scans over cold
        keys), block (sequential loops, random blocks, a log), sizes (values of 8 bytes to 4 KB), sizes-small and sizes-large (the same, popular
        values are small, or large), large (values of 64 bytes to 256 KB), ttl (keys that live for seconds: replay it with --speed 1).
        """)

    @Option(help: "One of: \(TraceKind.allCases.map(\.rawValue).joined(separator: ", ")).")
    var kind = TraceKind.zipf

    @Option(help: "Lines to write. Default: two million, block 1000000, large 200000.")
    var requests: Int?

    @Option(help: "Different keys (of churn: at one time). Default: a million, block 80000, large 50000.")
    var keys: Int?

    @Option(help: "Zipf's exponent of the keys' popularity. Default: 0.99, large 0.8.")
    var exponent: Double?

    @Option(help: "Bytes of the values, LOW..HIGH: each doubling is as likely as the next. Default: 32..400, or as the kind says.")
    var sizes: SizeRange?

    @Option(help: "Seconds that keys live, with weights: 0:20,3600:80. 0: for ever. Default: 0:20,3600:50,86400:30, or as the kind says.")
    var ttls: Distribution?

    @Option(help: "Requests per second of the trace's time.")
    var rate = 100_000.0

    @Option(help: "The part of all requests that are sets. A replay fills what it misses in any case.")
    var writes = 0.0

    @Option(help: "Bytes of each key.")
    var keyBytes = 16

    @Option(help: "Seed of the random choices.")
    var seed: UInt64 = 1

    @Option(name: .shortAndLong, help: "The file to write. Default: standard output.")
    var output: String?

    private var shape: TraceShape {
      var shape = TraceShape(kind: kind, seed: seed)
      if let requests { shape.requests = requests }
      if let keys { shape.keys = keys }
      if let exponent { shape.exponent = exponent }
      if let sizes { (shape.sizes.lowBytes, shape.sizes.highBytes) = (sizes.lowBytes, sizes.highBytes) }
      if let ttls { shape.lifetimes = ttls }
      (shape.rate, shape.writeShare) = (rate, writes)
      return shape
    }

    func validate() throws {
      if !(1...10_000_000_000).contains(shape.requests) { throw ValidationError("--requests must be 1 to ten billion") }
      if !(1...1_000_000_000).contains(shape.keys) { throw ValidationError("--keys must be 1 to a billion") }
      if !(0...10).contains(shape.exponent) { throw ValidationError("--exponent must be 0 to 10") }
      if !(0.001...1e9).contains(rate) { throw ValidationError("--rate must be 0.001 to a billion") }
      if !(0...1).contains(writes) { throw ValidationError("--writes must be 0 to 1") }
      if !(14...250).contains(keyBytes) { throw ValidationError("--key-bytes must be 14 to 250") }
    }

    func run() throws {
      var file = try LineWriter(path: output)
      var generator = TraceGenerator(shape)
      try file.write("time,key,size,op,ttl\n")
      while let record = generator.next() {
        file.append(seconds: record.timeUs)
        file.append(key: record.key, bytes: keyBytes)
        try file.write("\(record.sizeBytes),\(record.operation.name),\(record.ttlSeconds)\n")
      }
      try file.finish()
    }
  }

  /// Buffered output to a file, or to standard output.
  struct LineWriter {
    private let fd: Int32
    private let name: String
    private var buffer: [UInt8] = []

    init(path: String?) throws {
      name = path ?? "standard output"
      fd = path.map { open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) } ?? STDOUT_FILENO
      if fd < 0 { throw BenchError.system(name) }
      buffer.reserveCapacity(1 << 17)
    }

    mutating func write(_ text: String) throws {
      buffer.append(contentsOf: text.utf8)
      if buffer.count >= 1 << 16 { try flush() }
    }

    /// With six digits behind the point, and the comma.
    mutating func append(seconds microseconds: UInt64) {
      let digits = "\(microseconds % 1_000_000)"
      buffer.append(contentsOf: "\(microseconds / 1_000_000).\(String(repeating: "0", count: 6 - digits.utf8.count))\(digits),".utf8)
    }

    /// `k`, and the number with zeros in front of it; and the comma.
    mutating func append(key: UInt64, bytes: Int) {
      let digits = "\(key)"
      buffer.append(UInt8(ascii: "k"))
      for _ in 0..<max(0, bytes - 1 - digits.utf8.count) { buffer.append(UInt8(ascii: "0")) }
      buffer.append(contentsOf: digits.utf8)
      buffer.append(UInt8(ascii: ","))
    }

    mutating func finish() throws {
      try flush()
      if fd != STDOUT_FILENO, close(fd) != 0 { throw BenchError.system(name) }
    }

    private mutating func flush() throws {
      var sent = 0
      while sent < buffer.count {
        let count = buffer.withUnsafeBytes { Glibc.write(fd, $0.baseAddress.map { $0 + sent }, $0.count - sent) }
        if count < 0 && errno != EINTR { throw BenchError.system(name) }
        sent += max(0, count)
      }
      buffer.removeAll(keepingCapacity: true)
    }
  }
#endif
