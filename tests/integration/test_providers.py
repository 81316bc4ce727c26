"""/api/providers: single objects (PortSIP v22, "Providers")."""

import base64
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from objects import (
    AUTH_MODES, DEFAULTS, DOCUMENTED, HOST_PARTS, HOST_VALUES, INBOUND,
    INBOUND_SOURCES, LATER, OUTBOUND, PASSWORD, PRIVACY_TYPES, REQUIRED,
    USER_PARTS, USER_VALUES, VERIFICATION_STATUSES, broken_fields, create,
    documented, error_of, filled, full, get, id_of, minimal, names_listed,
    path_of, shape, shown, unique, update)

UNKNOWN_ID = id_of(9223372036854775807)


def changed(before, **changes):
    return before | changes


# The document's own samples


def test_documented_create(api):
    body = filled(DOCUMENTED["create"])
    answer = api.post("/api/providers", json=body)
    assert answer.status_code == 201
    assert shape(answer.json()) == shape(DOCUMENTED["created"])


def test_documented_get(api):
    body = filled(DOCUMENTED["create"])
    answer = get(api, create(api, body))
    sample = DOCUMENTED["get"]
    assert shape(documented(answer, sample)) == shape(sample)
    assert shown(body).items() <= answer.items()


def test_documented_update(api):
    made = create(api, full(auth_mode="IP_AUTH"))
    before = get(api, made)
    body = filled(DOCUMENTED["update"])
    answer = update(api, made, body)
    assert (answer.status_code, answer.content) == (200, b"")
    assert get(api, made) == changed(before, **shown(body))


def test_documented_list(api):
    body = filled(DOCUMENTED["create"])
    made = create(api, body)
    answer = api.get(f"/api/providers?filter=name eq '{body['name']}'").json()
    (item,) = answer["items"]
    (sample,) = DOCUMENTED["list"]["items"]
    assert list(answer) == list(DOCUMENTED["list"])
    assert shape(documented(item, sample)) == shape(sample)
    assert item.items() <= get(api, made).items()


# Create and get


def test_create_gives_an_id_of_the_v22_form(api):
    digits = base64.b64decode(create(api), validate=True).decode()
    assert re.fullmatch("[1-9][0-9]*", digits)
    assert int(digits) < 2 ** 63


def test_create_tells_where_and_which_version(api):
    answer = api.post("/api/providers", json=minimal())
    assert answer.headers["Location"] == path_of(answer.json()["id"])
    assert answer.headers["ETag"] == '"1"'
    assert api.get(answer.headers["Location"]).status_code == 200


def test_what_is_left_out_has_its_default(api):
    body = minimal()
    made = create(api, body)
    assert get(api, made) == DEFAULTS | body | {"id": made}


@pytest.mark.parametrize("field", [
    name for name in DEFAULTS if name != "shared"])
def test_null_on_create_is_the_default(api, field):
    assert get(api, create(api, minimal(**{field: None})))[field] == \
        DEFAULTS[field]


def test_every_field_comes_back(api):
    body = full()
    made = create(api, body)
    assert get(api, made) == shown(body) | {"id": made, "shared": True}


@pytest.mark.parametrize("source", INBOUND_SOURCES)
def test_inbound_source(api, source):
    wanted = dict.fromkeys(
        ["caller_num", "caller_display_name", "called_num"], source)
    made = create(api, minimal(inbound_parameters=wanted))
    assert wanted.items() <= get(api, made)["inbound_parameters"].items()


@pytest.mark.parametrize("status", VERIFICATION_STATUSES)
def test_verification_status_to_drop(api, status):
    made = create(api, minimal(inbound_parameters={
        "drop_calls_with_verification_status": [status]}))
    assert get(api, made)["inbound_parameters"][
        "drop_calls_with_verification_status"] == [status]


