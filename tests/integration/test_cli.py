"""trunkline call: the bus from the command line, beside REST."""

import base64
import json

import pytest

from objects import create, get, minimal


def called(suite, method, arguments):
    done = suite.command("call", method, json.dumps(arguments), "--as=system")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def number_of(provider_id):
    return int(base64.b64decode(provider_id))


def test_get(suite, api):
    made = create(api)
    assert called(suite, "provider.get", {"id": number_of(made)}) == \
        get(api, made) | {"id": number_of(made)}


def test_create(suite, api):
    body = minimal()
    number = called(suite, "provider.create", {"object": body})["id"]
    made = base64.b64encode(str(number).encode()).decode()
    assert body.items() <= get(api, made).items()


def test_list(suite, api):
    body = minimal()
    create(api, body)
    answer = called(suite, "provider.list",
                    {"filter": f"name eq '{body['name']}'"})
    assert [item["name"] for item in answer["items"]] == [body["name"]]


@pytest.mark.parametrize("method, arguments, error", [
    ("provider.get", {"id": 5}, "ERR_NOT_FOUND"),
    ("provider.get", {}, "ERR_MALFORMED"),
    ("provider.create", {"object": {}}, "name: is required"),
    ("registrar.trunk_registration", {"id": 5}, "ERR_NOT_FOUND"),
    ("provider.nope", {}, "ERR_UNKNOWN_METHOD"),
    ("nope.get", {}, "ERR_UNAVAILABLE"),
], ids=str)
def test_error(suite, method, arguments, error):
    done = suite.command("call", method, json.dumps(arguments), "--as=system",
                         "--call_deadline_ms=500")
    assert done.returncode != 0
    assert done.stdout == ""
    assert error in done.stderr
