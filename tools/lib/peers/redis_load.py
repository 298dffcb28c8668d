"""Redis under its own load generator, redis-benchmark: ours speaks memcached's protocol only. The figures have the names of ours."""

import csv
import os
import resource
import socket
import subprocess
import time
from pathlib import Path

import side_by_side
from side_by_side import Failure

TICKS = os.sysconf("SC_CLK_TCK")


def server_command(port):
    return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxclients", "20000"]


def version():
    return subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout.split()[2].removeprefix("v=")


def can(load):
    """redis-benchmark knows no mix, and no fixed rate."""
    return load.workload in ("get", "set") and load.rate is None and load.keys > 1


def preload(server, load):
    """The keys that redis-benchmark will ask for. Their names have 16 bytes, as ours have."""
    value = b"$%d\r\n%s\r\n" % (load.value_bytes, b"x" * load.value_bytes)
    chunk = max(1, min(1000, (1 << 22) // load.value_bytes))
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        for first in range(0, load.keys, chunk):
            numbers = range(first, min(first + chunk, load.keys))
            connection.sendall(b"".join(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n%s" % (number, value) for number in numbers))
            missing = 5 * len(numbers)
            while missing > 0:
                reply = connection.recv(min(missing, 1 << 16))
                if not reply or reply[:1] == b"-":
                    raise Failure(f"Redis: {reply}")
                missing -= len(reply)


def run(server, load, seconds):
    trial = execute(server, load, 20_000 if load.value_bytes < 10_000 else 500)
    return execute(server, load, max(1000, int(trial["requestsPerSecond"] * seconds)))


def execute(server, load, requests):
    command = ["redis-benchmark", "-p", server.port, "-c", load.connections, "-P", load.depth, "-d", load.value_bytes, "-r", load.keys]
    command += ["-n", requests, "-t", load.workload, "--csv"]
    began, machine, before, own = time.monotonic(), side_by_side.machine_busy(), cpu_seconds(server.pid), children_seconds()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    elapsed, own = time.monotonic() - began, children_seconds() - own
    used, machine = cpu_seconds(server.pid) - before, side_by_side.machine_busy() - machine
    if done.returncode != 0:
        raise Failure(f"redis-benchmark: {done.stdout}{done.stderr}")
    row = next(csv.DictReader(done.stdout.splitlines()))
    return {
        "workload": load.workload,
        "generator": "redis-benchmark",
        "requests": requests,
        "misses": 0,
        "requestsPerSecond": float(row["rps"]),
        "p50Us": float(row["p50_latency_ms"]) * 1000,
        "p99Us": float(row["p99_latency_ms"]) * 1000,
        "serverCPUUs": used / requests * 1e6,
        "ownCPUUs": own / requests * 1e6,
        "ownBusy": own / elapsed,
        "otherBusy": max(0.0, machine - used - own) / elapsed,
    }


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
