"""A restart of the registrar is none of the carriers' business: what is
registered stays so, and nothing is sent before it is due."""

import concurrent.futures
import re
import time

import pytest

from objects import minimal, path_of, unique
from responder import Responder
from servers import wait_for
from suite import Suite

TRUNKS = 1000

# Requests to one destination are paced: several carriers, or it takes long.
CARRIERS = 5

# Connections the trunks are made over.
CLIENTS = 4

# No REGISTER within this of a restart.
QUIET_S = 30


@pytest.fixture(scope="module")
def crowd():
    """A suite of its own: its trunks go with it."""
    made = Suite(access_log="false")
    yield made
    faults = made.end()
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="module")
def carriers():
    made = [Responder() for _ in range(CARRIERS)]
    yield made
    for one in made:
        one.end()


def registers(carriers):
    return sum(one.registers.total() for one in carriers)


@pytest.fixture(scope="module")
def trunks(crowd, carriers):
    """Their ids, once each has registered."""
    def create(client, numbers):
        return [made(client, carriers[number % CARRIERS].port)
                for number in numbers]

    def made(client, port):
        answer = client.post("/api/providers", json=minimal(
            auth_mode="REGISTER_AUTH", auth_id=unique("crowd"),
            password="s3cret-Of-The-Crowd", outbound_server="127.0.0.1",
            outbound_server_port=port, keep_alive=False,
            register_interval=3600))
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as threads:
        done = [threads.submit(create, crowd.sign_in(),
                               range(first, TRUNKS, CLIENTS))
                for first in range(CLIENTS)]
        ids = [trunk for each in done for trunk in each.result()]
    wait_for(lambda: registers(carriers) >= TRUNKS, "all have registered")
    wait_for(lambda: online(crowd) == TRUNKS, "all are known to be")
    return ids


def online(crowd):
    """How many trunks the registrar says it has registered."""
    text = crowd.session().get("/metrics").text
    said = re.search(r'^trunkline_outbound_trunks_online{[^}]*'
                     r'service="registrar"[^}]*} (\d+)$', text, re.M)
    return int(said[1]) if said else 0


@pytest.mark.parametrize("end", ["kill9", "stop"])
def test_nothing_is_sent(crowd, carriers, trunks, end):
    before = registers(carriers)
    getattr(crowd, end)("registrar")
    crowd.start("registrar")
    began_s = time.monotonic()
    crowd.wait_ready()
    wait_for(lambda: online(crowd) == TRUNKS, "all are registered still")
    client = crowd.sign_in()
    for trunk in trunks[::TRUNKS // 10]:
        known = client.get(path_of(trunk, "/registration")).json()
        assert (known["status"], known["state"]) == ("ONLINE", "registered")
    # The wait itself is what is promised.
    while time.monotonic() < began_s + QUIET_S:
        assert registers(carriers) == before
        time.sleep(0.1)
