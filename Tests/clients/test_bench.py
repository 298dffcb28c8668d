"""The load generator tells the truth: what was asked, what came back, and how long it took."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from bench_support import FakeServer, distribution_lines, generate, generator_program, run_generator, running_memcached, value_reply
from memory_support import LIMIT_SECONDS, Server, poll

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="memlease-bench is for Linux"),
    pytest.mark.skipif("MEMLEASED_SANITIZER" in os.environ, reason="the generator is not the one that is watched"),
]

SHORT = ["--connections", 4, "--keys", 200, "--requests", 2000, "--warm-up-seconds", 0]
SIZES = ["--key-bytes", "10..30", "--value-bytes", "0:1,5:1,20..2000:3", "--ttl-seconds", "100..200"]
READING = ["get", "mg", "mix", "meta-mix", "mg-lease", "multi-get", "multi-mg"]


@pytest.fixture(scope="module")
def memleased():
    with Server() as server:
        yield f"127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def memcached():
    with running_memcached() as address:
        yield address


# MARK: What is sent, and what comes back


@pytest.mark.parametrize("sizes", [[], SIZES], ids=["equal", "mixed"])
@pytest.mark.parametrize("workload", [*READING, "set", "ms", "lease-get"])
def test_every_workload_on_memleased(memleased, workload, sizes):
    check(generate(memleased, "run", "--workload", workload, "--depth", 8, *SHORT, *sizes), workload)


@pytest.mark.parametrize("sizes", [[], SIZES], ids=["equal", "mixed"])
@pytest.mark.parametrize("workload", [*READING, "set", "ms"])
def test_every_workload_but_lease_get_on_memcached(memcached, workload, sizes):
    check(generate(memcached, "run", "--workload", workload, "--depth", 8, *SHORT, *sizes), workload)


def check(report, workload):
    assert report["requests"] == 2000
    assert report["misses"] == report["errors"] == report["wrongValues"] == 0
    assert (report["hits"] > 0) == (workload in READING or workload == "lease-get")
    assert (report["stored"] > 0) == (workload in ["set", "ms", "mix", "meta-mix"])
    assert report["keysRead"] == report["hits"] * report["keysPerRequest"]
    assert report["keysPerRequest"] == (16 if workload.startswith("multi") else 1)
    assert report["ownCPUUs"] > 0 and 0 < report["ownBusiest"]
    assert report["p50Us"] <= report["p99Us"] <= report["p9999Us"] <= report["maxUs"]


def test_a_server_without_leases_is_named_in_one_line(memcached):
    done = run_generator(memcached, "run", "--workload", "lease-get", *SHORT)
    assert done.returncode == 1
    assert done.stderr == "Error: the server does not know lease-get: it answered ERROR\n"


def test_sizes_belong_to_the_key_whatever_the_seed(memleased):
    generate(memleased, "run", "--workload", "set", *SHORT, *SIZES, "--seed", 1)
    report = generate(memleased, "run", "--workload", "get", *SHORT, *SIZES, "--seed", 2, "--no-preload")
    assert report["hits"] == 2000


@pytest.mark.parametrize("workload", ["get", "multi-get"])
def test_misses_are_counted(memleased, workload):
    report = generate(memleased, "run", "--workload", workload, *SHORT, "--no-preload", "--key-bytes", 200)
    assert report["hits"] == report["keyHits"] == 0
    assert report["misses"] == 2000 and report["keyMisses"] == report["keysRead"] == 2000 * report["keysPerRequest"]


def test_zipf_and_the_share_of_writes(memcached):
    report = generate(memcached, "run", "--workload", "mix", *SHORT, "--requests", 20000, "--zipf", 1.2, "--write-every", 4)
    assert 0.2 < report["stored"] / report["requests"] < 0.3
    assert report["zipf"] == 1.2


def test_the_same_seed_sends_the_same_requests():
    sent = []
    for seed in [1, 1, 2]:
        with FakeServer(value_reply) as server:
            run = ["--workload", "mix", "--connections", 1, "--keys", 50, "--requests", 300, "--seed", seed, "--value-bytes", "9..99"]
            assert generate(server.address, "run", *run, "--warm-up-seconds", 0)["requests"] == 300
            sent.append(server.requests[50:])
    assert sent[0] == sent[1] != sent[2]


def other_key(key, value):
    return value_reply(key, value and b"k9999999" + value[8:])


def too_short(key, value):
    return value_reply(key, value and value[:-1])


@pytest.mark.parametrize("reply", [other_key, too_short])
@pytest.mark.parametrize("size", ["32", "31..33"])
def test_a_wrong_value_fails_the_run(reply, size):
    with FakeServer(reply) as server:
        done = run_generator(server.address, "run", *SHORT, "--value-bytes", size)
    assert done.returncode == 1
    assert "wrong values 2000" in done.stdout


def test_an_error_is_shown_and_fails_the_run():
    with FakeServer(lambda key, value: b"SERVER_ERROR out of order\r\n") as server:
        done = run_generator(server.address, "run", *SHORT)
    assert done.returncode == 1
    assert "errors 2000" in done.stdout and "first error: SERVER_ERROR out of order" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--value-bytes", "x"],
        ["--value-bytes", "5..1"],
        ["--value-bytes", "1:0"],
        ["--key-bytes", "1..20"],
        ["--key-bytes", "5..300"],
        ["--key-bytes", "3..20", "--keys", "1000"],
        ["--ttl-seconds", "2592001"],
        ["--rate", "0"],
        ["--keys-per-request", "1"],
        ["--keys-per-request", "1001"],
        ["--write-every", "1"],
        ["--depth", "4097"],
        ["--seconds", "1", "--requests", "100"],
        ["--rate", "0.01", "--requests", "1000"],
        ["--zipf", "-1"],
        ["--server", "nowhere"],
    ],
)
def test_what_it_does_not_take_is_a_usage_error(arguments):
    assert run_generator("127.0.0.1:1", "run", *arguments).returncode == 64


# MARK: How long it took

STALL_SECONDS = 0.2
RATE = 1000
OPEN = ["--connections", 10, "--keys", 50, "--requests", 1000, "--warm-up-seconds", 0]


class StallingServer(FakeServer):
    """Answers at once, but for one pause of all connections after so many requests."""

    def __init__(self, after):
        super().__init__(self.answer_or_stall)
        self.lock = threading.Lock()
        self.left = after

    def answer_or_stall(self, key, value):
        with self.lock:
            self.left -= 1
            if self.left == 0:
                time.sleep(STALL_SECONDS)
        return value_reply(key, value)


def requests_slower_than(seconds, path):
    """How many of the recorded latencies lie above it, at the least: the file has steps."""
    rows = distribution_lines(path)
    return rows[-1][2] - max((count for value, _, count in rows if value <= seconds * 1e6), default=0)


def test_an_open_loop_shows_everyone_whom_a_stall_would_have_hit(tmp_path):
    with StallingServer(after=500) as server:
        report = generate(server.address, "run", "--rate", RATE, *OPEN, "--histogram", tmp_path / "open.hgrm")
    assert report["loop"] == "open" and report["openLoop"]["rate"] == RATE
    assert report["openLoop"]["heldBack"] > 0 and report["openLoop"]["unfinished"] == 0
    assert report["maxUs"] >= STALL_SECONDS * 1e6
    # Those that were due in the first half of the pause waited for at least the other half; a machine that is slow only adds to them.
    hit = requests_slower_than(STALL_SECONDS / 2, tmp_path / "open.hgrm")
    assert hit >= 0.6 * RATE * STALL_SECONDS / 2
    assert report["p99Us"] >= STALL_SECONDS / 2 * 1e6


def test_a_closed_loop_hides_them(tmp_path):
    """Why there is an open loop: here only those that were in flight notice."""
    with StallingServer(after=500) as server:
        report = generate(server.address, "run", *OPEN, "--histogram", tmp_path / "closed.hgrm")
    assert report["loop"] == "closed" and "openLoop" not in report
    assert report["maxUs"] >= STALL_SECONDS * 1e6
    assert report["p50Us"] < STALL_SECONDS * 1e6


def test_what_is_never_answered_counts_in_an_open_loop():
    """One connection's server goes silent: what is due there afterwards is not forgotten."""
    silent = threading.Event()

    def reply(key, value):
        if len(server.requests) > 150:
            silent.wait()
        return value_reply(key, value)

    with FakeServer(reply) as server:
        report = generate(server.address, "run", "--rate", RATE, *OPEN, "--requests", 300)
        silent.set()
    assert report["openLoop"]["unfinished"] > 0
    # The end, and two seconds more, is how long it waited for them.
    assert report["maxUs"] > 2e6 and report["p99Us"] > 2e6