def outbound_given(api, parts, value):
    wanted = {name: {"value": value, "custom_value": "x"} for name in parts}
    made = create(api, minimal(outbound_parameters=wanted))
    return wanted, get(api, made)["outbound_parameters"]


@pytest.mark.parametrize("value", USER_VALUES)
def test_outbound_user_part(api, value):
    wanted, given = outbound_given(api, USER_PARTS, value)
    assert wanted.items() <= given.items()


@pytest.mark.parametrize("value", HOST_VALUES)
def test_outbound_host_part(api, value):
    wanted, given = outbound_given(api, HOST_PARTS, value)
    assert wanted.items() <= given.items()


@pytest.mark.parametrize("bare", [True, False], ids=["text", "object"])
@pytest.mark.parametrize("value", PRIVACY_TYPES)
def test_privacy_types_supported(api, value, bare):
    """Outbound it is a text in newer versions and an object in the document:
    both are taken, the object is answered."""
    made = create(api, minimal(
        inbound_parameters={"privacy_types_supported": value},
        outbound_parameters={"privacy_types_supported":
                             value if bare else {"value": value}}))
    given = get(api, made)
    assert given["inbound_parameters"]["privacy_types_supported"] == value
    assert given["outbound_parameters"]["privacy_types_supported"] == {
        "value": value}


@pytest.mark.parametrize("value", ["UDP", "TCP", "TLS"])
def test_transport(api, value):
    assert get(api, create(api, minimal(transport=value)))["transport"] == \
        value


@pytest.mark.parametrize("mode", AUTH_MODES)
def test_auth_mode_that_is_said(api, mode):
    assert get(api, create(api, minimal(auth_mode=mode)))["auth_mode"] == mode


@pytest.mark.parametrize("mode", ["TEAMS", "WHATS_APP"])
def test_auth_mode_of_tenants_trunks_alone(api, mode):
    answer = api.post("/api/providers", json=minimal(auth_mode=mode))
    assert broken_fields(answer) == ["auth_mode"]


@pytest.mark.parametrize("said, mode", [
    ({}, "IP_AUTH"),
    ({"auth_id": ""}, "IP_AUTH"),
    ({"auth_id": "a"}, "REGISTER_AUTH"),
    ({"auth_id": "a", "registration": True}, "REGISTER_AUTH"),
    ({"auth_id": "a", "registration": None}, "REGISTER_AUTH"),
    ({"auth_id": "a", "registration": False}, "IP_AUTH"),
    ({"registration": False}, "IP_AUTH"),
    ({"auth_id": "a", "auth_mode": "IP_AUTH"}, "IP_AUTH"),
    ({"auth_id": "a", "auth_mode": None}, "REGISTER_AUTH"),
], ids=str)
def test_auth_mode_that_is_not_said(api, said, mode):
    assert get(api, create(api, minimal(**said)))["auth_mode"] == mode


@pytest.mark.parametrize("field, sent, kept", [
    ("hostname", "SIP.Example.COM", "sip.example.com"),
    ("hostname", "sip.example.", "sip.example."),
    ("hostname", "_sip._udp.example", "_sip._udp.example"),
    ("hostname", "[2001:DB8::1]", "2001:db8::1"),
    ("hostname", "192.0.2.9", "192.0.2.9"),
    ("outbound_server", "[::1]", "::1"),
    ("additional_ips", " 192.0.2.0/24 ; ::1 ;", "192.0.2.0/24;::1"),
    ("additional_ips", " ; ", None),
    ("did_numbers", "101; 203; 300 - 450", "101;203;300-450"),
    ("did_numbers", "", None),
], ids=str)
def test_canonical_form(api, field, sent, kept):
    # Of IP_AUTH trunks several may have the same host.
    assert get(api, create(api, minimal(**{field: sent})))[field] == kept


@pytest.mark.parametrize("text", [
    "Ünï 中文 🎉", 'quotes " and \\ and \'', "a,b;c=d", "  spaces  ", "%00%zz"])
