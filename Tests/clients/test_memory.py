"""The memory promise, on the real server: what `-m` says is what it takes, and nothing that it serves is ever wrong."""

import random
import re
import time

import pytest
from memory_support import MB, Server, poll, value_for

# On top of what the process weighs at its start, `-m` and `fixed_overhead_bytes`: stacks touched later, the workers' shared
# buffers, a few connections' own, and what the allocator keeps for itself.
ALLOWANCE = 6 * MB


class Writer:
    """One connection with keys of its own, so that what was written last is known. Every sequence number is used once."""

    def __init__(self, server, number, key_count, largest):
        self.client = server.client()
        self.number = number
        self.random = random.Random(number)
        self.key_count = key_count
        self.largest = largest
        self.sequence = 0
        self.last = {}
        self.sent = []
        self.hits = self.reads = 0

    def draw_size(self):
        draw = self.random.random()
        if draw < 0.9:
            return self.random.randint(1, 200)
        if draw < 0.98:
            return self.random.randint(200, min(5000, self.largest))
        if draw < 0.999:
            return int(self.largest ** self.random.random())
        return self.largest

    def send_batch(self, at_least_bytes):
        request = bytearray()
        while len(request) < at_least_bytes:
            key = b"%d-%d" % (self.number, self.random.randrange(self.key_count))
            ttl = self.random.choice((0, 0, 0, 2, 3, 10, 60, 3600, 86400))
            self.sequence += 1
            size = self.draw_size()
            request += b"set %s %d %d %d\r\n" % (key, self.sequence & 0xFFFFFFFF, ttl, size)
            request += value_for(key, self.sequence, size)
            request += b"\r\n"
            self.sent.append((key, self.sequence, size, ttl))
        self.client.send(request)
        return len(request)

    def check_stored(self):
        replies = self.client.lines(len(self.sent))
        now = time.monotonic()
        for reply, (key, sequence, size, ttl) in zip(replies, self.sent):
            assert reply == b"STORED", f"{reply!r} to a write of {size} bytes that fits"
            self.last[key] = (sequence, size, now + ttl if ttl else float("inf"))
        self.sent.clear()

    def check_reads(self, keys):
        """Each answer is the last write, whole, or a miss; two seconds past its expiry it is a miss."""
        for key in keys:
            asked = time.monotonic()
            self.client.send(b"get %s\r\n" % key)
            value = self.client.read_values().get(key)
            sequence, size, expires = self.last[key]
            self.reads += 1
            if value is not None:
                self.hits += 1
                assert value == value_for(key, sequence, size), f"{key!r}: not the {size} bytes of write {sequence}: {value[:60]!r}"
                assert asked < expires + 2, f"{key!r} served {asked - expires:.1f} s after its expiry"

    def check_sample(self, count):
        keys = list(self.last) if len(self.last) <= count else self.random.sample(list(self.last), count)
        self.check_reads(keys)


def ceiling(server, baseline, limit, extra=0):
    return baseline + limit + server.stat("fixed_overhead_bytes") + ALLOWANCE + extra


