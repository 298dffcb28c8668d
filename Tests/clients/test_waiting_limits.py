"""Each limit of waiting is met, answered with a hot miss at once, and counted."""

import random

from herd_support import LONG_WAIT_MS, Crowd, WaitServer
from memory_support import poll

WAIT = b"Lw%d" % LONG_WAIT_MS


def test_the_limit_for_a_key():
    with WaitServer("-t", "4", "--max-waiters-per-key", "100") as server, server.client() as holder, Crowd(server, 150) as crowd:
        token, other = holder.grant(b"hot"), holder.grant(b"other")
        crowd.send(b"mg hot v " + WAIT + b"\r\n", crowd.members[:100])
        server.await_waiters(100)
        crowd.send(b"mg hot v " + WAIT + b"\r\n", crowd.members[100:])
        assert crowd.replies(crowd.members[100:]) == [[(b"VA 0 Z", b"")]] * 50
        assert server.stat("waiters_refused_by_key") == 50
        # Another key has room of its own.
        crowd.send(b"mg other v " + WAIT + b"\r\n", crowd.members[100:])
        server.await_waiters(150)
        assert holder.fill(b"hot", token, b"yes") == b"STORED"
        assert holder.fill(b"other", other, b"too") == b"STORED"
        assert crowd.replies(crowd.members[:100]) == [[(b"VA 3", b"yes")]] * 100
        assert crowd.replies(crowd.members[100:]) == [[(b"VA 3", b"too")]] * 50
        assert server.stat("waiters_refused_by_key") == 50


def test_the_limit_for_all_keys():
    with WaitServer("-t", "4", "--max-waiters", "100") as server, server.client() as holder, Crowd(server, 150) as crowd:
        for number in range(150):
            holder.grant(b"key:%d" % number)
        request = lambda number: b"mg key:%d v %s\r\n" % (number, WAIT)
        crowd.send(request, crowd.members[:100])
        server.await_waiters(100)
        crowd.send(request, crowd.members[100:])
        assert crowd.replies(crowd.members[100:]) == [[(b"VA 0 Z", b"")]] * 50
        stats = server.stats()
        assert (stats["waiters_refused_in_all"], stats["waiters"]) == (50, 100)
        # Whoever goes makes room.
        crowd.close(crowd.members[:30], by_reset=True)
        server.await_waiters(70)
        crowd.send(request, crowd.members[100:130])
        server.await_waiters(100)
        assert server.stat("waiters_refused_in_all") == 50


def test_the_limit_for_all_keys_meets_a_crowd_at_once():
    """Workers that count side by side may be a few above it, never more than there are workers."""
    with WaitServer("-t", "4", "--max-waiters", "50") as server, server.client() as holder, Crowd(server, 200) as crowd:
        for number in range(200):
            holder.grant(b"key:%d" % number)
        crowd.send(lambda number: b"mg key:%d v %s\r\n" % (number, WAIT))
        stats = poll(lambda: (now := server.stats())["waiters"] + now["waiters_refused_in_all"] == 200 and now, "each is parked or refused")
        assert 50 <= stats["waiters"] <= 54
        crowd.close(crowd.members, by_reset=True)
        server.await_waiters(0)


def test_the_limit_for_a_connection():
    with WaitServer("-t", "2", "--max-waiters-per-connection", "100") as server, server.client() as holder:
        with server.client() as client, server.client() as other:
            tokens = {number: holder.grant(b"key:%d" % number) for number in range(150)}
            client.send(b"".join(b"mg key:%d v O%d %s\r\n" % (number, number, WAIT) for number in range(150)))
            assert {client.reply() for _ in range(50)} == {(b"VA 0 O%d Z" % number, b"") for number in range(100, 150)}
            server.await_waiters(100)
            assert server.stat("waiters_refused_by_connection") == 50
            other.send(b"mg key:149 v O1 %s\r\n" % WAIT)
            server.await_waiters(101)
            assert client.ask(b"mx 7\r\n") == b"HD"
            client.send(b"mg key:120 v O120 %s\r\n" % WAIT)
            server.await_waiters(101)
            assert holder.fill(b"key:120", tokens[120], b"yes") == b"STORED"
            assert client.reply() == (b"VA 3 O120", b"yes")
            assert server.stat("waiters_refused_by_connection") == 50


def test_the_longest_wait():
    with WaitServer("--max-wait-ms", "100") as server, server.client() as holder, Crowd(server, 300) as crowd:
        token = holder.grant(b"hot")
        crowd.send(lambda number: b"mg hot v Lw%d\r\n" % random.Random(number).choice([101, LONG_WAIT_MS, 4_000_000_000]))
        assert crowd.replies() == [[(b"VA 0 Z", b"")]] * 300
        stats = server.stats()
        assert (stats["waits_timed_out"], stats["waiters"]) == (300, 0)
        assert holder.fill(b"hot", token, b"yes") == b"STORED"
