"""Tenants: what they consist of, whose they are, their disabling and their
deletion (document 004)."""

import base64
import json

import pytest

from objects import GOLDEN, broken_fields, error_of, minimal, unique
from people import (PASSWORD, Tenant, act_as, as_tenant, destroy_tenant, made,
                    make_dealer, make_tenant, make_user, path, sign_in,
                    sign_in_dealer, sign_in_user, tenant_body,
                    user_body)
from servers import wait_for

# The bodies of the API document, as they stand there: "text" wherever a text
# may be.
DOCUMENTED = json.loads((GOLDEN / "tenants-v22.json").read_text())

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
        "sunday"]
EVENT = {"enabled": False, "auth": "DISABLE", "username": None, "url": None}

# What a tenant has where nothing was said.
DEFAULTS = {
    "website": None, "enabled": True, "enable_video_recording": False,
    "enable_audio_recording": False, "enable_dual_track_recording": False,
    "enable_billing": False, "enable_feature_billing": False,
    "enable_feature_call_statistics": True,
    "enable_feature_contact_center": True,
    "enable_feature_message_channels": True,
    "enable_feature_microsoft_teams": True, "enable_feature_trunks": True,
    "enable_feature_whats_app": True, "enable_night_mode": False,
    "enable_two_factor_authentication": False, "custom_options": None,
    "max_extensions": 1000, "max_concurrent_calls": 20,
    "max_ring_groups": 20, "max_virtual_receptionists": 20,
    "max_call_queues": 20, "max_conference_rooms": 20, "disk_quota": "",
    "used_disk_quota": "", "im_disk_quota": "",
    "extension_im_disk_quota": "1GB", "recording_retention": 180,
    "call_report_retention": 30, "log_retention": 180,
    "temp_file_retention": 30,
    "office_hours": {day: {"enabled": False, "ranges": []} for day in DAYS},
    "outbound_caller_ids": [],
    "e164": {"enabled": False, "international_code": None, "country": None,
             "area_code": None, "national_code": None, "prefix": None,
             "remove_special_chars": False,
             "remove_duplicate_countries": True,
             "remove_duplicate_area_codes": True},
    "cdr_event": EVENT, "extension_event": EVENT,
    "contact_match_type": "MATCH_EXACTLY", "contact_match_length": None,
    "contact_append_type": "APPEND", "contact_update_interval": 720,
    "email_recipients": None, "password_force_reset": False,
    "avatar_file_name": "", "avatar_file_size": 0, "avatar_file_url": "",
}

SECRETS = {"password": "geheim123", "token": "Bearer-Of-The-Hook"}

READ_ONLY = ["used_disk_quota", "avatar_file_name", "avatar_file_size",
             "avatar_file_url", "outbound_caller_ids"]


def full():
    """What may be set of every field, none as its default."""
    body = {name: not value for name, value in DEFAULTS.items()
            if isinstance(value, bool)}
    body |= {name: value + 1 for name, value in DEFAULTS.items()
             if type(value) is int and name not in READ_ONLY}
    hook = {"enabled": True, "auth": "BASIC", "username": "hookuser1",
            "url": "https://hook123.example/events"}
    hours = {day: {"enabled": True, "ranges": [
        {"from": "09:00", "to": "12:30"}, {"from": "13:00", "to": "23:59"}]}
        for day in DAYS}
    return body | {
        "website": "https://tenant.example", "timezone": "Asia/Shanghai",
        "currency": "CNY", "region": "CHN", "domain":
        f"{unique('pbx')}.example", "custom_options": '{"a": [1]}',
        "disk_quota": "100MB", "im_disk_quota": "7KB",
        "extension_im_disk_quota": "2PB", "office_hours": hours,
        "e164": {"enabled": True, "international_code": "00",
                 "country": "Angola(244)", "area_code": "30",
                 "national_code": "0", "prefix": "9",
                 "remove_special_chars": True,
                 "remove_duplicate_countries": False,
                 "remove_duplicate_area_codes": False},
        "cdr_event": hook, "extension_event": hook | {"auth": "DIGEST"},
        "contact_match_type": "MATCH_LENGTH", "contact_match_length": 7,
        "contact_append_type": "PREPEND",
        "email_recipients": "a@tenant.example,b@tenant.example"}


def filled(sample):
    """A body of the document with legal values for its placeholders."""
    texts = {"domain": f"{unique('pbx')}.example", "region": "USA",
             "timezone": "America/New_York", "custom_options": "{}",
             "email_recipients": "a@tenant.example",
             "username": "hookuser1", "password": "geheim123",
             "url": "http://hook123.example/"}
    return {name: filled(value) if isinstance(value, dict)
            else texts.get(name, unique()) if value == "text" else value
            for name, value in sample.items()}


