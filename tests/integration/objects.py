"""The providers the tests make, and what is said of every answer."""

import base64
import copy
import itertools
import json

from servers import ROOT

GOLDEN = ROOT / "tests/golden"

# The bodies of the API document (PortSIP v22, "Providers"), as they stand
# there: "text" wherever a text may be.
DOCUMENTED = json.loads((GOLDEN / "providers-v22.json").read_text())

# In the document's order.
INBOUND = list(DOCUMENTED["get"]["inbound_parameters"])
OUTBOUND = list(DOCUMENTED["get"]["outbound_parameters"])[:-1]
HOST_PARTS = [name for name in OUTBOUND if name.endswith("_host_part")]
USER_PARTS = [name for name in OUTBOUND if not name.endswith("_host_part")]

INBOUND_SOURCES = [
    "REQUEST_LINE_URI_USER_PART", "CONTACT_USER_PART", "TO_DISPLAY_NAME",
    "TO_USER_PART", "FROM_DISPLAY_NAME", "FROM_USER_PART",
    "REMOTE_PARTY_ID_CALLED_PARTY_DISPLAY_NAME",
    "REMOTE_PARTY_ID_CALLED_PARTY_USER_PART",
    "REMOTE_PARTY_ID_CALLING_PARTY_DISPLAY_NAME",
    "REMOTE_PARTY_ID_CALLING_PARTY_USER_PART",
    "P_ASSERTED_IDENTITY_DISPLAY_NAME", "P_ASSERTED_IDENTITY_USER_PART",
    "P_PREFERRED_IDENTIFY_DISPLAY_NAME", "P_PREFERRED_IDENTIFY_USER_PART",
    "P_CALLED_PARTY_ID_DISPLAY_NAME", "P_CALLED_PARTY_ID_USER_PART",
    "DEFAULT"]
PRIVACY_TYPES = ["DEFAULT", "NONE", "ID", "USER", "HEADER", "SESSION"]
VERIFICATION_STATUSES = [
    "No-TN-Validation", "TN-Validation-Failed", "TN-Validation-Passed-B",
    "TN-Validation-Passed-C", "TN-Validation-Failed-A",
    "TN-Validation-Failed-B", "TN-Validation-Failed-C"]
USER_VALUES = [
    "AUTH_ID", "CALLER_NUM", "CALLED_NUM", "CALLER_DISPLAY_NAME",
    "OUTBOUND_CALLER_ID", "ORIGINATOR_CALLER_ID",
    "OUTBOUND_CALLER_ID_AND_ORIGINATOR_CALLER_ID", "ANONYMOUS", "DEFAULT",
    "CUSTOM"]
HOST_VALUES = ["TRUNK_HOST_PORT", "OUT_HOST_PORT", "CONTACT_URI",
               "SIP_DOMAIN", "DEFAULT", "CUSTOM"]
# Of the trunks a system administrator makes, and a tenant's.
AUTH_MODES = ["IP_AUTH", "REGISTER_AUTH", "ACCEPT_REGISTER"]
TENANT_AUTH_MODES = ["REGISTER_AUTH", "ACCEPT_REGISTER", "TEAMS", "WHATS_APP"]

# What is accepted of later API versions and not kept.
LATER = {"remove_plus_prefix": True, "tel_uri_scheme_for_request_line": True,
         "tel_uri_scheme_for_to_header": True, "force_outbound_proxy": True,
         "enable_sdp_codecs": True, "sdp_codecs": "PCMU,PCMA"}

REQUIRED = ["name", "transport", "hostname", "port", "outbound_server",
            "outbound_server_port", "concurrency"]

# What a provider has where nothing was said.
DEFAULTS = {
    "enabled": True, "brand": None, "auth_mode": "IP_AUTH", "auth_id": None,
    "username": None, "registration": True, "register_interval": 600,
    "inlan": False, "single_via_header": True, "rewrite_via_ip": True,
    "verify_port": True, "keep_alive": True, "keep_alive_interval": 360,
    "additional_ips": None, "adjust_sdp_direction": True,
    "remove_srtp_info": True, "stir_shaken_signature_required": False,
    "did_numbers": None,
    "inbound_parameters": {
        "caller_num": "DEFAULT", "caller_display_name": "DEFAULT",
        "called_num": "DEFAULT", "privacy_types_supported": "DEFAULT",
        "enable_stir_shaken_validation": False,
        "pai_header_parameter_name": "verstat",
        "drop_calls_with_verification_status": [],
        "pass_api_header_to_uad": False},
    "outbound_parameters": {
        name: {"value": "DEFAULT", "custom_value": None} for name in OUTBOUND
    } | {"privacy_types_supported": {"value": "DEFAULT"}},
    "shared": True,
}

PASSWORD = "s3cret-Of-The-Trunk"

_numbers = itertools.count(1)


