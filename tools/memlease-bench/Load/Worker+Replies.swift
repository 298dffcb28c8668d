#if os(Linux)
  import Glibc

  /// Reading replies, and checking that values are their keys' own.
  extension Worker {
    /// Counts the complete replies in the buffer and moves an incomplete rest to its start.
    func scan(_ connection: UnsafeMutablePointer<Connection>, _ nowNs: UInt64) {
      let buffer = connection.pointee.buffer
      let filled = connection.pointee.filled
      let (replies, at) = script.keysPerRequest > 1 ? readPieces(connection) : readReplies(connection)
      connection.pointee.answered(replies, nowNs: nowNs, cycle: script.count, &tally.latencies)
      if at < filled {
        if connection.pointee.inFlight == 0 { failure = failure ?? BenchError("more replies than requests") }
        if at == 0 && filled == connection.pointee.capacity { failure = failure ?? BenchError("a reply is longer than expected") }
        memmove(buffer, buffer + at, filled - at)
      }
      connection.pointee.filled = filled - at
    }

    /// Returns how many requests are answered, and where the rest starts.
    @inline(__always)
    private func readReplies(_ connection: UnsafeMutablePointer<Connection>) -> (replies: Int, at: Int) {
      let buffer = connection.pointee.buffer
      let filled = connection.pointee.filled
      let oldest = connection.pointee.oldest
      let inFlight = connection.pointee.inFlight
      var at = 0
      var replies = 0
      while at < filled && replies < inFlight {
        let length = readUsual(buffer + at, filled - at, request: oldest + replies)
        let taken = length > 0 ? length : readAny(buffer + at, filled - at, request: oldest + replies)
        if taken == 0 || failure != nil { break }
        at += taken
        replies += 1
      }
      return (replies, at)
    }

    @inline(__always)
    private func readUsual(_ reply: UnsafeMutablePointer<UInt8>, _ available: Int, request: Int) -> Int {
      for template in script.templates where available >= template.length && template.matches(reply) {
        if template.outcome == .stored {
          tally.stored &+= 1
        } else if hasTag(reply + template.valueOffset, request) {
          tally.hits &+= 1
        } else {
          tally.wrong &+= 1
        }
        return template.length
      }
      return 0
    }

    /// Of a value of the right length, where all keys and all values are equally long.
    @inline(__always)
    private func hasTag(_ value: UnsafePointer<UInt8>, _ request: Int) -> Bool {
      let tag = script.bytes + script.offset(of: request) + script.fixedKeyEnd - 8
      return UnsafeRawPointer(tag).loadUnaligned(as: UInt64.self) == UnsafeRawPointer(value).loadUnaligned(as: UInt64.self)
    }

    /// A whole reply of any kind; returns its length, 0 if it is not there yet.
    private func readAny(_ start: UnsafeMutablePointer<UInt8>, _ available: Int, request: Int) -> Int {
      let reply = ReplyReader.read(start, available)
      if reply.length == 0 { return 0 }
      switch reply.outcome {
      case .hit where reply.isOwed: tally.misses += 1
      case .hit:
        let key = script.key(at: script.offset(of: request) + script.keyStart)
        if isOwnValue(start, reply, key) { tally.hits += 1 } else { tally.wrong += 1 }
      case .miss: tally.misses += 1
      case .stored: tally.stored += 1
      case .refused: tally.refused += 1
      case .error, .unknownCommand, .garbage:
        tally.errors += 1
        noteError(reply, start, request: request)
      }
      return reply.length
    }

    private func isOwnValue(_ start: UnsafeMutablePointer<UInt8>, _ reply: ReplyReader.Reply, _ key: UnsafeBufferPointer<UInt8>) -> Bool {
      script.shape.isValue(start + reply.valueRange.lowerBound, reply.valueRange.count, ofKey: key)
    }

    private func noteError(_ reply: ReplyReader.Reply, _ start: UnsafeMutablePointer<UInt8>, request: Int) {
      let text = String(decoding: UnsafeBufferPointer(start: start, count: min(reply.length, 200)), as: UTF8.self)
      let line = String(text.prefix { $0 != "\r\n" && $0 != "\n" })
      tally.firstError = tally.firstError ?? line
      if reply.outcome == .garbage { failure = BenchError("not a reply: \(line)") }
      if reply.outcome == .unknownCommand {
        let command = String(decoding: script.key(at: script.offset(of: request)), as: UTF8.self)
        failure = BenchError("the server does not know \(command): it answered \(line)")
      }
    }
  }

  /// Requests for several keys: their replies come in pieces, one for each key that is there, in the order of the request, and an end line.
  extension Worker {
    /// Returns how many requests are answered, and where the rest starts.
    private func readPieces(_ connection: UnsafeMutablePointer<Connection>) -> (replies: Int, at: Int) {
      let buffer = connection.pointee.buffer
      let filled = connection.pointee.filled
      var at = 0
      var replies = 0
      while at < filled && replies < connection.pointee.inFlight && failure == nil {
        let request = connection.pointee.oldest + replies
        let (length, isEnd) = readPiece(buffer + at, filled - at, request: request, &connection.pointee.partial)
        if length == 0 { break }
        at += length
        replies += isEnd ? 1 : 0
      }
      return (replies, at)
    }

    /// Returns the length of the next piece, 0 if it is not there yet, and whether it ends the reply.
    private func readPiece(
      _ start: UnsafeMutablePointer<UInt8>, _ available: Int, request: Int, _ partial: inout PartialReply
    ) -> (length: Int, isEnd: Bool) {
      let reply = ReplyReader.read(start, available, inPieces: true)
      if reply.length == 0 { return (0, false) }
      if partial.nextKey == 0 { partial.nextKeyAt = script.offset(of: request) + script.keyStart }
      switch reply.outcome {
      case .hit:
        if let key = advance(&partial, to: UnsafeBufferPointer(start: start, count: reply.length)[reply.keyRange]),
          isOwnValue(start, reply, key)
        {
          partial.found += 1
        } else {
          partial.isWrong = true
        }
        return (reply.length, false)
      case .miss: count(partial)
      case .error, .unknownCommand, .garbage:
        noteError(reply, start, request: request)
        partial.hasError = true
        // The errors of a group of quiet requests stand before its end.
        if script.readsGroups { return (reply.length, false) }
        count(partial)
      case .stored, .refused: failure = BenchError("not a reply to a request for several keys")
      }
      partial = PartialReply()
      return (reply.length, true)
    }

    /// Goes past the keys that are not there; nil: the request did not ask for this key.
    private func advance(_ partial: inout PartialReply, to found: Slice<UnsafeBufferPointer<UInt8>>) -> UnsafeBufferPointer<UInt8>? {
      while partial.nextKey < script.keysPerRequest {
        let key = script.key(at: partial.nextKeyAt)
        partial.nextKey += 1
        partial.nextKeyAt += key.count + script.keyGapBytes
        if key.count == found.count, let a = key.baseAddress, let b = UnsafeBufferPointer(rebasing: found).baseAddress,
          memcmp(a, b, key.count) == 0
        {
          return key
        }
      }
      return nil
    }

    private func count(_ partial: PartialReply) {
      tally.keyHits += partial.found
      tally.keyMisses += script.keysPerRequest - partial.found
      if partial.hasError {
        tally.errors += 1
      } else if partial.isWrong {
        tally.wrong += 1
      } else if partial.found == script.keysPerRequest {
        tally.hits += 1
      } else {
        tally.misses += 1
      }
    }
  }
#endif
