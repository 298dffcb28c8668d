"""What a server costs that does nothing: its start, its memory, its wake-ups, connections, leases and waiting requests; and short connections."""

import statistics
import time

from peers import comparison
from peers.bench import OURS, PLAIN, Load
from peers.figures import Figure
from peers.part import Result, Table
from side_by_side import middle, progress

CONNECTIONS = 10_000
WORKERS = 2
MANY = ["-c", CONNECTIONS + 1000]


def run(bench):
    result, lines = Result(raw={}), []
    rounds = bench.rounds if bench.quick else max(9, bench.rounds)
    for what, row, measure in [
        ("from the start to the first answer, ms", "startup", lambda name: [start_ms(bench, name) for _ in range(rounds)]),
        ("resident after the start, 1 worker, MB", None, lambda name: [idle(bench, name, 0, seconds=0)["residentBytesBefore"] / (1 << 20)]),
        ("wake-ups a second, no connection", None, lambda name: [idle(bench, name, 0, seconds=5)["wakeUpsPerSecond"]]),
        ("bytes of each of 10,000 idle connections", "idle-connection", lambda name: idle_bytes(bench, name, [])),
        ("bytes, each has asked once", None, lambda name: idle_bytes(bench, name, ["--active"])),
        ("server CPU of a connection with one get, µs", None, lambda name: churn(bench, name)),
    ]:
        values = {name: measure(name) for name in (OURS, PLAIN)}
        result.raw[what] = values
        middles = [statistics.median(values[name]) for name in (OURS, PLAIN)]
        lines.append([what, *[f"{value:,.1f}" for value in middles]])
        if row:
            noise = (max(values[OURS]) - min(values[OURS])) / 2 / max(1e-9, abs(middles[0]))
            result.figures.append(Figure(row, "", middles[0], noise))
    waiting = [wait(bench) for _ in range(1 if bench.quick else 3)]
    result.raw["waiting"] = waiting
    for what, row, field in [("bytes of a parked request", "parked", "bytesPerParkedRequest"), ("bytes of a lease", "lease", "bytesPerLease")]:
        value = middle(waiting, field)
        lines.append([what, f"{value:,.1f}", ""])
        result.figures.append(Figure(row, "", value))
    busy = many_connections(bench)
    result.raw["load"] = comparison.raw(busy, WORKERS)
    result.tables = [
        Table("A server that waits", ["", "memleased", "memcached"], lines),
        Table(f"get over {CONNECTIONS:,} connections", comparison.HEADER, comparison.lines(busy, WORKERS)),
    ]
    return result


def start_ms(bench, name):
    """A process like any other: the program is in the page cache."""
    began = time.monotonic()
    server = bench.start(name)
    took = (server.ready_at - began) * 1000
    server.stop()
    return took


def with_server(bench, name, *arguments, more=MANY, drop_in=True):
    progress(f"{name}: {' '.join(map(str, arguments))}")
    server = bench.start(name, more=more, drop_in=drop_in)
    try:
        command, *rest = arguments
        return bench.generate(command, "--server", server.address, "--server-pid", server.pid, *rest)
    finally:
        server.stop()


def idle(bench, name, connections, seconds, more=()):
    return with_server(bench, name, "idle", "--connections", connections, "--seconds", seconds, *more)


def idle_bytes(bench, name, more):
    return [idle(bench, name, CONNECTIONS, 0, more)["bytesPerConnection"] for _ in range(1 if bench.quick else 3)]


def churn(bench, name):
    reports = [with_server(bench, name, "churn", "--seconds", bench.seconds) for _ in range(bench.rounds)]
    return [report["serverMicrosecondsPerConnection"] for report in reports]


def wait(bench):
    count = 100_000
    arguments = ["waiting", "--leases", count, "--requests", count]
    return with_server(bench, OURS, *arguments, more=["--max-waiters-per-key", count], drop_in=False)


def many_connections(bench):
    load = Load("get", 100_000, connections=CONNECTIONS)
    with bench.servers([OURS, PLAIN], threads=WORKERS, more=MANY) as running:
        bench.preload(running, Load("get", 100_000))
        return bench.compare(f"{CONNECTIONS} connections", running, [load])
