"""Dealers: their levels, whom each sees, their quotas, and what a dealer does
about itself (document 004)."""

import concurrent.futures

import pytest

from objects import broken_fields, error_of, unique
from people import (LEVELS, PASSWORD, act_as, dealer_body, destroy_tenant,
                    made, make_dealer, make_tenant, path, sign_in,
                    sign_in_dealer, tenant_body)

# In the document's order.
OWN_FIELDS = ["id", "enabled", "level", "name", "email", "display_name",
              "website", "phone", "address", "description", "max_tenants",
              "max_extensions"]
FIELDS = OWN_FIELDS + ["tenant_full_access"]

OTHER_PASSWORD = "an0ther-One"


def shown(session, dealer_id):
    answer = session.get(path("dealers", dealer_id))
    assert answer.status_code == 200, answer.text
    return answer.json()


def update(session, dealer_id, **body):
    return session.post(path("dealers", dealer_id), json=body)


def destroy(session, dealer_id):
    return session.post(path("dealers", dealer_id, "/destroy"))


def listed(session, **options):
    answer = session.get("/api/dealers", params=options)
    assert answer.status_code == 200, answer.text
    return {item["id"] for item in answer.json()["items"]}


def refused_sign_in(suite, name, password=PASSWORD):
    answer = suite.stranger().post("/api/auth/sign_in", json={
        "username": name, "password": password})
    return answer.status_code == 400


def test_shapes(api):
    body = dealer_body(
        enabled=False, level="SUB_DISTRIBUTOR", website="https://d.example",
        phone="+49 30 1", address="Street 1", description="Text",
        max_tenants=0, max_extensions=2147483647, tenant_full_access=False)
    answer = api.post("/api/dealers", json=body)
    one = made(answer)
    assert answer.headers["Location"] == path("dealers", one)
    password = body.pop("password")
    got = api.get(path("dealers", one))
    assert got.headers["ETag"] == '"1"'
    assert list(got.json()) == FIELDS
    assert got.json() == {"id": one} | body
    found = api.get("/api/dealers", params={
        "filter": f"name eq '{body['name']}'"})
    assert found.json() == {"count": 1, "items": [got.json()]}
    assert password not in got.text + found.text
    assert destroy(api, one).status_code == 204
    assert api.get(path("dealers", one)).status_code == 404


def test_defaults(api):
    one = made(api.post("/api/dealers", json={
        "name": unique("dealer"), "level": "RESELLER",
        "password": PASSWORD}))
    rest = shown(api, one)
    assert {name: rest[name] for name in FIELDS[4:] + ["enabled"]} == {
        "enabled": True, "email": None, "display_name": None,
        "website": None, "phone": None, "address": None, "description": None,
        "max_tenants": 100, "max_extensions": 50000,
        "tenant_full_access": True}


def test_update(api):
    one = make_dealer(api)
    changes = {"enabled": False, "email": "new@dealer.example",
               "display_name": "New", "website": "w", "phone": "1",
               "address": "a", "description": "d", "max_tenants": 1,
               "max_extensions": 2, "tenant_full_access": False}
    before = shown(api, one.id)
    assert update(api, one.id, **changes).status_code == 200
    assert shown(api, one.id) == before | changes
    assert update(api, one.id, display_name=None, max_tenants=None,
                  ).status_code == 200
    assert shown(api, one.id) == before | changes | {
        "display_name": None, "max_tenants": 100}
    stale = api.post(path("dealers", one.id), json={"phone": "2"},
                     headers={"If-Match": '"1"'})
    error_of(stale, 412, "PRECONDITION_FAILED")


def test_level_and_name_stay(api):
    """What was read can be sent back."""
    one = make_dealer(api)
    assert update(api, one.id, **shown(api, one.id)).status_code == 200
    assert broken_fields(update(api, one.id, level="RESELLER")) == ["level"]
    assert broken_fields(update(api, one.id, name="other")) == ["name"]


