"""Private PostgreSQL and Redis, in a directory of their own, reached by unix
sockets only."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Starting and stopping takes a second; a busy machine gets time.
DEADLINE_S = 60

# PostgreSQL refuses to run as root; its package makes this user.
UNPRIVILEGED = "postgres"


def wait_for(condition, what, deadline_s=DEADLINE_S):
    """The first true value of condition(), asked for until the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not within {deadline_s} s"
        time.sleep(0.02)


def clean_environment():
    """Ours without what would configure the programs under test."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("TRUNKLINE_", "PG"))}


def _user():
    """subprocess options to run a server unprivileged."""
    if os.getuid() != 0:
        return {}
    entry = pwd.getpwnam(UNPRIVILEGED)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _postgres_bin():
    found = pathlib.Path("/usr/lib/postgresql").glob("*/bin")
    return max(found, key=lambda path: int(path.parent.name))


def _kill9(pid):
    """A backend may have seen its server end and be gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _runs(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


class Servers:
    """Both servers. Attributes: directory, redis_url."""

    def __init__(self):
        self.directory = pathlib.Path(
            tempfile.mkdtemp(prefix="trunkline-", dir="/tmp"))
        self.redis_socket = self.directory / "redis.sock"
        self.redis_url = f"unix:{self.redis_socket}"
        self._bin = _postgres_bin()
        self._data = self.directory / "postgres"
        self._processes = {}
        user = _user()
        if user:
            os.chown(self.directory, user["user"], user["group"])
        subprocess.run(
            [self._bin / "initdb", "--pgdata", self._data, "--auth", "trust",
             "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
             "--username", "trunkline"],
            check=True, stdout=subprocess.DEVNULL, cwd="/", **user)
        self.start_postgres()
        self.start_redis()

    def database_url(self, name="trunkline", user=None):
        """A libpq URL; without a user as the services are given it."""
        who = f"&user={user}" if user else ""
        return f"postgresql:///{name}?host={self.directory}{who}"

    def create_database(self, name):
        self.sql(f'create database "{name}" template template0',
                 database="postgres")

    def sql(self, statement, database="trunkline", user="trunkline"):
        """Runs statements with psql; the rows, cells split by '|'."""
        done = subprocess.run(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d",
             self.database_url(database, user), "-c", statement],
            check=True, capture_output=True, text=True,
            env=clean_environment())
        return done.stdout.splitlines()

    def redis(self, *words):
        """The reply of one Redis command, as redis-cli prints it."""
        done = subprocess.run(
            ["redis-cli", "-s", self.redis_socket, *words],
            check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def start_postgres(self):
        self._start("postgres", [
            self._bin / "postgres", "-D", self._data,
            "-c", "listen_addresses=",
            "-c", f"unix_socket_directories={self.directory}",
            # nothing of a test outlives the machine
            "-c", "fsync=off"])
        wait_for(lambda: subprocess.run(
            ["pg_isready", "-q", "-h", self.directory, "-d", "postgres"],
            env=clean_environment()).returncode == 0, "PostgreSQL")

    def start_redis(self):
        self._start("redis", [
            "redis-server", "--port", "0", "--dir", self.directory,
            "--unixsocket", self.redis_socket, "--unixsocketperm", "700",
            "--appendonly", "yes", "--save", ""])
        wait_for(self._redis_answers, "Redis")

    def stop_postgres(self):
        self._stop("postgres", signal.SIGINT)

    def stop_redis(self):
        self._stop("redis", signal.SIGTERM)

    def kill9_postgres(self):
        """All of it, as when the machine loses it."""
        pid = self._processes["postgres"].pid
        # While one of these is alive a new server refuses to start.
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
        pids = [int(child) for child in children.read_text().split()]
        self._stop("postgres", signal.SIGKILL)
        for child in pids:
            _kill9(child)
        wait_for(lambda: not any(map(_runs, pids)), "PostgreSQL is gone")

    def kill9_redis(self):
        self._stop("redis", signal.SIGKILL)

    @contextlib.contextmanager
    def redis_paused(self):
        """Redis hangs inside: connections stand, nothing is answered."""
        process = self._processes["redis"]
        process.send_signal(signal.SIGSTOP)
        yield
        process.send_signal(signal.SIGCONT)

    def end(self):
        """Stops both and removes their directory."""
        self.stop_redis()
        self.stop_postgres()
        shutil.rmtree(self.directory)

    def _start(self, name, command):
        with open(self.directory / f"{name}.log", "ab") as log:
            self._processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd="/", env=clean_environment(), **_user())

    def _stop(self, name, signal_number):
        process = self._processes.pop(name, None)
        if process:
            process.send_signal(signal_number)
            process.wait(DEADLINE_S)

    def _redis_answers(self):
        done = subprocess.run(["redis-cli", "-s", self.redis_socket, "ping"],
                              capture_output=True, text=True)
        return done.stdout.strip() == "PONG"
