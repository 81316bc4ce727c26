"""Who may do what: every route against every kind of caller."""

import re

import pytest

from people import (PASSWORD, act_as, dealer_body, made, make_dealer,
                    make_tenant, path, sign_in, sign_in_user, tenant_body,
                    user_body)
from world import (MISSING, NOBODIES, PEOPLE, PORTS, trunk_body,
                   unique_did)

# What a caller is answered, one letter for each object asked about:
#   g  it does so
#   -  403: its kind may not, or the object is only lent to it
#   0  404: there is no such object for it
#   !  400: it may, and what was sent is not whole, so that nothing changes
#   c  409: it may, and the object's state does not allow it
# The objects are those of OBJECTS, in that order. An object nobody has is 404
# where any of them is not 403; it must not look different from one of another.
TABLE = """
                                                   system distr sub reseller outside admin stranger queue user acting
GET  /api/providers                                   g    -    -    -    -    g    g    g    -    g
POST /api/providers                                   g    -    -    -    -    g    g    -    -    g
GET  /api/providers/export                            g    -    -    -    -    g    g    g    -    g
GET  /api/providers/{id}                              ggg  ---  ---  ---  ---  gg0  00g  gg0  ---  gg0
POST /api/providers/{id}                              ggg  ---  ---  ---  ---  g-0  00g  ---  ---  g-0
POST /api/providers/{id}/destroy                      gcg  ---  ---  ---  ---  g-0  00g  ---  ---  g-0
GET  /api/providers/{id}/status                       ggg  ---  ---  ---  ---  gg0  00g  gg0  ---  gg0
GET  /api/providers/{id}/registration                 ccc  ---  ---  ---  ---  cc0  00c  cc0  ---  cc0
POST /api/providers/{id}/register                     ccc  ---  ---  ---  ---  c-0  00c  ---  ---  c-0
POST /api/providers/test                              !    -    -    -    -    !    !    -    -    !
GET  /api/providers/{id}/assignees                    ggg  ---  ---  ---  ---  ---  ---  ---  ---  ---
GET  /api/providers/{id}/assignees/{tenant_id}        0g0  ---  ---  ---  ---  ---  ---  ---  ---  ---
POST /api/providers/{id}/assignees/{tenant_id}/destroy 0g0 ---  ---  ---  ---  ---  ---  ---  ---  ---
GET  /api/dids/{number}                               ggg  ---  ---  ---  ---  gg0  00g  ---  ---  gg0

GET  /api/transports                                  g    -    -    -    -    -    -    -    -    -
POST /api/transports                                  g    -    -    -    -    -    -    -    -    -
GET  /api/transports/{id}                             g    -    -    -    -    -    -    -    -    -
POST /api/transports/{id}                             g    -    -    -    -    -    -    -    -    -
POST /api/transports/{id}/destroy                     g    -    -    -    -    -    -    -    -    -
GET  /api/transports/{protocol}/status                g    -    -    -    -    -    -    -    -    -
GET  /api/transports/{id}/detail                      g    -    -    -    -    -    -    -    -    -
GET  /api/registrations                               g    -    -    -    -    g    g    g    -    g
GET  /api/key                                         g    -    -    -    -    -    -    -    -    -
POST /api/key                                         !    -    -    -    -    -    -    -    -    -

GET  /api/tenants                                     g    g    g    g    g    -    -    -    -    -
POST /api/tenants                                     g    g    g    g    g    -    -    -    -    -
GET  /api/tenants/{id}                                gg   g0   g0   g0   0g   --   --   --   --   --
POST /api/tenants/{id}                                gg   g0   g0   g0   0g   --   --   --   --   --
POST /api/tenants/{id}/destroy                        gg   g0   g0   g0   0g   --   --   --   --   --
GET  /api/tenants/{id}/dealers                        gg   g0   g0   g0   0g   --   --   --   --   --

GET  /api/tenant                                      -    -    -    -    -    g    g    -    -    g
POST /api/tenant                                      -    -    -    -    -    g    g    -    -    g
GET  /api/tenant/status                               -    -    -    -    -    g    g    -    -    g
GET  /api/tenant/password_policy                      -    -    -    -    -    g    g    g    g    g
POST /api/tenant/password_policy                      -    -    -    -    -    g    g    -    -    g

GET  /api/users                                       -    -    -    -    -    g    g    g    g    g
POST /api/users                                       -    -    -    -    -    g    g    -    -    g
GET  /api/users/{id}                                  --   --   --   --   --   g0   0g   00   00   g0
POST /api/users/{id}                                  --   --   --   --   --   g0   0g   --   --   g0
POST /api/users/{id}/destroy                          --   --   --   --   --   g0   0g   --   --   g0
POST /api/users/{id}/password                         --   --   --   --   --   g0   0g   --   --   g0
POST /api/users/{id}/extension_password               --   --   --   --   --   g0   0g   --   --   g0
POST /api/users/{id}/role                             --   --   --   --   --   g0   0g   --   --   g0
POST /api/users/{id}/profile                          --   --   --   --   --   g0   0g   --   --   g0
GET  /api/users/{id}/status                           --   --   --   --   --   g0   0g   00   00   g0
POST /api/users/{id}/status/{instance_id}/destroy_status -- --  --   --   --   00   00   00   00   00
GET  /api/extension_numbers/{extension_number}        --   --   --   --   --   g0   0g   g0   g0   g0

GET  /api/dealers                                     g    g    g    g    g    -    -    -    -    -
POST /api/dealers                                     g    g    g    -    g    -    -    -    -    -
GET  /api/dealers/{id}                                ggg  gg0  0g0  000  00g  ---  ---  ---  ---  ---
POST /api/dealers/{id}                                ggg  gg0  0g0  000  00g  ---  ---  ---  ---  ---
POST /api/dealers/{id}/destroy                        ggg  gg0  0g0  000  00g  ---  ---  ---  ---  ---
POST /api/dealers/{id}/password                       ggg  gg0  0g0  000  00g  ---  ---  ---  ---  ---
GET  /api/dealer                                      -    g    g    g    g    -    -    -    -    -
POST /api/dealer                                      -    g    g    g    g    -    -    -    -    -
GET  /api/dealer/status                               -    g    g    g    g    -    -    -    -    -
POST /api/dealer/username                             -    !    !    !    !    -    -    -    -    -
POST /api/dealer/password                             -    !    !    !    !    -    -    -    -    -

GET  /api/audit_logs                                  g    g    g    g    g    g    g    -    -    g
POST /api/admin/username                              !    -    -    -    -    -    -    -    -    -
POST /api/admin/password                              !    -    -    -    -    -    -    -    -    -
GET  /api/auth/user                                   g    g    g    g    g    g    g    g    g    g
GET  /api/login                                       g    g    g    g    g    g    g    g    g    g
POST /api/auth/sign_out                               g    g    g    g    g    g    g    g    g    g
POST /api/logout                                      g    g    g    g    g    g    g    g    g    g
POST /api/login/oauth/revoke                          g    g    g    g    g    g    g    g    g    g
"""