def test_an_open_loop_keeps_to_the_seed(memleased):
    reports = [generate(memleased, "run", "--rate", 2000, *OPEN, "--seed", seed) for seed in [3, 3]]
    # Due at the same moments, so that equally many fall into the run.
    assert reports[0]["requests"] == reports[1]["requests"]


def test_percentiles_and_file_agree(memleased, tmp_path):
    report = generate(memleased, "run", *SHORT, "--histogram", tmp_path / "run.hgrm")
    rows = distribution_lines(tmp_path / "run.hgrm")
    assert rows[-1][1:] == (1.0, 2000)
    assert rows[-1][0] == pytest.approx(report["maxUs"], rel=0.001)


def test_fill_counts_what_is_held(memleased):
    report = generate(memleased, "fill", "--count", 3000, *SIZES)
    assert report["stored"] == report["sampledHeld"] == 3000 and report["wrongValues"] == 0


def test_an_interrupt_ends_a_run_with_its_report():
    with FakeServer(value_reply) as server:
        command = [generator_program(), "run", "--server", server.address, "--keys", "50", "--seconds", "3600"]
        command += ["--warm-up-seconds", "0", "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            poll(lambda: len(server.requests) > 500, "the run has begun")
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=LIMIT_SECONDS)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, errors
    assert json.loads(out)["hits"] > 0


def test_no_progress_but_on_a_terminal(memleased):
    done = run_generator(memleased, "run", *SHORT, "--requests", 200)
    assert done.stderr == "" and done.stdout.startswith("get  4 connections x 1 in flight")
