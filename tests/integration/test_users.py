"""/api/users, /api/extension_numbers and /api/tenant/password_policy (PortSIP
v22): the users of a tenant, asked for as its administrator."""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from objects import broken_fields, error_of, id_of, unique
from people import (EXTENSION_PASSWORD, PASSWORD, VOICEMAIL_PIN, as_tenant,
                    make_dealer, make_tenant, make_user, path, sign_in,
                    sign_in_user, system, user_body)
from servers import wait_for

UNKNOWN_ID = id_of(9223372036854775807)

SUMMARY = ["id", "name", "email", "display_name", "role", "enabled",
           "mobile_phone", "work_phone", "home_phone", "address", "department",
           "extension_number", "created_at", "avatar_file_name",
           "avatar_file_size", "avatar_file_url", "sync_type"]

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
        "sunday"]

RULES = ["available_office_hours", "available_non_office_hours",
         "busy_office_hours", "busy_non_office_hours", "dnd_office_hours",
         "dnd_non_office_hours", "away_office_hours", "away_non_office_hours",
         "lunch_office_hours", "lunch_non_office_hours", "trip_office_hours",
         "trip_non_office_hours", "offline_office_hours",
         "offline_non_office_hours"]
NO_ANSWER_RULES = ["available_no_answer", "busy_no_answer"]

NO_HOURS = {day: {"enabled": False, "ranges": []} for day in DAYS}

HOURS = {day: {"enabled": True, "ranges": [{"from": "09:00", "to": "12:00"},
                                           {"from": "13:00", "to": "17:30"}]}
         for day in DAYS}

# What a user has where nothing was said.
DEFAULTS = {
    "enabled": True, "mobile_phone": None, "work_phone": None,
    "home_phone": None, "address": None, "department": None,
    "enable_audio_recording": False, "enable_video_recording": False,
    "enable_dnd": False, "enable_acb": False, "enable_hot_desking": False,
    "anonymous_outbound_calls": False, "delivery_outbound_cid": True,
    "sms": "DISABLE", "outbound_caller_ids": [], "custom_options": None,
    "office_hours": {"mode": "GLOBAL"} | NO_HOURS,
} | {
    f"{name}_forward_rule": {"action": None, "number": None} for name in RULES
} | {
    f"{name}_forward_rule": {"action": None, "number": None, "timeout": 60}
    for name in NO_ANSWER_RULES
} | {
    "custom_forward_rules": [], "voicemail_prompt": None,
    "enable_voicemail_pin": True, "enable_voicemail_notify": False,
    "voicemail_play_datetime": "DISABLE", "interface": None,
    "preferred_transport": None, "blfs": [], "avatar_file_name": None,
    "avatar_file_size": None, "avatar_file_url": None, "sync_type": None,
}

SECRETS = ["password", "extension_password", "voicemail_pin"]
FIXED = ["name", "password", "role", "extension_number", "extension_password"]

# No rule, but for the bounds of a length.
NO_RULES = {
    "min_length": 6, "max_length": 32, "contains_letters": False,
    "contains_numbers": False, "contains_special_letters": False,
    "disable_sequential_characters": False,
    "disable_repeating_characters": False,
    "disable_account_information": False}

STRICT = {name: True if value is False else value
          for name, value in NO_RULES.items()}


def settings():
    """What may be changed of a user, none as its default."""
    return {
        "enabled": False, "mobile_phone": "+49 170 1", "work_phone": "2",
        "home_phone": "3", "address": "Street 1", "department": "Sales",
        "enable_audio_recording": True, "enable_video_recording": True,
        "enable_dnd": True, "enable_acb": True, "enable_hot_desking": True,
        "anonymous_outbound_calls": True, "delivery_outbound_cid": False,
        "sms": "ALLOW_WITH_SENDER_ID",
        "outbound_caller_ids": [
            {"provider_id": id_of(77), "caller_id": "4930123",
             "preferred": True, "description": "head office"},
            {"provider_id": id_of(78), "caller_id": "4930124",
             "preferred": False, "description": None}],
        "custom_options": '{"a": [1]}',
        "office_hours": {"mode": "CUSTOM"} | HOURS,
    } | {
        f"{name}_forward_rule":
        {"action": "FORWARD_TO_NUMBER", "number": "+4930123"}
        for name in RULES
    } | {
        f"{name}_forward_rule":
        {"action": "HANGUP", "number": "101", "timeout": 20}
        for name in NO_ANSWER_RULES
    } | {
        "custom_forward_rules": [
            {"action": "RING_ANYWAY", "number": "102", "caller_id": "49*",
             "type": "SPECIFIC_HOURS", "hours": HOURS}],
        "voicemail_prompt": "en-US", "enable_voicemail_pin": False,
        "enable_voicemail_notify": True,
        "voicemail_play_datetime": "24_HOUR_CLOCK",
        "interface": "SBC_DOMAIN", "preferred_transport": "TLS",
        "blfs": [{"key": "1", "value": "102", "first_name": "A",
                  "last_name": "B"}],
    }


