"""Who signs in: dealers and tenants' users beside the administrator; acting as
a tenant; and what the audit log has of it all."""

import concurrent.futures
import datetime

import pytest

from objects import broken_fields, error_of, unique
from people import (PASSWORD, act_as, as_tenant, destroy_tenant, make_dealer,
                    make_tenant, make_user, path, sign_in, sign_in_dealer,
                    sign_in_user, system)
from servers import wait_for

ALL_ROLES = ["Admin", "QueueManager", "StandardUser",
             "StandardInternationalUser"]
AUDIT_FIELDS = ["id", "created_at", "source", "ip", "action", "object_type",
                "user_name", "object_name", "old_state", "new_state"]


@pytest.fixture(scope="module")
def tenant(suite):
    return make_tenant(system(suite))


def attempt(suite, name, domain=None, password=PASSWORD, where="sign_in"):
    """One sign-in, from an address of its own."""
    body = {"username": name, "password": password}
    if domain is not None:
        body["domain"] = domain
    stranger = suite.stranger()
    if where == "oauth":
        return stranger.post("/api/login/oauth/token",
                             data=body | {"grant_type": "password"})
    return stranger.post({"sign_in": "/api/auth/sign_in",
                          "login": "/api/login"}[where], json=body)


def refused(answer):
    error = error_of(answer, 400, "UNAUTHORIZED")
    assert error["message"] == "Login failed, authentication error"
    return True


def role_of(session):
    """What both calls that tell a role say."""
    role = session.get("/api/auth/user").json()["role"]
    assert session.get("/api/login").json()["role"] == role
    return role


def logs(session, **options):
    answer = session.get("/api/audit_logs", params=options)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def last(session, **wanted):
    """The newest entry with these members."""
    return next(entry for entry in logs(session)
                if wanted.items() <= entry.items())


# Who signs in


@pytest.mark.parametrize("where", ["sign_in", "login", "oauth"])
def test_dealer(suite, api, where):
    dealer = make_dealer(api)
    answer = attempt(suite, dealer.name, where=where)
    assert answer.status_code == 200, answer.text
    session = suite.session(answer.json()["access_token"])
    assert role_of(session) == "Dealer"
    assert session.get("/api/dealer").json()["name"] == dealer.name


@pytest.mark.parametrize("where", ["sign_in", "login", "oauth"])
@pytest.mark.parametrize("role", ALL_ROLES)
def test_user(suite, tenant, role, where):
    user = make_user(as_tenant(suite, tenant), role=role)
    answer = attempt(suite, user.name, tenant.domain, where=where)
    assert answer.status_code == 200, answer.text
    assert role_of(suite.session(answer.json()["access_token"])) == role


def test_case_does_not_matter(suite, api, tenant):
    user = make_user(as_tenant(suite, tenant))
    dealer = make_dealer(api)
    assert attempt(suite, user.name.upper(),
                   tenant.domain.upper()).status_code == 200
    assert attempt(suite, dealer.name.upper()).status_code == 200


def test_the_same_name_in_two_tenants(suite, api, tenant):
    other = make_tenant(api)
    name = unique("twin")
    for one in [tenant, other]:
        make_user(as_tenant(suite, one), name=name, role="Admin")
    for one in [tenant, other]:
        session = sign_in(suite, name, domain=one.domain)
        assert session.get("/api/tenant").json()["id"] == one.id


def test_nobody_of_that_name_there(suite, api, tenant):
    user = make_user(as_tenant(suite, tenant))
    dealer = make_dealer(api)
    other = make_tenant(api)
    for name, domain in [(user.name, None), (user.name, other.domain),
                         (user.name, "nowhere.example"),
                         (dealer.name, tenant.domain),
                         (suite.admin_name, tenant.domain)]:
        assert refused(attempt(suite, name, domain))
    assert refused(attempt(suite, user.name, tenant.domain, "not this one"))


# Who no longer does


