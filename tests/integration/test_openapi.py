"""GET /api/openapi.json, and that the suite answers as it and the vendor's
document say. Runs last: it looks at every answer the other tests got."""

import copy
import json
import re

import pytest
from jsonschema import Draft202012Validator

from objects import GOLDEN, create, full, minimal, path_of, update

VERBS = {"get", "post"}
VENDOR = json.loads((GOLDEN / "portsip-v22-paths.json").read_text())

# What ends the session it is called in.
ENDING = {"/api/auth/sign_out", "/api/logout", "/api/login/oauth/revoke"}


@pytest.fixture(scope="module")
def document(suite):
    answer = suite.session().get("/api/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


@pytest.fixture(scope="module")
def operations(document):
    """(verb, path, operation) of each."""
    return [(verb, path, operation)
            for path, item in document["paths"].items()
            for verb, operation in item.items()]


def inlined(schema, document):
    """A schema with its references replaced by what they refer to."""
    if isinstance(schema, list):
        return [inlined(item, document) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = re.fullmatch(r"#/components/schemas/(\w+)",
                            schema["$ref"]).group(1)
        return inlined(document["components"]["schemas"][name], document)
    return {key: inlined(value, document) for key, value in schema.items()}


def schemas_of(operation):
    """Every schema of an operation."""
    for parameter in operation.get("parameters", []):
        yield parameter["schema"]
    for body in [operation.get("requestBody", {}),
                 *operation["responses"].values()]:
        for content in body.get("content", {}).values():
            if "schema" in content:
                yield content["schema"]


# Its structure (OpenAPI 3.1)


def test_head(document):
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] and document["info"]["version"]
    assert set(document) <= {"openapi", "info", "servers", "paths",
                             "components", "security", "tags"}


def test_paths(document):
    for path, item in document["paths"].items():
        assert path.startswith("/")
        assert item and set(item) <= VERBS


def test_operations(operations):
    for verb, path, operation in operations:
        assert operation["summary"]
        assert set(operation) <= {"summary", "security", "parameters",
                                  "requestBody", "responses"}
        assert ("requestBody" in operation) <= (verb == "post")
        for status, response in operation["responses"].items():
            assert re.fullmatch("[1-5][0-9][0-9]|default", status)
            assert response["description"]


def test_parameters(operations):
    for _, path, operation in operations:
        seen = set()
        for parameter in operation["parameters"]:
            assert parameter["in"] in ("path", "query", "header")
            assert parameter["name"] and parameter["description"]
            seen.add((parameter["in"], parameter["name"]))
        assert len(seen) == len(operation["parameters"])
        in_path = [parameter for parameter in operation["parameters"]
                   if parameter["in"] == "path"]
        assert all(parameter["required"] for parameter in in_path)
        assert [parameter["name"] for parameter in in_path] == re.findall(
            r"{(\w+)}", path)


def test_schemas(document, operations):
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for _, _, operation in operations:
        for schema in schemas_of(operation):
            Draft202012Validator.check_schema(schema)
            inlined(schema, document)  # every reference leads somewhere


def test_every_schema_is_referred_to(document):
    text = json.dumps(document)
    for name in document["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text


def test_security(document):
    """What is open says so, all else needs the token."""
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"] == {
        "type": "http", "scheme": "bearer"}


def test_open_operations_are_open(suite, operations):
    for verb, path, operation in operations:
        status = suite.session().request(
            verb.upper(), re.sub("{.*?}", "NQ==", path)).status_code
        assert (status == 401) == (operation.get("security") != []), path


def test_every_operation_answers(suite, api, operations):
    """Also with nothing sent: each is a route, and fails as is told."""
    for verb, path, _ in operations:
        client = suite.sign_in() if path in ENDING else api
        answer = client.request(verb.upper(),
                                re.sub("{.*?}", "NQ==", path))
        assert answer.status_code not in (404, 405, 501) or "{" in path
        assert answer.status_code < 500


def test_what_the_documents_have_is_there(document):
    """Each path, verb and field of a body of the vendor's document."""
    for path, item in VENDOR.items():
        for verb, theirs in item.items():
            ours = document["paths"][path][verb]
            body = theirs.get("requestBody", {}).get("content", {})
            for content in body.values():
                our_body = inlined(ours["requestBody"], document)
                (our_content,) = our_body["content"].values()
                assert content["schema"]["properties"].keys() <= \
                    our_content["schema"]["properties"].keys(), path


@pytest.mark.parametrize("body", [minimal, full])
def test_requests_fit_the_document(document, body):
    """What is accepted is allowed."""
    for path in ["/api/providers", "/api/providers/{id}"]:
        content = document["paths"][path]["post"]["requestBody"]["content"]
        schema = inlined(content["application/json"]["schema"], document)
        Draft202012Validator(schema).validate(body())


@pytest.mark.parametrize("body", [
    minimal(port=65536), minimal(name=""), minimal(transport="x"),
    minimal(enabled=1), {}], ids=lambda body: str(body)[:20])
def test_refused_requests_do_not_fit(document, body):
    content = document["paths"]["/api/providers"]["post"]["requestBody"][
        "content"]
    schema = inlined(content["application/json"]["schema"], document)
    assert not Draft202012Validator(schema).is_valid(body)


# Answers


def matching(paths, verb, path):
    """The path of a document a request went to, or None. A literal wins over
    a parameter."""
    for template in sorted(paths, key=lambda one: one.count("{")):
        pattern = re.sub(r"\\{.*?\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and verb in paths[template]:
            return template
    return None


def json_schema(response):
    """Of the body of a response; False: there is none, True: it may be
    anything."""
    if not response.get("content"):
        return False
    return response["content"].get("application/json", {}).get("schema", True)


class Checker:
    """Holds answers against one document. schema_of() gives the JSON schema
    of a response's body, as json_schema() does."""

    def __init__(self, paths, schema_of):
        self._paths = paths
        self._schema_of = schema_of
        self._validators = {}
        self._checked = set()

    def faults(self, answers):
        """What does not fit; each fault once."""
        found = set()
        for verb, path, answer in answers:
            template = matching(self._paths, verb.lower(), path)
            key = (verb, template, answer.status_code, answer.content)
            if template and key not in self._checked:
                self._checked.add(key)
                found.update(self._check(verb.lower(), template, answer))
        assert self._checked
        return sorted(found)

    def _check(self, verb, template, answer):
        where = f"{verb} {template} {answer.status_code}"
        responses = self._paths[template][verb]["responses"]
        if not {str(answer.status_code), "default"} & responses.keys():
            return [f"{where}: is no status of it"]
        schema, validator = self._validator(verb, template,
                                            answer.status_code)
        if schema is True:
            return []
        if not answer.content:
            return [f"{where}: has no body"] if schema else []
        return [f"{where}: {'.'.join(map(str, error.path))}:"
                f" {error.message[:200]}"
                for error in validator.iter_errors(answer.json())]

    def _validator(self, verb, template, status):
        key = (verb, template, status)
        if key not in self._validators:
            responses = self._paths[template][verb]["responses"]
            schema = self._schema_of(
                responses[str(status)] if str(status) in responses
                else responses["default"])
            self._validators[key] = (schema, Draft202012Validator(schema))
        return self._validators[key]


@pytest.fixture(scope="module")
def answers(suite, api):
    """Those of the tests before, and some for when this file runs alone."""
    made = create(api, full())
    for tail in ["", "/status"]:
        api.get(path_of(made, tail))
    update(api, made, {"port": 1})
    api.get("/api/providers?top=5")
    api.get("/api/providers?count=false&top=1")
    api.get("/api/providers?top=0")
    api.post(path_of(made, "/destroy"))
    api.get(path_of(made))
    api.get("/api/auth/user")
    api.get("/api/login")
    api.get("/api/key")
    for path in ["/api/info", "/readyz", "/healthz", "/api/openapi.json"]:
        suite.session().get(path)
    return suite.answers


def closed(schema):
    """Nothing may be in an answer that the document does not have."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    return made


def test_answers_fit_the_document(document, answers):
    checker = Checker(document["paths"], lambda response: closed(
        inlined(json_schema(response), document)))
    assert checker.faults(answers) == []


def nullable(schema):
    """A schema of the vendor's as answers are to be read: an empty field is
    null (its "Get started", "Schema"), though no schema of it says so."""
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    for word in ["allOf", "oneOf"]:
        if word in made:
            made[word] = [nullable(one) for one in made[word]]
    # All fields of its alternatives are optional, so one answer fits several.
    if "oneOf" in made:
        made["anyOf"] = made.pop("oneOf")
    if "items" in made:
        made["items"] = nullable(made["items"])
    if "properties" in made:
        made["properties"] = {
            name: {"anyOf": [nullable(field), {"type": "null"}]}
            for name, field in made["properties"].items()}
    return made


def vendors_paths():
    """With one change: outbound privacy_types_supported is an object in the
    API document (22.0), which we answer by, and a text in this later one."""
    paths = copy.deepcopy(VENDOR)
    answer = json_schema(
        paths["/api/providers/{id}"]["get"]["responses"]["200"])
    del answer["properties"]["outbound_parameters"]["properties"][
        "privacy_types_supported"]
    return paths


def test_answers_fit_the_vendors_document(answers):
    """The good ones: it says nothing of the body of errors. Nor of that of
    POST /api/login, which has one."""
    checker = Checker(vendors_paths(), lambda response: nullable(
        json_schema(response) or True))
    assert checker.faults(one for one in answers
                          if one[2].status_code < 400) == []


def test_items_have_the_fields_of_the_vendors_document(answers):
    schema = json_schema(
        VENDOR["/api/providers"]["get"]["responses"]["200"])
    wanted = schema["properties"]["items"]["items"]["properties"].keys()
    items = [item for verb, path, answer in answers
             if (verb, path, answer.status_code) ==
             ("GET", "/api/providers", 200)
             for item in answer.json()["items"]]
    assert items
    assert all(wanted <= item.keys() for item in items)
