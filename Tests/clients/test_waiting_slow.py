"""Waiters that read slowly, late or never, send more than they are answered, and a server that is stopped meanwhile."""

import selectors
import signal
import time

import pytest
from herd_support import LONG_WAIT_MS, Crowd, WaitServer, allow_connections, scaled, take_reply
from memory_support import LIMIT_SECONDS, MB, poll, value_for

WAIT = b"mg hot v Lw%d\r\n" % LONG_WAIT_MS


def test_a_client_that_never_reads_harms_nobody():
    """It waits for more than the server keeps for anybody: it is cut off, the others are served, memory stays."""
    size, keys = 200_000, 400
    with WaitServer("-t", "1", "-m", "64") as server, server.client() as holder, server.client() as other:
        baseline = server.memory("VmRSS")
        with server.client(receive_buffer=4096) as sleeper:
            tokens = [holder.grant(b"key:%d" % number) for number in range(keys)]
            sleeper.send(b"".join(b"mg key:%d v O%d Lw%d\r\n" % (number % keys, number, LONG_WAIT_MS) for number in range(5 * keys)))
            server.await_waiters(5 * keys)
            for number in range(keys):
                value = value_for(b"key:%d" % number, number, size)
                assert holder.fill(b"key:%d" % number, tokens[number], value) == b"STORED"
                assert other.ask(b"mn\r\n") == b"MN"
            server.await_waiters(0)
            assert poll(lambda: server.stat("slow_waiters_closed"), "it is cut off") == 1
            assert other.get(b"key:399") == value_for(b"key:399", 399, size)
            assert server.memory("VmHWM") <= baseline + (64 + 48) * MB


def test_a_client_that_reads_late_gets_everything():
    """It leaves less unread than is kept for it."""
    keys, size = 30, 100_000
    with WaitServer("-t", "2") as server, server.client() as holder, server.client(receive_buffer=4096) as late:
        tokens = [holder.grant(b"key:%d" % number) for number in range(keys)]
        late.send(b"".join(b"mg key:%d v O%d Lw%d\r\n" % (number, number, LONG_WAIT_MS) for number in range(keys)))
        server.await_waiters(keys)
        for number in range(keys):
            assert holder.fill(b"key:%d" % number, tokens[number], value_for(b"key:%d" % number, 1, size)) == b"STORED"
        assert server.stat("waits_filled") == keys
        late.send(b"mn\r\n")
        seen = set()
        while len(seen) < keys:
            line, data = late.reply()
            if line == b"MN":
                continue
            number = int(line.split()[2][1:])
            assert data == value_for(b"key:%d" % number, 1, size) and number not in seen
            seen.add(number)
        assert server.stat("slow_waiters_closed") == 0


@pytest.mark.parametrize("waits", [scaled(300, 200, 100)])
def test_one_connection_reads_a_large_fill_as_often_as_it_waits(waits):
    """More than a client may leave unread, but it reads: it is not cut off, for the value is there once."""
    value = value_for(b"hot", 1, MB)
    with WaitServer("-t", "2", "-m", "64") as server, server.client() as holder, server.client() as client:
        token = holder.grant(b"hot")
        baseline = server.memory("VmRSS")
        client.send(b"".join(b"mg hot v O%d Lw%d\r\n" % (number, LONG_WAIT_MS) for number in range(waits)))
        server.await_waiters(waits)
        assert holder.fill(b"hot", token, value) == b"STORED"
        seen = set()
        for _ in range(waits):
            line, data = client.reply()
            assert data == value
            seen.add(line.split()[2])
        assert len(seen) == waits
        assert server.memory("VmHWM") <= baseline + 16 * MB


class Reader:
    """Reads one large reply as it comes and compares it, without keeping it."""

    def __init__(self, member, expected):
        self.member = member
        self.expected = expected
        self.place = 0

    def read(self):
        data = self.member.socket.recv(1 << 18)
        assert data, "the server closed the connection"
        assert data == self.expected[self.place : self.place + len(data)], f"wrong bytes at {self.place}"
        self.place += len(data)
        return self.place == len(self.expected)


def read_all(readers):
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader.member.socket, selectors.EVENT_READ, reader)
        give_up = time.monotonic() + LIMIT_SECONDS
        while selector.get_map():
            assert time.monotonic() < give_up, f"{len(selector.get_map())} have not got everything"
            for key, _ in selector.select(1):
                if key.data.read():
                    selector.unregister(key.fileobj)


@pytest.mark.parametrize("waiters", [scaled(1_000, 1_000, 300)])
def test_a_large_fill_goes_to_all_from_one_place(waiters):
    """A megabyte for each, a fifth of them slow: what the server keeps is the value once, and little for each."""
    waiters = allow_connections(waiters)
    value = value_for(b"hot", 1, MB)
    expected = b"VA %d\r\n%s\r\n" % (MB, value)
    with WaitServer("-t", "2", "-m", "64", "-I", "2m", "-c", str(waiters + 50)) as server, server.client() as holder:
        slow_count = waiters // 5
        with Crowd(server, slow_count, receive_buffer=4096) as slow, Crowd(server, waiters - slow_count) as quick:
            token = holder.grant(b"hot")
            for crowd in (slow, quick):
                crowd.send(WAIT)
            server.await_waiters(waiters)
            before = server.memory("VmRSS")
            server.forget_peak()
            assert holder.fill(b"hot", token, value) == b"STORED"
            read_all([Reader(member, expected) for member in quick.members])
            # The slow ones have their rest to come; the value may go meanwhile.
            assert holder.ask(b"delete hot\r\n") == b"DELETED"
            assert holder.ask(b"mn\r\n") == b"MN"
            read_all([Reader(member, expected) for member in slow.members])
            peak = server.memory("VmHWM")
            print(f"{waiters} waiters, resident before the fill {before / MB:.1f} MB, peak {peak / MB:.1f} MB")
            assert peak <= before + 12 * MB
            assert server.stat("slow_waiters_closed") == 0
            for crowd in (slow, quick):
                crowd.assert_nothing_more()


