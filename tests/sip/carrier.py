"""A carrier that is not ours: Kamailio as its registrar, and the trunks that
register there."""

import itertools
import json
import re
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
modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "dgram_socket", "{rpc}")
request_route {{
	if (!is_method("REGISTER")) {{
		sl_send_reply("200", "OK");
		exit;
	}}
	if (!pv_www_authenticate("$td", "{password}", "0")) {{
		www_challenge("$td", "1");
		exit;
	}}
	save("location");
}}
"""


class Carrier:
    """Kamailio. Attribute: port, of UDP and TCP."""

    def __init__(self, folder, algorithm):
        self.port = free_port()
        self._folder = folder
        self._numbers = itertools.count(1)
        self._rpc = folder / "rpc"
        self._log = folder / "log"
        (folder / "kamailio.cfg").write_text(CONFIG.format(
            port=self.port, rpc=self._rpc, password=PASSWORD,
            algorithm=algorithm))
        self._process = None

    def start(self):
        """It has forgotten what it knew before, its nonces too."""
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                ["kamailio", "-f", self._folder / "kamailio.cfg", "-DD", "-E",
                 "-m", "16", "-M", "4", "-Y", self._folder],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._answers, "Kamailio answers")

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
