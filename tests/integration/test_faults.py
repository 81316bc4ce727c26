"""Parts of the running suite are killed, stopped, restarted and lied to under
load: what was acknowledged stays, nothing happens twice, and clients see errors
only while the part is away."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from load import CUT, REFUSED, UNANSWERED, Load, error_fault
from objects import create, get, minimal, path_of
from servers import wait_for
from suite import SERVICES, Suite

# What a call waits for its service: soon over where a test waits for it.
DEADLINE_S = 3

# Each has a connection to PostgreSQL for reads, writes and what is slow.
STORES = [name for name in SERVICES if name not in ("gateway", "registrar")]

# How often a service is killed: at different points of its work.
KILLS = 4

# Clients that leave in the middle, of each kind.
LEAVERS = 20

# The export a slow reader does not take: more than all buffers between hold.
EXPORT_ROWS = 20000
SLOW_READERS = 8

# Per reader; the rest of its export, some MB, stays in the database.
SLOW_READER_PAGES_MAX = EXPORT_ROWS // 100 // 4


@pytest.fixture(scope="module")
def suite():
    """One of our own: its parts are away again and again."""
    made = Suite(call_deadline_ms=DEADLINE_S * 1000)
    yield made
    faults = made.end()
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="module")
def token(suite):
    return suite.sign_in().token


@pytest.fixture
def api(suite, token):
    with suite.session(token) as client:
        yield client


@pytest.fixture
def same_gateway(suite):
    """Faults of others do not end the gateway."""
    before = suite.pids()["gateway"]
    yield
    assert suite.pids()["gateway"] == before


class Outages:
    """When parts were away: [(began, ended)]."""

    def __init__(self, suite):
        self._suite = suite
        self.spans = []

    @contextlib.contextmanager
    def span(self, back=lambda: True):
        """What is taken away inside is started again inside; it is there when
        back() is true and the suite is ready."""
        began_s = time.monotonic()
        yield
        wait_for(back, "the part is back")
        self._suite.wait_ready()
        self.spans.append((began_s, time.monotonic()))


@pytest.fixture
def outages(suite):
    return Outages(suite)


def metrics(suite, name, process="gateway"):
    """The sum of a metric of one process, over all its other labels."""
    text = suite.session().get("/metrics").text
    samples = re.findall(
        rf'^trunkline_{name}{{[^}}]*service="{process}"[^}}]*}} (\S+)$', text,
        re.MULTILINE)
    assert samples, name
    return sum(map(float, samples))


def check_error(answer, *allowed):
    assert answer.status_code in allowed, answer.text
    fault = error_fault(answer.status_code, answer.headers, answer.text)
    assert not fault, fault


def check_serves(suite, api):
    """A write and a read, and what the suite says of itself."""
    suite.wait_ready()
    provider_id = create(api)
    assert get(api, provider_id)["id"] == provider_id


def not_ready(suite):
    answer = suite.session().get("/readyz")
    return {part["name"]: part["reason"]
            for part in answer.json()["not_ready"]}


# A service


def test_provider_killed(suite, token, outages, same_gateway):
    with Load(suite, token) as load:
        for _ in range(KILLS):
            load.wait_created()
            with outages.span():
                suite.kill9("provider")
                suite.start("provider")
        load.wait_created()
    load.check({502, 503, 504}, outages.spans)
    load.check_database()


def test_provider_away_for_longer_than_calls_wait(suite, token, outages,
                                                  same_gateway):
    with Load(suite, token) as load:
        with outages.span():
            suite.kill9("provider")
            load.wait_failed()
            assert "provider" in not_ready(suite)
            with suite.session(token) as other:
                assert other.get("/api/auth/user").status_code == 200
            suite.start("provider")
        load.wait_created()
    load.check({502, 503, 504}, outages.spans)
    load.check_database()


def test_provider_stops_answering(suite, token, api, outages, same_gateway):
    with Load(suite, token) as load:
        with outages.span():
            suite.pause("provider")
            load.wait_failed()
            assert api.get("/api/auth/user").status_code == 200
            assert api.get("/api/info").status_code == 200
            suite.resume("provider")
        load.wait_created()
    load.check({503, 504}, outages.spans)
    load.check_database()
    late = [attempt for attempt in load.attempts
            if attempt.ended_s - attempt.began_s > 2 * DEADLINE_S]
    assert not late, late[:5]


def test_provider_ends_gracefully(suite, token, outages, same_gateway):
    with Load(suite, token) as load:
        for _ in range(KILLS):
            load.wait_created()
            with outages.span():
                suite.stop("provider")
                suite.start("provider")
        load.wait_created()
    load.check({502, 503}, outages.spans)
    # What it had begun it has finished and answered.
    load.check_database(never_done={502, 503})


def test_two_providers(suite, token, outages):
    addresses = [f"ipc://{suite.state}/provider{i}.sock" for i in (1, 2)]
    names = ["provider", "provider.2"]
    listens = dict(zip(names, addresses))
    for name in ("gateway", "provider"):
        suite.stop(name)
    for name in names:
        suite.start(name, listen=listens[name])
    suite.start("gateway", provider_address=",".join(addresses))
    suite.wait_ready()

    def both():
        return metrics(suite, "bus_provider_connected") == 2

    wait_for(both, "both are connected")
    try:
        with Load(suite, token) as load:
            for name in names:
                before = len(load.failed)
                with outages.span(both):
                    suite.kill9(name)
                    load.wait_created()
                    suite.start(name, listen=listens[name])
                # One call of each client was in flight at the most.
                assert len(load.failed) - before <= load.workers
                load.wait_created()
        load.check({502}, outages.spans)
        load.check_database()
    finally:
        for name in ["gateway"] + names:
            suite.stop(name)
        for name in ("provider", "gateway"):
            suite.start(name)
        suite.wait_ready()


# PostgreSQL


def lanes_back(suite):
    """Each service has all its connections to the new server."""
    try:
        return suite.servers.sql(
            "select count(*) from pg_stat_activity"
            " where usename like 'trunkline\\_%'") == [str(3 * len(STORES))]
    except subprocess.CalledProcessError:
        return False  # it recovers still


@pytest.mark.parametrize("stop", ["kill9_postgres", "stop_postgres"])
def test_postgres_restarted(suite, token, outages, same_gateway, stop):
    provider_pid = suite.pids()["provider"]
    with Load(suite, token) as load:
        for _ in range(2):
            load.wait_created()
            with outages.span(lambda: lanes_back(suite)):
                getattr(suite.servers, stop)()
                suite.servers.start_postgres()
        load.wait_created()
    load.check({502, 503, 504}, outages.spans)
    load.check_database()
    assert suite.pids()["provider"] == provider_pid


def test_postgres_backend_killed(suite, token, outages, same_gateway):
    """The server ends all its sessions then, and recovers by itself."""
    with Load(suite, token) as load:
        pid, = suite.servers.sql(
            "select pid from pg_stat_activity where"
            " usename = 'trunkline_provider' limit 1")
        with outages.span(lambda: lanes_back(suite)):
            os.kill(int(pid), signal.SIGKILL)
        load.wait_created()
    load.check({502, 503, 504}, outages.spans)
    load.check_database()


def test_postgres_away_is_told(suite, api, same_gateway):
    suite.servers.kill9_postgres()
    try:
        told = dict.fromkeys(STORES, "database")
        wait_for(lambda: not_ready(suite) == told, "it is noticed")
        # Sessions are in Redis.
        check_error(api.get("/api/providers"), 503, 504)
        assert suite.session().get("/healthz").status_code == 200
    finally:
        suite.servers.start_postgres()
    check_serves(suite, api)


def test_services_end_while_postgres_hangs(suite, token, same_gateway):
    """Calls they cannot finish are given up with the drain time."""
    for name in STORES:
        suite.stop(name)
        suite.start(name, drain_ms=100)
    suite.wait_ready()
    backends = [int(pid) for pid in suite.servers.sql(
        "select pid from pg_stat_activity where usename like 'trunkline\\_%'")]
    with Load(suite, token) as load:
        try:
            for pid in backends:
                os.kill(pid, signal.SIGSTOP)
            wait_for(lambda: metrics(suite, "bus_provider_in_flight") > 1,
                     "calls are at work")
            # What asks the process alone does not wait behind them.
            assert metrics(suite, "bus_in_flight", "provider") > 0
            for name in STORES:
                suite.stop(name)
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
        for name in STORES:
            suite.start(name)
        suite.wait_ready()
        load.wait_created()
    load.check_database()


# Redis


@pytest.mark.parametrize("stop", ["kill9_redis", "stop_redis"])
def test_redis_restarted(suite, token, outages, same_gateway, stop):
    with Load(suite, token) as load:
        for _ in range(2):
            load.wait_created()
            with outages.span():
                getattr(suite.servers, stop)()
                suite.servers.start_redis()
        load.wait_created()
    # Never 401: the sessions are as they were.
    load.check({503}, outages.spans)
    load.check_database()


def test_redis_away(suite, api, same_gateway):
    suite.servers.kill9_redis()
    try:
        told = {"system": "cache", "tenant": "cache", "dealer": "cache",
                "registrar": "cache", "redis": "not connected"}
        wait_for(lambda: not_ready(suite) == told, "it is noticed")
        assert suite.session().get("/healthz").status_code == 200
        assert suite.session().get("/api/info").status_code == 200
        check_error(api.get("/api/providers"), 503)
        refused = suite.session().post("/api/auth/sign_in", json={
            "username": suite.admin_name, "password": suite.admin_password})
        check_error(refused, 503, 504)
    finally:
        suite.servers.start_redis()
    check_serves(suite, api)
    assert suite.sign_in().get("/api/auth/user").status_code == 200


# The gateway


def test_gateway_ends_gracefully(suite, token, outages):
    with Load(suite, token) as load:
        for _ in range(2):
            load.wait_created()
            with outages.span():
                suite.stop("gateway")
                suite.start("gateway")
        load.wait_created()
    load.check({REFUSED, UNANSWERED}, outages.spans)
    # A call that was taken is answered before the connection ends.
    load.check_database(never_done={REFUSED, UNANSWERED})


def test_gateway_killed(suite, token, outages):
    with Load(suite, token) as load:
        with outages.span():
            suite.kill9("gateway")
            suite.start("gateway")
        load.wait_created()
    load.check({REFUSED, UNANSWERED, CUT}, outages.spans)
    load.check_database()


def connect(suite, **options):
    host, port = suite.url.removeprefix("http://").split(":")
    made = socket.socket()
    for option, value in options.items():
        made.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
    made.settimeout(DEADLINE_S * 10)
    made.connect((host, int(port)))
    return made


def reset(link):
    """Ends a connection as a client that crashed."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    link.close()


