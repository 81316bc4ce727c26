"""Gateways and phones of others: SIPp and baresip register, refresh and leave.
Both know MD5 alone, and fail on a challenge for anything else beside it:
sip_digest."""

import itertools
import pathlib
import subprocess

import pytest

from servers import DEADLINE_S, wait_for
from sip import Device
from trunks import Trunk, free_port, probe

SCENARIO = pathlib.Path(__file__).parent / "gateway.xml"
GATEWAYS = 20

# Where Debian has them.
BARESIP_MODULES = "/usr/lib/baresip/modules"


@pytest.fixture(scope="module", autouse=True)
def md5_alone(suite):
    suite.stop("registrar")
    suite.start("registrar", sip_digest="MD5")
    suite.wait_ready()
    yield
    suite.stop("registrar")
    suite.start("registrar")
    suite.wait_ready()


@pytest.fixture
def trunks(api, wires):
    """All of one provider's domain, as its gateways would be."""
    first = Trunk(api)
    made = [first] + [Trunk(api, hostname=first.domain)
                      for _ in range(GATEWAYS - 1)]
    wire = wires()
    last = Device(wire, made[-1], "MD5")
    wait_for(lambda: last.register(contact="").status == 200,
             "the last one is known")
    yield made
    for one in made:
        one.destroy()


class Sipp:
    """All trunks of one domain as gateways at one address, which stays the
    same from one run to the next."""

    def __init__(self, trunks, port, folder, transport="u1", password=None):
        self._cseqs = itertools.count(1, 10)
        self.port = free_port()
        rows = ["SEQUENTIAL"] + [
            f"{one.user};{one.domain};[authentication username={one.user}"
            f" password={password or one.password}]" for one in trunks]
        users = folder / "users.csv"
        users.write_text("\n".join(rows) + "\n")
        self._folder = folder
        self._errors = folder / "errors"
        self._command = [
            "sipp", f"127.0.0.1:{port}", "-sf", SCENARIO, "-inf", users,
            "-t", transport, "-i", "127.0.0.1", "-p", str(self.port),
            "-m", str(len(trunks)), "-l", str(len(trunks)), "-r", "1000",
            # Else it is the address it sends to, which is no realm of ours.
            "-auth_uri", trunks[0].domain,
            "-cid_str", "gateway-%u", "-timeout", f"{DEADLINE_S}s",
            "-timeout_error", "-nostdin", "-trace_err", "-error_file",
            self._errors]

    def register(self, expires):
        """The finished process; 0: each of them was answered 200."""
        return subprocess.run(
            [*self._command, "-key", "expires", str(expires),
             "-base_cseq", str(next(self._cseqs))],
            cwd=self._folder, capture_output=True, text=True,
            timeout=2 * DEADLINE_S)

    def errors(self):
        return self._errors.read_text()


def check(done):
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_sipp(suite, trunks, tcp_port, tmp_path, transport):
    port = suite.sip_port if transport == "UDP" else tcp_port
    sipp = Sipp(trunks, port, tmp_path,
                "u1" if transport == "UDP" else "t1")
    check(sipp.register(600))
    for one in trunks:
        (contact, shown), = one.registrations().items()
        assert contact == (
            f"sip:{one.user}@127.0.0.1:{sipp.port};transport={transport}")
        assert shown["transport"] == transport
        assert shown["user_agent"] == "SIPp"
        assert 500 < shown["expires_in"] <= 600
    check(sipp.register(1200))
    for one in trunks:
        shown, = one.registrations().values()
        assert 1100 < shown["expires_in"] <= 1200
    check(sipp.register(0))
    assert not any(one.registrations() for one in trunks)


def test_sipp_as_phones(suite, office, wires, tmp_path):
    """Of a tenant's users; the list of the tenant has them all."""
    phones = [office.account() for _ in range(GATEWAYS)]
    last = Device(wires(), phones[-1], "MD5")
    wait_for(lambda: last.register(contact="").status == 200,
             "the last one is known")
    sipp = Sipp(phones, suite.sip_port, tmp_path)
    check(sipp.register(600))
    assert office.online() == GATEWAYS
    check(sipp.register(1200))
    for one in phones:
        shown, = one.registrations().values()
        assert 1100 < shown["expires_in"] <= 1200
    check(sipp.register(0))
    assert office.online() == 0


def test_sipp_with_a_wrong_password(suite, trunks, tmp_path):
    sipp = Sipp(trunks[:1], suite.sip_port, tmp_path, password="wrong")
    assert sipp.register(600).returncode != 0
    assert "SIP/2.0 403" in sipp.errors()
    assert trunks[0].registrations() == {}


class Baresip:
    """A running one, with one account."""

    def __init__(self, trunk, port, folder, transport="udp", password=None,
                 authority=None):
        self._log = folder / "log"
        (folder / "config").write_text("\n".join([
            f"module_path {BARESIP_MODULES}", "module_app account.so",
            "module_app menu.so", "sip_listen 127.0.0.1:0",
            f"sip_cafile {authority}" if authority else ""]) + "\n")
        (folder / "contacts").write_text("")
        (folder / "accounts").write_text(
            f"<sip:{trunk.user}@{trunk.domain};transport={transport}>"
            f";auth_user={trunk.user};auth_pass={password or trunk.password}"
            f';outbound="sip:127.0.0.1:{port};transport={transport}"'
            ";regint=120\n")
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                ["baresip", "-f", folder, "-v", "-s"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def said(self):
        return self._log.read_text(errors="replace")

    def stop(self):
        """It un-registers."""
        self._process.terminate()
        assert self._process.wait(DEADLINE_S) == 0, self.said()

    def kill(self):
        self._process.kill()
        self._process.wait(DEADLINE_S)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_baresip(request, suite, trunk, wires, certificates, tmp_path,
                 transport):
    trunk.wait_known(wires())
    port = (suite.sip_port if transport == "udp"
            else request.getfixturevalue(f"{transport}_port"))
    baresip = Baresip(trunk, port, tmp_path, transport,
                      authority=certificates.authority)
    shown, = wait_for(trunk.registrations, "baresip registers").values()
    assert shown["transport"] == transport.upper()
    assert shown["user_agent"].startswith("baresip")
    assert shown["expires_in"] <= 120
    baresip.stop()
    assert trunk.registrations() == {}


def test_baresip_as_a_phone(suite, office, wires, tmp_path):
    account = office.account()
    probing = Device(wires(), account, "MD5")
    wait_for(lambda: probing.register(contact="").status == 200,
             "the user is known")
    baresip = Baresip(account, suite.sip_port, tmp_path)
    shown, = wait_for(account.registrations, "baresip registers").values()
    assert shown["user_id"] == account.id
    status = office.status(account)
    assert status["status"] == "ONLINE"
    assert status["registration"][0]["application"] == "baresip"
    baresip.stop()
    assert office.status(account)["status"] == "OFFLINE"


def test_baresip_with_a_wrong_password(suite, trunk, wires, tmp_path):
    trunk.wait_known(wires())
    baresip = Baresip(trunk, suite.sip_port, tmp_path, password="wrong")
    wait_for(lambda: "403 Forbidden" in baresip.said(), "it is refused")
    baresip.kill()
    assert trunk.registrations() == {}


def test_md5_alone_is_offered(trunk, wires):
    wire = wires()
    trunk.wait_known(wire)
    assert list(probe(wire, trunk).challenges()) == ["MD5"]
