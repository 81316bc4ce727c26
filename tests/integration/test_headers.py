"""Headers, connections and logs of the gateway."""

import json
import re
import socket

import pytest

from objects import create, error_of, get, minimal, path_of, unique, update

MADE_ID = re.compile("[0-9a-f]{24}")


# X-Request-Id


@pytest.mark.parametrize("sent", ["x", "a.b_C-9", "x" * 64])
def test_request_id_comes_back(api, sent):
    answer = api.get("/api/providers?top=1", headers={"X-Request-Id": sent})
    assert answer.headers["X-Request-Id"] == sent


@pytest.mark.parametrize("sent", [None, "", "x" * 65, "a b", "a\"b", "ä",
                                  "a/b", "a=b"], ids=repr)
def test_request_id_is_made(api, sent):
    headers = {"X-Request-Id": sent and sent.encode("latin-1")}
    ids = {api.get("/api/providers?top=1",
                   headers=headers).headers["X-Request-Id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(MADE_ID.fullmatch(one) for one in ids)


@pytest.mark.parametrize("verb, path", [
    ("GET", "/healthz"), ("GET", "/api/nope"), ("PUT", "/api/providers"),
    ("GET", "/api/providers/%zz"), ("GET", "/api/auth/user"),
    ("POST", "/api/auth/sign_in"), ("BREW", "/"),
    ("GET", "/api/providers/export")])
def test_request_id_of_every_answer(suite, verb, path):
    answer = suite.call(verb, path, None, "X-Request-Id: mine")
    assert answer.getheader("X-Request-Id") == "mine"


def test_request_id_of_a_too_large_body(suite):
    answer = suite.call("POST", "/api/auth/sign_in", None,
                        "X-Request-Id: mine", body=b" " * 2 ** 21)
    assert (answer.status, answer.getheader("X-Request-Id")) == (413, "mine")


def test_request_id_in_the_log_of_the_gateway(suite, api):
    sent = unique("request")
    api.get("/api/providers?top=1", headers={"X-Request-Id": sent})
    (line,) = suite.log_lines("gateway", f"request={sent} ")
    assert "event=http.access" in line


def test_request_id_in_the_log_of_a_service(suite):
    sent = unique("request")
    suite.session().post("/api/auth/sign_in", json={
        "username": suite.admin_name, "password": suite.admin_password,
    }, headers={"X-Request-Id": sent})
    assert suite.log_lines("system", "event=auth.signed_in",
                           f"request={sent} ")


def test_request_id_in_the_log_of_the_provider_service(suite, api):
    """Told at level debug alone."""
    sent = unique("request")
    suite.stop("provider")
    suite.start("provider", log_level="debug")
    suite.wait_ready()
    try:
        made = api.post("/api/providers", json=minimal(),
                        headers={"X-Request-Id": sent})
        assert made.status_code == 201
        assert suite.log_lines("provider", f"request={sent} ",
                               "method=provider.create")
    finally:
        suite.stop("provider")
        suite.start("provider")
        suite.wait_ready()


# The access log


def fields_of(line):
    return dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line))


def test_access_log(suite, api):
    sent = unique("request")
    answer = api.get("/api/providers?top=1&filter=port eq 1",
                     headers={"X-Request-Id": sent})
    (line,) = suite.log_lines("gateway", f"request={sent} ")
    fields = fields_of(line)
    assert {name: fields[name] for name in [
        "level", "process", "event", "method", "path", "status", "bytes",
        "user", "address"]} == {
            "level": "info", "process": "gateway", "event": "http.access",
            "method": "GET", "path": "/api/providers", "status": "200",
            "bytes": str(len(answer.content)), "user": suite.admin_name,
            "address": "127.0.0.1"}
    assert int(fields["us"]) > 0


def test_access_log_has_no_token_and_no_query(suite, api):
    sent = unique("request")
    api.get("/api/providers?filter=name eq 'private'",
            headers={"X-Request-Id": sent})
    suite.log_lines("gateway", f"request={sent} ")
    for secret in [api.token, "private", "filter"]:
        assert secret not in suite.logs("gateway")


