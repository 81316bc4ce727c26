"""What the suite refuses, and that it lives on."""

import json

import pytest

from objects import (
    HOST_PARTS, LATER, REQUIRED, USER_PARTS, broken_fields, create, error_of,
    get, id_of, minimal, path_of, raw_error_of, unique, update)

pytestmark = pytest.mark.usefixtures("same_processes")

JSON = "application/json"


# One field outside its limits


BOOLEANS = ["enabled", "registration", "inlan", "single_via_header",
            "rewrite_via_ip", "verify_port", "keep_alive",
            "adjust_sdp_direction", "remove_srtp_info",
            "stir_shaken_signature_required"]
PORTS = ["port", "outbound_server_port"]
NUMBERS = ["register_interval", "keep_alive_interval", "concurrency"]
HOSTS = ["hostname", "outbound_server"]
TEXTS = {"name": 64, "brand": 64, "auth_id": 64, "username": 64,
         "password": 256}
ENUMS = ["auth_mode", "transport"]
RECORDS = ["inbound_parameters", "outbound_parameters"]

NOT_HOSTS = ["", "a b", "-a.example", "a-.example", "a..b", ".", ".a", "1.2.3",
             "256.1.1.1", "1.2.3.4.5", "[::1", "::1]", "[1.2.3.4]", "[name]",
             "a:5060", "::g", "sip:a", "http://a", "a/b", "a@b", "ä.example",
             "a" * 64, "a." * 127 + "aa"]
NOT_CIDRS = ["x", "1.2.3", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/", "1.2.3.4/x",
             "::/129", "1.2.3.4/24/24", "1.2.3.0/24,1.2.4.0/24", "/24",
             "1.2.3.4;x", "host.example", "x;" * 8193]
NOT_DIDS = ["0", "0123", "+4930", "x", "12a", "1.5", "-5", "5-", "1-2-3",
            "20-10", "100-2000", "1-0", "1234567890123456789",
            "100,200", "100;0", "1 0", "1;" * 8193]

FAULTS = [
    *[(field, value) for field in BOOLEANS
      for value in [0, 1, "true", "", [], {}, 1.0]],
    *[(field, value) for field in PORTS
      for value in [-1, 65536, 1.5, 5060.0, "5060", True, [], {}]],
    *[(field, value) for field in NUMBERS
      for value in [-1, 2147483648, 2 ** 63, 2 ** 64 - 1, -2 ** 63, 0.5, "1",
                    False, [], {}]],
    *[(field, value) for field in HOSTS for value in NOT_HOSTS],
    *[(field, value) for field in [*TEXTS, *HOSTS, *ENUMS, "additional_ips",
                                   "did_numbers"]
      for value in [5, True, ["x"], {}, "a\0b", "a\nb", "a\x7f"]],
    *[(field, "x" * (most + 1)) for field, most in TEXTS.items()],
    *[(field, "中" * (most + 1)) for field, most in TEXTS.items()],
    *[(field, "") for field in ["name", "brand", "auth_mode", "transport"]],
    *[("auth_mode", value) for value in ["ip_auth", "NONE", "IP_AUTH "]],
    *[("transport", value) for value in ["udp", "SCTP", "WSS", "UDP,TCP"]],
    *[("additional_ips", value) for value in NOT_CIDRS],
    *[("did_numbers", value) for value in NOT_DIDS],
    *[(field, value) for field in RECORDS for value in [5, "x", [], True]],
]


def short(value):
    return repr(value)[:24]


@pytest.mark.parametrize("field, value", FAULTS, ids=short)
def test_field(api, field, value):
    answer = api.post("/api/providers", json=minimal(**{field: value}))
    assert broken_fields(answer) == [field]


