"""Large values: how many bytes a second of the server's CPU moves."""

from peers import comparison
from peers.bench import OURS, PLAIN, REDIS, Load
from peers.part import Result, Table
from side_by_side import middle

KEYS_OF_SIZE = {64 << 10: 1000, 1 << 20: 64}


def run(bench):
    results, lines = {}, []
    for size, keys in KEYS_OF_SIZE.items():
        loads = [Load(work, keys, value_bytes=size, connections=16) for work in ("get", "set")]
        with bench.servers([OURS, PLAIN, REDIS], more=["-I", "2m"]) as running:
            bench.preload(running, loads[0])
            results |= bench.compare("large values", running, loads)
    for load, by_name in results.items():
        megabytes = {name: load.value_bytes / middle(runs, "serverCPUUs") for name, runs in by_name.items()}
        for name, runs in by_name.items():
            served = load.value_bytes * middle(runs, "requestsPerSecond") / 1e6
            times = "" if name == OURS else f"{megabytes[OURS] / megabytes[name]:.2f}"
            noise = comparison.half_range(runs, "serverCPUUs")
            line = [f"{load.workload}, {load.value_bytes >> 10} KB", name, f"{megabytes[name]:,.0f}", noise, f"{served:,.0f}"]
            lines.append(line + [f"{middle(runs, 'p99Us') / 1000:.1f}", f"{runs[-1]['residentMB']:,.0f}", times])
    header = ["work", "server", "MB per CPU second", "±", "MB/s", "p99, ms", "resident, MB", "ours/its"]
    return Result(tables=[Table("Large values, 16 connections, one in flight, 1 worker", header, lines)], raw=comparison.raw(results))
