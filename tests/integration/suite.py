"""The processes of the suite, started for real against private servers."""

import http.client
import itertools
import os
import pathlib
import re
import signal
import socket
import subprocess

import requests
from requests.adapters import HTTPAdapter

from servers import DEADLINE_S, ROOT, Servers, clean_environment, wait_for

# In the order they start; they stop in reverse.
SERVICES = ("system", "provider", "transport", "registrar", "tenant",
            "dealer", "gateway")

SUPPRESSIONS = (f"suppressions={ROOT}/tests/lsan.supp"
                ":print_suppressions=0")

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


def _program(name):
    return name.partition(".")[0]


class Suite:
    """All processes. Attributes: url, servers, admin_name, admin_password,
    answers (all a client got: what test_openapi.py checks).
    settings are keys of the configuration table, for each of them."""

    def __init__(self, **settings):
        self.answers = []
        self._addresses = itertools.count(2)
        self._bin = pathlib.Path(os.environ["TRUNKLINE_BIN"])
        self._settings = settings
        self._processes = {}
        self._started = set()
        self._faults = []
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.servers = Servers()
        self.directory = self.servers.directory
        # The processes run as ourselves, beside the unprivileged servers.
        self.state = self.directory / "suite"
        self.state.mkdir(mode=0o700)
        self.servers.create_database("trunkline")
        self.sip_port = _free_port()
        done = migrate(self.servers.database_url(user="trunkline"),
                       TRUNKLINE_SIP_PORT=str(self.sip_port))
        assert done.returncode == 0, done.stderr
        for name in SERVICES:
            self.start(name)
        self.wait_ready()
        self.admin_name, self.admin_password = self._admin()

    # Processes, by the names in SERVICES; "provider.2" is another provider

    def start(self, name, **settings):
        """Starts a process; settings are keys of the configuration table."""
        assert name not in self._processes
        self._started.add(name)
        with open(self._log(name), "ab") as log:
            self._processes[name] = subprocess.Popen(
                [self._bin / f"trunkline-{_program(name)}"],
                stdin=subprocess.DEVNULL,
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

    def pids(self):
        """The process ids, by name; that all run is checked."""
        for name, process in self._processes.items():
            assert process.poll() is None, (
                f"{name} ended with {process.returncode}\n{self.logs(name)}")
        return {name: process.pid
                for name, process in self._processes.items()}

    def restart_postgres(self):
        self.servers.stop_postgres()
        self.servers.start_postgres()

    def restart_redis(self):
        self.servers.stop_redis()
        self.servers.start_redis()

    def logs(self, name):
        """All a process, "postgres" or "redis" has logged."""
        return self._log(name).read_text(errors="replace")

    def log_lines(self, name, *parts):
        """The lines of a process's log that have all parts, once there are
        any: a line is written after its answer."""
        return wait_for(
            lambda: [line for line in self.logs(name).splitlines()
                     if all(part in line for part in parts)],
            f"{parts} in the log of {name}")

    def command(self, *words):
        """Runs `trunkline` with the configuration of the services; the
        finished process with its output."""
        return subprocess.run(
            [self._bin / "trunkline", *words], capture_output=True, text=True,
            timeout=DEADLINE_S, env=self._environment({}))

    def wait_ready(self):
        wait_for(self._ready, "the suite is ready")

    # Clients

    def session(self, token=None, address=None):
        """A client; with a token, signed in; with an address, from there."""
        return Client(self.url, self.answers, token, address)

    def stranger(self):
        """A client from a loopback address nobody else has: its failed
        sign-ins are its own."""
        return self.session(address=f"127.0.0.{next(self._addresses)}")

    def send(self, request):
        """Sends bytes that may be no request, and ends; what comes back."""
        address = ("127.0.0.1", self._port)
        with socket.create_connection(address, timeout=DEADLINE_S) as link:
            link.sendall(request)
            link.shutdown(socket.SHUT_WR)
            return link.makefile("rb").read()

    def exchange(self, request):
        """Sends bytes over a connection of their own, as they are; the
        http.client.HTTPResponse, its body read into .body."""
        address = ("127.0.0.1", self._port)
        with socket.create_connection(address, timeout=DEADLINE_S) as link:
            try:
                link.sendall(request)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before its end: the answer is there already
            answer = http.client.HTTPResponse(
                link, method=request.split(b" ", 1)[0].decode("latin-1"))
            answer.begin()
            answer.body = answer.read()
            return answer

    def call(self, verb, path, token=None, *fields, body=b""):
        """exchange() of one request whose path no client library would
        send."""
        head = [f"{verb} {path} HTTP/1.1", "Host: trunkline",
                f"Content-Length: {len(body)}", *fields]
        if token:
            head.append(f"Authorization: Bearer {token}")
        return self.exchange(
            "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)

    def sign_in(self, name=None, password=None):
        """A client signed in as the administrator, or as another."""
        answer = self.session().post("/api/auth/sign_in", json={
            "username": name or self.admin_name,
            "password": password or self.admin_password})
        assert answer.status_code == 200, answer.text
        return self.session(answer.json()["access_token"])

    def end(self):
        """Stops all and returns what went wrong over the whole run."""
        for name in sorted(self._processes, reverse=True,
                           key=lambda name: SERVICES.index(_program(name))):
            try:
                self.stop(name)
            except (AssertionError, subprocess.TimeoutExpired) as fault:
                self._faults.append(str(fault))
        for name in self._started:
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
            # Tests are faster than a client may be.
            "rate_limit": 0,
        } | self._settings | settings
        return clean_environment() | {"LSAN_OPTIONS": SUPPRESSIONS} | {
            f"TRUNKLINE_{key.upper()}": str(value)
            for key, value in settings.items()}

    def _ready(self):
        for name, process in self._processes.items():
            assert process.poll() is None, (
                f"{name} ended with {process.returncode}\n{self.logs(name)}")
        try:
            answer = requests.get(self.url + "/readyz", timeout=5).json()
        except requests.RequestException:
            return False
        # What a test has stopped is not waited for.
        awaited = {"redis"} | set(self._processes)
        return awaited.isdisjoint(
            service["name"] for service in answer["not_ready"])

    def _admin(self):
        lines = (self.state / "admin").read_text().splitlines()
        values = dict(line.split("=", 1) for line in lines)
        return values["name"], values["password"]


class _From(HTTPAdapter):
    """Connections from one source address."""

    def __init__(self, address):
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args, **options):
        super().init_poolmanager(*args, source_address=(self._address, 0),
                                 **options)


class Client(requests.Session):
    """requests.Session with paths in place of URLs and a deadline. Attribute:
    token."""

    def __init__(self, url, answers, token=None, address=None):
        super().__init__()
        self._url = url
        self._answers = answers
        self.token = token
        # No proxy of the environment stands before 127.0.0.1.
        self.trust_env = False
        if address:
            self.mount("http://", _From(address))
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def request(self, method, path, **options):
        options.setdefault("timeout", 30)
        answer = super().request(method, self._url + path, **options)
        if method != "HEAD":
            self._answers.append((method, path.split("?")[0], answer))
        return answer
