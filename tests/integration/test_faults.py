"""Parts of the running suite are killed, stopped, restarted and lied to under
load: what was acknowledged stays, nothing happens twice, and clients see errors
only while the part is away."""

import contextlib
import socket
import struct
import time

import pytest

from load import CUT, REFUSED, UNANSWERED, Link, Load, error_fault, provider
from servers import wait_for
from suite import Suite

# What a call waits for its service: soon over where a test waits for it.
DEADLINE_S = 3

# How often a service is killed: at different points of its work.
KILLS = 4


@pytest.fixture(scope="module")
def suite():
    """One of our own: its parts are away again and again."""
    made = Suite(call_deadline_ms=DEADLINE_S * 1000)
    yield made
    faults = made.end()
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="module")
def token(suite):
    return suite.sign_in().headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture
def api(suite, token):
    with suite.session(token) as client:
        yield client


@pytest.fixture(autouse=True)
def same_gateway(suite, request):
    """Faults of others do not end the gateway."""
    before = suite.pid("gateway")
    yield
    suite.wait_ready()
    if not request.node.get_closest_marker("ends_gateway"):
        assert suite.pid("gateway") == before


@contextlib.contextmanager
def outage(suite, outages):
    """What is taken away inside is there again inside."""
    began = time.monotonic()
    yield
    suite.wait_ready()
    outages.append((began, time.monotonic()))


def metric(suite, name, process="gateway"):
    """The value of one metric of one process."""
    for line in suite.session().get("/metrics").text.splitlines():
        if line.startswith(f"trunkline_{name}"):
            pass
    raise AssertionError(name)
