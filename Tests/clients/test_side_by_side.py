"""The same random requests to memcached and to `memleased --memcached`: every reply must be equal, byte for byte.

Requests are templates: `@1` is key 1, `%1` the same key in base64, `~1` the version that this server last showed for key 1.
"""

import base64
import random
import re
import shutil
import socket
import subprocess

import pytest
from memory_support import LIMIT_SECONDS, Server, poll, reserve_port

# Where the two differ on purpose, or where memcached 1.6.18 differs from the memcached that memleased follows.
# `skip` differences are not generated, `normalized` ones are taken out of the replies before they are compared.
DIFFERENCES = [
    ("normalized", "version numbers", "both are opaque; compared by which of them are equal"),
    ("normalized", "mg t", "the two clocks may tick at different moments; compared to the nearest hundred seconds"),
    ("normalized", "mg l", "seconds since the last access depend on the run"),
    ("normalized", "data after a refused storage line", "memcached reads it as a command (ERROR), memleased drops it to stay in step"),
    ("skip", "spaces after a number got shorter", "memcached pads or not, depending on whether an earlier reply still refers to the item"),
    ("skip", "mg N, mg R", "memcached stores an empty placeholder, memleased gives a lease that other commands do not see as a value"),
    ("skip", "client flags above 32 bits", "memcached 1.6.18 keeps the low bits, memleased refuses them"),
    ("skip", "ms s, ms E, ms N, md x, md E, ma E", "not in memcached 1.6.18"),
    ("normalized", "mg c of a stale value", "memcached shows its version to all readers, memleased gives the winner a token"),
    ("skip", "a stale value that was won and then expires", "it takes memcached's won flag with it, while memleased's lease lives on"),
    ("normalized", "errors of md", "memcached 1.6.18 has one text for all of them"),
    ("skip", "t with T or N in the past", "memcached 1.6.18 shows a number that has wrapped around"),
    ("skip", "ms I with another key's version", "memcached compares it with this item's, memleased with all versions given so far"),
    ("skip", "ms C with the version that a refused ms returned", "memcached returns one that no value has"),
    ("skip", "a number followed by a NUL byte", "memcached counts it as a number"),
    ("skip", "gat and gats without a key", "END in memcached 1.6.18, an error in later ones"),
    ("skip", "stored numbers of 2^63 and more", "memcached 1.6.18 takes them for text when a '-' stands anywhere behind them in memory"),
    ("skip", "ma T in the past", "when the number gets longer memcached sets the expiry of the old item"),
    ("skip", "ms MA, ms MP with a key in base64", "memcached forgets that the key was in base64"),
    ("skip", "a key in base64 here, plain there", "memcached remembers how the key of an item was spelled and returns it so"),
    ("skip", "ma N q", "memcached 1.6.18 answers where it creates, later ones are quiet"),
    ("skip", "me, lru_crawler, stats", "they describe each server's own memory"),
    ("skip", "line longer than 2048 bytes", "memcached closes the connection unless it is a get"),
]

KEYS = 5
UNKNOWN_VERSION = 2**63 - 2
VALUES = [b"", b"a", b"hello", b"x" * 100, b"5", b"10", b"99", b"9223372036854775807", b"0", b"12x", b"\xff\x00\x7f", b"y" * 3000, b"two words"]
TTLS = [b"0", b"0", b"0", b"100", b"1000", b"2592000"]
FLAGS = [b"0", b"1", b"65535", b"4294967295"]
NUMBERS = [b"0", b"1", b"5", b"100", b"18446744073709551615"]
JUNK = [b"z", b"-1", b"1x", b"99999999999999999999999", b"noreply", b"k" * 251, b"+1", b"0", b"/"]


# MARK: Requests


def storage(rng):
    value = rng.choice(VALUES)
    command = rng.choice([b"set", b"set", b"add", b"replace", b"append", b"prepend", b"cas"])
    line = b"%s @%d %s %s %d" % (command, rng.randrange(KEYS), rng.choice(FLAGS), rng.choice(rng.ttls), len(value))
    if command == b"cas":
        line += b" ~%d" % rng.randrange(KEYS)
    if rng.random() < 0.1:
        line += b" noreply"
    return line + b"\r\n" + value + b"\r\n"


def retrieval(rng):
    keys = b" ".join(b"@%d" % rng.randrange(KEYS) for _ in range(rng.choice([1, 1, 1, 3, 8])))
    command = rng.choice([b"get", b"gets", b"gets", b"gat", b"gats"])
    if command.startswith(b"gat"):
        return b"%s %s %s\r\n" % (command, rng.choice(rng.ttls), keys)
    return b"%s %s\r\n" % (command, keys)


