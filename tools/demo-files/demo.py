"""A shop's category pages, read by hundreds of clients while the catalogue changes: plain cache-aside, then leases, in one table."""

import argparse
import asyncio
import bisect
import contextlib
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter

import asyncpg

from cache import CacheConnection, ProtocolError
from servers import CacheServer, PostgreSQL

CATEGORIES = 200
PRODUCTS_PER_CATEGORY = 20
CHANGES_IN_A_ROW = 3
ZIPF_EXPONENT = 1.0
TTL_SECONDS = 600
QUERY_CONNECTIONS = 32
WRITERS = 8
HOT_MISS_WAIT_SECONDS = 0.02
HOT_MISS_TRIES = 500
HERE = os.path.dirname(os.path.abspath(__file__))
CHANGES = re.compile(rb'"changes" : (\d+)')


def sql(name):
    with open(f"{HERE}/{name}") as file:
        return file.read()


PAGE_QUERY = sql("category_page.sql")


def page_key(category):
    return b"category:%d" % category


class Popularity:
    """Draws categories, the first the most popular, by Zipf's law."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.cumulative = list(itertools.accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, CATEGORIES + 1)))

    def draw(self):
        return 1 + bisect.bisect_left(self.cumulative, self.random.random() * self.cumulative[-1])


class Shop:
    """One run: what its clients do and what was counted.

    `changed_at[c]` holds when each change of category c was committed; of these, so many as `deleted[c]` says have been
    followed by their delete.
    """

    def __init__(self, database, office, changes_before):
        self.database = database
        self.office = office
        self.changes_before = changes_before
        self.changed_at = {category: [] for category in range(1, CATEGORIES + 1)}
        self.deleted = Counter()
        self.running = Counter()
        self.count = Counter()
        self.latencies_ms = []
        self.outdated_ms = []

    async def query(self, category):
        """The page from the database, at the database's cost."""
        self.count["queries"] += 1
        self.count["queries_after_change"] += bool(self.changed_at[category])
        self.count["duplicate_queries"] += self.running[category] > 0
        self.running[category] += 1
        self.count["most_at_once"] = max(self.count["most_at_once"], self.running[category])
        try:
            return (await self.database.fetchval(PAGE_QUERY, category)).encode()
        finally:
            self.running[category] -= 1

    def changes_seen(self, category, page):
        return int(CHANGES.search(page)[1]) - self.changes_before[category]

    async def write(self, category, page, writing):
        """Counts the reply, and a page that is taken as fresh though a delete has already said that it is not."""
        is_stale = self.changes_seen(category, page) < self.deleted[category]
        reply = await writing
        self.count[reply.decode().lower()] += 1
        self.count["stale_writes_taken"] += is_stale and reply == b"STORED"

    async def plain_page(self, cache, category):
        key = page_key(category)
        page = await cache.get(key)
        if page is None:
            page = await self.query(category)
            await self.write(category, page, cache.set(key, TTL_SECONDS, page))
        return page

    async def leased_page(self, cache, category):
        key = page_key(category)
        for _ in range(HOT_MISS_TRIES):
            token, page = await cache.lease_get(key)
            if token is None:
                return page
            if token != 1:
                page = await self.query(category)
                if token != 0:
                    await self.write(category, page, cache.lease_set(key, token, TTL_SECONDS, page))
                return page
            if page:
                self.count["stale_pages"] += 1
                return page
            self.count["hot_miss_retries"] += 1
            await asyncio.sleep(HOT_MISS_WAIT_SECONDS)
        raise ProtocolError("a lease was never filled")

    async def client(self, get_page, cache, popularity, ends_at, pause_seconds):
        while True:
            await asyncio.sleep(popularity.random.expovariate(1 / pause_seconds))
            started = time.monotonic()
            if started >= ends_at:
                return
            category = popularity.draw()
            known = len(self.changed_at[category])
            page = await get_page(cache, category)
            self.latencies_ms.append((time.monotonic() - started) * 1000)
            seen = self.changes_seen(category, page)
            if seen < known:
                self.outdated_ms.append((started - self.changed_at[category][seen]) * 1000)

    async def writer(self, cache, popularity, due_times):
        """Changes some prices of a category one after another; deletes the page that shows them as soon as each is committed."""
        for due in due_times:
            await asyncio.sleep(max(0, due - time.monotonic()))
            category = popularity.draw()
            for place in popularity.random.sample(range(PRODUCTS_PER_CATEGORY), CHANGES_IN_A_ROW):
                await self.office.execute(
                    "UPDATE products SET price_cents = price_cents + $2, changes = changes + 1 WHERE id = $1",
                    category + CATEGORIES * place, popularity.random.randint(1, 400))
                self.changed_at[category].append(time.monotonic())
                await cache.delete(page_key(category))
                self.deleted[category] += 1
                self.count["invalidations"] += 1

    async def wrong_pages(self, cache):
        """What the cache still serves as fresh though the database says otherwise, now that everything is quiet."""
        cached = wrong = 0
        for category in range(1, CATEGORIES + 1):
            page = await cache.get(page_key(category))
            if page is not None:
                cached += 1
                wrong += page != (await self.database.fetchval(PAGE_QUERY, category)).encode()
        return cached, wrong