# Each has tests of its own below, or no callers.
ELSEWHERE = {
    "POST /api/tenants/switch",
    "POST /api/tenants/{id}/dealers/{dealer_id}",
    "POST /api/tenants/{id}/dealers/{dealer_id}/destroy",
    "POST /api/providers/{id}/assignees/{tenant_id}",
}

# Nobody has to be signed in for these.
OPEN = {
    "POST /api/auth/sign_in", "POST /api/auth/refresh_token",
    "POST /api/login", "POST /api/login/oauth/token", "GET /api/info",
    "GET /healthz", "GET /readyz", "GET /metrics", "GET /api/openapi.json",
}

COLUMNS = {"distr": "distributor"}


def parsed(table):
    """{route: {who: letters}}"""
    head, *lines = [line.split() for line in table.splitlines() if line.strip()]
    people = [COLUMNS.get(name, name) for name in head]
    return {f"{verb} {route}": dict(zip(people, cells, strict=True))
            for verb, route, *cells in lines}


ROUTES = parsed(TABLE)


# The objects of the routes, by the start of their paths: what stands in the
# path, one value for each letter of a cell.

TRUNKS = ["own", "lent", "theirs"]
WHOSE = ["ours", "theirs"]
DEALERS = ["below_distributor", "below_sub", "below_outside"]

