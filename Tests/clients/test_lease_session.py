"""A lease session between two Python clients and a server with its default settings: raw sockets, no library."""

import pytest
from memory_support import Server, poll


@pytest.fixture(scope="module")
def server():
    with Server(plain=False) as server:
        yield server


def lease_get(client, key):
    """(kind, token or None, data) of one key."""
    client.send(b"lease-get %s\r\n" % key)
    words = client.line().split()
    assert words[1] == key
    if words[0] == b"VALUE":
        reply = "hit", None, client.block(int(words[3]))
    else:
        assert words[0] == b"LVALUE", words
        token = int(words[2])
        kind = {0: "passed", 1: "hot miss"}.get(token, "granted")
        reply = kind, token, client.block(int(words[4]))
    assert client.line() == b"END"
    return reply


def lease_set(client, key, token, value):
    return client.ask(b"lease-set %s %d 0 60 %d\r\n%s\r\n" % (key, token, len(value), value))


def test_a_session_of_two_clients(server):
    with server.client() as first, server.client() as second:
        kind, token, data = lease_get(first, b"user")
        assert (kind, data) == ("granted", b"")
        assert 2 <= token < 2**63 and token >> 32 != 0x7ACEB00C
        assert lease_get(second, b"user") == ("hot miss", 1, b"")

        assert second.set(b"user", b"quit") == b"CLIENT_ERROR lease token required"
        assert lease_set(second, b"user", token + 1, b"wrong") == b"NOT_STORED"
        assert lease_set(first, b"user", token, b"Alice") == b"STORED"
        assert lease_get(second, b"user") == ("hit", None, b"Alice")
        assert second.get(b"user") == b"Alice"

        assert second.ask(b"delete user\r\n") == b"DELETED"
        kind, fresh_token, data = lease_get(first, b"user")
        assert (kind, data) == ("granted", b"Alice")
        assert fresh_token != token
        assert lease_get(second, b"user") == ("hot miss", 1, b"Alice")
        assert second.get(b"user") is None

        assert second.ask(b"delete user\r\n") == b"DELETED"
        assert lease_set(first, b"user", fresh_token, b"late") == b"STALE_STORED"
        kind, last_token, data = lease_get(second, b"user")
        assert (kind, data) == ("granted", b"late")
        assert lease_set(second, b"user", last_token, b"Bob") == b"STORED"
        assert first.get(b"user") == b"Bob"


def test_one_of_many_is_granted(server):
    clients = [server.client() for _ in range(50)]
    try:
        for client in clients:
            client.send(b"lease-get herd\r\n")
        tokens = []
        for client in clients:
            tokens.append(int(client.line().split()[2]))
            assert client.block(0) == b"" and client.line() == b"END"
        assert sorted(tokens)[:-1] == [1] * 49 and max(tokens) > 1
        holder = clients[tokens.index(max(tokens))]
        assert lease_set(holder, b"herd", max(tokens), b"fetched once") == b"STORED"
        for client in clients:
            assert lease_get(client, b"herd") == ("hit", None, b"fetched once")
    finally:
        for client in clients:
            client.socket.close()


def test_a_holder_that_dies_is_replaced_by_one(server):
    with server.client() as second, server.client() as third:
        with server.client() as first:
            assert lease_get(first, b"orphan")[0] == "granted"
            assert lease_get(second, b"orphan")[0] == "hot miss"
        token = poll(lambda: (reply := lease_get(second, b"orphan"))[0] == "granted" and reply[1], "the lease of a closed connection ends")
        assert lease_get(third, b"orphan")[0] == "hot miss"
        assert lease_set(second, b"orphan", token, b"x") == b"STORED"


def test_meta_clients_get_leases_from_memcacheds_own_flags(server):
    with server.client() as first, server.client() as second:
        words = first.ask(b"mg meta N30 c\r\n").split()
        assert words[0] == b"HD" and words[-1] == b"W"
        token = int(words[1][1:])
        assert second.ask(b"mg meta N30 c\r\n") == b"HD c1 Z"
        assert second.ask(b"ms meta 3\r\nbad\r\n") == b"CLIENT_ERROR lease token required"
        assert first.ask(b"ms meta 4 C%d\r\ngood\r\n" % token) == b"HD"
        assert second.ask(b"mg meta N30 v\r\n") == b"VA 4"
        assert second.block(4) == b"good"


def test_a_pipeline_of_misses_takes_one_lease_per_key(server):
    with server.client() as client:
        keys = [b"pipe:%d" % number for number in range(500)]
        client.send(b"".join(b"mg %s N30 c q k\r\n" % key for key in keys) + b"mn\r\n")
        lines = client.lines(501)
        assert lines[-1] == b"MN"
        tokens = {}
        for key, line in zip(keys, lines):
            words = line.split()
            assert words[0] == b"HD" and words[2] == b"k" + key and words[3] == b"W"
            tokens[key] = int(words[1][1:])
        assert len(set(tokens.values())) == 500
        client.send(b"".join(b"ms %s 1 C%d q\r\nx\r\n" % item for item in tokens.items()) + b"mn\r\n")
        assert client.line() == b"MN"
        client.send(b"get " + b" ".join(keys) + b"\r\n")
        assert client.read_values() == {key: b"x" for key in keys}
