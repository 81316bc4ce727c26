"""That what is out of a caller's scope shows nowhere: not in lists, counts,
filters, searches, orders, exports, nor in what is refused."""

import pytest

from objects import unique
from people import (EXTENSION_PASSWORD, PASSWORD, VOICEMAIL_PIN, dealer_body,
                    made, make_user, path, tenant_body, user_body)
from world import trunk_body, unique_did


def listed(client, resource, **options):
    answer = client.get(f"/api/{resource}", params=options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(page):
    return {item["id"] for item in page["items"]}


# Who sees what: names of who asks, what it sees and what it does not, as
# (resource, id) functions of the world.

def trunk(name):
    return lambda world: ("providers", getattr(world, name + "_trunk"))


def tenant(name):
    return lambda world: ("tenants", getattr(world, name).id)


def user(name):
    return lambda world: ("users", getattr(world, name).id)


def dealer(name):
    return lambda world: ("dealers", (
        world.below[name] if name in world.below else getattr(world, name)).id)


SIGHTS = {
    "system": ([trunk("own"), trunk("lent"), trunk("their"), tenant("ours"),
                tenant("theirs"), dealer("distributor"), dealer("reseller"),
                dealer("outside")], []),
    "distributor": ([tenant("ours"), dealer("sub"), dealer("reseller"),
                     dealer("below_distributor"), dealer("below_sub")],
                    [tenant("theirs"), dealer("distributor"),
                     dealer("outside"), dealer("below_outside")]),
    "sub": ([tenant("ours"), dealer("reseller"), dealer("below_sub")],
            [tenant("theirs"), dealer("sub"), dealer("distributor"),
             dealer("below_distributor"), dealer("outside")]),
    "reseller": ([tenant("ours")],
                 [tenant("theirs"), dealer("reseller"), dealer("sub"),
                  dealer("below_sub"), dealer("outside")]),
    "outside": ([tenant("theirs"), dealer("below_outside")],
                [tenant("ours"), dealer("outside"), dealer("distributor"),
                 dealer("sub"), dealer("below_sub")]),
    "admin": ([trunk("own"), trunk("lent"), user("admin"), user("queue"),
               user("user"), user("our_user")],
              [trunk("their"), user("stranger"), user("their_user")]),
    "stranger": ([trunk("their"), user("stranger"), user("their_user")],
                 [trunk("own"), trunk("lent"), user("admin"),
                  user("our_user")]),
    "queue": ([trunk("own"), trunk("lent"), user("queue")],
              [trunk("their"), user("admin"), user("user"),
               user("their_user")]),
    "user": ([user("user")], [user("admin"), user("queue"),
                              user("their_user")]),
    "acting": ([trunk("own"), trunk("lent"), user("admin"), user("our_user")],
               [trunk("their"), user("their_user")]),
    "acting_dealer": ([trunk("own"), trunk("lent"), user("admin")],
                      [trunk("their"), user("their_user")]),
}


def cases(seen):
    return [(who, thing) for who, (sees, misses) in SIGHTS.items()
            for thing in (sees if seen else misses)]


def named(world, resource, object_id):
    """The name of an object, as one who sees all knows it."""
    for who in ["system", "admin", "stranger"]:
        answer = world.people[who].get(path(resource, object_id))
        if answer.status_code == 200:
            return answer.json()["name"]
    raise AssertionError(f"{resource} {object_id}")


def queries(world, resource, object_id):
    """Lists that would hold the object, were it in sight."""
    name = named(world, resource, object_id)
    return [{"filter": f"id eq '{object_id}'"},
            {"filter": f"name eq '{name}'"},
            {"filter": f"startswith(name, '{name}')"},
            {"filter": f"id eq '{object_id}' or name eq '{name}'"},
            {"search": name}]


@pytest.mark.parametrize("who, thing", cases(True))
def test_seen(world, who, thing):
    resource, object_id = thing(world)
    for query in queries(world, resource, object_id):
        page = listed(world.people[who], resource, **query)
        assert (page["count"], ids(page)) == (1, {object_id}), query


@pytest.mark.parametrize("who, thing", cases(False))
def test_unseen(world, who, thing):
    """Also by a count alone, past the end, or in another order."""
    resource, object_id = thing(world)
    client = world.people[who]
    for query in queries(world, resource, object_id):
        for more in [{}, {"top": 1}, {"skip": 1}, {"orderby": "name desc"}]:
            assert listed(client, resource, **query, **more) == {
                "count": 0, "items": []}, query
    negated = listed(client, resource,
                     filter=f"not (id eq '{object_id}')")
    assert negated["count"] == listed(client, resource)["count"]


@pytest.mark.parametrize("who, resource", [
    ("admin", "providers"), ("stranger", "providers"), ("queue", "providers"),
    ("distributor", "tenants"), ("outside", "tenants"), ("admin", "users"),
    ("user", "users"), ("sub", "dealers"), ("reseller", "dealers")])
def test_counts(world, who, resource):
    """The count is that of what can be read, page by page."""
    client = world.people[who]
    whole = listed(client, resource)
    assert whole["count"] == len(whole["items"]) < 100
    for skip in range(whole["count"] + 1):
        page = listed(client, resource, top=1, skip=skip)
        assert page["count"] == whole["count"]
        assert len(page["items"]) == (skip < whole["count"])
    for one in whole["items"]:
        assert client.get(path(resource, one["id"])).status_code == 200


def test_export(world):
    mine = world.people["admin"].get("/api/providers/export").text
    for name, there in [("own", True), ("lent", True), ("their", False)]:
        trunk_id = getattr(world, name + "_trunk")
        assert (named(world, "providers", trunk_id) in mine) == there


# What a tenant sees of a trunk that is lent to it

def test_a_lent_trunk(world):
    """Its own pool and concurrency stand in for the trunk's, and nobody
    else's are told."""
    lent = path("providers", world.lent_trunk)
    whole = world.people["system"].get(lent).json()
    for who in ["admin", "queue", "acting", "acting_dealer"]:
        shown = world.people[who].get(lent).json()
        assert shown["did_numbers"] == world.dids["lent"]
        assert shown["concurrency"] == 3 != whole["concurrency"]
        assert shown["shared"] is True
        (item,) = listed(world.people[who], "providers",
                         filter=f"id eq '{world.lent_trunk}'")["items"]
        assert item.get("concurrency", 3) == 3
        for wrong in [f"concurrency eq {whole['concurrency']}",
                      f"did_numbers eq '{whole['did_numbers']}'"]:
            assert listed(world.people[who], "providers", filter=(
                f"{wrong} and id eq '{world.lent_trunk}'"))["count"] == 0


def test_two_tenants_of_a_trunk(world):
    """Neither sees the other's part."""
    root = world.people["system"]
    trunk_id = made(root.post("/api/providers", json=trunk_body()))
    pools = {"admin": (world.ours, unique_did()),
             "stranger": (world.theirs, unique_did())}
    for number, (one, dids) in enumerate(pools.values(), 5):
        answer = root.post(path("providers", trunk_id, f"/assignees/{one.id}"),
                           json={"did_numbers": dids, "concurrency": number})
        assert answer.status_code == 204, answer.text
    for who, (_, dids) in pools.items():
        assert world.people[who].get(path("providers", trunk_id)).json()[
            "did_numbers"] == dids
    for who, other in [("admin", "stranger"), ("stranger", "admin")]:
        client = world.people[who]
        number = pools[other][1]
        assert client.get(f"/api/dids/{number}").status_code == 404
        assert listed(client, "providers",
                      filter=f"did_numbers eq '{number}'")["count"] == 0
        assert listed(client, "providers", search=number)["count"] == 0
    for one, _ in pools.values():
        answer = root.post(path("providers", trunk_id,
                                f"/assignees/{one.id}/destroy"))
        assert answer.status_code == 204, answer.text
    for who in pools:
        assert world.people[who].get(
            path("providers", trunk_id)).status_code == 404


# What is unique only within a tenant

@pytest.mark.parametrize("field", ["name", "extension_number"])
def test_users_of_other_tenants_take_nothing(world, field):
    taken = user_body()
    made(world.people["admin"].post("/api/users", json=taken))
    made(world.people["stranger"].post(
        "/api/users", json=user_body(**{field: taken[field]})))
    again = world.people["admin"].post(
        "/api/users", json=user_body(**{field: taken[field]}))
    assert again.status_code == 409, again.text


@pytest.mark.parametrize("first, second", [
    ("admin", "stranger"), ("admin", "acting_dealer"), ("system", "outside")])
def test_idempotency_keys_are_a_callers_own(world, first, second):
    """Another's key and body make another object, and tell nothing of the
    first one."""
    headers = {"Idempotency-Key": unique("key")}
    resource, body = ("users", user_body()) if first == "admin" else (
        "dealers", dealer_body(level="RESELLER"))
    one = made(world.people[first].post(f"/api/{resource}", json=body,
                                        headers=headers))
    again = world.people[first].post(f"/api/{resource}", json=body,
                                     headers=headers)
    assert made(again) == one
    other = world.people[second].post(f"/api/{resource}", json=body,
                                      headers=headers)
    if other.status_code == 201:
        assert other.json()["id"] != one
    else:
        assert other.status_code == 409
        assert one not in other.text


@pytest.mark.parametrize("resource, who, body", [
    ("tenants", "outside", lambda world: tenant_body(
        domain=world.ours.domain)),
    ("dealers", "outside", lambda world: dealer_body(
        name=world.reseller.name, level="RESELLER")),
    ("providers", "stranger", lambda world: trunk_body(
        hostname=world.people["admin"].get(
            path("providers", world.own_trunk)).json()["hostname"],
        auth_id=world.people["admin"].get(
            path("providers", world.own_trunk)).json()["auth_id"]))])
def test_what_is_unique_over_all_is_no_more_than_taken(world, resource, who,
                                                       body):
    """That it is taken has to be said; by whom is not."""
    answer = world.people[who].post(f"/api/{resource}", json=body(world))
    assert answer.status_code == 409, answer.text
    secrets = [world.ours.id, world.ours.name, world.reseller.id,
               world.own_trunk]
    assert not any(secret in answer.text for secret in secrets)


# Nobody gets around it by what it sends

@pytest.mark.parametrize("changes", [
    {"tenant_id": 1}, {"id": "Nw=="}, {"shared": True}, {"dealer_id": 1}])
def test_owners_are_not_sent(world, changes):
    """They are refused, or are as if they were not there."""
    client = world.people["admin"]
    answer = client.post("/api/providers", json=trunk_body() | changes)
    assert answer.status_code in (201, 400), answer.text
    if answer.status_code == 201:
        shown = client.get(path("providers", answer.json()["id"])).json()
        assert shown["shared"] is False
        assert shown["id"] == answer.json()["id"]
        answer = world.people["stranger"].get(
            path("providers", shown["id"]))
        assert answer.status_code == 404


def test_a_dealer_makes_tenants_for_itself(world):
    for changes in [{}, {"dealer_id": world.outside.id}]:
        answer = world.people["reseller"].post(
            "/api/tenants", json=tenant_body() | changes)
        assert answer.status_code in (201, 400), answer.text
        if answer.status_code == 201:
            tenant_id = answer.json()["id"]
            held = world.people["system"].get(
                path("tenants", tenant_id, "/dealers")).json()["items"]
            assert [one["id"] for one in held] == [world.reseller.id]


@pytest.mark.parametrize("who", ["admin", "acting", "acting_dealer"])
def test_a_user_is_of_the_tenant_that_is_acted_as(world, who):
    made_user = make_user(world.people[who])
    assert world.people["admin"].get(
        path("users", made_user.id)).status_code == 200
    assert world.people["stranger"].get(
        path("users", made_user.id)).status_code == 404


# The audit log

def test_audit_logs(world):
    """Each sees what those in its sight did: a tenant its own, also what was
    done in its name, a dealer its own and that of dealers and tenants below."""
    their_trunk = trunk_body()
    made(world.people["stranger"].post("/api/providers", json=their_trunk))
    own = trunk_body()
    made(world.people["acting"].post("/api/providers", json=own))
    sold = tenant_body()
    made(world.people["reseller"].post("/api/tenants", json=sold))
    wanted = {
        "system": {own["name"], their_trunk["name"], sold["name"]},
        "distributor": {own["name"], sold["name"]},
        "sub": {own["name"], sold["name"]},
        "reseller": {own["name"], sold["name"]},
        "outside": {their_trunk["name"]},
        "admin": {own["name"]}, "acting": {own["name"]},
        "acting_dealer": {own["name"]}, "stranger": {their_trunk["name"]}}
    names = [own["name"], their_trunk["name"], sold["name"]]
    for who, sees in wanted.items():
        found = set()
        for name in names:
            page = listed(world.people[who], "audit_logs",
                          filter=f"object_name eq '{name}'")
            assert page["count"] == len(page["items"]) == (name in sees), who
            found.update(item["object_name"] for item in page["items"])
        assert found == sees


def test_audit_logs_have_no_secrets(world):
    """Neither what was made nor what was tried."""
    client = world.people["system"]
    count = listed(client, "audit_logs")["count"]
    assert count
    for skip in range(0, count, 100):
        text = client.get("/api/audit_logs", params={"skip": skip}).text
        for secret in [PASSWORD, EXTENSION_PASSWORD, VOICEMAIL_PIN, "$argon2",
                       client.token]:
            assert secret not in text
