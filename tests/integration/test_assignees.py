"""Whom trunks are assigned to, whose DID numbers are, and what tenants see and
may do of trunks."""

import base64
import concurrent.futures
import contextlib
import csv
import io
import itertools
import json
import random
import socket

import pytest

from objects import (
    TENANT_AUTH_MODES, broken_fields, create, error_of, get, id_of, minimal,
    path_of, unique, update)
from people import (
    as_tenant, destroy_tenant, make_tenant, make_user, sign_in_dealer,
    sign_in_user)

UNKNOWN_ID = id_of(42)

_pools = itertools.count(100)


def pool():
    """A pool no other test has a number of: ten numbers."""
    first = next(_pools) * 1000
    return f"{first}-{first + 9}"


def own(**changes):
    """The body of a tenant's own trunk."""
    return minimal(auth_mode="REGISTER_AUTH", auth_id=unique("auth"),
                   did_numbers=pool()) | changes


def assignee_path(provider, tenant, tail=""):
    return path_of(provider, f"/assignees/{tenant.id}{tail}")


def assign(api, provider, tenant, did_numbers, **more):
    return api.post(assignee_path(provider, tenant),
                    json={"did_numbers": did_numbers} | more)


def assigned(api, provider, tenant, did_numbers, **more):
    answer = assign(api, provider, tenant, did_numbers, **more)
    assert (answer.status_code, answer.content) == (204, b""), answer.text


def unassign(api, provider, tenant):
    return api.post(assignee_path(provider, tenant, "/destroy"))


def assignees(api, provider):
    answer = api.get(path_of(provider, "/assignees"))
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["items"]
    return answer.json()["items"]


def number_of(object_id):
    """The database id of a v22 id."""
    return int(base64.b64decode(object_id))


@pytest.fixture(scope="module")
def tenants(api):
    return [make_tenant(api) for _ in range(3)]


@pytest.fixture(scope="module")
def sessions(suite, tenants):
    """Of each tenant a client that acts as its administrator."""
    return [as_tenant(suite, tenant) for tenant in tenants]


@pytest.fixture(scope="module")
def crowd(api):
    return [make_tenant(api) for _ in range(16)]


@pytest.fixture
def trunk(api):
    """A trunk of the system."""
    return create(api, minimal(did_numbers="1000-9999", concurrency=30))


# Assignments


def test_assigned_changed_removed(api, trunk, tenants):
    tenant = tenants[0]
    assert assignees(api, trunk) == []
    assigned(api, trunk, tenant, " 3000 ; 4000 - 4100 ", concurrency=5)
    item = {"did_numbers": "3000;4000-4100", "concurrency": 5}
    assert api.get(assignee_path(trunk, tenant)).json() == item
    assert assignees(api, trunk) == [{"tenant_id": tenant.id} | item]
    # What is left out of a change stays.
    assigned(api, trunk, tenant, "3001")
    item = {"did_numbers": "3001", "concurrency": 5}
    assert api.get(assignee_path(trunk, tenant)).json() == item
    assigned(api, trunk, tenant, "3001", concurrency=None)
    assert api.get(assignee_path(trunk, tenant)).json()["concurrency"] == 0
    answer = unassign(api, trunk, tenant)
    assert (answer.status_code, answer.content) == (204, b"")
    assert assignees(api, trunk) == []
    error_of(api.get(assignee_path(trunk, tenant)), 404, "NOT_FOUND")
    error_of(unassign(api, trunk, tenant), 404, "NOT_FOUND")


def test_assigned_without_concurrency(api, trunk, tenants):
    assigned(api, trunk, tenants[0], "3000")
    assert assignees(api, trunk)[0]["concurrency"] == 0


def test_trunk_version_rises(api, trunk, tenants):
    tags = [api.get(path_of(trunk)).headers["ETag"]]
    for change in [lambda: assign(api, trunk, tenants[0], "3000"),
                   lambda: assign(api, trunk, tenants[0], "3001"),
                   lambda: unassign(api, trunk, tenants[0])]:
        assert change().status_code == 204
        tags.append(api.get(path_of(trunk)).headers["ETag"])
    numbers = [int(tag.strip('"')) for tag in tags]
    assert numbers == list(range(numbers[0], numbers[0] + 4))


@pytest.mark.parametrize("verb, tail", [
    ("get", ""), ("post", ""), ("post", "/destroy")])
