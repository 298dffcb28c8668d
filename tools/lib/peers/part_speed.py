"""get, set and a 10:1 zipf mix with one request in flight per connection, in a closed loop and at a fixed rate; with 1 and 2 workers."""

from peers import comparison
from peers.bench import OURS, PLAIN, REDIS, Load
from peers.part import Result, Table
from side_by_side import middle

WORKS = ["get", "set", "mix"]
# Of what the slower server reaches in a closed loop: both have time to spare, so that what counts is how soon a request is answered.
OPEN_LOOP_SHARE = 0.6
NOTE = """CPU is the server's user and system time per request. ±: half the range over the rounds. ours/its: ratio of the medians.
°: the generator was over 85 % busy, so that latency in a closed loop is its own as much as the server's. †: others used the machine.
Redis is loaded by redis-benchmark, another generator, on keys of the same size."""


def run(bench):
    result = Result(raw=[])
    closed_lines, open_lines = [], []
    keys = 100_000 if bench.quick else 1_000_000
    for workers in (1, 2):
        names = [OURS, PLAIN] + ([REDIS] if workers == 1 else [])
        loads = [Load(work, keys) for work in WORKS]
        with bench.servers(names, threads=workers) as running:
            bench.preload(running, loads[0])
            # Latency is what varies most.
            rounds = bench.rounds if bench.quick else bench.rounds + 2
            closed = bench.compare(f"{workers} worker(s)", running, loads, rounds)
            fixed = {}
            both = {name: running[name] for name in (OURS, PLAIN)}
            for load in loads:
                slower = min(middle(closed[load][name], "requestsPerSecond") for name in (OURS, PLAIN))
                fixed |= bench.compare(f"{workers} worker(s)", both, [load.at(round(slower * OPEN_LOOP_SHARE))], rounds)
        for results, p99 in ((closed, "p99"), (fixed, "p99-open")):
            for load, by_name in results.items():
                if p99 == "p99":
                    result.figures.append(comparison.figure("cpu", load.workload, by_name, PLAIN, "serverCPUUs"))
                result.figures.append(comparison.figure(p99, load.workload, by_name, PLAIN, "p99Us"))
        closed_lines += comparison.lines(closed, workers)
        open_lines += comparison.lines(fixed, workers)
        result.raw += comparison.raw(closed | fixed, workers)
    result.tables = [
        Table(f"One request in flight on each of 50 connections, closed loop, {keys:,} keys", comparison.HEADER, closed_lines, NOTE),
        Table(f"The same at a fixed rate, {OPEN_LOOP_SHARE:.0%} of the slower one's", comparison.HEADER, open_lines),
    ]
    return result
