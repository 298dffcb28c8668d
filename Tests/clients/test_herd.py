"""The load generator's herds, small ones, on the real server: one fetches, the others wait and ask nothing more."""

import sys

import bench_support
import pytest
from memory_support import Server

CLIENTS = 500
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memlease-bench is for Linux")


def generate(server, *arguments):
    return bench_support.generate(f"127.0.0.1:{server.port}", *arguments)


def test_a_herd_fetches_once_and_never_asks_again():
    with Server(plain=False) as server:
        report = generate(server, "herd", "--coordination", "parked", "--clients", str(CLIENTS))
    assert report["backendFetches"] == 1
    assert report["requests"] == CLIENTS + 1  # One each, and the fill.
    assert report["wrongValues"] == 0


def test_a_herd_that_polls_fetches_once():
    with Server(plain=False) as server:
        report = generate(server, "herd", "--coordination", "polling", "--clients", str(CLIENTS))
    assert report["backendFetches"] == 1
    assert report["wrongValues"] == 0


def test_one_waiter_replaces_a_holder_whose_connection_closes():
    with Server(plain=False) as server:
        report = generate(server, "killed-holder", "--waiters", str(CLIENTS))
    assert report["newFetches"] == 1
    assert report["wrongValues"] == 0


def test_a_hot_key_that_is_deleted_is_read_from_the_database_once_for_each_delete_at_most():
    with Server(plain=False) as server:
        report = generate(server, "hot-key", "--clients", "50", "--fetch-ms", "20", "--seconds", "1")
    assert report["deletes"] > 0 and report["reads"] > 0
    # Fetches that run when the second begins and ends belong to deletes outside it.
    assert report["backendFetches"] <= report["deletes"] + 2
    assert report["wrongValues"] == 0
