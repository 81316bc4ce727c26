"""Clients that create and read providers until they are stopped, what they
were told, and whether the database agrees."""

import collections
import http.client
import itertools
import json
import threading
import time

from objects import id_of, minimal
from servers import wait_for

WORKERS = 8

# Far past any deadline of the suite: a call without an answer by then hangs.
HANG_S = 30

# A client that was refused asks again after this.
AGAIN_S = 0.02

# Ends of an attempt that are not a status.
REFUSED = "refused"        # no connection
UNANSWERED = "unanswered"  # the connection ended in place of an answer
CUT = "cut"                # ... or within one
HUNG = "hung"

V22_CODES = {
    502: "BAD_GATEWAY",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

# One try of one call; end: a status or one of the above.
Attempt = collections.namedtuple(
    "Attempt", "verb name keyed end id began_s ended_s fault")

_prefixes = itertools.count(1)


def error_fault(status, headers, body):
    """What is wrong with an error answer; None: nothing."""
    try:
        error, = json.loads(body)["errors"]
        if error["code"] != V22_CODES[status] or not error["message"]:
            return f"{status} says {error}"
    except (ValueError, KeyError, TypeError) as wrong:
        return f"{status}: {wrong!r} in {body!r}"
    if not headers.get("X-Request-Id"):
        return f"{status} without X-Request-Id"
    if status == 503 and not headers.get("Retry-After"):
        return "503 without Retry-After"
    return None


class Link:
    """One keep-alive connection of one client, made again when it ends."""

    def __init__(self, url, token):
        self._address = url.removeprefix("http://")
        self._headers = {"Authorization": f"Bearer {token}",
                         "Content-Type": "application/json"}
        self._connection = None

    def call(self, verb, path, body=None, headers=()):
        """(end, headers, body) of one attempt."""
        try:
            if not self._connection:
                self._connection = http.client.HTTPConnection(
                    self._address, timeout=HANG_S)
                self._connection.connect()
        except ConnectionError:
            return self._ended(REFUSED)
        try:
            self._connection.request(
                verb, path, body, self._headers | dict(headers))
            answer = self._connection.getresponse()
        except TimeoutError:
            return self._ended(HUNG)
        except ConnectionError:
            return self._ended(UNANSWERED)
        except http.client.HTTPException:
            return self._ended(CUT)
        try:
            text = answer.read()
        except TimeoutError:
            return self._ended(HUNG)
        except (ConnectionError, http.client.HTTPException):
            return self._ended(CUT)
        if answer.will_close:
            self.close()
        return answer.status, answer.headers, text

    def close(self):
        if self._connection:
            self._connection.close()
        self._connection = None

    def _ended(self, end):
        self.close()
        return end, {}, b""


class Load:
    """A context: inside it clients are at work. Every second create carries an
    Idempotency-Key and is tried until it is answered 201. Attributes: workers,
    attempts (complete once the context is left), failed (those of them)."""

    def __init__(self, suite, token, workers=WORKERS):
        self.workers = workers
        self._suite = suite
        self._token = token
        self._prefix = f"load{next(_prefixes)}"
        self._stop = threading.Event()
        self._lists = [[] for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._work, args=(i,), daemon=True)
            for i in range(workers)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait_created()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(HANG_S * 2)
            assert not thread.is_alive()

    @property
    def attempts(self):
        return [attempt for one in self._lists for attempt in list(one)]

    @property
    def failed(self):
        return [attempt for attempt in self.attempts
                if attempt.end not in (200, 201)]

    def wait_created(self, more=5):
        """Until each client has that many more creates acknowledged."""
        goals = [self._created(one) + more for one in self._lists]
        wait_for(lambda: all(self._created(one) >= goal for one, goal
                             in zip(self._lists, goals)), "creates succeed")

    def wait_failed(self):
        """Until each client has met a new failure."""
        starts = [len(one) for one in self._lists]
        wait_for(lambda: all(
            any(attempt.end not in (200, 201) for attempt in one[start:])
            for one, start in zip(self._lists, starts)), "calls fail")

    def check(self, allowed, outages):
        """No answer but good ones and those allowed; no failure but of calls
        that were under way during one of the outages (began, ended)."""
        faults = [attempt.fault for attempt in self.attempts if attempt.fault]
        assert not faults, faults[:5]
        strange = [attempt for attempt in self.failed
                   if attempt.end not in allowed]
        assert not strange, strange[:5]
        early_or_late = [
            attempt for attempt in self.failed
            if not any(attempt.began_s <= end and attempt.ended_s >= start
                       for start, end in outages)]
        assert not early_or_late, (early_or_late[:5], outages)

    def check_database(self, never_done=(503, REFUSED)):
        """Every acknowledged create is there once, under its id and name; none
        is there twice; none that was answered never_done alone is there."""
        rows = self._rows()
        tries = collections.defaultdict(list)
        for attempt in self.attempts:
            if attempt.verb == "POST":
                tries[attempt.name].append(attempt)
        assert set(rows) <= set(tries)
        for name, attempts in tries.items():
            ids = {attempt.id for attempt in attempts if attempt.end == 201}
            found = rows.get(name, [])
            said = (name, found, attempts)
            if ids:
                assert list(ids) == [id_of(one) for one in found], said
            elif all(attempt.end in never_done for attempt in attempts):
                assert not found, said
            assert len(found) <= 1, said

    def _rows(self):
        rows = collections.defaultdict(list)
        for row in self._suite.servers.sql(
                "select id, name from provider.providers"
                f" where name like '{self._prefix}-%'"):
            number, name = row.split("|")
            rows[name].append(int(number))
        return rows

    @staticmethod
    def _created(attempts):
        return sum(attempt.end == 201 for attempt in list(attempts))

    def _work(self, worker):
        link = Link(self._suite.url, self._token)
        attempts = self._lists[worker]
        for n in itertools.count():
            if self._stop.is_set():
                break
            created = self._create(link, attempts, f"{worker}-{n}",
                                   keyed=n % 2 == 1)
            if created:
                self._read(link, attempts, created)
        link.close()

    def _create(self, link, attempts, suffix, keyed):
        name = f"{self._prefix}-{suffix}"
        headers = {"Idempotency-Key": name} if keyed else {}
        body = json.dumps(minimal(name=name))
        while True:
            made = self._attempt(link, "POST", "/api/providers", name, body,
                                 headers)
            attempts.append(made)
            if made.end == 201:
                return made
            time.sleep(AGAIN_S)
            if not keyed or self._stop.is_set():
                return None

    def _read(self, link, attempts, created):
        """What was acknowledged is there for those who read it."""
        attempts.append(self._attempt(
            link, "GET", f"/api/providers/{created.id}", created.name))

    @staticmethod
    def _attempt(link, verb, path, name, body=None, headers=()):
        began_s = time.monotonic()
        end, got, text = link.call(verb, path, body, headers)
        ended_s = time.monotonic()
        made, fault = None, None
        if end == 201:
            made = json.loads(text)["id"]
        elif end == 200:
            if json.loads(text)["name"] != name:
                fault = f"{path} is not {name}"
        elif end in V22_CODES:
            fault = error_fault(end, got, text)
        return Attempt(verb, name, bool(headers), end, made, began_s, ended_s,
                       fault)
