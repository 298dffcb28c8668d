"""From the rounds of a comparison to ratios, their noise, and the lines of a table."""

import statistics

from peers.bench import OURS, REDIS
from peers.figures import BUSY_GENERATOR, Figure
from side_by_side import DISTURBED_CORES, middle, spread

HEADER = ["work", "workers", "server", "CPU, µs", "±", "1000/s", "p50, µs", "p99, µs", "±", "generator", "others", "resident, MB", "CPU, ours/its", "p99, ours/its"]


def ratio(results, name, field):
    """(ours to theirs by the medians, half the range of the rounds' own ratios as a part of it)"""
    ours, theirs = results[OURS], results[name]
    of_medians = middle(ours, field) / max(1e-9, middle(theirs, field))
    rounds = [one[field] / max(1e-9, other[field]) for one, other in zip(ours, theirs)]
    return of_medians, (max(rounds) - min(rounds)) / 2 / max(1e-9, of_medians)


def figure(row, label, results, name, field):
    value, noise = ratio(results, name, field)
    runs = results[OURS] + results[name]
    is_latency = field != "serverCPUUs"
    busy = is_latency and max(middle(results[each], "ownBusy") for each in (OURS, name)) > BUSY_GENERATOR
    return Figure(row, label, value, noise, busy, is_disturbed(runs))


def is_disturbed(runs):
    return statistics.median(run["otherBusy"] for run in runs) > DISTURBED_CORES


def half_range(runs, field):
    low, high = spread(runs, field)
    return f"{(high - low) / 2 / max(1e-9, middle(runs, field)) * 100:.0f}%"


def lines(results, workers=1):
    """One line for each load and server."""
    table = []
    for load, by_name in results.items():
        for name, runs in by_name.items():
            marks = ("°" if middle(runs, "ownBusy") > BUSY_GENERATOR else "") + ("†" if is_disturbed(runs) else "")
            # Another generator's latency is no measure for ours.
            fields = {OURS: (), REDIS: ("serverCPUUs",)}.get(name, ("serverCPUUs", "p99Us")) if OURS in by_name else ()
            ratios = [f"{ratio(by_name, name, field)[0]:.2f}" if field in fields else "" for field in ("serverCPUUs", "p99Us")]
            table.append(
                [str(load), str(workers), name + marks, f"{middle(runs, 'serverCPUUs'):.3f}", half_range(runs, "serverCPUUs")]
                + [f"{middle(runs, 'requestsPerSecond') / 1000:,.1f}", f"{middle(runs, 'p50Us'):,.0f}"]
                + [f"{middle(runs, 'p99Us'):,.0f}", half_range(runs, "p99Us"), f"{middle(runs, 'ownBusy') * 100:.0f}%"]
                + [f"{middle(runs, 'otherBusy'):.2f}", f"{runs[-1]['residentMB']:,.0f}", *ratios]
            )
    return table


def raw(results, workers=1):
    """Every run, for results.json."""
    return [
        {"load": str(load), "name": name, "workers": workers, **run}
        for load, by_name in results.items()
        for name, runs in by_name.items()
        for run in runs
    ]