def test_disabled_user(suite, tenant):
    session, user = sign_in_user(suite, tenant)
    admin = as_tenant(suite, tenant)
    for enabled in [False, True]:
        answer = admin.post(path("users", user.id), json={"enabled": enabled})
        assert answer.status_code == 200, answer.text
        assert session.get("/api/auth/user").status_code == 401
        answer = attempt(suite, user.name, tenant.domain)
        assert answer.status_code == 200 if enabled else refused(answer)


def test_disabled_tenant(suite, api):
    tenant = make_tenant(api)
    session, user = sign_in_user(suite, tenant)
    for enabled in [False, True]:
        answer = api.post(path("tenants", tenant.id),
                          json={"enabled": enabled})
        assert answer.status_code == 200, answer.text
        assert session.get("/api/auth/user").status_code == 401
        answer = attempt(suite, user.name, tenant.domain)
        assert answer.status_code == 200 if enabled else refused(answer)


def test_destroyed_tenant(suite, api):
    tenant = make_tenant(api)
    session, user = sign_in_user(suite, tenant)
    destroy_tenant(api, tenant)
    assert session.get("/api/auth/user").status_code == 401
    assert refused(attempt(suite, user.name, tenant.domain))


def test_disabled_dealer_whose_tenants_go_on(suite, api):
    session, dealer = sign_in_dealer(suite, api)
    tenant = make_tenant(session)
    user_session, user = sign_in_user(suite, tenant)
    answer = api.post(path("dealers", dealer.id), json={"enabled": False})
    assert answer.status_code == 200, answer.text
    assert session.get("/api/auth/user").status_code == 401
    assert refused(attempt(suite, dealer.name))
    assert user_session.get("/api/auth/user").status_code == 200
    assert attempt(suite, user.name, tenant.domain).status_code == 200


# Changes a role while somebody signs in: commits once the sign-in has come to
# its last step, which writes the audit row.
ROLE_CHANGE = """
    do $$ begin
        lock table system.audit_logs in share mode;
        update tenant.users set role = 'StandardUser' where name = '{}';
        for i in 1..3000 loop
            exit when exists (select from pg_locks where not granted
                and relation = 'system.audit_logs'::regclass);
            perform pg_sleep(0.01);
        end loop;
    end $$"""
LOCKED = """
    select count(*) from pg_locks where granted and mode = 'ShareLock'
        and relation = 'system.audit_logs'::regclass"""


def test_a_role_that_changes_meanwhile(suite, tenant):
    """A sign-in that found another role fails."""
    user = make_user(as_tenant(suite, tenant), role="Admin")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        change = pool.submit(suite.servers.sql, ROLE_CHANGE.format(user.name))
        wait_for(lambda: suite.servers.sql(LOCKED) == ["1"],
                 "the role is changing")
        answer = attempt(suite, user.name, tenant.domain)
        change.result()
    refused(answer)
    session = sign_in(suite, user.name, domain=tenant.domain)
    assert role_of(session) == "StandardUser"


def test_a_role_is_looked_at_by_a_refresh(suite, tenant):
    """For the sake of a session that did not end when it changed."""
    user = make_user(as_tenant(suite, tenant), role="Admin")
    tokens = attempt(suite, user.name, tenant.domain).json()
    suite.servers.sql("update tenant.users set role = 'QueueManager'"
                      f" where name = '{user.name}'")
    answer = suite.session().post("/api/auth/refresh_token", json={
        "refresh_token": tokens["refresh_token"]})
    assert answer.status_code == 400, answer.text
    session = suite.session(tokens["access_token"])
    assert session.get("/api/auth/user").status_code == 401