OBJECTS = {
    "/api/providers/{id}": ("id", TRUNKS, lambda world: [
        world.own_trunk, world.lent_trunk, world.their_trunk]),
    "/api/dids/{number}": ("number", TRUNKS, lambda world: [
        world.dids[whose] for whose in TRUNKS]),
    "/api/transports/{id}": ("id", ["any"], lambda world: [world.transport]),
    "/api/transports/{protocol}": ("protocol", ["any"], lambda _: ["UDP"]),
    "/api/tenants/{id}": ("id", WHOSE, lambda world: [
        world.ours.id, world.theirs.id]),
    "/api/users/{id}": ("id", WHOSE, lambda world: [
        world.our_user.id, world.their_user.id]),
    "/api/extension_numbers/{extension_number}": (
        "extension_number", WHOSE, lambda world: [
            world.our_user.extension_number,
            world.their_user.extension_number]),
    "/api/dealers/{id}": ("id", DEALERS, lambda world: [
        world.below[name].id for name in DEALERS]),
}

# Who makes another one, where a call ends the object.
MAKERS = {
    "POST /api/providers/{id}/destroy": lambda world, one: world.make_trunk(one),
    "POST /api/providers/{id}/assignees/{tenant_id}/destroy":
        lambda world, one: world.make_trunk(one),
    "POST /api/transports/{id}/destroy":
        lambda world, one: world.make_transport(one),
    "POST /api/tenants/{id}/destroy":
        lambda world, one: world.make_tenant(one),
    "POST /api/users/{id}/destroy": lambda world, one: world.make_user(one),
    "POST /api/dealers/{id}/destroy":
        lambda world, one: world.make_dealer(one),
}

MISSING_OBJECTS = {"number": "69999", "extension_number": "399999"}

NEW_PASSWORD = "Kd5%wT8&pL3s"

# What is sent, where nothing at all would not be whole.
BODIES = {
    "POST /api/providers": lambda world: trunk_body(),
    "POST /api/providers/{id}": lambda world: {"concurrency": 2},
    "POST /api/transports": lambda world: {"protocol": "TCP",
                                           "port": next(PORTS)},
    "POST /api/transports/{id}": lambda world: {"verification": "DISABLE"},
    "POST /api/tenants": lambda world: tenant_body(),
    "POST /api/tenants/{id}": lambda world: {"website": "a.example"},
    "POST /api/tenant": lambda world: {"website": "b.example"},
    "POST /api/tenant/password_policy": lambda world: {"min_length": 7},
    "POST /api/users": lambda world: user_body(),
    "POST /api/users/{id}": lambda world: {"display_name": "Another"},
    "POST /api/users/{id}/password": lambda world: {"password": NEW_PASSWORD},
    "POST /api/users/{id}/extension_password":
        lambda world: {"password": NEW_PASSWORD},
    "POST /api/users/{id}/role": lambda world: {"role": "StandardUser"},
    "POST /api/dealers": lambda world: dealer_body(level="RESELLER"),
    "POST /api/dealers/{id}": lambda world: {"display_name": "Another"},
    "POST /api/dealers/{id}/password":
        lambda world: {"password": NEW_PASSWORD},
    "POST /api/dealer": lambda world: {"phone": "+49 30 1"},
}

# What ends the session it is called in.
ENDING = {"POST /api/auth/sign_out", "POST /api/logout",
          "POST /api/login/oauth/revoke"}