def test_text_comes_back_as_sent(api, text):
    assert get(api, create(api, minimal(name=text)))["name"] == text


@pytest.mark.parametrize("tail", ["", "/status"], ids=["get", "status"])
def test_unknown_id(api, tail):
    error_of(api.get(path_of(UNKNOWN_ID, tail)), 404, "NOT_FOUND")


def test_status_is_offline(api):
    answer = api.get(path_of(create(api), "/status"))
    assert answer.status_code == 200
    assert answer.json() == {"status": "OFFLINE"}


def test_id_of_63_bits(api, suite):
    """Past 2^53, where a double would round."""
    number = 2 ** 63 - 2
    made = get(api, create(api))
    suite.servers.sql(f"update provider.providers set id = {number}"
                      f" where name = '{made['name']}'")
    try:
        assert get(api, id_of(number)) == made | {"id": id_of(number)}
        assert names_listed(api, f"filter=id eq '{id_of(number)}'") == [
            made["name"]]
    finally:
        assert api.post(path_of(id_of(number), "/destroy")).status_code == 204


# The password


def test_password_is_in_no_answer(api):
    body = full()
    made = create(api, body)
    where = f"filter=name eq '{body['name']}'"
    for path in [path_of(made), "/api/providers?" + where,
                 "/api/providers/export?" + where]:
        answer = api.get(path)
        assert answer.status_code == 200
        assert body["name"] in answer.text
        assert PASSWORD not in answer.text
        assert not re.search(r"\bpassword\b", answer.text)


def test_password_is_in_no_error(api):
    answer = api.post("/api/providers", json=full(port=-1))
    assert broken_fields(answer) == ["port"]
    assert PASSWORD not in answer.text


def test_password_is_in_no_log(api, suite):
    create(api, full())
    for name in ["gateway", "provider", "system", "postgres"]:
        assert PASSWORD not in suite.logs(name)


def test_password_is_sealed(api, suite):
    body = full()
    create(api, body)
    (stored,) = suite.servers.sql(
        f"select password from provider.providers"
        f" where name = '{body['name']}'")
    assert stored and PASSWORD not in stored


def stored_password(suite, name):
    return suite.servers.sql(
        f"select password from provider.providers where name = '{name}'")


def test_update_without_password_keeps_it(api, suite):
    body = full()
    made = create(api, body)
    before = stored_password(suite, body["name"])
    assert update(api, made, {"port": 1}).status_code == 200
    assert stored_password(suite, body["name"]) == before


def test_update_of_password(api, suite):
    body = full()
    made = create(api, body)
    before = stored_password(suite, body["name"])
    assert update(api, made, {"password": "other"}).status_code == 200
    assert stored_password(suite, body["name"]) not in (before, [""])


@pytest.mark.parametrize("nothing", [None, ""], ids=["null", "empty"])
def test_update_that_takes_the_password_away(api, suite, nothing):
    body = full()
    made = create(api, body)
    assert update(api, made, {"password": nothing}).status_code == 200
    assert stored_password(suite, body["name"]) == [""]


# Update


CHANGEABLE = [name for name in full()
              if name not in ("auth_mode", "brand", "password")]


@pytest.mark.parametrize("field", CHANGEABLE)
def test_update_changes_what_was_sent_alone(api, field):
    made = create(api)
    before = get(api, made)
    value = full()[field]
    assert update(api, made, {field: value}).status_code == 200
    assert get(api, made) == changed(before, **{field: value})


@pytest.mark.parametrize("field", CHANGEABLE)
def test_update_with_null(api, field):
    made = create(api, full())
    before = get(api, made)
    answer = update(api, made, {field: None})
    if field in REQUIRED:
        assert broken_fields(answer) == [field]
        assert get(api, made) == before
    else:
        assert answer.status_code == 200
        assert get(api, made) == changed(before, **{field: DEFAULTS[field]})


