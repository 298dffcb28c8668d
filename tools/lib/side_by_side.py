"""What the benchmark scripts share: servers as child processes, a quiet machine, medians, tables, bars."""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DISTURBED_CORES = 0.15
RETRIES = 2


class Failure(Exception):
    pass


class Server:
    """One running server process; `stop` ends it by its pid."""

    def __init__(self, command, port, log, question=b"version\r\n", patience_seconds=10):
        self.port = port
        self.patience_seconds = patience_seconds
        require_free(port)
        # A process group of its own, so that ctrl-C comes here first; but no new setsid: the scheduler weighs what setsid began as one group.
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, preexec_fn=os.setpgrp
        )
        try:
            self._wait_until_ready(command, question)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _wait_until_ready(self, command, question):
        deadline = time.monotonic() + self.patience_seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failure(f"{' '.join(map(str, command))}: exited with {self.process.returncode}")
            try:
                self.greeting = self._ask(question)
                self.ready_at = time.monotonic()
                return
            except OSError:
                time.sleep(0.002)
        raise Failure(f"{' '.join(map(str, command))}: no answer within {self.patience_seconds} s")

    def _ask(self, question):
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall(question)
            return connection.recv(200).decode(errors="replace").strip()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=self.patience_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def require_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Failure(f"port {port}: {error.strerror}; choose another with --port") from None


def memcached_command(program, port, memory_mb, threads):
    as_user = ["-u", "root"] if os.geteuid() == 0 else []
    return [program, *as_user, "-U", "0", "-l", "127.0.0.1", "-p", str(port), "-m", str(memory_mb), "-t", str(threads)]


def memleased_command(program, port, memory_mb, threads):
    return [program, "-l", "127.0.0.1", "-p", str(port), "-m", str(memory_mb), "-t", str(threads)]


# The machine


class Quiet:
    """Waits for a quiet machine and repeats what was disturbed, as long as there is patience. The calmest run counts."""

    def __init__(self, patience_seconds):
        self.patience = patience_seconds

    def measure(self, run, cores_of_others):
        best = None
        for _ in range(1 + RETRIES):
            self._wait_until_quiet()
            began = time.monotonic()
            result = run()
            if best is None or cores_of_others(result) < cores_of_others(best):
                best = result
            if cores_of_others(best) <= DISTURBED_CORES:
                break
            self.patience -= time.monotonic() - began
            if self.patience <= 0:
                break
        return best

    def _wait_until_quiet(self):
        while self.patience > 0:
            began, busy = time.monotonic(), machine_busy()
            time.sleep(0.1)
            if (machine_busy() - busy) / (time.monotonic() - began) <= DISTURBED_CORES:
                return
            self.patience -= time.monotonic() - began


def machine_busy():
    """CPU seconds that this machine spent on anything since it started."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(ticks[0:3]) + sum(ticks[5:7])) / os.sysconf("SC_CLK_TCK")


# The load generator


def generate(generator, *arguments, may_fail=False):
    command = [generator, *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0 and not (may_fail and done.stdout):
        raise Failure(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


# The report


def middle(results, field):
    return statistics.median(result[field] for result in results)


def spread(results, field):
    values = [result[field] for result in results]
    return [min(values), max(values)]


def figure(results, field):
    return {"median": middle(results, field), "range": spread(results, field)}


def noise(figure):
    """Half the range from the least to the most round, as a part of the median."""
    low, high = figure["range"]
    return f"±{(high - low) / 2 / max(1e-9, figure['median']) * 100:.0f}%"


def bar(label, value, limit, at_least=False):
    return {"label": label, "ratio": value, "limit": limit, "atLeast": at_least, "reached": value >= limit if at_least else value <= limit}


def print_bars(bars, title="first bars"):
    print(f"\n{title}")
    for entry in bars:
        sign = ">=" if entry["atLeast"] else "<="
        print(f"  {'reached' if entry['reached'] else 'MISSED '}  {entry['ratio']:.2f} {sign} {entry['limit']:.2f}  {entry['label']}")
    print(f"{sum(entry['reached'] for entry in bars)} of {len(bars)} bars reached")


def print_table(table, left=(0,)):
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        cells = [cell.ljust(width) if column in left else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


# Preparation


def install(packages):
    """Installs what is missing: a program by its name, or a file by its path, gives the package's presence."""
    missing = [package for package, sign in packages.items() if not (Path(sign).exists() if "/" in sign else shutil.which(sign))]
    if not missing:
        return
    script = f"""
      source "{ROOT}/tools/lib/install.sh"
      install_packages "$@"
      # The packages' own services would take ports, and time from what is measured.
      for name in "$@"; do
        if [ -d /run/systemd/system ] && systemctl is-enabled --quiet "$name" 2>/dev/null; then as_root systemctl disable --now "$name"; fi
      done
    """
    subprocess.run(["bash", "-ec", script, "install", *missing], check=True, stdout=sys.stderr)


def build(product):
    """Builds a program of this package for release, as tools/run does, and returns its path."""
    swift = ["swift", "build", "-c", "release", *(["--static-swift-stdlib"] if sys.platform == "linux" else [])]
    subprocess.run([*swift, "--product", product], cwd=ROOT, check=True, stdout=sys.stderr)
    place = subprocess.run([*swift, "--show-bin-path"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    return f"{place}/{product}"


def run_script(name, main):
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"{name}: {failure}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{name}: {' '.join(map(str, error.cmd))}: exit {error.returncode}")
    except subprocess.TimeoutExpired as error:
        sys.exit(f"{name}: {' '.join(map(str, error.cmd))}: not done within {error.timeout:.0f} s")
    except KeyboardInterrupt:
        sys.exit(130)