def change(rng):
    key = rng.randrange(KEYS)
    noreply = rng.choice([b"", b"", b"", b" noreply"]) + b"\r\n"
    kind = rng.choice(["delete", "touch", "number", "growing"])
    if kind == "delete":
        return b"delete @%d" % key + noreply
    if kind == "touch":
        return b"touch @%d " % key + rng.choice(rng.ttls) + noreply
    if kind == "number":
        return rng.choice([b"incr", b"decr"]) + b" @%d " % key + rng.choice(NUMBERS) + noreply + overwrite(key)
    return overwrite(key) + b"incr @%d " % key + rng.choice([b"0", b"1", b"99999"]) + noreply


def overwrite(key):
    """A new value for a number that may have become shorter. `key` is a number or a template."""
    if isinstance(key, bytes) and key.startswith(b"%"):
        return b"ms %s 2 MR b\r\n42\r\n" % key
    return b"replace %s 0 0 2\r\n42\r\n" % (key if isinstance(key, bytes) else b"@%d" % key)


def meta_key(rng, flags):
    """The key of a meta command. One key is always sent in base64, and by meta commands only."""
    key = rng.randrange(KEYS + 1)
    if key == KEYS:
        flags.append(b"b")
        return b"%%%d" % key
    return b"@%d" % key


def some(rng, choices, probability=0.25):
    flags = [flag for flag in choices if rng.random() < probability]
    rng.shuffle(flags)
    return flags


def meta(rng):
    flags = some(rng, [b"k", b"q", b"O%d" % rng.randrange(1000)], 0.15)
    key = meta_key(rng, flags)
    command = rng.choice([b"mg", b"mg", b"mg", b"ms", b"ms", b"md", b"ma"])
    data = b""
    if command == b"mg":
        flags += some(rng, [b"v", b"s", b"f", b"c", b"t", b"h", b"l", b"u"], 0.3) + some(rng, [b"T" + rng.choice(rng.ttls)], 0.1)
    elif command == b"ms":
        value = rng.choice(VALUES)
        data = value + b"\r\n"
        key += b" %d" % len(value)
        flags += some(rng, [b"c", b"T" + rng.choice(rng.ttls), b"F" + rng.choice(FLAGS)], 0.3)
        modes = [b"MS", b"ME", b"MR"] if b"b" in flags else [b"MS", b"ME", b"MR", b"MA", b"MP"]
        stale_flags = [[b"I"], [b"I", b"C~" + key[1:2]]] if rng.marks_stale else []
        flags += rng.choice([[], [], [], [b"C~%d" % rng.randrange(KEYS)], *stale_flags]) + some(rng, [rng.choice(modes)], 0.3)
    elif command == b"md":
        flags += some(rng, [*([b"I"] if rng.marks_stale else []), b"T" + rng.choice(rng.ttls)], 0.3) + some(rng, [b"C~%d" % rng.randrange(KEYS)], 0.2)
    else:
        flags += some(rng, [b"v", b"t", b"c", b"D" + rng.choice(NUMBERS), b"T" + rng.choice(TTLS)], 0.3)
        flags += some(rng, [b"N" + rng.choice(rng.ttls), b"J" + rng.choice(NUMBERS), b"M" + rng.choice([b"I", b"D", b"+", b"-"])], 0.3)
        flags += some(rng, [b"C~%d" % rng.randrange(KEYS)], 0.1)
        if any(flag.startswith(b"N") for flag in flags) and b"q" in flags:
            flags.remove(b"q")
        data = overwrite(key)
    if b"T-1" in flags or b"N-1" in flags:
        flags = [flag for flag in flags if flag != b"t"]
    rng.shuffle(flags)
    return b" ".join([command, key, *flags]) + b"\r\n" + data


def malformed_line(rng):
    """A request without a data block, with words taken out, doubled or replaced."""
    make = rng.choice([retrieval, change, meta])
    line = make(rng)
    while line.count(b"\r\n") > 1 or line.startswith((b"ms", b"ma")):
        line = make(rng)
    words = line[:-2].split(b" ")
    for _ in range(rng.choice([1, 1, 2])):
        place = rng.randrange(len(words))
        action = rng.choice(["drop", "double", "junk", "append", "upper"])
        if action == "drop" and len(words) > 1:
            del words[place]
        elif action == "double":
            words.insert(place, words[place])
        elif action == "junk" and place > 0:
            words[place] = rng.choice(JUNK)
        elif action == "append":
            words.append(rng.choice(JUNK))
        elif action == "upper":
            words[0] = words[0].upper()
    if words[0] in (b"gat", b"gats") and len(words) < 3:
        words.append(b"@0")
    # A version that ends up as a key would differ between the two.
    return re.sub(rb"~\d", b"%d" % UNKNOWN_VERSION, b" ".join(words)) + b"\r\n"