EDGES = [
    *[(field, value) for field in PORTS for value in [0, 65535]],
    *[(field, value) for field in NUMBERS for value in [0, 2147483647]],
    *[(field, "中" * most) for field, most in TEXTS.items()],
    *[(field, "🎉" * most) for field, most in TEXTS.items()],
    *[(field, "") for field in ["auth_id", "username", "password"]],
    *[(field, value) for field in HOSTS
      for value in ["a", "a" * 63, ("a" * 62 + ".") * 4 + "aaa", "1.2.3.4",
                    "::", "::ffff:1.2.3.4", "xn--ber-goa.example", "3com"]],
    *[("additional_ips", value) for value in
      ["0.0.0.0/0", "::/0", "1.2.3.4/32", "::1/128", "1.2.3.4"]],
    *[("did_numbers", value) for value in
      ["1", "123456789012345678", "1-1", "100-999", "1;2;3-4"]],
    ("did_numbers", ";".join(str(n) for n in range(1000, 4276))),
]


@pytest.mark.parametrize("field, value", EDGES, ids=short)
def test_field_at_its_limit(api, field, value):
    made = get(api, create(api, minimal(**{field: value})))
    # An empty list of numbers is none at all; passwords are not shown.
    assert made.get(field, value) == value


@pytest.mark.parametrize("field, value", [
    ("port", 65536), ("name", ""), ("hostname", "a b"), ("enabled", 1),
    ("transport", "udp"), ("did_numbers", "0"), ("additional_ips", "x"),
    ("nope", 1), ("password", "x" * 257)])
def test_field_of_an_update(api, field, value):
    answer = update(api, create(api), {field: value})
    assert broken_fields(answer) == [field]


@pytest.mark.parametrize("value", [
    "udp", 5, None, "DEFAULT "], ids=short)
@pytest.mark.parametrize("field", [
    "caller_num", "caller_display_name", "called_num",
    "privacy_types_supported"])
def test_inbound_enum(api, field, value):
    answer = api.post("/api/providers", json=minimal(
        inbound_parameters={field: value}))
    if value is None:
        assert answer.status_code == 201
    else:
        assert broken_fields(answer) == [f"inbound_parameters.{field}"]


@pytest.mark.parametrize("field, value", [
    ("enable_stir_shaken_validation", 1),
    ("enable_stir_shaken_validation", "true"),
    ("pass_api_header_to_uad", 0),
    ("pai_header_parameter_name", ""),
    ("pai_header_parameter_name", "x" * 65),
    ("pai_header_parameter_name", "a b"),
    ("pai_header_parameter_name", "a;b"),
    ("pai_header_parameter_name", "ä"),
    ("pai_header_parameter_name", 5),
    ("drop_calls_with_verification_status", "TN-Validation-Failed"),
    ("drop_calls_with_verification_status", ["text"]),
    ("drop_calls_with_verification_status", [5]),
    ("drop_calls_with_verification_status", [None]),
    ("drop_calls_with_verification_status", [["TN-Validation-Failed"]]),
    ("drop_calls_with_verification_status", {}),
    ("nope", 1),
], ids=short)
def test_inbound_field(api, field, value):
    answer = api.post("/api/providers", json=minimal(
        inbound_parameters={field: value}))
    assert broken_fields(answer) == [f"inbound_parameters.{field}"]


@pytest.mark.parametrize("field, value", [
    *[(name, "TRUNK_HOST_PORT") for name in USER_PARTS],
    *[(name, "AUTH_ID") for name in HOST_PARTS],
    ("to_user_part", "default"), ("to_user_part", ""), ("to_user_part", 5),
    ("to_user_part", []), ("privacy_types_supported", "NOPE"),
    ("privacy_types_supported", 5)], ids=short)
def test_outbound_value(api, field, value):
    answer = api.post("/api/providers", json=minimal(
        outbound_parameters={field: {"value": value}}))
    assert broken_fields(answer) == [f"outbound_parameters.{field}.value"]


@pytest.mark.parametrize("pair, at", [
    ("AUTH_ID", ""), (5, ""), ([], ""),
    ({"custom_value": "x" * 256}, ".custom_value"),
    ({"custom_value": 5}, ".custom_value"),
    ({"custom_value": "a\r\nb"}, ".custom_value"),
    ({"nope": 1}, ".nope"),
], ids=short)
def test_outbound_pair(api, pair, at):
    answer = api.post("/api/providers", json=minimal(
        outbound_parameters={"to_user_part": pair}))
    assert broken_fields(answer) == [f"outbound_parameters.to_user_part{at}"]


