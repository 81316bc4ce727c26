"""What is answered to requests as such (RFC 3261 8.2, RFC 4475), and what is
left unanswered without harm."""

import contextlib
import random
import re
import socket

import pytest

from servers import DEADLINE_S, wait_for
from sip import Device, Tcp, exchange, options, request
from trunks import answers_options

pytestmark = pytest.mark.usefixtures("same_registrar")

URI = "sip:example.org"

SEED = 20240607

# More than the registrar lets one source have (sip/stream.h).
CONNECTIONS = 1100


def metric(suite, name):
    """A counter of the registrar."""
    text = suite.session().get("/metrics").text
    return float(re.search(
        rf'^trunkline_{name}{{[^}}]*service="registrar"[^}}]*}} (\S+)$', text,
        re.MULTILINE)[1])


def test_options(any_wire):
    answer = answers_options(any_wire)
    assert set(answer.value("allow").split(", ")) == {"REGISTER", "OPTIONS"}
    assert answer.value("accept") == "application/sdp"
    assert set(answer.value("supported").split(", ")) == {"outbound", "path"}


@pytest.mark.parametrize("method, fields, status", [
    ("INVITE", {}, 405), ("SUBSCRIBE", {}, 405), ("BREW", {}, 501),
    ("OPTIONS", {"Max-Forwards": "0"}, 200),
    ("OPTIONS", {"Max-Forwards": "256"}, 400),
    ("OPTIONS", {"Max-Forwards": "many"}, 400),
    ("OPTIONS", {"Require": "timer"}, 420),
    ("OPTIONS", {"Require": "path"}, 200),
    ("OPTIONS", {"CSeq": "1 REGISTER"}, 400),
    ("OPTIONS", {"CSeq": "4294967296 OPTIONS"}, 400),
    ("OPTIONS", {"To": None}, 400),
    ("OPTIONS", {"From": "<<>"}, 400),
    ("OPTIONS", {"Call-ID": None}, 400),
])
def test_status(any_wire, method, fields, status):
    answer = exchange(any_wire, request(any_wire, method, URI, fields))
    assert answer.status == status, answer
    if status in (405, 501):
        assert "REGISTER" in answer.value("allow")
    if status == 420:
        assert answer.value("unsupported") == "timer"


def test_scheme(wires):
    wire = wires()
    answer = exchange(wire, request(wire, "OPTIONS", "http://example.org", {}))
    assert answer.status == 416


def test_ack_is_not_answered(wires):
    wire = wires()
    wire.send(request(wire, "ACK", URI, {}))
    assert answers_options(wire).value("cseq") == "1 OPTIONS"


def test_via_says_where_it_came_from(wires):
    wire = wires()
    answer = options(wire)
    host, port = wire.local.rsplit(":", 1)
    assert f"rport={port}" in answer.value("via")
    assert f"received={host}" in answer.value("via")


def test_several_in_one_segment_and_one_in_several(wires, tcp_port):
    wire = wires(Tcp, tcp_port)
    first, second = (request(wire, "OPTIONS", URI, {}) for _ in range(2))
    wire.send(first + second + first[:40])
    for _ in range(2):
        assert wire.receive(DEADLINE_S).startswith(b"SIP/2.0 200")
    wire.send(first[40:])
    assert wire.receive(DEADLINE_S).startswith(b"SIP/2.0 200")


def test_keep_alive(wires, tcp_port):
    """RFC 5626 4.4.1: two CR LFs are answered with one."""
    wire = wires(Tcp, tcp_port)
    answers_options(wire)
    wire.send(b"\r\n\r\n")
    wire.socket.settimeout(DEADLINE_S)
    assert wire.socket.recv(10) == b"\r\n"


# Garbage


