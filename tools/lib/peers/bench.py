"""Servers side by side, one load after the other on each of them, alternating."""

import os
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import side_by_side
from peers import redis_load
from side_by_side import Failure, Quiet, Server, progress

OURS, PLAIN, TUNED, REDIS = "memleased", "memcached", "memcached -R 200", "Redis"
GREETINGS = {REDIS: b"PING\r\n"}


@dataclass(frozen=True)
class Load:
    """What one run of the load generator sends. Keys have 16 bytes."""

    workload: str
    keys: int
    depth: int = 1
    value_bytes: int = 32
    connections: int = 50
    keys_per_request: int | None = None
    # Requests a second; without it, every connection sends as soon as it is answered.
    rate: int | None = None

    def __str__(self):
        many = f" of {self.keys_per_request} keys" if self.keys_per_request else ""
        return f"{self.workload}{many} x {self.depth}" + (f" at {self.rate}/s" if self.rate else "")

    def arguments(self):
        arguments = ["--workload", self.workload, "--keys", self.keys, "--depth", self.depth]
        arguments += ["--key-bytes", 16, "--value-bytes", self.value_bytes, "--connections", self.connections]
        if self.keys_per_request:
            arguments += ["--keys-per-request", self.keys_per_request]
        return arguments + (["--rate", self.rate] if self.rate else [])

    def at(self, rate):
        return replace(self, rate=rate)


class Bench:
    """What all parts share: the options, the programs, the ports, and how disturbed it all was."""

    def __init__(self, options):
        self.options = options
        self.quick = options.quick
        self.rounds = options.rounds
        self.seconds = options.seconds
        self.quiet = Quiet(options.patience)
        self.log = open(options.server_log, "ab") if options.server_log else subprocess.DEVNULL
        self.versions = {}
        self.measured = self.disturbed = 0

    # Servers

    def start(self, name, port_offset=0, memory_mb=1024, threads=1, more=(), drop_in=True):
        port = self.options.port + port_offset
        command = {
            OURS: lambda: side_by_side.memleased_command(self.options.memleased, port, memory_mb, threads) + ["--memcached"] * drop_in,
            PLAIN: lambda: side_by_side.memcached_command("memcached", port, memory_mb, threads),
            TUNED: lambda: [*side_by_side.memcached_command("memcached", port, memory_mb, threads), "-R", "200"],
            REDIS: lambda: redis_load.server_command(port),
        }[name]()
        server = Server([*command, *map(str, more)], port, self.log, GREETINGS.get(name, b"version\r\n"))
        self.versions[name] = redis_load.version() if name == REDIS else server.greeting.removeprefix("VERSION ")
        return server

    @contextmanager
    def servers(self, names, memory_mb=1024, threads=1, more=()):
        """{name: server}, all there at the same time; stopped in the end, whatever happens."""
        with ExitStack() as stack:
            running = {}
            for offset, name in enumerate(names):
                running[name] = self.start(name, offset, memory_mb, threads, more if name != REDIS else ())
                stack.callback(running[name].stop)
            yield running

    @contextmanager
    def apart(self, running):
        """The load generator has one processor to itself meanwhile, the servers have the others, as if clients were elsewhere."""
        processors = os.sched_getaffinity(0)
        own = {max(processors)}
        if processors == own:
            raise Failure("one processor cannot be shared out")
        try:
            keep_to(running, processors - own)
            os.sched_setaffinity(0, own)
            yield
        finally:
            os.sched_setaffinity(0, processors)
            keep_to(running, processors)

    # Loads

    def generate(self, *arguments, may_fail=False):
        return side_by_side.generate(self.options.generator, *arguments, may_fail=may_fail)

    def preload(self, running, load):
        """Writes every key of the load once, on every server."""
        for name, server in running.items():
            progress(f"{name}: {load.keys} keys")
            if name == REDIS:
                redis_load.preload(server, load)
            else:
                once = ["--requests", load.connections, "--warm-up-seconds", 0]
                self.generate("run", "--server", server.address, *replace(load, workload="get", depth=1).arguments(), *once)

    def measure(self, name, server, load, seconds):
        """One run, repeated when something else took the machine meanwhile; with the server's memory after it."""
        if name == REDIS:
            run = lambda: redis_load.run(server, load, seconds)
        else:
            place = ["--server", server.address, "--server-pid", server.pid, "--no-preload"]
            run = lambda: self.generate("run", *place, *load.arguments(), "--seconds", seconds, "--warm-up-seconds", min(0.3, seconds / 2))
        result = self.quiet.measure(run, lambda result: result["otherBusy"])
        self.count_disturbance(result["otherBusy"])
        if result["misses"]:
            raise Failure(f"{name}, {load}: {result['misses']} misses where every key should be held")
        return {**result, **resident(server.pid)}

    def count_disturbance(self, cores_of_others):
        self.measured += 1
        self.disturbed += cores_of_others > side_by_side.DISTURBED_CORES

    def compare(self, what, running, loads, rounds=None, seconds=None):
        """{load: {name: [one result per round]}}; to and fro, so that no server always follows the same one."""
        results = {load: {name: [] for name in running} for load in loads}
        for load in loads:
            for number in range(rounds or self.rounds):
                for name in running if number % 2 == 0 else reversed(running):
                    if name == REDIS and not redis_load.can(load):
                        continue
                    progress(f"{what}: {load}, round {number + 1}, {name}")
                    results[load][name].append(self.measure(name, running[name], load, seconds or self.seconds))
        return {load: {name: runs for name, runs in by_name.items() if runs} for load, by_name in results.items()}


def keep_to(running, processors):
    """Every thread of these servers runs on these processors only."""
    for server in running.values():
        for task in Path(f"/proc/{server.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), processors)


def resident(pid):
    """The server's resident memory now, and the most it ever had, in MB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {f"{name}MB": int(fields[field].split()[0]) / 1024 for name, field in [("resident", "VmRSS"), ("peak", "VmHWM")]}
