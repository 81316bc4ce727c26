"""Two registrars on one Redis. They follow the same transports, so the second
one has a network of its own, as on another machine; bus and Redis are unix
sockets, which both reach."""

import concurrent.futures
import ctypes
import fcntl
import os
import socket
import struct

import pytest

from carrier import CarrierTrunk
from objects import path_of
from responder import Responder, bound
from servers import DEADLINE_S, wait_for
from sip import Device, Udp, exchange, options

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

SECOND = "registrar.2"
TRUNKS = 16

# What a registrar that died holds is nobody's for so long.
LEASE_S = 15

# How often a trunk is asked for: each time either may be asked first.
ASKED = 20

DEVICES = 5  # at each: as many contacts as one address of record may have
ROUNDS = 10


def enter_own_network():
    """For the calling thread, and the processes and sockets it makes."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket(type=socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS,
                    struct.pack("16sh14x", b"lo", IFF_UP))


@pytest.fixture(scope="module")
def elsewhere():
    """Runs functions in the other network."""
    if os.geteuid() != 0:
        pytest.skip("a network of its own takes root")
    with concurrent.futures.ThreadPoolExecutor(
            1, initializer=enter_own_network) as thread:
        yield lambda *call: thread.submit(*call).result()


def addresses(suite):
    """Where the two are called; the first is where one is by default."""
    return [f"ipc://{suite.state}/registrar{number}.sock"
            for number in ("", "2")]


@pytest.fixture(scope="module")
def second(suite, elsewhere):
    """Opens wires to the second registrar."""
    elsewhere(lambda: suite.start(SECOND, listen=addresses(suite)[1]))
    wire = elsewhere(Udp, suite.sip_port)
    wait_for(lambda: options(wire).status == 200, "it listens")
    opened = [wire]

    def open_wire():
        opened.append(elsewhere(Udp, suite.sip_port))
        return opened[-1]

    yield open_wire
    for one in opened:
        one.close()
    suite.stop(SECOND)


@pytest.fixture(scope="module")
def both_called(suite, second):
    """Those who call registrars know of both."""
    callers = ("gateway", "provider")
    for name in callers:
        suite.stop(name)
        suite.start(name, registrar_address=",".join(addresses(suite)))
    suite.wait_ready()
    yield
    for name in callers:
        suite.stop(name)
        suite.start(name)
    suite.wait_ready()


@pytest.fixture(scope="module")
def carriers(elsewhere):
    """One in each network, at the same address and port."""
    here = Responder()
    there = Responder(lambda: elsewhere(bound, here.port))
    yield here, there
    here.end()
    there.end()


@pytest.fixture(scope="module")
def trunks(api, both_called, carriers):
    made = [CarrierTrunk(api, carriers[0]) for _ in range(TRUNKS)]
    yield made
    for trunk in made:
        trunk.destroy()


@pytest.fixture
def registered(api, trunks, carriers):
    """Trunks, some of which each registrar holds: their ids decide. One that
    joins takes its share within a second."""
    before = [one.registers.copy() for one in carriers]

    def shared():
        for trunk in trunks:
            # While it goes over nobody has it.
            api.post(path_of(trunk.id, "/register"))
        return all(now.registers - was
                   for now, was in zip(carriers, before))

    wait_for(shared, "both register trunks")
    for trunk in trunks:
        trunk.wait(status="ONLINE", state="registered")
    return trunks


def test_each_knows_what_the_other_took(trunk, wires, second):
    """Bindings and nonces are both of theirs."""
    here, there = wires(), second()
    device = Device(here, trunk.wait_known(here))
    trunk.wait_known(there)
    assert device.register().status == 200
    device.wire = there
    # With the nonce of the first one: it is not asked again.
    answer = exchange(there, device.message(expires=1200))
    assert answer.status == 200
    assert list(answer.contacts()) == [device.contact]
    assert trunk.registrations()[device.contact]["expires_in"] > 600
    device.wire = here
    assert not device.unregister().contacts()
    device.wire = there
    assert device.query() == {}


def test_older_request_at_the_other(trunk, wires, second):
    here, there = wires(), second()
    device = Device(here, trunk.wait_known(here))
    trunk.wait_known(there)
    device.cseq = 100
    assert device.register().status == 200
    device.wire, device.cseq = there, 50
    assert device.register().status == 500
    assert set(device.query()) == {device.contact}


def test_both_at_once(trunk, wires, second):
    """Devices of one address of record at both, at the same time: none undoes
    what another was told."""
    here, there = wires(), second()
    trunk.wait_known(here)
    trunk.wait_known(there)
    devices = ([Device(wires(), trunk) for _ in range(DEVICES)]
               + [Device(second(), trunk) for _ in range(DEVICES)])

    def turns(device, leaves):
        for n in range(ROUNDS):
            assert device.register().status == 200
            if leaves or n < ROUNDS - 1:
                assert device.contact not in device.unregister().contacts()

    with concurrent.futures.ThreadPoolExecutor(len(devices)) as threads:
        done = [threads.submit(turns, one, number % 2 == 0)
                for number, one in enumerate(devices)]
        for one in done:
            one.result()
    left = {one.contact for one in devices[1::2]}
    assert set(trunk.registrations()) == left
    assert set(Device(here, trunk).query()) == left
    assert set(Device(there, trunk).query()) == left


def test_either_answers_for_a_trunk(api, registered):
    """Whichever holds it: there is one answer."""
    for trunk in registered:
        for _ in range(ASKED):
            answer = api.get(path_of(trunk.id, "/registration"))
            assert answer.status_code == 200, answer.text
            assert answer.json()["status"] == "ONLINE"
            assert trunk.status() == "ONLINE"


def test_either_registers_now(registered, carriers):
    """Asked to, the one that holds it does."""
    for trunk in registered:
        before = [one.registers[trunk.user] for one in carriers]
        trunk.register()
        wait_for(lambda: sum(one.registers[trunk.user] for one in carriers)
                 == sum(before) + 1, "it registers")
        trunk.wait(status="ONLINE", state="registered")


@pytest.mark.parametrize("end, within_s", [
    ("stop", LEASE_S * 2 / 3), ("kill9", DEADLINE_S)])
def test_trunks_of_one_that_ends(suite, elsewhere, registered, carriers, end,
                                 within_s):
    """The other takes them over as they are: no carrier hears of it. One that
    stops gives them up at once; those of one that dies are free once its
    leases have run out."""
    before = [one.registers.total() for one in carriers]
    getattr(suite, end)(SECOND)
    try:
        wait_for(lambda: all(trunk.registration().get("status") == "ONLINE"
                             for trunk in registered),
                 "the other has them", within_s)
        assert {trunk.status() for trunk in registered} == {"ONLINE"}
        assert [one.registers.total() for one in carriers] == before
    finally:
        elsewhere(lambda: suite.start(SECOND, listen=addresses(suite)[1]))
        suite.wait_ready()


def test_one_dies(suite, trunk, wires, second):
    here, there = wires(), second()
    device = Device(here, trunk.wait_known(here))
    trunk.wait_known(there)
    assert device.register().status == 200
    suite.kill9("registrar")
    device.wire = there
    assert exchange(there, device.message()).status == 200
    assert set(device.query()) == {device.contact}
    suite.start("registrar")
    suite.wait_ready()
    device.wire = here
    assert set(device.query()) == {device.contact}
