#if os(Linux)
  import Glibc

  /// One line of a trace.
  struct TraceLine {
    var timeUs: UInt64 = 0
    var key: [UInt8] = []
    var sizeBytes = 0
    var operation = TraceOperation.get
    var ttlSeconds: UInt64 = 0
  }

  /// Without a copy in between.
  func moveToFront(_ buffer: inout [UInt8], _ range: Range<Int>) {
    buffer.withUnsafeMutableBytes { bytes in
      if let base = bytes.baseAddress { memmove(base, base + range.lowerBound, range.count) }
    }
  }

  /// Reads a trace line by line: memory is one buffer, however long the file is.
  /// Invariant: `lineNumber` is that of the line that was read last.
  struct TraceReader: ~Copyable {
    static let longestLineBytes = 64 << 10
    private static let mostColumns = 64

    private let fd: Int32
    private let name: String
    private var buffer = [UInt8](repeating: 0, count: 4 * longestLineBytes)
    private var start = 0
    private var end = 0
    private var isAtEnd = false
    private var columns: TraceColumns?
    private var fields: [Range<Int>] = []
    private(set) var lineNumber = 0

    /// `-` is standard input. Without columns the first line may name them; else they are time, key, size, op, ttl.
    init(path: String, columns: TraceColumns?) throws {
      name = path == "-" ? "standard input" : path
      self.columns = columns
      fd = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
      if fd < 0 { throw BenchError.system(name) }
    }

    deinit { if fd > STDERR_FILENO { close(fd) } }

    /// Nil: the trace is over.
    mutating func next() throws -> TraceLine? {
      while let line = try nextLine() {
        if line.isEmpty || buffer[line.lowerBound] == UInt8(ascii: "#") { continue }
        split(line)
        guard let columns else {
          let named = isNumber(fields[0]) ? nil : TraceColumns(names: fields.map { text($0) })
          self.columns = named ?? TraceColumns.standard
          if named != nil { continue }
          return try parse(self.columns)
        }
        return try parse(columns)
      }
      return nil
    }

    private mutating func nextLine() throws -> Range<Int>? {
      var searched = start
      while true {
        if let newline = firstIndex(of: 0x0A, in: searched..<end) {
          defer { start = newline + 1 }
          lineNumber += 1
          return start..<(newline > start && buffer[newline - 1] == 0x0D ? newline - 1 : newline)
        }
        if isAtEnd {
          defer { start = end }
          lineNumber += 1
          return start == end ? nil : start..<end
        }
        if end - start > Self.longestLineBytes { throw error("a line of more than \(Self.longestLineBytes) bytes", line: lineNumber + 1) }
        moveToFront(&buffer, start..<end)
        (start, end) = (0, end - start)
        searched = end
        try fill()
      }
    }

    private mutating func fill() throws {
      let free = end
      let count = buffer.withUnsafeMutableBytes { Glibc.read(fd, $0.baseAddress.map { $0 + free }, $0.count - free) }
      if count < 0 && errno != EINTR { throw BenchError.system(name) }
      if count == 0 { isAtEnd = true }
      end += max(0, count)
    }

    private mutating func split(_ line: Range<Int>) {
      fields.removeAll(keepingCapacity: true)
      var from = line.lowerBound
      while fields.count < Self.mostColumns {
        let comma = firstIndex(of: UInt8(ascii: ","), in: from..<line.upperBound) ?? line.upperBound
        fields.append(trimmed(from..<comma))
        if comma == line.upperBound { break }
        from = comma + 1
      }
    }

    private func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
      buffer.withUnsafeBytes { bytes in
        guard let base = bytes.baseAddress, let found = memchr(base + range.lowerBound, Int32(byte), range.count) else { return nil }
        return UnsafeRawPointer(found) - base
      }
    }

    private func trimmed(_ range: Range<Int>) -> Range<Int> {
      var (low, high) = (range.lowerBound, range.upperBound)
      while low < high, buffer[low] == 0x20 { low += 1 }
      while high > low, buffer[high - 1] == 0x20 { high -= 1 }
      return low..<high
    }

    // MARK: Fields

    private func parse(_ columns: TraceColumns?) throws -> TraceLine {
      guard let columns else { throw error("no columns") }
      var line = TraceLine()
      line.key = Array(buffer[try field(columns.key, "key")])
      if !(1...250).contains(line.key.count) || line.key.contains(where: { $0 <= 0x20 || $0 == 0x7F }) {
        throw error("a key must be 1 to 250 bytes without blanks and control characters: \"\(String(decoding: line.key, as: UTF8.self))\"")
      }
      if columns.time >= 0 { line.timeUs = try microseconds(try field(columns.time, "time")) }
      if columns.size >= 0 {
        let size = try number(try field(columns.size, "size"), "size")
        if size > 128 << 20 { throw error("size is more than 128 MiB: \(size)") }
        line.sizeBytes = Int(size)
      }
      if columns.operation >= 0 {
        let name = text(try field(columns.operation, "op"))
        guard let operation = TraceOperation(name: name) else {
          throw error("op is not one of get, set, delete and their kin: \"\(name)\"")
        }
        line.operation = operation
      }
      // The last column may be missing.
      if columns.ttl >= 0, columns.ttl < fields.count { line.ttlSeconds = try number(fields[columns.ttl], "ttl") }
      return line
    }

    private func field(_ index: Int, _ what: String) throws -> Range<Int> {
      if index >= fields.count { throw error("\(fields.count) columns, and \(what) would be number \(index + 1)") }
      return fields[index]
    }

    private func number(_ range: Range<Int>, _ what: String) throws -> UInt64 {
      guard let value = digits(range) else { throw error("\(what) is not a whole number: \"\(text(range))\"") }
      return value
    }

    /// At most 15 digits. Nothing is 0.
    private func digits(_ range: Range<Int>) -> UInt64? {
      var value: UInt64 = 0
      guard range.count <= 15 else { return nil }
      for index in range {
        guard buffer[index] >= 0x30, buffer[index] <= 0x39 else { return nil }
        value = value * 10 + UInt64(buffer[index] - 0x30)
      }
      return value
    }

    /// Of seconds, with or without a fraction.
    private func microseconds(_ range: Range<Int>) throws -> UInt64 {
      let point = buffer[range].firstIndex(of: UInt8(ascii: ".")) ?? range.upperBound
      let fraction = min(point + 1, range.upperBound)..<min(point + 7, range.upperBound)
      guard let seconds = digits(range.lowerBound..<point), seconds < 1 << 40, var part = digits(fraction) else {
        throw error("time is not a number of seconds: \"\(text(range))\"")
      }
      for _ in fraction.count..<6 { part *= 10 }
      return seconds * 1_000_000 + part
    }

    /// It begins like one; no column's name does.
    private func isNumber(_ range: Range<Int>) -> Bool { (0x30...0x39).contains(range.isEmpty ? 0 : buffer[range.lowerBound]) }

    private func text(_ range: Range<Int>) -> String { String(decoding: buffer[range], as: UTF8.self) }

    private func error(_ what: String, line: Int? = nil) -> BenchError { BenchError("\(name):\(line ?? lineNumber): \(what)") }
  }
#endif
