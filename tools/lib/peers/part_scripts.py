"""What other scripts measure: the herd (tools/bench-herd) and the hit ratio (tools/bench-hits)."""

import json
import os
import subprocess
import sys
import tempfile

import side_by_side
from peers.figures import Figure
from peers.part import Result, Table
from side_by_side import Failure

LONGEST_SECONDS = 1200
RIVALS = ["memcached N/W/Z", "Redis polling", "Redis messages"]


def script(bench, name, *arguments):
    """What the script measured. It builds nothing anew: its programs are those of this run."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/report.json"
        command = [side_by_side.ROOT / "tools" / name, "--json", path, "--memleased", bench.options.memleased, *map(str, arguments)]
        # A process group of its own, so that ctrl-C comes here first: one signal, after which it stops its servers.
        process = subprocess.Popen(command, stdout=sys.stderr, preexec_fn=os.setpgrp)
        try:
            code = process.wait(timeout=LONGEST_SECONDS)
        finally:
            process.terminate()
            process.wait()
        try:
            with open(path) as report:
                return json.load(report)
        except OSError:
            raise Failure(f"tools/{name} ended with {code}") from None


def herd(bench):
    patience = max(0, min(60, bench.quiet.patience))
    rounds = 3 if bench.quick else 5
    report = script(bench, "bench-herd", "--rounds", rounds, "--patience", f"{patience:.0f}", "--port", bench.options.port)
    ratios = {entry["label"]: entry["ratio"] for entry in report["bars"] + report["goals"]}
    ours = report["herd"]["memleased"]

    def of_best(field):
        return ours[field]["median"] / max(1e-9, min(report["herd"][rival][field]["median"] for rival in RIVALS))

    figures = [
        Figure("herd-fetches", "", ours["backendFetches"]["median"]),
        Figure("herd-time", "", ratios["herd: time from the fill to the last answer, of the floor"]),
        Figure("herd-rivals", "fetches", of_best("backendFetches")),
        Figure("herd-rivals", "p99", of_best("p99Ms")),
        Figure("herd-rivals-cost", "CPU", of_best("serverMs")),
        Figure("herd-rivals-cost", "bytes", of_best("bytes")),
        Figure("hot-key", "", ratios["hot-key: times fewer database reads"]),
        Figure("holder-fetches", "", report["killedHolder"]["memleased"]["newFetches"]["range"][1]),
        Figure("holder-time", "", report["killedHolder"]["memleased"]["closeToGrantMs"]["range"][1]),
    ]
    return Result(figures=figures, raw=report)


def hits(bench):
    kinds = ["zipf", "churn"]
    if not bench.quick:
        kinds += ["scan", "block", "sizes", "sizes-small", "sizes-large", "large", "ttl"]
    only = [word for kind in kinds for word in ("--only", kind)]
    more = ["--port", bench.options.port, "--generator", bench.options.generator, *(["--quick"] if bench.quick else [])]
    report = script(bench, "bench-hits", *only, *more)
    result, lines = Result(raw=report), []
    for label, ours, points in [("same -m", "sameLimit", "pointsAtSameLimit"), ("same resident memory", "sameResident", "pointsAtSameResident")]:
        worst = min(report["hits"], key=lambda row: row[points])
        result.figures.append(Figure("hits", f"{label} ({worst['trace']}, {worst['memory']} MB)", worst[points]))
    for row in report["hits"]:
        line = [row["trace"], f"{row['memory']} MB"]
        for one in (row["memcached"], row["sameLimit"], row["sameResident"]):
            line += [f"{one['hitRatio'] * 100:.2f}", f"{one['residentBytes'] / (1 << 20):.0f}"]
        lines.append([*line, f"{row['pointsAtSameLimit']:+.2f}", f"{row['pointsAtSameResident']:+.2f}"])
    header = ["trace", "memcached's -m", "its hits, %", "resident, MB", "ours, same -m", "resident, MB", "ours, same resident", "resident, MB"]
    result.tables = [Table("Hit ratios of replayed traces", [*header, "points, same -m", "points, same resident"], lines)]
    return result
