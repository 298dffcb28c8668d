"""Requests that wait beside and behind others of their connection: nothing is lost, forgotten or held up for ever."""

import signal
import time

import pytest
from memory_support import LIMIT_SECONDS, Server, poll

WAIT_MS = 1000 * LIMIT_SECONDS


def grant(client, key):
    """Takes the key's lease; its token."""
    line = client.ask(b"mg %s c N600\r\n" % key)
    assert line.endswith(b" W"), line
    return int(line.split()[1][1:])


def fill(client, key, token, value):
    assert client.ask(b"lease-set %s %d 0 0 %d\r\n%s\r\n" % (key, token, len(value), value)) == b"STORED"


def await_waiters(server, count):
    poll(lambda: server.stat("waiters") == count, f"{count} wait")


@pytest.mark.parametrize("requests_per_turn", ["1", "20", "1024"])
def test_all_that_was_sent_behind_a_wait_is_answered(requests_per_turn):
    """More than the server reads meanwhile, and more than one turn's requests."""
    count = 20_000
    with Server("-t", "1", "-R", requests_per_turn) as server, server.client() as holder, server.client() as client:
        token = grant(holder, b"hot")
        client.send(b"mg hot v Lw%d\r\n" % WAIT_MS + b"mn\r\n" * count)
        await_waiters(server, 1)
        fill(holder, b"hot", token, b"yes")
        assert client.line() == b"VA 3"
        assert client.line() == b"yes"
        assert client.lines(count) == [b"MN"] * count


def test_an_answer_counts_as_activity():
    """A connection whose long wait has just been answered is not idle."""
    with Server("-t", "1") as server, server.client() as holder, server.client() as client:
        token = grant(holder, b"hot")
        client.send(b"mg hot v Lw%d\r\n" % WAIT_MS)
        await_waiters(server, 1)

        def idle_seconds():
            holder.send(b"stats conns\r\n")
            stats = {}
            while (line := holder.line()) != b"END":
                _, name, value = line.split(b" ", 2)
                stats[name] = value
            address = b"tcp:127.0.0.1:%d" % client.socket.getsockname()[1]
            number = next(name.split(b":")[0] for name, value in stats.items() if name.endswith(b":addr") and value == address)
            return int(stats[number + b":secs_since_last_cmd"])

        poll(lambda: idle_seconds() >= 3, "it waits for three seconds")
        started = time.monotonic()
        fill(holder, b"hot", token, b"yes")
        assert client.lines(2) == [b"VA 3", b"yes"]
        assert idle_seconds() <= time.monotonic() - started + 1


def test_waits_with_one_and_the_same_opaque():
    """A client that tags every request alike is served as any other."""
    count = 20_000
    with Server("-t", "1") as server, server.client() as holder, server.client() as client:
        for ending in ("filled", "taken back"):
            token = grant(holder, b"hot")
            client.send(b"mg hot v O7 Lw%d\r\n" % WAIT_MS * count + b"mn\r\n")
            assert client.line() == b"MN"
            assert server.stat("waiters") == count
            if ending == "filled":
                fill(holder, b"hot", token, b"yes")
                assert client.lines(2 * count) == [b"VA 3 O7", b"yes"] * count
                assert holder.ask(b"delete hot\r\n") == b"DELETED"
            else:
                client.send(b"mx 7\r\n" * (count + 1))
                assert client.lines(count + 1) == [b"HD"] * count + [b"NF"]
                assert server.stat("waiters") == 0


def test_answers_come_between_lines_that_never_pause():
    """Each batch of a stream of gets ends in the middle of a line: what waits is answered between two of them all the same."""
    with Server("-t", "1") as server, server.client() as holder, server.client() as client:
        token = grant(holder, b"hot")
        client.send(b"mg hot v O7 Lw%d\r\nget a " % WAIT_MS)
        await_waiters(server, 1)
        fill(holder, b"hot", token, b"yes")
        poll(lambda: server.stat("waiters") == 0, "the wait is over")
        client.send(b"b\r\nget a ")
        assert client.line() == b"END"
        assert client.line() == b"VA 3 O7"
        assert client.line() == b"yes"
        client.send(b"b\r\n")
        assert client.line() == b"END"


@pytest.mark.parametrize("round", range(5))
def test_a_stop_in_the_moment_of_a_fill(round):
    """Whoever was answered when the server ends hears so, whichever thread its connection belongs to."""
    keys = 200
    with Server("-t", "4") as server, server.client() as holder:
        tokens = [grant(holder, b"key:%d" % number) for number in range(keys)]
        clients = [server.client() for _ in range(8)]
        for client in clients:
            client.send(b"".join(b"mg key:%d v O%d Lw%d\r\n" % (number, number, WAIT_MS) for number in range(keys)))
        await_waiters(server, keys * len(clients))
        server.is_stopped = True
        holder.send(b"".join(b"lease-set key:%d %d 0 0 3\r\nyes\r\n" % (number, tokens[number]) for number in range(keys)))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(LIMIT_SECONDS) == 0
        for client in clients:
            answers = set()
            try:
                while len(answers) < keys:
                    head = client.line()
                    client.line()
                    assert head.startswith((b"VA 3 O", b"VA 0 O")), head
                    answers.add(head.split()[2])
            except ConnectionError:
                pass
            assert len(answers) == keys