def shown(body):
    return {name: value for name, value in body.items()
            if name not in SECRETS}


@pytest.fixture(scope="module")
def tenant(suite):
    return make_tenant(system(suite))


@pytest.fixture(scope="module")
def admin(suite, tenant):
    """A client that acts as the tenant."""
    return as_tenant(suite, tenant)


@pytest.fixture
def own(suite):
    """A tenant of the test's own: a client that acts as it."""
    return as_tenant(suite, make_tenant(system(suite)))


@pytest.fixture(scope="module")
def sample(admin):
    """The id of a user that only fields are changed of: making one costs the
    hash of a password."""
    return create(admin)


def create(admin, **changes):
    return make_user(admin, **changes).id


def get(admin, user_id):
    answer = admin.get(path("users", user_id))
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(admin, user_id, tail="", body=None):
    return admin.post(path("users", user_id, tail), json=body)


def change(admin, user_id, tail, body=None):
    answer = post(admin, user_id, tail, body)
    assert (answer.status_code, answer.content) == (200, b""), answer.text


def set_policy(admin, **policy):
    answer = admin.post("/api/tenant/password_policy",
                        json=NO_RULES | policy)
    assert (answer.status_code, answer.content) == (200, b""), answer.text


def row(suite, user_id, columns):
    """Columns of a user's row, as PostgreSQL prints them."""
    (found,) = suite.servers.sql(f"select {columns} from tenant.users"
                                 f" where id = {number(user_id)}")
    return found


def number(user_id):
    return int(base64.b64decode(user_id))


# Create, get, update, list, destroy


def test_what_is_left_out_has_its_default(admin):
    body = user_body()
    made = admin.post("/api/users", json=body)
    assert made.status_code == 201, made.text
    given = admin.get(made.headers["Location"]).json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
                        given.pop("created_at"))
    assert given.pop("profile")
    assert given == DEFAULTS | shown(body) | {"id": made.json()["id"]}
    assert made.headers["ETag"] == '"1"'


def test_every_field_comes_back(admin):
    body = user_body(role="QueueManager", **settings())
    made = get(admin, create(admin, **body))
    assert shown(body).items() <= made.items()


@pytest.mark.parametrize("name", [
    name for name in DEFAULTS
    if not name.startswith("avatar") and name != "sync_type"])
def test_null_is_the_default(admin, sample, name):
    for value, wanted in [(settings()[name], settings()[name]),
                          (None, DEFAULTS[name])]:
        change(admin, sample, "", {name: value})
        assert get(admin, sample)[name] == wanted


@pytest.mark.parametrize("name", settings())
def test_update(admin, sample, name):
    before = get(admin, sample)
    change(admin, sample, "", {name: settings()[name]})
    assert get(admin, sample) == before | {name: settings()[name]}


def test_update_of_all(admin):
    made = create(admin)
    before = get(admin, made)
    more = {"email": "new@mail.example", "display_name": "Other"}
    change(admin, made, "",
           settings() | more | {"voicemail_pin": "864209"})
    assert get(admin, made) == before | settings() | more


def test_what_was_read_can_be_sent_back(admin):
    made = create(admin, **settings())
    answer = admin.get(path("users", made))
    change(admin, made, "", answer.json())
    again = admin.get(path("users", made))
    assert again.json() == answer.json()
    assert again.headers["ETag"] == answer.headers["ETag"]


