#if os(Linux)
  import ArgumentParser
  import Foundation

  struct CommonOptions: ParsableArguments {
    @Option(help: "host:port, or the path of a Unix socket.")
    var server = "127.0.0.1:11211"

    @Option(help: "Bytes of each key.")
    var keyBytes = 16

    @Option(help: "Bytes of each value.")
    var valueBytes = 32

    @Flag(help: "Print one line of JSON.")
    var json = false

    var shape: Shape { Shape(keyBytes: keyBytes, valueBytes: valueBytes) }

    func validate() throws {
      if !(2...250).contains(keyBytes) { throw ValidationError("--key-bytes must be 2 to 250") }
      if !(0...(128 << 20)).contains(valueBytes) { throw ValidationError("--value-bytes must be 0 to 128 MiB") }
      do { _ = try Endpoint(server) } catch { throw ValidationError("\(error)") }
    }

    func checkKeys(_ keys: Int) throws {
      if keys < 1 || keys > 1_000_000_000 || keys >= shape.keyLimit {
        throw ValidationError("the number of keys must be 1 to a billion, and fit into \(keyBytes - 1) digits")
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