def get(session, tenant_id):
    answer = session.get(path("tenants", tenant_id))
    assert answer.status_code == 200, answer.text
    return answer.json()


def update(session, tenant_id, **body):
    return session.post(path("tenants", tenant_id), json=body)


def updated(session, tenant_id, **body):
    answer = update(session, tenant_id, **body)
    assert answer.status_code == 200, answer.text


def destroy(session, tenant_id):
    return session.post(path("tenants", tenant_id, "/destroy"))


def dealers_of(session, tenant_id):
    answer = session.get(path("tenants", tenant_id, "/dealers"))
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def move(session, tenant_id, dealer_id, tail=""):
    return session.post(path("tenants", tenant_id,
                             f"/dealers/{dealer_id}{tail}"))


def conflicting(answer):
    """The fields of a conflict."""
    error = error_of(answer, 409, "CONFLICT")
    return [detail["field"] for detail in error["detail"]]


def names(body):
    """The names of an object and of those in it."""
    return {name: names(value) if isinstance(value, dict) else None
            for name, value in body.items()}


# Their fields


def test_defaults(api):
    body = tenant_body()
    answer = api.post("/api/tenants", json=body)
    one = made(answer)
    assert answer.headers["Location"] == path("tenants", one)
    assert answer.headers["ETag"] == '"1"'
    got = get(api, one)
    assert got.pop("created_at").endswith("Z")
    assert got == {"id": one} | body | DEFAULTS


@pytest.mark.parametrize("sample", ["create", "update"])
def test_documents_bodies(api, sample):
    body = filled(DOCUMENTED[sample])
    if sample == "create":
        one = made(api.post("/api/tenants", json=body))
    else:
        one = make_tenant(api).id
        updated(api, one, **body)
    got = get(api, one)
    for event in ["cdr_event", "extension_event"]:
        for secret in SECRETS:
            del body[event][secret]
    assert {name: got[name] for name in body} == body


def test_answers_have_the_documents_fields(api):
    """All but the secrets of the hooks, which are never told."""
    one = made(api.post("/api/tenants", json=tenant_body() | full()))
    wanted = names(DOCUMENTED["get"])
    for event in ["cdr_event", "extension_event"]:
        for secret in SECRETS:
            del wanted[event][secret]
    got = get(api, one)
    assert names(got) == wanted
    assert list(got) == list(DOCUMENTED["get"])
    found = api.get("/api/tenants", params={
        "filter": f"name eq '{got['name']}'"}).json()
    assert found["count"] == 1
    (item,) = found["items"]
    assert item.keys() == DOCUMENTED["list"]["items"][0].keys()
    assert item == {name: got[name] for name in item}


def test_every_field_can_be_set_and_set_back(api):
    tenant, body = make_tenant(api), full()
    updated(api, tenant.id, **body)
    got = get(api, tenant.id)
    assert {name: got[name] for name in body} == body
    plain = tenant_body()
    back = {name: None for name in body if name not in plain} | {
        name: plain[name] for name in body if name in plain}
    updated(api, tenant.id, **back)
    got = get(api, tenant.id)
    assert {name: got[name] for name in DEFAULTS} == DEFAULTS


def test_what_was_read_can_be_sent_back(api):
    one = made(api.post("/api/tenants", json=tenant_body() | full()))
    before = get(api, one)
    updated(api, one, **before)
    assert get(api, one) == before


def test_a_days_hours_are_replaced_and_the_others_stay(api):
    one = made(api.post("/api/tenants", json=tenant_body() | full()))
    hours = get(api, one)["office_hours"]
    hours["monday"]["ranges"] = [{"from": "00:00", "to": "01:00"}]
    updated(api, one, office_hours={
        "monday": {"ranges": hours["monday"]["ranges"]}})
    assert get(api, one)["office_hours"] == hours


def test_idempotency_key(api):
    body = tenant_body(cdr_event=SECRETS)
    first, again, other = [
        api.post("/api/tenants", json=sent,
                 headers={"Idempotency-Key": body["name"]})
        for sent in [body, body, body | {"website": "x"}]]
    assert made(first) == made(again)
    assert other.status_code == 409


def test_name_stays(api):
    tenant = make_tenant(api)
    answer = update(api, tenant.id, name="another")
    assert broken_fields(answer) == ["name"]
    updated(api, tenant.id, name=tenant.name)


@pytest.mark.parametrize("field", ["name", "domain", "timezone", "currency",
                                   "region"])
def test_required(api, field):
    body = tenant_body()
    del body[field]
    assert broken_fields(api.post("/api/tenants", json=body)) == [field]