def test_members_that_are_not_sent_stay(admin):
    made = create(admin, **settings())
    change(admin, made, "", {
        "office_hours": {"monday": {"ranges": []}},
        "busy_no_answer_forward_rule": {"timeout": 5}})
    given = get(admin, made)
    assert given["office_hours"] == {"mode": "CUSTOM"} | HOURS | {
        "monday": {"enabled": True, "ranges": []}}
    assert given["busy_no_answer_forward_rule"] == {
        "action": "HANGUP", "number": "101", "timeout": 5}


@pytest.mark.parametrize("name", FIXED)
def test_what_an_update_does_not_change(admin, sample, name):
    other = user_body(role="Admin", password="An0ther!Word",
                      extension_password="An0ther!Word")[name]
    assert broken_fields(post(admin, sample, "", {name: other})) == [name]


def test_if_match(admin):
    made = create(admin)
    target = path("users", made)
    for version, status in [('"2"', 412), ('"1"', 200), ('"1"', 412)]:
        answer = admin.post(target, json={"department": version},
                            headers={"If-Match": version})
        assert answer.status_code == status


def test_destroy(admin):
    made = create(admin)
    assert post(admin, made, "/destroy").status_code == 204
    error_of(admin.get(path("users", made)), 404, "NOT_FOUND")
    error_of(post(admin, made, "/destroy"), 404, "NOT_FOUND")


def test_list(own):
    made = [make_user(own, display_name=name, department=unique("dept"))
            for name in ["Carol", "Alice", "Bob"]]
    answer = own.get("/api/users?orderby=display_name").json()
    assert answer["count"] == 3
    assert [item["display_name"] for item in answer["items"]] == [
        "Alice", "Bob", "Carol"]
    for item in answer["items"]:
        assert list(item) == SUMMARY
        assert item.items() <= get(own, item["id"]).items()
    assert [item["id"] for item in own.get(
        "/api/users", params={"search": "BOB"}).json()["items"]] == [
            made[2].id]
    for wanted in [f"extension_number eq '{made[0].extension_number}'",
                   f"name eq '{made[0].name}'",
                   f"id eq '{made[0].id}'"]:
        items = own.get("/api/users",
                        params={"filter": wanted}).json()["items"]
        assert [item["id"] for item in items] == [made[0].id], wanted


@pytest.mark.parametrize("name", ["password", "extension_password",
                                  "password_hash", "voicemail_pin",
                                  "tenant_id"])
def test_secrets_are_not_filtered_by(admin, name):
    for option in [{"filter": f"{name} eq 'a'"}, {"orderby": name}]:
        error_of(admin.get("/api/users", params=option), 400,
                 "VALIDATE_FAILED")


# Bad input


@pytest.mark.parametrize("name", [
    "name", "password", "email", "display_name", "role", "extension_number",
    "extension_password", "voicemail_pin"])
def test_required(admin, name):
    body = user_body()
    del body[name]
    assert broken_fields(admin.post("/api/users", json=body)) == [name]
    assert broken_fields(admin.post(
        "/api/users", json=body | {name: None})) == [name]


@pytest.mark.parametrize("field, value", [
    ("name", ""), ("name", "a" * 65), ("name", "admin"), ("name", "ROOT"),
    ("name", "System"), ("name", "Administrator"), ("name", ".a"),
    ("name", "a."), ("name", "a b"), ("name", "a@b"), ("name", "\u00e4"),
    ("email", ""), ("email", "nobody"), ("email", f"{'a' * 128}@b.example"),
    ("display_name", "d" * 1025), ("display_name", "a\tb"),
    ("role", "SystemAdmin"), ("role", "Dealer"), ("role", "Replicator"),
    ("role", "admin"), ("role", "Custom"), ("role", ""),
    ("extension_number", "12"), ("extension_number", "1" * 65),
    ("extension_number", "10a"), ("extension_number", 101),
    ("voicemail_pin", "25803"), ("voicemail_pin", "25803625803"),
    ("voicemail_pin", "111258"), ("voicemail_pin", "258012"),
    ("voicemail_pin", "258987"), ("voicemail_pin", "25803x"),
    ("enabled", "yes"), ("mobile_phone", "1" * 33), ("address", "a" * 129),
    ("department", "a" * 129), ("sms", "allow"), ("interface", "LAN"),
    ("preferred_transport", "WSS"), ("voicemail_prompt", "en_US"),
    ("voicemail_play_datetime", "NEVER"), ("custom_options", "{"),
    ("unknown", 1)])