def get_bytes(path, token):
    return (f"GET {path} HTTP/1.1\r\nHost: trunkline\r\n"
            f"Authorization: Bearer {token}\r\n\r\n").encode()


def create_bytes(token, name):
    body = json.dumps(minimal(name=name))
    return (f"POST /api/providers HTTP/1.1\r\nHost: trunkline\r\n"
            f"Authorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def wait_gateway_idle(suite):
    """Nothing is kept for clients that went away: /metrics is the one call."""
    wait_for(lambda: metrics(suite, "http_in_flight") == 1
             and metrics(suite, "bus_provider_in_flight") == 0,
             "calls of clients that left have ended")


def test_clients_that_leave(suite, token, api, same_gateway):
    end = {"closed": socket.socket.close, "reset": reset}
    for i in range(LEAVERS):
        for how, leave in end.items():
            whole = create_bytes(token, f"left-{how}-{i}")
            sent = {"head": whole[:60], "body": whole[:-20], "whole": whole,
                    "read": get_bytes("/api/providers", token),
                    "two": get_bytes("/api/providers", token) * 2}
            for request in sent.values():
                link = connect(suite)
                link.sendall(request)
                leave(link)
    wait_gateway_idle(suite)
    check_serves(suite, api)
    names = suite.servers.sql("select name from provider.providers"
                              " where name like 'left-%'")
    assert len(names) == len(set(names))


@pytest.fixture
def big_table(suite):
    """Providers whose export is larger than what sockets hold."""
    name = "export-' || n || repeat('x', 40)"
    suite.servers.sql(
        "insert into provider.providers (name, enabled, auth_mode, transport,"
        " hostname, port, registration, register_interval, outbound_server,"
        " outbound_server_port, inlan, single_via_header, rewrite_via_ip,"
        " verify_port, keep_alive, keep_alive_interval, concurrency,"
        " adjust_sdp_direction, remove_srtp_info,"
        f" stir_shaken_signature_required) select '{name}, true, 'IP_AUTH',"
        " 'UDP', 'sip.example.com', 5060, false, 600, 'sip.example.com', 0,"
        " false, true, true, true, true, 360, 1, true, true, false"
        f" from generate_series(1, {EXPORT_ROWS}) n")
    yield
    suite.servers.sql("delete from provider.providers"
                      " where name like 'export-%'")


def export_start(suite, token):
    """A reader with small buffers that has taken the head of an export."""
    link = connect(suite, SO_RCVBUF=4096)
    link.sendall(get_bytes("/api/providers/export", token))
    assert link.recv(1000).startswith(b"HTTP/1.1 200")
    return link


def test_readers_that_leave_an_export(suite, token, api, big_table,
                                      same_gateway):
    for _ in range(LEAVERS // 4):
        export_start(suite, token).close()
        reset(export_start(suite, token))
    wait_gateway_idle(suite)
    check_serves(suite, api)


def resident_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.M)[1]) * 1024