@pytest.mark.parametrize("field, value", [
    ("name", None), ("name", ""), ("name", ".dot"), ("name", "dot."),
    ("name", "sp ace"), ("name", "a@b"), ("name", "Admin"),
    ("name", "SYSTEM"), ("name", "administrator"), ("name", "root"),
    ("name", "n" * 65), ("level", None), ("level", "CHIEF"),
    ("password", None), ("password", "sh0rt"), ("password", "l0ng" * 9),
    ("password", "onlyletters"), ("password", "0123456789"),
    ("email", "nobody"), ("email", "a" * 125 + "@b.c"),
    ("display_name", "d" * 1025), ("phone", "1" * 33),
    ("address", "a" * 129), ("max_tenants", -1), ("max_tenants", 1 << 31),
    ("max_extensions", -1), ("max_extensions", "1"), ("enabled", 1),
    ("tenant_full_access", "true"), ("parent_id", "NQ=="),
    ("tenant_count", 1)])
def test_bad_fields(api, field, value):
    answer = api.post("/api/dealers", json=dealer_body() | {field: value})
    assert set(broken_fields(answer)) == {field}


@pytest.mark.parametrize("field", ["name", "level", "password"])
def test_required_fields(api, field):
    body = dealer_body()
    del body[field]
    assert broken_fields(api.post("/api/dealers", json=body)) == [field]


def test_list_options(api):
    name = unique("Listed")
    ids = [make_dealer(api, name=f"{name}-{i}", max_tenants=i,
                       display_name=f"{name} shown").id for i in range(3)]
    options = {"search": f"{name} shown", "orderby": "max_tenants desc"}
    got = api.get("/api/dealers", params=options | {"top": 2}).json()
    assert got["count"] == 3
    assert [item["id"] for item in got["items"]] == ids[:0:-1]
    assert listed(api, filter=f"startswith(name,'{name}') and"
                              " max_tenants gt 0") == set(ids[1:])


def test_idempotency_key(api):
    body = dealer_body()
    key = {"Idempotency-Key": unique("key")}
    first = made(api.post("/api/dealers", json=body, headers=key))
    assert made(api.post("/api/dealers", json=body, headers=key)) == first


# Names


def test_names_differ_in_more_than_case(api):
    one = make_dealer(api, name=unique("Case"))
    taken = api.post("/api/dealers",
                     json=dealer_body(name=one.name.upper()))
    error = error_of(taken, 409, "CONFLICT")
    assert [detail["field"] for detail in error["detail"]] == ["name"]


def test_names_are_not_administrators(suite, api, administrator):
    taken = api.post("/api/dealers",
                     json=dealer_body(name=administrator.upper()))
    error_of(taken, 409, "CONFLICT")
    session, one = sign_in_dealer(suite, api)
    error_of(session.post("/api/dealer/username",
                          json={"name": administrator}), 409, "CONFLICT")
    theirs = suite.sign_in(administrator)
    error_of(theirs.post("/api/admin/username",
                         json={"name": one.name.upper()}), 409, "CONFLICT")


# Levels and scopes


