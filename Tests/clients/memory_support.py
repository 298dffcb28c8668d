"""What the memory tests need: a started server whose resident memory can be read, a pipelining client, values that prove themselves."""

import glob
import os
import random
import socket
import subprocess
import sys
import time
import zlib

MB = 1 << 20
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOISE = random.Random(7).randbytes(2 * MB)
# Only there to end a hang: machines may be slow.
LIMIT_SECONDS = 60


def server_program():
    """`MEMLEASED`, else the newest build."""
    named = os.environ.get("MEMLEASED")
    built = glob.glob(f"{REPOSITORY}/.build/*/release/memleased") + glob.glob(f"{REPOSITORY}/.build/*/debug/memleased")
    if not named and not built:
        raise FileNotFoundError("no memleased: build it, or name it in MEMLEASED")
    return named or max(built, key=os.path.getmtime)


def value_for(key, sequence, size):
    """The bytes of one write: checksum, sequence and key in front (as far as they fit), then noise from a place the checksum picks."""
    checksum = zlib.crc32(b"%s %d %d" % (key, sequence, size))
    head = b"%08x|%d|%s|" % (checksum, sequence, key)
    if size <= len(head):
        return head[:size]
    offset = checksum % MB
    rest = size - len(head)
    if rest <= MB:
        return head + NOISE[offset : offset + rest]
    return head + (NOISE[offset : offset + MB] * (rest // MB + 1))[:rest]


def reserve_port():
    """(port, reservation): nobody else is given the port until the reservation is closed. A server that sets SO_REUSEADDR can listen."""
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("127.0.0.1", 0))
    port = reservation.getsockname()[1]
    if sys.platform == "darwin":  # There the server could not listen.
        reservation.close()
    return port, reservation


def poll(condition, what):
    """Asks until the answer is true; fails at the limit."""
    give_up = time.monotonic() + LIMIT_SECONDS
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < give_up, f"not within {LIMIT_SECONDS} s: {what}"
        time.sleep(0.02)


class Client:
    """One connection: writes at once, reads replies from a buffer."""

    def __init__(self, port, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(LIMIT_SECONDS)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive_more(self):
        data = self.socket.recv(MB)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data

    def line(self):
        searched = 0
        while (end := self.buffer.find(b"\r\n", searched)) < 0:
            searched = max(0, len(self.buffer) - 1)
            self.receive_more()
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        return line

    def block(self, size):
        while len(self.buffer) < size + 2:
            self.receive_more()
        assert self.buffer[size : size + 2] == b"\r\n", "a data block does not end where it said"
        data = bytes(self.buffer[:size])
        del self.buffer[: size + 2]
        return data

    def ask(self, request):
        self.send(request)
        return self.line()

    def lines(self, count):
        while self.buffer.count(b"\r\n") < count:
            self.receive_more()
        *lines, rest = bytes(self.buffer).split(b"\r\n", count)
        self.buffer = bytearray(rest)
        return lines

    def read_values(self):
        """The reply of one get, as {key: value}."""
        values = {}
        while (line := self.line()) != b"END":
            kind, key, _, size = line.split()[:4]
            assert kind == b"VALUE", line
            values[key] = self.block(int(size))
        return values

    def get(self, key):
        self.send(b"get %s\r\n" % key)
        return self.read_values().get(key)

    def set(self, key, value, ttl=0):
        return self.ask(b"set %s 0 %d %d\r\n%s\r\n" % (key, ttl, len(value), value))

    def stats(self):
        self.send(b"stats\r\n")
        stats = {}
        while (line := self.line()) != b"END":
            _, name, value = line.split(b" ", 2)
            stats[name.decode()] = value.decode()
        return stats


class Server:
    """A started server and what it weighs. `plain` servers take writes without a token."""

    def __init__(self, *flags, plain=True):
        self.port, self.reservation = reserve_port()
        command = [server_program(), "-l", "127.0.0.1", "-p", str(self.port), *flags]
        if plain:
            command += ["--plain-writes", "allow", "--stale-window-ms", "0"]
        self.process = subprocess.Popen(command)
        # Set by a test that stops the server itself.
        self.is_stopped = False

    def __enter__(self):
        def listens():
            assert self.process.poll() is None, f"the server ended at start with {self.process.returncode}"
            try:
                return self.client()
            except ConnectionRefusedError:
                return None

        try:
            with poll(listens, "the server listens") as client:
                assert client.ask(b"version\r\n").startswith(b"VERSION")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.reservation.close()
        return self

    def __exit__(self, *_):
        ended_before = self.process.poll()
        self.process.terminate()
        try:
            self.process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server did not end after SIGTERM") from None
        assert self.is_stopped or ended_before is None, f"the server had died with {ended_before}"

    def client(self, **options):
        return Client(self.port, **options)

    def stat(self, name):
        with self.client() as client:
            return int(client.stats()[name])

    def memory(self, field):
        """VmRSS (now) or VmHWM (the most so far), in bytes."""
        # Under a sanitizer resident memory is mostly the sanitizer's: nothing is judged by it.
        if os.environ.get("MEMLEASED_SANITIZER"):
            return 0
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        raise KeyError(field)

    def forget_peak(self):
        """Makes VmHWM start again from now."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as file:
            file.write("5")