def test_bad_field(admin, field, value):
    answer = admin.post("/api/users", json=user_body(**{field: value}))
    assert broken_fields(answer) == [field]


@pytest.mark.parametrize("body, field", [
    ({"office_hours": {"mode": "LOCAL"}}, "office_hours.mode"),
    ({"office_hours": {"sunday": {"ranges": [{"from": "09:00"}]}}},
     "office_hours.sunday.ranges[0].to"),
    ({"office_hours": {"sunday": {"ranges": [
        {"from": "24:00", "to": "25:00"}]}}},
     "office_hours.sunday.ranges[0].from"),
    ({"office_hours": {"sunday": {"ranges": [
        {"from": "09:00", "to": "10:00"}, {"from": "10:00", "to": "10:00"}]}}},
     "office_hours.sunday.ranges[1]"),
    ({"office_hours": {"sunday": {"ranges": [1]}}},
     "office_hours.sunday.ranges[0]"),
    ({"outbound_caller_ids": [{"caller_id": "1"}]},
     "outbound_caller_ids[0].provider_id"),
    ({"outbound_caller_ids": [{"provider_id": "x", "caller_id": "1"}]},
     "outbound_caller_ids[0].provider_id"),
    ({"outbound_caller_ids": [{"provider_id": id_of(1), "caller_id": ""}]},
     "outbound_caller_ids[0].caller_id"),
    ({"outbound_caller_ids": {}}, "outbound_caller_ids"),
    ({"outbound_caller_ids": [{"provider_id": id_of(1), "caller_id": "1"}]
      * 65}, "outbound_caller_ids"),
    ({"dnd_office_hours_forward_rule": {"action": "RING_ANYWAY"}},
     "dnd_office_hours_forward_rule.action"),
    ({"busy_no_answer_forward_rule": {"timeout": -1}},
     "busy_no_answer_forward_rule.timeout"),
    ({"busy_office_hours_forward_rule": {"number": "a"}},
     "busy_office_hours_forward_rule.number"),
    ({"custom_forward_rules": [{"type": "NEVER"}]},
     "custom_forward_rules[0].type"),
    ({"custom_forward_rules": [{"hours": {"monday": {"ranges": [
        {"from": "9", "to": "10:00"}]}}}]},
     "custom_forward_rules[0].hours.monday.ranges[0].from"),
    ({"blfs": [{"label": "x"}]}, "blfs[0].label")], ids=str)
def test_bad_member(admin, sample, body, field):
    assert field in broken_fields(
        admin.post("/api/users", json=user_body(**body)))
    assert field in broken_fields(post(admin, sample, "", body))


@pytest.mark.parametrize("tail, body, field", [
    ("/password", {}, "password"),
    ("/password", {"password": None}, "password"),
    ("/password", {"password": 1}, "password"),
    ("/extension_password", {}, "password"),
    ("/role", {}, "role"), ("/role", {"role": "SystemAdmin"}, "role")],
    ids=str)
def test_bad_body(admin, sample, tail, body, field):
    assert broken_fields(post(admin, sample, tail, body)) == [field]


# What is there once


@pytest.mark.parametrize("field, value", [
    ("name", str.upper), ("name", str), ("extension_number", str)])
def test_taken(admin, field, value):
    first = make_user(admin)
    answer = admin.post("/api/users", json=user_body(
        **{field: value(getattr(first, field))}))
    error = error_of(answer, 409, "CONFLICT")
    assert [detail["field"] for detail in error["detail"]] == [field]


def test_tenants_do_not_share_names_and_numbers(suite, admin, own):
    body = user_body()
    for client in [admin, own]:
        assert client.post("/api/users", json=body).status_code == 201
    given = [client.get("/api/extension_numbers/"
                        + body["extension_number"]).json()
             for client in [admin, own]]
    assert given[0]["id"] != given[1]["id"]


def test_idempotency_key(admin):
    body = user_body()
    key = {"Idempotency-Key": unique("key")}
    ids = {admin.post("/api/users", json=body, headers=key).json()["id"]
           for _ in range(3)}
    assert len(ids) == 1


# Limits


def create_patiently(client, body):
    """Creates a user, asking again while there are too many at once: the key
    makes it one user."""
    key = {"Idempotency-Key": unique("key")}
    answers = []

    def answered():
        answers.append(client.post("/api/users", json=body, headers=key))
        return answers[-1].status_code < 500

    wait_for(answered, "the line of passwords moves", 60)
    return answers[-1]


