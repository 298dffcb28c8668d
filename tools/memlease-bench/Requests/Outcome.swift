#if os(Linux)
  /// What a reply says about its request.
  enum Outcome {
    case hit, miss, stored, refused
    /// An error line.
    case error
    /// The server does not know such requests at all.
    case unknownCommand
    /// Not a reply at all: the stream is lost.
    case garbage
  }
#endif
