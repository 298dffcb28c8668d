"""Waiters of every kind on one key at once: what each is told of each ending, and in which order they are promoted."""

import pytest
from herd_support import LONG_WAIT_MS, Crowd, WaitServer

WAIT = b"Lw%d" % LONG_WAIT_MS

# What each kind asks, and how it is told of a value, a failure, a pass.
KINDS = {
    "in order": (b"mg hot v " + WAIT + b"\r\n", [b"VA 3"], [b"FA 4"], [b"PS"]),
    "with an opaque": (b"mg hot v k O9 " + WAIT + b"\r\n", [b"VA 3 khot O9"], [b"FA 4 khot O9"], [b"PS khot O9"]),
    "fresh only": (b"mg hot s Lf,w%d\r\n" % LONG_WAIT_MS, [b"HD s3"], [b"FA 4"], [b"PS"]),
    "of its own length": (b"mg hot v N30 Ll500,w%d\r\n" % LONG_WAIT_MS, [b"VA 3"], [b"FA 4"], [b"PS"]),
    "mg": (b"mg hot v\r\n", [b"VA 3"], [b"EN"], [b"EN"]),
    "quiet mg": (b"mg hot v q\r\nmn\r\n", [b"VA 3", b"MN"], [b"MN"], [b"MN"]),
    "get": (b"get hot\r\n", [b"VALUE hot 0 3", b"END"], [b"END"], [b"END"]),
    "gat": (b"gat 1000 hot\r\n", [b"VALUE hot 0 3", b"END"], [b"END"], [b"END"]),
    "multi-get": (
        b"get here hot here\r\n",
        [b"VALUE here 0 4", b"VALUE here 0 4", b"VALUE hot 0 3", b"END"],
        [b"VALUE here 0 4", b"VALUE here 0 4", b"END"],
        [b"VALUE here 0 4", b"VALUE here 0 4", b"END"],
    ),
}


class EveryKind(Crowd):
    """Ten waiters of each kind on the key `hot`."""

    EACH = 10

    def __init__(self, server):
        super().__init__(server, self.EACH * len(KINDS))
        self.server = server
        self.kinds = list(KINDS.values())

    def park(self):
        waiting = self.server.stat("waiters")
        self.send(lambda number: self.kinds[number % len(self.kinds)][0])
        self.server.await_waiters(waiting + len(self))

    def assert_told(self, place, data):
        """By the kinds' column, 1: a value, 2: a failure, 3: a pass."""
        for kind_number, kind in enumerate(self.kinds):
            members = self.members[kind_number :: len(self.kinds)]
            expected = kind[place]
            for replies in self.replies(members, count=len(expected)):
                assert [line for line, _ in replies] == expected
                told = [block for line, block in replies if block is not None and not line.startswith(b"VALUE here")]
                assert all(block == data for block in told)
        self.assert_nothing_more()


@pytest.fixture
def coalescing():
    with WaitServer("-t", "4", "--plain-writes", "guard", "--coalesce-gets", str(LONG_WAIT_MS)) as server:
        yield server


ENDINGS = {
    "lease-set": (b"lease-set hot %d 0 0 3\r\nyes\r\n", b"STORED", 1, b"yes"),
    "ms": (b"ms hot 3 C%d\r\nyes\r\n", b"HD", 1, b"yes"),
    "cas": (b"cas hot 0 0 3 %d\r\nyes\r\n", b"STORED", 1, b"yes"),
    "expired on arrival": (b"ms hot 3 C%d T-1\r\nyes\r\n", b"HD", 1, b"yes"),
    "lease-fail": (b"lease-fail hot %d 60000 4\r\ndown\r\n", b"STORED", 2, b"down"),
    "lease-pass": (b"lease-pass hot %d 60000\r\n", b"PASSED", 3, None),
}