@pytest.mark.parametrize("maker", LEVELS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_level_makes_lower_ones(suite, api, maker, level):
    session, _ = sign_in_dealer(suite, api, level=maker)
    answer = session.post("/api/dealers", json=dealer_body(level=level))
    if LEVELS.index(level) > LEVELS.index(maker):
        assert listed(session) == {made(answer)}
    else:
        error_of(answer, 403, "FORBIDDEN")
        assert listed(session) == set()


@pytest.fixture(scope="module")
def trees(suite, api):
    """Two of them: per level (client, dealer) of the first, the id of the
    other's."""
    top, top_dealer = sign_in_dealer(suite, api)
    sub, sub_dealer = sign_in_dealer(suite, top, level="SUB_DISTRIBUTOR")
    res, res_dealer = sign_in_dealer(suite, sub, level="RESELLER")
    other, other_dealer = sign_in_dealer(suite, api)
    below = make_dealer(other, level="SUB_DISTRIBUTOR")
    return {"DISTRIBUTOR": (top, top_dealer.id),
            "SUB_DISTRIBUTOR": (sub, sub_dealer.id),
            "RESELLER": (res, res_dealer.id),
            "others": {other_dealer.id, below.id}}


@pytest.mark.parametrize("level", LEVELS)
def test_a_dealer_sees_what_is_below(trees, level):
    session, _ = trees[level]
    below = {trees[one][1] for one in LEVELS[LEVELS.index(level) + 1:]}
    assert listed(session) == below
    answer = session.get("/api/dealers").json()
    assert answer["count"] == len(below)
    for one in below:
        assert shown(session, one)["id"] == one


@pytest.mark.parametrize("level", LEVELS)
def test_the_rest_is_not_there(trees, level):
    """Itself, those above it, and those of others."""
    session, _ = trees[level]
    hidden = trees["others"] | {
        trees[one][1] for one in LEVELS[:LEVELS.index(level) + 1]}
    for one in hidden:
        for answer in [
                session.get(path("dealers", one)),
                update(session, one, phone="1"),
                session.post(path("dealers", one, "/password"),
                             json={"password": OTHER_PASSWORD}),
                destroy(session, one)]:
            # A RESELLER has no dealers to change.
            assert answer.status_code == 404 or (
                level == "RESELLER" and answer.status_code == 403)


def test_a_dealer_changes_what_is_below(suite, trees):
    session, _ = trees["DISTRIBUTOR"]
    one = make_dealer(session, level="RESELLER")
    assert update(session, one.id, phone="7").status_code == 200
    assert shown(session, one.id)["phone"] == "7"
    reset = session.post(path("dealers", one.id, "/password"),
                         json={"password": OTHER_PASSWORD})
    assert (reset.status_code, reset.content) == (200, b"")
    assert refused_sign_in(suite, one.name)
    sign_in(suite, one.name, OTHER_PASSWORD)
    assert destroy(session, one.id).status_code == 204
    assert refused_sign_in(suite, one.name, OTHER_PASSWORD)


@pytest.mark.parametrize("verb, where", [
    ("GET", "/api/providers"), ("POST", "/api/providers"),
    ("GET", "/api/transports"), ("GET", "/api/key"),
    ("POST", "/api/admin/password"), ("GET", "/api/users"),
    ("GET", "/api/tenant")])
def test_what_no_dealer_may(trees, verb, where):
    for level in LEVELS:
        error_of(trees[level][0].request(verb, where), 403, "FORBIDDEN")


@pytest.mark.parametrize("verb, where", [
    ("GET", "/api/dealer"), ("POST", "/api/dealer"),
    ("GET", "/api/dealer/status"), ("POST", "/api/dealer/username"),
    ("POST", "/api/dealer/password")])
def test_what_dealers_alone_may(api, verb, where):
    error_of(api.request(verb, where), 403, "FORBIDDEN")


def test_full_access_is_the_first_levels(suite, api):
    """Others' word has no effect, and nobody gives what it has not."""
    top, top_dealer = sign_in_dealer(suite, api)
    sub, sub_dealer = sign_in_dealer(suite, top, level="SUB_DISTRIBUTOR",
                                     tenant_full_access=False)
    res = make_dealer(sub, level="RESELLER", tenant_full_access=True)

    def has(one):
        return shown(api, one.id)["tenant_full_access"]

    assert not has(sub_dealer)
    assert not has(res)
    assert update(sub, res.id, tenant_full_access=True,
                  phone="1").status_code == 200
    assert not has(res)
    assert shown(api, res.id)["phone"] == "1"
    assert update(top, res.id, tenant_full_access=True).status_code == 200
    assert has(res)
    assert update(sub, res.id, tenant_full_access=False).status_code == 200
    assert has(res)
    assert update(api, top_dealer.id, tenant_full_access=False
                  ).status_code == 200
    top = sign_in(suite, top_dealer.name)
    assert not has(make_dealer(top, level="RESELLER"))
    assert update(top, sub_dealer.id, tenant_full_access=True
                  ).status_code == 200
    assert not has(sub_dealer)
    assert update(top, res.id, tenant_full_access=False).status_code == 200
    assert not has(res)


# Quotas


def test_quotas_do_not_go_below_what_there_is(suite, api):
    session, one = sign_in_dealer(suite, api)
    tenant = make_tenant(session)
    for _ in range(2):
        make_tenant(session)
    low = update(api, one.id, max_tenants=2)
    error = error_of(low, 409, "LIMIT_EXCEEDED")
    assert error["detail"][0]["field"] == "max_tenants"
    assert one.name in error["message"]
    assert update(api, one.id, max_tenants=3).status_code == 200
    full = session.post("/api/tenants", json=tenant_body())
    assert one.name in error_of(full, 409, "LIMIT_EXCEEDED")["message"]
    destroy_tenant(session, tenant)
    make_tenant(session)


def test_the_quota_above_counts_too(suite, api):
    top, top_dealer = sign_in_dealer(suite, api, max_tenants=1)
    res, _ = sign_in_dealer(suite, top, level="RESELLER", max_tenants=5)
    make_tenant(res)
    for session in [res, top]:
        full = session.post("/api/tenants", json=tenant_body())
        error = error_of(full, 409, "LIMIT_EXCEEDED")
        assert top_dealer.name in error["message"]


def test_many_at_the_edge_of_a_quota(suite, api):
    """64 at once, of two dealers below one that has room for 5: 5 are made,
    and each count is what there is."""
    top, top_dealer = sign_in_dealer(suite, api, max_tenants=5)
    below = [sign_in_dealer(suite, top, level=level)
             for level in ["SUB_DISTRIBUTOR", "RESELLER"]]
    sessions = [session for session, _ in below] + [top]

    def make(i):
        return sessions[i % 3].post("/api/tenants",
                                    json=tenant_body()).status_code

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(make, range(64)))
    assert sorted(statuses) == [201] * 5 + [409] * 59
    assert top.get("/api/tenants").json()["count"] == 5
    assert top.get("/api/dealer/status").json()["current_tenants"] == 5
    counts = [session.get("/api/dealer/status").json()["current_tenants"]
              for session, _ in below]
    own = suite.servers.sql(
        "select count(*) from tenant.tenants t join dealer.dealers d on"
        f" d.id = t.dealer_id where d.name = '{top_dealer.name}'")
    assert sum(counts) + int(own[0]) == 5


