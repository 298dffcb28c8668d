"""Everything at once, at random, with an exact account: each wait of each client ends once, in one of the ways it may end."""

import random
import threading

import pytest
from herd_support import Threads, WaitServer, scaled

KEYS = [b"key:%d" % number for number in range(6)]


class Chaos:
    """One client: a connection with waits under opaques, none of them used twice; what it is granted it fills, fails, passes, releases or forgets."""

    def __init__(self, server, seed):
        self.server = server
        self.random = random.Random(seed)
        self.client = server.client()
        self.sent = 0
        # Opaque: key. Those that `mx` was sent for are answered or taken back, whichever comes first.
        self.waiting = {}
        self.taken_back = []
        self.simple = 0
        self.told = {"value": 0, "hot miss": 0, "granted": 0, "stale": 0, "failed": 0, "passed": 0, "taken back": 0}

    def ask(self):
        key = self.random.choice(KEYS)
        options = self.random.choice([b"w1", b"w20", b"w200", b"w2000", b"f,w500", b"h2,w500", b"l5,w500", b"f,h3,w100"])
        self.waiting[self.sent] = key
        request = b"mg %s v c O%d L%s\r\n" % (key, self.sent, options)
        self.sent += 1
        return request

    def act(self):
        kind = self.random.random()
        if kind < 0.75 or not self.waiting:
            return self.ask()
        if kind < 0.9:
            opaque = self.random.choice(list(self.waiting))
            self.taken_back.append(opaque)
            return b"mx %d\r\n" % opaque
        self.simple += 1
        key = self.random.choice(KEYS)
        return self.random.choice([b"delete %s noreply\r\nmn\r\n" % key, b"md %s I k\r\nmn\r\n" % key, b"get %s missing\r\nmn\r\n" % key, b"mn\r\n"])

    def use(self, key, token):
        """What the holder does; nothing that is answered but the `mn`."""
        self.simple += 1
        size = self.random.choice([0, 1, 100, 5000, 40_000])
        value = b"v" * size
        return self.random.choice(
            [
                b"lease-set %s %d 0 0 %d noreply\r\n%s\r\nmn\r\n" % (key, token, size, value),
                b"lease-set %s %d 0 0 %d noreply\r\n%s\r\nmn\r\n" % (key, token, size, value),
                b"lease-set %s %d 0 -1 0 noreply\r\n\r\nmn\r\n" % (key, token),
                b"lease-fail %s %d %d 4 noreply\r\ndown\r\nmn\r\n" % (key, token, self.random.choice([0, 5, 30])),
                b"lease-pass %s %d %d noreply\r\nmn\r\n" % (key, token, self.random.choice([0, 5, 30])),
                b"lease-keep %s %d 60 noreply\r\nmn\r\n" % (key, token),
                b"mn\r\n",
            ]
        )

    def take(self, line, data):
        """One reply; what is to be sent in return."""
        words = line.split()
        if line == b"MN":
            self.simple -= 1
        elif line in (b"HD", b"NF"):
            opaque = self.taken_back.pop(0)
            if line == b"HD":
                assert opaque in self.waiting, f"{opaque} was answered and then taken back"
                del self.waiting[opaque]
                self.told["taken back"] += 1
        elif words[0] in (b"VALUE", b"END", b"HD", b"NF"):
            pass
        else:
            opaque = int(next(word for word in words if word.startswith(b"O"))[1:])
            assert opaque in self.waiting, f"{opaque} was answered twice, or after it was taken back: {line!r}"
            key = self.waiting.pop(opaque)
            if words[0] == b"FA":
                assert data == b"down"
                self.told["failed"] += 1
            elif words[0] == b"PS":
                self.told["passed"] += 1
            elif b"W" in words:
                self.told["granted"] += 1
                return self.use(key, int(next(word for word in words if word.startswith(b"c"))[1:]))
            elif b"X" in words:
                self.told["stale"] += 1
            elif b"Z" in words and words[1] == b"0" and b"c1" in words:
                self.told["hot miss"] += 1
            else:
                assert words[0] == b"VA" and data == b"v" * len(data), line
                self.told["value"] += 1
        return b""

    def is_busy(self):
        return self.waiting or self.taken_back or self.simple

    def run(self, turns, closes):
        for _ in range(turns):
            self.client.send(b"".join(self.act() for _ in range(self.random.randrange(1, 20))))
            for _ in range(self.random.randrange(30)):
                if not self.is_busy():
                    break
                if answer := self.take(*self.client.reply()):
                    self.client.send(answer)
        if closes:
            return self.client.reset() if self.random.random() < 0.5 else self.client.socket.close()
        while self.is_busy():
            if answer := self.take(*self.client.reply()):
                self.client.send(answer)
        assert self.client.ask(b"mn\r\n") == b"MN"
        self.client.socket.close()


@pytest.mark.parametrize("interval_ms", [0, 4])
def test_every_wait_ends_once(interval_ms):
    threads = Threads()
    stop = threading.Event()
    told = []
    with WaitServer("-t", "3", "-m", "16", "--lease-ms", "100", "--stale-window-ms", "50", "--grant-interval-ms", str(interval_ms)) as server:

        def disturb():
            draw = random.Random(1)
            with server.client() as client:
                while not stop.wait(0.003):
                    reply = client.ask(b"lease-hold %s %d\r\n" % (draw.choice(KEYS), draw.choice([1, 20])))
                    assert reply.startswith(b"HELD") or reply == b"NOT_STORED"
                    if draw.random() < 0.01:
                        assert client.ask(b"flush_all\r\n") == b"OK"

        def take_part(seed):
            for life in range(scaled(6, 4, 3)):
                chaos = Chaos(server, seed * 100 + life)
                chaos.run(scaled(40, 25, 20), closes=life % 2)
                told.append(chaos.told)

        threads.start(disturb)
        workers = Threads()
        for seed in range(8):
            workers.start(take_part, seed)
        try:
            workers.join()
        finally:
            stop.set()
            threads.join()
        total = {kind: sum(each[kind] for each in told) for kind in told[0]}
        print(total)
        assert all(total.values()), "each way of ending is met"
        server.await_waiters(0)
        stats = server.stats()
        ends = ("filled", "failed", "passed", "promoted", "timed_out", "cancelled", "disconnected")
        assert stats["waits_parked"] == sum(stats[f"waits_{end}"] for end in ends)
        assert all(stats[f"waits_{end}"] for end in ends), stats
