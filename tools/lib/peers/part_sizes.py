"""After the sizes of the values, or their TTLs, change: as many new ones are written as a fresh server holds; how many of them live?"""

import socket
from dataclasses import dataclass, replace

from peers.bench import OURS, PLAIN, resident
from peers.figures import Figure
from peers.part import Result, Table
from side_by_side import Failure, progress

MEMORY_MB = 64
DAY, MINUTES = 86_400, 600


@dataclass(frozen=True)
class Fill:
    """Keys of its own; more than fit, where nobody says how many."""

    value_bytes: int
    ttl: int = 0
    limit: int | None = None

    @property
    def count(self):
        return self.limit or int(1.6 * (MEMORY_MB << 20) / (self.value_bytes + 48))

    def key(self, number):
        return b"%d-%d-%010d" % (self.value_bytes, self.ttl, number)


# What is counted is the last fill of each; the one before it is what memory was used for until then.
CHANGES = {
    "1000-byte values after 100-byte ones": [Fill(100), Fill(1000)],
    "then 50-byte ones": [Fill(100), Fill(1000), Fill(50)],
    "10-minute values after 1-day ones": [Fill(100, DAY), Fill(100, MINUTES)],
    "1-day values after 10-minute ones": [Fill(100, MINUTES), Fill(100, DAY)],
}
JUDGED = list(CHANGES)[:2]


def run(bench):
    result, lines = Result(raw=[]), []
    fresh = {}
    for what in JUDGED if bench.quick else CHANGES:
        fills = CHANGES[what]
        line = [what]
        for name in (OURS, PLAIN):
            progress(f"{what}, {name}")
            alone = fresh[name, fills[-1]] = fresh.get((name, fills[-1])) or live(bench, name, fills[-1:])
            changed = live(bench, name, [*fills[:-1], replace(fills[-1], limit=alone["items"])])
            result.raw.append({"change": what, "name": name, "live": changed, "fresh": alone})
            line += [f"{changed['items']:,}", f"{alone['items']:,}", f"{changed['items'] / alone['items']:.2f}", f"{changed['peakMB']:.0f}"]
            if name == OURS and what in JUDGED:
                result.figures.append(Figure("sizes", f"{fills[-1].value_bytes} bytes", changed["items"] / alone["items"]))
        lines.append(line)
    header = ["written", "memleased: live", "of a fresh server's", "part", "peak, MB", "memcached: live", "of", "part", "peak, MB"]
    result.tables = [Table(f"After a change, -m {MEMORY_MB}: what lives of the newest", header, lines)]
    return result


def live(bench, name, fills):
    server = bench.start(name, memory_mb=MEMORY_MB)
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            stream = connection.makefile("rb", buffering=1 << 20)
            for fill in fills:
                write(connection, stream, fill)
            items = count_live(connection, stream, fills[-1])
        memory = resident(server.pid)
    finally:
        server.stop()
    if fills[-1].limit is None and not 0 < items < fills[-1].count:
        raise Failure(f"{name} holds {items} of {fills[-1].count} {fills[-1].value_bytes}-byte values")
    return {"items": items, **memory}


def write(connection, stream, fill):
    tail = b" 0 %d %d noreply\r\n%s\r\n" % (fill.ttl, fill.value_bytes, b"x" * fill.value_bytes)
    for first in range(0, fill.count, 500):
        numbers = range(first, min(first + 500, fill.count))
        connection.sendall(b"".join(b"set " + fill.key(number) + tail for number in numbers) + b"mn\r\n")
        # memcached says so where it has no memory for an item, asked for a reply or not.
        while (reply := stream.readline()) != b"MN\r\n":
            if not reply.startswith(b"SERVER_ERROR out of memory"):
                raise Failure(f"set: {reply}")


def count_live(connection, stream, fill):
    """By every tenth key."""
    found = 0
    numbers = range(0, fill.count, 10)
    for at in range(0, len(numbers), 100):
        connection.sendall(b"".join(b"mg %s q\r\n" % fill.key(number) for number in numbers[at : at + 100]) + b"mn\r\n")
        while stream.readline() == b"HD\r\n":
            found += 1
    return found * 10