def garbage(wire, rng):
    """Datagrams of noise, and requests cut or spoiled at every place."""
    good = Device(wire, NOBODY).message()
    yield from (rng.randbytes(rng.randrange(1, 1400)) for _ in range(200))
    yield from (good[:size] for size in range(1, len(good), 3))
    for _ in range(300):
        spoiled = bytearray(good)
        for _ in range(rng.randrange(1, 8)):
            spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
        yield bytes(spoiled)
    yield b"\0" * 8000
    yield good.replace(b"\r\n\r\n", b"\r\nAuthorization: Digest "
                       + b", " * 3500 + b"\r\n\r\n")
    yield good.replace(b"\r\n\r\n", b"\r\nContact: " + b"<" * 7000
                       + b"\r\n\r\n")


class NOBODY:
    user, password, domain = "nobody", "", "nowhere.example"


def test_garbage_over_udp(suite, wires):
    before = metric(suite, "sip_unreadable_total")
    seen = metric(suite, "sip_messages_total")
    wire, sent = wires(), 0
    for data in garbage(wire, random.Random(SEED)):
        wire.send(data)
        sent += 1
        # One that is answered every now and then: nothing is lost to a full
        # socket, and what follows garbage is served.
        if sent % 50 == 0:
            answers_options(wire)
    answers_options(wire)
    wait_for(lambda: metric(suite, "sip_messages_total") >= seen + sent,
             "all were counted")
    assert metric(suite, "sip_unreadable_total") > before


@pytest.mark.parametrize("kind", ["TCP", "TLS"])
def test_garbage_over_streams(wires, tcp_port, tls_port, certificates, kind):
    """The connection ends, and no other."""
    def connect():
        if kind == "TCP":
            return wires(Tcp, tcp_port)
        return wires(Tcp, tls_port, context=certificates.client())

    beside = connect()
    rng = random.Random(SEED)
    for data in [rng.randbytes(70000), b"\0" * 70000,
                 b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
                 b"A" * 70000]:
        wire = connect()
        with contextlib.suppress(ConnectionError, TimeoutError):
            wire.send(data)
            while wire.receive(DEADLINE_S):
                pass
        wire.close()
    answers_options(beside)


def test_noise_in_place_of_a_handshake(wires, tls_port, certificates):
    with socket.create_connection(("127.0.0.1", tls_port),
                                  DEADLINE_S) as link:
        link.sendall(b"REGISTER sip:example.org SIP/2.0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while link.recv(4096):
                pass
    answers_options(wires(Tcp, tls_port, context=certificates.client()))


def test_slow_senders(wires, tcp_port):
    """Those that never end a message hold nobody up."""
    slow = [wires(Tcp, tcp_port) for _ in range(100)]
    message = request(slow[0], "OPTIONS", URI, {})
    for position in range(0, 60):
        for wire in slow:
            wire.send(message[position:position + 1])
        if position % 20 == 0:
            answers_options(wires(Tcp, tcp_port))
    answers_options(wires())
    for wire in slow:
        wire.send(message[60:])
    for wire in slow:
        assert wire.receive(DEADLINE_S).startswith(b"SIP/2.0 200")


def test_readers_that_do_not_read(suite, wires, tcp_port):
    """What is answered to them stops at a bound; others are served."""
    wire = wires(Tcp, tcp_port)
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    message = request(wire, "OPTIONS", URI, {}) * 100
    wire.socket.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        for _ in range(1000):
            wire.socket.sendall(message)
        pytest.fail("all was read, though nothing of the answers was")
    answers_options(wires())
    answers_options(wires(Tcp, tcp_port))


def test_too_many_connections(wires, tcp_port):
    """One source has its share; datagrams and other sources go on."""
    held = []
    try:
        for _ in range(CONNECTIONS):
            held.append(socket.create_connection(
                ("127.0.0.1", tcp_port), DEADLINE_S,
                source_address=("127.0.0.9", 0)))
        wait_for(lambda: any(map(ended, held)), "some are refused")
        answers_options(wires())
        answers_options(wires(Tcp, tcp_port))
    finally:
        for one in held:
            one.close()


def ended(link):
    link.setblocking(False)
    try:
        return link.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