def test_failures_lock_users_out(suite, tenant):
    user = make_user(as_tenant(suite, tenant))
    stranger = suite.stranger()
    body = {"username": user.name, "domain": tenant.domain}
    for _ in range(5):
        refused(stranger.post("/api/auth/sign_in",
                              json=body | {"password": "x"}))
    answer = stranger.post("/api/auth/sign_in",
                           json=body | {"password": PASSWORD})
    error_of(answer, 429, "RATE_LIMITED")
    assert int(answer.headers["Retry-After"]) > 3000


def test_password_force_reset(suite, api):
    tenant = make_tenant(api, password_force_reset=True)
    session, _ = sign_in_user(suite, tenant)
    assert session.get("/api/auth/user").json() == {
        "role": "StandardUser", "password_verified": True,
        "password_force_reset": True}


def test_info_of_a_tenant(suite, api):
    tenant = make_tenant(api, website="https://tenant.example")
    body = suite.session().get("/api/info", params={
        "domain": tenant.domain.upper()}).json()
    assert (body["name"], body["domain"], body["website"]) == (
        tenant.name, tenant.domain, "https://tenant.example")


# Acting as a tenant


@pytest.mark.parametrize("who", ["system", "dealer"])
def test_acting(suite, api, who):
    session = (system(suite) if who == "system"
               else sign_in_dealer(suite, api, tenant_full_access=True)[0])
    own = role_of(session)
    tenants = [make_tenant(session), make_tenant(session)]
    for tenant in tenants:
        act_as(session, tenant.id)
        assert role_of(session) == "Admin"
        assert session.get("/api/tenant").json()["id"] == tenant.id
        make_user(session)
        error_of(session.get("/api/tenants"), 403, "FORBIDDEN")
    act_as(session)
    assert role_of(session) == own
    error_of(session.get("/api/tenant"), 403, "FORBIDDEN")
    act_as(session)
    assert session.get("/api/tenants").status_code == 200


def test_acting_goes_on_after_a_refresh(suite, tenant):
    tokens = attempt(suite, suite.admin_name,
                     password=suite.admin_password).json()
    act_as(suite.session(tokens["access_token"]), tenant.id)
    tokens = suite.session().post("/api/auth/refresh_token", json={
        "refresh_token": tokens["refresh_token"]}).json()
    session = suite.session(tokens["access_token"])
    assert session.get("/api/tenant").json()["id"] == tenant.id


def test_acting_is_of_one_session(suite, tenant):
    act_as(system(suite), tenant.id)
    assert role_of(system(suite)) == "SystemAdmin"


def test_not_acting(suite, api, tenant):
    """403 for who never acts, 404 for what is not there for the caller."""
    user, _ = sign_in_user(suite, tenant, role="Admin")
    dealer, _ = sign_in_dealer(suite, api, tenant_full_access=True)
    sold = make_tenant(dealer)
    for session, asked, status, code in [
            (user, tenant.id, 403, "FORBIDDEN"),
            (user, None, 403, "FORBIDDEN"),
            (dealer, tenant.id, 404, "NOT_FOUND"),
            (api, "NzAwNTUxOTA5NzczMTQ4MTYw", 404, "NOT_FOUND")]:
        answer = session.post("/api/tenants/switch",
                              params=asked and {"id": asked})
        error_of(answer, status, code)
    answer = api.post("/api/tenants/switch", params={"id": "x"})
    assert broken_fields(answer) == ["id"]
    assert role_of(act_as(dealer, sold.id)) == "Admin"
    error_of(suite.session().post("/api/tenants/switch"), 401, "UNAUTHORIZED")


# The audit log


def test_entries(suite, api, tenant):
    session, user = sign_in_user(suite, tenant, role="Admin")
    entry = last(session, action="LOGIN", user_name=user.name)
    assert list(entry) == AUDIT_FIELDS
    assert entry["object_type"] == "LOGIN"
    assert entry["object_name"] == user.name
    assert entry["source"] == "REST"
    assert entry["ip"] == "127.0.0.1"
    session.post("/api/auth/sign_out")
    assert last(api, action="LOGOUT", user_name=user.name)