async def run(database, office, server, cluster, options, leases):
    rows = await database.fetch("SELECT category_id, sum(changes)::int FROM products GROUP BY category_id")
    shop = Shop(database, office, dict(map(tuple, rows)))
    get_page = shop.leased_page if leases else shop.plain_page
    caches = [await CacheConnection.open(server.port) for _ in range(options.clients + WRITERS)]
    cpu_before = cluster.cpu_seconds()
    starts_at = time.monotonic()
    ends_at = starts_at + options.seconds
    async with asyncio.timeout(options.seconds * 3 + 30), asyncio.TaskGroup() as tasks:
        for number, cache in enumerate(caches[: options.clients]):
            tasks.create_task(shop.client(get_page, cache, Popularity(number), ends_at, options.pause_ms / 1000))
        rounds_per_second = options.changes / CHANGES_IN_A_ROW
        due = [starts_at + 1 + i / rounds_per_second for i in range(int((options.seconds - 1) * rounds_per_second))]
        for number, cache in enumerate(caches[options.clients :]):
            tasks.create_task(shop.writer(cache, Popularity(-1 - number), due[number::WRITERS]))
    took = time.monotonic() - starts_at
    cpu = cluster.cpu_seconds() - cpu_before
    cached, wrong = await shop.wrong_pages(caches[0])
    for cache in caches:
        await cache.close()
    return report(shop, took, cpu, cached, wrong)


def at(ordered, share):
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) if ordered else 0.0


def report(shop, took, cpu, cached, wrong):
    count = shop.count
    latencies = sorted(shop.latencies_ms)
    return {
        "seconds": round(took, 1),
        "requests": len(latencies),
        "requests_per_second": round(len(latencies) / took),
        "latency_p50_ms": at(latencies, 0.5),
        "latency_p99_ms": at(latencies, 0.99),
        "latency_max_ms": at(latencies, 1),
        "database_queries": count["queries"],
        "invalidations": count["invalidations"],
        "queries_per_invalidation": round(count["queries_after_change"] / max(1, count["invalidations"]), 2),
        "duplicate_concurrent_queries": count["duplicate_queries"],
        "most_concurrent_queries_of_one_key": count["most_at_once"],
        "database_cpu_seconds": round(cpu, 1),
        "stale_values_used_while_one_fetches": count["stale_pages"],
        "hot_miss_retries": count["hot_miss_retries"],
        "writes_stored": count["stored"],
        "stale_writes_taken_as_fresh": count["stale_writes_taken"],
        "stale_writes_refused_stale_stored": count["stale_stored"],
        "stale_writes_refused_not_stored": count["not_stored"],
        "outdated_answers": len(shop.outdated_ms),
        "most_outdated_answer_ms": at(sorted(shop.outdated_ms), 1),
        "values_cached_at_end": cached,
        "wrong_values_cached_at_end": wrong,
    }


ROWS = [
    ("requests answered", "requests"),
    ("  per second", "requests_per_second"),
    ("latency p50, ms", "latency_p50_ms"),
    ("latency p99, ms", "latency_p99_ms"),
    ("latency max, ms", "latency_max_ms"),
    ("changes committed, values deleted", "invalidations"),
    ("database queries", "database_queries"),
    ("  per invalidation", "queries_per_invalidation"),
    ("  while the same one was running", "duplicate_concurrent_queries"),
    ("  of one key at once, at most", "most_concurrent_queries_of_one_key"),
    ("database CPU, s", "database_cpu_seconds"),
    ("hot misses: stale value used", "stale_values_used_while_one_fetches"),
    ("hot misses: asked again", "hot_miss_retries"),
    ("stale writes taken as fresh", "stale_writes_taken_as_fresh"),
    ("stale writes refused: STALE_STORED", "stale_writes_refused_stale_stored"),
    ("stale writes refused: NOT_STORED", "stale_writes_refused_not_stored"),
    ("answers older than the last change", "outdated_answers"),
    ("  the oldest by, ms", "most_outdated_answer_ms"),
    ("values in the cache at the end", "values_cached_at_end"),
    ("  of these wrong, until they expire", "wrong_values_cached_at_end"),
]
LEASES_ONLY = {"stale_values_used_while_one_fetches", "hot_miss_retries", "stale_writes_refused_stale_stored", "stale_writes_refused_not_stored"}


