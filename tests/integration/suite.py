"""The processes of the suite, started for real against private servers."""

import os
import pathlib
import re
import signal
import socket
import subprocess

import requests

from servers import DEADLINE_S, ROOT, Servers, clean_environment, wait_for

# In the order they start; they stop in reverse.
SERVICES = ("system", "provider", "gateway")

SANITIZER_REPORT = re.compile(
    r"ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer")


def migrate(url, **environment):
    """Runs deploy/migrate; the finished process with its output."""
    return subprocess.run(
        [ROOT / "deploy/migrate", url], capture_output=True, text=True,
        timeout=DEADLINE_S, env=clean_environment() | environment)


def _free_port():
    """A port nobody listens on now; were it taken before the gateway listens,
    the gateway says so and the tests fail."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Suite:
    """All processes. Attributes: url, servers, admin_name, admin_password."""

    def __init__(self):
        self._bin = pathlib.Path(os.environ["TRUNKLINE_BIN"])
        self._processes = {}
        self._faults = []
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.servers = Servers()
        self.directory = self.servers.directory
        # The processes run as ourselves, beside the unprivileged servers.
        self.state = self.directory / "suite"
        self.state.mkdir(mode=0o700)
        self.servers.create_database("trunkline")
        done = migrate(self.servers.database_url(user="trunkline"))
        assert done.returncode == 0, done.stderr
        for name in SERVICES:
            self.start(name)
        self.wait_ready()
        self.admin_name, self.admin_password = self._admin()

    # Processes, by the names in SERVICES

    def start(self, name, **settings):
        """Starts a process; settings are keys of the configuration table."""
        assert name not in self._processes
        with open(self._log(name), "ab") as log:
            self._processes[name] = subprocess.Popen(
                [self._bin / f"trunkline-{name}"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.state,
                env=self._environment(settings))

    def stop(self, name):
        """SIGTERM; that it ends cleanly is checked at once."""
        process = self._processes.pop(name)
        process.terminate()
        status = process.wait(DEADLINE_S)
        assert status == 0, (
            f"{name} ended with {status} on SIGTERM\n{self.logs(name)[-8000:]}")

    def kill9(self, name):
        """Ends it as a crash would."""
        process = self._processes.pop(name)
        assert process.poll() is None, f"{name} has ended by itself"
        process.kill()
        process.wait(DEADLINE_S)

    def pause(self, name):
        """It hangs until resume(); so does it for those who call it."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name):
        self._processes[name].send_signal(signal.SIGCONT)

    def restart_postgres(self):
        self.servers.stop_postgres()
        self.servers.start_postgres()

    def restart_redis(self):
        self.servers.stop_redis()
        self.servers.start_redis()

    def logs(self, name):
        """All a process, "postgres" or "redis" has logged."""
        return self._log(name).read_text(errors="replace")

    def wait_ready(self):
        wait_for(self._ready, "the suite is ready")

    # Clients

    def session(self, token=None):
        """A client; with a token, signed in."""
        return Client(self.url, token)

    def sign_in(self, name=None, password=None):
        """A client signed in as the administrator, or as another."""
        answer = self.session().post("/api/auth/sign_in", json={
            "username": name or self.admin_name,
            "password": password or self.admin_password})
        assert answer.status_code == 200, answer.text
        return self.session(answer.json()["access_token"])

    def end(self):
        """Stops all and returns what went wrong over the whole run."""
        for name in reversed(SERVICES):
            if name not in self._processes:
                continue
            try:
                self.stop(name)
            except (AssertionError, subprocess.TimeoutExpired) as fault:
                self._faults.append(str(fault))
        for name in SERVICES:
            if SANITIZER_REPORT.search(self.logs(name)):
                self._faults.append(f"{name}: {self.logs(name)[-20000:]}")
        self.servers.end()
        return self._faults

    def _log(self, name):
        return self.directory / f"{name}.log"

    def _environment(self, settings):
        settings = {
            "database_url": self.servers.database_url(),
            "redis_url": self.servers.redis_url,
            "bus_dir": self.state,
            "http_host": "127.0.0.1",
            "http_port": self._port,
            "admin_file": self.state / "admin",
            "secret_key_file": self.state / "secret.key",
        } | settings
        return clean_environment() | {
            f"TRUNKLINE_{key.upper()}": str(value)
            for key, value in settings.items()}

    def _ready(self):
        for name, process in self._processes.items():
            assert process.poll() is None, (
                f"{name} ended with {process.returncode}\n{self.logs(name)}")
        try:
            return requests.get(self.url + "/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def _admin(self):
        lines = (self.state / "admin").read_text().splitlines()
        values = dict(line.split("=", 1) for line in lines)
        return values["name"], values["password"]


class Client(requests.Session):
    """requests.Session with paths in place of URLs and a deadline."""

    def __init__(self, url, token=None):
        super().__init__()
        self._url = url
        # No proxy of the environment stands before 127.0.0.1.
        self.trust_env = False
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def request(self, method, path, **options):
        options.setdefault("timeout", 30)
        return super().request(method, self._url + path, **options)