def race(suite, tenants, count):
    """So many creates at once, one after the other of the tenants; the
    answers."""
    tokens = [as_tenant(suite, tenant).token for tenant in tenants]
    bodies = [user_body() for _ in range(count)]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(
            lambda i: create_patiently(
                suite.session(tokens[i % len(tokens)]), bodies[i]),
            range(count)))


def check_race(answers, wins, text):
    won = [answer for answer in answers if answer.status_code == 201]
    lost = [answer for answer in answers if answer.status_code != 201]
    for answer in lost:
        assert text in error_of(answer, 409, "LIMIT_EXCEEDED")["message"]
    assert len(won) == wins


def test_max_extensions(suite):
    tenant = make_tenant(system(suite), max_extensions=20)
    check_race(race(suite, [tenant], 64), 20,
               "the tenant may have 20 extensions, no more")
    admin = as_tenant(suite, tenant)
    users = admin.get("/api/users").json()
    assert users["count"] == 20
    # One goes, one may come.
    assert post(admin, users["items"][0]["id"],
                "/destroy").status_code == 204
    create(admin)
    error_of(admin.post("/api/users", json=user_body()), 409,
             "LIMIT_EXCEEDED")


def test_max_extensions_of_a_dealer(suite):
    """Of all its tenants together, and of those of the dealers below it."""
    top = make_dealer(system(suite), max_extensions=10)
    dealer = sign_in(suite, top.name)
    below = make_dealer(dealer, level="RESELLER", max_extensions=1000)
    tenants = [make_tenant(dealer), make_tenant(sign_in(suite, below.name))]
    # Not which dealer's, nor how many: that is no tenant's business.
    check_race(race(suite, tenants, 32), 10,
               "the dealer of the tenant has all the extensions it may have")
    assert sum(as_tenant(suite, tenant).get("/api/users").json()["count"]
               for tenant in tenants) == 10


def test_a_disabled_dealer(suite):
    """Sells no more; nor do those below it."""
    seller = system(suite)
    top = make_dealer(seller)
    below = make_dealer(sign_in(suite, top.name), level="RESELLER")
    admin = as_tenant(suite, make_tenant(sign_in(suite, below.name)))
    create(admin)
    answer = seller.post(path("dealers", top.id), json={"enabled": False})
    assert answer.status_code == 200, answer.text
    error_of(admin.post("/api/users", json=user_body()), 409, "CONFLICT")
    assert admin.get("/api/users").json()["count"] == 1


# Who may


def test_other_tenants_users(admin, own):
    made = create(admin)
    before = get(admin, made)
    error_of(own.get(path("users", made)), 404, "NOT_FOUND")
    for tail, body in [("", {"department": "x"}), ("/destroy", None),
                       ("/password", {"password": PASSWORD}),
                       ("/extension_password",
                        {"password": EXTENSION_PASSWORD}),
                       ("/role", {"role": "Admin"}), ("/profile", None),
                       ("/status/x/destroy_status", None)]:
        error_of(post(own, made, tail, body), 404, "NOT_FOUND")
    error_of(own.get(path("users", made, "/status")), 404, "NOT_FOUND")
    number_path = f"/api/extension_numbers/{before['extension_number']}"
    assert admin.get(number_path).status_code == 200
    error_of(own.get(number_path), 404, "NOT_FOUND")
    assert get(admin, made) == before


@pytest.mark.parametrize("role", ["StandardUser", "QueueManager",
                                  "StandardInternationalUser"])
def test_users_see_themselves(suite, tenant, admin, role):
    client, user = sign_in_user(suite, tenant, role=role)
    other = create(admin)
    listed = client.get("/api/users").json()
    assert [item["id"] for item in listed["items"]] == [user.id]
    assert listed["count"] == 1
    assert get(client, user.id) == get(admin, user.id)
    assert client.get(path("users", user.id, "/status")).status_code == 200
    error_of(client.get(path("users", other)), 404, "NOT_FOUND")
    error_of(client.get(path("users", other, "/status")), 404, "NOT_FOUND")
    error_of(post(client, other, "/status/x/destroy_status"), 404,
             "NOT_FOUND")
    error_of(client.post("/api/users", json=user_body()), 403, "FORBIDDEN")
    for tail, body in [("", {"department": "x"}), ("/destroy", None),
                       ("/password", {"password": PASSWORD}),
                       ("/role", {"role": "Admin"}), ("/profile", None)]:
        error_of(post(client, user.id, tail, body), 403, "FORBIDDEN")
    assert client.get("/api/extension_numbers/"
                      + user.extension_number).json()["id"] == user.id
    assert client.get("/api/tenant/password_policy").status_code == 200
    error_of(client.post("/api/tenant/password_policy", json={}), 403,
             "FORBIDDEN")