@pytest.mark.parametrize(("body", "field"), [
    ({"name": ""}, "name"), ({"name": "n" * 1025}, "name"),
    ({"domain": ""}, "domain"), ({"domain": "a b"}, "domain"),
    ({"domain": "256.1.1.1"}, "domain"), ({"domain": "-a.b"}, "domain"),
    ({"domain": ("d" * 63 + ".") * 5 + "de"}, "domain"),
    ({"website": "w" * 256}, "website"),
    ({"timezone": "Mars/Olympus"}, "timezone"),
    ({"timezone": "../../etc/passwd"}, "timezone"),
    ({"timezone": "/etc/localtime"}, "timezone"),
    ({"timezone": "tzdata.zi"}, "timezone"),
    ({"timezone": "europe/berlin"}, "timezone"),
    ({"timezone": "Europe"}, "timezone"),
    ({"currency": "XYZ"}, "currency"), ({"currency": "usd"}, "currency"),
    ({"currency": "US"}, "currency"), ({"region": "XYZ"}, "region"),
    ({"region": "US"}, "region"), ({"region": "usa"}, "region"),
    ({"enabled": "yes"}, "enabled"), ({"enabled": 1}, "enabled"),
    ({"max_extensions": -1}, "max_extensions"),
    ({"max_extensions": 2147483648}, "max_extensions"),
    ({"disk_quota": "100"}, "disk_quota"),
    ({"disk_quota": "-1GB"}, "disk_quota"),
    ({"disk_quota": "0GB"}, "disk_quota"),
    ({"disk_quota": "1.5GB"}, "disk_quota"),
    ({"disk_quota": "1XB"}, "disk_quota"),
    ({"disk_quota": "GB"}, "disk_quota"),
    ({"im_disk_quota": "1 GB"}, "im_disk_quota"),
    ({"extension_im_disk_quota": "1gb"}, "extension_im_disk_quota"),
    ({"recording_retention": 0}, "recording_retention"),
    ({"call_report_retention": 0}, "call_report_retention"),
    ({"log_retention": 0}, "log_retention"),
    ({"temp_file_retention": 0}, "temp_file_retention"),
    ({"contact_match_type": "SOME"}, "contact_match_type"),
    ({"contact_match_length": -1}, "contact_match_length"),
    ({"contact_append_type": "SOME"}, "contact_append_type"),
    ({"contact_update_interval": 0}, "contact_update_interval"),
    ({"contact_update_interval": 43201}, "contact_update_interval"),
    ({"email_recipients": "a@b.example,nobody"}, "email_recipients"),
    ({"email_recipients": ",".join(f"a{n}@b.example" for n in range(16))},
     "email_recipients"),
    ({"custom_options": "{"}, "custom_options"),
    ({"office_hours": {"noday": {}}}, "office_hours.noday"),
    ({"office_hours": {"monday": {"enabled": "x"}}},
     "office_hours.monday.enabled"),
    ({"office_hours": {"monday": {"ranges": {}}}},
     "office_hours.monday.ranges"),
    ({"office_hours": {"monday": {"ranges": [1]}}},
     "office_hours.monday.ranges[0]"),
    ({"office_hours": {"monday": {"ranges": [
        {"from": "09:00", "to": "17:00"}, {"from": "9:00", "to": "10:00"}]}}},
     "office_hours.monday.ranges[1].from"),
    ({"office_hours": {"sunday": {"ranges": [
        {"from": "09:00", "to": "24:00"}]}}},
     "office_hours.sunday.ranges[0].to"),
    ({"office_hours": {"sunday": {"ranges": [{"from": "09:00"}]}}},
     "office_hours.sunday.ranges[0].to"),
    ({"office_hours": {"monday": {"ranges": [
        {"from": "17:00", "to": "09:00"}]}}},
     "office_hours.monday.ranges[0]"),
    ({"office_hours": {"monday": {"ranges": [
        {"from": "09:00", "to": "09:00"}]}}},
     "office_hours.monday.ranges[0]"),
    ({"office_hours": {"monday": {"ranges": [
        {"from": "09:00", "to": "10:00"}] * 25}}},
     "office_hours.monday.ranges"),
    ({"e164": {"enabled": None, "country": 1}}, "e164.country"),
    ({"cdr_event": {"auth": "NTLM"}}, "cdr_event.auth"),
    ({"cdr_event": {"username": "short"}}, "cdr_event.username"),
    ({"cdr_event": {"password": "Geheim123"}}, "cdr_event.password"),
    ({"extension_event": {"url": "ftp://hook.example"}},
     "extension_event.url"),
    ({"colour": "red"}, "colour"),
], ids=lambda value: str(value)[:40])
def test_broken_fields(api, body, field):
    tenant = make_tenant(api)
    before = get(api, tenant.id)
    answer = api.post("/api/tenants", json=tenant_body() | body)
    assert broken_fields(answer) == [field], answer.text
    if "name" not in body:
        answer = update(api, tenant.id, **body)
        assert broken_fields(answer) == [field], answer.text
    assert get(api, tenant.id) == before


