#if os(Linux)
  import Testing

  @testable import memlease_bench

  struct ShapeTests {
    private let shape: Shape

    init() throws {
      shape = Shape(
        keyBytes: try #require(Distribution(argument: "6..40")), valueBytes: try #require(Distribution(argument: "0..3:1,50..60:1")),
        ttlSeconds: try #require(Distribution(argument: "10..20")))
    }

    @Test func keysAreDistinctAndTellTheirNumber() {
      var keys: Set<[UInt8]> = []
      for number in 0..<2000 {
        let key = key(number)
        #expect(key.count == shape.keyBytes(of: number))
        #expect(key.withUnsafeBufferPointer { shape.number(ofKey: $0) } == number)
        keys.insert(key)
      }
      #expect(keys.count == 2000)
    }

    @Test func aValueIsToldFromAnotherKeysAndFromOneOfAnotherLength() {
      let long = (0..<200).filter { shape.valueBytes(of: $0) >= 50 }
      #expect(long.count > 50)
      for (one, other) in zip(long, long.dropFirst()) {
        #expect(isValue(value(one), of: one))
        #expect(!isValue(value(other), of: one))
        #expect(!isValue(Array(value(one).dropLast()), of: one))
        #expect(!isValue(value(one) + [0x78], of: one))
      }
    }

    @Test func valuesThatAreTooShortForATagCarryWhatFits() {
      for number in 0..<200 { #expect(isValue(value(number), of: number)) }
    }

    @Test func aWriteCarriesSizeAndTimeToLive() {
      var set: [UInt8] = []
      var ms: [UInt8] = []
      Verb.set.append(5, shape, to: &set)
      Verb.ms.append(5, shape, to: &ms)
      let key = text(key(5))
      let (size, ttl, value) = (shape.valueBytes(of: 5), shape.ttlSeconds(of: 5), text(value(5)))
      #expect((10...20).contains(ttl))
      #expect(text(set) == "set \(key) 0 \(ttl) \(size)\r\n\(value)\r\n")
      #expect(text(ms) == "ms \(key) \(size) T\(ttl)\r\n\(value)\r\n")
    }

    @Test func aRequestForSeveralKeys() {
      var get: [UInt8] = []
      var mg: [UInt8] = []
      Verb.multiGet.append([1, 2], shape, to: &get)
      Verb.multiMg.append([1, 2], shape, to: &mg)
      let (one, two) = (text(key(1)), text(key(2)))
      #expect(text(get) == "get \(one) \(two)\r\n")
      #expect(text(mg) == "mg \(one) k v q\r\nmg \(two) k v q\r\nmn\r\n")
    }

    private func key(_ number: Int) -> [UInt8] {
      var bytes: [UInt8] = []
      shape.appendKey(number, to: &bytes)
      return bytes
    }

    private func value(_ number: Int) -> [UInt8] {
      var bytes: [UInt8] = []
      shape.appendValue(number, to: &bytes)
      return bytes
    }

    private func isValue(_ value: [UInt8], of number: Int) -> Bool {
      let padded = value + [0]
      return key(number).withUnsafeBufferPointer { key in
        padded.withUnsafeBufferPointer { $0.baseAddress.map { shape.isValue($0, value.count, ofKey: key) } ?? false }
      }
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
  }
#endif