@pytest.mark.parametrize("which", ["provider", "tenant", "malformed"])
def test_unknown(api, trunk, tenants, verb, tail, which):
    provider = UNKNOWN_ID if which == "provider" else trunk
    tenant = {"provider": tenants[0].id, "tenant": UNKNOWN_ID,
              "malformed": "malformed"}[which]
    body = {"json": {"did_numbers": "3000"}} if verb == "post" and not tail \
        else {}
    error_of(getattr(api, verb)(
        path_of(provider, f"/assignees/{tenant}{tail}"), **body),
        404, "NOT_FOUND")


def test_assignees_of_an_unknown_trunk(api):
    error_of(api.get(path_of(UNKNOWN_ID, "/assignees")), 404, "NOT_FOUND")


@pytest.mark.parametrize("body, field", [
    ({}, "did_numbers"), ({"did_numbers": None}, "did_numbers"),
    ({"did_numbers": ""}, "did_numbers"),
    ({"did_numbers": " ; "}, "did_numbers"),
    ({"did_numbers": "0100"}, "did_numbers"),
    ({"did_numbers": "+100"}, "did_numbers"),
    ({"did_numbers": 100}, "did_numbers"),
    ({"did_numbers": "200-100"}, "did_numbers"),
    ({"did_numbers": "100;50-60;100"}, "did_numbers"),
    ({"did_numbers": "100-200;150-160"}, "did_numbers"),
    ({"did_numbers": "100-200;200-300"}, "did_numbers"),
    ({"did_numbers": "3000", "concurrency": -1}, "concurrency"),
    ({"did_numbers": "3000", "nope": 1}, "nope"),
], ids=str)
def test_bad_assignment(api, trunk, tenants, body, field):
    answer = api.post(assignee_path(trunk, tenants[0]), json=body)
    assert broken_fields(answer) == [field]
    assert assignees(api, trunk) == []


def test_overlap_within_a_pool_is_named(api, trunk, tenants):
    error = error_of(assign(api, trunk, tenants[0], "3000;100-200;150-160"),
                     400, "VALIDATE_FAILED")
    assert error["detail"] == [{
        "field": "did_numbers",
        "reason": "150-160 overlaps 100-200 of the same pool"}]


@pytest.mark.parametrize("did_numbers", ["100;100", "5-9;7"])
def test_overlap_within_the_pool_of_a_trunk(api, did_numbers):
    answer = api.post("/api/providers",
                      json=minimal(did_numbers=did_numbers))
    assert broken_fields(answer) == ["did_numbers"]
    made = create(api)
    assert broken_fields(update(api, made, {"did_numbers": did_numbers})) == [
        "did_numbers"]


# Overlap


TAKEN = "1000-2000;5555"


@pytest.mark.parametrize("did_numbers, mine, theirs", [
    ("2000-3000", "2000-3000", "1000-2000"),  # ends count
    ("2000", "2000", "1000-2000"), ("1000", "1000", "1000-2000"),
    ("1500", "1500", "1000-2000"), ("1100-1200", "1100-1200", "1000-2000"),
    ("3000;1000-2000", "1000-2000", "1000-2000"),
    ("5000-6000", "5000-6000", "5555"), ("5555", "5555", "5555")])
def test_overlap(api, trunk, tenants, did_numbers, mine, theirs):
    assigned(api, trunk, tenants[0], TAKEN)
    error = error_of(assign(api, trunk, tenants[1], did_numbers), 409,
                     "DID_OVERLAP")
    text = f"{mine} overlaps {theirs} of tenant {tenants[0].name}"
    assert error["message"] == text
    assert error["detail"] == [{"field": "did_numbers", "reason": text}]
    # Nothing of it happened, on a change neither.
    assert len(assignees(api, trunk)) == 1
    assigned(api, trunk, tenants[1], "7000")
    error_of(assign(api, trunk, tenants[1], did_numbers), 409, "DID_OVERLAP")
    assert api.get(assignee_path(trunk, tenants[1])).json()[
        "did_numbers"] == "7000"


@pytest.mark.parametrize("did_numbers", [
    "2001-3000", "999", "100", "10000-20000", "15555", "5554;5556"])
def test_no_overlap(api, trunk, tenants, did_numbers):
    assigned(api, trunk, tenants[0], TAKEN)
    assigned(api, trunk, tenants[1], did_numbers)


