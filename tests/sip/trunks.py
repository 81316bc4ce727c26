"""What the tests make over REST: trunks that register here, transports, and
the certificates of both sides."""

import contextlib
import socket
import ssl
import subprocess

from objects import create, minimal, path_of, unique, update
from servers import wait_for
from sip import Device, Tcp, Udp, exchange, options, request


def free_port():
    """A port that nobody has now, neither of UDP nor of TCP."""
    while True:
        with socket.socket() as tcp, \
                socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("0.0.0.0", 0))
            port = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind(("0.0.0.0", port))
                return port


class Trunk:
    """An ACCEPT_REGISTER trunk. Attributes: id, domain, user, password."""

    def __init__(self, api, **fields):
        body = minimal(auth_mode="ACCEPT_REGISTER", auth_id=unique("gw"),
                       password="s3cret-Of-The-Trunk") | fields
        self._api = api
        self.id = create(api, body)
        self.domain = body["hostname"]
        self.user = body["auth_id"]
        self.password = body["password"]

    def change(self, **fields):
        answer = update(self._api, self.id, fields)
        assert answer.status_code == 200, answer.text

    def destroy(self):
        answer = self._api.post(path_of(self.id, "/destroy"))
        assert answer.status_code in (204, 404), answer.text

    def registrations(self):
        return registrations(self._api, trunk_id=self.id)

    def wait_known(self, wire):
        """Until the registrar asks for its password, not who it is."""
        wait_for(lambda: probe(wire, self).status == 401,
                 "the registrar knows the trunk")
        return self


def probe(wire, trunk):
    """The answer to a REGISTER without credentials."""
    return exchange(wire, Device(wire, trunk).message())


def registrations(api, **query):
    """The contacts listed, by their URI."""
    answer = api.get("/api/registrations", params=query)
    assert answer.status_code == 200, answer.text
    return {item["contact"]: item for item in answer.json()["items"]}


def all_registrations(api):
    """Those of all pages."""
    found, skip = {}, 0
    while True:
        page = registrations(api, skip=skip)
        if not page:
            return found
        found |= page
        skip += 100


class Transport:
    """A SIP transport. Attributes: id, protocol, port."""

    def __init__(self, api, protocol, port=None, **fields):
        self._api = api
        self.protocol = protocol
        self.port = port or free_port()
        answer = api.post("/api/transports", json={
            "protocol": protocol, "port": self.port} | fields)
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["id"]
        self._path = f"/api/transports/{self.id}"

    def change(self, **fields):
        answer = self._api.post(self._path, json=fields)
        assert answer.status_code == 200, answer.text
        self.port = fields.get("port", self.port)

    def destroy(self):
        answer = self._api.post(self._path + "/destroy")
        assert answer.status_code in (204, 404), answer.text

    def detail(self):
        """What the registrar says of it; {}: it does not know it."""
        answer = self._api.get(self._path + "/detail")
        assert answer.status_code in (200, 404), answer.text
        return answer.json() if answer.status_code == 200 else {}

    def wait(self, status, reason=""):
        """Its detail, once it is in this state for a reason that has these
        words, or for none."""
        def there():
            detail = self.detail()
            said = detail.get("reason") or ""
            fits = reason in said if reason else not said
            return detail if detail.get("status") == status and fits else None

        return wait_for(there, f"{self.protocol} {self.port} is {status}")


def transport(api, protocol, port=None, **fields):
    """A transport that is open."""
    made = Transport(api, protocol, port, **fields)
    made.wait("ACTIVATED")
    return made


def is_open(protocol, port, host="127.0.0.1"):
    """Whether a socket of the registrar answers there."""
    try:
        if protocol != "UDP":
            Tcp(port, host).close()
            return True
        wire = Udp(port, host)
        try:
            wire.send(request(wire, "OPTIONS", "sip:example.org", {}))
            return wire.receive(0.2) is not None
        finally:
            wire.close()
    except ConnectionRefusedError:
        return False


class Certificates:
    """An authority and what it signs, as files. Attribute: authority, the
    path."""

    def __init__(self, folder):
        self._folder = folder
        self.authority, self._key = self._paths("authority")
        self._run("req", "-x509", "-subj", "/CN=authority", "-days", "2",
                  "-keyout", self._key, "-out", self.authority, *self._new)

    _new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

    def files(self, name):
        """The paths of a certificate for that name and of its key."""
        crt, key = self._paths(name)
        if not crt.exists():
            self._run("req", "-x509", "-subj", f"/CN={name}", "-days", "2",
                      "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
                      "-addext", "basicConstraints=critical,CA:FALSE",
                      "-CA", self.authority, "-CAkey", self._key,
                      "-keyout", key, "-out", crt, *self._new)
        return crt, key

    def der(self, name):
        return ssl.PEM_cert_to_DER_cert(self.files(name)[0].read_text())

    def used(self, port):
        """Which of them a new connection sees, DER."""
        with contextlib.closing(Tcp(port, context=self.client())) as wire:
            return wire.certificate

    def body(self, name):
        """What POST /api/key takes."""
        crt, key = self.files(name)
        return {"crt": crt.read_text(), "key": key.read_text()}

    def set(self, api, name):
        answer = api.post("/api/key", json=self.body(name))
        assert answer.status_code == 204, answer.text

    def client(self, name=None):
        """A context that trusts the authority, with the certificate of that
        name where one is given."""
        context = ssl.create_default_context(cafile=self.authority)
        context.check_hostname = False
        if name:
            context.load_cert_chain(*self.files(name))
        return context

    def stranger(self):
        """A context with a certificate that no authority signed."""
        crt, key = self._paths("stranger")
        self._run("req", "-x509", "-subj", "/CN=stranger", "-days", "2",
                  "-keyout", key, "-out", crt, *self._new)
        context = self.client()
        context.load_cert_chain(crt, key)
        return context

    def _paths(self, name):
        return self._folder / f"{name}.crt", self._folder / f"{name}.key"

    @staticmethod
    def _run(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)


def answers_options(wire):
    answer = options(wire)
    assert answer.status == 200, answer
    return answer
