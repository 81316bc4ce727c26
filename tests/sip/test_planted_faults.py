"""What goes wrong between a trunk and its carrier is planted here, one fault at
a time: the status alone names each, and so does a test of the settings before
they are saved."""

import datetime
import socket

import pytest

from carrier import (BRIEF, BUSY, MIN_EXPIRES_S, PASSWORD, RETRY_AFTER_S,
                     Carrier, CarrierTrunk, header, sent)
from objects import minimal, unique
from trunks import free_port

DOMAIN = "carrier.example"
# Has an address, but no carrier has a certificate for it.
ALIAS = "alias.example"


@pytest.fixture(scope="module")
def carrier(tmp_path_factory, certificates, names):
    names.host(DOMAIN)
    names.host(ALIAS)
    made = Carrier(tmp_path_factory.mktemp("carrier"), domain=DOMAIN,
                   files=certificates.files(DOMAIN))
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture
def sha_256_carrier(tmp_path):
    made = Carrier(tmp_path, "SHA-256", domain=DOMAIN)
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture
def nobody():
    """A port that is closed."""
    return free_port()


@pytest.fixture
def black_hole():
    """A port that takes all and answers nothing."""
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


class Fault:
    """fields: of the trunk; stage, code, reason: what the status has of it, ""
    is any reason; stage None: the trunk registers nevertheless; diagnosis: words
    of the one that a test of the settings comes to; told: checks what more there
    is to say."""

    def __init__(self, fields, diagnosis, stage=None, code=None, reason="",
                 told=lambda known: None):
        self.fields = fields
        self.diagnosis = diagnosis
        self.stage = stage
        self.code = code
        self.reason = reason
        self.told = told

    @property
    def ok(self):
        return self.stage is None

    def body(self, carrier):
        """What REST takes."""
        return minimal(
            auth_mode="REGISTER_AUTH", auth_id=unique("trunk"),
            hostname=DOMAIN, password=PASSWORD, outbound_server="127.0.0.1",
            outbound_server_port=carrier.port) | self.fields


def wrong_password(fixture):
    return Fault({"password": "wrong"}, "credentials", "auth", 401, "wrong")


def wrong_domain(fixture):
    return Fault({"hostname": "elsewhere.example"}, "hostname", "rejected",
                 403, "Domain Not Served")


def name_unknown(fixture):
    return Fault({"outbound_server": "missing.example"}, "looked up", "dns",
                 reason="missing.example")


def first_server_dead(fixture):
    dead, live = fixture("nobody"), fixture("carrier").port
    name = fixture("names").servers(f"{unique('two')}.example",
                                    (DOMAIN, dead), (DOMAIN, live))

    def told(known):
        noted = [step for step in known["ladder"]
                 if step["direction"] == "note"]
        assert [step["remote"] for step in noted] == [f"127.0.0.1:{dead}"]
        assert "port is closed" in noted[0]["text"]

    return Fault({"outbound_server": name, "outbound_server_port": 0},
                 "takes these settings", told=told)


def tls_name_wrong(fixture):
    def told(known):
        assert f"not for {ALIAS} but for {DOMAIN}" in str(known)

    return Fault({"transport": "TLS", "outbound_server": ALIAS,
                  "outbound_server_port": fixture("carrier").tls_port},
                 "certificate", "tls", reason=ALIAS, told=told)


def interval_too_brief(fixture):
    def told(known):
        asked = [int(header(text, "Expires")) for text in sent(known)]
        assert asked[0] < MIN_EXPIRES_S and MIN_EXPIRES_S in asked

    return Fault({"auth_id": unique(BRIEF), "register_interval": 600},
                 "takes these settings", told=told)


def overloaded(fixture):
    return Fault({"auth_id": unique(BUSY)}, "overloaded", "rejected", 503,
                 "Service Unavailable")


def sha_256_only(fixture):
    def told(known):
        assert "algorithm=SHA-256" in header(sent(known)[-1], "Authorization")

    return Fault({"outbound_server_port": fixture("sha_256_carrier").port},
                 "takes these settings", told=told)


def silence(fixture):
    return Fault({"outbound_server_port": fixture("black_hole")},
                 "No answer within", "timeout", reason="no answer")


def port_closed(fixture):
    return Fault({"outbound_server_port": fixture("nobody")},
                 "No connection", "connect", reason="port is closed")


@pytest.fixture(params=[
    wrong_password, wrong_domain, name_unknown, first_server_dead,
    tls_name_wrong, interval_too_brief, overloaded, sha_256_only, silence,
    port_closed], ids=lambda plant: plant.__name__)
def fault(request, carrier, tls_port):
    return request.param(request.getfixturevalue)


@pytest.fixture
def planted(api, carrier, fault):
    """A trunk with the fault."""
    made = CarrierTrunk(api, carrier, **fault.body(carrier))
    yield made
    made.destroy()


def test_status_names_it(fault, planted):
    if fault.ok:
        known = planted.wait(status="ONLINE", state="registered")
        assert planted.status() == "ONLINE"
    else:
        known = planted.wait(failed_stage=fault.stage, state="backing_off")
        assert (known["status"], planted.status()) == ("OFFLINE", "OFFLINE")
        assert known["next_attempt"]
    assert (known["failed_stage"], known["failed_code"]) == (
        fault.stage, fault.code)
    assert fault.reason in (known["failed_reason"] or "")
    fault.told(known)


def test_trial_names_it(api, carrier, fault):
    answer = api.post("/api/providers/test", json=fault.body(carrier))
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert (report["ok"], report["failed_stage"]) == (fault.ok, fault.stage)
    assert fault.diagnosis in report["diagnosis"]
    if not fault.ok:
        step = report["steps"][-1]
        assert (step["stage"], step["code"]) == (fault.stage, fault.code)
        assert fault.reason in step["reason"]
    fault.told(report)


# What the status says beside the fault itself.


def test_retry_after_is_honoured(api, carrier):
    trunk = CarrierTrunk(api, carrier, **overloaded(None).body(carrier))
    known = trunk.wait(failed_code=503, state="backing_off")
    wait_s = (seconds(known["next_attempt"]) - seconds(known["state_since"]))
    assert RETRY_AFTER_S <= wait_s <= 1.1 * RETRY_AFTER_S + 1
    trunk.destroy()


def test_longer_interval_is_granted(api, carrier):
    trunk = CarrierTrunk(api, carrier,
                         **interval_too_brief(None).body(carrier))
    known = trunk.wait(status="ONLINE")
    held_s = seconds(known["expires"]) - seconds(known["state_since"])
    assert MIN_EXPIRES_S - 1 <= held_s <= MIN_EXPIRES_S + 1
    assert carrier.contact(trunk.user)["Expires"] > 0.9 * MIN_EXPIRES_S
    trunk.destroy()


def test_algorithm_is_told(api, sha_256_carrier):
    trunk = CarrierTrunk(api, sha_256_carrier, hostname=DOMAIN)
    assert trunk.wait(status="ONLINE")["algorithm"] == "SHA-256"
    trunk.destroy()


def seconds(time):
    return datetime.datetime.fromisoformat(time).timestamp()
