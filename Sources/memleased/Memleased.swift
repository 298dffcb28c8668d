import ArgumentParser
import MemleasedServer

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Flags and environment in, exit code out. Every refusal is one line on standard error.
@main
enum Memleased {
  static func main() {
    do throws(StartError) {
      let options = try StartOptions(parse().settings(environment: environmentVariables()), cores: cores())
      let startup = try Startup(options)
      let code = Server(startup.prepared).run()
      startup.finish()
      exit(code)
    } catch {
      writeErrorLine("memleased: \(error.message)")
      exit(error.exitCode)
    }
  }

  /// `MemleasedCommand.main()` would print usage beside an error: here an error is one line. Help and version end the process.
  private static func parse() throws(StartError) -> MemleasedCommand {
    do {
      let command = try MemleasedCommand.parse()
      guard !command.version else {
        print("memleased \(ServerConfiguration.version)")
        exit(0)
      }
      return command
    } catch {
      guard MemleasedCommand.exitCode(for: error) != .success else {
        print(MemleasedCommand.fullMessage(for: error))
        exit(0)
      }
      throw StartError("\(MemleasedCommand.message(for: error)) (see memleased -h)", exitCode: 64)
    }
  }

  private static func environmentVariables() -> [String: String] {
    var variables: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2, parts[0].hasPrefix("MEMLEASE_") { variables[String(parts[0])] = String(parts[1]) }
      entry += 1
    }
    return variables
  }

  private static func cores() -> Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
}
