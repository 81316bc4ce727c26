"""rate_limit: so many calls a minute for each token, and for each address
without one. That a window ends is tests/unit/rate.c's: nobody waits for it
here."""

import concurrent.futures
import itertools
import re
import secrets

import pytest

from objects import error_of
from suite import Suite

LIMIT = 20
WINDOW_S = 60

UNLIMITED = ["/healthz", "/readyz", "/metrics"]

_addresses = itertools.count(1)


@pytest.fixture(scope="module")
def suite():
    made = Suite(rate_limit=LIMIT)
    yield made
    faults = made.end()
    assert not faults, "\n".join(faults)


@pytest.fixture
def address():
    """Nobody else's: it has made no call."""
    return f"127.0.1.{next(_addresses)}"


@pytest.fixture
def stranger(suite, address):
    return suite.session(address=address)


def sign_in(suite, address):
    """A client whose token no call was made with yet."""
    answer = suite.session(address=address).post("/api/auth/sign_in", json={
        "username": suite.admin_name, "password": suite.admin_password})
    assert answer.status_code == 200, answer.text
    return suite.session(answer.json()["access_token"], address)


def ask(client):
    return client.get("/api/auth/user")


def check_limited(answer):
    error = error_of(answer, 429, "RATE_LIMITED")
    assert error["message"] == "too many requests"
    assert 1 <= int(answer.headers["Retry-After"]) <= WINDOW_S
    assert answer.headers["X-Request-Id"]


def statuses(client, count=LIMIT, path="/api/auth/user"):
    """Of calls one after the other, each once."""
    return {client.get(path).status_code for _ in range(count)}


def use_up(client):
    """All an address has, before sign-in."""
    assert statuses(client, path="/api/info") == {200}
    check_limited(client.get("/api/info"))


def limited_total(suite):
    (value,) = re.findall(
        r'^trunkline_rate_limited_total{service="gateway"} (\d+)$',
        suite.session().get("/metrics").text, re.MULTILINE)
    return int(value)


def test_token(suite, address):
    client, other = sign_in(suite, address), sign_in(suite, address)
    assert statuses(client) == {200}
    check_limited(ask(client))
    check_limited(client.post("/api/providers", json={}))
    check_limited(ask(suite.session(client.token)))  # from elsewhere
    assert statuses(other) == {200}
    check_limited(ask(other))
    assert suite.session(address=address).get("/api/info").status_code == 200


def test_address(suite, stranger):
    use_up(stranger)
    check_limited(ask(stranger))
    check_limited(stranger.get("/api/openapi.json"))
    check_limited(stranger.get("/api/nothing"))
    check_limited(stranger.delete("/api/info"))
    assert suite.stranger().get("/api/info").status_code == 200


@pytest.mark.parametrize("path, status", [
    ("/api/auth/user", 401), ("/api/openapi.json", 200), ("/api/nothing", 404),
    ("/nothing", 404)])
def test_what_counts_on_an_address(stranger, path, status):
    assert statuses(stranger, path=path) == {status}
    check_limited(stranger.get(path))
    check_limited(stranger.get("/api/info"))


@pytest.mark.parametrize("path", UNLIMITED)
def test_probes_are_not_limited(stranger, path):
    use_up(stranger)
    assert statuses(stranger, 2 * LIMIT, path) == {200}


@pytest.mark.parametrize("path", UNLIMITED)
def test_probes_do_not_count(stranger, path):
    assert statuses(stranger, 2 * LIMIT, path) == {200}
    use_up(stranger)


def test_sign_in_counts_on_the_address(suite, stranger):
    for _ in range(LIMIT):
        error_of(stranger.post("/api/auth/sign_in", json={}), 400,
                 "VALIDATE_FAILED")
    check_limited(stranger.post("/api/auth/sign_in", json={
        "username": suite.admin_name, "password": suite.admin_password}))
    check_limited(stranger.post("/api/auth/refresh_token", json={}))


def test_flood_does_not_touch_who_is_signed_in(suite, stranger, address):
    client, new = sign_in(suite, address), sign_in(suite, address)
    assert ask(client).status_code == 200
    while stranger.get("/api/info").status_code == 200:
        pass
    assert statuses(client, LIMIT - 1) == {200}
    # One the gateway has not seen is refused with the flood; not elsewhere,
    # and once seen no more.
    check_limited(ask(new))
    assert ask(suite.session(new.token)).status_code == 200
    assert statuses(new, LIMIT - 1) == {200}


def test_good_tokens_do_not_count_on_the_address(suite, address):
    client = sign_in(suite, address)
    assert statuses(client) == {200}
    # All but the sign-in is left.
    stranger = suite.session(address=address)
    assert statuses(stranger, LIMIT - 1, "/api/info") == {200}
    check_limited(stranger.get("/api/info"))


def test_made_up_tokens_count_on_the_address(suite, stranger, address):
    for _ in range(LIMIT):
        answer = ask(suite.session(secrets.token_urlsafe(36), address))
        error_of(answer, 401, "UNAUTHORIZED")
    check_limited(ask(suite.session(secrets.token_urlsafe(36), address)))
    check_limited(stranger.get("/api/info"))


def test_ended_session_counts_on_the_address(suite, stranger, address):
    client = sign_in(suite, address)
    assert client.post("/api/auth/sign_out").status_code < 300
    # The sign-in was one.
    assert statuses(client, LIMIT - 1) == {401}
    check_limited(ask(client))
    check_limited(stranger.get("/api/info"))


@pytest.mark.parametrize("known", [True, False])
def test_calls_at_once(suite, address, known):
    """Exactly as many as are allowed, whoever of them is proved first."""
    token = sign_in(suite, address).token
    if known:
        assert ask(suite.session(token)).status_code == 200

    def one(_):
        with suite.session(token) as client:
            return ask(client).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = list(pool.map(one, range(3 * LIMIT)))
    assert got.count(200) == LIMIT - known
    assert got.count(429) == 3 * LIMIT - got.count(200)


def test_made_up_tokens_at_once(suite, address):
    def one(_):
        with suite.session(secrets.token_urlsafe(36), address) as client:
            return ask(client).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = list(pool.map(one, range(3 * LIMIT)))
    assert got.count(401) == LIMIT
    assert got.count(429) == 2 * LIMIT


def test_refused_calls_are_told_to_prometheus(suite, stranger):
    before = limited_total(suite)
    use_up(stranger)
    assert limited_total(suite) == before + 1
    ask(suite.stranger())
    assert limited_total(suite) == before + 1


def test_another_gateway_process_starts_anew(suite, stranger):
    use_up(stranger)
    suite.stop("gateway")
    suite.start("gateway")
    suite.wait_ready()
    use_up(stranger)
