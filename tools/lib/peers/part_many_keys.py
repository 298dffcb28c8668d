"""Millions of keys: nearly every read misses the processor's caches."""

from peers import comparison
from peers.bench import OURS, PLAIN, TUNED, Load
from peers.part import Result, Table


def run(bench):
    keys = 1_000_000 if bench.quick else 4_000_000
    with bench.servers([OURS, PLAIN, TUNED], memory_mb=2048) as running:
        bench.preload(running, Load("get", keys))
        shallow = bench.compare("many keys", {name: running[name] for name in (OURS, PLAIN)}, [Load(work, keys) for work in ("get", "mg")])
        deep = bench.compare("many keys", running, [Load(work, keys, 64) for work in ("get", "mg")])
    results = shallow | deep
    table = Table(f"{keys:,} keys, all alike popular: cache misses", comparison.HEADER, comparison.lines(results))
    return Result(tables=[table], raw=comparison.raw(results))
