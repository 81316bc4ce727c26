"""The tenants, dealers and users the tests make, and who they are signed in
as."""

import dataclasses
import itertools

from objects import unique
from servers import wait_for

# What the strictest policy takes: letters of both cases, digits, special
# characters, no runs, nothing repeated.
PASSWORD = "Vq7!mZ2#kW9p"
EXTENSION_PASSWORD = "Hx4!rT8#bN3q"
VOICEMAIL_PIN = "258036"

LEVELS = ["DISTRIBUTOR", "SUB_DISTRIBUTOR", "RESELLER"]

_extensions = itertools.count(4000)


@dataclasses.dataclass
class Tenant:
    id: str
    name: str
    domain: str


@dataclasses.dataclass
class Dealer:
    id: str
    name: str


@dataclasses.dataclass
class User:
    id: str
    name: str
    extension_number: str
    domain: str = None


def tenant_body(**changes):
    """A tenant with what is required, and changes."""
    return {"name": unique("tenant"), "domain": f"{unique('pbx')}.example",
            "timezone": "Europe/Berlin", "currency": "EUR",
            "region": "DEU"} | changes


def dealer_body(**changes):
    return {"level": "DISTRIBUTOR", "name": unique("dealer"),
            "password": PASSWORD, "email": f"{unique('mail')}@dealer.example",
            "display_name": "Dealer", "max_tenants": 100,
            "max_extensions": 50000} | changes


def user_body(**changes):
    return {"name": unique("user"), "password": PASSWORD,
            "email": f"{unique('mail')}@user.example", "display_name": "User",
            "role": "StandardUser",
            "extension_number": str(next(_extensions)),
            "extension_password": EXTENSION_PASSWORD,
            "voicemail_pin": VOICEMAIL_PIN} | changes


def made(answer):
    """The id of what a create made."""
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def make_tenant(session, **changes):
    """Makes a tenant, of the dealer's where a dealer asks."""
    body = tenant_body(**changes)
    return Tenant(made(session.post("/api/tenants", json=body)), body["name"],
                  body["domain"])


def make_dealer(session, **changes):
    """Makes a dealer, below the one that asks."""
    body = dealer_body(**changes)
    return Dealer(made(session.post("/api/dealers", json=body)), body["name"])


def make_user(session, domain=None, **changes):
    """Makes a user of the tenant that session is of or acts as."""
    body = user_body(**changes)
    return User(made(session.post("/api/users", json=body)), body["name"],
                body["extension_number"], domain)


def sign_in(suite, name, password=PASSWORD, domain=None):
    """A client signed in: with a domain as a user of that tenant, else as an
    administrator of the system or a dealer."""
    answer = suite.session().post("/api/auth/sign_in", json={
        "username": name, "password": password} |
        ({"domain": domain} if domain else {}))
    assert answer.status_code == 200, answer.text
    return suite.session(answer.json()["access_token"])


def system(suite):
    """A client of its own signed in as the administrator of the system: that
    it acts as a tenant does not change what others see."""
    return sign_in(suite, suite.admin_name, suite.admin_password)


def act_as(session, tenant_id=None):
    """The session goes on as a tenant's administrator, or as itself again."""
    answer = session.post("/api/tenants/switch", params=tenant_id and
                          {"id": tenant_id})
    assert answer.status_code == 200, answer.text
    return session


def as_tenant(suite, tenant):
    """A client of its own that acts as the tenant for the system."""
    return act_as(system(suite), tenant.id)


def sign_in_user(suite, tenant, **changes):
    """Makes a user of the tenant and signs in as it: (client, user)."""
    user = make_user(as_tenant(suite, tenant), domain=tenant.domain, **changes)
    return sign_in(suite, user.name, domain=tenant.domain), user


def sign_in_dealer(suite, maker, **changes):
    """Makes a dealer and signs in as it: (client, dealer)."""
    dealer = make_dealer(maker, **changes)
    return sign_in(suite, dealer.name), dealer


def path(resource, object_id, tail=""):
    return f"/api/{resource}/{object_id}{tail}"


def destroy_tenant(session, tenant):
    """Destroys a tenant and waits until nothing of it is left."""
    answer = session.post(path("tenants", tenant.id, "/destroy"))
    assert answer.status_code == 204, answer.text
    wait_for(lambda: session.get(path("tenants", tenant.id))
             .status_code == 404, f"tenant {tenant.name} is gone")