LETTERS = {403: "-", 404: "0", 400: "!", 409: "c"}


@pytest.fixture(scope="module")
def document(suite):
    return suite.session().get("/api/openapi.json").json()


def good_status(document, route):
    verb, template = route.split()
    responses = document["paths"][template][verb.lower()]["responses"]
    return int(next(status for status in responses if status != "default"))


class Asker:
    """Calls one route as one caller."""

    def __init__(self, world, document, route, who):
        self.world, self.route, self.who = world, route, who
        self.verb, self.template = route.split()
        self.good = good_status(document, route)
        self.client = (world.client(who) if route in ENDING and
                       who in PEOPLE else world.people[who])

    def ask(self, value=None):
        """The answer about one object."""
        filled = self.template.replace("{tenant_id}", self.world.ours.id)
        filled = filled.replace("{instance_id}", "none")
        filled = re.sub("{.*?}", str(value), filled)
        body = BODIES.get(self.route)
        return self.client.request(
            self.verb, filled, json=body(self.world) if body else None)

    def letter(self, answer):
        if answer.status_code == self.good:
            return "g"
        return LETTERS.get(answer.status_code, f"[{answer.text}]")

    def letters(self):
        """One for each object, which foreign ones must not differ from
        missing ones in more."""
        objects = objects_of(self.template)
        if not objects:
            return self.letter(self.ask())
        name, kinds, values = objects
        missing = self.ask(MISSING_OBJECTS.get(name, MISSING))
        found = ""
        for kind, value in zip(kinds, values(self.world), strict=True):
            if self.route in MAKERS and self._may(len(found)):
                value = MAKERS[self.route](self.world, kind)
            answer = self.ask(value)
            found += self.letter(answer)
            if answer.status_code == 404:
                assert looks(answer) == looks(missing), (self.who, kind)
        if name != "protocol" and found.strip("-"):
            assert self.letter(missing) == "0", (self.who, missing.text)
        return found

    def _may(self, index):
        return wanted(self.route, self.who)[index] in "gc"


def objects_of(template):
    for start, objects in OBJECTS.items():
        if template.startswith(start):
            return objects
    return None


def looks(answer):
    """All a client sees of an answer but when and which it was."""
    headers = {name: value for name, value in answer.headers.items()
               if name not in ("Date", "X-Request-Id")}
    return answer.status_code, headers, answer.content


def wanted(route, who):
    return ROUTES[route]["acting" if who == "acting_dealer" else who]


def test_the_table_has_every_route(document):
    routes = {f"{verb.upper()} {template}"
              for template, item in document["paths"].items()
              for verb in item}
    assert routes == set(ROUTES) | ELSEWHERE | OPEN


@pytest.mark.parametrize("route", ROUTES)
def test_route(world, document, route):
    found = {who: Asker(world, document, route, who).letters()
             for who in PEOPLE}
    assert found == {who: wanted(route, who) for who in PEOPLE}


@pytest.mark.parametrize("route", sorted(set(ROUTES) | ELSEWHERE))
@pytest.mark.parametrize("who", NOBODIES)
def test_nobody_may_anything(world, document, who, route):
    """Not even learn what there is: foreign and missing look alike."""
    asker = Asker(world, document, route, who)
    objects = objects_of(asker.template)
    values = [MISSING, *objects[2](world)] if objects else [MISSING]
    answers = [asker.ask(value) for value in values]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("route", [
    route for route in ROUTES if "{id}" in route])
def test_malformed_ids(world, document, route):
    """Nothing has them; but a destroy of one is 400, as PortSIP has it. Who
    may not do such a thing at all is told neither."""
    for who in PEOPLE:
        status = Asker(world, document, route, who).ask("x").status_code
        may = wanted(route, who).strip("-")
        assert status in ({400, 404} if may else {400, 403, 404}), who


