"""Tenants and their users as phones know them."""

import dataclasses

from people import (EXTENSION_PASSWORD, as_tenant, destroy_tenant, make_tenant,
                    make_user, path)
from trunks import registrations


@dataclasses.dataclass
class Account:
    """A user as its phones know it: what sip.Device asks of a trunk."""

    id: str
    user: str
    domain: str
    password: str = EXTENSION_PASSWORD
    api: object = None

    @property
    def aor(self):
        return f"{self.user}@{self.domain}"

    def registrations(self):
        return registrations(self.api, user_id=self.id)


class Office:
    """A tenant, with a client that acts as it. Attributes: tenant, api."""

    def __init__(self, suite, system):
        self._system = system
        self.tenant = make_tenant(system)
        self.domain = self.tenant.domain
        self.api = as_tenant(suite, self.tenant)

    def account(self, **fields):
        user = make_user(self.api, **fields)
        return Account(user.id, user.extension_number, self.domain,
                       api=self._system)

    def change(self, **fields):
        answer = self._system.post(path("tenants", self.tenant.id),
                                   json=fields)
        assert answer.status_code == 200, answer.text
        self.domain = fields.get("domain", self.domain)

    def change_user(self, account, **fields):
        answer = self.api.post(path("users", account.id), json=fields)
        assert answer.status_code == 200, answer.text

    def destroy_user(self, account):
        answer = self.api.post(path("users", account.id, "/destroy"))
        assert answer.status_code == 204, answer.text

    def status(self, account):
        answer = self.api.get(path("users", account.id, "/status"))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def online(self):
        answer = self.api.get("/api/tenant/status")
        assert answer.status_code == 200, answer.text
        return answer.json()["online_users"]

    def destroy(self):
        destroy_tenant(self._system, self.tenant)
