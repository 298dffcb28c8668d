#if os(Linux)
  import ArgumentParser
  import Foundation

  struct CommonOptions: ParsableArguments {
    @Option(help: "host:port, or the path of a Unix socket.")
    var server = "127.0.0.1:11211"

    @Option(help: "Bytes of each key: N, A..B (all alike), or N:WEIGHT,A..B:WEIGHT,...")
    var keyBytes = Distribution(16)

    @Option(help: "Bytes of each value: N, A..B, or with weights. A key's value always has the same size.")
    var valueBytes = Distribution(32)

    @Option(help: "Time to live of each key: N, A..B, or with weights. 0: for ever.")
    var ttlSeconds = Distribution(0)

    @Flag(help: "Print one line of JSON.")
    var json = false

    @Flag(help: "Show no progress. (Only a terminal is shown any.)")
    var quiet = false

    var shape: Shape { Shape(keyBytes: keyBytes, valueBytes: valueBytes, ttlSeconds: ttlSeconds) }

    func validate() throws {
      if keyBytes.least < 2 || keyBytes.greatest > 250 { throw ValidationError("--key-bytes must be 2 to 250") }
      if valueBytes.greatest > 128 << 20 { throw ValidationError("--value-bytes must be 0 to 128 MiB") }
      // More would be a date to the server.
      if ttlSeconds.greatest > 30 * 86_400 { throw ValidationError("--ttl-seconds must be at most 30 days") }
      do { _ = try Endpoint(server) } catch { throw ValidationError("\(error)") }
    }

    func checkKeys(_ keys: Int) throws {
      if keys < 1 || keys > 1_000_000_000 || keys >= shape.keyLimit {
        throw ValidationError("the number of keys must be 1 to a billion, and fit into \(keyBytes.least - 1) digits")
      }
    }
  }

  /// Prints to standard output, as text or as one JSON line with sorted names.
  func printReport(_ report: some Encodable, asJSON: Bool, text: () -> String) throws {
    if asJSON {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(report), as: UTF8.self))
    } else {
      print(text())
    }
  }

  func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
#endif