def settled(read):
    """The value of read() once it stays as it is for a while."""
    last = [object()] * 10

    def same():
        last.append(read())
        del last[0]
        return len(set(last)) == 1

    wait_for(same, "it stays as it is")
    return last[0]


def test_readers_that_are_slow(suite, token, api, big_table, same_gateway):
    pid = suite.pids()["gateway"]

    def pages():
        return metrics(suite, "http_in_flight"), metrics(
            suite, "database_statements_total", "provider")

    before = resident_bytes(pid)
    _, first = pages()
    links = [export_start(suite, token) for _ in range(SLOW_READERS)]
    in_flight, last = settled(pages)
    assert in_flight == SLOW_READERS + 1
    assert last - first < SLOW_READERS * SLOW_READER_PAGES_MAX
    grown = resident_bytes(pid) - before
    check_serves(suite, api)
    # Nothing is lost to one that goes on after all.
    size = export_size(links[0])
    assert grown < size * SLOW_READERS / 2, (grown, size)
    for link in links:
        link.close()
    wait_gateway_idle(suite)


def export_size(link):
    """The size of the rest of an export, which ends as it should."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    export = bytearray()
    while not export.endswith(b"0\r\n\r\n"):
        piece = link.recv(1 << 20)
        assert piece, f"cut after {len(export)} bytes"
        export += piece
    assert export.count(b"export-") > EXPORT_ROWS - 100
    return len(export)


# The bus: nng's ipc framing, by hand

REQ, REP = 0x30, 0x31
HEALTH = (b"\x97\x01\x01\xa1x\xaeservice.health\xcd\x03\xe8"
          b"\x98\x10\x00\x00\x00\x00\xa0\xa0\xa0\x80")


def greeting(protocol):
    return b"\0SP\0" + struct.pack(">HH", protocol, 0)


def framed(message):
    return b"\1" + struct.pack(">Q", len(message)) + message


def asked(batch, request_id=0x80000001):
    return framed(struct.pack(">I", request_id) + batch)


def take(link, size):
    got = b""
    while len(got) < size:
        piece = link.recv(size - len(got))
        if not piece:
            raise EOFError
        got += piece
    return got


def take_message(link):
    kind, size = struct.unpack(">BQ", take(link, 9))
    assert kind == 1
    return take(link, size)


def bus_connect(suite, greet=greeting(REQ)):
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(DEADLINE_S * 10)
    link.connect(str(suite.state / "provider.sock"))
    link.sendall(greet)
    return link


def bus_open(suite):
    """A peer the service takes for a gateway."""
    link = bus_connect(suite)
    assert take(link, 8) == greeting(REP)
    return link


JUNK = bytes(range(256)) * 16

# What a peer says in place of, or behind, its greeting; then it goes.
BAD_PEERS = {
    "nothing": b"",
    "half a greeting": greeting(REQ)[:5],
    "no greeting": JUNK,
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "another protocol": greeting(0x10) + asked(HEALTH),
    "half a head": greeting(REQ) + asked(HEALTH)[:6],
    "half a message": greeting(REQ) + asked(HEALTH)[:-9],
    "an unknown kind": greeting(REQ) + b"\7" + asked(HEALTH)[1:],
    "a size past all bounds": greeting(REQ) + b"\1" + b"\xff" * 8 + JUNK,
    "a size past ours": greeting(REQ) + b"\1" + struct.pack(">Q", 1 << 30),
    "no request id": greeting(REQ) + framed(b""),
    "devices for ever": greeting(REQ) + framed(b"\0\0\0\1" * 1000),
    "junk": greeting(REQ) + JUNK,
}

# Batches that are answered with a refusal.
BAD_BATCHES = {
    "nothing": b"",
    "junk": JUNK,
    "a truncated frame": HEALTH[:-3],
    "trailing bytes": HEALTH + b"\xc1",
    "a lying count": b"\x97\x01\x01\xdb\xff\xff\xff\xff",
    "nested without end": b"\x91" * 100000,
}


def test_bus_survives_bad_peers(suite, api, same_gateway):
    pid = suite.pids()["provider"]
    for said in BAD_PEERS.values():
        for leave in (socket.socket.close, reset):
            link = bus_connect(suite, said)
            leave(link)
        check_serves(suite, api)
    # Peers that say no more do not keep others from being served.
    idle = [bus_connect(suite, greeting(REQ)[:i % 9]) for i in range(40)]
    with bus_open(suite) as link:
        link.sendall(asked(HEALTH))
        assert b"ready" in take_message(link)
    check_serves(suite, api)
    for link in idle:
        link.close()
    assert suite.pids()["provider"] == pid


@pytest.mark.parametrize("batch", BAD_BATCHES.values(), ids=BAD_BATCHES)
def test_bus_refuses_bad_batches(suite, api, same_gateway, batch):
    pid = suite.pids()["provider"]
    before = metrics(suite, "bus_malformed_total", "provider")
    with bus_open(suite) as link:
        link.sendall(asked(batch))
        # [version, id 0, ERR_MALFORMED, ...] is the last reply.
        assert b"\x95\x01\x00\x02" in take_message(link)
        # The connection and the service go on.
        link.sendall(asked(HEALTH, 0x80000002))
        assert b"ready" in take_message(link)
    assert metrics(suite, "bus_malformed_total", "provider") == before + 1
    check_serves(suite, api)
    assert suite.pids()["provider"] == pid


class FalseService:
    """A context: stands where the provider service listened. say: what it
    sends for a request, given its 4 bytes of id; None: it hangs up."""

    def __init__(self, suite, say, greet=greeting(REP)):
        path = suite.state / "provider.sock"
        path.unlink(missing_ok=True)
        self._say = say
        self._greet = greet
        self._links = []
        self._greeted = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()

    def __enter__(self):
        self._thread.start()
        assert self._greeted.wait(DEADLINE_S * 10)
        return self

    def __exit__(self, *_):
        # Closing alone ends nothing that another thread waits for.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for link in self._links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                self._links.append(link)
                threading.Thread(target=self._serve, args=(link,),
                                 daemon=True).start()

    def _serve(self, link):
        with contextlib.suppress(OSError, EOFError), link:
            link.sendall(self._greet)
            take(link, 8)
            self._greeted.set()
            while True:
                said = self._say(take_message(link)[:4])
                if said is None:
                    return
                link.sendall(said)


# What a false service says, and what the client is told.
FALSE_SERVICES = {
    "hangs up": (lambda to: None, 502),
    "junk": (lambda to: framed(to + JUNK), 500),
    "nothing": (lambda to: framed(to), 500),
    "no such call": (lambda to: framed(to + b"\x95\x01\x07\x00\x00\xc0"), 500),
    "not an object": (lambda to: framed(to + b"\x95\x01\x01\x00\x00\xc1"), 500),
    "no frame": (lambda to: JUNK, 502),
    "no such message": (lambda to: framed(b"\x80\0\0\0" + HEALTH), 504),
    "a message without an id": (lambda to: framed(b""), 502),
}


def test_gateway_survives_false_services(suite, api, same_gateway):
    suite.stop("provider")
    try:
        for what, (say, status) in FALSE_SERVICES.items():
            with FalseService(suite, say):
                answer = api.get(path_of("MQ=="))
                assert answer.status_code == status, (what, answer.text)
        with FalseService(suite, None, greet=JUNK):
            check_error(api.get(path_of("MQ==")), 503)
    finally:
        suite.start("provider")
    check_serves(suite, api)