def test_several_places_are_told_at_once(api):
    answer = api.post("/api/tenants", json=tenant_body(
        timezone="x", currency="xxx", region="xxx"))
    assert broken_fields(answer) == ["timezone", "currency", "region"]


@pytest.mark.parametrize(("given", "kept"), [
    ({"email_recipients": " a@b.example , ,c@d.example"},
     {"email_recipients": "a@b.example,c@d.example"}),
    ({"email_recipients": ""}, {"email_recipients": None}),
    ({"custom_options": ""}, {"custom_options": None}),
    ({"disk_quota": None}, {"disk_quota": ""}),
    ({"disk_quota": "1TB"}, {"disk_quota": "1TB"}),
    ({"timezone": "UTC"}, {"timezone": "UTC"}),
    # Another name of Europe/London.
    ({"timezone": "GB-Eire"}, {"timezone": "GB-Eire"}),
])
def test_canonical_forms(api, given, kept):
    got = get(api, made(api.post("/api/tenants",
                                 json=tenant_body() | given)))
    assert {name: got[name] for name in kept} == kept


# The domain


def test_domain_is_kept_in_lower_case_and_unique(api):
    domain = f"{unique('PBX')}.Example."
    one = make_tenant(api, domain=domain)
    kept = domain.lower().rstrip(".")
    assert get(api, one.id)["domain"] == kept
    two = make_tenant(api)
    for answer in [
            api.post("/api/tenants", json=tenant_body(domain=domain.upper())),
            update(api, two.id, domain=kept)]:
        assert conflicting(answer) == ["domain"]
    updated(api, one.id, domain=kept.upper())
    destroy_tenant(api, one)
    updated(api, two.id, domain=kept)


def test_domain_may_be_an_address(api):
    # In the range for documentation; no other test uses it.
    tenant = make_tenant(api, domain="203.0.113.77")
    assert get(api, tenant.id)["domain"] == "203.0.113.77"


def test_domain_is_no_trunks_that_registers_here(api):
    host = f"{unique('host')}.example"
    trunk = made(api.post("/api/providers", json=minimal(
        auth_mode="ACCEPT_REGISTER", auth_id="gw", password="secret",
        hostname=host)))
    answer = api.post("/api/tenants", json=tenant_body(domain=host.upper()))
    assert conflicting(answer) == ["domain"]
    tenant = make_tenant(api)
    assert update(api, tenant.id, domain=host).status_code == 409
    answer = api.post(path("providers", trunk), json={
        "hostname": tenant.domain})
    assert answer.status_code == 409
    # Other trunks register elsewhere.
    other = f"{unique('host')}.example"
    made(api.post("/api/providers", json=minimal(hostname=other)))
    make_tenant(api, domain=other)


# Secrets of the hooks


def test_secrets_of_hooks_are_sealed_and_never_told(suite, api):
    body = tenant_body(cdr_event=SECRETS | {"auth": "BASIC"},
                       extension_event=SECRETS)
    one = made(api.post("/api/tenants", json=body))
    # What is not sent stays.
    updated(api, one, cdr_event={"enabled": True})
    updated(api, one, extension_event=SECRETS)
    acting = as_tenant(suite, Tenant(one, body["name"], body["domain"]))
    told = [get(api, one), api.get("/api/tenants").json(),
            acting.get("/api/tenant").json(),
            api.get("/api/audit_logs", params={"top": 100}).json()]
    row = one_cell(suite, "select row_to_json(t) from tenant.tenants t "
                          f"where name = '{body['name']}'")
    log = suite.servers.sql("select row_to_json(a) from system.audit_logs a "
                            f"where object_name = '{body['name']}' "
                            "and action in ('CREATE', 'UPDATE')")
    assert len(log) >= 3
    for secret in SECRETS.values():
        for text in [json.dumps(told), row, *log]:
            assert secret not in text
    # Nor does the log have what they are sealed to.
    for event in ["cdr_event", "extension_event"]:
        for secret in SECRETS:
            sealed = json.loads(row)[event][secret]
            assert len(sealed) > 80
            assert all(sealed not in text for text in log)


def one_cell(suite, statement):
    (line,) = suite.servers.sql(statement)
    return line


# Its own view


OWN_ONLY = {"stir_shaken_cert"}
NOT_OWN = {"enabled", "email_recipients", "created_at"}