def print_table(options, plain, leased):
    print(f"{options.clients} clients, {CATEGORIES} keys (zipf {ZIPF_EXPONENT:g}), {options.changes:g} changes a second, "
          f"{options.seconds:g} s each; PostgreSQL, {QUERY_CONNECTIONS} connections for queries\n")
    print(f"{'':36}{'cache-aside':>13}{'leases':>13}")
    for title, name in ROWS:
        left = "-" if name in LEASES_ONLY else f"{plain[name]:,}"
        print(f"{title:36}{left:>13}{leased[name]:>13,}")


async def connect(cluster, connections, limit_seconds=20):
    give_up = time.monotonic() + limit_seconds
    while True:
        try:
            return await asyncpg.create_pool(
                host=cluster.directory, user="demo", database="postgres", min_size=connections, max_size=connections)
        except (OSError, asyncpg.CannotConnectNowError):
            if cluster.process.poll() is not None or time.monotonic() > give_up:
                with open(f"{cluster.directory}/postgres.log", errors="replace") as log:
                    raise SystemExit(f"demo: PostgreSQL did not start:\n{log.read()}") from None
            await asyncio.sleep(0.05)


def cache_command(options, leases):
    if leases:
        return [options.server]
    if options.plain_on:
        return [options.plain_on] + (["-u", "nobody"] if os.getuid() == 0 else [])
    return [options.server, "--plain-writes", "allow", "--stale-window-ms", "0"]


async def demo(options, directory, undo):
    def say(text):
        print(text, file=sys.stderr, flush=True)

    cluster = PostgreSQL(directory)
    undo.callback(cluster.stop)
    say("demo: filling a private PostgreSQL with the catalogue")
    cluster.start()
    database = await connect(cluster, QUERY_CONNECTIONS)
    office = await connect(cluster, WRITERS)
    await database.execute(sql("catalogue.sql"))
    results = []
    for leases in (False, True):
        say(f"demo: {'leases' if leases else 'plain cache-aside'}, {options.seconds:g} s")
        server = CacheServer(cache_command(options, leases), options.port, f"{directory}/cache.log")
        undo.callback(server.stop)
        server.start()
        results.append(await run(database, office, server, cluster, options, leases))
        server.stop()
    await database.close()
    await office.close()
    return results


def parse_options():
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--seconds", type=float, default=12, help="how long each of the two runs lasts (default 12)")
    parser.add_argument("--clients", type=int, default=500, help="concurrent clients, each with a connection (default 500)")
    parser.add_argument("--pause-ms", type=float, default=150, help="mean pause of a client between two requests (default 150)")
    parser.add_argument("--changes", type=float, default=30, help="changes of the catalogue per second (default 30)")
    parser.add_argument("--port", type=int, default=0, help="port of the cache server (default: a free one)")
    parser.add_argument("--plain-on", metavar="PROGRAM", help="run plain cache-aside on this server, e.g. memcached")
    parser.add_argument("--server", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse_options()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as undo:
        directory = tempfile.mkdtemp(prefix="memlease-demo-")
        undo.callback(shutil.rmtree, directory, ignore_errors=True)
        try:
            plain, leased = asyncio.run(demo(options, directory, undo))
        except KeyboardInterrupt:
            sys.exit(130)
    if options.json:
        print(json.dumps({"settings": {"clients": options.clients, "keys": CATEGORIES, "zipf_exponent": ZIPF_EXPONENT,
                                       "changes_per_second": options.changes, "pause_ms": options.pause_ms},
                          "cache_aside": plain, "leases": leased}, indent=2))
    else:
        print_table(options, plain, leased)
    if leased["wrong_values_cached_at_end"] or leased["stale_writes_taken_as_fresh"]:
        sys.exit("demo: with leases a wrong value got into the cache")


if __name__ == "__main__":
    main()
