"""A carrier that takes every REGISTER, asks for no password, and counts: for
more trunks than Kamailio is needed for."""

import collections
import re
import socket
import threading

from servers import DEADLINE_S

# What a receive buffer holds while the thread is held up.
BUFFER_BYTES = 1 << 22

COPIED = ("Via", "From", "To", "Call-ID", "CSeq")


class Responder:
    """Attributes: port; registers, a counter of the REGISTERs by user.
    open_socket: makes the socket, in another network where it does so."""

    def __init__(self, open_socket=None):
        self._socket = (open_socket or bound)()
        self.port = self._socket.getsockname()[1]
        self.registers = collections.Counter()
        self._stop = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def end(self):
        self._stop = True
        self._thread.join(DEADLINE_S)
        self._socket.close()

    def _work(self):
        while not self._stop:
            try:
                data, remote = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            self._socket.sendto(self._answer(data.decode()), remote)

    def _answer(self, text):
        lines = text.partition("\r\n\r\n")[0].split("\r\n")
        fields = [line for line in lines if line.startswith(COPIED)]
        fields = [f"{line};tag=responder" if line.startswith("To:")
                  and ";tag=" not in line else line for line in fields]
        if lines[0].startswith("REGISTER "):
            self.registers[re.search(r"\r\nTo: *<sip:([^@]*)@", text)[1]] += 1
            fields += [line for line in lines
                       if line.startswith(("Contact:", "Expires:"))]
        return "\r\n".join(["SIP/2.0 200 OK", *fields, "Content-Length: 0",
                            "", ""]).encode()


def bound(port=0):
    """A socket for a responder, at any port or that one."""
    made = socket.socket(type=socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    made.bind(("127.0.0.1", port))
    # What a thread that is to end waits at most.
    made.settimeout(0.05)
    return made