@pytest.mark.parametrize("value", ["NOPE", "", 5, True, []], ids=short)
def test_outbound_privacy_as_a_text(api, value):
    answer = api.post("/api/providers", json=minimal(
        outbound_parameters={"privacy_types_supported": value}))
    assert broken_fields(answer) == [
        "outbound_parameters.privacy_types_supported"]


@pytest.mark.parametrize("name", [
    "nope", "Name", "name ", "", "version", "ünï", "$name", "__proto__",
    "inbound_parameters.caller_num"], ids=repr)
def test_unknown_field(api, name):
    answer = api.post("/api/providers", json=minimal(**{name: "x"}))
    assert broken_fields(answer) == [name]


def test_long_unknown_field(api):
    """Named as far as there is room."""
    answer = api.post("/api/providers", json=minimal(**{"x" * 2000: 1}))
    (field,) = broken_fields(answer)
    assert field.strip("x") == "" and len(field) > 80


@pytest.mark.parametrize("field", REQUIRED)
@pytest.mark.parametrize("way", ["absent", "null"])
def test_required_field(api, field, way):
    body = minimal()
    if way == "absent":
        del body[field]
    else:
        body[field] = None
    assert broken_fields(api.post("/api/providers", json=body)) == [field]


def test_all_faults_are_named(api):
    answer = api.post("/api/providers", json={
        "name": "", "port": -1, "nope": 1, "enabled": 5,
        "inbound_parameters": {"caller_num": "x"}})
    assert sorted(broken_fields(answer)) == sorted([
        "name", "port", "nope", "enabled", "inbound_parameters.caller_num",
        "transport", "hostname", "outbound_server"])


def test_many_faults_are_bounded(api):
    answer = api.post("/api/providers", json={
        f"nope{i}": i for i in range(1000)})
    assert len(broken_fields(answer)) == 8


@pytest.mark.parametrize("field", LATER)
def test_field_of_a_later_version_is_not_looked_at(api, field):
    create(api, minimal(**{field: {"any": [1]}}))


# Bodies that are no JSON object


GOOD = json.dumps(minimal(name="never made")).encode()

BODIES = [
    ("array", b"[]"), ("array of objects", b"[" + GOOD + b"]"),
    ("null", b"null"), ("string", b'"x"'), ("number", b"5"), ("true", b"true"),
    ("space", b"  "), ("unfinished", GOOD[:-1]), ("half", GOOD[:20]),
    ("brace", b"{"), ("closing brace", b"}"), ("trailing", GOOD + b"x"),
    ("two", GOOD + GOOD), ("trailing NUL", GOOD + b"\0"),
    ("mark", b"\xef\xbb\xbf" + GOOD),
    ("UTF-16", GOOD.decode().encode("utf-16")),
    ("comma", GOOD[:-1] + b",}"), ("comment", GOOD + b"/**/"),
    ("single quotes", b"{'name': 'x'}"), ("bare key", b"{name: 1}"),
    ("no colon", b'{"name" 1}'), ("number as key", b"{1: 1}"),
    ("form", b"name=x&port=1"),
]
TAILS = [
    ("same key", b'"name": "x"'),
    ("same key, escaped", b'"n\\u0061me": "x"'),
    ("same key within", b'"inbound_parameters": '
                        b'{"called_num": "DEFAULT", "called_num": "DEFAULT"}'),
    ("NaN", b'"brand": NaN'), ("Infinity", b'"brand": Infinity'),
    ("1e400", b'"register_interval": 1e400'), ("01", b'"brand": 01'),
    ("+1", b'"brand": +1'), (".5", b'"brand": .5'), ("5.", b'"brand": 5.'),
    ("2^64", b'"register_interval": 18446744073709551616'),
    ("-2^63-1", b'"register_interval": -9223372036854775809'),
    ("hexadecimal", b'"brand": 0x10'), ("True", b'"enabled": True'),
    ("byte ff", b'"brand": "\xff"'), ("Latin-1", b'"brand": "\xe4"'),
    ("overlong", b'"brand": "\xc0\xaf"'),
    ("surrogate as UTF-8", b'"brand": "\xed\xa0\x80"'),
    ("past U+10FFFF", b'"brand": "\xf4\x90\x80\x80"'),
    ("cut UTF-8", b'"brand": "\xf0\x9f\x8e"'),
    ("lone surrogate", b'"brand": "\\ud800"'),
    ("low surrogate first", b'"brand": "\\udc00\\ud800"'),
    ("raw newline", b'"brand": "a\nb"'), ("raw NUL", b'"brand": "a\0b"'),
    ("bad escape", b'"brand": "\\x41"'), ("short escape", b'"brand": "\\u41"'),
    ("not closed", b'"brand": "x'),
]
BODIES += [(name, GOOD[:-1] + b", " + tail + b"}") for name, tail in TAILS]


