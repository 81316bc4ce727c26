"""The sample requests of the API document (PortSIP v22, "Administrations"):
each gets the status the vendor says and an answer of the sample's shape."""

import json

import pytest

from objects import GOLDEN, create, unique
from people import (PASSWORD, make_dealer, make_tenant, sign_in_dealer,
                    system)
from world import trunk_body, unique_did

SAMPLES = json.loads((GOLDEN / "administrations-v22.json").read_text())
VENDOR = json.loads((GOLDEN / "portsip-v22-paths.json").read_text())

# What stands for "text" where a field takes only some texts.
TEXTS = {
    "name": lambda: unique("name"), "domain": lambda: f"{unique()}.example",
    "website": lambda: "www.example.com",
    "timezone": lambda: "Asia/Shanghai", "region": lambda: "CHN",
    "password": lambda: PASSWORD, "old_password": lambda: PASSWORD,
    "new_password": lambda: PASSWORD[::-1], "did_numbers": unique_did,
    "phone": lambda: "+86 10 1234",
    "email_recipients": lambda: "a@example.com,b@example.com",
    "custom_options": lambda: '{"text":"text"}',
    "username": lambda: "hookuser", "url": lambda: "https://a.example/hook",
}

# Asked for, and never told.
SECRETS = {"password", "token"}


def filled(value, name=None):
    """A sample's body with legal values for its placeholders."""
    if isinstance(value, dict):
        # The password of an event is another thing.
        return {key: "hookpassword" if name and key == "password"
                else filled(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    if value == "text" and name in TEXTS:
        return TEXTS[name]()
    return value


def unlike(given, sample, where="answer"):
    """Where an answer differs from a sample in its fields or their kinds. It
    may have more, and null for what is not there."""
    if given is None:
        return []
    if isinstance(sample, dict):
        keys = sample.keys() - SECRETS
        if not keys <= given.keys() or SECRETS & given.keys():
            return [f"{where}: {list(given)}"]
        return [fault for key in keys
                for fault in unlike(given[key], sample[key],
                                    f"{where}.{key}")]
    if isinstance(sample, list):
        return [fault for item in given
                for fault in unlike(item, sample[0], where + "[]")]
    return [] if type(given) is type(sample) else [f"{where}: {given!r}"]


class Stage:
    """Attributes: api, and what stands in the paths: things."""

    def __init__(self, suite, sample):
        self.api = system(suite)
        dealer = make_dealer(self.api)
        tenant = make_tenant(self.api)
        trunk = create(self.api, trunk_body())
        if sample["path"].startswith("/api/dealer/") or (
                sample["path"] == "/api/dealer"):
            self.api, _ = sign_in_dealer(suite, self.api)
        self.things = {"{tenant_id}": tenant.id, "{dealer_id}": dealer.id,
                       "{id}": {"dealers": dealer.id, "tenants": tenant.id,
                                "providers": trunk}.get(
                                    sample["path"].split("/")[2])}

    def path(self, template):
        for name, value in self.things.items():
            template = template.replace(name, value or "")
        return template

    def prepare(self, template):
        """What a sample needs to be there."""
        if template.endswith("/assignees/{tenant_id}/destroy") or (
                template.endswith("/assignees/{tenant_id}")):
            answer = self.api.post(
                self.path("/api/providers/{id}/assignees/{tenant_id}"),
                json={"did_numbers": unique_did(), "concurrency": 1})
            assert answer.status_code == 204, answer.text
        if template.endswith("/dealers/{dealer_id}/destroy") or (
                template.endswith("{id}/dealers")):
            answer = self.api.post(
                self.path("/api/tenants/{id}/dealers/{dealer_id}"))
            assert answer.status_code == 200, answer.text


def good_status(sample):
    responses = VENDOR[sample["path"]][sample["verb"].lower()]["responses"]
    return int(next(status for status in responses if status[0] == "2"))


@pytest.mark.parametrize(
    "sample", SAMPLES, ids=lambda one: f"{one['verb']} {one['path']}")
def test_sample(suite, sample):
    stage = Stage(suite, sample)
    if not (sample["verb"] == "POST" and "body" in sample):
        stage.prepare(sample["path"])
    body = {"json": filled(sample["body"])} if "body" in sample else {}
    answer = stage.api.request(sample["verb"], stage.path(sample["path"]),
                               **body)
    assert answer.status_code == good_status(sample), answer.text
    if "answer" in sample:
        assert answer.headers["Content-Type"] == "application/json"
        assert unlike(answer.json(), sample["answer"]) == []
    else:
        assert answer.content == b""
