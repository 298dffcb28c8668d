/// Cells of a few sizes for lease records and grants, cut from chunks that are kept for the next leases.
/// Invariant: `bytes` is all that the pool ever took; a cell is free or in use, and goes back under the size it was taken with.
struct CellPool {
  private static let stepBytes = 16
  private static let sizes = 32
  private static let chunkBytes = 16 << 10

  private(set) var bytes = 0
  private var chunks: [UnsafeMutableRawPointer] = []
  /// Free cells by size, linked through their first word.
  private let free: UnsafeMutablePointer<UnsafeMutableRawPointer?>

  init() {
    free = .allocate(capacity: Self.sizes)
    free.initialize(repeating: nil, count: Self.sizes)
  }

  private func sizeIndex(_ size: Int) -> Int {
    let index = (size + Self.stepBytes - 1) / Self.stepBytes
    assert(index < Self.sizes, "larger things do not come from the pool")
    return index
  }

  /// O(1), but for the cutting of a new chunk.
  mutating func take(_ size: Int) -> UnsafeMutableRawPointer {
    let index = sizeIndex(size)
    if free[index] == nil { cutChunk(index) }
    guard let cell = free[index] else { return .allocate(byteCount: size, alignment: 16) }
    free[index] = cell.load(as: UnsafeMutableRawPointer?.self)
    return cell
  }

  mutating func give(_ cell: UnsafeMutableRawPointer, _ size: Int) {
    let index = sizeIndex(size)
    cell.storeBytes(of: free[index], as: UnsafeMutableRawPointer?.self)
    free[index] = cell
  }

  private mutating func cutChunk(_ index: Int) {
    let chunk = UnsafeMutableRawPointer.allocate(byteCount: Self.chunkBytes, alignment: 16)
    chunks.append(chunk)
    bytes += Self.chunkBytes
    let cellBytes = index * Self.stepBytes
    for cell in 0..<(Self.chunkBytes / cellBytes) {
      let place = chunk + cell * cellBytes
      place.storeBytes(of: free[index], as: UnsafeMutableRawPointer?.self)
      free[index] = place
    }
  }

  mutating func destroy() {
    for chunk in chunks { chunk.deallocate() }
    free.deallocate()
  }
}
