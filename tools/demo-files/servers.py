"""Starts and stops what the demo needs: a private PostgreSQL cluster under a temporary directory, and a cache server."""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stop(process, how, limit_seconds):
    """Ends a process that we started: politely, then for sure."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class PostgreSQL:
    """A cluster of our own: reached through a Unix socket in its directory only, gone with the directory."""

    def __init__(self, directory):
        self.directory = directory
        self.process = None
        self.identity = {}
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            account = pwd.getpwnam("postgres")
            os.chown(directory, account.pw_uid, account.pw_gid)
            self.identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    @staticmethod
    def program(name):
        found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
        if not found:
            raise SystemExit(f"demo: {name} not found: is PostgreSQL installed?")
        return found

    def start(self):
        cluster = f"{self.directory}/cluster"
        with open(f"{self.directory}/initdb.log", "wb") as log:
            subprocess.run(
                [self.program("initdb"), "-D", cluster, "-U", "demo", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
                check=True, stdout=log, stderr=log, cwd="/", **self.identity)
        settings = {"listen_addresses": "", "unix_socket_directories": self.directory, "max_connections": "100",
                    "shared_buffers": "128MB", "jit": "off", "autovacuum": "off", "fsync": "off"}
        command = [self.program("postgres"), "-D", cluster]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with open(f"{self.directory}/postgres.log", "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self.identity)

    def cpu_seconds(self):
        """User and system time of the postmaster, its children, and those of them that have ended."""
        ticks = 0
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as file:
                    fields = file.read().rpartition(")")[2].split()
                process_id = int(path.split("/")[2])
            except OSError:
                continue
            if process_id == self.process.pid:
                ticks += sum(int(field) for field in fields[11:15])
            elif int(fields[1]) == self.process.pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process:
            stop(self.process, signal.SIGINT, 10)


class CacheServer:
    """A server on 127.0.0.1 that accepts connections when `start` returns."""

    def __init__(self, command, port, log_path):
        self.port = port or free_port()
        self.command = command + ["-l", "127.0.0.1", "-p", str(self.port)]
        self.log_path = log_path
        self.process = None

    def start(self):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                with open(self.log_path, errors="replace") as log:
                    raise SystemExit(f"demo: {self.command[0]} did not start:\n{log.read()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise SystemExit(f"demo: {self.command[0]} does not listen on port {self.port}")

    def stop(self):
        if self.process:
            stop(self.process, signal.SIGTERM, 5)