@pytest.mark.parametrize("sent", [
    {"json": {}, "headers": {"If-Match": '"99"'}},
    {"json": {"no such field": 1}}, {"json": {"name": None, "enabled": 7}},
    {"data": b"{", "headers": {"Content-Type": "application/json"}},
    {"data": b"a=b"}], ids=lambda sent: str(sent)[:30])
@pytest.mark.parametrize("who, resource, foreign", [
    ("admin", "providers", lambda world: world.their_trunk),
    ("admin", "users", lambda world: world.their_user.id),
    ("acting_dealer", "users", lambda world: world.their_user.id),
    ("distributor", "tenants", lambda world: world.theirs.id),
    ("distributor", "dealers", lambda world: world.outside.id),
    ("reseller", "dealers", lambda world: world.sub.id)])
def test_refused_writes_tell_nothing(world, who, resource, foreign, sent):
    """Whatever is wrong with it: of a foreign object it is answered as of a
    missing one."""
    for tail in ["", "/destroy"]:
        answers = [world.people[who].post(path(resource, one, tail), **sent)
                   for one in (foreign(world), MISSING)]
        assert answers[0].status_code in (400, 404, 415)
        assert looks(answers[0]) == looks(answers[1])


# Acting as a tenant: POST /api/tenants/switch

@pytest.mark.parametrize("who, ours, theirs", [
    ("system", 200, 200), ("distributor", 200, 404), ("sub", 403, 404),
    ("reseller", 403, 404), ("outside", 404, 200), ("admin", 403, 403),
    ("stranger", 403, 403), ("queue", 403, 403), ("user", 403, 403),
    ("acting", 200, 200), ("acting_dealer", 200, 404)])
def test_switch(world, who, ours, theirs):
    """The dealers below the first of the chain have no full access."""
    answers = {}
    for name, tenant in [("ours", world.ours.id), ("theirs", world.theirs.id),
                         ("missing", MISSING)]:
        answers[name] = world.client(who).post(
            f"/api/tenants/switch?id={tenant}")
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "ours": ours, "theirs": theirs,
        "missing": 403 if theirs == 403 else 404}
    for answer in answers.values():
        if answer.status_code == 404:
            assert looks(answer) == looks(answers["missing"])


@pytest.mark.parametrize("who", ["system", "distributor"])
def test_switch_and_back(world, who):
    client = world.client(who)
    before = client.get("/api/tenants").json()["count"]
    act_as(client, world.ours.id)
    assert client.get("/api/tenant").json()["id"] == world.ours.id
    assert client.get("/api/tenants").status_code == 403
    act_as(client)
    assert client.get("/api/tenant").status_code == 403
    assert client.get("/api/tenants").json()["count"] == before


def test_switch_malformed(world):
    answer = world.client("system").post("/api/tenants/switch?id=x")
    assert answer.status_code == 400


# Whose a tenant is

@pytest.mark.parametrize("who, tenant, to, status", [
    ("system", "ours", "outside", 200), ("system", "theirs", "reseller", 200),
    ("distributor", "ours", "distributor", 200),
    ("distributor", "ours", "sub", 200),
    ("distributor", "ours", "below_distributor", 200),
    ("distributor", "ours", "outside", 404),
    ("distributor", "theirs", "distributor", 404),
    ("sub", "ours", "sub", 200), ("sub", "ours", "below_sub", 200),
    ("sub", "ours", "distributor", 404),
    ("sub", "ours", "below_distributor", 404),
    ("reseller", "ours", "sub", 404), ("reseller", "ours", "outside", 404),
    ("outside", "ours", "outside", 404),
    ("outside", "theirs", "below_outside", 200),
    *[(who, "ours", "outside", 403)
      for who in ["admin", "stranger", "queue", "user", "acting",
                  "acting_dealer"]],
])
def test_designate(world, who, tenant, to, status):
    """A tenant goes to who asks or to a dealer below; both have to be in its
    sight."""
    client = world.people[who]
    dealer = dealer_id(world, to)
    tenant = world.make_tenant(tenant)
    answer = client.post(path("tenants", tenant, f"/dealers/{dealer}"))
    assert answer.status_code == status, answer.text
    if status == 404:
        missing = client.post(path("tenants", tenant, f"/dealers/{MISSING}"))
        assert looks(answer) == looks(missing)
    if status == 200:
        held = world.people["system"].get(path("tenants", tenant, "/dealers"))
        assert [one["id"] for one in held.json()["items"]] == [dealer]
    world.people["system"].post(path("tenants", tenant, "/destroy"))