def test_own_tenant(suite, api):
    tenant = make_tenant(api, **full() | {"enabled": True})
    acting = as_tenant(suite, tenant)
    answer = acting.get("/api/tenant")
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == '"1"'
    own, theirs = answer.json(), get(api, tenant.id)
    assert own.keys() == theirs.keys() - NOT_OWN | OWN_ONLY
    assert {name: value for name, value in own.items()
            if name in theirs} == {
        name: value for name, value in theirs.items()
        if name not in NOT_OWN}


def test_own_tenant_sets_what_it_was_not_sold(suite, api):
    tenant = make_tenant(api)
    acting = as_tenant(suite, tenant)
    trunk = made(acting.post("/api/providers", json=minimal(
        auth_mode="REGISTER_AUTH", auth_id=unique("auth"), password="x",
        did_numbers="4930")))
    body = full()
    sold = ["enabled", "enable_billing", "disk_quota", "im_disk_quota",
            "email_recipients"]
    sold += [name for name in body if name.startswith(("enable_feature_",
                                                       "max_"))]
    mine = {name: value for name, value in body.items() if name not in sold}
    mine |= {"outbound_caller_ids": [
        {"provider_id": trunk, "caller_id": "4930", "description": "d"},
        {"provider_id": trunk, "caller_id": "4930", "description": None}],
        "stir_shaken_cert": "-----BEGIN CERTIFICATE-----\nx\n",
        "stir_shaken_key": "-----BEGIN PRIVATE KEY-----\nsecret\n",
        "avatar_file_id": tenant.id}
    # Read and sent back with the rest: not looked at.
    readable = {name: body[name] for name in sold
                if name not in ["enabled", "email_recipients"]}
    answer = acting.post("/api/tenant", json=mine | readable)
    assert answer.status_code == 200, answer.text
    own, theirs = acting.get("/api/tenant").json(), get(api, tenant.id)
    for gone in ["stir_shaken_key", "avatar_file_id"]:
        del mine[gone]
    assert {name: own[name] for name in mine} == mine
    assert {name: theirs[name] for name in readable} == {
        name: DEFAULTS[name] for name in readable}
    assert theirs["outbound_caller_ids"] == mine["outbound_caller_ids"]
    answer = acting.post("/api/tenant", json={"enabled": False})
    assert broken_fields(answer) == ["enabled"]
    key = one_cell(suite, "select stir_shaken_key from tenant.tenants "
                          f"where name = '{tenant.name}'")
    assert len(key) > 80


@pytest.mark.parametrize(("ids", "field"), [
    ([{"caller_id": "1"}], "outbound_caller_ids[0].provider_id"),
    ([{"provider_id": "MQ=="}], "outbound_caller_ids[0].caller_id"),
    ([{"provider_id": "x", "caller_id": "1"}],
     "outbound_caller_ids[0].provider_id"),
    ([{"provider_id": "MQ==", "caller_id": "c" * 65}],
     "outbound_caller_ids[0].caller_id"),
    ([{"provider_id": "MQ==", "caller_id": "1"}] * 257,
     "outbound_caller_ids"),
], ids=str)
def test_own_broken_fields(suite, api, ids, field):
    acting = as_tenant(suite, make_tenant(api))
    answer = acting.post("/api/tenant", json={"outbound_caller_ids": ids})
    assert broken_fields(answer) == [field]


def test_own_tenant_is_told_where_it_may_not(suite, api):
    tenant = make_tenant(api)
    user, _ = sign_in_user(suite, tenant)
    for session in [api, user]:
        for answer in [session.get("/api/tenant"),
                       session.post("/api/tenant", json={}),
                       session.get("/api/tenant/status")]:
            assert answer.status_code == 403


def test_own_if_match(suite, api):
    acting = as_tenant(suite, make_tenant(api))
    for etag, status in [('"1"', 200), ('"1"', 412), ('"2"', 200)]:
        answer = acting.post("/api/tenant", json={"website": unique()},
                             headers={"If-Match": etag})
        assert answer.status_code == status


def owning_tenant(suite, api, maker=None, users=3, **fields):
    """A tenant with users, a trunk of its own and an assigned one."""
    tenant = make_tenant(maker or api, **fields)
    acting = as_tenant(suite, tenant)
    for _ in range(users):
        make_user(acting)
    made(acting.post("/api/providers", json=minimal(
        auth_mode="REGISTER_AUTH", auth_id=unique("auth"), password="x",
        did_numbers="4930")))
    lent = made(api.post("/api/providers", json=minimal(
        did_numbers="100-200")))
    answer = api.post(path("providers", lent, f"/assignees/{tenant.id}"),
                      json={"did_numbers": "100", "concurrency": 1})
    assert answer.status_code == 204, answer.text
    return tenant, lent


