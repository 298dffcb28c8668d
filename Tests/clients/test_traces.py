"""Traces: what `trace` writes, and that `replay` counts what one counts by hand."""

import csv
import io
import os
import subprocess
import sys

import pytest
from bench_support import FakeServer, generate, generator_program, run_generator, running_memcached, value_reply
from memory_support import LIMIT_SECONDS, Server

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="memlease-bench is for Linux"),
    pytest.mark.skipif("MEMLEASED_SANITIZER" in os.environ, reason="the generator is not the one that is watched"),
]

KINDS = ["zipf", "churn", "scan", "block", "sizes", "sizes-small", "sizes-large", "large", "ttl"]
# One request at a time: the next is asked for when the miss before it is filled.
IN_ORDER = ["--connections", 1, "--depth", 1]

# By hand: a misses and is filled, is there, is deleted and misses; b was set; c misses, and is not there to be deleted the second time.
LINES = """\
0.000000,a,10,get,0
0.1,a,10,get,0
0.2,b,20,set,60
0.3,b,20,get,60
1,a,10,delete,0
1,a,10,get,0
2.5,c,0,get,0
3,c,0,delete,
4,c,0,delete,0
5,a,10,get,0
"""
WITHOUT_TTL = "".join(line.rpartition(",")[0] + "\n" for line in LINES.splitlines())
BY_HAND = {"requests": 10, "gets": 6, "hits": 3, "misses": 3, "fills": 3, "sets": 1, "deletes": 3, "hitBytes": 40, "valueBytesWritten": 40}
NO_FILL = {**BY_HAND, "hits": 1, "misses": 5, "fills": 0, "hitBytes": 20, "valueBytesWritten": 20}


@pytest.fixture
def memleased():
    with Server() as server:
        yield f"127.0.0.1:{server.port}"


@pytest.fixture
def memcached():
    with running_memcached() as address:
        yield address