def test_an_administrator_of_the_tenant(suite, tenant):
    client, _ = sign_in_user(suite, tenant, role="Admin")
    made = create(client)
    change(client, made, "", {"department": "x"})
    change(client, made, "/role", {"role": "Admin"})
    assert post(client, made, "/destroy").status_code == 204


def test_no_tenant_no_users(api):
    for answer in [api.get("/api/users"),
                   api.post("/api/users", json=user_body()),
                   api.get(path("users", UNKNOWN_ID)),
                   api.get("/api/tenant/password_policy"),
                   api.get("/api/extension_numbers/101")]:
        error_of(answer, 403, "FORBIDDEN")


# Secrets


def test_secrets_are_stored_unreadable(suite, admin):
    made = create(admin)
    stored = row(suite, made, "users::text")
    assert "$argon2id$" in stored
    for secret in [PASSWORD, EXTENSION_PASSWORD, VOICEMAIL_PIN]:
        assert secret not in stored


def test_secrets_are_not_told(suite, admin):
    made = create(admin)
    change(admin, made, "/password", {"password": PASSWORD + "x"})
    change(admin, made, "/extension_password",
           {"password": EXTENSION_PASSWORD + "x"})
    change(admin, made, "", {"voicemail_pin": "864209"})
    answers = admin.get(path("users", made)).text + admin.get(
        "/api/users").text
    audited = "\n".join(suite.servers.sql(
        "select audit_logs::text from system.audit_logs"))
    for told in [answers, audited]:
        assert not re.search("(?<!enable_)voicemail_pin", told)
    for told in [answers, audited, suite.logs("tenant"),
                 suite.logs("gateway")]:
        for secret in [PASSWORD, EXTENSION_PASSWORD, "argon2"]:
            assert secret not in told


def test_password(suite, tenant, admin):
    user = make_user(admin, domain=tenant.domain)
    change(admin, user.id, "/password", {"password": "N3w!Passwort"})
    answer = suite.stranger().post("/api/auth/sign_in", json={
        "username": user.name, "password": PASSWORD,
        "domain": tenant.domain})
    error_of(answer, 400, "UNAUTHORIZED")
    sign_in(suite, user.name, "N3w!Passwort", tenant.domain)


def test_passwords_are_stored_anew(suite, admin):
    made = create(admin)
    for tail, column in [("/password", "password_hash"),
                         ("/extension_password", "extension_password")]:
        before = row(suite, made, column)
        change(admin, made, tail, {"password": "N3w!Passwort"})
        assert row(suite, made, column) not in (before, "")


def test_profile(admin):
    made = create(admin)
    before = get(admin, made)
    change(admin, made, "/profile")
    after = get(admin, made)
    assert after == before | {"profile": after["profile"]}
    assert after["profile"] != before["profile"]


def test_role(suite, tenant, admin):
    client, user = sign_in_user(suite, tenant, role="StandardUser")
    change(admin, user.id, "/role", {"role": "Admin"})
    assert get(admin, user.id)["role"] == "Admin"
    error_of(client.get("/api/users"), 401, "UNAUTHORIZED")
    again = sign_in(suite, user.name, domain=tenant.domain)
    assert again.get("/api/users").json()["count"] > 1


# Sessions


def is_open(client, user):
    return client.get(path("users", user.id)).status_code == 200


@pytest.mark.parametrize("tail, body", [
    ("/password", {"password": "N3w!Passwort"}),
    ("/role", {"role": "QueueManager"}),
    ("", {"enabled": False}),
    ("/destroy", None)], ids=str)