def test_acting_is_told_to_both(suite, api, tenant):
    admin, _ = sign_in_user(suite, tenant, role="Admin")
    act_as(as_tenant(suite, tenant))
    for session in [api, admin]:
        states = [entry["new_state"] for entry in logs(session)
                  if (entry["action"], entry["object_type"],
                      entry["object_name"]) == ("UPDATE", "TENANT",
                                                tenant.name)]
        assert states[:2] == ['{"acting_as":false}', '{"acting_as":true}']


def test_account_changes(suite, administrator):
    session = suite.sign_in(administrator)
    name = unique("renamed")
    assert session.post("/api/admin/username",
                        json={"name": name}).status_code == 200
    assert session.post("/api/admin/password", json={
        "old_password": suite.admin_password,
        "new_password": "another password 1"}).status_code == 200
    session = suite.sign_in(name, "another password 1")
    entries = [entry for entry in logs(session, search=name)
               if entry["object_type"] == "SYSTEM"]
    assert [(entry["old_state"], entry["new_state"])
            for entry in entries] == [
        (None, None), (f'{{"name": "{administrator}"}}',
                       f'{{"name": "{name}"}}')]


def test_scopes(suite, api):
    dealer, its = sign_in_dealer(suite, api)
    below = make_dealer(dealer, level="RESELLER")
    sign_in(suite, below.name)
    tenant = make_tenant(dealer)
    admin, user = sign_in_user(suite, tenant, role="Admin")
    other = make_tenant(api)
    _, stranger = sign_in_user(suite, other, role="Admin")

    def who(session):
        return {entry["user_name"] for entry in logs(session)}

    everybody = {its.name, below.name, user.name, suite.admin_name}
    assert who(dealer) == everybody
    assert who(admin) == {user.name, suite.admin_name}
    assert everybody | {stranger.name} <= who(api)
    for role in ["QueueManager", "StandardUser"]:
        session, _ = sign_in_user(suite, tenant, role=role)
        error_of(session.get("/api/audit_logs"), 403, "FORBIDDEN")


def test_options(suite, api):
    _, dealer = sign_in_dealer(suite, api)
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)

    def names(*parts, **options):
        found = logs(api, filter=" and ".join(
            [f"user_name eq '{dealer.name}'", *parts]), **options)
        return [entry["user_name"] for entry in found]

    assert names() == [dealer.name]
    for since, found in [(now - hour, 1), (now + hour, 0)]:
        stamp = since.isoformat(timespec="seconds")
        assert len(names(f"created_at ge '{stamp}'")) == found
    assert names("action eq 'LOGIN'", "object_type eq 'LOGIN'",
                 "ip eq '127.0.0.1'", f"object_name eq '{dealer.name}'")
    assert names("action eq 'CREATE'") == []
    assert len(logs(api, search=dealer.name)) == 2  # made, signed in
    ids = [entry["created_at"] for entry in logs(api)]
    assert ids == sorted(ids, reverse=True)
    ids = [entry["created_at"] for entry in logs(api, orderby="created_at")]
    assert ids == sorted(ids)
    assert len(logs(api, top=1)) == 1
    answer = api.get("/api/audit_logs", params={"filter": "new_state eq 'x'"})
    assert broken_fields(answer) == ["filter"]


def test_no_secrets(suite, api, tenant):
    session, user = sign_in_user(suite, tenant)
    dealer = make_dealer(api)
    attempt(suite, dealer.name, password="a wrong secret")
    rows = "\n".join(suite.servers.sql(
        "select row_to_json(l) from system.audit_logs l"))
    hashes = suite.servers.sql(
        "select password_hash from tenant.users union all "
        "select password_hash from dealer.dealers union all "
        "select password_hash from system.administrators")
    for secret in [PASSWORD, suite.admin_password, "a wrong secret", "argon2",
                   session.token, *hashes]:
        assert secret and secret not in rows
    assert user.name in rows
