"""Herds: thousands of requests that wait for one fetch, on the real server over real sockets."""

import random
import signal
import subprocess
import sys
import threading

import pytest
from herd_support import LONG_WAIT_MS, Crowd, WaitServer, allow_connections, scaled
from memory_support import LIMIT_SECONDS, poll, value_for

HERD = 10_000
CROWD = 1_000
WAIT = b"mg hot v Lw%d\r\n" % LONG_WAIT_MS


@pytest.mark.parametrize("waiters", [HERD])
def test_a_herd_on_one_key_is_answered_by_one_fill(waiters):
    waiters = allow_connections(waiters)
    value = value_for(b"hot", 1, 100)
    with WaitServer("-t", "4", "-c", str(waiters + 50)) as server, server.client() as holder, Crowd(server, waiters) as crowd:
        token = holder.grant(b"hot")
        crowd.send(WAIT)
        server.await_waiters(waiters)
        assert holder.fill(b"hot", token, value) == b"STORED"
        assert all(replies == [(b"VA 100", value)] for replies in crowd.replies())
        stats = server.stats()
        assert (stats["lease_grants"], stats["waits_parked"], stats["waits_filled"], stats["waiters"]) == (1, waiters, waiters, 0)
        crowd.assert_nothing_more()


@pytest.mark.parametrize("waiters", [CROWD])
def test_a_herd_of_plain_gets_is_answered_by_one_set(waiters):
    waiters = allow_connections(waiters)
    with WaitServer("-t", "4", "--plain-writes", "guard", "--coalesce-gets", str(LONG_WAIT_MS)) as server:
        with server.client() as first, Crowd(server, waiters) as crowd:
            assert first.get(b"hot") is None
            crowd.send(lambda number: [b"get hot\r\n", b"gets hot\r\n", b"gat 100 hot\r\n", b"get hot hot\r\n"][number % 4])
            server.await_waiters(waiters + len(range(3, waiters, 4)))
            assert first.set(b"hot", b"yes") == b"STORED"
            for number, replies in enumerate(crowd.replies(count=2)):
                line, data = replies[0]
                assert line.split()[:4] == [b"VALUE", b"hot", b"0", b"3"] and data == b"yes"
                assert len(line.split()) == (5 if number % 4 == 1 else 4)
                if number % 4 == 3:
                    assert replies[1] == (b"VALUE hot 0 3", b"yes")
                else:
                    assert replies[1] == (b"END", None)
            both = [member for member in crowd.members if member.number % 4 == 3]
            assert all(replies == [(b"END", None)] for replies in crowd.replies(both))
            assert server.stat("coalesced_fetches") == 1
            crowd.assert_nothing_more()


@pytest.mark.parametrize("keys", [HERD])
def test_one_connection_waits_for_thousands_of_keys(keys):
    with WaitServer("-t", "4") as server, server.client() as holder, server.client() as client:
        names = [b"key:%d" % number for number in range(keys)]
        tokens = {}
        for start in range(0, keys, 500):
            holder.send(b"".join(b"mg %s N60 c k\r\n" % name for name in names[start : start + 500]))
            for line in holder.lines(len(names[start : start + 500])):
                words = line.split()
                assert words[0] == b"HD" and words[3] == b"W"
                tokens[words[2][1:]] = int(words[1][1:])
        client.send(b"".join(b"mg %s v O%d Lw%d\r\n" % (name, number, LONG_WAIT_MS) for number, name in enumerate(names)))
        server.await_waiters(keys)
        # Others' requests, and its own, go by those that wait.
        assert client.ask(b"mn\r\n") == b"MN"

        def fill(part, failures):
            try:
                with server.client() as filler:
                    for name in part:
                        value = b"of " + name
                        filler.send(b"ms %s %d C%d\r\n%s\r\n" % (name, len(value), tokens[name], value))
                    assert filler.lines(len(part)) == [b"HD"] * len(part)
            except BaseException as error:
                failures.append(error)

        failures = []
        order = random.Random(5).sample(names, keys)
        threads = [threading.Thread(target=fill, args=(order[part::4], failures)) for part in range(4)]
        for thread in threads:
            thread.start()
        seen = set()
        for _ in range(keys):
            line, data = client.reply()
            number = int(line.split()[2][1:])
            assert number not in seen, "answered twice"
            seen.add(number)
            assert data == b"of " + names[number]
        for thread in threads:
            thread.join()
        assert not failures
        assert client.ask(b"mn\r\n") == b"MN"
        stats = server.stats()
        assert (stats["waits_filled"], stats["waiters"], stats["lease_grants"]) == (keys, 0, keys)