@pytest.mark.parametrize("field", INBOUND)
def test_update_of_one_inbound_member(api, field):
    made = create(api)
    before = get(api, made)
    value = full()["inbound_parameters"][field]
    update(api, made, {"inbound_parameters": {field: value}})
    assert get(api, made) == changed(before, inbound_parameters=changed(
        before["inbound_parameters"], **{field: value}))


@pytest.mark.parametrize("field", INBOUND)
def test_update_with_null_of_an_inbound_member(api, field):
    made = create(api, full())
    before = get(api, made)
    update(api, made, {"inbound_parameters": {field: None}})
    assert get(api, made) == changed(before, inbound_parameters=changed(
        before["inbound_parameters"],
        **{field: DEFAULTS["inbound_parameters"][field]}))


@pytest.mark.parametrize("field", OUTBOUND)
def test_update_of_one_outbound_member(api, field):
    made = create(api)
    before = get(api, made)
    value = full()["outbound_parameters"][field]
    update(api, made, {"outbound_parameters": {field: value}})
    assert get(api, made) == changed(before, outbound_parameters=changed(
        before["outbound_parameters"], **{field: value}))


@pytest.mark.parametrize("sent, pair", [
    ({"value": "DEFAULT"}, {"value": "DEFAULT", "custom_value": "mine"}),
    ({"custom_value": "new"}, {"value": "CUSTOM", "custom_value": "new"}),
    ({"custom_value": None}, {"value": "CUSTOM", "custom_value": None}),
    ({"value": None}, {"value": "DEFAULT", "custom_value": "mine"}),
    ({}, {"value": "CUSTOM", "custom_value": "mine"}),
    (None, {"value": "DEFAULT", "custom_value": None}),
], ids=str)
def test_update_of_half_an_outbound_pair(api, sent, pair):
    """Members that were not said stay, however deep they lie."""
    made = create(api, minimal(outbound_parameters={
        "to_user_part": {"value": "CUSTOM", "custom_value": "mine"}}))
    answer = update(api, made, {"outbound_parameters": {"to_user_part": sent}})
    assert answer.status_code == 200
    assert get(api, made)["outbound_parameters"]["to_user_part"] == pair


def test_update_with_nothing(api):
    made = create(api)
    before = api.get(path_of(made))
    answer = update(api, made, {})
    assert (answer.status_code, answer.content) == (200, b"")
    after = api.get(path_of(made))
    assert after.json() == before.json()
    assert after.headers["ETag"] == before.headers["ETag"]


def test_update_with_what_was_read(api):
    made = create(api, full())
    before = get(api, made)
    assert update(api, made, before).status_code == 200
    assert get(api, made) == before


def test_update_that_is_refused_changes_nothing(api):
    made = create(api)
    before = get(api, made)
    assert broken_fields(update(api, made, {"name": "new", "port": -1})) == [
        "port"]
    assert get(api, made) == before


def test_update_of_an_unknown_id(api):
    error_of(update(api, UNKNOWN_ID, {"port": 1}), 404, "NOT_FOUND")


@pytest.mark.parametrize("field, was, other", [
    ("auth_mode", "IP_AUTH", "REGISTER_AUTH"), ("brand", "Brand", "Other"),
    ("brand", None, "Other"), ("brand", "Brand", None)], ids=str)
class TestFixedField:
    def test_as_it_is(self, api, field, was, other):
        made = create(api, minimal(**{field: was}))
        assert update(api, made, {field: was, "port": 9}).status_code == 200
        assert get(api, made)["port"] == 9

    def test_as_another(self, api, field, was, other):
        made = create(api, minimal(**{field: was}))
        before = get(api, made)
        answer = update(api, made, {field: other, "port": 9})
        assert broken_fields(answer) == [field]
        assert get(api, made) == before


@pytest.mark.parametrize("field, value", [
    ("id", UNKNOWN_ID), ("id", 5), ("shared", False), ("shared", "x"),
    ("created_at", "x"), ("updated_at", 5)], ids=str)
