"""More workers than processors: what locks and the scheduler cost, with keys all alike popular and with a single hot one."""

from peers import comparison
from peers.bench import OURS, PLAIN, Load
from peers.part import Result, Table
from side_by_side import middle

KEYS = 100_000
LOADS = [Load("get", KEYS), Load("get", KEYS, 64), Load("mg", 1, 64), Load("set", 1, 64)]


def run(bench):
    counts = [1, 16] if bench.quick else [1, 2, 4, 8, 16]
    result, by_count = Result(raw=[]), {}
    for workers in counts:
        with bench.servers([OURS, PLAIN], threads=workers) as running:
            bench.preload(running, LOADS[0])
            by_count[workers] = bench.compare(f"{workers} worker(s)", running, LOADS, seconds=bench.seconds / 2)
        result.raw += comparison.raw(by_count[workers], workers)
    lines = []
    for load in LOADS:
        what = f"{load.workload} x {load.depth}, {'one key' if load.keys == 1 else f'{load.keys:,} keys'}"
        for name in (OURS, PLAIN):
            cpu = [middle(by_count[workers][load][name], "serverCPUUs") for workers in counts]
            lines.append([what, name, *[f"{value:.3f}" for value in cpu], f"{cpu[-1] / cpu[0]:.2f}"])
    header = ["work", "server", *[f"{workers} workers" if workers > 1 else "1 worker" for workers in counts], f"{counts[-1]} to 1"]
    result.tables = [Table("Server CPU per request, µs, by the number of workers", header, lines)]
    return result
