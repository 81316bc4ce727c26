"""Many devices that register, refresh and leave until they are told to stop,
over UDP as RFC 3261 has it, and what each was told last."""

import collections
import contextlib
import heapq
import itertools
import random
import re
import secrets
import socket
import threading
import time

from servers import DEADLINE_S, wait_for
from sip import T1_S, T2_S, branch, digest
from trunks import Trunk, all_registrations

TRUNKS = 50
DEVICES_PER_TRUNK = 8

# Each device asks again after this, on average: some 1500 REGISTERs a second
# together.
PAUSE_S = 0.25

# One in so many REGISTERs is an un-register.
LEAVES = 8

# RFC 3261 17.1.2.2, timer F: a client gives up.
GIVES_UP_S = 64 * T1_S

# A client told to come back later comes sooner: the test does not wait.
AGAIN_S = 0.2

# What a receive buffer holds of answers while the thread is held up.
BUFFER_BYTES = 1 << 22

EXPIRES_S = 3000

SEED = 7


class Client:
    """One device. Attributes: trunk, contact, bound (what was acknowledged
    last; None: nothing yet), refusals (how many 503), asked (a request is under
    way)."""

    def __init__(self, trunk, number, at):
        self.trunk = trunk
        self.call_id = f"{secrets.token_hex(8)}-{number}"
        self.contact = f"sip:{trunk.user}-{number}@{at}"
        self.bound = None
        self.refusals = 0
        self.asked = None
        self.timer = None
        self._at = at
        self._cseq = 0
        self._count = 0
        self._challenge = None
        self._tag = secrets.token_hex(4)

    def ask(self, bind):
        """The bytes of the next REGISTER."""
        self._cseq += 1
        trunk, who = self.trunk, f"<sip:{self.trunk.user}@{self.trunk.domain}>"
        lines = [
            f"REGISTER sip:{trunk.domain} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._at};branch={branch()};rport",
            "Max-Forwards: 70", f"From: {who};tag={self._tag}", f"To: {who}",
            f"Call-ID: {self.call_id}", f"CSeq: {self._cseq} REGISTER",
            f"Contact: <{self.contact}>;expires={EXPIRES_S if bind else 0}",
            "Content-Length: 0"]
        if self._challenge:
            self._count += 1
            lines.append("Authorization: " + digest(
                self._challenge, trunk.user, trunk.password, "REGISTER",
                f"sip:{trunk.domain}", self._count))
        now = time.monotonic()
        self.asked = Asked("\r\n".join([*lines, "", ""]).encode(), bind,
                           self._cseq, now, T1_S)
        return self.asked.data

    def challenged(self, answer):
        self._challenge = {
            "algorithm": "SHA-256", "realm": self.trunk.domain,
            "nonce": re.search(r'nonce="(\w+)"', answer)[1]}
        self._count = 0


class Asked:
    def __init__(self, data, bind, cseq, began_s, pause_s):
        self.data = data
        self.bind = bind
        self.cseq = cseq
        self.began_s = began_s
        self.pause_s = pause_s