def deep(levels):
    """A body nested so many levels deep, itself included."""
    return GOOD[:-1] + b', "nope": ' + b"[" * (levels - 1) + \
        b"]" * (levels - 1) + b"}"


BODIES += [("33 deep", deep(33)), ("100000 deep", deep(100000)),
           ("100000 deep objects", b'{"a":' * 100000)]


@pytest.mark.parametrize("body", [body for _, body in BODIES],
                         ids=[name for name, _ in BODIES])
@pytest.mark.parametrize("path", ["/api/providers", "update",
                                  "/api/auth/sign_in"])
def test_body(api, path, body):
    if path == "update":
        path = path_of(create(api))
    answer = api.post(path, data=body, headers={"Content-Type": JSON})
    error = error_of(answer, 400, "VALIDATE_FAILED")
    assert "detail" not in error


def test_deepest_body(api):
    """32 levels are JSON: only the field is unknown."""
    answer = api.post("/api/providers", data=deep(32),
                      headers={"Content-Type": JSON})
    assert broken_fields(answer) == ["nope"]


def test_created_without_a_body(api):
    answer = api.post("/api/providers")
    assert sorted(broken_fields(answer)) == sorted(REQUIRED)


def test_created_from_an_empty_object(api):
    answer = api.post("/api/providers", json={})
    assert sorted(broken_fields(answer)) == sorted(REQUIRED)


def test_nothing_of_all_that_was_made(api):
    answer = api.get("/api/providers?filter=name eq 'never made'")
    assert answer.json()["count"] == 0


@pytest.mark.parametrize("size", [2 ** 20 + 1, 2 ** 21])
def test_too_large_body(suite, api, size):
    body = b'{"name": "' + b"x" * (size - 12) + b'"}'
    answer = suite.call("POST", "/api/providers", api.token,
                        f"Content-Type: {JSON}", body=body)
    raw_error_of(answer, 413, "PAYLOAD_TOO_LARGE")


def test_too_large_chunked_body(suite, api):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = suite.exchange(
        b"POST /api/providers HTTP/1.1\r\nHost: x\r\nContent-Type: "
        + JSON.encode() + b"\r\nAuthorization: Bearer " + api.token.encode()
        + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 32
        + b"0\r\n\r\n")
    raw_error_of(answer, 413, "PAYLOAD_TOO_LARGE")


def test_largest_body(api):
    """1 MiB is read: only the name is too long."""
    body = b'{"name": "' + b"x" * (2 ** 20 - 12) + b'"}'
    answer = api.post("/api/providers", data=body,
                      headers={"Content-Type": JSON})
    assert "name" in broken_fields(answer)


def test_chunked_body(api):
    body = json.dumps(minimal()).encode()
    answer = api.post("/api/providers", data=iter([body[:9], body[9:]]),
                      headers={"Content-Type": JSON})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("value", [
    None, "text/plain", "application/x-www-form-urlencoded", "application/xml",
    "multipart/form-data; boundary=x", "application/jsonx", "json", "",
    "application/json; charset=latin1", "application/json;charset=utf-16",
    "x" * 10000])
