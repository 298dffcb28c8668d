// swift-tools-version: 6.1
import PackageDescription

let package = Package(
  name: "memleased",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "memleased", targets: ["memleased"]),
    .executable(name: "memlease-bench", targets: ["memlease-bench"]),
    .executable(name: "memlease-simulate", targets: ["memlease-simulate"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    .systemLibrary(
      name: "CLibevent",
      pkgConfig: "libevent",
      providers: [.apt(["libevent-dev"]), .brew(["libevent"])]
    ),
    .target(name: "CIntrinsics"),
    .target(name: "LeaseCore", dependencies: ["CIntrinsics"]),
    .target(name: "LeaseWire"),
    .target(name: "MemleasedServer", dependencies: ["CLibevent", "LeaseCore", "LeaseWire"]),
    .executableTarget(
      name: "memleased",
      dependencies: [
        "MemleasedServer",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]
    ),
    .systemLibrary(name: "CEpoll", path: "tools/CEpoll"),
    .executableTarget(
      name: "memlease-bench",
      dependencies: [
        .target(name: "CEpoll", condition: .when(platforms: [.linux])),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
      ],
      path: "tools/memlease-bench",
      exclude: ["README.md"]
    ),
    .target(name: "LeaseSimulation", dependencies: ["LeaseCore"], path: "Tests/Simulation"),
    .executableTarget(
      name: "memlease-simulate",
      dependencies: [
        "LeaseSimulation",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "tools/memlease-simulate"
    ),
    .testTarget(name: "BenchTests", dependencies: ["memlease-bench"]),
    .testTarget(name: "LeaseCoreTests", dependencies: ["LeaseCore"]),
    .testTarget(name: "LeaseWireTests", dependencies: ["LeaseWire"]),
    .testTarget(name: "ServerTests", dependencies: ["MemleasedServer", "memleased"]),
    .testTarget(name: "SimulationTests", dependencies: ["LeaseSimulation"]),
    .testTarget(name: "TranscriptTests"),
  ],
  swiftLanguageModes: [.v6]
)
