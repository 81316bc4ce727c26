"""SIP transports and their certificate (document 004)."""

import subprocess

import pytest

FIELDS = ["id", "protocol", "port", "verification"]


@pytest.fixture
def made(api):
    """Makes transports and destroys them afterwards."""
    ids = []

    def make(**fields):
        answer = api.post("/api/transports", json=fields)
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["id"])
        return ids[-1]

    yield make
    for one in ids:
        api.post(f"/api/transports/{one}/destroy")


@pytest.fixture(scope="module")
def keeper(api):
    """One that stays, so that the others may go."""
    answer = api.post("/api/transports", json={"protocol": "UDP", "port": 5999})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_shapes(api, keeper, made):
    one = made(protocol="TLS", port=5061, verification="OPTIONAL")
    shown = api.get(f"/api/transports/{one}").json()
    assert list(shown) == FIELDS
    assert shown == {"id": one, "protocol": "TLS", "port": 5061,
                     "verification": "OPTIONAL"}
    listed = api.get("/api/transports", params={"filter": "port eq 5061"}).json()
    assert listed == {"count": 1, "items": [shown]}
    assert api.get(f"/api/transports/{made(protocol='TCP', port=5062)}"
                   ).json()["verification"] == "DISABLE"


def test_update(api, keeper, made):
    one = made(protocol="TCP", port=5070)
    path = f"/api/transports/{one}"
    assert api.post(path, json={"port": 5071}).status_code == 200
    assert api.get(path).json()["port"] == 5071
    refused = api.post(path, json={"protocol": "UDP"})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["detail"][0]["field"] == "protocol"
    assert api.post(path + "/destroy").status_code == 204
    assert api.get(path).status_code == 404


@pytest.mark.parametrize("first, second, status", [
    ("UDP", "UDP", 409), ("TCP", "TCP", 409), ("TCP", "TLS", 409),
    ("UDP", "TCP", 201)])
def test_ports(api, keeper, made, first, second, status):
    """TCP and TLS share the ports of TCP; UDP has its own."""
    made(protocol=first, port=5080)
    answer = api.post("/api/transports", json={"protocol": second, "port": 5080})
    assert answer.status_code == status
    if status == 201:
        api.post(f"/api/transports/{answer.json()['id']}/destroy")
    else:
        assert answer.json()["errors"][0]["detail"][0]["field"] == "port"


@pytest.mark.parametrize("field, value", [
    ("protocol", "WSS"), ("protocol", None), ("port", -1), ("port", 65536),
    ("port", "5060"), ("verification", "MAYBE")])
def test_bad_fields(api, keeper, field, value):
    body = {"protocol": "UDP", "port": 5090, field: value}
    answer = api.post("/api/transports", json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["detail"][0]["field"] == field


def test_last_stays(api, keeper):
    for one in api.get("/api/transports").json()["items"]:
        if one["id"] != keeper:
            assert api.post(f"/api/transports/{one['id']}/destroy"
                            ).status_code == 204
    refused = api.post(f"/api/transports/{keeper}/destroy")
    assert refused.status_code == 409
    assert "last transport" in refused.json()["errors"][0]["message"]
    assert api.get(f"/api/transports/{keeper}").status_code == 200


def pair(folder, name):
    crt, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    f"/CN={name}.example", "-days", "2", "-keyout", key,
                    "-out", crt], check=True, capture_output=True)
    return crt.read_text(), key.read_text()


def test_key(api, suite, tmp_path):
    crt, key = pair(tmp_path, "one")
    other_crt, _ = pair(tmp_path, "two")
    assert api.post("/api/key", json={"crt": crt, "key": key}).status_code == 204
    assert api.get("/api/key").json() == {"crt": crt, "key": key}
    for bad, field in [({"crt": other_crt, "key": key}, "key"),
                       ({"crt": "text", "key": key}, "crt"),
                       ({"crt": crt + "-----BEGIN CERTIFICATE-----\nAA\n",
                         "key": key}, "crt"),
                       ({"crt": crt, "key": "text"}, "key"),
                       ({"crt": crt}, "key")]:
        refused = api.post("/api/key", json=bad)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["detail"][0]["field"] == field
    assert api.get("/api/key").json() == {"crt": crt, "key": key}
    stored = suite.servers.sql("select key from transport.key")
    assert "PRIVATE" not in str(stored)