@pytest.mark.parametrize("by_writer", [False, True], ids=["reader", "writer"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_kind_of_waiter_is_told(coalescing, ending, by_writer):
    request, reply, place, data = ENDINGS[ending]
    with coalescing.client() as holder, coalescing.client() as writer, EveryKind(coalescing) as crowd:
        assert holder.set(b"here", b"here") == b"STORED"
        token = holder.grant(b"hot")
        crowd.park()
        if by_writer:
            held = writer.ask(b"lease-hold hot 60000\r\n").split()
            assert held[0] == b"HELD"
            # The hold promotes nobody and answers nobody.
            assert coalescing.stat("waiters") == len(crowd)
            assert holder.ask(request % token) in (b"NOT_STORED", b"NOT_FOUND", b"EX", b"EXISTS")
            token = int(held[1])
        assert writer.ask(request % token) == reply
        crowd.assert_told(place, data)
        stats = coalescing.stats()
        assert (stats["waiters"], stats["waits_promoted"]) == (0, 0)
        assert stats[{1: "waits_filled", 2: "waits_failed", 3: "waits_passed"}[place]] == len(crowd)


def test_kept_for_those_who_want_it_fresh():
    """With a stale value only `f` waits; lease-keep hands it out as a hit."""
    with WaitServer("-t", "4") as server, server.client() as holder, Crowd(server, 50) as crowd:
        assert holder.fill(b"hot", holder.grant(b"hot"), b"same") == b"STORED"
        assert holder.ask(b"delete hot\r\n") == b"DELETED"
        token = int(holder.ask(b"mg hot c N60\r\n").split()[1][1:])
        crowd.send(b"mg hot v Lf,w%d\r\n" % LONG_WAIT_MS)
        server.await_waiters(50)
        assert holder.ask(b"lease-keep hot %d 60\r\n" % token) == b"STORED"
        assert crowd.replies() == [[(b"VA 4", b"same")]] * 50


@pytest.mark.parametrize("loss", ["release", "delete", "close", "hold", "flush"])
def test_every_kind_of_waiter_is_promoted_in_turn(coalescing, loss):
    """The lease is lost again and again: each time one is told, in the order in which they came; plain ones are told of a miss."""
    count = 9
    requests = [b"mg hot c %s\r\n" % WAIT, b"get hot\r\n", b"mg hot v k O5 c %s\r\n" % WAIT]
    with coalescing.client() as helper:
        holder, clients = coalescing.client(), [coalescing.client() for _ in range(count)]
        holder.token = holder.grant(b"hot")
        for number, client in enumerate(clients):
            client.send(requests[number % 3])
            coalescing.await_waiters(number + 1)
        for number, client in enumerate(clients):
            # A plain getter was told no token: it can only go.
            if loss == "close" or (loss == "release" and holder.token is None):
                holder.socket.close()
            elif loss == "release":
                assert holder.ask(b"md hot C%d\r\n" % holder.token) == b"HD"
            elif loss == "delete":
                assert helper.ask(b"delete hot\r\n") == (b"NOT_FOUND" if holder.token is None else b"DELETED")
            elif loss == "flush":
                assert helper.ask(b"flush_all\r\n") == b"OK"
            else:
                held = helper.ask(b"lease-hold hot 60000\r\n").split()
                assert held[0] == b"HELD"
                assert helper.ask(b"lease-release hot %s\r\n" % held[1]) == b"RELEASED"
            line, _ = client.reply()
            client.token = None
            if number % 3 == 1:
                assert line == b"END"
            else:
                words = line.split()
                assert words[-1] == b"W", line
                client.token = int(next(word for word in words if word.startswith(b"c"))[1:])
            assert coalescing.stat("waiters") == count - 1 - number
            assert all(other.is_quiet() for other in clients[number + 1 :])
            holder = client
        assert coalescing.stat("waits_promoted") == count
        for client in clients:
            client.socket.close()


def test_a_get_that_comes_in_pieces(coalescing):
    """Its first keys are answered before its last ones are there; an error at its end takes back what waits."""
    with coalescing.client() as first, coalescing.client() as second:
        assert first.get(b"a") is None and first.get(b"b") is None
        second.send(b"get a c")
        coalescing.await_waiters(1)
        assert first.set(b"a", b"of a") == b"STORED"
        assert second.reply() == (b"VALUE a 0 4", b"of a")
        second.send(b"c b")
        second.send(b" ")
        coalescing.await_waiters(1)
        assert first.set(b"b", b"of b") == b"STORED"
        assert second.reply() == (b"VALUE b 0 4", b"of b")
        second.send(b"\r\n")
        assert second.reply() == (b"END", None)

        assert first.ask(b"delete a\r\n") == b"DELETED"
        assert first.get(b"a") is None
        second.send(b"get b a ")
        coalescing.await_waiters(1)
        second.send(b"x" * 300 + b" b\r\nmn\r\n")
        replies = [second.reply()]
        while replies[-1] != (b"MN", None):
            replies.append(second.reply())
        # What was sent before the error came stays sent.
        assert replies[-2:] == [(b"CLIENT_ERROR bad command line format", None), (b"MN", None)]
        assert replies[:-2] in ([], [(b"VALUE b 0 4", b"of b")])
        coalescing.await_waiters(0)
