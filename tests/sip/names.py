"""A name server of our own: what the registrar asks when it looks a carrier
up."""

import contextlib
import socket
import subprocess

from servers import DEADLINE_S, wait_for
from trunks import free_port

# Those who are asked for one of these get what was added, or that there is
# nothing; nobody else is asked.
ZONE = "example"

CONFIG = f"""
listen-address=127.0.0.1
bind-interfaces
no-hosts
no-resolv
local=/{ZONE}/
local=/invalid/
"""


class Names:
    """dnsmasq. Attribute: address, as dns_servers has it."""

    def __init__(self, folder):
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"
        self._path = folder / "dnsmasq.conf"
        self._log = folder / "dnsmasq.log"
        self._lines = [CONFIG]
        self._process = None
        self._start()

    def host(self, name):
        """It has the address 127.0.0.1."""
        self._add(f"host-record={name},127.0.0.1")
        return name

    def servers(self, name, *targets):
        """SRV records over UDP; targets are (host, port), the one to try first
        first."""
        for priority, (host, port) in enumerate(targets, 1):
            self._add(f"srv-host=_sip._udp.{name},{host},{port},{priority},1")
        return name

    def points(self, name, service):
        """A NAPTR record over UDP, to the SRV records of that name."""
        self._add(f"naptr-record={name},10,10,s,SIP+D2U,,{service}")
        return name

    def end(self):
        self._process.terminate()
        self._process.wait(DEADLINE_S)

    def _add(self, line):
        if line in self._lines:
            return
        self._lines.append(line)
        self.end()
        self._start()

    def _start(self):
        self._path.write_text("\n".join([*self._lines, ""]))
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                ["/usr/sbin/dnsmasq", "--keep-in-foreground", "--user=root",
                 f"--conf-file={self._path}", f"--port={self._port}",
                 "--log-facility=-", "--pid-file="],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._answers, "dnsmasq answers")

    def _answers(self):
        assert self._process.poll() is None, self._log.read_text()
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self._port),
                                     DEADLINE_S).close()
            return True
        return False
