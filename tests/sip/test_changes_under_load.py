"""Certificates and listeners change a thousand times each while devices
register over all transports: none of them notices, and nothing of it stays in
memory."""

import collections
import contextlib
import os
import pathlib
import threading

import pytest

from servers import DEADLINE_S, wait_for
from sip import Device, Tcp, Udp
from suite import Suite
from trunks import (Certificates, Transport, Trunk, free_port, is_open,
                    transport)

CHANGES = 1000

# Every so many changes it is waited until the last one is there. Those between
# follow one another as fast as REST takes them; the registrar may take several
# in one step.
CERTIFICATES_EACH, LISTENERS_EACH = 20, 4

# Before memory and descriptors are counted: pools and caches have filled.
WARM = 100

# Devices of each transport; a thread for each.
DEVICES = 2

# Each asks again after this.
PAUSE_S = 0.05

# A device comes by a new connection after so many REGISTERs.
RECONNECTS = 5

# Measured: 3 MB at most. A certificate takes 60 kB, in three TLS contexts: of
# those that stayed, two hundred would pass this.
GROWN_BYTES_MAX = 12 << 20

# Freed memory is given back at once, else AddressSanitizer hides it.
SANITIZER = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"

CERTIFICATES = ["first", "second"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("swapped"))


@pytest.fixture(scope="module")
def own(certificates):
    """A suite of its own: how it frees memory is set when it starts."""
    with pytest.MonkeyPatch.context() as patch:
        before = os.environ.get("ASAN_OPTIONS")
        patch.setenv("ASAN_OPTIONS",
                     ":".join(filter(None, [before, SANITIZER])))
        made = Suite(sip_ca_file=certificates.authority, access_log="false")
    yield made
    faults = made.end()
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="module")
def client(own):
    return own.sign_in()


class Load:
    """A context: inside it devices register, each for ever anew. Attributes:
    accepted, REGISTERs by transport; faults.
    openers: what makes a wire, by transport."""

    def __init__(self, api, openers):
        self.accepted = collections.Counter()
        self.faults = []
        self._stop = threading.Event()
        self._trunks = {kind: Trunk(api) for kind in openers}
        self._devices = [Device(opener(), self._trunks[kind])
                         for kind, opener in openers.items()
                         for _ in range(DEVICES)]
        self._threads = [
            threading.Thread(target=self._run, daemon=True, args=[
                device, openers[device.wire.transport]])
            for device in self._devices]

    def __enter__(self):
        for device in self._devices:
            device.trunk.wait_known(device.wire)
        for thread in self._threads:
            thread.start()
        self.wait_accepted()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
        for device in self._devices:
            device.wire.close()

    def wait_accepted(self):
        """Until there were more over each transport."""
        before = dict(self.accepted)
        wait_for(lambda: self.faults or all(
            self.accepted[kind] > before.get(kind, 0) + RECONNECTS
            for kind in self._trunks), "REGISTERs are accepted")
        self.check()

    def check(self):
        assert not self.faults, self.faults[:3]

    def check_held(self):
        """What was acknowledged is so."""
        listed = set()
        for trunk in self._trunks.values():
            listed |= set(trunk.registrations())
        assert listed == {device.contact for device in self._devices}

    def _run(self, device, opener):
        try:
            while not self._stop.wait(PAUSE_S):
                self._once(device, opener)
        except Exception as fault:  # pylint: disable=broad-except
            self.faults.append(f"{device.contact}: {fault!r}")

    def _once(self, device, opener):
        answer = device.register()
        assert answer.status == 200, answer
        assert device.contact in answer.contacts(), answer
        self.accepted[device.wire.transport] += 1
        if device.cseq % RECONNECTS == 0 and device.wire.transport != "UDP":
            device.wire.close()
            device.wire = opener()


@pytest.fixture(scope="module")
def tls_port(client, certificates):
    certificates.set(client, CERTIFICATES[0])
    return transport(client, "TLS").port


@pytest.fixture
def load(own, client, certificates, tls_port):
    tcp = transport(client, "TCP")
    context = certificates.client()
    openers = {
        "UDP": lambda: Udp(own.sip_port),
        "TCP": lambda: Tcp(tcp.port),
        "TLS": lambda: Tcp(tls_port, context=context)}
    with Load(client, openers) as running:
        yield running


class Footprint:
    """What the registrar has now."""

    def __init__(self, own):
        self._pid = own.pids()["registrar"]
        self.bytes, self.descriptors = self._bytes(), self._descriptors()

    def check_same(self, own):
        """Some connections of the load are ending at any time."""
        assert own.pids()["registrar"] == self._pid
        wait_for(lambda: self._descriptors()
                 <= self.descriptors + 2 * DEVICES, "descriptors are closed")
        grown = self._bytes() - self.bytes
        assert grown < GROWN_BYTES_MAX, f"it has grown by {grown} bytes"

    def _bytes(self):
        pages = int(self._read("statm").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _descriptors(self):
        return len(os.listdir(f"/proc/{self._pid}/fd"))

    def _read(self, name):
        return pathlib.Path(f"/proc/{self._pid}/{name}").read_text()


def many(own, load, each, change, is_there):
    """Makes all changes; is_there(number) tells whether that one is done."""
    warm = None
    for number in range(1, WARM + CHANGES + 1):
        change(number)
        if number % each == 0:
            wait_for(lambda number=number: is_there(number), "it is there")
        if number == WARM:
            warm = Footprint(own)
        load.check()
    load.wait_accepted()
    load.check_held()
    warm.check_same(own)


def test_certificates(own, client, certificates, tls_port, load):
    def name(number):
        # Those that are waited for take turns, too.
        return CERTIFICATES[(number + number // CERTIFICATES_EACH) % 2]

    many(own, load, CERTIFICATES_EACH,
         lambda number: certificates.set(client, name(number)),
         lambda number: certificates.used(tls_port)
         == certificates.der(name(number)))


def test_listeners(own, client, tls_port, load):
    """Their ports, whom they want to see; they come and go."""
    protocols = ["UDP", "TCP", "TLS"]
    listeners = [Transport(client, protocol) for protocol in protocols]

    def change(number):
        at = number % len(listeners)
        if number % 10 == 0:
            listeners[at].destroy()
            listeners[at] = Transport(client, protocols[at])
        elif protocols[at] == "TLS":
            listeners[at].change(port=free_port(), verification=(
                "OPTIONAL" if number % 2 else "DISABLE"))
        else:
            listeners[at].change(port=free_port())

    many(own, load, LISTENERS_EACH, change, lambda number: all(
        is_open(one.protocol, one.port) for one in listeners))
    for one in listeners:
        one.destroy()
