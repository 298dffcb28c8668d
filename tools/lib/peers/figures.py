"""What must be reached, as DESIGN.md states it, and what was measured."""

from dataclasses import asdict, dataclass, field

REACHED, FIRST_BAR, MISSED = "reached", "first bar", "MISSED"
# A closed loop's latency, where the generator was busier, is its own as much as the server's.
BUSY_GENERATOR = 0.85


@dataclass(frozen=True)
class Row:
    """One line of the table. Invariant: `bar` is never harder than `goal`."""

    work: str
    goal: float | None
    bar: float | None = None
    at_least: bool = False
    unit: str = ""
    digits: int = 2

    def limit(self, value):
        return "" if value is None else f"{'≥' if self.at_least else '≤'} {value:g}{self.unit}"

    def is_within(self, value, limit):
        return limit is None or (value >= limit if self.at_least else value <= limit)


# In the order of the table.
ROWS = {
    "cpu": Row("one request in flight on each of 50 connections: server CPU of memcached's", 0.80, 0.95),
    "cpu-deep": Row("64 in flight: server CPU of memcached's", 0.12, 0.30),
    "cpu-deep-tuned": Row("64 in flight: server CPU of `memcached -R 200`'s", 0.20, 0.45),
    "cpu-set": Row("set, 64 in flight: server CPU of memcached's", 0.25, 0.45),
    "cpu-set-tuned": Row("set, 64 in flight: server CPU of `memcached -R 200`'s", 0.32, 0.55),
    "p99": Row("one in flight: p99 of memcached's, the generator on the workers' processors", 1.0, 1.1),
    "p99-apart": Row("one in flight: p99 of memcached's, the generator on a processor of its own", 1.0, 1.1),
    "p99-open": Row("the same, both at the same fixed rate", 1.0, 1.1),
    "p99-deep": Row("64 in flight: p99 of memcached's, closed loop", 1.0, 1.1),
    "items-32": Row("items held in `-m 64`, 32-byte values: times memcached's", 1.8, 1.5, at_least=True),
    "items-100": Row("items held in `-m 64`, 100-byte values: times memcached's", 1.4, 1.2, at_least=True),
    "hits": Row("hit ratio, the worst of all traces: points above memcached's", 0, -1, at_least=True),
    "sizes": Row("newest items that live after the sizes changed (100, 1000, 50 bytes), of a fresh server's", 1.0, 0.9, at_least=True),
    "lease-hit": Row("`mg k v c N10`, a hit: server CPU of `mg k v`'s", 1.05, 1.15),
    "herd-fetches": Row("herd, 10,000 clients: database fetches", 1, 1, digits=0),
    "herd-time": Row("herd: time from the fill to the last answer, of the floor's", 1.25, 1.6),
    "herd-rivals": Row("herd: fetches and p99 of the best of memcached polling, Redis polling, Redis messages", 1.0, 1.0),
    "herd-rivals-cost": Row("herd: server CPU and bytes of the best of them", 1.0),
    "hot-key": Row("hot key, read and deleted all the time: times fewer database reads", 13, 13, at_least=True, digits=0),
    "holder-fetches": Row("killed holder, 1,000 waiters: new fetches", 1, 1, digits=0),
    "holder-time": Row("killed holder: until the new fetch, the slowest round", 10, 50, unit=" ms", digits=1),
    "parked": Row("memory of a parked request, with its 16-byte key", 128 + 16, 256 + 16, unit=" bytes", digits=0),
    "lease": Row("memory of an outstanding lease, with its 16-byte key", 192 + 16, 384 + 16, unit=" bytes", digits=0),
    "idle-connection": Row("memory of an idle connection of 10,000, beyond the kernel's", 1024, 4096, unit=" bytes", digits=0),
    "startup": Row("from the start to the first answer", 50, unit=" ms", digits=1),
}


@dataclass
class Figure:
    """One measured number of a row."""

    row: str
    label: str
    value: float
    # Half the range over the rounds, as a part of the value.
    noise: float = 0.0
    busy: bool = False
    disturbed: bool = False
    part: str = field(default="")

    @property
    def text(self):
        return f"{self.value:,.{ROWS[self.row].digits}f}{'°' if self.busy else ''}{'†' if self.disturbed else ''}"

    @property
    def verdict(self):
        row = ROWS[self.row]
        # What the table shows is what is judged.
        shown = round(self.value, row.digits)
        return REACHED if row.is_within(shown, row.goal) else FIRST_BAR if row.bar is not None and row.is_within(shown, row.bar) else MISSED

    def to_json(self):
        return {**asdict(self), "verdict": self.verdict}


def measured_text(figures):
    """`get 0.70 / 0.66, set 0.75 / 0.71`: figures of one label stand together."""
    by_label = {}
    for figure in figures:
        by_label.setdefault(figure.label, []).append(figure.text)
    unit = ROWS[figures[0].row].unit
    return ", ".join(f"{label} {' / '.join(texts)}".strip() for label, texts in by_label.items()) + unit


def row_verdict(figures):
    verdicts = [figure.verdict for figure in figures]
    missed = list(dict.fromkeys(figure.label for figure in figures if figure.verdict != REACHED))
    worst = MISSED if MISSED in verdicts else FIRST_BAR if FIRST_BAR in verdicts else REACHED
    if worst == REACHED:
        return REACHED
    which = f": {', '.join(missed)}" if 0 < len(missed) < len({figure.label for figure in figures}) else ""
    return ("**MISSED**" if worst == MISSED else "goal missed, first bar reached") + which