def test_what_is_sent_behind_a_wait_is_bounded_and_answered_in_order():
    """Without an opaque a wait keeps its place; the client goes on sending until nobody takes it any more."""
    filler = b"k" * 230
    with WaitServer("-t", "2") as server, server.client() as holder, server.client() as client:
        token = holder.grant(b"hot")
        client.send(WAIT)
        server.await_waiters(1)
        before = server.memory("VmRSS")
        client.socket.setblocking(False)
        numbers, pending, total = 0, b"", 0
        with selectors.DefaultSelector() as selector:
            selector.register(client.socket, selectors.EVENT_WRITE)
            while selector.select(0.5):
                assert total < 64 * MB, "the server reads without bound"
                if not pending:
                    pending = b"".join(b"mg %s O%d\r\n" % (filler, number) for number in range(numbers, numbers + 200))
                    numbers += 200
                try:
                    sent = client.socket.send(pending)
                except BlockingIOError:
                    continue
                total += sent
                pending = pending[sent:]
        assert server.memory("VmRSS") <= before + 4 * MB, "the server keeps what should stay in the kernel"
        assert server.stat("waiters") == 1
        assert holder.fill(b"hot", token, b"yes") == b"STORED"
        # The rest goes as the answers come.
        replies = []
        give_up = time.monotonic() + LIMIT_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(client.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while len(replies) < numbers + 1:
                assert time.monotonic() < give_up, f"{len(replies)} of {numbers + 1} answers"
                for _, events in selector.select(1):
                    if events & selectors.EVENT_READ:
                        client.receive_more()
                    if events & selectors.EVENT_WRITE:
                        pending = pending[client.socket.send(pending) :] if pending else b""
                        if not pending:
                            selector.modify(client.socket, selectors.EVENT_READ)
                while (reply := take_reply(client.buffer)) is not None:
                    replies.append(reply)
        assert replies[0] == (b"VA 3", b"yes")
        assert replies[1:] == [(b"EN O%d" % number, None) for number in range(numbers)]


@pytest.mark.parametrize("ends_by_reset", [False, True], ids=["end", "reset"])
def test_a_client_that_leaves_with_much_behind_its_wait_is_gone(ends_by_reset):
    """Nothing more is read from it; that it goes is noticed nevertheless."""
    with WaitServer("-t", "2") as server, server.client() as holder:
        holder.grant(b"hot")
        client = server.client()
        client.send(WAIT + b"get something\r\n" * 6_000)
        server.await_waiters(1)
        if ends_by_reset:
            client.reset()
        else:
            client.socket.close()
        server.await_waiters(0)


def test_a_stop_while_a_client_reads_late():
    """What was answered before the stop reaches it, also what did not fit into its socket."""
    keys, size = 20, 100_000
    with WaitServer("-t", "2") as server, server.client() as holder, server.client(receive_buffer=4096) as late:
        tokens = [holder.grant(b"key:%d" % number) for number in range(keys)]
        late.send(b"".join(b"mg key:%d v O%d Lw%d\r\n" % (number, number, LONG_WAIT_MS) for number in range(keys)))
        server.await_waiters(keys)
        for number in range(keys):
            assert holder.fill(b"key:%d" % number, tokens[number], b"x" * size) == b"STORED"
        assert server.stat("waits_filled") == keys
        # A turn of every worker's loop, so that each answer has been told to its own.
        for _ in range(4):
            with server.client() as other:
                assert other.ask(b"mn\r\n") == b"MN"
        server.is_stopped = True
        server.process.send_signal(signal.SIGTERM)
        seen = {late.reply()[0].split()[2] for _ in range(keys)}
        assert len(seen) == keys
        assert server.process.wait(LIMIT_SECONDS) == 0


@pytest.mark.parametrize("kinds", [scaled(300, 200, 100)])
def test_a_stop_with_requests_that_wait(kinds):
    with WaitServer("-t", "4", "--plain-writes", "guard", "--coalesce-gets", str(LONG_WAIT_MS)) as server:
        with server.client() as holder, Crowd(server, kinds) as crowd:
            holder.grant(b"hot")
            requests = [WAIT, b"mg hot O5 Lw%d\r\n" % LONG_WAIT_MS, b"get hot\r\n", WAIT + b"mn\r\n" * 50, b"mg hot v\r\n"]
            crowd.send(lambda number: requests[number % len(requests)])
            server.await_waiters(kinds)
            server.is_stopped = True
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(LIMIT_SECONDS) == 0
            # Whoever was told anything was told a hot miss, or a miss.
            for member in crowd.members:
                member.socket.settimeout(LIMIT_SECONDS)
                received = bytearray()
                try:
                    while data := member.socket.recv(1 << 16):
                        received += data
                except ConnectionResetError:
                    pass
                first = take_reply(received)
                assert first in (None, (b"VA 0 Z", b""), (b"HD O5 Z", None), (b"END", None), (b"EN", None)), first
