"""One of each kind of caller, and what is whose: what test_authorization.py
asks about."""

from objects import id_of, minimal, unique
from people import (act_as, as_tenant, made, make_dealer, make_tenant,
                    make_user, path, sign_in, sign_in_dealer, sign_in_user,
                    system)

# Who asks. The tenant "ours" was made by the third of a chain of dealers;
# "theirs" by a dealer outside of it.
PEOPLE = ["system", "distributor", "sub", "reseller", "outside", "admin",
          "stranger", "queue", "user", "acting", "acting_dealer"]

# Whose tokens count for nothing: of a tenant and of a dealer that were
# disabled, and no token.
NOBODIES = ["dead", "dead_dealer", "nobody"]

MISSING = id_of(7)

def trunk_body(**changes):
    """A trunk a tenant may make, which nothing is sent to."""
    return minimal(auth_mode="ACCEPT_REGISTER", auth_id=unique("auth"),
                   password="secret", did_numbers=unique_did()) | changes


_dids = iter(range(70000, 90000))
PORTS = iter(range(17000, 18000))


def unique_did():
    return str(next(_dids))


class World:
    """Attributes: suite, people (a client each, of PEOPLE and NOBODIES), ours
    and theirs (tenants), and what objects() gives."""

    def __init__(self, suite):
        self.suite = suite
        self._make_dealers()
        self.ours = make_tenant(self.people["reseller"])
        self.theirs = make_tenant(self.people["outside"])
        self._make_users()
        self._make_trunks()
        self.people["acting"] = as_tenant(suite, self.ours)
        self.people["acting_dealer"] = act_as(
            sign_in(suite, self.names["distributor"]), self.ours.id)
        self._make_nobodies()
        self.transport = self.make_transport("any")

    def client(self, who):
        """A session of its own for one of PEOPLE, for calls that end it."""
        if who == "system":
            return system(self.suite)
        if who == "acting":
            return as_tenant(self.suite, self.ours)
        if who == "acting_dealer":
            return act_as(sign_in(self.suite, self.names["distributor"]),
                          self.ours.id)
        return sign_in(self.suite, self.names[who],
                       domain=self.domains.get(who))

    def _make_dealers(self):
        root = system(self.suite)
        self.people, self.names, self.domains = {"system": root}, {}, {}
        above = root
        for who, level in [("distributor", "DISTRIBUTOR"),
                           ("sub", "SUB_DISTRIBUTOR"),
                           ("reseller", "RESELLER"),
                           ("outside", "DISTRIBUTOR")]:
            if who == "outside":
                above = root
            # Full access to tenants is what the second gives nobody, then.
            above, dealer = sign_in_dealer(
                self.suite, above, level=level,
                tenant_full_access=who != "sub")
            self.people[who] = above
            self.names[who] = dealer.name
            setattr(self, who, dealer)
        self.below = {name: make_dealer(self.people[maker], level=level)
                      for name, maker, level in BELOW}

    def _make_users(self):
        for who, tenant, role in [
                ("admin", self.ours, "Admin"),
                ("stranger", self.theirs, "Admin"),
                ("queue", self.ours, "QueueManager"),
                ("user", self.ours, "StandardUser")]:
            self.people[who], user = sign_in_user(self.suite, tenant,
                                                  role=role)
            self.names[who], self.domains[who] = user.name, tenant.domain
            setattr(self, who, user)
        self.our_user = make_user(self.people["admin"])
        self.their_user = make_user(self.people["stranger"])

    def _make_trunks(self):
        self.dids = {"own": unique_did(), "lent": unique_did(),
                     "theirs": unique_did()}
        self.own_trunk = self.make_trunk("own", did_numbers=self.dids["own"])
        self.their_trunk = self.make_trunk("theirs",
                                           did_numbers=self.dids["theirs"])
        self.lent_trunk = self.make_trunk("lent", self.dids["lent"])

    def _make_nobodies(self):
        root = self.people["system"]
        tenant = make_tenant(root)
        self.people["dead"], _ = sign_in_user(self.suite, tenant)
        dealer = make_dealer(root)
        self.people["dead_dealer"] = sign_in(self.suite, dealer.name)
        self.people["nobody"] = self.suite.session()
        for thing in [path("tenants", tenant.id), path("dealers", dealer.id)]:
            answer = root.post(thing, json={"enabled": False})
            assert answer.status_code == 200, answer.text

    # What is asked about

    def make_trunk(self, whose, lent_dids=None, **changes):
        """A trunk of the tenant's own, of another's, or one that is lent to
        the tenant; its id."""
        maker = self.people[{"own": "admin", "theirs": "stranger",
                             "lent": "system"}[whose]]
        trunk = made(maker.post("/api/providers", json=trunk_body(**changes)))
        if whose == "lent":
            answer = maker.post(
                path("providers", trunk, f"/assignees/{self.ours.id}"),
                json={"did_numbers": lent_dids or unique_did(),
                      "concurrency": 3})
            assert answer.status_code == 204, answer.text
        return trunk

    def make_tenant(self, whose):
        maker = {"ours": "reseller", "theirs": "outside"}[whose]
        return make_tenant(self.people[maker]).id

    def make_dealer(self, name):
        maker, level = next(rest for key, *rest in BELOW if key == name)
        return make_dealer(self.people[maker], level=level).id

    def make_user(self, whose):
        maker = {"ours": "admin", "theirs": "stranger"}[whose]
        return make_user(self.people[maker]).id

    def make_transport(self, _):
        return made(self.people["system"].post(
            "/api/transports", json={"protocol": "TCP",
                                     "port": next(PORTS)}))


# Dealers that nobody is signed in as, by who made them.
BELOW = [("below_distributor", "distributor", "SUB_DISTRIBUTOR"),
         ("below_sub", "sub", "RESELLER"),
         ("below_outside", "outside", "SUB_DISTRIBUTOR")]
