import ArgumentParser

@main
struct Bench: ParsableCommand {
  #if os(Linux)
    static let commands: [any ParsableCommand.Type] = [
      RunCommand.self, FillCommand.self, HerdCommand.self, HotKeyCommand.self, KilledHolderCommand.self,
      FloorCommand.self, IdleCommand.self, WaitingCommand.self, ChurnCommand.self,
      TraceCommand.self, ReplayCommand.self,
    ]
  #else
    static let commands: [any ParsableCommand.Type] = []
  #endif

  static let configuration = CommandConfiguration(
    commandName: "memlease-bench",
    abstract: "Loads a server that speaks memcached's text protocol, and measures it. Linux only.",
    subcommands: commands
  )
}