def test_access_log_of_a_refused_request(suite):
    sent = unique("request")
    suite.session().get("/api/providers", headers={"X-Request-Id": sent})
    (line,) = suite.log_lines("gateway", f"request={sent} ")
    assert "status=401" in line and "user=" not in line


def test_path_cannot_forge_a_log_line(suite):
    sent = unique("request")
    suite.call("GET", '/api/x"=\\y%0Alevel=error', None,
               f"X-Request-Id: {sent}")
    (line,) = suite.log_lines("gateway", f"request={sent} ")
    assert fields_of(line)["level"] == "info"
    assert fields_of(line)["path"] == '"/api/x\\"=\\\\y%0Alevel=error"'


# Headers of answers


def test_json_answer(api):
    answer = api.get("/api/providers?top=1")
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics",
                                  "/api/openapi.json", "/api/info",
                                  "/api/nope", "/api/providers"])
def test_length_is_told(suite, path):
    answer = suite.session().get(path)
    assert int(answer.headers["Content-Length"]) == len(answer.content) > 0


def test_empty_answer(api):
    answer = update(api, create(api), {"port": 1})
    assert answer.headers["Content-Length"] == "0"
    assert "Content-Type" not in answer.headers


def test_answer_without_content(api):
    """RFC 9110, 8.6: a 204 has no Content-Length."""
    answer = api.post(path_of(create(api), "/destroy"))
    assert answer.status_code == 204
    assert not {"Content-Length", "Content-Type",
                "Transfer-Encoding"} & set(answer.headers)


def test_export_is_a_stream(api):
    answer = api.get("/api/providers/export?filter=id eq null")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in answer.headers


def test_server_does_not_tell_its_version(suite):
    answer = suite.session().get("/healthz")
    assert not answer.headers.get("Server")


@pytest.mark.parametrize("path", [
    "/healthz", "/readyz", "/api/openapi.json", "/api/info", "/api/providers",
    "/api/auth/user", "/api/nope", "provider", "/api/providers/NQ=="])
def test_head(api, path):
    """As GET, without the body."""
    if path == "provider":
        path = path_of(create(api))
    got, head = api.get(path), api.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    for name in ["Content-Type", "Content-Length", "ETag", "Cache-Control"]:
        assert head.headers.get(name) == got.headers.get(name)


def test_head_of_an_export(suite, api):
    answer = suite.call("HEAD", "/api/providers/export", api.token)
    assert (answer.status, answer.body) == (200, b"")
    assert "attachment" in answer.getheader("Content-Disposition")


def test_head_without_a_token(suite):
    assert suite.session().head("/api/providers").status_code == 401


def test_head_changes_nothing(api):
    made = create(api)
    answer = api.head(path_of(made, "/destroy"))
    assert answer.status_code == 405
    assert get(api, made)


# Connections


class Line:
    """One connection, and requests on it one after the other."""

    def __init__(self, suite):
        host, port = suite.url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._file = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, text):
        self._socket.sendall(text.encode("latin-1"))

    def answer(self):
        """(status, headers in lower case, body); None where it was closed."""
        first = self._file.readline()
        if not first:
            return None
        headers = {}
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, value = line.decode("latin-1").split(":", 1)
            headers[name.lower()] = value.strip()
        body = self._file.read(int(headers.get("content-length", 0)))
        return int(first.split()[1]), headers, body


HEALTH = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def test_connection_is_kept(suite):
    with Line(suite) as line:
        for _ in range(50):
            line.send(HEALTH)
            assert line.answer()[0] == 200


def test_connection_is_kept_after_an_error(suite):
    with Line(suite) as line:
        for head, status in [("GET /api/nope", 404), ("PUT /healthz", 405),
                             ("GET /api/providers", 401),
                             ("GET /%zz", 400), ("GET /healthz", 200)]:
            line.send(f"{head} HTTP/1.1\r\nHost: x\r\n\r\n")
            assert line.answer()[0] == status