def unique(prefix="t"):
    """A text that no other test uses."""
    return f"{prefix}{next(_numbers)}x"


def minimal(**changes):
    """A body with what is required, and changes."""
    return {"name": unique("trunk"), "transport": "UDP",
            "hostname": f"{unique('host')}.example", "port": 5060,
            "outbound_server": "192.0.2.1", "outbound_server_port": 5060,
            "concurrency": 1} | changes


def full(**changes):
    """A body with every field, none as its default, and changes."""
    return {
        "name": unique("trunk"), "enabled": False, "brand": "Brand",
        "auth_mode": "ACCEPT_REGISTER", "transport": "TLS",
        "hostname": f"{unique('host')}.example", "port": 5061,
        "auth_id": unique("auth"), "username": "user", "password": PASSWORD,
        "registration": False, "register_interval": 1200,
        "outbound_server": "2001:db8::1", "outbound_server_port": 0,
        "inlan": True, "single_via_header": False, "rewrite_via_ip": False,
        "verify_port": False, "keep_alive": False, "keep_alive_interval": 30,
        "concurrency": 2147483647,
        "additional_ips": "192.0.2.0/24;2001:db8::/32;198.51.100.7",
        "adjust_sdp_direction": False, "remove_srtp_info": False,
        "stir_shaken_signature_required": True,
        "did_numbers": "3000;12000-18000",
        "inbound_parameters": {
            "caller_num": "FROM_USER_PART",
            "caller_display_name": "FROM_DISPLAY_NAME",
            "called_num": "P_PREFERRED_IDENTIFY_USER_PART",
            "privacy_types_supported": "SESSION",
            "enable_stir_shaken_validation": True,
            "pai_header_parameter_name": "x-verstat",
            "drop_calls_with_verification_status":
                ["TN-Validation-Failed-C", "No-TN-Validation"],
            "pass_api_header_to_uad": True},
        "outbound_parameters": {
            name: {"value": "CUSTOM", "custom_value": f"of {name}"}
            for name in OUTBOUND
        } | {"privacy_types_supported": {"value": "HEADER"}},
    } | changes


def filled(sample):
    """A body of the document with legal values for its placeholders."""
    body = copy.deepcopy(sample)
    texts = {"hostname": f"{unique('host')}.example",
             "outbound_server": "192.0.2.1", "additional_ips": "192.0.2.0/24",
             "did_numbers": "3000;12000-18000"}
    for name, value in body.items():
        if value == "text":
            body[name] = texts.get(name, unique())
    body["inbound_parameters"]["drop_calls_with_verification_status"] = [
        "TN-Validation-Failed"]
    return body


def documented(given, sample):
    """The fields of an answer that the document has too, in our order."""
    return {name: value for name, value in given.items() if name in sample}


def shape(value):
    """Keys in their order and kinds of values, without the values."""
    if isinstance(value, dict):
        return [(key, shape(member)) for key, member in value.items()]
    if isinstance(value, list):
        return ["array", *{str(shape(item)): shape(item)
                           for item in value}.values()]
    return type(value).__name__


def shown(body):
    """What a get answers of a created body, id and shared left out."""
    return {key: value for key, value in body.items() if key != "password"}


def path_of(provider_id, tail=""):
    return f"/api/providers/{provider_id}{tail}"


def id_of(number):
    """The v22 form of a database id."""
    return base64.b64encode(str(number).encode()).decode()


def create(api, body=None):
    """Makes a provider (minimal where no body is given); its id."""
    answer = api.post("/api/providers", json=body or minimal())
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def get(api, provider_id):
    answer = api.get(path_of(provider_id))
    assert answer.status_code == 200, answer.text
    return answer.json()


def update(api, provider_id, body, **headers):
    return api.post(path_of(provider_id), json=body, headers=headers)


def names_listed(api, query):
    """The names a list gives, in its order."""
    answer = api.get("/api/providers?" + query)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


def error_of(answer, status, code):
    """Checks an error answer of requests and returns its only error."""
    assert answer.status_code == status, answer.text
    return _error(answer.headers["Content-Type"], answer.text, code)


def raw_error_of(answer, status, code):
    """The same of an answer of Suite.exchange()."""
    assert answer.status == status, answer.body
    return _error(answer.getheader("Content-Type"), answer.body, code)


def _error(content_type, text, code):
    assert content_type == "application/json"
    body = json.loads(text)
    assert list(body) == ["errors"]
    (error,) = body["errors"]
    assert list(error) in (["code", "message"], ["code", "message", "detail"])
    assert error["code"] == code, text
    assert error["message"]
    for detail in error.get("detail", []):
        assert list(detail) == ["field", "reason"]
        assert detail["reason"]
    return error


def broken_fields(answer):
    """The fields a 400 names."""
    error = error_of(answer, 400, "VALIDATE_FAILED")
    return [detail["field"] for detail in error.get("detail", [])]