def test_read_only_fields_are_not_looked_at(api, field, value):
    made = create(api, minimal(**{field: value}))
    assert get(api, made)["shared"] is True
    before = get(api, made)
    assert update(api, made, {field: value}).status_code == 200
    assert get(api, made) == before


def test_fields_of_later_versions_are_accepted(api):
    made = create(api, minimal(**LATER))
    assert update(api, made, LATER).status_code == 200
    assert not LATER.keys() & get(api, made).keys()


# (hostname, auth_id) is one trunk's


REGISTERING = ["REGISTER_AUTH", "ACCEPT_REGISTER"]


def two_of_one_host(api, modes, auth_ids=("same", "same"), fold=str):
    """The answer to the second of two trunks."""
    host = f"{unique('host')}.example"
    create(api, minimal(hostname=host, auth_mode=modes[0],
                        auth_id=auth_ids[0]))
    return api.post("/api/providers", json=minimal(
        hostname=fold(host), auth_mode=modes[1], auth_id=auth_ids[1]))


def check_taken(answer):
    error = error_of(answer, 409, "CONFLICT")
    assert [detail["field"] for detail in error["detail"]] == ["auth_id"]


@pytest.mark.parametrize("first", REGISTERING)
@pytest.mark.parametrize("second", REGISTERING)
def test_host_and_auth_id_taken(api, first, second):
    check_taken(two_of_one_host(api, (first, second)))


def test_host_taken_in_another_case(api):
    check_taken(two_of_one_host(api, REGISTERING, fold=str.upper))


def test_host_taken_without_auth_id(api):
    check_taken(two_of_one_host(api, REGISTERING, (None, None)))


@pytest.mark.parametrize("modes, auth_ids", [
    (("IP_AUTH", "IP_AUTH"), ("same", "same")),
    (("IP_AUTH", "REGISTER_AUTH"), ("same", "same")),
    (("REGISTER_AUTH", "REGISTER_AUTH"), ("one", "two")),
    (("REGISTER_AUTH", "REGISTER_AUTH"), ("same", "SAME")),
], ids=str)
def test_host_and_auth_id_not_taken(api, modes, auth_ids):
    assert two_of_one_host(api, modes, auth_ids).status_code == 201


def test_update_to_a_taken_host_and_auth_id(api):
    first = full()
    create(api, first)
    second = create(api, full())
    before = get(api, second)
    check_taken(update(api, second, {"hostname": first["hostname"],
                                     "auth_id": first["auth_id"]}))
    assert get(api, second) == before


def test_destroyed_host_and_auth_id_are_free(api):
    body = full()
    api.post(path_of(create(api, body), "/destroy"))
    create(api, body)


# Destroy


def test_destroy(api):
    made = create(api)
    answer = api.post(path_of(made, "/destroy"))
    assert (answer.status_code, answer.content) == (204, b"")
    for again in [api.get(path_of(made)), update(api, made, {"port": 1}),
                  api.get(path_of(made, "/status")),
                  api.post(path_of(made, "/destroy"))]:
        error_of(again, 404, "NOT_FOUND")


def test_destroy_of_a_malformed_id(api):
    assert broken_fields(api.post(path_of("malformed", "/destroy"))) == ["id"]


# Versions


def test_etag_follows_the_version(api):
    made = create(api)
    assert api.get(path_of(made)).headers["ETag"] == '"1"'
    assert update(api, made, {"port": 9}).headers["ETag"] == '"2"'
    assert api.get(path_of(made)).headers["ETag"] == '"2"'


@pytest.mark.parametrize("match", ['"1"', "*"])
def test_update_if_match(api, match):
    made = create(api)
    answer = update(api, made, {"port": 9}, **{"If-Match": match})
    assert answer.status_code == 200
    assert get(api, made)["port"] == 9