# Destroying and disabling


def test_what_has_dealers_or_tenants_stays(suite, api):
    top, top_dealer = sign_in_dealer(suite, api)
    _, below = sign_in_dealer(suite, top, level="RESELLER")
    kept = destroy(api, top_dealer.id)
    assert "dealers" in error_of(kept, 409, "IN_USE")["message"]
    assert destroy(top, below.id).status_code == 204
    tenant = make_tenant(top)
    kept = destroy(api, top_dealer.id)
    assert "tenants" in error_of(kept, 409, "IN_USE")["message"]
    assert top.get("/api/dealer").status_code == 200
    destroy_tenant(top, tenant)
    assert destroy(api, top_dealer.id).status_code == 204


def test_disabled(suite, api):
    session, one = sign_in_dealer(suite, api)
    tenant = make_tenant(session)
    assert update(api, one.id, enabled=False).status_code == 200
    assert session.get("/api/dealer").status_code == 401
    assert refused_sign_in(suite, one.name)
    assert api.get(path("tenants", tenant.id)).json()["enabled"] is True
    assert update(api, one.id, enabled=True).status_code == 200
    assert session.get("/api/dealer").status_code == 401
    sign_in(suite, one.name)


def test_destroyed(suite, api):
    session, one = sign_in_dealer(suite, api)
    assert destroy(api, one.id).status_code == 204
    assert session.get("/api/dealer").status_code == 401
    assert refused_sign_in(suite, one.name)


def test_access_that_is_taken_back(suite, api):
    """A session that acts as a tenant ends; told again, no other does."""
    session, one = sign_in_dealer(suite, api)
    tenant = make_tenant(session)
    act_as(session, tenant.id)
    assert session.get("/api/tenant").status_code == 200
    assert update(api, one.id, tenant_full_access=False).status_code == 200
    assert session.get("/api/tenant").status_code == 401
    session = sign_in(suite, one.name)
    assert update(api, one.id, **shown(api, one.id)).status_code == 200
    assert session.get("/api/dealer").status_code == 200
    error_of(session.post("/api/tenants/switch", params={"id": tenant.id}),
             403, "FORBIDDEN")


