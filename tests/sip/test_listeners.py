"""Transports over REST are sockets at once: opened, changed and closed while
the others go on."""

import contextlib
import socket
import statistics
import time

import pytest

from servers import wait_for
from sip import Device, Tcp, Udp, options
from trunks import (Transport, answers_options, free_port, is_open, transport)

pytestmark = pytest.mark.usefixtures("same_registrar")

PROTOCOLS = ["UDP", "TCP", "TLS"]
HOSTS = ["127.0.0.1", "::1"]

# From the answer of REST to the socket.
WITHIN_S = 1
ROUNDS = 3


@pytest.fixture
def made(api):
    """Makes transports and destroys them afterwards."""
    transports = []

    def make(*arguments, kind=transport, **fields):
        transports.append(kind(api, *arguments, **fields))
        return transports[-1]

    yield make
    for one in transports:
        one.destroy()


def wire_to(one, certificates, host="127.0.0.1"):
    if one.protocol == "UDP":
        return Udp(one.port, host)
    context = certificates.client() if one.protocol == "TLS" else None
    return Tcp(one.port, host, context)


def time_until(condition):
    began_s = time.monotonic()
    wait_for(condition, "the socket follows")
    return time.monotonic() - began_s


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_opened_changed_closed(api, tls_port, protocol):
    """The median of a few: the machine may be busy once."""
    took = []
    for _ in range(ROUNDS):
        one = Transport(api, protocol)
        took.append(time_until(lambda: all(
            is_open(protocol, one.port, host) for host in HOSTS)))
        old_port = one.port
        one.change(port=free_port())
        took.append(time_until(lambda: all(
            is_open(protocol, one.port, host)
            and not is_open(protocol, old_port, host) for host in HOSTS)))
        one.destroy()
        took.append(time_until(lambda: not any(
            is_open(protocol, one.port, host) for host in HOSTS)))
    assert statistics.median(took) < WITHIN_S, took


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("host", HOSTS)
def test_serves(made, trunk, tls_port, certificates, protocol, host):
    one = made(protocol)
    wire = wire_to(one, certificates, host)
    answers_options(wire)
    device = Device(wire, trunk.wait_known(wire))
    assert device.register().status == 200
    assert trunk.registrations()[device.contact]["received"] == wire.local
    wire.close()


def test_others_are_not_touched(made, tcp_port, tls_port, wires, certificates):
    """Connections to the others live through all of it."""
    beside = [wires(), wires(Tcp, tcp_port),
              wires(Tcp, tls_port, context=certificates.client())]
    for protocol in PROTOCOLS:
        one = made(protocol)
        one.change(port=free_port())
        one.wait("ACTIVATED")
        one.destroy()
        wait_for(lambda: not one.detail(), "it is gone")
    for wire in beside:
        answers_options(wire)


def test_detail(made, api, tcp_port, wires):
    one = made("TCP")
    wire = wires(Tcp, one.port)
    for _ in range(3):
        options(wire)
    detail = one.detail()
    assert detail["id"] == one.id
    assert (detail["protocol"], detail["port"]) == ("TCP", one.port)
    assert detail["bound"] == f"0.0.0.0:{one.port}, [::]:{one.port}"
    assert detail["connections"] == 1
    assert (detail["packets_in"], detail["packets_out"]) == (3, 3)
    assert detail["certificate_expires_at"] is None
    one.destroy()
    wait_for(lambda: one.detail() == {}, "it is gone")


def test_status(made, api, tls_port):
    """ACTIVATED while one of the protocol is open."""
    for protocol in PROTOCOLS:
        made(protocol)
        answer = api.get(f"/api/transports/{protocol}/status")
        assert (answer.status_code, answer.json()) == (
            200, {"status": "ACTIVATED"})


def occupy(protocol):
    """A socket that has a port of ours before we do."""
    kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
    taken = socket.socket(socket.AF_INET6, kind)
    taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    port = free_port()
    taken.bind(("::", port))
    if protocol != "UDP":
        taken.listen()
    return taken, port


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_port_in_use(made, wires, tls_port, protocol):
    """It says so, does no harm, and is opened when the port is free."""
    taken, port = occupy(protocol)
    with contextlib.closing(taken):
        one = made(protocol, port, kind=Transport)
        detail = one.wait("DEACTIVATED", "in use")
        assert not detail["bound"]
        answers_options(wires())
        # Nor is a change to a port in use the end of anything.
        other = made(protocol)
        other.change(port=free_port())
        other.wait("ACTIVATED")
    assert one.wait("ACTIVATED")["bound"]


def test_moved_to_a_port_in_use(made, wires):
    taken, port = occupy("TCP")
    with contextlib.closing(taken):
        one = made("TCP")
        one.change(port=port)
        one.wait("DEACTIVATED", "in use")
        one.change(port=free_port())
        one.wait("ACTIVATED")
    answers_options(wires(Tcp, one.port))


def test_half_of_the_addresses_in_use(made, wires):
    """IPv6 goes on where only the port of IPv4 is taken, and says why."""
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        one = made("TCP", port, kind=Transport)
        detail = one.wait("ACTIVATED", "in use")
        assert detail["bound"] == f"[::]:{port}"
        answers_options(wires(Tcp, port, host="::1"))
    assert one.wait("ACTIVATED")["bound"] == f"0.0.0.0:{port}, [::]:{port}"


def test_followed_while_it_was_away(suite, api, made, same_registrar):
    """What is changed while the transport service restarts is followed."""
    one = made("UDP")
    suite.kill9("transport")
    answers_options(Udp(one.port))
    suite.start("transport")
    suite.wait_ready()
    one.change(port=free_port())
    wait_for(lambda: is_open("UDP", one.port), "it is followed")
