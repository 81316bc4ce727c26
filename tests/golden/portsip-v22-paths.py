#!/usr/bin/python3
"""Renews portsip-v22-paths.json: what the vendor's OpenAPI document says of
the paths that are done, without its prose.

    tests/golden/portsip-v22-paths.py VENDORS-OPENAPI.json
"""

import json
import pathlib
import sys

# A path that is done is added here.
DONE = [
    "/admin/password", "/admin/username", "/audit_logs", "/auth/refresh_token",
    "/auth/sign_in", "/auth/sign_out", "/auth/user", "/dealer",
    "/dealer/password", "/dealer/status", "/dealer/username", "/dealers",
    "/dealers/{id}", "/dealers/{id}/destroy", "/dealers/{id}/password",
    "/extension_numbers/{extension_number}", "/info", "/key", "/login",
    "/logout", "/providers", "/providers/export", "/providers/{id}",
    "/providers/{id}/assignees", "/providers/{id}/assignees/{tenant_id}",
    "/providers/{id}/assignees/{tenant_id}/destroy", "/providers/{id}/destroy",
    "/providers/{id}/status", "/tenant", "/tenant/password_policy",
    "/tenant/status", "/tenants", "/tenants/switch", "/tenants/{id}",
    "/tenants/{id}/dealers", "/tenants/{id}/dealers/{dealer_id}",
    "/tenants/{id}/dealers/{dealer_id}/destroy", "/tenants/{id}/destroy",
    "/transports", "/transports/{id}", "/transports/{id}/destroy", "/users",
    "/users/{id}", "/users/{id}/destroy", "/users/{id}/extension_password",
    "/users/{id}/password", "/users/{id}/profile", "/users/{id}/role",
    "/users/{id}/status", "/users/{id}/status/{instance_id}/destroy_status",
]

PROSE = {"description", "summary", "tags", "example", "operationId",
         "x-category", "x-subcategory"}


def without_prose(value, names_are_data=False):
    """Below "properties" a name is a field's, whatever it is called."""
    if isinstance(value, list):
        return [without_prose(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: without_prose(member, name == "properties")
            for name, member in value.items()
            if names_are_data or name not in PROSE}


def main(source):
    document = json.loads(pathlib.Path(source).read_text())
    paths = {f"/api{path}": without_prose(document["paths"][path])
             for path in DONE}
    target = pathlib.Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(paths, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
