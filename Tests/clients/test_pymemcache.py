"""Every method of pymemcache, an unmodified memcached client, against `memleased --memcached`."""

import json
import time

import pytest
from memory_support import LIMIT_SECONDS, Server, poll
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheIllegalInputError, MemcacheServerError, MemcacheUnknownCommandError
from pymemcache.serde import pickle_serde


@pytest.fixture(scope="module")
def server():
    with Server("--memcached", plain=False) as server:
        yield server


@pytest.fixture
def client(server):
    client = Client(("127.0.0.1", server.port), timeout=LIMIT_SECONDS, connect_timeout=LIMIT_SECONDS)
    client.flush_all(noreply=False)
    yield client
    client.close()


def test_set_and_get(client):
    assert client.set("key", b"value", noreply=False) is True
    assert client.get("key") == b"value"
    assert client.get("missing") is None
    assert client.get("missing", default=7) == 7
    client["item"] = b"assigned"
    assert client["item"] == b"assigned"
    del client["item"]
    with pytest.raises(KeyError):
        client["item"]


def test_noreply_is_the_default_and_stays_in_step(client):
    for number in range(1000):
        client.set(f"key{number}", b"%d" % number)
    assert client.get("key999") == b"999"
    client.add("key999", b"x")
    client.append("key999", b"!")
    client.prepend("key999", b"<")
    client.replace("missing", b"x")
    client.delete("key0")
    client.incr("key1", 5, noreply=True)
    client.touch("key1", 100, noreply=True)
    assert client.get_many(["key0", "key1", "key999", "missing"]) == {"key1": b"6", "key999": b"<999!"}


def test_add_replace_append_prepend(client):
    assert client.replace("key", b"x", noreply=False) is False
    assert client.append("key", b"x", noreply=False) is False
    assert client.prepend("key", b"x", noreply=False) is False
    assert client.add("key", b"b", noreply=False) is True
    assert client.add("key", b"x", noreply=False) is False
    assert client.append("key", b"c", noreply=False) is True
    assert client.prepend("key", b"a", noreply=False) is True
    assert client.get("key") == b"abc"
    assert client.replace("key", b"new", noreply=False) is True
    assert client.get("key") == b"new"


def test_cas(client):
    assert client.cas("key", b"x", b"17", noreply=False) is None
    client.set("key", b"one", noreply=False)
    value, version = client.gets("key")
    assert value == b"one"
    assert client.cas("key", b"two", version, noreply=False) is True
    assert client.cas("key", b"three", version, noreply=False) is False
    assert client.get("key") == b"two"
    assert client.gets("missing") == (None, None)


def test_many_keys(client):
    values = {f"many:{number}": b"value %d" % number for number in range(2500)}
    assert client.set_many(values, noreply=False) == []
    assert client.get_many(list(values) + ["missing"]) == values
    found = client.gets_many(list(values))
    assert {key: value for key, (value, _) in found.items()} == values
    assert len({version for _, version in found.values()}) == len(values)
    assert client.delete_many(list(values), noreply=False) is True
    assert client.get_many(list(values)) == {}


def test_incr_and_decr(client):
    assert client.incr("n", 1) is None
    client.set("n", b"10", noreply=False)
    assert client.incr("n", 5) == 15
    assert client.decr("n", 6) == 9
    assert client.decr("n", 100) == 0
    client.set("n", str(2**64 - 1).encode(), noreply=False)
    assert client.incr("n", 2) == 1
    client.set("n", b"word", noreply=False)
    with pytest.raises(MemcacheClientError):
        client.incr("n", 1)


def test_touch_and_expiry(client):
    assert client.touch("key", 100, noreply=False) is False
    # On a slow machine the first lives may end before they are touched; then the round says nothing and the next ones are longer.
    for lifetime in (1, 4, 16):
        began = time.monotonic()
        for key in ("key", "read", "short"):
            client.set(key, b"value", expire=lifetime, noreply=False)
        touched = client.touch("key", 1000, noreply=False)
        read = client.raw_command("gat 1000 read missing", end_tokens="END\r\n")
        if time.monotonic() - began < lifetime:
            break
    assert touched is True
    assert read == b"VALUE read 0 5\r\nvalue\r\n"
    poll(lambda: client.get("short") is None, "the value expires")
    assert client.get_many(["key", "read"]) == {"key": b"value", "read": b"value"}


def test_delete(client):
    assert client.delete("key", noreply=False) is False
    client.set("key", b"value", noreply=False)
    assert client.delete("key", noreply=False) is True
    assert client.get("key") is None


