"""What the load generator's tests need: the program, and servers that answer as a test wants."""

import glob
import json
import os
import re
import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager

import pytest
from memory_support import LIMIT_SECONDS, REPOSITORY, Client, poll, reserve_port


def generator_program():
    """`MEMLEASE_BENCH`, else the newest build."""
    named = os.environ.get("MEMLEASE_BENCH")
    built = glob.glob(f"{REPOSITORY}/.build/*/release/memlease-bench") + glob.glob(f"{REPOSITORY}/.build/*/debug/memlease-bench")
    if not named and not built:
        raise FileNotFoundError("no memlease-bench: build it, or name it in MEMLEASE_BENCH")
    return named or max(built, key=os.path.getmtime)


def run_generator(address, command, *arguments):
    """Its exit code and what it printed, whatever came of it."""
    line = [generator_program(), command, "--server", address, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=2 * LIMIT_SECONDS)


def generate(address, command, *arguments):
    """What it reports; its failure is the test's."""
    done = run_generator(address, command, *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@contextmanager
def running_memcached():
    """Its address. Where it is not installed the test is skipped."""
    program = shutil.which("memcached")
    if not program:
        pytest.skip("memcached is not installed")
    port, reservation = reserve_port()
    process = subprocess.Popen([program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "nobody"])
    try:

        def listens():
            try:
                return Client(port)
            except ConnectionRefusedError:
                return None

        poll(listens, "memcached listens").socket.close()
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        reservation.close()


class FakeServer:
    """Keeps what `set` writes, and answers every `get` by `reply(key, value)`. Each connection has a thread."""

    def __init__(self, reply):
        self.reply = reply
        self.values = {}
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    connection.sendall(self.answer(line.split(), lines))
            except OSError:
                pass  # The generator is done.

    def answer(self, words, lines):
        self.requests.append(words)
        if words[0] == b"set":
            self.values[words[1]] = lines.read(int(words[4]) + 2)[:-2]
            return b"STORED\r\n"
        if words[0] == b"get":
            return self.reply(words[1], self.values.get(words[1]))
        return b"ERROR\r\n"


def value_reply(key, value):
    return b"END\r\n" if value is None else b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(value), value)


def distribution_lines(path):
    """The rows of an .hgrm file: (value, percentile, count so far)."""
    rows = []
    with open(path) as lines:
        for line in lines:
            fields = line.split()
            if len(fields) >= 3 and re.fullmatch(r"[0-9.]+", fields[0]):
                rows.append((float(fields[0]), float(fields[1]), int(fields[2])))
    return rows