def test_status(suite, api):
    tenant, _ = owning_tenant(suite, api, users=2, max_extensions=7)
    answer = as_tenant(suite, tenant).get("/api/tenant/status")
    assert answer.status_code == 200, answer.text
    status = answer.json()
    assert status.pop("version")
    assert status == {
        "licensed_users": 7, "current_users": 2, "online_users": 0,
        "current_calls": 0, "current_queues": 0,
        "current_conference_rooms": 0, "current_ring_groups": 0,
        "current_ivrs": 0, "current_trunks": 2, "calls_in_24_hours": []}


# Dealers


def counts(session, dealer):
    """(tenants, extensions) of a signed-in dealer and those below it."""
    status = session.get("/api/dealer/status").json()
    return status["current_tenants"], status["current_users"]


def test_a_dealers_tenants_are_its_own(suite, api):
    dealer, one = sign_in_dealer(suite, api)
    reseller, below = sign_in_dealer(suite, dealer, level="RESELLER")
    mine, theirs = make_tenant(dealer), make_tenant(reseller)
    other = make_tenant(api)
    assert dealers_of(api, mine.id) == [one.id]
    assert dealers_of(dealer, theirs.id) == [below.id]
    assert dealers_of(api, other.id) == []
    found = dealer.get("/api/tenants").json()
    assert {item["id"] for item in found["items"]} == {mine.id, theirs.id}
    assert found["count"] == 2
    found = reseller.get("/api/tenants").json()
    assert [item["id"] for item in found["items"]] == [theirs.id]
    for session, tenant in [(dealer, other), (reseller, mine)]:
        for answer in [session.get(path("tenants", tenant.id)),
                       update(session, tenant.id, website="x"),
                       destroy(session, tenant.id),
                       session.get(path("tenants", tenant.id, "/dealers"))]:
            assert answer.status_code == 404
    updated(dealer, theirs.id, website="x")
    assert counts(dealer, one) == (2, 0)
    assert counts(reseller, below) == (1, 0)
    destroy_tenant(dealer, theirs)
    assert counts(dealer, one) == (1, 0)


def test_dealers_have_the_documents_fields(suite, api):
    dealer, _ = sign_in_dealer(suite, api)
    tenant = make_tenant(dealer)
    (item,) = api.get(path("tenants", tenant.id, "/dealers")).json()["items"]
    assert item.keys() == DOCUMENTED["dealers"]["items"][0].keys()
    assert item["level"] == "DISTRIBUTOR" and item["enabled"] is True


def test_designate(suite, api):
    dealer, one = sign_in_dealer(suite, api)
    other, two = sign_in_dealer(suite, api)
    tenant = make_tenant(api)
    make_user(as_tenant(suite, tenant))
    for to, moved in [(one, (1, 1, 0, 0)), (one, (1, 1, 0, 0)),
                      (two, (0, 0, 1, 1))]:
        answer = move(api, tenant.id, to.id)
        assert answer.status_code == 200 and not answer.content, answer.text
        assert dealers_of(api, tenant.id) == [to.id]
        assert counts(dealer, one) + counts(other, two) == moved
    assert move(api, tenant.id, one.id, "/destroy").status_code == 404
    answer = move(api, tenant.id, two.id, "/destroy")
    assert answer.status_code == 204 and not answer.content
    assert dealers_of(api, tenant.id) == []
    assert counts(other, two) == (0, 0)
    assert move(api, tenant.id, two.id, "/destroy").status_code == 404


@pytest.mark.parametrize("bad", ["MQ==", "x"])
def test_designate_what_is_not(suite, api, bad):
    tenant, dealer = make_tenant(api), make_dealer(api)
    assert move(api, tenant.id, bad).status_code == 404
    assert move(api, bad, dealer.id).status_code == 404
    assert api.get(path("tenants", bad, "/dealers")).status_code == 404
    assert dealers_of(api, tenant.id) == []


def test_dealers_designate_below_themselves(suite, api):
    dealer, one = sign_in_dealer(suite, api)
    reseller, below = sign_in_dealer(suite, dealer, level="RESELLER")
    _, other = sign_in_dealer(suite, api)
    tenant = make_tenant(dealer)
    assert move(dealer, tenant.id, below.id).status_code == 200
    assert dealers_of(reseller, tenant.id) == [below.id]
    for answer in [move(dealer, tenant.id, other.id),
                   move(reseller, tenant.id, one.id)]:
        assert answer.status_code == 404
    # It goes back to the one above who takes it away.
    assert move(dealer, tenant.id, below.id, "/destroy").status_code == 204
    assert dealers_of(api, tenant.id) == [one.id]