@pytest.fixture(params=["memleased", "memcached"])
def server(request):
    """An empty one."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def file(tmp_path):
    def written(text):
        (tmp_path / "trace.csv").write_bytes(text.encode())
        return tmp_path / "trace.csv"

    return written


def trace(*arguments):
    done = subprocess.run([generator_program(), "trace", *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(report, expected):
    assert {name: report[name] for name in expected} == expected
    assert report["errors"] == report["refused"] == 0
    assert report["hitRatio"] == pytest.approx(expected["hits"] / expected["gets"])


# MARK: trace


@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_belongs_to_its_seed(kind):
    shape = ["--kind", kind, "--requests", 2000, "--keys", 500]
    first = trace(*shape, "--seed", 1)
    assert first == trace(*shape, "--seed", 1) != trace(*shape, "--seed", 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_has_its_columns_and_a_key_its_size_and_life(kind):
    text = trace("--kind", kind, "--requests", 2000, "--keys", 500, "--rate", 1000, "--key-bytes", 20)
    assert text.startswith("time,key,size,op,ttl\n")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [float(row["time"]) for row in rows] == [number / 1000 for number in range(2000)]
    assert {row["op"] for row in rows} == {"get"} and {len(row["key"]) for row in rows} == {20}
    assert len({(row["key"], row["size"], row["ttl"]) for row in rows}) == len({row["key"] for row in rows})


def test_sizes_lives_and_writes_are_what_was_asked_for(tmp_path):
    path = tmp_path / "trace.csv"
    shape = ["--requests", 2000, "--keys", 50, "--sizes", "100..200", "--ttls", "0:1,30:1", "--writes", 0.25]
    assert trace(*shape, "--output", path) == ""
    rows = list(csv.DictReader(path.open()))
    assert len({row["key"] for row in rows}) <= 50
    assert all(100 <= int(row["size"]) <= 200 for row in rows) and {row["ttl"] for row in rows} == {"0", "30"}
    assert 0.2 < sum(row["op"] == "set" for row in rows) / 2000 < 0.3


# MARK: replay


@pytest.mark.parametrize(
    "text",
    [
        LINES,
        "time,key,size,op,ttl\n" + LINES,
        "# mine\n\ntime,key,size,op,ttl\n" + LINES,
        WITHOUT_TTL,
        "time,key,size,op\n" + WITHOUT_TTL,
        LINES.replace("\n", "\r\n"),
        LINES.rstrip("\n"),
    ],
    ids=["no-header", "header", "comment-first", "no-ttl", "header-no-ttl", "crlf", "no-last-newline"],
)
def test_a_replay_counts_as_one_does_by_hand(server, file, text):
    check(generate(server, "replay", "--trace", file(text), *IN_ORDER), BY_HAND)


def test_columns_in_any_order_and_others_passed_over(server, file):
    rows = [line.split(",") for line in LINES.splitlines()]
    text = "op,colour,value_size,Key\n" + "".join(f"{op},red,{size},{key}\n" for _, key, size, op, _ in rows)
    check(generate(server, "replay", "--trace", file(text), *IN_ORDER), BY_HAND)


def test_columns_by_option_as_of_published_traces(server, file):
    rows = [line.split(",") for line in LINES.splitlines()]
    text = "".join(f"{float(time):.0f},{key},1,{size},7,{op},{ttl}\n" for time, key, size, op, ttl in rows)
    columns = ["--columns", "time,key,-,size,-,op,ttl"]
    check(generate(server, "replay", "--trace", file(text), *columns, *IN_ORDER), BY_HAND)


def test_a_key_named_like_a_column_is_no_header(memleased, file):
    text = "0,key,10,get\n1,key,10,get\n"
    check(generate(memleased, "replay", "--trace", file(text), *IN_ORDER), {"requests": 2, "gets": 2, "hits": 1, "misses": 1})


def test_without_fills(server, file):
    check(generate(server, "replay", "--trace", file(LINES), *IN_ORDER, "--no-fill"), NO_FILL)


def test_a_second_replay_finds_what_the_first_left(server, file):
    path = file("".join(f"{number},key-{number % 100},{number % 100},get,0\n" for number in range(1000)))
    first = generate(server, "replay", "--trace", path, *IN_ORDER)
    check(first, {"requests": 1000, "gets": 1000, "hits": 900, "misses": 100, "fills": 100})
    # Several connections, many in flight: nothing is missing, so the order does not matter.
    second = generate(server, "replay", "--trace", path, "--connections", 3, "--depth", 16)
    check(second, {"requests": 1000, "gets": 1000, "hits": 1000, "misses": 0, "fills": 0})


@pytest.mark.parametrize("speed", [0, 1000])
def test_requests_go_in_the_trace_s_order_at_any_speed(file, speed):
    path = file("".join(f"{number / 10},key-{number * 7 % 30},5,get,0\n" for number in range(60)))
    with FakeServer(value_reply) as fake:
        report = generate(fake.address, "replay", "--trace", path, *IN_ORDER, "--speed", speed)
        gets = [words[1] for words in fake.requests if words[0] == b"get"]
    assert gets == [b"key-%d" % (number * 7 % 30) for number in range(60)]
    assert (report["hits"], report["misses"], report["fills"]) == (30, 30, 30)


def test_lives_go_with_writes_and_fills(file):
    text = "0,a,1,get,0\n0,b,1,get,100\n0,c,1,set,2592000\n0,d,1,set,99999999999\n"
    with FakeServer(value_reply) as fake:
        generate(fake.address, "replay", "--trace", file(text), *IN_ORDER)
        lives = {words[1]: int(words[3]) for words in fake.requests if words[0] == b"set"}
    assert lives == {b"a": 0, b"b": 100, b"c": 2_592_000, b"d": 0}


def test_what_the_server_has_no_room_for_is_refused_and_no_error(server, file):
    text = f"0,large,{2 << 20},get,0\n1,large,{2 << 20},get,0\n2,small,1,set,0\n"
    report = generate(server, "replay", "--trace", file(text), *IN_ORDER)
    assert (report["misses"], report["fills"], report["refused"], report["errors"]) == (2, 2, 2, 0)
    assert report["valueBytesWritten"] == 1


def test_an_answer_that_is_none_makes_the_exit_code_1(file):
    with FakeServer(lambda key, value: b"ERROR\r\n") as fake:
        done = run_generator(fake.address, "replay", "--trace", file(LINES), *IN_ORDER)
    assert done.returncode == 1 and "(first: ERROR" in done.stdout


@pytest.mark.parametrize(
    "line, what",
    [
        ("x,a,10,get,0", 'time is not a number of seconds: "x"'),
        ("3,a,ten,get,0", 'size is not a whole number: "ten"'),
        ("3,a,-1,get,0", 'size is not a whole number: "-1"'),
        ("3,a,999999999999,get,0", "size is more than 128 MiB: 999999999999"),
        ("3,a,10,jump,0", 'op is not one of get, set, delete and their kin: "jump"'),
        ("3,a,10,get,1.5", 'ttl is not a whole number: "1.5"'),
        ("3,,10,get,0", 'a key must be 1 to 250 bytes without blanks and control characters: ""'),
        ("3,a b,10,get,0", 'a key must be 1 to 250 bytes without blanks and control characters: "a b"'),
        ("3,a", "2 columns, and size would be number 3"),
    ],
)
def test_a_bad_line_is_named(memleased, file, line, what):
    path = file("# what follows is line 2\n1,a,10,get,0\n\n" + line + "\n")
    done = run_generator(memleased, "replay", "--trace", path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"Error: {path}:4: {what}\n")


def test_a_line_without_end_and_a_missing_file(memleased, file, tmp_path):
    path = file("0,a,1,get,0\n" + "x" * (1 << 20))
    done = run_generator(memleased, "replay", "--trace", path)
    assert (done.returncode, done.stderr) == (1, f"Error: {path}:2: a line of more than 65536 bytes\n")
    done = run_generator(memleased, "replay", "--trace", tmp_path / "none.csv")
    assert done.returncode == 1 and "none.csv" in done.stderr


def test_an_empty_trace(memleased, file):
    report = generate(memleased, "replay", "--trace", file(""))
    assert report["requests"] == report["gets"] == report["hitRatio"] == 0