def test_same_numbers_on_another_trunk(api, trunk, tenants):
    assigned(api, trunk, tenants[0], TAKEN)
    assigned(api, create(api), tenants[1], TAKEN)


def test_own_numbers_are_no_overlap(api, trunk, tenants):
    assigned(api, trunk, tenants[0], TAKEN)
    assigned(api, trunk, tenants[0], "1500-5600")


def test_freed_numbers(api, trunk, tenants):
    assigned(api, trunk, tenants[0], TAKEN)
    assigned(api, trunk, tenants[0], "1000-1499")
    assigned(api, trunk, tenants[1], "1500-2000")
    unassign(api, trunk, tenants[0])
    assigned(api, trunk, tenants[2], "1000-1499;5555")


@contextlib.contextmanager
def two_providers(suite):
    """The gateway asks two provider processes in turn."""
    names = ["provider", "provider.2"]
    addresses = [f"ipc://{suite.state}/provider{i}.sock" for i in (1, 2)]
    for name in ("gateway", "provider"):
        suite.stop(name)
    for name, address in zip(names, addresses):
        suite.start(name, listen=address)
    suite.start("gateway", provider_address=",".join(addresses))
    suite.wait_ready()
    try:
        yield
    finally:
        for name in ["gateway"] + names:
            suite.stop(name)
        for name in ("provider", "gateway"):
            suite.start(name)
        suite.wait_ready()


def race(suite, token, provider, tenants):
    """64 clients want numbers of one trunk at once; how many times one got
    them."""
    def client(number):
        session = suite.session(token)
        wishes = random.Random(number)
        won = 0
        for _ in range(6):
            first = wishes.randrange(1000, 1400)
            answer = assign(session, provider, tenants[number % len(tenants)],
                            f"{first}-{first + wishes.randrange(40)}")
            if answer.status_code == 204:
                won += 1
            else:
                assert "overlaps" in error_of(answer, 409,
                                              "DID_OVERLAP")["message"]
        return won

    with concurrent.futures.ThreadPoolExecutor(64) as clients:
        return sum(clients.map(client, range(64)))


@pytest.mark.parametrize("processes", [1, 2])
def test_many_at_once(suite, api, trunk, crowd, processes):
    with two_providers(suite) if processes == 2 else contextlib.nullcontext():
        won = race(suite, api.token, trunk, crowd)
    assert 0 < won < 64 * 6
    there = assignees(api, trunk)
    numbers = {}
    for item in there:
        first, _, last = item["did_numbers"].partition("-")
        for number in range(int(first), int(last or first) + 1):
            assert numbers.setdefault(number, item) is item
    kept = suite.servers.sql(
        "select count(*), count(distinct tenant_id) from provider.did_ranges"
        f" where provider_id = {number_of(trunk)} and tenant_id is not null")
    assert kept == [f"{len(there)}|{len(there)}"]


# What tenants see


@pytest.fixture(scope="module")
def shown(api, tenants):
    """A trunk assigned to two of the three tenants."""
    made = create(api, minimal(name=unique("shown"), did_numbers="1000-9999",
                               concurrency=30, brand=unique("Shown")))
    assigned(api, made, tenants[0], "3000-3099", concurrency=3)
    assigned(api, made, tenants[1], "4000-4099", concurrency=4)
    return made


def found(session, **options):
    """The ids of a list's items, and its count."""
    answer = session.get("/api/providers", params=options)
    assert answer.status_code == 200, answer.text
    ids = [item["id"] for item in answer.json()["items"]]
    return ids, answer.json()["count"]


def test_an_assigned_trunk(api, shown, sessions):
    whole = get(api, shown)
    for session, pool_of, concurrency in [(sessions[0], "3000-3099", 3),
                                          (sessions[1], "4000-4099", 4)]:
        assert get(session, shown) == whole | {
            "did_numbers": pool_of, "concurrency": concurrency}
        assert get(session, shown)["shared"] is True


def test_a_trunk_of_others(api, shown, sessions):
    session = sessions[2]
    for answer in [session.get(path_of(shown)),
                   update(session, shown, {"port": 1}),
                   session.post(path_of(shown, "/destroy")),
                   session.get(path_of(shown, "/status")),
                   session.get(path_of(shown, "/registration")),
                   session.post(path_of(shown, "/register"))]:
        error_of(answer, 404, "NOT_FOUND")
    assert shown not in found(session)[0]