def test_what_ends_sessions(suite, tenant, admin, tail, body):
    client, user = sign_in_user(suite, tenant)
    bystander, other = sign_in_user(suite, tenant)
    assert is_open(client, user)
    assert post(admin, user.id, tail, body).status_code in (200, 204)
    error_of(client.get(path("users", user.id)), 401, "UNAUTHORIZED")
    assert is_open(bystander, other)
    assert is_open(admin, other)


@pytest.mark.parametrize("tail, body", [
    ("/extension_password", {"password": "N3w!Passwort"}),
    ("/profile", None),
    ("", {"department": "x"}),
    ("", {"enabled": True}),
    ("/password", {"password": "short"})], ids=str)
def test_what_leaves_sessions(suite, tenant, admin, tail, body):
    client, user = sign_in_user(suite, tenant)
    post(admin, user.id, tail, body)
    assert is_open(client, user)


def test_a_disabled_user_cannot_sign_in(suite, tenant, admin):
    user = make_user(admin, enabled=False)
    credentials = {"username": user.name, "password": PASSWORD,
                   "domain": tenant.domain}
    error_of(suite.stranger().post("/api/auth/sign_in", json=credentials),
             400, "UNAUTHORIZED")
    change(admin, user.id, "", {"enabled": True})
    sign_in(suite, user.name, domain=tenant.domain)


# Password policy


def test_policy_of_a_new_tenant(own):
    answer = own.get("/api/tenant/password_policy")
    assert answer.status_code == 200
    assert answer.json() == STRICT


def test_policy_update(own):
    target = "/api/tenant/password_policy"
    answer = own.post(target, json={"min_length": 8,
                                    "contains_letters": False})
    assert (answer.status_code, answer.content) == (200, b"")
    wanted = STRICT | {"min_length": 8, "contains_letters": False}
    assert own.get(target).json() == wanted
    assert own.post(target, json={"min_length": None}).status_code == 200
    assert own.get(target).json() == wanted | {"min_length": 6}


@pytest.mark.parametrize("body", [
    {"min_length": 5}, {"min_length": 33}, {"max_length": 5},
    {"max_length": 33}, {"contains_letters": 1},
    {"disable_account_information": "no"}, {"unknown": True}], ids=str)
def test_bad_policy(own, body):
    answer = own.post("/api/tenant/password_policy", json=body)
    assert broken_fields(answer) == list(body)


@pytest.mark.parametrize("before, body", [
    ({}, {"min_length": 20, "max_length": 10}),
    ({"max_length": 10}, {"min_length": 11}),
    ({"min_length": 20}, {"max_length": 19})], ids=str)
def test_a_policy_nothing_could_meet(own, before, body):
    set_policy(own, **before)
    answer = own.post("/api/tenant/password_policy", json=body)
    assert broken_fields(answer) == ["min_length"]
    assert own.get("/api/tenant/password_policy").json() == NO_RULES | before


@pytest.mark.parametrize("rule, good, bad", [
    ({"min_length": 9}, "zQ5!zQ5!z", "zQ5!zQ5!"),
    ({"max_length": 9}, "zQ5!zQ5!z", "zQ5!zQ5!zQ"),
    ({"contains_letters": True}, "5!5!5!z", "5!5!5!"),
    ({"contains_numbers": True}, "zQ!zQ!5", "zQ!zQ!"),
    ({"contains_special_letters": True}, "z5z5z5Q", "z5z5z5"),
    ({"contains_special_letters": True}, "z5z5z5!", "z5z5z5"),
    ({"disable_sequential_characters": True}, "zQ5124", "zQ5123"),
    ({"disable_sequential_characters": True}, "abd!ab", "ABC!ab"),
    ({"disable_sequential_characters": True}, "zQ5cab", "zQ5cba"),
    ({"disable_repeating_characters": True}, "zQ5!11", "zQ5111"),
    ({"disable_account_information": True}, "zQ5!zQ", "zQ5NAMED7"),
    ({"disable_account_information": True}, "zQ5!zQ", "zQ7654321"),
    ({"disable_account_information": True}, "zQ5!zQ", "zQ5mailbox"),
    ({"disable_account_information": True}, "zQ5!zQ", "zQ5Shown")], ids=str)
