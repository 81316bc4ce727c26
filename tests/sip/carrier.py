"""A carrier that is not ours: Kamailio as its registrar, and the trunks that
register there."""

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess

from objects import create, minimal, path_of, unique, update
from servers import DEADLINE_S, wait_for
from trunks import free_port

PASSWORD = "s3cret-Of-The-Carrier"

# It takes any user with its one password, and keeps bindings in memory alone.
# Names are not looked up: a resolver must not slow it down.
CONFIG = """
debug=0
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
{tls}
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "jsonrpcs.so"
modparam("auth", "algorithm", "{algorithm}")
modparam("pv", "shvset", "password=s:{password}")
modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "dgram_socket", "{rpc}")
request_route {{
	if (!is_method("REGISTER")) {{
		sl_send_reply("200", "OK");
		exit;
	}}
	{domain}
	if ($tU =~ "^{busy}") {{
		append_to_reply("Retry-After: {retry_after_s}\r\n");
		sl_send_reply("503", "Service Unavailable");
		exit;
	}}
	if (!pv_www_authenticate("$td", "$shv(password)", "0")) {{
		www_challenge("$td", "1");
		exit;
	}}
	if ($tU =~ "^{brief}" && $(hdr(Expires){{s.int}}) > 0
			&& $(hdr(Expires){{s.int}}) < {min_expires_s}) {{
		append_to_reply("Min-Expires: {min_expires_s}\r\n");
		sl_send_reply("423", "Interval Too Brief");
		exit;
	}}
	save("location");
}}
"""

TLS = """
listen=tls:127.0.0.1:{port}
enable_tls=yes
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{key}")
"""

DOMAIN = """
	if ($td != "{domain}") {{
		sl_send_reply("403", "Domain Not Served");
		exit;
	}}
"""

# Users whose names begin so are told to come back later, and asked for
# registrations of this length at least.
BUSY, RETRY_AFTER_S = "busy", 900
BRIEF, MIN_EXPIRES_S = "brief", 1800


class Carrier:
    """Kamailio. Attributes: port, of UDP and TCP; tls_port, where it has the
    files of a certificate and its key. domain: the only one it serves."""

    def __init__(self, folder, algorithm="MD5", domain=None, files=None):
        self.port = free_port()
        self.tls_port = free_port()
        self._folder = folder
        self._numbers = itertools.count(1)
        self._rpc = folder / "rpc"
        self._log = folder / "log"
        (folder / "kamailio.cfg").write_text(CONFIG.format(
            port=self.port, rpc=self._rpc, password=PASSWORD,
            algorithm=algorithm, tls=self._tls(files),
            domain=DOMAIN.format(domain=domain) if domain else "",
            busy=BUSY, retry_after_s=RETRY_AFTER_S,
            brief=BRIEF, min_expires_s=MIN_EXPIRES_S))
        self._process = None

    def start(self):
        """It has forgotten what it knew before, its nonces too."""
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                ["kamailio", "-f", self._folder / "kamailio.cfg", "-DD", "-E",
                 "-m", "32", "-M", "8", "-Y", self._folder],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        wait_for(self._answers, "Kamailio answers")

    @contextlib.contextmanager
    def paused(self):
        """It hangs inside: all its processes do, its ports stay open."""
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)

    def password_set(self, password):
        """From now on it takes this one, of all users."""
        self._call("pv.shvSet", "password", "str", password)

    def stop(self):
        self._process.terminate()
        self._process.wait(DEADLINE_S)
        self._process = None

    def end(self):
        if self._process:
            self.stop()

    def heard(self):
        """How many REGISTERs have come since its start."""
        said, = self._call("stats.get_statistics", "rcv_requests_register")
        return int(said.rpartition("=")[2])

    def contact(self, user):
        """The user's only binding, as Kamailio describes it; None: none."""
        found = [contact["Contact"]
                 for domain in self._call("ul.dump")["Domains"]
                 for aor in domain["Domain"]["AoRs"]
                 if aor["Info"]["AoR"] == user
                 for contact in aor["Info"]["Contacts"]]
        assert len(found) <= 1, found
        return found[0] if found else None

    def _tls(self, files):
        if not files:
            return ""
        certificate, key = files
        return TLS.format(port=self.tls_port, certificate=certificate, key=key)

    def _answers(self):
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self._call("core.version")
        except (FileNotFoundError, ConnectionRefusedError):
            return None  # the socket of before is still there

    def _call(self, method, *parameters):
        own = self._folder / f"rpc.{next(self._numbers)}"
        asked = {"jsonrpc": "2.0", "id": 1, "method": method,
                 "params": parameters}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.settimeout(DEADLINE_S)
            link.bind(str(own))
            link.sendto(json.dumps(asked).encode(), str(self._rpc))
            answer = json.loads(link.recv(65536))
        own.unlink()
        assert "result" in answer, answer
        return answer["result"]


class CarrierTrunk:
    """A REGISTER_AUTH trunk. Attributes: id, user."""

    def __init__(self, api, carrier, **fields):
        body = minimal(
            auth_mode="REGISTER_AUTH", auth_id=unique("trunk"),
            password=PASSWORD, outbound_server="127.0.0.1",
            outbound_server_port=carrier.port) | fields
        self._api = api
        self.id = create(api, body)
        self.user = body["auth_id"]

    def change(self, **fields):
        answer = update(self._api, self.id, fields)
        assert answer.status_code == 200, answer.text

    def destroy(self):
        answer = self._api.post(path_of(self.id, "/destroy"))
        assert answer.status_code in (204, 404), answer.text

    def register(self):
        """Registers now; one that is at it already does that too."""
        answer = self._api.post(path_of(self.id, "/register"))
        assert answer.status_code in (200, 409), answer.text

    def status(self):
        """ONLINE or OFFLINE; None: nothing is known of it yet."""
        return self._get("/status").get("status")

    def registration(self):
        """All that is known; {}: nothing yet, or it is disabled."""
        return self._get("/registration")

    def wait(self, **fields):
        """Its registration, once these fields of it are so."""
        def there():
            known = self.registration()
            fits = known and all(known[name] == value
                                 for name, value in fields.items())
            return known if fits else None

        return wait_for(there, f"trunk {self.id} has {fields}")

    def wait_status(self, status):
        wait_for(lambda: self.status() == status,
                 f"trunk {self.id} is {status}")

    def _get(self, tail):
        answer = self._api.get(path_of(self.id, tail))
        assert answer.status_code in (200, 404, 409, 503), answer.text
        return answer.json() if answer.ok else {}


def sent(known):
    """The REGISTERs of a ladder that we sent, the oldest first."""
    return [step["text"] for step in known["ladder"]
            if step["direction"] == "out"
            and step["text"].startswith("REGISTER ")]


def header(text, name):
    return re.search(rf"^{name}: *(.*?)\r?$", text, re.I | re.M).group(1)