def test_an_assigned_trunk_is_not_changed(api, shown, sessions):
    before = get(api, shown)
    for answer in [update(sessions[0], shown, {"port": 1}),
                   update(sessions[0], shown, {}),
                   sessions[0].post(path_of(shown, "/destroy")),
                   sessions[0].post(path_of(shown, "/register"))]:
        error_of(answer, 403, "FORBIDDEN")
    assert get(api, shown) == before


def test_a_list_has_the_own_pool(api, shown, sessions):
    name = get(api, shown)["name"]
    answer = sessions[0].get("/api/providers",
                             params={"filter": f"name eq '{name}'"})
    (item,) = answer.json()["items"]
    assert (item["id"], item["did_numbers"]) == (shown, "3000-3099")
    assert answer.json()["count"] == 1


@pytest.mark.parametrize("expression, there", [
    ("did_numbers eq '3000-3099'", True),
    ("did_numbers eq '1000-9999'", False),
    ("startswith(did_numbers,'1')", False),
    ("contains(did_numbers,'4000')", False),
    ("concurrency eq 3", True), ("concurrency gt 3", False),
    ("shared eq true", True), ("shared eq false", False)])
def test_a_filter_asks_the_own_pool(api, shown, sessions, expression, there):
    brand = get(api, shown)["brand"]
    ids, count = found(sessions[0],
                       filter=f"brand eq '{brand}' and ({expression})")
    assert (ids, count) == (([shown], 1) if there else ([], 0))


@pytest.mark.parametrize("text, there", [("3000-3099", True),
                                         ("1000-9999", False),
                                         ("4000-4099", False)])
def test_a_search_asks_the_own_pool(shown, sessions, text, there):
    ids, _ = found(sessions[0], search=text)
    assert (shown in ids) == there


def test_an_order_asks_the_own_concurrency(api, sessions, tenants):
    brand = unique("Order")
    first, second = (create(api, minimal(brand=brand, concurrency=n))
                     for n in (1, 2))
    assigned(api, first, tenants[0], "3000", concurrency=9)
    assigned(api, second, tenants[0], "3000", concurrency=8)
    ids, _ = found(sessions[0], filter=f"brand eq '{brand}'",
                   orderby="concurrency")
    assert ids == [second, first]