def malformed_storage(rng):
    """Storage lines that are refused, with data blocks of the announced, a smaller and a larger length."""
    key = rng.randrange(KEYS)
    return rng.choice(
        [
            b"set @%d 0 0 3\r\nabcdef\r\n" % key,
            b"set @%d 0 0 12\r\nab\r\nxxxxxxxx\r\n\r\n" % key,
            b"set @%d 0 0 0\r\nabc\r\n" % key,
            b"ms @%d 3\r\nabcdef\r\n" % key,
            b"ms @%d 3 k O5 q\r\nabcdef\r\n" % key,
            b"set @%d x 0 3\r\nabc\r\n" % key,
            b"set @%d 0 x 3\r\nabc\r\n" % key,
            b"add @%d -1 0 3\r\nabc\r\n" % key,
            b"cas @%d 0 0 3 x\r\nabc\r\n" % key,
            b"set %s 0 0 3\r\nabc\r\n" % (b"k" * 251),
            b"ms @%d 3 Tx\r\nabc\r\n" % key,
            b"ms @%d 3 c c\r\nabc\r\n" % key,
            b"ms @%d 3 !\r\nabc\r\n" % key,
            b"ms @%d 3 MX\r\nabc\r\n" % key,
            b"ms @%d 3 Cx\r\nabc\r\n" % key,
            b"ms !! 3 b\r\nabc\r\n",
            b"set @%d 0 0 -1\r\n" % key,
            b"set @%d 0 0 x\r\n" % key,
            b"set @%d 0 0\r\n" % key,
            b"set @%d\r\n" % key,
            b"set\r\n",
            b"ms\r\n",
            b"ms @%d\r\n" % key,
            b"ms @%d x\r\n" % key,
            b"ms @%d -1\r\n" % key,
            b"append @%d 0 0 3 extra words noreply\r\nabc\r\n" % key,
        ]
    )


def other(rng):
    return rng.choice([b"mn\r\nversions\r\n", b"verbosity 0\r\n", b"verbosity\r\n", b"bogus\r\n", b"\r\n", b"gets\r\n", b"flush_all x\r\n", b"touch\r\n"])


STREAMS = {
    "classic": [storage, storage, retrieval, retrieval, change],
    "meta": [meta],
    "mixed": [storage, retrieval, change, meta, meta],
    "stale": [storage, retrieval, change, meta, meta, meta],
    "malformed": [storage, retrieval, meta, malformed_line, malformed_line, malformed_storage, other],
}


# MARK: The two servers


