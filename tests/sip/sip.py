"""A SIP user agent as small as can be: what it sends is exactly what a test
says, over UDP, TCP or TLS."""

import hashlib
import itertools
import re
import secrets
import socket
import time

from servers import DEADLINE_S

# RFC 3261 17.1.2.1: a request over UDP is sent again after these.
T1_S = 0.5
T2_S = 4

# The names RFC 8760 has, as hashlib has them.
ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}

_numbers = itertools.count(1)


class Response:
    """status, reason, fields: [(name in lower case, value)]."""

    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        version, status, self.reason = first.split(" ", 2)
        assert version == "SIP/2.0", first
        self.status = int(status)
        self.fields = []
        for line in lines:
            name, _, value = line.partition(":")
            self.fields.append((name.strip().lower(), value.strip()))

    def values(self, name):
        return [value for field, value in self.fields if field == name]

    def value(self, name):
        """The only one; None: there is none."""
        values = self.values(name)
        assert len(values) < 2, (name, values)
        return values[0] if values else None

    def contacts(self):
        """What is bound: {URI: seconds left}."""
        bound = {}
        for value in self.values("contact"):
            uri, expires = re.fullmatch(r"<([^>]*)>.*?;expires=(\d+).*",
                                        value).groups()
            bound[uri] = int(expires)
        return bound

    def challenges(self):
        """{algorithm: {parameter: value}}, in their order."""
        found = {}
        for value in self.values("www-authenticate"):
            scheme, _, rest = value.partition(" ")
            assert scheme == "Digest", value
            words = dict(re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', rest))
            words = {key: word.strip('"') for key, word in words.items()}
            found[words.get("algorithm", "MD5")] = words
        return found

    def __repr__(self):
        return f"{self.status} {self.reason} {self.fields}"


def _family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bracketed(host):
    return f"[{host}]" if ":" in host else host


def _address(host, port):
    return f"{_bracketed(host)}:{port}"


class Udp:
    """A socket of our own. Attributes: transport, local (host:port)."""

    transport = "UDP"

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.socket(_family(host), socket.SOCK_DGRAM)
        self.socket.connect((host, port))
        self.local = _address(*self.socket.getsockname()[:2])

    def send(self, data):
        self.socket.send(data)

    def receive(self, seconds):
        """One message; None: none came in that time. A port that is closed
        raises ConnectionRefusedError."""
        self.socket.settimeout(max(seconds, 0.001))
        try:
            return self.socket.recv(65536)
        except TimeoutError:
            return None

    def close(self):
        self.socket.close()


class Tcp:
    """One connection, over TLS with a context of module ssl. The peer's
    certificate is .certificate, DER."""

    transport = "TCP"

    def __init__(self, port, host="127.0.0.1", context=None):
        self.socket = socket.create_connection((host, port), DEADLINE_S)
        if context:
            self.transport = "TLS"
            self.socket = context.wrap_socket(self.socket)
            self.certificate = self.socket.getpeercert(binary_form=True)
        self.local = _address(*self.socket.getsockname()[:2])
        self._data = b""

    def send(self, data):
        self.socket.settimeout(DEADLINE_S)
        self.socket.sendall(data)

    def receive(self, seconds):
        """Likewise; raises ConnectionError once it has ended."""
        end = time.monotonic() + seconds
        while True:
            message = self._message()
            if message:
                return message
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                return None
            if not more:
                raise ConnectionError("the registrar ended the connection")
            self._data += more

    def _message(self):
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if not found:
            return None
        size = int(re.search(rb"(?im)^content-length: *(\d+)", head)[1])
        if len(rest) < size:
            return None
        self._data = rest[size:]
        return head + found + rest[:size]

    def close(self):
        self.socket.close()


def branch():
    return f"z9hG4bK{secrets.token_hex(8)}"


def request(wire, method, uri, fields, user="caller", domain="example.org"):
    """The bytes of a request with what every one needs; fields replaces a
    header of that name or is one more, None leaves it out."""
    all_fields = {
        "Via": f"SIP/2.0/{wire.transport} {wire.local};branch={branch()};rport",
        "Max-Forwards": "70",
        "From": f"<sip:{user}@{domain}>;tag={secrets.token_hex(4)}",
        "To": f"<sip:{user}@{domain}>",
        "Call-ID": secrets.token_hex(8),
        "CSeq": f"1 {method}",
        "Content-Length": "0",
    } | fields
    lines = [f"{method} {uri} SIP/2.0"]
    for name, value in all_fields.items():
        values = value if isinstance(value, list) else [value]
        lines += [f"{name}: {one}" for one in values if one is not None]
    return "\r\n".join([*lines, "", ""]).encode()


def exchange(wire, data, deadline_s=DEADLINE_S):
    """The final response to a request: sent as RFC 3261 17.1.2 has it, so over
    UDP until it is answered. TimeoutError: it was not."""
    end = time.monotonic() + deadline_s
    via = re.search(rb"branch=(\w+)", data)[1]
    pause_s = T1_S if wire.transport == "UDP" else deadline_s
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no answer within {deadline_s} s")
        try:
            wire.send(data)
            answer = _answer(wire, via, min(pause_s, left))
        except ConnectionRefusedError:
            # Nobody has the port now: as good as a datagram that was lost.
            time.sleep(min(0.05, left))
            continue
        if answer:
            return answer
        pause_s = min(2 * pause_s, T2_S)


def _answer(wire, via, seconds):
    """The answer with that branch; others are late ones of before."""
    end = time.monotonic() + seconds
    while True:
        data = wire.receive(end - time.monotonic())
        if data is None:
            return None
        if via in data:
            answer = Response(data)
            if answer.status >= 200:
                return answer


def options(wire, deadline_s=DEADLINE_S):
    """The answer to an OPTIONS."""
    return exchange(wire, request(wire, "OPTIONS", "sip:example.org", {}),
                    deadline_s)


def digest(challenge, user, password, method, uri, count=1):
    """The value of Authorization that answers a challenge, RFC 7616 3.4.1."""
    def hashed(*words):
        return hashlib.new(ALGORITHMS[algorithm],
                           ":".join(words).encode()).hexdigest()

    algorithm = challenge.get("algorithm", "MD5")
    realm, nonce = challenge["realm"], challenge["nonce"]
    cnonce, counted = secrets.token_hex(8), f"{count:08x}"
    response = hashed(hashed(user, realm, password), nonce, counted, cnonce,
                      "auth", hashed(method, uri))
    return (f'Digest username="{user}", realm="{realm}", nonce="{nonce}", '
            f'uri="{uri}", response="{response}", algorithm={algorithm}, '
            f'qop=auth, nc={counted}, cnonce="{cnonce}"')


class Device:
    """What registers as an account: one Call-ID, a CSeq that grows, one
    contact. It answers a challenge by itself and, like a phone, goes on with
    the nonce it has."""

    def __init__(self, wire, trunk, algorithm="SHA-256", user=None,
                 password=None):
        self.wire = wire
        self.trunk = trunk
        self.algorithm = algorithm
        self.user = user or trunk.user
        self.password = password or trunk.password
        self.domain = trunk.domain
        self.contact = (f"sip:{self.user}{next(_numbers)}@{wire.local}"
                        + ("" if wire.transport == "UDP"
                           else f";transport={wire.transport.lower()}"))
        self.call_id = secrets.token_hex(8)
        self.cseq = 0
        self._tag = secrets.token_hex(4)
        self._challenge = None
        self._count = 0

    def register(self, expires=600, contact=None, **fields):
        """The answer, after a challenge that to the credentials. contact: the
        whole value of Contact, or a list of them; "" for none."""
        answer = self._once(expires, contact, fields)
        if answer.status == 401:
            offered = answer.challenges()
            self._challenge = offered[self.algorithm]
            self._count = 0
            answer = self._once(expires, contact, fields)
        return answer

    def unregister(self):
        return self.register(expires=0)

    def query(self):
        """What the registrar has: {contact: seconds left}."""
        answer = self.register(contact="")
        assert answer.status == 200, answer
        return answer.contacts()

    def _once(self, expires, contact, fields):
        return exchange(self.wire, self.message(expires, contact, fields))

    def message(self, expires=600, contact=None, fields=()):
        """The bytes of the next REGISTER."""
        self.cseq += 1
        uri = f"sip:{self.domain}"
        known = {"From": f"<sip:{self.user}@{self.domain}>;tag={self._tag}",
                 "Call-ID": self.call_id,
                 "CSeq": f"{self.cseq} REGISTER"}
        if contact != "":
            known["Contact"] = contact or f"<{self.contact}>"
            known["Expires"] = expires
        if self._challenge:
            self._count += 1
            known["Authorization"] = digest(
                self._challenge, self.user, self.password, "REGISTER", uri,
                self._count)
        return request(self.wire, "REGISTER", uri, known | dict(fields),
                       user=self.user, domain=self.domain)
