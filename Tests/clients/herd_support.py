"""What the tests of waiting need: many connections at once, their replies, and a server that is asked who waits."""

import os
import resource
import selectors
import socket
import struct
import threading
import time

from memory_support import LIMIT_SECONDS, Client, Server, poll

SANITIZER = os.environ.get("MEMLEASED_SANITIZER", "")

# How long a request may wait at most: only used up by a failure.
LONG_WAIT_MS = 1000 * LIMIT_SECONDS


def scaled(plain, address, thread):
    """A number for the build under test: a watched one takes minutes for what the plain one does in seconds."""
    return {"": plain, "address": address, "thread": thread}[SANITIZER]


def allow_connections(wanted):
    """Raises this process's limit of descriptors; as many of the wanted connections as it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + 200
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < needed:
        print(f"{soft - 200} connections instead of {wanted}: the hard limit of descriptors is {hard}")
    return min(wanted, soft - 200)


def take_reply(buffer):
    """The first reply in the buffer, taken out: (line, data or None); None while it is incomplete."""
    end = buffer.find(b"\r\n")
    if end < 0:
        return None
    line = bytes(buffer[:end])
    words = line.split()
    place = {b"VA": 1, b"FA": 1, b"VALUE": 3, b"LVALUE": 4, b"LFAIL": 3}.get(words[0]) if words else None
    if place is None:
        del buffer[: end + 2]
        return line, None
    size = int(words[place])
    if len(buffer) < end + 2 + size + 2:
        return None
    data = bytes(buffer[end + 2 : end + 2 + size])
    assert buffer[end + 2 + size : end + 4 + size] == b"\r\n", f"a data block does not end where {line!r} said"
    del buffer[: end + 4 + size]
    return line, data


class Waiter(Client):
    """A connection whose replies are taken one by one."""

    def reply(self):
        while (reply := take_reply(self.buffer)) is None:
            self.receive_more()
        return reply

    def grant(self, key, options=b"N60"):
        """Takes the key's lease; its token."""
        line = self.ask(b"mg %s c %s\r\n" % (key, options))
        words = line.split()
        assert words[0] == b"HD" and words[-1] == b"W", line
        return int(next(word for word in words if word.startswith(b"c"))[1:])

    def fill(self, key, token, value):
        return self.ask(b"lease-set %s %d 0 0 %d\r\n%s\r\n" % (key, token, len(value), value))

    def reset(self):
        """Closes with a reset instead of an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def is_quiet(self):
        """Nothing has come and is not taken yet."""
        self.socket.setblocking(False)
        try:
            self.buffer += self.socket.recv(1 << 16)
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(LIMIT_SECONDS)
        return not self.buffer


class WaitServer(Server):
    """A server whose counters of waiting are asked over one connection that stays."""

    def __init__(self, *flags, plain=False):
        super().__init__("--max-wait-ms", str(LONG_WAIT_MS), *flags, plain=plain)
        self.control = None

    def __exit__(self, *error):
        if self.control:
            self.control.socket.close()
        super().__exit__(*error)

    def client(self, **options):
        return Waiter(self.port, **options)

    def stats(self):
        if self.control is None:
            self.control = self.client()
        return {name: int(value) for name, value in self.control.stats().items() if value.isdigit()}

    def stat(self, name):
        return self.stats()[name]

    def await_waiters(self, count):
        """Until the server counts so many that wait: what was sent is parked, or gone."""
        last = None

        def are_so_many():
            nonlocal last
            last = self.stat("waiters")
            return last == count

        try:
            poll(are_so_many, "")
        except AssertionError:
            raise AssertionError(f"{last} wait, not {count}: {self.stats()}") from None


class Crowd:
    """Many connections. Closed with resets, so that thousands of them leave no ports behind."""

    def __init__(self, server, count, receive_buffer=None):
        self.members = []
        self.selector = selectors.DefaultSelector()
        for number in range(count):
            member = server.client(receive_buffer=receive_buffer)
            member.socket.setblocking(False)
            member.number = number
            member.is_closed = False
            self.members.append(member)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members:
            if not member.is_closed:
                member.reset()
        self.selector.close()

    def __len__(self):
        return len(self.members)

    def send(self, request, members=None):
        """The request, or what it makes of a member's number, from each."""
        for member in self.members if members is None else members:
            data = request(member.number) if callable(request) else request
            assert member.socket.send(data) == len(data), "a short request is cut"

    def replies(self, members=None, count=1):
        """So many replies of each member."""
        members = self.members if members is None else members
        replies = {member.number: [] for member in members}
        missing = 0
        for member in members:
            self._take(member, replies[member.number], count)
            if len(replies[member.number]) < count:
                self.selector.register(member.socket, selectors.EVENT_READ, member)
                missing += 1
        give_up = time.monotonic() + LIMIT_SECONDS
        try:
            while missing:
                assert time.monotonic() < give_up, f"{missing} of {len(members)} have no answer within {LIMIT_SECONDS} s"
                for key, _ in self.selector.select(1):
                    member = key.data
                    member.receive_more()
                    self._take(member, replies[member.number], count)
                    if len(replies[member.number]) == count:
                        self.selector.unregister(member.socket)
                        missing -= 1
        finally:
            for key in list(self.selector.get_map().values()):
                self.selector.unregister(key.fileobj)
        return [replies[member.number] for member in members]

    @staticmethod
    def _take(member, replies, count):
        while len(replies) < count and (reply := take_reply(member.buffer)) is not None:
            replies.append(reply)

    def first_to_hear(self):
        """The members to whom something has come, as soon as it has to one."""
        for member in self.members:
            if not member.is_closed:
                self.selector.register(member.socket, selectors.EVENT_READ, member)
        try:
            heard = self.selector.select(LIMIT_SECONDS)
            assert heard, "nobody hears anything"
            return [key.data for key, _ in heard]
        finally:
            for key in list(self.selector.get_map().values()):
                self.selector.unregister(key.fileobj)

    def close(self, members, by_reset):
        for member in members:
            member.is_closed = True
            if by_reset:
                member.reset()
            else:
                member.socket.close()

    def assert_nothing_more(self, members=None):
        """Each was answered exactly once: what is asked now is answered next."""
        members = [member for member in self.members if not member.is_closed] if members is None else members
        self.send(b"mn\r\n", members)
        for member, replies in zip(members, self.replies(members)):
            assert replies == [(b"MN", None)], f"one answer too many for {member.number}: {replies}"


class Threads:
    """Runs functions side by side; an error in one is the test's."""

    def __init__(self):
        self.threads = []
        self.errors = []

    def start(self, function, *arguments):
        def run():
            try:
                function(*arguments)
            except BaseException as error:
                self.errors.append(error)

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