HOLDER = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(b"mg hot N60 c\\r\\n")
print(connection.recv(100).split()[-1].decode(), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("waiters", [CROWD])
def test_a_holder_killed_in_its_fetch_is_replaced_by_one(waiters):
    waiters = allow_connections(waiters)
    with WaitServer("-t", "4", "-c", str(waiters + 50)) as server, Crowd(server, waiters) as crowd:
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(server.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert holder.stdout.readline() == b"W\n"
            crowd.send(b"mg hot v c Lw%d\r\n" % LONG_WAIT_MS)
            server.await_waiters(waiters)
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.communicate()
        server.await_waiters(waiters - 1)
        (promoted,) = crowd.first_to_hear()
        ((line, data),) = crowd.replies([promoted])[0]
        words = line.split()
        assert words[:2] == [b"VA", b"0"] and words[3:] == [b"W"] and data == b""
        rest = [member for member in crowd.members if member is not promoted]
        promoted.socket.settimeout(LIMIT_SECONDS)
        assert promoted.fill(b"hot", int(words[2][1:]), b"new") == b"STORED"
        for ((line, data),) in crowd.replies(rest):
            assert line.startswith(b"VA 3 c") and b"W" not in line and data == b"new"
        stats = server.stats()
        assert (stats["lease_grants"], stats["waits_promoted"], stats["lease_disconnects"]) == (2, 1, 1)
        assert stats["waits_filled"] == waiters - 1
        promoted.socket.setblocking(False)
        crowd.assert_nothing_more()


@pytest.mark.parametrize("by_reset", [False, True], ids=["end", "reset"])
def test_waiters_that_die_are_gone_at_once_and_not_promoted(by_reset):
    with WaitServer("-t", "4") as server, server.client() as holder, Crowd(server, 200) as crowd:
        token = holder.grant(b"hot")
        # The first to come are the first in line: they die.
        crowd.send(WAIT, crowd.members[:120])
        server.await_waiters(120)
        crowd.send(b"mg hot v O7 Lw%d\r\n" % LONG_WAIT_MS, crowd.members[120:])
        server.await_waiters(200)
        crowd.close(crowd.members[:150], by_reset)
        server.await_waiters(50)
        assert server.stat("waits_disconnected") == 150
        assert holder.ask(b"lease-release hot %d\r\n" % token) == b"RELEASED"
        server.await_waiters(49)
        (promoted,) = crowd.first_to_hear()
        assert promoted.number >= 150
        assert crowd.replies([promoted]) == [[(b"VA 0 O7 W", b"")]]
        crowd.close([promoted], by_reset)
        server.await_waiters(48)
        (next_promoted,) = crowd.first_to_hear()
        assert crowd.replies([next_promoted]) == [[(b"VA 0 O7 W", b"")]]
        assert server.stat("waits_promoted") == 2


@pytest.mark.parametrize("rounds", [scaled(150, 50, 30)])
def test_a_promoted_waiter_that_dies_before_it_reads_passes_the_lease_on(rounds):
    """The holder, and the first in line, go at the same moment; whichever the server sees first, the last one gets the lease."""
    draw = random.Random(3)
    with WaitServer("-t", "4") as server:
        for round_number in range(rounds):
            key = b"hot:%d" % round_number
            request = b"mg %s c Lw%d\r\n" % (key, LONG_WAIT_MS)
            doomed = [server.client() for _ in range(4)]
            with server.client() as last:
                doomed[0].grant(key)
                for number, client in enumerate(doomed[1:], 1):
                    client.send(request)
                    server.await_waiters(number)
                last.send(request)
                server.await_waiters(4)
                if round_number % 2:
                    draw.shuffle(doomed)
                for client in doomed:
                    if draw.random() < 0.5:
                        client.reset()
                    else:
                        client.socket.close()
                words = last.line().split()
                assert words[0] == b"HD" and words[2:] == [b"W"], words
                assert last.fill(key, int(words[1][1:]), b"x") == b"STORED"
                server.await_waiters(0)


@pytest.mark.parametrize("is_watched", [False, True], ids=["", "watched"])
def test_a_herd_leaves_nothing_behind(is_watched):
    """After waits of every ending the server's counts add up, and no connection is left."""
    draw = random.Random(11)
    with WaitServer("-t", "4", "--lease-ms", "300") as server, server.client() as watcher:
        if is_watched:
            assert watcher.ask(b"watch leases fetchers mutations deletions connevents\r\n") == b"OK"
        for _ in range(scaled(8, 4, 3)):
            with Crowd(server, 60) as crowd, server.client() as holder:
                tokens = [holder.grant(b"key:%d" % number, b"Ll%d" % draw.choice([200, 60_000])) for number in range(6)]
                crowd.send(lambda number: b"mg key:%d v O%d Lw%d\r\n" % (number % 6, number, draw.choice([1, 50, LONG_WAIT_MS])))
                crowd.send(lambda number: b"mx %d\r\n" % number, crowd.members[::7])
                crowd.close(crowd.members[::5], by_reset=draw.random() < 0.5)
                holder.fill(b"key:0", tokens[0], b"x" * draw.choice([1, 5000, 300_000]))
                holder.ask(b"lease-pass key:1 %d 1\r\n" % tokens[1])
                holder.ask(b"lease-fail key:2 %d 1 4\r\ndown\r\n" % tokens[2])
                holder.ask(b"lease-release key:3 %d\r\n" % tokens[3])
                holder.ask(b"flush_all\r\n")
            server.await_waiters(0)
        stats = server.stats()
        ends = ("filled", "failed", "passed", "promoted", "timed_out", "cancelled", "disconnected")
        assert stats["waits_parked"] == sum(stats[f"waits_{end}"] for end in ends) > 0
        poll(lambda: server.stat("curr_connections") == 2, "all connections are gone")
