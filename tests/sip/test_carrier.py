"""Trunks register with Kamailio as their carrier; what goes wrong there is
told, and mended by an edit or by asking."""

import contextlib

import pytest

from carrier import PASSWORD, Carrier, CarrierTrunk, header, sent
from objects import path_of, unique
from servers import wait_for
from trunks import Certificates, free_port

# Nothing has this name: RFC 6761, 6.4.
NOWHERE = "does-not-exist.invalid"

# Of the carrier's certificate, and one that it is not for.
NAMED = "named.example"
ALIAS = "also-named.example"

# What a registrar that died holds is nobody's for so long, but for itself.
LEASE_S = 15

NEW_PASSWORD = "another-One-0f-The-Carrier"


def running(folder, *arguments, **options):
    made = Carrier(folder, *arguments, **options)
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


@pytest.fixture(scope="module")
def tls_carrier(tmp_path_factory, certificates, names):
    """Its certificate is of the authority in sip_ca_file."""
    names.host(NAMED)
    names.host(ALIAS)
    yield from running(tmp_path_factory.mktemp("tls-carrier"),
                       files=certificates.files(NAMED))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory, names):
    """Its certificate is of an authority nobody knows."""
    names.host(NAMED)
    files = Certificates(tmp_path_factory.mktemp("strange")).files(NAMED)
    yield from running(tmp_path_factory.mktemp("stranger"), files=files)


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


@pytest.mark.parametrize("verb, tail, statuses", [
    ("GET", "/registration", {200}), ("POST", "/register", {200, 409})])
def test_is_known_at_once(api, carrier, trunks, verb, tail, statuses):
    """However soon after its creation: 409 is that it registers already."""
    for _ in range(10):
        made = trunks(carrier)
        answer = api.request(verb, path_of(made.id, tail))
        assert answer.status_code in statuses, answer.text
        made.wait(status="ONLINE")


def test_found_by_naptr(carrier, trunks, names):
    """The name has neither address nor SRV records: its NAPTR record leads to
    those of another, whose first server is dead."""
    host = names.host(NAMED)
    other = names.servers(f"{unique('other')}.example", (host, free_port()),
                          (host, carrier.port))
    name = names.points(f"{unique('naptr')}.example", f"_sip._udp.{other}")
    trunk = trunks(carrier, outbound_server=name, outbound_server_port=0)
    known = trunk.wait(status="ONLINE", state="registered")
    assert known["target"] == f"127.0.0.1:{carrier.port}"


def test_sha_256(sha_256_carrier, trunks):
    known = trunks(sha_256_carrier).wait(status="ONLINE")
    assert known["algorithm"] == "SHA-256"


def over_tls(carrier, host):
    return {"transport": "TLS", "outbound_server": host,
            "outbound_server_port": carrier.tls_port}


def test_tls(tls_carrier, trunks, tls_port):
    trunk = trunks(tls_carrier, **over_tls(tls_carrier, NAMED))
    known = trunk.wait(status="ONLINE", state="registered")
    assert trunk.status() == "ONLINE"
    assert (known["transport"], known["target"]) == (
        "TLS", f"127.0.0.1:{tls_carrier.tls_port}")
    assert "transport=tls" in tls_carrier.contact(trunk.user)["Address"].lower()


def test_tls_by_another_name(tls_carrier, trunks, tls_port):
    """Nothing of the trunk is sent to a server that cannot say who it is."""
    heard = tls_carrier.heard()
    trunk = trunks(tls_carrier, **over_tls(tls_carrier, ALIAS))
    known = trunk.wait(failed_stage="tls", state="backing_off")
    assert known["status"] == "OFFLINE"
    assert ALIAS in known["failed_reason"]
    assert NAMED in known["failed_reason"]
    assert tls_carrier.heard() == heard
    trunk.change(outbound_server=NAMED)
    trunk.wait(status="ONLINE", failed_stage=None)


def test_tls_of_a_stranger(stranger, trunks, tls_port):
    trunk = trunks(stranger, **over_tls(stranger, NAMED))
    known = trunk.wait(failed_stage="tls", state="backing_off")
    assert "unknown authority" in known["failed_reason"]
    assert stranger.heard() == 0


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


@contextlib.contextmanager
def password_at(carrier, password):
    """Another one, inside."""
    carrier.password_set(password)
    try:
        yield
    finally:
        carrier.password_set(PASSWORD)