def test_a_dealer_does_not_let_its_tenants_go(suite, api):
    """Else it makes as many as it likes, whatever its quota."""
    dealer, one = sign_in_dealer(suite, api, max_tenants=1)
    tenant, other = make_tenant(dealer), make_tenant(api)
    for what in [tenant, other]:
        error_of(move(dealer, what.id, one.id, "/destroy"), 403, "FORBIDDEN")
    assert dealers_of(api, tenant.id) == [one.id]
    assert counts(dealer, one) == (1, 0)
    assert move(api, tenant.id, one.id, "/destroy").status_code == 204


@pytest.mark.parametrize("tail", ["", "/destroy"])
def test_who_acts_as_a_tenant_that_moves(suite, api, tail):
    """Those who lose it act as it no longer; other sessions go on."""
    above, _ = sign_in_dealer(suite, api)
    seller, one = sign_in_dealer(suite, above, level="RESELLER")
    _, other = sign_in_dealer(suite, above, level="RESELLER")
    tenant, kept = make_tenant(seller), make_tenant(seller)
    acting = act_as(sign_in(suite, one.name), tenant.id)
    elsewhere = act_as(sign_in(suite, one.name), kept.id)
    act_as(above, tenant.id)
    user = make_user(acting)
    to = one if tail else other
    assert move(api, tenant.id, to.id, tail).status_code == (
        204 if tail else 200)
    assert acting.post("/api/users", json=user_body()).status_code == 401
    for session in [seller, elsewhere]:
        assert session.get("/api/login").status_code == 200
    # It still reaches the tenant where it went from one below it to another.
    assert above.get(path("users", user.id)).status_code == (
        401 if tail else 200)


def test_a_full_dealer_gets_no_more(suite, api):
    dealer, one = sign_in_dealer(suite, api, max_tenants=1,
                                 max_extensions=1)
    tenant = make_tenant(dealer)
    answer = dealer.post("/api/tenants", json=tenant_body())
    assert answer.status_code == 409, answer.text
    other = make_tenant(api)
    assert move(api, other.id, one.id).status_code == 409
    assert dealers_of(api, other.id) == []
    destroy_tenant(dealer, tenant)
    for _ in range(2):
        make_user(as_tenant(suite, other))
    assert move(api, other.id, one.id).status_code == 409
    assert counts(dealer, one) == (0, 0)


def test_a_disabled_dealer_gets_none(suite, api):
    dealer, one = sign_in_dealer(suite, api)
    _, below = sign_in_dealer(suite, dealer, level="RESELLER")
    tenant = make_tenant(api)
    answer = api.post(path("dealers", one.id), json={"enabled": False})
    assert answer.status_code == 200, answer.text
    for dealer_id in [one.id, below.id]:
        assert move(api, tenant.id, dealer_id).status_code == 409
    assert dealers_of(api, tenant.id) == []


def test_max_extensions_holds_what_there_is(suite, api):
    tenant = make_tenant(api, max_extensions=1)
    acting = as_tenant(suite, tenant)
    make_user(acting)
    assert update(api, tenant.id, max_extensions=0).status_code in (400, 409)
    assert get(api, tenant.id)["max_extensions"] == 1


# Disabling


def test_a_disabled_tenants_users_are_out(suite, api):
    tenant = make_tenant(api)
    user, one = sign_in_user(suite, tenant)
    assert user.get("/api/auth/user").status_code == 200
    updated(api, tenant.id, enabled=False)
    assert user.get("/api/auth/user").status_code == 401
    answer = suite.stranger().post("/api/auth/sign_in", json={
        "username": one.name, "password": PASSWORD,
        "domain": tenant.domain})
    assert answer.status_code == 400
    updated(api, tenant.id, enabled=True)
    sign_in(suite, one.name, domain=tenant.domain)


# Deletion


def held(suite, tenant):
    """Rows of PostgreSQL that tell of a tenant, but for those of the log."""
    rows = {table: int(one_cell(
        suite, f"select count(*) from {table} "
               f"where {column} = {number_of(tenant)}"))
        for table, column in [
            ("tenant.tenants", "id"), ("tenant.users", "tenant_id"),
            ("tenant.password_policies", "id"),
            ("provider.providers", "tenant_id"),
            ("provider.assignees", "tenant_id"),
            ("provider.did_ranges", "tenant_id")]}
    return {table: count for table, count in rows.items() if count}


def number_of(tenant):
    """The id as it stands in the database."""
    return int(base64.b64decode(tenant.id))


