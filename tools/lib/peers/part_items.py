"""How many items `-m 64` holds, by the size of the values, when more are written than fit."""

from peers.bench import OURS, PLAIN, resident
from peers.figures import Figure
from peers.part import Result, Table
from side_by_side import Failure, progress

MEMORY_MB, KEY_BYTES = 64, 16
SIZES = [8, 32, 100, 300, 1000, 4096]
JUDGED = {32: "items-32", 100: "items-100"}


def run(bench):
    result, lines = Result(raw=[]), []
    for size in JUDGED if bench.quick else SIZES:
        held = {name: fill(bench, name, size) for name in (OURS, PLAIN)}
        result.raw.append({"valueBytes": size, "held": held})
        ours, theirs = held[OURS]["items"], held[PLAIN]["items"]
        line = [f"{size} bytes", f"{ours:,}", f"{theirs:,}", f"{ours / theirs:.2f}", f"{ours * (KEY_BYTES + size) / (MEMORY_MB << 20):.0%}"]
        lines.append(line + [f"{held[name]['residentMB']:.0f} / {held[name]['peakMB']:.0f}" for name in (OURS, PLAIN)])
        if size in JUDGED:
            result.figures.append(Figure(JUDGED[size], "", ours / theirs))
    header = ["values", "memleased", "memcached", "ratio", "our keys' and values' part of 64 MB", "memleased resident / peak, MB", "memcached's"]
    result.tables = [Table(f"Items held in -m {MEMORY_MB}, {KEY_BYTES}-byte keys", header, lines)]
    return result


def fill(bench, name, size):
    count = int((2 if bench.quick else 3) * (MEMORY_MB << 20) / (KEY_BYTES + size + 16))
    progress(f"items held, {size}-byte values, {name}")
    server = bench.start(name, memory_mb=MEMORY_MB)
    try:
        place = ["--server", server.address, "--count", count]
        report = bench.generate("fill", *place, "--key-bytes", KEY_BYTES, "--value-bytes", size, may_fail=True)
        memory = resident(server.pid)
    finally:
        server.stop()
    # memcached refuses some writes while its memory fills for the first time; anything else is a failure.
    if report["wrongValues"] or report["stored"] < count * 0.99 or "currItems" not in report:
        raise Failure(f"{name}: {report}")
    # What can be read counts; a server that says more than that is not believed.
    held = min(report["currItems"], report["itemsHeldBySample"])
    if held == count:
        raise Failure(f"{name} held all {count} keys")
    return {"items": held, "written": count, **memory}
