"""TLS: the one certificate of all TLS transports, and whom they want to see
(PortSIP v22 "Key", "verification")."""

import contextlib
import ssl

import pytest

from servers import wait_for
from sip import Device, Tcp
from trunks import Transport, answers_options, transport

pytestmark = pytest.mark.usefixtures("same_registrar")


@pytest.fixture
def made(api):
    transports = []

    def make(kind=transport, **fields):
        transports.append(kind(api, "TLS", **fields))
        return transports[-1]

    yield make
    for one in transports:
        one.destroy()


@pytest.fixture
def another_certificate(api, tls_port, certificates):
    """The name of one that was not used before this test; the old one comes
    back."""
    yield "another"
    certificates.set(api, "registrar")
    wait_for(lambda: certificates.used(tls_port)
             == certificates.der("registrar"), "the old one is back")


def refused(port, context):
    """Whether no SIP is spoken with that client. TLS 1.3 lets a client be done
    before the server has looked at it."""
    wire = None
    try:
        wire = Tcp(port, context=context)
        answers_options(wire)
        return False
    except (ssl.SSLError, ConnectionError):
        return True
    finally:
        if wire:
            wire.close()


def test_without_a_certificate(suite, api, made, certificates):
    """First of all here: none was set yet. It says so, and opens once there
    is one."""
    assert api.get("/api/key").json() == {"crt": None, "key": None}
    one = made(kind=Transport)
    one.wait("DEACTIVATED", "no certificate")
    assert api.get("/api/transports/TLS/status").json() == {
        "status": "DEACTIVATED"}
    certificates.set(api, "registrar")
    detail = one.wait("ACTIVATED")
    assert detail["certificate_expires_at"]
    with contextlib.closing(Tcp(one.port,
                                context=certificates.client())) as wire:
        assert wire.certificate == certificates.der("registrar")
        answers_options(wire)


def test_new_certificate(api, trunk, wires, tls_port, certificates,
                         another_certificate):
    """New connections get it; those there are stay, and their registrations."""
    device = Device(wires(Tcp, tls_port, context=certificates.client()), trunk)
    trunk.wait_known(device.wire)
    assert device.register().status == 200
    certificates.set(api, another_certificate)

    wait_for(lambda: certificates.used(tls_port)
             == certificates.der(another_certificate), "it is used")
    assert device.register().status == 200
    assert list(trunk.registrations()) == [device.contact]


@pytest.mark.parametrize("spoil", [
    lambda ours, other: {"crt": ours["crt"], "key": other["key"]},
    lambda ours, other: {"crt": ours["crt"], "key": "none"},
    lambda ours, other: {"crt": "none", "key": ours["key"]},
    lambda ours, other: {"crt": ours["crt"][:200], "key": ours["key"]},
], ids=["key of another", "no key", "no certificate", "cut"])
def test_bad_pair(api, wires, tls_port, certificates, spoil):
    """REST refuses it, and what there was goes on."""
    body = spoil(certificates.body("registrar"), certificates.body("client"))
    assert api.post("/api/key", json=body).status_code == 400
    wire = wires(Tcp, tls_port, context=certificates.client())
    assert wire.certificate == certificates.der("registrar")
    answers_options(wire)


@pytest.mark.parametrize("verification, without, good, strange", [
    ("DISABLE", True, True, True),
    ("OPTIONAL", True, True, False),
    ("MANDATORY", False, True, False),
])
def test_verification(made, tls_port, certificates, verification, without,
                      good, strange):
    """A certificate is good where an authority of sip_ca_file signed it."""
    port = made(verification=verification).port
    assert refused(port, certificates.client()) is not without
    assert refused(port, certificates.client("client")) is not good
    assert refused(port, certificates.stranger()) is not strange


def test_verification_changed(made, tls_port, certificates):
    """For new connections; those there are stay."""
    one = made(verification="DISABLE")
    with contextlib.closing(Tcp(one.port,
                                context=certificates.client())) as wire:
        answers_options(wire)
        one.change(verification="MANDATORY")
        wait_for(lambda: refused(one.port, certificates.client()),
                 "it is required")
        answers_options(wire)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version, good", [
    (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True),
    (ssl.TLSVersion.TLSv1_3, True)])
def test_versions(tls_port, certificates, version, good):
    context = certificates.client()
    # Ours would not even offer the old ones.
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    assert refused(tls_port, context) is not good