def test_requests_in_one_piece(suite, api):
    """Pipelined: answered in their order."""
    with Line(suite) as line:
        paths = ["/healthz", "/api/providers?top=1", "/api/nope", "/healthz"]
        line.send("".join(
            f"GET {path} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {api.token}\r\n"
            f"X-Request-Id: n{i}\r\n\r\n" for i, path in enumerate(paths)))
        answers = [line.answer() for _ in paths]
    assert [status for status, _, _ in answers] == [200, 200, 404, 200]
    assert [headers["x-request-id"] for _, headers, _ in answers] == [
        "n0", "n1", "n2", "n3"]


def test_request_in_many_pieces(suite, api):
    body = json.dumps(minimal())
    text = (f"POST /api/providers HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {api.token}\r\n"
            f"Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}")
    with Line(suite) as line:
        for i in range(0, len(text), 7):
            line.send(text[i:i + 7])
        assert line.answer()[0] == 201


def test_connection_close(suite):
    with Line(suite) as line:
        line.send("GET /healthz HTTP/1.1\r\nHost: x\r\n"
                  "Connection: close\r\n\r\n")
        assert line.answer()[0] == 200
        assert line.answer() is None


def test_http_1_0(suite):
    with Line(suite) as line:
        line.send("GET /healthz HTTP/1.0\r\n\r\n")
        assert line.answer()[0] == 200
        assert line.answer() is None


def test_expect_100_continue(suite, api):
    body = json.dumps(minimal())
    with Line(suite) as line:
        line.send(f"POST /api/providers HTTP/1.1\r\nHost: x\r\n"
                  f"Authorization: Bearer {api.token}\r\n"
                  f"Content-Type: application/json\r\n"
                  f"Expect: 100-continue\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n")
        assert line.answer()[0] == 100
        line.send(body)
        assert line.answer()[0] == 201


def test_absolute_target(suite):
    """RFC 9112, 3.2.2."""
    with Line(suite) as line:
        line.send("GET http://any.example/healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line.answer()[0] == 200


def test_no_upgrade_to_http_2(suite):
    """The packaged h2o is open to rapid reset (CVE-2023-44487)."""
    with Line(suite) as line:
        line.send("GET /healthz HTTP/1.1\r\nHost: x\r\n"
                  "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                  "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
        assert line.answer()[0] == 200


def test_client_that_leaves_at_once(suite, api):
    for _ in range(50):
        with Line(suite) as line:
            line.send("GET /api/providers HTTP/1.1\r\nHost: x\r\n"
                      f"Authorization: Bearer {api.token}\r\n\r\n")
    assert api.get("/api/providers?top=1").status_code == 200


@pytest.fixture(scope="class")
def restarted(suite):
    """The gateway with settings of its own."""
    def restart(**settings):
        suite.stop("gateway")
        suite.start("gateway", **settings)
        suite.wait_ready()
    yield restart
    restart()


class TestSettings:
    def test_idle_connection_is_closed(self, suite, restarted):
        restarted(http_idle_ms=300)
        with Line(suite) as line:
            assert line.answer() is None
        with Line(suite) as line:
            line.send(HEALTH)
            assert line.answer()[0] == 200
            assert line.answer() is None

    def test_slow_request_is_cut(self, suite, restarted):
        restarted(http_idle_ms=300)
        with Line(suite) as line:
            line.send("GET /healthz HTTP/1.1\r\nHo")
            assert line.answer() is None

    def test_no_access_log(self, suite, restarted):
        restarted(access_log="false")
        before = suite.logs("gateway").count("http.access")
        for _ in range(3):
            assert suite.session().get("/healthz").status_code == 200
        assert suite.logs("gateway").count("http.access") == before

    def test_deadline_of_a_call(self, suite, api, restarted):
        restarted(call_deadline_ms=300)
        suite.pause("provider")
        try:
            answer = api.get("/api/providers?top=1")
        finally:
            suite.resume("provider")
        error_of(answer, 504, "DEADLINE_EXCEEDED")
        assert api.get("/api/providers?top=1").status_code == 200
