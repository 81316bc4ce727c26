"""Settings that are tried and not saved: POST /api/providers/test."""

import socket

import pytest

from objects import full

PATH = "/api/providers/test"


@pytest.fixture
def nobody():
    """A TCP port of ours that takes no connections: bound, not listening."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def settings(port, **fields):
    return full(transport="TCP", auth_mode="REGISTER_AUTH", auth_id="auth",
                outbound_server="127.0.0.1", outbound_server_port=port,
                **fields)


def test_nobody_there(api, nobody):
    before = api.get("/api/providers").json()["count"]
    answer = api.post(PATH, json=settings(nobody))
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["ok"] is False
    assert report["failed_stage"] == "connect"
    assert "No connection" in report["diagnosis"]
    assert [step["name"] for step in report["steps"]] == ["resolve", "connect"]
    assert report["steps"][1]["target"] == f"127.0.0.1:{nobody}"
    assert api.get("/api/providers").json()["count"] == before


def test_silence_is_answered_within_the_deadline(api):
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        body = settings(silent.getsockname()[1]) | {"transport": "UDP"}
        answer = api.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["ok"] is False
    assert report["diagnosis"].startswith("No answer within")


def test_validated_as_on_create(api, nobody):
    body = settings(nobody)
    del body["hostname"]
    refused = api.post(PATH, json=body)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["detail"][0]["field"] == "hostname"


def test_a_trunk_that_registers_here(api, nobody):
    body = settings(nobody) | {"auth_mode": "ACCEPT_REGISTER"}
    refused = api.post(PATH, json=body)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["detail"][0]["field"] == "auth_mode"


def test_needs_a_session(suite, nobody):
    answer = suite.session().post(PATH, json=settings(nobody))
    assert answer.status_code == 401