@pytest.mark.parametrize("size", [0, 1, 1023, 65536, 1_000_000])
def test_sizes(client, size):
    value = bytes(number * 7 % 256 for number in range(251)) * (size // 251 + 1)
    value = value[:size]
    assert client.set("sized", value, noreply=False) is True
    assert client.get("sized") == value


def test_too_large_is_refused_and_the_connection_lives(client):
    client.set("key", b"small", noreply=False)
    with pytest.raises(MemcacheServerError):
        client.set("large", b"x" * 2_000_000, noreply=False)
    assert client.get("key") == b"small"


def test_keys(client):
    with pytest.raises(MemcacheIllegalInputError):
        client.set("umlaut ü", b"value", noreply=False)
    with pytest.raises(MemcacheIllegalInputError):
        client.get("schlüssel")
    with pytest.raises(MemcacheIllegalInputError):
        client.get("with space")
    with pytest.raises(MemcacheIllegalInputError):
        client.get("k" * 251)
    assert client.set("k" * 250, b"longest", noreply=False) is True
    assert client.get("k" * 250) == b"longest"


def test_unicode_keys_where_the_client_allows_them(server):
    client = Client(("127.0.0.1", server.port), allow_unicode_keys=True, timeout=LIMIT_SECONDS)
    assert client.set("schlüssel", b"wert", noreply=False) is True
    assert client.get("schlüssel") == b"wert"
    client.close()


def test_the_server_refuses_a_key_that_is_too_long(client):
    with pytest.raises(MemcacheClientError, match="bad command line format"):
        client.raw_command(b"get " + b"k" * 251)
    assert client.raw_command("version").startswith(b"VERSION")


def test_serialized_values(server):
    client = Client(("127.0.0.1", server.port), serde=pickle_serde, timeout=LIMIT_SECONDS)
    value = {"list": [1, 2.5, None], "text": "wörter"}
    client.set("object", value, noreply=False)
    assert client.get("object") == value
    client.set("number", 41, noreply=False)
    assert client.incr("number", 1) == 42
    assert client.get("number") == 42
    assert json.loads(json.dumps(client.get("object"))) == value
    client.close()


def test_stats(client):
    client.set("key", b"value", noreply=False)
    stats = client.stats()
    assert stats[b"curr_items"] == 1
    assert stats[b"pointer_size"] == 64
    assert stats[b"threads"] >= 1
    settings = client.stats("settings")
    assert settings[b"maxbytes"] == 64 << 20
    assert settings[b"cas_enabled"] in (True, b"yes")
    assert client.stats("items")
    assert client.stats("slabs")


def test_version_memlimit_flush_and_verbosity(client):
    assert client.version()
    assert client.cache_memlimit(128) is True
    assert client.cache_memlimit(64) is True
    client.set("key", b"value", noreply=False)
    assert client.flush_all(noreply=False) is True
    assert client.get("key") is None
    assert client.raw_command("verbosity 0") == b"OK"


def test_errors_by_name(client):
    with pytest.raises(MemcacheUnknownCommandError):
        client.raw_command("bogus")
    assert client.raw_command("verbosity 0") == b"OK"


def test_pooled_and_hashed_clients(server):
    pooled = PooledClient(("127.0.0.1", server.port), max_pool_size=4, timeout=LIMIT_SECONDS)
    pooled.set("pooled", b"1", noreply=False)
    assert pooled.get("pooled") == b"1"
    assert pooled.incr("pooled", 1) == 2
    pooled.close()
    hashed = HashClient([("127.0.0.1", server.port)], timeout=LIMIT_SECONDS)
    hashed.set_many({"a": b"1", "b": b"2"}, noreply=False)
    assert hashed.get_many(["a", "b", "c"]) == {"a": b"1", "b": b"2"}
    hashed.close()


def test_quit_and_shutdown():
    with Server("--memcached", plain=False) as server:
        client = Client(("127.0.0.1", server.port), timeout=LIMIT_SECONDS)
        client.set("key", b"value", noreply=False)
        client.quit()
        assert client.get("key") == b"value"  # it connects again
        with pytest.raises(MemcacheUnknownCommandError):
            client.shutdown()
        client.close()


def test_shutdown_where_it_is_enabled():
    with Server("--memcached", "-A", plain=False) as server:
        client = Client(("127.0.0.1", server.port), timeout=LIMIT_SECONDS)
        server.is_stopped = True
        client.shutdown(graceful=True)
        assert server.process.wait(LIMIT_SECONDS) == 0
        client.close()
