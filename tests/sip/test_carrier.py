"""Trunks register with Kamailio as their carrier; what goes wrong there is
told, and mended by an edit or by asking."""

import pytest

from carrier import PASSWORD, Carrier, CarrierTrunk, header, sent
from servers import wait_for

# Nothing has this name: RFC 6761, 6.4.
NOWHERE = "does-not-exist.invalid"


def running(folder, algorithm):
    made = Carrier(folder, algorithm)
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def carrier(tmp_path_factory):
    """Shared: a test that stops it starts it again."""
    yield from running(tmp_path_factory.mktemp("carrier"), "MD5")


@pytest.fixture
def sha_256_carrier(tmp_path):
    yield from running(tmp_path, "SHA-256")


@pytest.fixture
def trunks(api):
    """Makes trunks, and destroys them afterwards: what they take back then is
    not to be taken for a later test's."""
    made = []

    def make(carrier, **fields):
        made.append((CarrierTrunk(api, carrier, **fields), carrier))
        return made[-1][0]

    yield make
    for one, carrier in made:
        one.destroy()
        wait_for(lambda one=one, carrier=carrier:
                 carrier.contact(one.user) is None, "it un-registers")


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_registers(carrier, trunks, tcp_port, transport):
    trunk = trunks(carrier, transport=transport, register_interval=900)
    known = trunk.wait(status="ONLINE", state="registered")
    assert trunk.status() == "ONLINE"
    assert known["failed_stage"] is None
    assert (known["last_code"], known["transport"], known["algorithm"]) == (
        200, transport, "MD5")
    assert known["target"] == f"127.0.0.1:{carrier.port}"
    held = carrier.contact(trunk.user)
    assert 800 < held["Expires"] <= 900
    assert held["Address"].startswith(f"sip:{trunk.user}@127.0.0.1")
    first, second = sent(known)
    assert "Authorization:" not in first
    assert header(first, "Call-ID") == header(second, "Call-ID")
    assert held["Call-ID"] == header(second, "Call-ID")


def test_sha_256(sha_256_carrier, trunks):
    known = trunks(sha_256_carrier).wait(status="ONLINE")
    assert known["algorithm"] == "SHA-256"


def test_wrong_password(carrier, trunks):
    trunk = trunks(carrier, password="wrong")
    known = trunk.wait(state="backing_off", failed_stage="auth")
    assert known["status"] == "OFFLINE"
    assert known["failed_code"] in (401, 403)
    assert trunk.status() == "OFFLINE"
    assert carrier.contact(trunk.user) is None


def test_password_mended(carrier, trunks):
    """At once: what it waited for was minutes away."""
    trunk = trunks(carrier, password="wrong")
    trunk.wait(state="backing_off", failed_stage="auth")
    trunk.change(password=PASSWORD)
    known = trunk.wait(status="ONLINE")
    assert (known["failed_stage"], known["consecutive_failures"]) == (None, 0)
    assert carrier.contact(trunk.user)


def test_disabled(carrier, trunks):
    """What Kamailio holds is taken back, and made again."""
    trunk = trunks(carrier)
    trunk.wait(status="ONLINE")
    assert carrier.contact(trunk.user)
    trunk.change(enabled=False)
    wait_for(lambda: carrier.contact(trunk.user) is None,
             "it un-registers")
    trunk.wait_status("OFFLINE")
    trunk.change(enabled=True)
    trunk.wait(status="ONLINE")
    assert carrier.contact(trunk.user)


def test_destroyed(carrier, trunks):
    trunk = trunks(carrier)
    trunk.wait(status="ONLINE")
    trunk.destroy()
    wait_for(lambda: carrier.contact(trunk.user) is None,
             "it un-registers")


@pytest.mark.parametrize("transport, stage", [
    ("UDP", "timeout"), ("TCP", "connect")])
def test_carrier_away(carrier, trunks, tcp_port, transport, stage):
    """The carrier comes back with none of its nonces."""
    trunk = trunks(carrier, transport=transport)
    trunk.wait(status="ONLINE")
    carrier.stop()
    try:
        trunk.register()
        known = trunk.wait(failed_stage=stage, state="backing_off")
        assert known["failed_code"] is None
    finally:
        carrier.start()
    assert carrier.contact(trunk.user) is None
    trunk.register()
    trunk.wait(status="ONLINE", failed_stage=None)
    assert carrier.contact(trunk.user)


def test_keep_alive(carrier, trunks, tcp_port):
    """Nobody has to ask: that the carrier is away is seen long before the
    registration expires, and that it is back."""
    trunk = trunks(carrier, transport="TCP", keep_alive_interval=5)
    trunk.wait(status="ONLINE")
    carrier.stop()
    try:
        known = trunk.wait(status="OFFLINE")
        assert known["expires"]
        assert known["keep_alive"]["answered"] is False
    finally:
        carrier.start()
    trunk.wait(status="ONLINE", state="registered")
    assert carrier.contact(trunk.user)


def test_known_by_address(carrier, trunks, tcp_port):
    """It is not registered, only asked whether it lives."""
    trunk = trunks(carrier, auth_mode="IP_AUTH", transport="TCP",
                   keep_alive_interval=5)
    trunk.wait_status("ONLINE")
    carrier.stop()
    try:
        trunk.wait_status("OFFLINE")
    finally:
        carrier.start()
    trunk.wait_status("ONLINE")
    assert sent(trunk.registration()) == []
    assert carrier.contact(trunk.user) is None


def test_name_unknown(carrier, trunks):
    trunk = trunks(carrier, outbound_server=NOWHERE)
    known = trunk.wait(failed_stage="dns")
    assert (known["status"], known["failed_code"]) == ("OFFLINE", None)
    trunk.change(outbound_server="127.0.0.1")
    trunk.wait(status="ONLINE", failed_stage=None)


def test_registrar_killed(suite, carrier, trunks):
    """The carrier does not notice: the next REGISTER is the one we ask for,
    of the same Call-ID and with the next CSeq."""
    trunk = trunks(carrier)
    trunk.wait(status="ONLINE")
    before, heard = carrier.contact(trunk.user), carrier.heard()
    suite.kill9("registrar")
    suite.start("registrar")
    suite.wait_ready()
    known = trunk.wait(status="ONLINE", state="registered")
    assert sent(known) == []
    assert carrier.heard() == heard
    trunk.register()
    after = wait_for(
        lambda: (held := carrier.contact(trunk.user)) != before
        and held["CSeq"] > before["CSeq"] and held, "it registers again")
    assert after["Call-ID"] == before["Call-ID"]
    assert after["CSeq"] == before["CSeq"] + 1
    assert carrier.heard() == heard + 1