class Side:
    """One server as the stream sees it: resolves templates, normalizes replies."""

    def __init__(self, port, drops_refused_data):
        self.port = port
        self.drops_refused_data = drops_refused_data
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.settimeout(LIMIT_SECONDS)

    def begin(self, prefix):
        """A new stream: keys of its own, no versions seen."""
        self.prefix = prefix
        self.versions = {}
        self.numbers = {}

    def ask(self, template):
        key = self.prefix + b"%s"
        request = re.sub(rb"~(\d)", lambda match: self.versions.get(key % match[1], b"%d" % UNKNOWN_VERSION), template)
        request = re.sub(rb"@(\d)", lambda match: key % match[1], request)
        request = re.sub(rb"%(\d)", lambda match: base64.b64encode(key % match[1]), request)
        self.socket.sendall(request + b"mn\r\n")
        reply = bytearray()
        ends = template.startswith(b"mn\r\n") + 1
        try:
            while not (reply.endswith(b"MN\r\n") and (b"\r\n" + reply).count(b"\r\nMN\r\n") >= ends):
                data = self.socket.recv(1 << 20)
                if not data:
                    raise ConnectionError("closed")
                reply += data
        except (TimeoutError, ConnectionError) as error:
            self.socket.close()
            self.connect()
            return b"%s<%s>" % (reply, type(error).__name__.encode())
        return self.normalize(template, request, bytes(reply[:-4]))

    def normalize(self, template, request, reply):
        def version(number, key=None):
            if key is not None:
                self.versions[key] = number
            return b"#%d" % self.numbers.setdefault(number, len(self.numbers))

        if template.startswith((b"gets", b"gats")):
            reply = re.sub(
                rb"^(VALUE (\S+) \d+ \d+) (\d+)(?=\r$)", lambda match: b"%s %s" % (match[1], version(match[3], match[2])), reply, flags=re.M
            )
        if template[:3] in (b"mg ", b"ms ", b"ma "):  # the first line; a set may follow
            words = request.split()
            key = words[1] if len(words) > 1 else b""
            if b"b" in words[2:]:
                key = re.sub(rb".*%(\d).*", rb"\1", template.split()[1])
                key = self.prefix + key
            head, end, rest = reply.partition(b"\r\n")
            seen_key = key if head.startswith((b"HD", b"VA")) else None
            if re.search(rb" X( W)?$", head):
                self.versions.update((seen_key, number) for number in re.findall(rb" c(\d+)", head))
                head = re.sub(rb" c\d+", b" c", head)
            head = re.sub(rb" c(\d+)", lambda match: b" c" + version(match[1], seen_key), head)
            head = re.sub(rb" t(\d+)", lambda match: b" t%d" % ((int(match[1]) + 50) // 100), head)
            head = re.sub(rb" l\d+", b" l", head)
            reply = head + end + rest
        if template.startswith(b"md"):
            reply = re.sub(rb"^CLIENT_ERROR .*\r", b"CLIENT_ERROR\r", reply)
        refused = re.match(rb"(CLIENT_ERROR bad command line format\r\n|ERROR\r\n)ERROR\r\n$", reply)
        if refused and not self.drops_refused_data and template.count(b"\r\n") > 1:
            reply = refused[1]
        return reply


def difference(sides, requests, prefix):
    """The index of the first request whose replies differ, and the replies; None if all are equal."""
    for side in sides:
        side.begin(prefix)
    for index, request in enumerate(requests):
        replies = [side.ask(request) for side in sides]
        if replies[0] != replies[1]:
            return index, replies
    return None


def shrink(sides, requests, prefix):
    """Takes out what the difference does not need, in ever smaller pieces, with a limit on the tries."""
    tries = 0
    size = len(requests) // 2
    while size >= 1:
        start = 0
        while start < len(requests) - 1 and tries < 400:
            tries += 1
            candidate = requests[:start] + requests[start + size :]
            found = candidate and difference(sides, candidate, b"%s%d." % (prefix, tries))
            if found:
                requests = candidate[: found[0] + 1]
            else:
                start += size
        size //= 2
    return requests


@pytest.fixture(scope="module")
def sides():
    program = shutil.which("memcached")
    if not program:
        pytest.skip("memcached is not installed")
    with Server("--memcached", "-m", "64", plain=False) as server:
        port, reservation = reserve_port()
        # no_modern: no background thread that holds an item while a request changes it, so that the same stream gets the same replies.
        command = [program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-m", "64", "-u", "nobody", "-t", "1", "-o", "no_modern"]
        memcached = subprocess.Popen(command)
        try:

            def listens():
                try:
                    return Side(port, drops_refused_data=False)
                except ConnectionRefusedError:
                    return None

            yield poll(listens, "memcached listens"), Side(server.port, drops_refused_data=True)
        finally:
            memcached.kill()
            memcached.wait()
            reservation.close()


def make_requests(kind, seed, count):
    rng = random.Random(f"{kind} {seed}")
    rng.marks_stale = kind == "stale"
    rng.ttls = TTLS if rng.marks_stale else [*TTLS, b"-1"]
    return [rng.choice(STREAMS[kind])(rng) for _ in range(count)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", STREAMS)
def test_same_replies(sides, kind, seed):
    requests = make_requests(kind, seed, 800)
    prefix = b"%s%d:" % (kind.encode(), seed)
    found = difference(sides, requests, prefix)
    if found is None:
        return
    smallest = shrink(sides, requests[: found[0] + 1], prefix + b"s")
    index, replies = difference(sides, smallest, prefix + b"last.") or found
    lines = "\n".join(f"  {request!r}" for request in smallest[: index + 1])
    pytest.fail(f"replies differ after\n{lines}\n  memcached: {replies[0]!r}\n  memleased: {replies[1]!r}", pytrace=False)


def can_be_pipelined(request):
    """Whether its reply is equal as it stands: it shows no version, and no time."""
    words = request.partition(b"\r\n")[0].split(b" ")
    shown = {b"c", b"t", b"l"} & set(words[2:]) if words[0] in (b"mg", b"ms", b"ma") else words[0] in (b"gets", b"gats")
    return not shown and b"~" not in request


@pytest.mark.parametrize("seed", range(8))
def test_same_replies_in_groups(sides, seed):
    """Many requests in one write: the server reads and answers them together."""
    rng = random.Random(f"groups {seed}")
    requests = [request for request in make_requests("mixed", f"groups {seed}", 3000) if can_be_pipelined(request)]
    requests += [b"get @%d\r\n" % rng.randrange(KEYS) if rng.random() < 0.5 else b"mg @%d v\r\n" % rng.randrange(KEYS) for _ in range(500)]
    rng.shuffle(requests)
    groups = []
    while requests:
        count = rng.choice([1, 2, 5, 16, 17, 40, 100])
        groups.append(b"".join(requests[:count]))
        requests = requests[count:]
    found = difference(sides, groups, b"g%d:" % seed)
    if found:
        index, replies = found
        pytest.fail(f"group {index} differs\n  {groups[index]!r}\n  memcached: {replies[0]!r}\n  memleased: {replies[1]!r}", pytrace=False)


def test_differences_are_listed_with_their_reason():
    for treatment, name, reason in DIFFERENCES:
        assert treatment in ("skip", "normalized") and name and reason