def test_an_export_has_the_own_pool(api, shown, sessions):
    name = get(api, shown)["name"]
    answer = sessions[0].get("/api/providers/export",
                             params={"filter": f"name eq '{name}'"})
    assert answer.status_code == 200
    (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
    assert (row["did_numbers"], row["concurrency"]) == ("3000-3099", "3")


def test_status_and_registration(api, shown, sessions):
    for session in [api, sessions[0]]:
        answer = session.get(path_of(shown, "/status"))
        assert answer.json()["status"] in ("ONLINE", "OFFLINE")
        # An IP_AUTH trunk; what is said of it is the registrar's matter.
        assert session.get(path_of(shown, "/registration")).status_code in (
            200, 409, 503)


def test_etag_of_an_assigned_trunk(api, trunk, tenants, sessions):
    tags = set()
    for did_numbers in ["3000", "3001", "3000", None, "3000"]:
        if did_numbers is None:
            unassign(api, trunk, tenants[0])
            continue
        assigned(api, trunk, tenants[0], did_numbers)
        tags.add(sessions[0].get(path_of(trunk)).headers["ETag"])
    assert len(tags) == 4  # each its own, "3000" again too


def test_removal_leaves_the_others(api, trunk, tenants, sessions):
    gone, stays = pool(), pool()
    assigned(api, trunk, tenants[0], gone)
    assigned(api, trunk, tenants[1], stays)
    number = gone.split("-")[0]
    assert len(holders(sessions[0], number)) == 1
    assert unassign(api, trunk, tenants[0]).status_code == 204
    error_of(sessions[0].get(path_of(trunk)), 404, "NOT_FOUND")
    error_of(sessions[0].get(f"/api/dids/{number}"), 404, "NOT_FOUND")
    assert get(sessions[1], trunk)["did_numbers"] == stays
    assert len(holders(sessions[1], stays.split("-")[0])) == 1


def test_an_assigned_trunk_stays(api, trunk, tenants):
    assigned(api, trunk, tenants[0], "3000")
    error = error_of(api.post(path_of(trunk, "/destroy")), 409, "IN_USE")
    assert error["message"] == "the trunk is assigned to tenants"
    unassign(api, trunk, tenants[0])
    assert api.post(path_of(trunk, "/destroy")).status_code == 204


# Who may what


def test_only_the_system_assigns(api, shown, tenants, sessions):
    path = assignee_path(shown, tenants[0])
    for answer in [sessions[0].get(path_of(shown, "/assignees")),
                   sessions[0].get(path),
                   sessions[0].post(path, json={"did_numbers": "3000"}),
                   sessions[0].post(path + "/destroy")]:
        error_of(answer, 403, "FORBIDDEN")


def test_a_queue_manager(suite, api, shown, tenants):
    session, _ = sign_in_user(suite, tenants[0], role="QueueManager")
    assert get(session, shown)["did_numbers"] == "3000-3099"
    assert shown in found(session)[0]
    assert session.get(path_of(shown, "/status")).status_code == 200
    for answer in [session.post("/api/providers", json=own()),
                   update(session, shown, {"port": 1}),
                   session.post(path_of(shown, "/destroy")),
                   session.post(path_of(shown, "/register")),
                   session.post("/api/providers/test", json=own()),
                   session.get("/api/dids/3000")]:
        error_of(answer, 403, "FORBIDDEN")


def test_a_user(suite, shown, tenants):
    session, _ = sign_in_user(suite, tenants[0])
    for answer in [session.get("/api/providers"), session.get(path_of(shown)),
                   session.get(path_of(shown, "/status")),
                   session.get("/api/dids/3000")]:
        error_of(answer, 403, "FORBIDDEN")


def test_a_dealer(suite, api, shown):
    session, _ = sign_in_dealer(suite, api)
    for answer in [session.get("/api/providers"), session.get(path_of(shown)),
                   session.get("/api/dids/3000")]:
        error_of(answer, 403, "FORBIDDEN")


def test_a_tenants_administrator(suite, shown, tenants):
    session, _ = sign_in_user(suite, tenants[0], role="Admin")
    assert get(session, shown)["did_numbers"] == "3000-3099"
    assert get(session, create(session, own()))["shared"] is False


# Own trunks


def test_an_own_trunk(api, sessions):
    body = own()
    made = create(sessions[0], body)
    for session in [sessions[0], api]:
        answer = get(session, made)
        assert {name: answer[name] for name in body} == body
        assert answer["shared"] is False
        assert made in found(session, filter=f"name eq '{body['name']}'")[0]
    for session in sessions[1:]:
        error_of(session.get(path_of(made)), 404, "NOT_FOUND")
        error_of(update(session, made, {"port": 1}), 404, "NOT_FOUND")
        assert found(session, filter=f"name eq '{body['name']}'") == ([], 0)
    assert update(sessions[0], made, {"port": 5099}).status_code == 200
    assert get(api, made)["port"] == 5099
    assert sessions[0].get(path_of(made, "/status")).status_code == 200
    assert sessions[0].post(path_of(made, "/destroy")).status_code == 204
    error_of(api.get(path_of(made)), 404, "NOT_FOUND")


@pytest.mark.parametrize("mode", TENANT_AUTH_MODES)
def test_modes_of_own_trunks(sessions, mode):
    made = create(sessions[0], own(auth_mode=mode))
    assert get(sessions[0], made)["auth_mode"] == mode
    assert sessions[0].get(path_of(made, "/status")).json() == {
        "status": "OFFLINE"}


@pytest.mark.parametrize("changes, fields", [
    ({"auth_mode": "IP_AUTH"}, ["auth_mode"]),
    ({"auth_mode": None, "auth_id": None}, ["auth_mode"]),
    ({"did_numbers": None}, ["did_numbers"]),
    ({"did_numbers": ""}, ["did_numbers"]),
    ({"did_numbers": " ;", "auth_mode": "IP_AUTH"},
     ["auth_mode", "did_numbers"])], ids=str)
def test_bad_own_trunk(sessions, changes, fields):
    for path in ["/api/providers", "/api/providers/test"]:
        answer = sessions[0].post(path, json=own(**changes))
        assert broken_fields(answer) == fields


def test_settings_are_tried(sessions):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = sessions[0].post("/api/providers/test", json=own(
            transport="TCP", outbound_server="127.0.0.1",
            outbound_server_port=taken.getsockname()[1]))
    assert answer.status_code == 200, answer.text
    assert answer.json()["failed_stage"] == "connect"


def test_own_pool_stays(sessions):
    made = create(sessions[0], own())
    assert broken_fields(update(sessions[0], made, {"did_numbers": None})) == [
        "did_numbers"]
    assert update(sessions[0], made,
                  {"did_numbers": "77;88"}).status_code == 200


def test_an_own_trunk_is_not_assigned(api, sessions, tenants):
    made = create(sessions[0], own())
    for tenant in tenants:
        error_of(assign(api, made, tenant, "3000"), 409, "CONFLICT")


def test_host_and_auth_id_of_another_tenant(sessions):
    body = own()
    create(sessions[0], body)
    error = error_of(sessions[1].post("/api/providers", json=own(
        hostname=body["hostname"], auth_id=body["auth_id"])), 409, "CONFLICT")
    assert error["message"] == "another trunk has this hostname and auth_id"
    create(sessions[1], own(auth_mode="TEAMS", hostname=body["hostname"],
                            auth_id=body["auth_id"]))


def test_a_hostname_that_is_a_domain(api, tenants, sessions):
    for session, domain in [(api, tenants[1].domain),
                            (sessions[0], tenants[1].domain.upper())]:
        error = error_of(session.post("/api/providers", json=own(
            auth_mode="ACCEPT_REGISTER", hostname=domain)), 409, "CONFLICT")
        assert [detail["field"] for detail in error["detail"]] == ["hostname"]
    made = create(api, own(auth_mode="ACCEPT_REGISTER"))
    error_of(update(api, made, {"hostname": tenants[1].domain}), 409,
             "CONFLICT")
    create(api, own(hostname=tenants[1].domain))


@pytest.mark.parametrize("change", [{"enable_feature_trunks": False},
                                    {"enabled": False}], ids=str)
def test_without_the_feature(suite, api, change):
    tenant = make_tenant(api)
    session = as_tenant(suite, tenant)
    made = create(session, own())
    answer = api.post(f"/api/tenants/{tenant.id}", json=change)
    assert answer.status_code == 200, answer.text
    if "enabled" in change:
        # What the system does for it stays possible.
        shared = create(api)
        assigned(api, shared, tenant, "3000")
    session = as_tenant(suite, tenant)
    for answer in [session.post("/api/providers", json=own()),
                   update(session, made, {"port": 1}),
                   session.post(path_of(made, "/destroy")),
                   session.post(path_of(made, "/register")),
                   session.post("/api/providers/test", json=own())]:
        error_of(answer, 403, "FORBIDDEN")
    assert get(session, made)["id"] == made


# DID numbers


def holders(session, number):
    answer = session.get(f"/api/dids/{number}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["number"] == str(number)
    return answer.json()["items"]


def test_dids(api, tenants, sessions):
    number = int(pool().split("-")[0])
    first, second = (create(api, minimal(
        did_numbers=f"{number}-{number + 9}")) for _ in range(2))
    mine = create(sessions[2], own(did_numbers=f"{number + 5}"))
    assigned(api, first, tenants[0], f"{number}-{number + 4}")
    assigned(api, first, tenants[1], f"{number + 5}")

    def holder(provider, tenant, did_numbers):
        return {"provider_id": provider, "tenant_id": tenant and tenant.id,
                "did_numbers": did_numbers}

    whole = f"{number}-{number + 9}"
    low = holder(first, tenants[0], f"{number}-{number + 4}")
    high = holder(first, tenants[1], f"{number + 5}")
    theirs = holder(mine, tenants[2], f"{number + 5}")
    free = holder(second, None, whole)
    assert holders(api, number) == [low, free]
    assert holders(api, number + 5) == [high, free, theirs]
    assert holders(api, number + 6) == [holder(first, None, whole), free]
    assert holders(sessions[0], number + 4) == [low]
    assert holders(sessions[1], number + 5) == [high]
    assert holders(sessions[2], number + 5) == [theirs]
    for session, number_asked in [(sessions[0], number + 5),
                                  (sessions[0], number + 6),
                                  (sessions[1], number),
                                  (api, number + 10)]:
        error_of(session.get(f"/api/dids/{number_asked}"), 404, "NOT_FOUND")


def test_dids_follow_the_pool(api):
    number = int(pool().split("-")[0])
    made = create(api, minimal(did_numbers=str(number)))
    assert holders(api, number)
    assert update(api, made, {"did_numbers": None}).status_code == 200
    error_of(api.get(f"/api/dids/{number}"), 404, "NOT_FOUND")
    assert update(api, made, {"did_numbers": str(number)}).status_code == 200
    assert holders(api, number)
    assert api.post(path_of(made, "/destroy")).status_code == 204
    error_of(api.get(f"/api/dids/{number}"), 404, "NOT_FOUND")


@pytest.mark.parametrize("number", ["0100", "+49", "abc", "1" * 19, "1-2",
                                    "%20", "1;2"])
def test_bad_did(api, number):
    assert broken_fields(api.get(f"/api/dids/{number}")) == ["number"]


# Numbers in use


def test_a_number_in_use(suite, api, trunk, tenants, sessions):
    assigned(api, trunk, tenants[0], "3000-3005")
    body = {"outbound_caller_ids": [
        {"provider_id": trunk, "caller_id": "3003"}]}
    user = make_user(sessions[0], **body)
    for answer in [unassign(api, trunk, tenants[0]),
                   assign(api, trunk, tenants[0], "3000-3002")]:
        error = error_of(answer, 409, "IN_USE")
        assert error["message"] == (
            f"3003 is a caller id of extension {user.extension_number}")
    assigned(api, trunk, tenants[0], "3003")
    answer = sessions[0].post(f"/api/users/{user.id}/destroy")
    assert answer.status_code == 204
    assert unassign(api, trunk, tenants[0]).status_code == 204


def test_a_number_of_an_own_trunk_in_use(sessions):
    made = create(sessions[0], own(did_numbers="77;78"))
    user = make_user(sessions[0], outbound_caller_ids=[
        {"provider_id": made, "caller_id": "77"}])
    error_of(update(sessions[0], made, {"did_numbers": "78"}), 409, "IN_USE")
    error_of(sessions[0].post(path_of(made, "/destroy")), 409, "IN_USE")
    assert update(sessions[0], made, {"did_numbers": "77"}).status_code == 200
    sessions[0].post(f"/api/users/{user.id}/destroy")
    assert sessions[0].post(path_of(made, "/destroy")).status_code == 204


# A tenant that goes


def test_a_tenant_that_goes(suite, api, trunk, tenants):
    tenant = make_tenant(api)
    session = as_tenant(suite, tenant)
    assigned(api, trunk, tenant, "3000")
    assigned(api, trunk, tenants[0], "4000")
    made = create(session, own())
    make_user(session, outbound_caller_ids=[
        {"provider_id": trunk, "caller_id": "3000"}])
    destroy_tenant(api, tenant)
    assert [item["tenant_id"] for item in assignees(api, trunk)] == [
        tenants[0].id]
    error_of(api.get(path_of(made)), 404, "NOT_FOUND")
    assigned(api, trunk, tenants[1], "3000")
    error_of(assign(api, trunk, tenant, "5000"), 404, "NOT_FOUND")


def test_no_trunk_for_a_tenant_that_goes(suite, api, trunk):
    tenant = make_tenant(api)
    suite.servers.sql("update tenant.tenants set deleting_at = now(),"
                      " version = version + 1"
                      f" where id = {number_of(tenant.id)}")
    error = error_of(assign(api, trunk, tenant, "3000"), 409, "CONFLICT")
    assert error["message"] == "the tenant is being deleted"


# Audit


def test_audit(suite, api, trunk, tenants):
    assigned(api, trunk, tenants[0], "3000", concurrency=1)
    assigned(api, trunk, tenants[0], "3001")
    unassign(api, trunk, tenants[0])
    error_of(unassign(api, trunk, tenants[0]), 404, "NOT_FOUND")
    rows = suite.servers.sql(
        "select action, object_type, object_name, user_name, actor_kind,"
        " coalesce(old_state, ''), coalesce(new_state, '')"
        f" from system.audit_logs where object_id = {number_of(trunk)}"
        " order by id")[1:]
    states = ["", *({"assignee": {
        "tenant_id": number_of(tenants[0].id), "did_numbers": number,
        "concurrency": 1}} for number in ("3000", "3001")), ""]
    assert len(rows) == 3
    for row, (old, new) in zip(rows, itertools.pairwise(states)):
        cells = row.split("|")
        assert cells[:5] == ["UPDATE", "PROVIDER", get(api, trunk)["name"],
                             suite.admin_name, "SYSTEM"]
        assert [cell and json.loads(cell) for cell in cells[5:]] == [old, new]