def test_password_changed_on_both_sides(carrier, trunks):
    """The edit alone has it registered anew, by the new one."""
    trunk = trunks(carrier)
    trunk.wait(status="ONLINE")
    before = carrier.contact(trunk.user)
    with password_at(carrier, NEW_PASSWORD):
        trunk.change(password=NEW_PASSWORD)
        wait_for(lambda: carrier.contact(trunk.user)["CSeq"] > before["CSeq"],
                 "it registers again")
        known = trunk.wait(state="registered")
        assert (known["status"], known["failed_stage"]) == ("ONLINE", None)
        assert carrier.contact(trunk.user)["Call-ID"] == before["Call-ID"]
        # Taken back while that is the one.
        trunk.destroy()
        wait_for(lambda: carrier.contact(trunk.user) is None,
                 "it un-registers")


def test_password_changed_there_alone(carrier, trunks):
    """Told by the next REGISTER. Until the registration runs out the carrier
    still sends calls: it is ONLINE."""
    trunk = trunks(carrier)
    trunk.wait(status="ONLINE")
    with password_at(carrier, NEW_PASSWORD):
        trunk.register()
        known = trunk.wait(state="backing_off", failed_stage="auth")
        assert known["failed_code"] == 401
        assert known["status"] == "ONLINE"
        assert carrier.contact(trunk.user)
        trunk.change(password=NEW_PASSWORD)
        trunk.wait(status="ONLINE", state="registered", failed_stage=None)
        trunk.destroy()
        wait_for(lambda: carrier.contact(trunk.user) is None,
                 "it un-registers")


def test_password_changed_here_alone(carrier, trunks):
    trunk = trunks(carrier)
    trunk.wait(status="ONLINE")
    trunk.change(password=NEW_PASSWORD)
    known = trunk.wait(state="backing_off", failed_stage="auth")
    assert known["failed_code"] in (401, 403)
    trunk.change(password=PASSWORD)
    trunk.wait(status="ONLINE", state="registered", failed_stage=None)


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


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_carrier_away(carrier, trunks, tcp_port, transport):
    """Its port is closed. It comes back with none of its nonces."""
    trunk = trunks(carrier, transport=transport)
    trunk.wait(status="ONLINE")
    carrier.stop()
    try:
        trunk.register()
        known = trunk.wait(failed_stage="connect", state="backing_off")
        assert known["failed_code"] is None
    finally:
        carrier.start()
    assert carrier.contact(trunk.user) is None
    trunk.register()
    trunk.wait(status="ONLINE", failed_stage=None)
    assert carrier.contact(trunk.user)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_carrier_hangs(carrier, trunks, tcp_port, transport):
    """Its port is open and nothing comes from it: nothing is concluded before
    timer F. It goes on where it was."""
    trunk = trunks(carrier, transport=transport)
    trunk.wait(status="ONLINE")
    with carrier.paused():
        trunk.register()
        known = trunk.wait(failed_stage="timeout", state="backing_off")
        assert known["failed_code"] is None
    trunk.register()
    trunk.wait(status="ONLINE", state="registered", failed_stage=None)
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


def test_registrar_killed_is_the_same_again(suite, api, carrier, trunks):
    """What it held before it died it holds as soon as it is back: nobody waits
    until its leases have run out."""
    trunk = trunks(carrier)
    trunk.wait(status="ONLINE")
    suite.kill9("registrar")
    suite.start("registrar")
    suite.wait_ready()
    wait_for(lambda: trunk.registration().get("status") == "ONLINE",
             "it answers", LEASE_S / 3)


def test_a_tenants_own_trunk_stops_with_it(suite, api, carrier, office):
    trunk = CarrierTrunk(office.api, carrier, did_numbers="49301")
    trunk.wait(status="ONLINE", state="registered")
    office.change(enabled=False)
    wait_for(lambda: carrier.contact(trunk.user) is None, "it un-registers")
    # Not with the registrar's restart either.
    suite.kill9("registrar")
    suite.start("registrar")
    suite.wait_ready()
    of_all = f"/api/providers/{trunk.id}/status"
    assert wait_for(lambda: api.get(of_all).json(), "its status") == {
        "status": "OFFLINE"}
    assert carrier.contact(trunk.user) is None
    office.change(enabled=True)
    wait_for(lambda: carrier.contact(trunk.user), "it registers again")
    office.destroy()
    wait_for(lambda: carrier.contact(trunk.user) is None, "it un-registers")
