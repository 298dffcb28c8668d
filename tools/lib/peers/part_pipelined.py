"""Pipelined clients: 64 requests in flight on each connection, requests for many keys, and what a lease's flags cost on a hit."""

from peers import comparison
from peers.bench import OURS, PLAIN, REDIS, TUNED, Load
from peers.figures import Figure
from peers.part import Result, Table
from side_by_side import middle

DEPTH = 64
ROWS = {"get": ("cpu-deep", "cpu-deep-tuned"), "mg": ("cpu-deep", "cpu-deep-tuned"), "set": ("cpu-set", "cpu-set-tuned")}


def run(bench):
    result = Result(raw=[])
    keys = 100_000 if bench.quick else 1_000_000
    deep_lines, many_lines, lease_lines = [], [], []
    for workers in (1, 2):
        names = [OURS, PLAIN, TUNED] + ([REDIS] if workers == 1 else [])
        loads = [Load(work, keys, DEPTH) for work in ROWS]
        with bench.servers(names, threads=workers) as running:
            bench.preload(running, loads[0])
            deep = bench.compare(f"{workers} worker(s)", running, loads)
            deep_lines += comparison.lines(deep, workers)
            result.raw += comparison.raw(deep, workers)
            for load, by_name in deep.items():
                for row, rival in zip(ROWS[load.workload], (PLAIN, TUNED)):
                    result.figures.append(comparison.figure(row, load.workload, by_name, rival, "serverCPUUs"))
                result.figures.append(comparison.figure("p99-deep", load.workload, by_name, PLAIN, "p99Us"))
            if workers == 1:
                many = many_keys(bench, running, keys)
                many_lines += comparison.lines(many)
                result.raw += comparison.raw(many)
                figures, leases = lease_hit(bench, running, keys)
                result.figures += figures
                lease_lines += comparison.lines(leases)
                result.raw += comparison.raw(leases)
    result.tables = [
        Table(f"{DEPTH} requests in flight on each of 50 connections, {keys:,} keys", comparison.HEADER, deep_lines),
        Table("Many keys in one request; CPU and rate are those of requests", comparison.HEADER, many_lines),
        Table("A hit with a lease's flags (mg-lease: `mg <key> v c N10`) beside a plain one", comparison.HEADER, lease_lines),
    ]
    return result


def many_keys(bench, running, keys):
    both = {name: running[name] for name in (OURS, PLAIN)}
    loads = [Load(work, keys, keys_per_request=each) for work in ("multi-get", "multi-mg") for each in (16, 100)]
    return bench.compare("many keys", both, loads, seconds=bench.seconds / 2)


def lease_hit(bench, running, keys):
    """Ours against ourselves: the loads alternate, not the servers."""
    ours = {OURS: running[OURS]}
    pairs = {depth: (Load("mg-lease", keys, depth), Load("mg", keys, depth)) for depth in (1, DEPTH)}
    results = {load: {OURS: []} for pair in pairs.values() for load in pair}
    for _ in range(bench.rounds + 2):
        for load, by_name in bench.compare("lease flags", ours, list(results), rounds=1, seconds=bench.seconds / 2).items():
            results[load][OURS] += by_name[OURS]
    figures = []
    for depth, (leasing, plain) in pairs.items():
        leasing_runs, plain_runs = results[leasing][OURS], results[plain][OURS]
        rounds = [one["serverCPUUs"] / other["serverCPUUs"] for one, other in zip(leasing_runs, plain_runs)]
        value = middle(leasing_runs, "serverCPUUs") / middle(plain_runs, "serverCPUUs")
        noise = (max(rounds) - min(rounds)) / 2 / value
        figures.append(Figure("lease-hit", f"{depth} in flight", value, noise, False, comparison.is_disturbed(leasing_runs + plain_runs)))
    return figures, results