@pytest.mark.parametrize("megabytes, largest", [(1, MB // 2), (4, MB), (64, MB)])
def test_filling_twenty_times_the_memory(megabytes, largest):
    """`largest` is what -I is then: at most half of the memory."""
    limit = megabytes * MB
    with Server("-m", str(megabytes), "-t", "2") as server:
        baseline = server.memory("VmRSS")
        # An upload has its memory from its command line on: no more of the largest at once than fit beside what is stored.
        writers = [Writer(server, number, megabytes * 1500, largest) for number in range(max(1, min(4, limit // (2 * largest))))]
        written = rounds = 0
        while written < 20 * limit:
            written += sum(writer.send_batch(limit // 32) for writer in writers)
            for writer in writers:
                writer.check_stored()
            if rounds % 8 == 0:
                for writer in writers:
                    writer.check_sample(100)
            rounds += 1
        for writer in writers:
            writer.check_reads(list(writer.last)[-50:])
            writer.check_sample(3000)
        assert server.memory("VmHWM") <= ceiling(server, baseline, limit), f"peak {server.memory('VmHWM') / MB:.1f} MB"
        assert sum(writer.hits for writer in writers) > 100, "hardly anything was kept"
        stats = writers[0].client.stats()
        assert int(stats["evictions"]) > 0 and int(stats["bytes"]) <= limit == int(stats["limit_maxbytes"])
        for writer in writers:
            writer.client.socket.close()


def test_without_eviction_a_full_server_refuses_and_keeps():
    with Server("-m", "8", "-M") as server, server.client() as client:
        baseline = server.memory("VmRSS")
        kept, refused = {}, 0
        rng = random.Random(1)
        for sequence in range(40_000):
            key, size = b"kept-%d" % sequence, rng.choice((10, 100, 1000, 20_000))
            reply = client.set(key, value_for(key, sequence, size))
            if reply == b"STORED":
                kept[key] = (sequence, size)
            else:
                assert reply == b"SERVER_ERROR out of memory storing object"
                refused += 1
                if refused == 200:
                    break
        assert refused == 200, "never full"
        assert sum(size for _, size in kept.values()) > 4 * MB, "full too early"
        for key, (sequence, size) in kept.items():
            assert client.get(key) == value_for(key, sequence, size)
        stats = client.stats()
        assert stats["evictions"] == "0" and int(stats["curr_items"]) == len(kept)
        assert server.memory("VmHWM") <= ceiling(server, baseline, 8 * MB)
        for key in kept:
            assert client.ask(b"delete %s\r\n" % key) == b"DELETED"
        poll(lambda: client.set(b"again", bytes(20_000)) == b"STORED", "deleted memory can be written again")


def test_small_item_size_limit():
    with Server("-m", "4", "-I", "1k") as server, server.client() as client:
        value = value_for(b"fits", 1, 900)
        assert client.set(b"fits", value) == b"STORED"
        for size in (1025, 5000, 300_000):
            assert client.set(b"fits-not", bytes(size)) == b"SERVER_ERROR object too large for cache"
            assert client.get(b"fits-not") is None
        assert client.get(b"fits") == value
        assert client.ask(b"append fits 0 0 500\r\n%s\r\n" % bytes(500)).startswith(b"SERVER_ERROR")
        assert client.get(b"fits") in (value, None)


def test_values_of_a_hundred_megabytes():
    with Server("-m", "300", "-I", "128m") as server, server.client() as client:
        baseline = server.memory("VmRSS")
        for sequence in range(6):
            key = b"huge-%d" % (sequence % 4)
            value = value_for(key, sequence, (100 + 5 * sequence) * MB)
            assert client.set(key, value) == b"STORED"
            assert client.get(key) == value, "not what was written"
        assert client.set(b"too-large", bytes(128 * MB + 1)) == b"SERVER_ERROR object too large for cache"
        assert client.set(b"small", b"one") == b"STORED"
        assert client.get(b"small") == b"one"
        assert server.memory("VmHWM") <= ceiling(server, baseline, 300 * MB), f"peak {server.memory('VmHWM') / MB:.1f} MB"


def test_expired_memory_comes_back_unread():
    with Server("-m", "64") as server, server.client() as client:
        before = int(client.stats()["bytes"])
        kept = [b"kept-%d" % number for number in range(200)]
        for number, key in enumerate(kept):
            assert client.set(key, value_for(key, number, 1000), 3600) == b"STORED"
        sizes = [100] * 20_000 + [10_000] * 1000 + [700_000] * 20
        # On a slow machine the first may expire before the last are written; then the round says nothing and the next lives are longer.
        for lifetime in (2, 8, 32):
            began = time.monotonic()
            for start in range(0, len(sizes), 1000):
                batch = sizes[start : start + 1000]
                head = b"set brief-%d" % start
                client.send(b"".join(b"%s-%d 0 %d %d\r\n%s\r\n" % (head, i, lifetime, size, bytes(size)) for i, size in enumerate(batch)))
                assert set(client.lines(len(batch))) == {b"STORED"}
            full = int(client.stats()["bytes"])
            if time.monotonic() - began < lifetime:
                break
        assert full - before > 20 * MB
        poll(lambda: int(client.stats()["bytes"]) - before < 2 * MB, "expired memory comes back")
        poll(lambda: int(client.stats()["curr_items"]) == len(kept), "expired items are gone")
        for number, key in enumerate(kept):
            assert client.get(key) == value_for(key, number, 1000)


class Model:
    """What each key must hold, changed along with the server; a miss makes it forget, because the server may evict."""

    SIZES = (1, 7, 60, 300, 3000, 40_000, 130_000, 400_000)

    def __init__(self, client, seed):
        self.client = client
        self.random = random.Random(seed)
        self.values = {}
        self.sequence = 0

    def fresh_value(self, key, largest=400_000):
        self.sequence += 1
        return value_for(key, self.sequence, self.random.choice([size for size in self.SIZES if size <= largest]))

    def step(self, key):
        action = self.random.choice((self.set, self.set_number, self.incr, self.append, self.append, self.prepend, self.touch,
                                     self.replace, self.cas, self.delete, self.check, self.check))
        action(key)

    def write(self, verb, key, value, tail=b""):
        return self.client.ask(b"%s %s 0 0 %d%s\r\n%s\r\n" % (verb, key, len(value), tail, value))

    def set(self, key):
        value = self.fresh_value(key)
        assert self.write(b"set", key, value) == b"STORED"
        self.values[key] = value

    def set_number(self, key):
        value = b"%d" % self.random.choice((0, 9, 99, 12345, (1 << 64) - 1))
        assert self.write(b"set", key, value) == b"STORED"
        self.values[key] = value

    def changed_or_gone(self, key, reply, done, value, missing):
        if reply == missing:
            self.values.pop(key, None)
        else:
            assert reply == done and key in self.values, reply
            self.values[key] = value

    def incr(self, key):
        held = self.values.get(key, b"")
        number = re.match(rb"(\d{1,20})( |$)", held)
        reply = self.client.ask(b"incr %s 7\r\n" % key)
        if reply == b"CLIENT_ERROR cannot increment or decrement non-numeric value":
            # As memcached: what stands behind a blank does not count, and a large value is no number.
            assert key in self.values and (not number or int(number[1]) >= 1 << 64 or len(held) > 1000), held[:40]
        else:
            # As memcached: a number shorter than what was there is padded with spaces.
            sum_text = b"%d" % ((int(number[1]) + 7) % (1 << 64)) if number else None
            self.changed_or_gone(key, reply, sum_text, (sum_text or b"").ljust(len(held)), b"NOT_FOUND")

    def append(self, key):
        value = self.fresh_value(key, 3000)
        if len(self.values.get(key, b"")) + len(value) < 900_000:
            reply = self.write(b"append", key, value)
            self.changed_or_gone(key, reply, b"STORED", self.values.get(key, b"") + value, b"NOT_STORED")

    def prepend(self, key):
        value = self.fresh_value(key, 3000)
        if len(self.values.get(key, b"")) + len(value) < 900_000:
            reply = self.write(b"prepend", key, value)
            self.changed_or_gone(key, reply, b"STORED", value + self.values.get(key, b""), b"NOT_STORED")

    def touch(self, key):
        reply = self.client.ask(b"touch %s %d\r\n" % (key, self.random.choice((0, 100, 5000))))
        self.changed_or_gone(key, reply, b"TOUCHED", self.values.get(key), b"NOT_FOUND")

    def replace(self, key):
        value = self.fresh_value(key)
        self.changed_or_gone(key, self.write(b"replace", key, value), b"STORED", value, b"NOT_STORED")

    def cas(self, key):
        self.client.send(b"gets %s\r\n" % key)
        line = self.client.line()
        if line == b"END":
            self.values.pop(key, None)
            return
        fields = line.split()
        assert self.client.block(int(fields[3])) == self.values[key] and self.client.line() == b"END"
        value = self.fresh_value(key)
        self.changed_or_gone(key, self.write(b"cas", key, value, b" " + fields[4]), b"STORED", value, b"NOT_FOUND")

    def delete(self, key):
        reply = self.client.ask(b"delete %s\r\n" % key)
        assert reply == b"NOT_FOUND" or (reply == b"DELETED" and key in self.values)
        self.values.pop(key, None)

    def check(self, key):
        value = self.client.get(key)
        assert value is None or value == self.values.get(key), f"{key!r}: {value[:60]!r}, not {self.values.get(key, b'')[:60]!r}"
        if value is None:
            self.values.pop(key, None)


@pytest.mark.parametrize("megabytes, keys", [(4, 300), (64, 100)])
def test_mixed_changes_of_any_size_keep_values_right(megabytes, keys):
    """With 4 MB everything is under eviction, with 64 MB nothing is and every value must be there."""
    with Server("-m", str(megabytes), "-t", "2") as server, server.client() as client:
        baseline = server.memory("VmRSS")
        model = Model(client, megabytes)
        for _ in range(15_000):
            model.step(b"mixed-%d" % model.random.randrange(keys))
        expected = len(model.values)
        for number in range(keys):
            model.check(b"mixed-%d" % number)
        if megabytes == 64:
            assert len(model.values) == expected > keys // 3, "values are missing though there was room"
        assert server.memory("VmHWM") <= ceiling(server, baseline, megabytes * MB), f"peak {server.memory('VmHWM') / MB:.1f} MB"


def check_proves_itself(key, flags, value):
    """The value and its client flags are from one write, whole: its sequence number and its length give every byte of it."""
    sequence = int(value.split(b"|", 2)[1])
    assert flags == sequence and value == value_for(key, sequence, len(value)), f"{key!r}: torn or mixed: {value[:60]!r}"


def test_connections_that_write_and_read_the_same_keys_at_once():
    with Server("-m", "4", "-t", "4") as server:
        clients = [server.client() for _ in range(8)]
        rng = random.Random(5)
        sequence = hits = 0
        for _ in range(300):
            expected = []
            for client in clients:
                request, kinds = bytearray(), []
                for _ in range(10):
                    key = b"shared-%d" % rng.randrange(40)
                    if rng.random() < 0.5:
                        sequence += 1
                        value = value_for(key, sequence, rng.choice((60, 70, 500, 4000, 30_000, 70_000)))
                        request += b"set %s %d %d %d\r\n%s\r\n" % (key, sequence, rng.choice((0, 0, 1, 100)), len(value), value)
                        kinds.append(None)
                    else:
                        request += b"get %s\r\n" % key
                        kinds.append(key)
                client.send(request)
                expected.append(kinds)
            for client, kinds in zip(clients, expected):
                for key in kinds:
                    line = client.line()
                    if key is None:
                        assert line == b"STORED"
                    elif line != b"END":
                        _, named, flags, size = line.split()
                        assert named == key
                        check_proves_itself(key, int(flags), client.block(int(size)))
                        assert client.line() == b"END"
                        hits += 1
        assert hits > 1000
        for client in clients:
            client.socket.close()


def test_pipelined_gets_on_a_connection_that_does_not_read():
    """100 MB of answers are owed to one connection: the server must not hold them, nor keep others waiting, nor lose a byte."""
    size, count = 100_000, 1000
    with Server("-m", "64", "-t", "1") as server, server.client() as client, server.client(receive_buffer=65536) as slow:
        values = [value_for(b"large-%d" % number, number, size) for number in range(10)]
        for number, value in enumerate(values):
            assert client.set(b"large-%d" % number, value) == b"STORED"
        before = server.memory("VmRSS")
        slow.send(b"".join(b"get large-%d\r\n" % (number % 10) for number in range(count)))
        received = 0
        for number in range(count):
            if number % 100 == 0:
                assert client.get(b"large-3") == values[3], "another connection is kept waiting"
                assert server.memory("VmRSS") - before < 8 * MB, f"holds {(server.memory('VmRSS') - before) / MB:.1f} MB of answers"
            answer = slow.read_values()
            assert answer == {b"large-%d" % (number % 10): values[number % 10]}
            received += 1
        assert received == count
        assert server.memory("VmHWM") - before < 8 * MB


def test_readers_that_do_not_read_while_values_are_replaced():
    """Twenty connections ask for 1 MB values and do not read. What they are owed stays whole while it is replaced and evicted."""
    size = 1_000_000
    with Server("-m", "32", "-t", "2") as server, server.client() as client:
        baseline = server.memory("VmRSS")
        readers = []
        for number in range(20):
            key = b"owed-%d" % number
            assert client.set(key, value_for(key, 0, size)) == b"STORED"
            reader = server.client(receive_buffer=16384)
            readers.append((key, reader))
            reader.send(b"get %s\r\n" % key * 5)
            first = reader.line()
            assert first == b"VALUE %s 0 %d" % (key, size)
        for sequence in range(1, 200):
            key = b"owed-%d" % (sequence % 20)
            assert client.set(key, value_for(key, sequence, size)) == b"STORED"
            assert client.set(b"other-%d" % sequence, value_for(b"other", sequence, 300_000)) == b"STORED"
        # Each reader may pin what it is being sent: one value, and what its socket holds.
        assert server.memory("VmHWM") <= ceiling(server, baseline, 32 * MB, extra=20 * MB), f"peak {server.memory('VmHWM') / MB:.1f} MB"
        for key, reader in readers:
            whole = {value_for(key, sequence, size) for sequence in [0, *range(1, 200)] if sequence == 0 or key == b"owed-%d" % (sequence % 20)}
            assert reader.block(size) in whole and reader.line() == b"END"
            for _ in range(4):
                assert reader.read_values().get(key) in whole | {None}
            reader.socket.close()


def test_multi_get_of_a_hundred_thousand_keys_in_one_line():
    count = 100_000
    with Server("-m", "64", "-t", "1") as server, server.client() as client, server.client(receive_buffer=65536) as slow:
        for start in range(0, count, 1000):
            numbers = range(start, start + 1000)
            client.send(b"".join(b"set many-%d 0 0 %d\r\n%d\r\n" % (number, len(str(number)), number) for number in numbers))
            assert client.lines(1000) == [b"STORED"] * 1000
        before = server.memory("VmRSS")
        line = b"get " + b" ".join(b"many-%d" % number for number in range(count)) + b"\r\n"
        client.send(line)
        values = client.read_values()
        assert list(values.items()) == [(b"many-%d" % number, b"%d" % number) for number in range(count)]
        slow.socket.settimeout(1)
        try:  # one that does not read: what of the line the server will not take yet stays with the client
            slow.send(line * 20)
        except TimeoutError:
            pass
        assert client.get(b"many-5") == b"5"
        assert server.memory("VmHWM") - before < 16 * MB, f"grew by {(server.memory('VmHWM') - before) / MB:.1f} MB"


def test_disconnecting_in_the_middle_of_an_upload_gives_its_memory_back():
    size = 100 * MB
    with Server("-m", "300", "-I", "128m") as server, server.client() as client:
        baseline = server.memory("VmRSS")
        half = bytes(size // 2)
        for number in range(12):
            with server.client() as upload:
                upload.send(b"set half-%d 0 0 %d\r\n" % (number, size))
                upload.send(half)
        poll(lambda: int(client.stats()["curr_connections"]) <= 2, "the uploads' connections are closed")
        assert all(client.get(b"half-%d" % number) is None for number in range(12))
        poll(lambda: server.memory("VmRSS") <= baseline + server.stat("fixed_overhead_bytes") + ALLOWANCE, "the memory is given back")
        assert server.memory("VmHWM") <= ceiling(server, baseline, 300 * MB)
        for number in range(2):
            assert client.set(b"whole-%d" % number, bytes(size)) == b"STORED"
        assert client.get(b"whole-0") == bytes(size) == client.get(b"whole-1")


def test_uploads_that_are_announced_and_never_sent():
    with Server("-m", "64") as server, server.client() as client:
        baseline = server.memory("VmRSS")
        uploads = [server.client() for _ in range(300)]
        for number, upload in enumerate(uploads):
            upload.send(b"set never-%d 0 0 1000000\r\n1234" % number)
        value = value_for(b"served", 1, 1000)
        poll(lambda: client.set(b"served", value) == b"STORED", "small writes go on")
        assert client.get(b"served") == value
        assert server.memory("VmHWM") <= ceiling(server, baseline, 64 * MB)
        for upload in uploads:
            upload.socket.close()
        large = value_for(b"large", 1, 1_000_000)
        poll(lambda: client.set(b"large", large) == b"STORED", "large writes go on")
        assert client.get(b"large") == large


def test_refused_uploads_are_not_kept():
    """Without a token the data block is read and dropped, however large."""
    with Server("-m", "64", plain=False) as server, server.client() as client:
        before = server.memory("VmRSS")
        for _ in range(50):
            assert client.set(b"dropped", bytes(1_000_000)) == b"CLIENT_ERROR lease token required"
        assert client.get(b"dropped") is None
        assert server.memory("VmHWM") - before < 8 * MB


def test_many_leases_weigh_what_the_server_says():
    count = 300_000
    with Server("-m", "64", "--max-leases", str(count), "--lease-ms", "3600000", plain=False) as server, server.client() as client:
        before = server.memory("VmRSS") - server.stat("fixed_overhead_bytes")
        tokens = set()
        for start in range(0, count + 1000, 1000):
            client.send(b"".join(b"lease-get owed-%d\r\n" % number for number in range(start, start + 1000)))
            tokens.update(client.lines(3000)[0::3])
        granted = {line.split()[2] for line in tokens}
        assert len(granted) == count + 1 and b"0" in granted, "a token each, and 0 past the limit"
        assert server.memory("VmRSS") - server.stat("fixed_overhead_bytes") - before < ALLOWANCE
        client.socket.close()
        with server.client() as other:
            poll(lambda: int(other.stats()["curr_connections"]) == 1, "the holder is gone")
            for start in range(0, count, 1000):
                other.send(b"".join(b"delete owed-%d\r\n" % number for number in range(start, start + 1000)))
                other.lines(1000)
            poll(lambda: other.stats()["leases"] == "0", "its leases are over")
            assert other.ask(b"lease-get owed-1\r\n").startswith(b"LVALUE owed-1 ")


def test_memory_limit_changed_while_running():
    with Server("-m", "64", "-t", "2") as server:
        baseline = server.memory("VmRSS")
        writer = Writer(server, 1, 100_000, 300_000)
        client = writer.client

        def write(total):
            written = 0
            while written < total:
                written += writer.send_batch(MB)
                writer.check_stored()

        write(100 * MB)
        assert client.ask(b"cache_memlimit 16\r\n") == b"OK"
        assert client.stats()["limit_maxbytes"] == str(16 * MB)
        write(40 * MB)
        poll(lambda: int(client.stats()["bytes"]) <= 16 * MB, "the store shrinks")
        poll(lambda: server.memory("VmRSS") <= ceiling(server, baseline, 16 * MB), "the memory is given back")
        writer.check_sample(3000)
        assert client.ask(b"cache_memlimit 48\r\n") == b"OK"
        server.forget_peak()
        write(150 * MB)
        writer.check_sample(3000)
        assert int(client.stats()["bytes"]) > 20 * MB, "the new room is not used"
        assert server.memory("VmHWM") <= ceiling(server, baseline, 48 * MB), f"peak {server.memory('VmHWM') / MB:.1f} MB"
        client.socket.close()
