"""Requests that wait, against each other: mx, deletes and writers, holders that extend or are several."""

import random
import threading

import pytest
from herd_support import LONG_WAIT_MS, Crowd, Threads, WaitServer, scaled, take_reply

WAIT = b"Lw%d" % LONG_WAIT_MS


# mx


@pytest.mark.parametrize("rounds", [scaled(60, 30, 20)])
def test_mx_races_with_the_answer(rounds):
    """Each wait is either taken back, and never answered, or answered exactly once."""
    waits = 40
    outcomes = {b"HD": 0, b"NF": 0}
    with WaitServer("-t", "4") as server, server.client() as holder, server.client() as client:
        for round_number in range(rounds):
            draw = random.Random(round_number)
            key = b"key:%d" % round_number
            token = holder.grant(key)
            client.send(b"".join(b"mg %s v O%d %s\r\n" % (key, number, WAIT) for number in range(waits)))
            server.await_waiters(waits)
            end = draw.choice([b"ms %s 3 C%d\r\nyes\r\n", b"lease-fail %s %d 1 4\r\ndown\r\n", b"lease-pass %s %d 1\r\n", b"lease-release %s %d\r\n"])
            taken = draw.sample(range(waits), waits // 2)
            requests = [b"mx %d\r\n" % number for number in taken]
            # The answer meets them at another place each time.
            at = draw.randrange(len(requests))
            client.send(b"".join(requests[:at]))
            holder.send(end % (key, token))
            client.send(b"".join(requests[at:]))
            holder.line()
            released = end.startswith(b"lease-release")
            replies, answers = [], {}
            while len(replies) < len(taken) or (not released and len(answers) + replies.count(b"HD") < waits):
                line, _ = client.reply()
                if line in outcomes:
                    replies.append(line)
                else:
                    opaque = int(next(word for word in line.split() if word.startswith(b"O"))[1:])
                    assert opaque not in answers, "answered twice"
                    answers[opaque] = line
            for number, reply in zip(taken, replies):
                outcomes[reply] += 1
                assert not (reply == b"HD" and number in answers), "taken back and answered"
            if released:
                # One was promoted, or all were taken back; the others' turn comes when it gives up.
                back = {number for number, reply in zip(taken, replies) if reply == b"HD"}
                client.send(b"flush_all\r\n" * waits)
                oks = 0
                while oks < waits or len(answers) < waits - len(back):
                    line, _ = client.reply()
                    if line == b"OK":
                        oks += 1
                        continue
                    opaque = int(next(word for word in line.split() if word.startswith(b"O"))[1:])
                    assert opaque not in answers and opaque not in back and line.endswith(b" W"), line
                    answers[opaque] = line
            server.await_waiters(0)
            assert client.ask(b"mn\r\n") == b"MN"
    print(f"mx: {outcomes[b'HD']} taken back, {outcomes[b'NF']} answered before")
    assert outcomes[b"HD"] > 0


def test_mx_with_a_crowd_on_one_key():
    with WaitServer("-t", "4") as server, server.client() as holder, Crowd(server, 100) as crowd:
        token = holder.grant(b"hot")
        crowd.send(b"".join(b"mg hot v O%d %s\r\n" % (number, WAIT) for number in range(10)))
        server.await_waiters(1000)
        crowd.send(b"mx 3\r\nmx 3\r\nmx 9\r\nmx 10\r\n")
        assert crowd.replies(count=4) == [[(b"HD", None), (b"NF", None), (b"HD", None), (b"NF", None)]] * 100
        server.await_waiters(800)
        assert holder.fill(b"hot", token, b"yes") == b"STORED"
        expected = sorted((b"VA 3 O%d" % number, b"yes") for number in range(10) if number not in (3, 9))
        assert all(sorted(replies) == expected for replies in crowd.replies(count=8))
        crowd.assert_nothing_more()
        assert server.stat("waits_cancelled") == 200


# Deletes and writers


class Database:
    """One number, and what of it is known to every reader: a change counts from when its delete was answered."""

    def __init__(self):
        self.lock = threading.Lock()
        self.value = 1
        self.announced = 1
        self.reads = 0

    def read(self):
        with self.lock:
            self.reads += 1
            return self.value


@pytest.mark.parametrize("holds", [False, True], ids=["delete", "hold"])
@pytest.mark.parametrize("interval_ms", [0, 20])
def test_deletes_while_many_wait(holds, interval_ms):
    """A storm of changes: nobody is given as fresh what was read before a change that was over when he asked, and everybody is answered."""
    changes, readers, asked_each = scaled(300, 100, 60), 8, scaled(250, 80, 50)
    database = Database()
    threads = Threads()
    served = {"fresh": 0, "stale": 0, "won": 0}
    with WaitServer("-t", "4", "--grant-interval-ms", str(interval_ms)) as server:

        def change():
            with server.client() as writer:
                for _ in range(changes):
                    token = 0
                    if holds:
                        reply = writer.ask(b"lease-hold row 60000\r\n").split()
                        assert reply[0] == b"HELD", reply
                        token = int(reply[1])
                    with database.lock:
                        database.value += 1
                        now = database.value
                    if token and now % 2:
                        value = b"%d" % now
                        assert writer.ask(b"lease-set row %d 0 0 %d\r\n%s\r\n" % (token, len(value), value)) == b"STORED"
                    else:
                        assert writer.ask(b"delete row\r\n") in (b"DELETED", b"NOT_FOUND")
                    database.announced = now

        def read(number):
            draw = random.Random(number)
            with server.client() as client:
                for _ in range(asked_each):
                    known = database.announced
                    options = draw.choice([b"", b"f,"]) + b"w%d" % LONG_WAIT_MS
                    client.send(b"mg row v c L%s\r\n" % options)
                    line, data = client.reply()
                    words = line.split()
                    assert words[0] == b"VA", line
                    if b"W" in words:
                        token = int(next(word for word in words if word.startswith(b"c"))[1:])
                        value = b"%d" % database.read()
                        assert client.ask(b"lease-set row %d 0 0 %d\r\n%s\r\n" % (token, len(value), value)) in (
                            b"STORED", b"STALE_STORED", b"NOT_STORED")
                        served["won"] += 1
                    elif b"X" in words:
                        assert b"f" not in options, "fresh only"
                        served["stale"] += 1
                    else:
                        assert b"Z" not in words, f"a hot miss before its time: {line!r}"
                        assert int(data) >= known, f"{data!r} as fresh, {known} was announced before"
                        served["fresh"] += 1

        threads.start(change)
        for number in range(readers):
            threads.start(read, number)
        threads.join()
        stats = server.stats()
        print(served, f"{database.reads} reads of the database for {changes} changes")
        assert served["fresh"] > 0
        assert sum(served.values()) == readers * asked_each
        assert stats["waiters"] == 0
        # One fetch at the start, and one for each change at most.
        assert database.reads == served["won"] == stats["lease_grants"] - stats["lease_holds"] <= changes + 1


def test_extending_under_load_keeps_them_waiting():
    """A holder that extends outlives its lease's first length by far, and nobody is promoted behind its back."""
    length_ms = 1500
    threads = Threads()
    stop = threading.Event()
    with WaitServer("-t", "2") as server, server.client() as holder, Crowd(server, 100) as crowd:

        def load(number):
            with server.client() as client:
                while not stop.is_set():
                    key = b"load:%d:%d" % (number, random.randrange(50))
                    client.send(b"mg %s v N30 c\r\nmg hot:0 v\r\nlease-get %s\r\n" % (key, key))
                    for _ in range(3):
                        client.reply()
                    assert client.reply() == (b"END", None)

        def outlive(attempt):
            """Extends until another lease, later and twice as long, is over. None: this came too late once."""
            key, other = b"hot:%d" % attempt, b"other:%d" % attempt
            token = holder.grant(key, b"Ll%d" % length_ms)
            crowd.send(b"mg %s v c %s\r\n" % (key, WAIT))
            server.await_waiters(len(crowd))
            holder.grant(other, b"Ll%d" % (2 * length_ms))
            while holder.ask(b"lease-extend %s %d %d\r\n" % (key, token, length_ms)) == b"EXTENDED":
                if holder.ask(b"mg %s c N60\r\n" % other).endswith(b" W"):
                    return key, token
            return None

        for number in range(3):
            threads.start(load, number)
        try:
            # A machine that sleeps for longer than the lease spoils a try, not the test.
            for attempt in range(5):
                outlived = outlive(attempt)
                if outlived and holder.ask(b"lease-extend %s %d 60000\r\n" % outlived) == b"EXTENDED":
                    break
                holder.ask(b"flush_all\r\n")
                crowd.close(crowd.members, by_reset=True)
                crowd = Crowd(server, 100)
            else:
                pytest.fail("each time the lease ended before it was extended")
            assert server.stat("waits_promoted") == 0 or attempt > 0
            server.await_waiters(100)
            key, token = outlived
            assert holder.fill(key, token, b"yes") == b"STORED"
            for ((line, data),) in crowd.replies():
                assert line.startswith(b"VA 3 c") and not line.endswith(b"W") and data == b"yes"
        finally:
            stop.set()
            threads.join()


def test_holders_of_one_key_are_a_semaphore():
    """Up to three at once, over many rounds with crashes; never a fourth."""
    inside, most, lock = 0, 0, threading.Lock()
    threads = Threads()
    rounds = scaled(40, 15, 10)
    with WaitServer("-t", "4") as server:

        def work(number):
            nonlocal inside, most
            draw = random.Random(number)
            for _ in range(rounds):
                with server.client() as client:
                    client.send(b"mg door c Lh3,l60000,w%d\r\n" % LONG_WAIT_MS)
                    line, _ = client.reply()
                    words = line.split()
                    assert words[-1] == b"W", line
                    with lock:
                        inside += 1
                        most = max(most, inside)
                        assert inside <= 3
                    with lock:
                        inside -= 1
                    if draw.random() < 0.5:
                        assert client.ask(b"lease-release door %s\r\n" % words[1][1:]) == b"RELEASED"

        for number in range(12):
            threads.start(work, number)
        threads.join()
        assert server.stat("waiters") == 0
        assert server.stat("lease_grants") == 12 * rounds


def test_answers_never_cut_into_each_other():
    """Opaque waits end while the same connection reads large values, long multi-gets and dumps."""
    with WaitServer("-t", "4", "--plain-writes", "allow") as server, server.client() as holder, server.client() as client:
        large = b"L" * 300_000
        assert holder.set(b"large", large) == b"STORED"
        names = [b"part:%d" % number for number in range(300)]
        for name in names:
            assert holder.set(name, b"value of " + name) == b"STORED"
        waits = scaled(60, 30, 20)
        tokens = [holder.grant(b"wait:%d" % number) for number in range(waits)]
        for number in range(waits):
            client.send(b"mg wait:%d v O%d %s\r\n" % (number, number, WAIT))
        server.await_waiters(waits)
        threads = Threads()

        def fill():
            with server.client() as filler:
                for number, token in enumerate(tokens):
                    assert filler.fill(b"wait:%d" % number, token, b"w" * (100 if number % 2 else 20_000)) == b"STORED"

        threads.start(fill)
        request = b"get " + b" ".join(names) + b"\r\nget large\r\nmg large v\r\nlru_crawler mgdump all\r\nmn\r\n"
        client.send(request * 10)
        ends, seen, values = 0, set(), 0
        while ends < 10 or len(seen) < waits:
            # The lines of a dump end with a bare line feed in metadump only.
            line, data = client.reply()
            words = line.split()
            if line == b"MN":
                ends += 1
            elif words[0] == b"VALUE":
                assert data == (large if words[1] == b"large" else b"value of " + words[1])
                values += 1
            elif words[0] == b"VA" and len(words) == 3:
                number = int(words[2][1:])
                assert number not in seen and data == b"w" * (100 if number % 2 else 20_000)
                seen.add(number)
            elif words[0] == b"VA":
                assert data == large
            else:
                assert words[0] in (b"END", b"EN", b"mg"), line
        threads.join()
        assert values == 10 * 301
        assert take_reply(client.buffer) is None
