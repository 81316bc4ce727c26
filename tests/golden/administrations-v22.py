#!/usr/bin/python3
"""Renews administrations-v22.json: the sample requests and answers of the
API document (PortSIP v22, "Administrations") for the paths below, as they
stand there.

    tests/golden/administrations-v22.py DOCUMENT.txt
"""

import json
import pathlib
import re
import sys

DONE = re.compile(r"/api/(tenants|tenant|dealers|dealer|providers)\b")
REQUEST = re.compile(r"^(GET|POST) (/\S+) HTTP/1\.1$", re.MULTILINE)


def values(text):
    """The JSON objects a text begins with."""
    decoder = json.JSONDecoder()
    found = []
    while text.startswith("{"):
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].lstrip()
    return found


def samples(document):
    for request in REQUEST.finditer(document):
        verb, path = request.groups()
        if not DONE.match(path):
            continue
        rest = document[request.end():].lstrip()
        while re.match(r"[A-Za-z-]+: ", rest):
            rest = rest.partition("\n")[2].lstrip()
        found = values(rest)
        sample = {"verb": verb, "path": path}
        if verb == "POST" and found and "Content-Type" in document[
                request.end():request.end() + 150]:
            sample["body"] = found.pop(0)
        if found:
            sample["answer"] = found[0]
        yield sample


def main(source):
    found = list(samples(pathlib.Path(source).read_text()))
    target = pathlib.Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
