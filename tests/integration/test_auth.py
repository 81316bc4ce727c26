"""Sign-in in all its forms, and the administrator's account."""

import calendar
import re
import time

import pytest

from objects import broken_fields, error_of, unique
from suite import SERVICES, Suite

TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{32,}")
TOKEN_SET = ["token_type", "access_token", "refresh_token", "expires_in"]
CLIENT_ID = "9d806019-75b2-4b3d-bb8b-f5a3a412cc0a"


@pytest.fixture
def credentials(suite):
    return {"username": suite.admin_name, "password": suite.admin_password}


@pytest.fixture
def tokens(suite, credentials):
    """A token set of a session of its own."""
    return suite.session().post("/api/auth/sign_in", json=credentials).json()


def is_open(suite, token):
    """Whether an access token opens what needs one."""
    answer = suite.session(token).get("/api/providers?top=1")
    if answer.status_code == 200:
        return True
    error_of(answer, 401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    return False


def check_token_set(body):
    assert list(body) == TOKEN_SET
    assert body["token_type"] == "Bearer"
    assert TOKEN.fullmatch(body["access_token"])
    assert TOKEN.fullmatch(body["refresh_token"])
    assert body["access_token"] != body["refresh_token"]
    assert 1790 <= body["expires_in"] <= 1800


def check_refused(answer):
    error = error_of(answer, 400, "UNAUTHORIZED")
    assert error["message"] == "Login failed, authentication error"


# /api/auth


def test_sign_in(suite, credentials):
    answer = suite.session().post("/api/auth/sign_in", json=credentials)
    assert answer.status_code == 200
    check_token_set(answer.json())
    assert "Set-Cookie" not in answer.headers
    assert is_open(suite, answer.json()["access_token"])


@pytest.mark.parametrize("more", [{"qr": True}, {"domain": None}], ids=str)
def test_sign_in_with_more(suite, credentials, more):
    answer = suite.session().post("/api/auth/sign_in",
                                  json=credentials | more)
    check_token_set(answer.json())


def test_sign_in_with_qr_in_the_query(suite, credentials):
    answer = suite.session().post("/api/auth/sign_in?qr=true",
                                  json=credentials)
    check_token_set(answer.json())


def test_every_sign_in_has_tokens_of_its_own(suite, credentials):
    answers = [suite.session().post("/api/auth/sign_in", json=credentials)
               for _ in range(2)]
    tokens = {answer.json()[name] for answer in answers
              for name in ["access_token", "refresh_token"]}
    assert len(tokens) == 4


@pytest.mark.parametrize("wrong", [
    {"password": "wrong"}, {"password": ""}, {"username": "nobody"},
    {"username": "ADMIN"}, {"username": "admin' or 'a'='a"},
    {"domain": "tenant.example"}], ids=str)
@pytest.mark.parametrize("path", ["/api/auth/sign_in", "/api/login"])
def test_refused_sign_in(suite, credentials, path, wrong):
    answer = suite.stranger().post(path, json=credentials | wrong)
    check_refused(answer)
    assert "Set-Cookie" not in answer.headers


def test_answers_to_unknown_name_and_wrong_password_are_the_same(
        suite, credentials):
    stranger = suite.stranger()
    texts = {stranger.post("/api/auth/sign_in", json=credentials | wrong).text
             for wrong in [{"password": "wrong"}, {"username": "nobody"}]}
    assert len(texts) == 1


def test_signed_in_user(api):
    answer = api.get("/api/auth/user")
    assert answer.status_code == 200
    assert answer.json() == {"role": "SystemAdmin", "password_verified": True,
                             "password_force_reset": False}


def test_sign_out(suite, tokens):
    client = suite.session(tokens["access_token"])
    answer = client.post("/api/auth/sign_out")
    assert (answer.status_code, answer.content) == (200, b"")
    assert not is_open(suite, tokens["access_token"])
    check_dead_refresh_token(suite, tokens["refresh_token"])


CLOSED = [
    ("GET", "/api/providers"), ("POST", "/api/providers"),
    ("GET", "/api/providers/export"), ("GET", "/api/providers/NQ=="),
    ("POST", "/api/providers/NQ=="), ("GET", "/api/providers/NQ==/status"),
    ("POST", "/api/providers/NQ==/destroy"), ("GET", "/api/providers/x"),
    ("GET", "/api/auth/user"), ("POST", "/api/auth/sign_out"),
    ("GET", "/api/login"), ("POST", "/api/logout"),
    ("POST", "/api/login/oauth/revoke"), ("POST", "/api/admin/username"),
    ("POST", "/api/admin/password"),
]


@pytest.mark.parametrize("verb, path", CLOSED, ids=" ".join)
@pytest.mark.parametrize("field", [
    None, "", "Bearer", "Bearer ", "Bearer dead", "Basic YTpi", "dead",
    "Bearer " + "x" * 5000, "Bearer a b"], ids=lambda text: repr(text)[:16])
def test_without_a_good_token(suite, verb, path, field):
    answer = suite.session().request(verb, path,
                                     headers={"Authorization": field})
    error_of(answer, 401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}"])
def test_scheme_in_any_case(suite, tokens, form):
    field = form.format(tokens["access_token"])
    answer = suite.session().get("/api/auth/user",
                                 headers={"Authorization": field})
    assert answer.status_code == 200


def test_refresh_token_opens_nothing(suite, tokens):
    assert not is_open(suite, tokens["refresh_token"])


def refresh(suite, token):
    return suite.session().post("/api/auth/refresh_token",
                                json={"refresh_token": token})


def check_dead_refresh_token(suite, token):
    error_of(refresh(suite, token), 400, "UNKNOWN")


def test_refresh(suite, tokens):
    answer = refresh(suite, tokens["refresh_token"])
    assert answer.status_code == 200
    new = answer.json()
    check_token_set(new)
    assert not {tokens["access_token"], tokens["refresh_token"]} & {
        new["access_token"], new["refresh_token"]}
    assert is_open(suite, new["access_token"])
    assert not is_open(suite, tokens["access_token"])


def test_refresh_token_works_once(suite, tokens):
    new = refresh(suite, tokens["refresh_token"]).json()
    check_dead_refresh_token(suite, tokens["refresh_token"])
    assert is_open(suite, new["access_token"])
    check_token_set(refresh(suite, new["refresh_token"]).json())


@pytest.mark.parametrize("token", ["", "x", "x" * 512, "'"], ids=len)
def test_refresh_with_an_unknown_token(suite, token):
    check_dead_refresh_token(suite, token)


def test_access_token_refreshes_nothing(suite, tokens):
    check_dead_refresh_token(suite, tokens["access_token"])


@pytest.mark.parametrize("body, fields", [
    ({}, ["refresh_token"]), ({"refresh_token": None}, ["refresh_token"]),
    ({"refresh_token": 5}, ["refresh_token"]),
    ({"refresh_token": "x" * 513}, ["refresh_token"]),
    ({"refresh_token": "x", "nope": 1}, ["nope"])], ids=lambda x: str(x)[:30])
def test_refresh_body(suite, body, fields):
    answer = suite.session().post("/api/auth/refresh_token", json=body)
    assert broken_fields(answer) == fields


# /api/login and its cookie


LOGIN_COOKIE = re.compile(
    r"(\w+)=([^;]+); Path=/api; HttpOnly; SameSite=Strict; Max-Age=(\d+)")


def test_login(suite, credentials):
    client = suite.session()
    answer = client.post("/api/login", json=credentials)
    assert answer.status_code == 200
    body = answer.json()
    check_token_set({name: body[name] for name in TOKEN_SET})
    assert list(body) == [*TOKEN_SET[:3], "expires_at", "expires_in", "role"]
    assert body["role"] == "SystemAdmin"
    _, token, age = LOGIN_COOKIE.fullmatch(
        answer.headers["Set-Cookie"]).groups()
    assert (token, int(age)) == (body["access_token"], body["expires_in"])


def test_login_status_by_cookie(suite, credentials):
    client = suite.session()
    made = client.post("/api/login", json=credentials).json()
    answer = client.get("/api/login")
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["access_token", "expires_at", "expires_in", "role"]
    assert body["access_token"] == made["access_token"]
    assert body["expires_at"] == made["expires_at"]
    ends = calendar.timegm(
        time.strptime(body["expires_at"], "%Y-%m-%dT%H:%M:%SZ"))
    assert abs(ends - time.time() - body["expires_in"]) < 10


def test_login_status_by_token(suite, tokens):
    body = suite.session(tokens["access_token"]).get("/api/login").json()
    assert body["access_token"] == tokens["access_token"]


def test_logout_by_cookie(suite, credentials):
    client = suite.session()
    made = client.post("/api/login", json=credentials).json()
    answer = client.post("/api/logout")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert not client.cookies
    assert not is_open(suite, made["access_token"])
    error_of(client.get("/api/login"), 401, "UNAUTHORIZED")


def test_logout_by_token(suite, tokens):
    client = suite.session(tokens["access_token"])
    assert client.post("/api/logout").status_code == 204
    assert not is_open(suite, tokens["access_token"])


@pytest.mark.parametrize("verb, path", [
    ("GET", "/api/providers"), ("POST", "/api/providers"),
    ("GET", "/api/auth/user"), ("POST", "/api/admin/password"),
    ("POST", "/api/auth/sign_out")], ids=" ".join)
def test_cookie_alone_opens_nothing_else(suite, credentials, verb, path):
    """Else any web page could use it."""
    client = suite.session()
    client.post("/api/login", json=credentials)
    error_of(client.request(verb, path), 401, "UNAUTHORIZED")


def test_token_before_cookie(suite, credentials, tokens):
    client = suite.session(tokens["access_token"])
    client.post("/api/login", json=credentials)
    assert client.get("/api/login").json()["access_token"] == \
        tokens["access_token"]


# OAuth


def oauth(client, **form):
    return client.post("/api/login/oauth/token", data=form)


def test_oauth_by_password(suite, credentials):
    answer = oauth(suite.session(), grant_type="password", scope="all",
                   client_id=CLIENT_ID, **credentials)
    assert answer.status_code == 200
    check_token_set(answer.json())
    assert is_open(suite, answer.json()["access_token"])


def test_oauth_by_refresh_token(suite, tokens):
    answer = oauth(suite.session(), grant_type="refresh_token",
                   client_id=CLIENT_ID,
                   refresh_token=tokens["refresh_token"])
    assert answer.status_code == 200
    check_token_set(answer.json())
    assert not is_open(suite, tokens["access_token"])


@pytest.mark.parametrize("wrong", [
    {"password": "wrong"}, {"username": "nobody"}, {"domain": "a.example"}],
    ids=str)
def test_oauth_refused(suite, credentials, wrong):
    check_refused(oauth(suite.stranger(), grant_type="password",
                        **(credentials | wrong)))


def test_oauth_with_a_dead_refresh_token(suite):
    error_of(oauth(suite.session(), grant_type="refresh_token",
                   refresh_token="dead"), 400, "UNKNOWN")


@pytest.mark.parametrize("form, fields", [
    ({}, ["grant_type"]), ({"grant_type": "code"}, ["grant_type"]),
    ({"grant_type": "password"}, ["username", "password"]),
    ({"grant_type": "password", "username": "x"}, ["password"]),
    ({"grant_type": "refresh_token"}, ["refresh_token"]),
    ({"grant_type": "password", "nope": "1"}, ["nope"]),
    ({"grant_type": ["password", "password"]}, ["grant_type"]),
], ids=str)
def test_oauth_form(suite, form, fields):
    assert broken_fields(oauth(suite.session(), **form)) == fields


def test_oauth_takes_no_json(suite, credentials):
    answer = suite.session().post(
        "/api/login/oauth/token",
        json=credentials | {"grant_type": "password"})
    error_of(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_oauth_revoke(suite, tokens):
    client = suite.session(tokens["access_token"])
    answer = client.post("/api/login/oauth/revoke",
                         headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert not is_open(suite, tokens["access_token"])
    check_dead_refresh_token(suite, tokens["refresh_token"])


# The administrator's account


def rename(client, name):
    return client.post("/api/admin/username", json={"name": name})


def test_rename(suite, administrator):
    client = suite.sign_in(administrator)
    name = unique("new-name_'.")
    answer = rename(client, name)
    assert (answer.status_code, answer.content) == (200, b"")
    suite.sign_in(name)
    check_refused(suite.stranger().post("/api/auth/sign_in", json={
        "username": administrator, "password": suite.admin_password}))
    # Sessions stay.
    assert is_open(suite, client.token)


def test_rename_to_a_taken_name(suite, administrator):
    client = suite.sign_in(administrator)
    error_of(rename(client, suite.admin_name), 409, "CONFLICT")
    suite.sign_in(administrator)


def test_rename_to_the_same_name(suite, administrator):
    assert rename(suite.sign_in(administrator),
                  administrator).status_code == 200


@pytest.mark.parametrize("name", [
    "", "x" * 65, ".x", "x.", "a b", "a@b", "ä", "a/b", "a\"b", None, 5])
def test_rename_to_no_name(suite, api, name):
    assert broken_fields(rename(api, name)) == ["name"]


def change_password(client, old, new):
    return client.post("/api/admin/password", json={
        "old_password": old, "new_password": new})


@pytest.mark.parametrize("new", ["12345678", "x" * 32, "ä" * 8, " spaces  ",
                                 "quote'\"\\"], ids=repr)
def test_change_of_password(suite, administrator, new):
    client = suite.sign_in(administrator)
    answer = change_password(client, suite.admin_password, new)
    assert (answer.status_code, answer.content) == (200, b"")
    suite.sign_in(administrator, new)
    check_refused(suite.stranger().post("/api/auth/sign_in", json={
        "username": administrator, "password": suite.admin_password}))


def test_changed_password_ends_all_sessions_of_the_account(
        suite, api, administrator):
    sets = [suite.session().post("/api/auth/sign_in", json={
        "username": administrator, "password": suite.admin_password}).json()
        for _ in range(3)]
    client = suite.session(sets[0]["access_token"])
    answer = change_password(client, suite.admin_password, "new password")
    assert answer.status_code == 200
    for one in sets:
        assert not is_open(suite, one["access_token"])
        check_dead_refresh_token(suite, one["refresh_token"])
    # The other administrator's stay.
    assert is_open(suite, api.token)


def test_change_with_a_wrong_old_password(suite, administrator):
    client = suite.sign_in(administrator)
    stranger = suite.stranger()
    stranger.headers["Authorization"] = f"Bearer {client.token}"
    answer = change_password(stranger, "wrong", "new password")
    assert broken_fields(answer) == ["old_password"]
    assert is_open(suite, client.token)
    suite.sign_in(administrator)


@pytest.mark.parametrize("body, fields", [
    ({}, ["old_password", "new_password"]),
    ({"old_password": "x"}, ["new_password"]),
    ({"old_password": "x", "new_password": "1234567"}, ["new_password"]),
    ({"old_password": "x", "new_password": "x" * 33}, ["new_password"]),
    ({"old_password": "x", "new_password": None}, ["new_password"]),
    ({"old_password": 5, "new_password": "12345678"}, ["old_password"]),
    ({"old_password": "x", "new_password": "1234567\n"}, ["new_password"]),
], ids=str)
def test_body_of_a_change_of_password(api, body, fields):
    answer = api.post("/api/admin/password", json=body)
    assert sorted(broken_fields(answer)) == sorted(fields)


def test_passwords_and_tokens_are_in_no_log(suite, credentials, tokens):
    refreshed = refresh(suite, tokens["refresh_token"]).json()
    suite.stranger().post("/api/auth/sign_in", json=credentials | {
        "password": "a wrong password"})
    secrets = [credentials["password"], "a wrong password",
               *[tokens[name] for name in TOKEN_SET[1:3]],
               *[refreshed[name] for name in TOKEN_SET[1:3]]]
    for name in ["gateway", "system", "provider", "postgres", "redis"]:
        for secret in secrets:
            assert secret not in suite.logs(name)


@pytest.mark.parametrize("domain", [None, "tenant.example"])
def test_unknown_names_are_in_no_log(suite, domain):
    """People type passwords there."""
    request_id, name = unique("request"), unique("typed-By-Mistake")
    check_refused(suite.stranger().post(
        "/api/auth/sign_in", headers={"X-Request-Id": request_id},
        json={"username": name, "password": "wrong", "domain": domain}))
    (line,) = suite.log_lines("system", "event=auth.refused",
                              f"request={request_id}")
    assert " name=" not in line
    for process in [*SERVICES, "postgres", "redis"]:
        assert name not in suite.logs(process)


def test_known_names_are_in_the_log(suite):
    request_id = unique("request")
    check_refused(suite.stranger().post(
        "/api/auth/sign_in", headers={"X-Request-Id": request_id},
        json={"username": suite.admin_name, "password": "wrong"}))
    assert suite.log_lines("system", "event=auth.refused",
                           f"request={request_id}",
                           f"name={suite.admin_name} ")


def test_tokens_are_not_in_redis(suite, tokens):
    """Only their digests are: a copy of Redis opens nothing."""
    keys = suite.servers.redis("--scan")
    assert "session:" in keys
    for name in TOKEN_SET[1:3]:
        assert tokens[name] not in keys


# Failures in a row


def fail(client, name):
    return client.post("/api/auth/sign_in",
                       json={"username": name, "password": "wrong"})


def check_locked(answer):
    error_of(answer, 429, "RATE_LIMITED")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("path", ["/api/auth/sign_in", "/api/login"])
def test_lockout_of_an_address(suite, credentials, path):
    stranger = suite.stranger()
    for _ in range(5):
        check_refused(fail(stranger, "nobody"))
    check_locked(stranger.post(path, json=credentials))
    check_locked(oauth(stranger, grant_type="password", **credentials))
    # Others are not, nor is who has a session.
    answer = suite.session().post(path, json=credentials)
    assert answer.status_code == 200
    stranger.headers["Authorization"] = (
        f"Bearer {answer.json()['access_token']}")
    assert stranger.get("/api/auth/user").status_code == 200


def test_good_sign_in_forgives(suite, credentials):
    stranger = suite.stranger()
    for _ in range(4):
        check_refused(fail(stranger, suite.admin_name))
    assert stranger.post("/api/auth/sign_in",
                         json=credentials).status_code == 200
    for _ in range(4):
        check_refused(fail(stranger, suite.admin_name))
    assert stranger.post("/api/auth/sign_in",
                         json=credentials).status_code == 200


def test_lockout_by_wrong_old_passwords(suite, administrator):
    client = suite.sign_in(administrator)
    stranger = suite.stranger()
    stranger.headers["Authorization"] = f"Bearer {client.token}"
    for _ in range(5):
        assert broken_fields(change_password(
            stranger, "wrong", "new password")) == ["old_password"]
    check_locked(change_password(stranger, suite.admin_password,
                                 "new password"))


# /api/info


INFO = ["web_domain", "private_ipv4", "public_ipv4", "enable_ipv6",
        "private_ipv6", "public_ipv6", "primary_dns_server",
        "secondary_dns_server"]
INFO_OF_TENANT = ["name", "domain", "website", "avatar_url",
                  "enable_ms365_integration", "ms365_authorization_endpoint"]


def test_info(suite):
    answer = suite.session().get("/api/info")
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == INFO + INFO_OF_TENANT
    assert isinstance(body["enable_ipv6"], bool)
    assert all(body[name] is None for name in INFO_OF_TENANT)


def test_info_of_an_unknown_tenant(suite):
    answer = suite.session().get("/api/info?domain=tenant.example")
    error_of(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize("query", [
    "domain=", "domain=" + "x" * 281, "domain=a&domain=b"],
    ids=lambda text: text[:20])
def test_faulty_info(suite, query):
    answer = suite.session().get("/api/info?" + query)
    assert broken_fields(answer) == ["domain"]


def test_info_of_a_configured_suite():
    settings = {"web_domain": "pbx.example", "public_ipv4": "203.0.113.1",
                "public_ipv6": "2001:db8::1", "admin_name": "root"}
    suite = Suite(**settings)
    try:
        body = suite.session().get("/api/info").json()
        assert {name: body[name] for name in
                ["web_domain", "public_ipv4", "public_ipv6", "enable_ipv6"]
                } == {"web_domain": "pbx.example",
                      "public_ipv4": "203.0.113.1",
                      "public_ipv6": "2001:db8::1", "enable_ipv6": True}
        assert suite.admin_name == "root"
        suite.sign_in()
    finally:
        faults = suite.end()
    assert not faults, "\n".join(faults)