def test_password_reset(suite, api):
    session, one = sign_in_dealer(suite, api)
    where = path("dealers", one.id, "/password")
    assert broken_fields(api.post(where, json={"password": "short"})) == [
        "password"] * 2
    assert broken_fields(api.post(where, json={})) == ["password"]
    assert session.get("/api/dealer").status_code == 200
    assert api.post(where, json={"password": OTHER_PASSWORD}
                    ).status_code == 200
    assert session.get("/api/dealer").status_code == 401
    assert refused_sign_in(suite, one.name)
    sign_in(suite, one.name, OTHER_PASSWORD)
    error_of(api.post("/api/dealers/NQ==/password",
                      json={"password": OTHER_PASSWORD}), 404, "NOT_FOUND")


# Itself


def test_own(suite, api):
    session, one = sign_in_dealer(suite, api, max_tenants=7,
                                  tenant_full_access=False)
    own = session.get("/api/dealer")
    assert list(own.json()) == OWN_FIELDS
    assert own.headers["ETag"] == '"1"'
    theirs = shown(api, one.id)
    del theirs["tenant_full_access"]
    assert own.json() == theirs
    changes = {"email": "me@dealer.example", "display_name": "Me",
               "website": "w", "phone": "1", "address": "a",
               "description": "d"}
    assert session.post("/api/dealer", json=changes).status_code == 200
    assert session.get("/api/dealer").json() == theirs | changes
    # Read-only here: sent back, they change nothing.
    assert session.post("/api/dealer", json=theirs | {
        "max_tenants": 1000, "enabled": False, "level": "RESELLER"}
        ).status_code == 200
    assert session.get("/api/dealer").json() == theirs
    assert broken_fields(session.post(
        "/api/dealer", json={"tenant_full_access": True})) == [
            "tenant_full_access"]
    assert broken_fields(session.post(
        "/api/dealer", json={"email": "nobody"})) == ["email"]


def test_own_status(suite, api):
    session, _ = sign_in_dealer(suite, api, max_tenants=7, max_extensions=9)
    sub, _ = sign_in_dealer(suite, session, level="SUB_DISTRIBUTOR")
    res, _ = sign_in_dealer(suite, sub, level="RESELLER")
    make_tenant(session)
    make_tenant(res)
    status = session.get("/api/dealer/status").json()
    version = status.pop("version")
    assert version
    assert list(status.items()) == [
        ("max_dealers", 2147483647), ("current_dealers", 2),
        ("max_users", 9), ("current_users", 0),
        ("max_tenants", 7), ("current_tenants", 2)]
    assert res.get("/api/dealer/status").json() == {
        "version": version, "max_dealers": 0, "current_dealers": 0,
        "max_users": 50000, "current_users": 0, "max_tenants": 100,
        "current_tenants": 1}


def test_own_username(suite, api):
    session, one = sign_in_dealer(suite, api)
    name = unique("Renamed")
    answer = session.post("/api/dealer/username", json={"name": name})
    assert (answer.status_code, answer.content) == (200, b"")
    assert session.get("/api/dealer").json()["name"] == name
    assert refused_sign_in(suite, one.name)
    sign_in(suite, name)
    # Its own, in another case.
    assert session.post("/api/dealer/username", json={"name": name.upper()}
                        ).status_code == 200
    for bad in [None, "", "root", "a b", "x" * 65]:
        assert broken_fields(session.post(
            "/api/dealer/username", json={"name": bad})) == ["name"]
    other = make_dealer(api)
    error_of(session.post("/api/dealer/username", json={"name": other.name}),
             409, "CONFLICT")