def test_policy_rule(own, rule, good, bad):
    set_policy(own, **rule)
    body = user_body(name="named7", extension_number="7654321",
                     email="mailbox@user.example", display_name="shown",
                     password=good, extension_password=good)
    for field in ["password", "extension_password"]:
        answer = own.post("/api/users", json=body | {field: bad})
        assert broken_fields(answer) == [field]
    made = create(own, **body)
    for tail in ["/password", "/extension_password"]:
        assert broken_fields(post(own, made, tail,
                                  {"password": bad})) == ["password"]
        change(own, made, tail, {"password": good})
    # The same without the rule.
    set_policy(own)
    for tail in ["/password", "/extension_password"]:
        change(own, made, tail, {"password": bad})


# Status and extension numbers


@pytest.mark.parametrize("dnd", [False, True])
def test_status_of_nobody_registered(admin, sample, dnd):
    change(admin, sample, "", {"enable_dnd": dnd, "enable_acb": True})
    answer = admin.get(path("users", sample, "/status"))
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "OFFLINE", "presence": "OFFLINE", "presence_note": None,
        "registration": [], "enable_dnd": dnd, "enable_acb": True}


def test_status_without_a_registrar(suite, admin):
    made = create(admin)
    suite.stop("registrar")
    try:
        answer = admin.get(path("users", made, "/status"))
        assert answer.json()["status"] == "OFFLINE"
        error_of(post(admin, made, "/status/x/destroy_status"), 503,
                 "UNAVAILABLE")
    finally:
        suite.start("registrar")
        suite.wait_ready()


def test_extension_number(admin):
    user = make_user(admin)
    answer = admin.get(f"/api/extension_numbers/{user.extension_number}")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": user.id, "extension_number": user.extension_number,
        "name": user.name, "type": "EXTENSION"}


@pytest.mark.parametrize("unknown", ["999999", "1", "abc", "%27", "9" * 70])
def test_unknown_extension_number(admin, unknown):
    error_of(admin.get(f"/api/extension_numbers/{unknown}"), 404,
             "NOT_FOUND")


@pytest.mark.parametrize("tail, body", [
    ("", {"department": "x"}), ("/password", {"password": PASSWORD}),
    ("/extension_password", {"password": PASSWORD}),
    ("/role", {"role": "Admin"}), ("/profile", None)], ids=str)
def test_unknown_user(admin, tail, body):
    for user_id in [UNKNOWN_ID, "x"]:
        error_of(post(admin, user_id, tail, body), 404, "NOT_FOUND")


# Audit


def audited(suite, user):
    """The rows that tell of a user: (action, old state, new state)."""
    (text,) = suite.servers.sql(
        "select coalesce(json_agg(json_build_array(action, old_state,"
        " new_state, object_type, object_name, user_name, tenant_id,"
        " acting_as) order by id), '[]') from system.audit_logs"
        f" where object_id = {number(user.id)}")
    return json.loads(text)


def test_audit(suite, tenant, admin):
    user = make_user(admin)
    change(admin, user.id, "", {"department": "x"})
    change(admin, user.id, "/password", {"password": PASSWORD})
    change(admin, user.id, "/extension_password", {"password": PASSWORD})
    change(admin, user.id, "/role", {"role": "Admin"})
    change(admin, user.id, "/profile")
    post(admin, user.id, "/destroy")
    rows = audited(suite, user)
    assert [(row[0], *row[3:]) for row in rows] == [
        (action, "USER", user.name, suite.admin_name, number(tenant.id),
         number(tenant.id))
        for action in ["CREATE", "UPDATE", "UPDATE", "UPDATE", "UPDATE",
                       "UPDATE", "DELETE"]]
    states = [[state and json.loads(state) for state in row[1:3]]
              for row in rows]
    assert states[0][0] is None
    assert states[0][1]["name"] == user.name
    assert states[1] == [{"department": None}, {"department": "x"}]
    assert states[2] == [None, {"changed": "password"}]
    assert states[3] == [None, {"changed": "extension_password"}]
    assert states[4] == [{"role": "StandardUser"}, {"role": "Admin"}]
    assert list(states[5][0]) == list(states[5][1]) == ["profile"]
    assert states[6][0]["department"] == "x" and states[6][1] is None


def test_refusals_are_not_audited(suite, admin):
    user = make_user(admin)
    post(admin, user.id, "/password", {"password": "short"})
    post(admin, user.id, "/role", {"role": "Nobody"})
    post(admin, user.id, "", {"name": "other"})
    assert [row[0] for row in audited(suite, user)] == ["CREATE"]