@pytest.mark.parametrize("who, tenant, status", [
    ("system", "ours", 204), ("distributor", "ours", 204),
    ("outside", "ours", 404), ("distributor", "theirs", 404),
    ("admin", "ours", 403), ("queue", "ours", 403), ("user", "ours", 403),
    ("acting", "ours", 403), ("acting_dealer", "ours", 403)])
def test_undesignate(world, who, tenant, status):
    held_by = dealer_id(world, {"ours": "reseller", "theirs": "outside"}[
        tenant])
    tenant = world.make_tenant(tenant)
    answer = world.people[who].post(
        path("tenants", tenant, f"/dealers/{held_by}/destroy"))
    assert answer.status_code == status, answer.text
    world.people["system"].post(path("tenants", tenant, "/destroy"))


def dealer_id(world, name):
    return (world.below[name] if name in world.below
            else getattr(world, name)).id


# Who may lend a trunk

@pytest.mark.parametrize("who", PEOPLE)
def test_assign(world, who):
    client = world.people[who]
    trunk = made(world.people["system"].post("/api/providers",
                                             json=trunk_body()))
    body = {"did_numbers": unique_did(), "concurrency": 1}
    answers = [client.post(path("providers", a_trunk, f"/assignees/{tenant}"),
                           json=body)
               for a_trunk, tenant in [(trunk, world.ours.id),
                                       (MISSING, world.ours.id),
                                       (trunk, MISSING)]]
    assert [answer.status_code for answer in answers] == (
        [204, 404, 404] if who == "system" else [403, 403, 403])


# A caller's own row

@pytest.mark.parametrize("who", ["queue", "user"])
def test_a_user_sees_itself(world, who):
    """And nothing else: not the tenant's other users."""
    client, user = world.people[who], getattr(world, who)
    assert client.get(path("users", user.id)).json()["id"] == user.id
    assert client.get(path("users", user.id, "/status")).status_code == 200
    listed = client.get("/api/users").json()
    assert (listed["count"], [one["id"] for one in listed["items"]]) == (
        1, [user.id])


@pytest.mark.parametrize("who", ["distributor", "sub", "reseller", "outside"])
def test_a_dealer_is_not_below_itself(world, who):
    client, dealer = world.people[who], getattr(world, who)
    assert client.get("/api/dealer").json()["id"] == dealer.id
    own = client.get(path("dealers", dealer.id))
    assert looks(own) == looks(client.get(path("dealers", MISSING)))


@pytest.mark.parametrize("who, level, status", [
    ("distributor", "DISTRIBUTOR", 403), ("distributor", "SUB_DISTRIBUTOR", 201),
    ("sub", "DISTRIBUTOR", 403), ("sub", "SUB_DISTRIBUTOR", 403),
    ("sub", "RESELLER", 201)])
def test_dealers_make_lower_ones(world, who, level, status):
    answer = world.people[who].post("/api/dealers",
                                    json=dealer_body(level=level))
    assert answer.status_code == status, answer.text


# Modes of trunks