def test_update_of_what_was_changed_meanwhile(api):
    made = create(api)
    update(api, made, {"port": 9})
    answer = update(api, made, {"port": 10}, **{"If-Match": '"1"'})
    error_of(answer, 412, "PRECONDITION_FAILED")
    assert get(api, made)["port"] == 9


@pytest.mark.parametrize("match", ['"1"', "*"])
def test_destroy_if_match(api, match):
    made = create(api)
    answer = api.post(path_of(made, "/destroy"), headers={"If-Match": match})
    assert answer.status_code == 204


def test_destroy_of_what_was_changed_meanwhile(api):
    made = create(api)
    update(api, made, {"port": 9})
    answer = api.post(path_of(made, "/destroy"), headers={"If-Match": '"1"'})
    error_of(answer, 412, "PRECONDITION_FAILED")
    assert get(api, made)["port"] == 9


def test_if_match_of_an_unknown_id(api):
    answer = update(api, UNKNOWN_ID, {"port": 1}, **{"If-Match": '"1"'})
    error_of(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize("match", ["1", '"x"', '""', '"-1"', '"0"', "x",
                                   '"9223372036854775808"'])
def test_malformed_if_match(api, match):
    made = create(api)
    answer = update(api, made, {"port": 9}, **{"If-Match": match})
    assert broken_fields(answer) == ["If-Match"]


def test_two_updates_of_one_version(suite, api):
    """Of those who read the same version one wins."""
    made = create(api)

    def change(port):
        client = suite.session(api.token)
        return update(client, made, {"port": port},
                      **{"If-Match": '"1"'}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(change, range(8)))
    assert sorted(statuses) == [200] + [412] * 7


# Creating once


def once(api, key, body):
    return api.post("/api/providers", json=body,
                    headers={"Idempotency-Key": key})


def test_same_key_and_body(api):
    body = minimal()
    first, second = [once(api, body["name"], body) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.headers["Location"] == second.headers["Location"]
    assert names_listed(api, f"filter=name eq '{body['name']}'") == [
        body["name"]]


def test_same_key_and_another_body(api):
    key = unique("key")
    once(api, key, minimal())
    other = minimal()
    error_of(once(api, key, other), 409, "CONFLICT")
    assert names_listed(api, f"filter=name eq '{other['name']}'") == []


def test_two_keys_and_the_same_body(api):
    body = minimal()
    first, second = [once(api, unique("key"), body) for _ in range(2)]
    assert first.json() != second.json()


def test_key_of_a_refused_create_is_free(api):
    key = unique("key")
    assert broken_fields(once(api, key, minimal(port=-1))) == ["port"]
    assert once(api, key, minimal()).status_code == 201


def test_key_of_a_conflicting_create_is_free(api):
    key, body = unique("key"), full()
    create(api, body)
    check_taken(once(api, key, body | {"name": "other"}))
    assert once(api, key, minimal()).status_code == 201


@pytest.mark.parametrize("body", [minimal, full],
                         ids=["free", "one of a kind"])
def test_same_key_at_once(suite, api, body):
    key, body = unique("key"), body()

    def make(_):
        answer = once(suite.session(api.token), key, body)
        return answer.status_code, answer.text

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(make, range(16)))
    assert len(answers) == 1
    assert answers.pop()[0] == 201
    assert names_listed(api, f"filter=name eq '{body['name']}'") == [
        body["name"]]


@pytest.mark.parametrize("key", ["", "a b", "a" * 256, "\xe4"],
                         ids=["empty", "space", "256", "not ASCII"])
def test_malformed_key(api, key):
    answer = api.post("/api/providers", json=minimal(),
                      headers={"Idempotency-Key": key.encode("latin-1")})
    assert broken_fields(answer) == ["Idempotency-Key"]


def test_longest_key(api):
    key = unique("k").ljust(255, "k")
    assert once(api, key, minimal()).status_code == 201