def test_nothing_of_a_deleted_tenant_is_left(suite, api):
    dealer, one = sign_in_dealer(suite, api)
    tenant, lent = owning_tenant(suite, api, dealer)
    user, _ = sign_in_user(suite, tenant)
    assert counts(dealer, one) == (1, 4)
    assert len(held(suite, tenant)) == 6
    assert suite.servers.redis("keys", f"*{number_of(tenant)}*")
    destroy_tenant(api, tenant)
    assert held(suite, tenant) == {}
    assert user.get("/api/auth/user").status_code == 401
    assert suite.servers.redis("keys", f"*{number_of(tenant)}*") == ""
    assert counts(dealer, one) == (0, 0)
    # What was lent is there still, for another.
    assert api.get(path("providers", lent)).status_code == 200
    assert api.get(path("providers", lent, "/assignees")).json() == {
        "items": []}
    make_tenant(api, domain=tenant.domain, name=tenant.name)


def test_destroy_says_no(suite, api):
    answer = destroy(api, "x")
    assert answer.status_code == 400
    assert destroy(api, "MQ==").status_code == 404
    tenant = make_tenant(api)
    answer = api.post(path("tenants", tenant.id, "/destroy"),
                      headers={"If-Match": '"9"'})
    assert answer.status_code == 412
    assert get(api, tenant.id)["enabled"] is True


@pytest.fixture
def stuck(suite, api):
    """A tenant that is being deleted, for as long as the service of its trunks
    hangs."""
    tenant, _ = owning_tenant(suite, api)
    user = sign_in_user(suite, tenant)
    acting = as_tenant(suite, tenant)
    suite.pause("provider")
    answer = destroy(api, tenant.id)
    assert answer.status_code == 204 and not answer.content
    yield tenant, user, acting
    suite.resume("provider")
    wait_for(lambda: api.get(path("tenants", tenant.id)).status_code == 404,
             "the tenant is gone")


def test_while_it_is_being_deleted(suite, api, stuck):
    tenant, (user, one), acting = stuck
    assert get(api, tenant.id)["enabled"] is False
    found = api.get("/api/tenants", params={
        "filter": f"name eq '{tenant.name}'"}).json()
    assert [item["id"] for item in found["items"]] == [tenant.id]
    assert user.get("/api/auth/user").status_code == 401
    answer = suite.stranger().post("/api/auth/sign_in", json={
        "username": one.name, "password": PASSWORD,
        "domain": tenant.domain})
    assert answer.status_code == 400
    # Every change is refused with its reason.
    dealer = make_dealer(api)
    for answer in [update(api, tenant.id, enabled=True),
                   update(api, tenant.id, website="x"),
                   move(api, tenant.id, dealer.id),
                   acting.post("/api/tenant", json={"website": "x"})]:
        error = error_of(answer, 409, "CONFLICT")
        assert error["message"] == "the tenant is being deleted"
    answer = acting.post("/api/users", json=user_body())
    assert answer.status_code == 409, answer.text
    assert destroy(api, tenant.id).status_code == 204
    answer = api.post("/api/tenants", json=tenant_body(domain=tenant.domain))
    assert answer.status_code == 409


def test_deletion_outlives_the_process(suite, api):
    tenant, _ = owning_tenant(suite, api)
    suite.stop("provider")
    assert destroy(api, tenant.id).status_code == 204
    suite.log_lines("tenant", "removal.failed")
    suite.kill9("tenant")
    assert held(suite, tenant)["tenant.users"] == 3
    suite.start("tenant")
    suite.start("provider")
    suite.wait_ready()
    wait_for(lambda: held(suite, tenant) == {},
             "nothing of the tenant is left")
    wait_for(lambda: api.get(path("tenants", tenant.id)).status_code == 404,
             "the tenant is gone")


def test_many_users_are_deleted(suite, api):
    """More than one batch."""
    tenant = make_tenant(api)
    make_user(as_tenant(suite, tenant))
    suite.servers.sql(f"""
        create temp table one as
            select * from tenant.users where tenant_id = {number_of(tenant)};
        update one set id = trunkline.next_id();
        insert into tenant.users select (jsonb_populate_record(one,
            jsonb_build_object('id', trunkline.next_id(), 'name', 'u' || n,
                'extension_number', (100000 + n)::text))).*
            from one, generate_series(1, 250) n""")
    assert get(api, tenant.id)
    assert held(suite, tenant)["tenant.users"] == 251
    destroy_tenant(api, tenant)
    assert held(suite, tenant) == {}


# The audit log


def test_changes_are_audited(suite, api):
    tenant, dealer = make_tenant(api), make_dealer(api)
    updated(api, tenant.id, website="x")
    assert move(api, tenant.id, dealer.id).status_code == 200
    assert move(api, tenant.id, dealer.id, "/destroy").status_code == 204
    destroy_tenant(api, tenant)
    assert suite.servers.sql(
        "select action from system.audit_logs where object_type = 'TENANT' "
        f"and object_name = '{tenant.name}' order by id") == [
            "CREATE", "UPDATE", "UPDATE", "UPDATE", "DELETE"]