@pytest.mark.parametrize("who, changes, status", [
    *[(who, {"auth_mode": mode}, 201) for who, mode in [
        ("system", "IP_AUTH"), ("system", "REGISTER_AUTH"),
        ("system", "ACCEPT_REGISTER"), ("admin", "REGISTER_AUTH"),
        ("admin", "ACCEPT_REGISTER"), ("admin", "TEAMS"),
        ("admin", "WHATS_APP"), ("acting", "REGISTER_AUTH"),
        ("acting_dealer", "ACCEPT_REGISTER")]],
    *[(who, {"auth_mode": mode}, 400) for who, mode in [
        ("system", "TEAMS"), ("system", "WHATS_APP"), ("admin", "IP_AUTH"),
        ("acting", "IP_AUTH"), ("acting_dealer", "IP_AUTH")]],
    ("admin", {"did_numbers": None}, 400),
    ("system", {"did_numbers": None}, 201)])
def test_modes_of_trunks(world, who, changes, status):
    client = world.people[who]
    answer = client.post("/api/providers", json=trunk_body(**changes))
    assert answer.status_code == status, answer.text
    if status == 201:
        trunk = path("providers", answer.json()["id"])
        shown = client.get(trunk).json()
        assert shown["shared"] == (who == "system")
        assert client.post(trunk + "/destroy").status_code == 204


def test_trunks_as_a_feature(world):
    """A tenant without it makes, changes and deletes no trunks."""
    root = world.people["system"]
    tenant = make_tenant(root)
    client = act_as(world.client("system"), tenant.id)
    trunk = made(client.post("/api/providers", json=trunk_body()))
    answer = root.post(path("tenants", tenant.id),
                       json={"enable_feature_trunks": False})
    assert answer.status_code == 200, answer.text
    refused = [client.post("/api/providers", json=trunk_body()),
               client.post(path("providers", trunk), json={"concurrency": 2}),
               client.post(path("providers", trunk, "/destroy"))]
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert client.get(path("providers", trunk)).status_code == 200
    assert root.post(path("providers", trunk, "/destroy")).status_code == 204


# What is gone is gone at once

def test_a_disabled_tenant(world):
    """Its users are out, and cannot come back."""
    root = world.people["system"]
    tenant = make_tenant(root)
    client, user = sign_in_user(world.suite, tenant, role="Admin")
    acting = act_as(world.client("system"), tenant.id)
    assert client.get("/api/tenant").status_code == 200
    answer = root.post(path("tenants", tenant.id), json={"enabled": False})
    assert answer.status_code == 200, answer.text
    assert client.get("/api/tenant").status_code == 401
    refused = world.suite.stranger().post("/api/auth/sign_in", json={
        "username": user.name, "password": PASSWORD,
        "domain": tenant.domain})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (
        400, "UNAUTHORIZED")
    assert root.get(path("tenants", tenant.id)).json()["enabled"] is False
    del acting


def test_a_disabled_dealer(world):
    """Is out, and those below it sell nothing more."""
    root = world.people["system"]
    above = make_dealer(root)
    client = sign_in(world.suite, above.name)
    below = make_dealer(client, level="RESELLER")
    seller = sign_in(world.suite, below.name)
    answer = root.post(path("dealers", above.id), json={"enabled": False})
    assert answer.status_code == 200, answer.text
    assert client.get("/api/dealer").status_code == 401
    refused = seller.post("/api/tenants", json=tenant_body())
    assert refused.status_code in (401, 403, 409), refused.text


@pytest.mark.parametrize("role, reads", [("QueueManager", 200),
                                         ("StandardUser", 403)])
def test_a_changed_role(world, role, reads):
    """Counts from the next sign-in on at the latest."""
    admin = world.people["admin"]
    old, user = sign_in_user(world.suite, world.ours, role="Admin")
    assert old.get("/api/providers").status_code == 200
    answer = admin.post(path("users", user.id, "/role"), json={"role": role})
    assert answer.status_code == 200, answer.text
    client = sign_in(world.suite, user.name, domain=world.ours.domain)
    assert client.get("/api/providers").status_code == reads
    assert client.get("/api/tenant").status_code == 403
    assert old.get("/api/tenant").status_code in (401, 403)