def test_content_type(api, value):
    answer = api.post("/api/providers", data=GOOD,
                      headers={"Content-Type": value})
    error_of(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("value", [
    "application/json", "APPLICATION/JSON", "application/json;charset=utf-8",
    'application/json; charset="UTF-8"', "application/json; x=y"])
def test_good_content_type(api, value):
    answer = api.post("/api/providers", data=json.dumps(minimal()).encode(),
                      headers={"Content-Type": value})
    assert answer.status_code == 201, answer.text


# Paths and verbs


NOT_IDS = ["x", "0", "1", "-1", "700551909773148160", "NzAw=", "NzA",
           id_of(0), id_of(-5), id_of("007"), id_of(2 ** 63), id_of("1" * 30),
           id_of("x"), id_of(" 5"), "NTV=", "%20", "a" * 2000, "é"]


@pytest.mark.parametrize("text", NOT_IDS, ids=short)
class TestNotAnId:
    def test_get(self, suite, api, text):
        raw_error_of(self.call(suite, api, "GET", text), 404, "NOT_FOUND")

    def test_status(self, suite, api, text):
        answer = self.call(suite, api, "GET", text, "/status")
        raw_error_of(answer, 404, "NOT_FOUND")

    def test_update(self, suite, api, text):
        raw_error_of(self.call(suite, api, "POST", text), 404, "NOT_FOUND")

    def test_destroy(self, suite, api, text):
        """400, as the API document says."""
        answer = self.call(suite, api, "POST", text, "/destroy")
        error = raw_error_of(answer, 400, "VALIDATE_FAILED")
        assert error["detail"][0]["field"] == "id"

    @staticmethod
    def call(suite, api, verb, text, tail=""):
        path = path_of(text.replace("é", "%C3%A9"), tail)
        return suite.call(verb, path, api.token)


@pytest.mark.parametrize("path", [
    "/api/providers/%00", "/api/providers/%", "/api/providers/%z",
    "/api/providers/%zz", "/api/providers/%2", "/api/providers/%ff",
    "/api/providers/%c0%af", "/api/%zz", "/%00", "/api/providers/x%00/status",
    "/api/nope/%zz", "/api/providers/\xff"])
def test_bad_percent_encoding(suite, api, path):
    raw_error_of(suite.call("GET", path, api.token), 400, "VALIDATE_FAILED")


@pytest.mark.parametrize("target", ["x", "api/providers", "?x", "*"])
def test_target_that_is_no_path(suite, target):
    raw_error_of(suite.call("GET", target), 400, "VALIDATE_FAILED")


@pytest.mark.parametrize("path", [
    "/", "/nope", "/api", "/api/", "/api/nope", "/api/providers/",
    "/api/providers//status", "//api/providers", "/api//providers",
    "/api/Providers", "/API/providers", "/api/providers/x/y",
    "/api/providers/x/destroy/y", "/api/providers/export/x",
    "/api/providers%2Fexport", "/api/providers/../providers",
    "/api/./providers", "/api/providers;x", "/api/auth", "/api/auth/nope",
    "/api/login/oauth", "/healthz/", "/" + "a/" * 2000])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_unknown_path(suite, api, verb, path):
    raw_error_of(suite.call(verb, path, api.token), 404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/api/%70roviders", "/%61pi/providers"])
def test_escaped_path(suite, api, path):
    """Another writing of the same path (RFC 3986, 6.2.2.2)."""
    assert suite.call("GET", path, api.token).status == 200


@pytest.mark.parametrize("verb, path, allow", [
    *[(verb, "/api/providers", "GET, HEAD, POST")
      for verb in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]],
    ("PUT", "/api/providers/x", "GET, HEAD, POST"),
    ("DELETE", "/api/providers/x", "GET, HEAD, POST"),
    ("GET", "/api/providers/x/destroy", "POST"),
    ("HEAD", "/api/providers/x/destroy", "POST"),
    ("DELETE", "/api/providers/x/destroy", "POST"),
    ("POST", "/api/providers/x/status", "GET, HEAD"),
    ("POST", "/api/providers/export", "GET, HEAD"),
    ("GET", "/api/providers/test", "POST"),
    ("GET", "/api/auth/sign_in", "POST"),
    ("POST", "/api/auth/user", "GET, HEAD"),
    ("PUT", "/api/login", "GET, HEAD, POST"),
    ("POST", "/healthz", "GET, HEAD"),
    ("POST", "/api/openapi.json", "GET, HEAD"),
])
def test_wrong_verb(suite, verb, path, allow):
    answer = suite.call(verb, path)
    assert (answer.status, answer.getheader("Allow")) == (405, allow)
    if verb != "HEAD":
        raw_error_of(answer, 405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("verb", ["BREW", "get", "Post", "M-SEARCH", "X"])
@pytest.mark.parametrize("path", ["/api/providers", "/api/nope", "/healthz"])
def test_unknown_verb(suite, api, verb, path):
    raw_error_of(suite.call(verb, path, api.token), 501, "NOT_IMPLEMENTED")


# Framing


@pytest.mark.parametrize("fields", [
    ["Content-Length: 2", "Transfer-Encoding: chunked"],
    ["Content-Length: 2", "Content-Length: 3"],
    ["Content-Length: 2\r\n folded"],
    ["Content-Length: x"], ["Content-Length: -1"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]],
    ids=str)
def test_framing(suite, fields):
    """RFC 9112, 6.3: a body whose end can be read in two ways."""
    head = ["POST /api/auth/sign_in HTTP/1.1", "Host: x",
            f"Content-Type: {JSON}", *fields]
    answer = suite.exchange("\r\n".join(head).encode() + b"\r\n\r\n{}\r\n")
    assert answer.status == 400
    assert answer.getheader("Connection", "").lower() == "close"


def test_large_head(suite, api):
    answer = suite.call("GET", "/api/providers", api.token,
                        "X-Large: " + "x" * 33000)
    raw_error_of(answer, 413, "PAYLOAD_TOO_LARGE")


def test_many_fields(suite, api):
    answer = suite.call("GET", "/api/providers", api.token,
                        *[f"X-{i}: x" for i in range(200)])
    assert answer.status == 400


@pytest.mark.parametrize("request_bytes", [
    b"\r\n\r\n", b"x\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01", b"\0" * 100,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], ids=short)
def test_no_http(suite, request_bytes):
    """Whatever is answered or not, nothing ends."""
    suite.send(request_bytes)
    assert suite.session().get("/healthz").status_code == 200


# Sign-in bodies


@pytest.mark.parametrize("body, fields", [
    ({}, ["username", "password"]),
    ({"username": "x"}, ["password"]),
    ({"username": "", "password": "x"}, ["username"]),
    ({"username": "x" * 65, "password": "x"}, ["username"]),
    ({"username": "x", "password": "x" * 257}, ["password"]),
    ({"username": 5, "password": "x"}, ["username"]),
    ({"username": None, "password": "x"}, ["username"]),
    ({"username": "x", "password": ["x"]}, ["password"]),
    ({"username": "x", "password": "x", "domain": ""}, ["domain"]),
    ({"username": "x", "password": "x", "domain": "x" * 281}, ["domain"]),
    ({"username": "x", "password": "x", "qr": "x"}, ["qr"]),
    ({"username": "x", "password": "x", "nope": 1}, ["nope"]),
    ({"username": "a\0b", "password": "x"}, ["username"]),
], ids=short)
@pytest.mark.parametrize("path", ["/api/auth/sign_in", "/api/login"])
def test_sign_in_body(suite, path, body, fields):
    answer = suite.session().post(path, json=body)
    assert sorted(broken_fields(answer)) == sorted(fields)


def test_a_good_request_at_last(api):
    made = create(api, minimal(name=unique("survivor")))
    assert get(api, made)["id"] == made