class Load:
    """A context: inside it the devices are at work. Attributes: clients,
    accepted, ends (a counter of what they were told), faults."""

    def __init__(self, api, port):
        self._api = api
        self._to = ("127.0.0.1", port)
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                BUFFER_BYTES)
        self._socket.bind(("127.0.0.1", 0))
        at = "127.0.0.1:%d" % self._socket.getsockname()[1]
        self._trunks = [Trunk(api) for _ in range(TRUNKS)]
        self.clients = [Client(trunk, number, at) for trunk in self._trunks
                        for number in range(DEVICES_PER_TRUNK)]
        self._by_call_id = {one.call_id: one for one in self.clients}
        self._random = random.Random(SEED)
        self._due = []
        self._timers = itertools.count()
        self.ends = collections.Counter()
        self.faults = []
        self._running = threading.Event()
        self._ending = self._stop = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def accepted(self):
        return self.ends[200]

    def __enter__(self):
        for number, one in enumerate(self.clients):
            self._later(one, PAUSE_S * number / len(self.clients))
        self._running.set()
        self._thread.start()
        wait_for(lambda: self.faults or all(
            one.bound is not None for one in self.clients), "all have begun")
        self.wait_accepted()
        return self

    def __exit__(self, *_):
        self._stop = True
        self._running.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        self._socket.close()
        for trunk in self._trunks:
            trunk.destroy()

    def wait_accepted(self, times=1):
        """Until there were so many more 200 for each, on average."""
        goal = self.accepted + times * len(self.clients)
        wait_for(lambda: self.accepted >= goal or self.faults,
                 "REGISTERs are accepted")
        assert not self.faults, self.faults[:3]

    def wait_refused(self):
        """Until each device has met another 503."""
        goals = [one.refusals + 1 for one in self.clients]
        wait_for(lambda: self.faults or all(
            one.refusals >= goal for one, goal in zip(self.clients, goals)),
            "REGISTERs are refused")
        assert not self.faults, self.faults[:3]

    @contextlib.contextmanager
    def paused(self):
        """Nothing is sent inside; what still comes is taken note of. After it
        all ask at once what was due."""
        self._running.clear()
        time.sleep(0.1)
        yield
        self._running.set()

    def finish(self):
        """No more is begun, and all that was begun is answered."""
        self._ending = True
        wait_for(lambda: self.faults
                 or not any(one.asked for one in self.clients), "all answered")
        assert not self.faults, self.faults[:3]

    def check(self):
        """What was acknowledged is so; of what is under way when it is looked
        at, nobody knows, even if it is answered meanwhile."""
        settled = [one for one in self.clients if not one.asked]
        listed = all_registrations(self._api)
        lost = [one.contact for one in settled
                if one.bound and one.contact not in listed]
        left = [one.contact for one in settled
                if one.bound is False and one.contact in listed]
        assert not lost and not left, (len(lost), lost[:3], len(left), left[:3])

    # The thread

    def _later(self, one, seconds):
        """The one timer a device has."""
        one.timer = next(self._timers)
        heapq.heappush(self._due,
                       (time.monotonic() + seconds, one.timer, one))

    def _work(self):
        while not self._stop:
            running = self._running.is_set()
            if running:
                self._send_due()
            wait_s = 0.05
            if running and self._due:
                wait_s = min(max(self._due[0][0] - time.monotonic(), 0.001),
                             wait_s)
            self._socket.settimeout(wait_s)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            self._on_answer(data.decode())

    def _send_due(self):
        while self._due and self._due[0][0] <= time.monotonic():
            _, timer, one = heapq.heappop(self._due)
            if timer != one.timer:
                continue  # another took its place
            if one.asked:
                self._again(one)
            elif not self._ending:
                self._ask(one, self._random.randrange(LEAVES) > 0)

    def _ask(self, one, bind):
        self._socket.sendto(one.ask(bind), self._to)
        self._later(one, T1_S)

    def _again(self, one):
        asked = one.asked
        if not asked.data:
            self._ask(one, asked.bind)
            return
        if time.monotonic() - asked.began_s > GIVES_UP_S:
            self.faults.append(f"no answer to {asked.data}")
            one.asked = None
            return
        self.ends["again"] += 1
        self._socket.sendto(asked.data, self._to)
        asked.pause_s = min(2 * asked.pause_s, T2_S)
        self._later(one, asked.pause_s)

    def _on_answer(self, text):
        status = int(text[8:11])
        one = self._by_call_id[re.search(r"\r\nCall-ID: (\S+)", text)[1]]
        cseq = int(re.search(r"\r\nCSeq: (\d+)", text)[1])
        asked = one.asked
        if not asked or asked.cseq != cseq or not asked.data:
            return  # of a retransmission
        self.ends[status] += 1
        if status == 200:
            if (f"<{one.contact}>" in text) != asked.bind:
                self.faults.append(f"{asked.data} was answered {text}")
            one.bound = asked.bind
            one.asked = None
            self._later(one, self._random.uniform(0, 2 * PAUSE_S))
        elif status == 401:
            one.challenged(text)
            self._postpone(one, 0)
        elif status == 503 and "\r\nRetry-After: " in text:
            one.refusals += 1
            self._postpone(one, AGAIN_S)
        else:
            self.faults.append(f"{asked.data} was answered {text}")

    def _postpone(self, one, seconds):
        """The same is asked anew, with the next CSeq."""
        one.asked.data = None
        self._later(one, seconds)
