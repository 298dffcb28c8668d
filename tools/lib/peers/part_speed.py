"""get, set and a 10:1 zipf mix with one request in flight per connection, in a closed loop and at a fixed rate; with 1 and 2 workers.

Where workers and load generator are more than the processors, a closed loop's p99 is the scheduler's: a worker that shares one with a generator
that never sleeps waits for whole time slices. So latency is measured with the generator on a processor of its own, too."""

from peers import comparison
from peers.bench import OURS, PLAIN, REDIS, Load
from peers.part import Result, Table
from side_by_side import middle

WORKS = ["get", "set", "mix"]
# Of what the slower server reaches in a closed loop: both have time to spare, so that what counts is how soon a request is answered.
OPEN_LOOP_SHARE = 0.3
NOTE = """CPU is the server's user and system time per request. ±: half the range over the rounds. ours/its: ratio of the medians.
°: the generator was over 85 % busy, so that latency in a closed loop is its own as much as the server's. †: others used the machine.
Redis is loaded by redis-benchmark, another generator, on keys of the same size."""


def run(bench):
    result = Result(raw=[])
    lines = {"p99": [], "p99-apart": [], "p99-open": []}
    keys = 100_000 if bench.quick else 1_000_000
    for workers in (1, 2):
        names = [OURS, PLAIN] + ([REDIS] if workers == 1 else [])
        loads = [Load(work, keys) for work in WORKS]
        with bench.servers(names, threads=workers) as running:
            bench.preload(running, loads[0])
            # Latency is what varies most.
            rounds = bench.rounds if bench.quick else bench.rounds + 2
            closed = bench.compare(f"{workers} worker(s)", running, loads, rounds)
            both = {name: running[name] for name in (OURS, PLAIN)}
            with bench.apart(both):
                apart = bench.compare(f"{workers} worker(s), apart", both, loads, rounds)
                fixed = {}
                for load in loads:
                    slower = min(middle(apart[load][name], "requestsPerSecond") for name in both)
                    fixed |= bench.compare(f"{workers} worker(s), apart", both, [load.at(round(slower * OPEN_LOOP_SHARE))], rounds)
        for row, results in (("p99", closed), ("p99-apart", apart), ("p99-open", fixed)):
            for load, by_name in results.items():
                if row == "p99":
                    result.figures.append(comparison.figure("cpu", load.workload, by_name, PLAIN, "serverCPUUs"))
                result.figures.append(comparison.figure(row, load.workload, by_name, PLAIN, "p99Us"))
            lines[row] += comparison.lines(results, workers)
            result.raw += comparison.raw(results, workers)
    result.tables = [
        Table(f"One request in flight on each of 50 connections, closed loop, {keys:,} keys", comparison.HEADER, lines["p99"], NOTE),
        Table("The same, the load generator on a processor of its own", comparison.HEADER, lines["p99-apart"]),
        Table(f"That at a fixed rate, {OPEN_LOOP_SHARE:.0%} of the slower one's", comparison.HEADER, lines["p99-open"]),
    ]
    return result