def test_own_password(suite, api):
    session, one = sign_in_dealer(suite, api)
    second = sign_in(suite, one.name)
    where = "/api/dealer/password"
    for body, fields in [
            ({"old_password": "wr0ng-One", "new_password": OTHER_PASSWORD},
             ["old_password"]),
            ({"old_password": PASSWORD, "new_password": "letters-only"},
             ["new_password"]),
            ({"new_password": OTHER_PASSWORD}, ["old_password"]),
            ({"old_password": PASSWORD}, ["new_password"])]:
        assert broken_fields(session.post(where, json=body)) == fields
    assert second.get("/api/dealer").status_code == 200
    answer = session.post(where, json={"old_password": PASSWORD,
                                       "new_password": OTHER_PASSWORD})
    assert (answer.status_code, answer.content) == (200, b"")
    assert second.get("/api/dealer").status_code == 401
    assert refused_sign_in(suite, one.name)
    sign_in(suite, one.name, OTHER_PASSWORD)


def test_lockout_by_wrong_old_passwords(suite, api):
    """Counted with the sign-ins of the address, and of it alone."""
    session, one = sign_in_dealer(suite, api)
    stranger = suite.stranger()
    stranger.headers["Authorization"] = f"Bearer {session.token}"
    good = {"old_password": PASSWORD, "new_password": OTHER_PASSWORD}
    for _ in range(5):
        answer = stranger.post("/api/dealer/password",
                               json=good | {"old_password": "wr0ng-One"})
        assert broken_fields(answer) == ["old_password"]
    for where, body in [
            ("/api/dealer/password", good),
            ("/api/auth/sign_in", {"username": one.name,
                                   "password": PASSWORD})]:
        answer = stranger.post(where, json=body)
        error_of(answer, 429, "RATE_LIMITED")
        assert int(answer.headers["Retry-After"]) > 0
    sign_in(suite, one.name)
    assert session.post("/api/dealer/password", json=good).status_code == 200


def test_right_old_password_forgives(suite, api):
    session, one = sign_in_dealer(suite, api)
    stranger = suite.stranger()
    for old, new in [(PASSWORD, OTHER_PASSWORD), (OTHER_PASSWORD, PASSWORD)]:
        stranger.headers["Authorization"] = f"Bearer {session.token}"
        for _ in range(4):
            answer = stranger.post("/api/dealer/password", json={
                "old_password": "wr0ng-One", "new_password": new})
            assert broken_fields(answer) == ["old_password"]
        assert stranger.post("/api/dealer/password", json={
            "old_password": old, "new_password": new}).status_code == 200
        session = sign_in(suite, one.name, new)


def test_what_is_done_is_audited(suite, api):
    session, one = sign_in_dealer(suite, api)
    below = make_dealer(session, level="RESELLER")
    update(session, below.id, phone="1")
    session.post(path("dealers", below.id, "/password"),
                 json={"password": OTHER_PASSWORD})
    destroy(session, below.id)
    name = unique("Audited")
    session.post("/api/dealer", json={"phone": "2"})
    session.post("/api/dealer/username", json={"name": name})
    rows = suite.servers.sql(
        "select action, object_name, actor_kind, user_name from"
        " system.audit_logs where object_type = 'DEALER' and dealer_id ="
        f" (select id from dealer.dealers where name = '{name}') order by id")
    assert rows == [f"{action}|{label}|DEALER|{one.name}" for action, label in [
        ("CREATE", below.name), ("UPDATE", below.name),
        ("UPDATE", below.name), ("DELETE", below.name),
        ("UPDATE", one.name), ("UPDATE", name)]]
    kept = suite.servers.sql("select old_state, new_state from"
                             " system.audit_logs where object_type = 'DEALER'")
    assert not any("argon2" in row or OTHER_PASSWORD in row for row in kept)


def test_acting_as_a_tenant_is_no_dealer(suite, api):
    session, _ = sign_in_dealer(suite, api)
    tenant = make_tenant(session)
    act_as(session, tenant.id)
    error_of(session.get("/api/dealers"), 403, "FORBIDDEN")
    error_of(session.get("/api/dealer"), 403, "FORBIDDEN")
    act_as(session)
    assert session.get("/api/dealer").status_code == 200
