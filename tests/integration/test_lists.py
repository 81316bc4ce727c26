"""/api/providers: lists and their options, and the export."""

import csv
import io
import json

import pytest

from objects import (
    PASSWORD, broken_fields, create, error_of, full, get, id_of,
    minimal, names_listed, shown, unique)

# All of this module, and nothing else, is of this brand.
BRAND = unique("ListBrand")

ROWS = [
    {"name": "alpha", "port": 5060, "auth_id": "a1", "transport": "UDP",
     "concurrency": 3, "did_numbers": "101"},
    {"name": "Alpha two", "port": 5061, "transport": "TLS", "concurrency": 1,
     "hostname": "carrier-a.example", "auth_mode": "ACCEPT_REGISTER"},
    {"name": "beta", "port": 5060, "enabled": False, "concurrency": 2,
     "did_numbers": "102-109", "username": "bob", "auth_mode": "IP_AUTH"},
    {"name": "it's", "port": 0, "inlan": True, "concurrency": 1,
     "hostname": "2001:db8::5", "register_interval": 0},
    {"name": "100%_a\\b", "port": 65535, "transport": "TCP",
     "concurrency": 2147483647, "hostname": "carrier-b.example"},
    {"name": "Über-中🎉", "port": 5062, "concurrency": 2, "auth_id": "a2",
     "registration": False, "did_numbers": "4930"},
]
NAMES = [row["name"] for row in ROWS]


@pytest.fixture(scope="module")
def rows(api):
    """The ids of ROWS, in their order."""
    return [create(api, minimal(brand=BRAND, **row)) for row in ROWS]


def listed(api, filter_text=None, **options):
    """The names of ROWS a list gives."""
    where = f"brand eq '{BRAND}'"
    if filter_text:
        where += f" and ({filter_text})"
    answer = api.get("/api/providers", params={"filter": where} | options)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


# filter


FILTERS = [
    ("name eq 'alpha'", ["alpha"]),
    ("name eq 'ALPHA'", []),
    ("name ne 'alpha'", NAMES[1:]),
    ("name gt 'beta'", ["it's", "Über-中🎉"]),
    ("name ge 'beta'", ["beta", "it's", "Über-中🎉"]),
    ("name lt 'Alpha two'", ["100%_a\\b"]),
    ("name le 'Alpha two'", ["Alpha two", "100%_a\\b"]),
    ("port eq 5060", ["alpha", "beta"]),
    ("port ne 5060", ["Alpha two", "it's", "100%_a\\b", "Über-中🎉"]),
    ("port gt 5061", ["100%_a\\b", "Über-中🎉"]),
    ("port ge 5061", ["Alpha two", "100%_a\\b", "Über-中🎉"]),
    ("port lt 5060", ["it's"]),
    ("port le 5060", ["alpha", "beta", "it's"]),
    ("port gt -1", NAMES),
    ("port lt 9223372036854775807", NAMES),
    ("concurrency eq 2147483647", ["100%_a\\b"]),
    ("register_interval eq 0", ["it's"]),
    ("enabled eq false", ["beta"]),
    ("enabled ne true", ["beta"]),
    ("inlan eq true", ["it's"]),
    ("shared eq true", NAMES),
    ("transport eq 'TLS'", ["Alpha two"]),
    ("auth_mode eq 'REGISTER_AUTH'", ["alpha"]),
    ("hostname eq '2001:db8::5'", ["it's"]),
    ("username eq 'bob'", ["beta"]),
    ("username eq null", [name for name in NAMES if name != "beta"]),
    ("username ne null", ["beta"]),
    # A row is kept only where the filter is true: null is not.
    ("username ne 'bob'", []),
    ("not username eq 'bob'", []),
    ("username eq 'bob' or username eq null", NAMES),
    ("startswith(name,'Alpha')", ["Alpha two"]),
    ("startswith(name,'')", NAMES),
    ("endswith(name,'a')", ["alpha", "beta"]),
    ("contains(name,'lpha')", ["alpha", "Alpha two"]),
    ("contains(transport,'D')", ["alpha", "beta", "it's", "Über-中🎉"]),
    ("contains(name,'中')", ["Über-中🎉"]),
    ("startswith(name,'Ü')", ["Über-中🎉"]),
    ("endswith(name,'🎉')", ["Über-中🎉"]),
    ("contains(name,'%')", ["100%_a\\b"]),
    ("contains(name,'_')", ["100%_a\\b"]),
    ("contains(name,'\\')", ["100%_a\\b"]),
    ("startswith(name,'100%_a\\')", ["100%_a\\b"]),
    ("endswith(name,'_a\\b')", ["100%_a\\b"]),
    ("startswith( name , 'alpha' )", ["alpha"]),
    ("name eq 'it''s'", ["it's"]),
    ("contains(name,'''')", ["it's"]),
    ("name eq ''''", []),
    ("name eq ''", []),
    ("name eq 'x'' or ''1''=''1'", []),
    ("name eq 'alpha''; drop table provider.providers; --'", []),
    ("port eq 5060 and enabled eq true", ["alpha"]),
    ("port eq 0 or port eq 65535", ["it's", "100%_a\\b"]),
    ("port eq 0 or port eq 5060 and enabled eq false", ["beta", "it's"]),
    ("(port eq 0 or port eq 5060) and enabled eq false", ["beta"]),
    ("not port eq 5060", ["Alpha two", "it's", "100%_a\\b", "Über-中🎉"]),
    ("not (port eq 5060)", ["Alpha two", "it's", "100%_a\\b", "Über-中🎉"]),
    ("not not port eq 0", ["it's"]),
    ("not port eq 5060 and port lt 5000", ["it's"]),
    ("not (startswith(name,'a') or contains(name,'t'))",
     ["100%_a\\b", "Über-中🎉"]),
    ("((((port eq 0))))", ["it's"]),
    ("  port   eq   0  ", ["it's"]),
    ("created_at gt '2024-01-01T00:00:00Z'", NAMES),
    ("created_at lt '2024-01-01T00:00:00.5+02:00'", []),
    ("id eq null", []),
]


@pytest.mark.parametrize("text, names", FILTERS,
                         ids=[text for text, _ in FILTERS])
@pytest.mark.parametrize("dollar", ["", "$"], ids=["plain", "$"])
def test_filter(api, rows, text, names, dollar):
    where = f"brand eq '{BRAND}' and ({text})"
    answer = api.get("/api/providers", params={dollar + "filter": where})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [item["name"] for item in body["items"]] == names
    assert body["count"] == len(names)


@pytest.mark.parametrize("form", ["'{}'", "'{}' or id eq '{}'"],
                         ids=["one", "two"])
def test_filter_by_id(api, rows, form):
    assert listed(api, "id eq " + form.format(rows[1], rows[3])) == [
        NAMES[i] for i in ([1] if "or" not in form else [1, 3])]


@pytest.mark.parametrize("query", [
    "filter=name+eq+'Alpha+two'", "filter=name%20eq%20'Alpha%20two'",
    "filter=name%20eq%20%27Alpha%20two%27",
    "%24filter=name+eq+'Alpha%20two'", "filter=startswith(name%2C'Alpha+')"])
def test_spaces_in_a_query(api, rows, query):
    assert "Alpha two" in names_listed(api, query)


def test_plus_sign_in_a_query(api):
    body = minimal(name=unique("a+b"))
    create(api, body)
    quoted = body["name"].replace("+", "%2B")
    assert names_listed(api, f"filter=name eq '{quoted}'") == [body["name"]]


@pytest.mark.parametrize("query", ["filter=", "filter=%20", "filter"])
def test_empty_filter_is_none(api, rows, query):
    answer = api.get("/api/providers?top=1&" + query)
    assert answer.status_code == 200
    assert answer.json()["count"] >= len(ROWS)


@pytest.mark.parametrize("text, position", [
    ("nope eq 1", 1), ("Name eq 'x'", 1), ("password eq 'x'", 1),
    ("inbound_parameters eq 'x'", 1), ("sdp_codecs eq 'x'", 1),
    ("name", 5), ("name eq", 8), ("name eq ", 9), ("name 'x'", 6),
    ("name like 'x'", 6), ("name = 'x'", 6), ("name EQ 'x'", 6),
    ("name eq x", 9), ("name eq 5", 9), ("name eq 'x", 9), ('name eq "x"', 9),
    ("port eq 'x'", 9), ("port eq 1.5", 9), ("port eq 1e3", 9),
    ("port eq 0x1", 9), ("port eq true", 9), ("port eq 1 2", 11),
    ("port eq 99999999999999999999", 9), ("port eq -", 9),
    ("enabled eq 1", 12), ("enabled eq 'true'", 12), ("enabled gt true", 9),
    ("username gt null", 10), ("id eq 'x'", 7), ("id eq 'MDA='", 7),
    ("created_at gt 5", 15), ("created_at gt 'yesterday'", 15),
    ("created_at gt '2026-01-02'", 15),
    ("(name eq 'x'", 13), ("name eq 'x')", 12), ("()", 2), ("(", 2),
    ("name eq 'x' and", 16), ("name eq 'x' or", 15), ("and", 1),
    ("not", 4), ("name eq 'x' name eq 'y'", 13),
    ("contains(port,'5')", 10), ("contains(enabled,'5')", 10),
    ("contains(name,5)", 15), ("contains(name)", 14), ("contains name", 10),
    ("contains(name,'x'", 18), ("contains('x',name)", 10),
    ("substringof(name,'x')", 1), ("name eq 'x'; drop table x", 12),
    ("name eq 'x' --", 13), ("1 eq 1", 1), ("'a' eq 'a'", 1),
    ("name eq 'x' /* c */", 13), ("\tname eq 'x'", 1),
    ("(" * 33 + "port eq 1" + ")" * 33, 33),
    (" or ".join(["port eq 1"] * 65), 833),
], ids=lambda value: str(value)[:40])
def test_faulty_filter(api, text, position):
    answer = api.get("/api/providers", params={"filter": text})
    error = error_of(answer, 400, "VALIDATE_FAILED")
    (detail,) = error["detail"]
    assert detail["field"] == "filter"
    assert detail["reason"].endswith(f"at position {position}")


def test_date_that_does_not_exist(api):
    answer = api.get("/api/providers", params={
        "filter": "created_at gt '2026-02-31T00:00:00Z'"})
    error_of(answer, 400, "VALIDATE_FAILED")


def test_too_long_filter(api):
    answer = api.get("/api/providers", params={
        "filter": "name eq '" + "x" * 4096 + "'"})
    assert broken_fields(answer) == ["filter"]


@pytest.mark.parametrize("text", [
    " or ".join(f"port eq {port}" for port in range(60)),
    "(" * 30 + "port eq 0" + ")" * 30], ids=["terms", "nesting"])
def test_large_filter(api, rows, text):
    assert listed(api, text) == ["it's"]


# orderby


BY_NAME = sorted(NAMES)  # by code point, as the lists


@pytest.mark.parametrize("text, names", [
    ("name", BY_NAME),
    ("name asc", BY_NAME),
    ("name desc", BY_NAME[::-1]),
    (" name  desc ", BY_NAME[::-1]),
    ("id", NAMES),
    ("id desc", NAMES[::-1]),
    ("created_at", NAMES),
    ("port,name desc", ["it's", "beta", "alpha", "Alpha two", "Über-中🎉",
                        "100%_a\\b"]),
    ("port desc, name", ["100%_a\\b", "Über-中🎉", "Alpha two", "alpha",
                         "beta", "it's"]),
    ("concurrency asc,port desc,name asc",
     ["Alpha two", "it's", "Über-中🎉", "beta", "alpha", "100%_a\\b"]),
    ("enabled,name", ["beta", *[name for name in BY_NAME if name != "beta"]]),
    # Equal ones in order of id, so that pages never overlap.
    ("shared", NAMES),
    ("shared desc", NAMES[::-1]),
    ("", NAMES),
], ids=str)
@pytest.mark.parametrize("option", ["orderby", "$orderby"])
def test_orderby(api, rows, option, text, names):
    assert listed(api, **{option: text}) == names


@pytest.mark.parametrize("text, position", [
    ("nope", 1), ("password", 1), ("auth_id", 1), ("did_numbers", 1),
    ("inbound_parameters", 1), ("name up", 6), ("name asc desc", 10),
    ("name DESC", 6), ("name,", 6), (",name", 1), ("name name", 6),
    ("name;drop", 5), ("name,nope desc", 6), ("'name'", 1), ("1", 1),
    ("name)", 5), ("lower(name)", 1)])
def test_faulty_orderby(api, text, position):
    answer = api.get("/api/providers", params={"orderby": text})
    (detail,) = error_of(answer, 400, "VALIDATE_FAILED")["detail"]
    assert detail["field"] == "orderby"
    assert detail["reason"].endswith(f"at position {position}")


# skip, top, count


@pytest.mark.parametrize("options, names", [
    ({"top": 1}, NAMES[:1]), ({"top": 100}, NAMES), ({"skip": 0}, NAMES),
    ({"skip": 4}, NAMES[4:]), ({"skip": 2, "top": 2}, NAMES[2:4]),
    ({"skip": 6}, []), ({"skip": 2147483647}, []),
    ({"$skip": 1, "$top": 1}, NAMES[1:2]), ({"nope": "x"}, NAMES),
], ids=str)
def test_page(api, rows, options, names):
    """count is of all that match, whatever the page."""
    answer = api.get("/api/providers", params={
        "filter": f"brand eq '{BRAND}'"} | options).json()
    assert list(answer) == ["count", "items"]
    assert [item["name"] for item in answer["items"]] == names
    assert answer["count"] == len(ROWS)


@pytest.mark.parametrize("option", ["count", "$count"])
@pytest.mark.parametrize("value, has", [("true", True), ("false", False)])
def test_count(api, rows, option, value, has):
    answer = api.get("/api/providers", params={option: value, "top": 2})
    assert ("count" in answer.json()) == has
    assert len(answer.json()["items"]) == 2


@pytest.mark.parametrize("option, value", [
    ("top", "0"), ("top", "101"), ("top", "-1"), ("top", "x"), ("top", ""),
    ("top", "1.5"), ("top", "1e1"), ("top", " 1"), ("top", "+1"),
    ("top", "0x10"), ("top", "99999999999999999999"),
    ("skip", "-1"), ("skip", "x"), ("skip", ""), ("skip", "2147483648"),
    ("skip", "1.0"), ("skip", "99999999999999999999"),
    ("count", "maybe"), ("count", "1"), ("count", "TRUE"), ("count", "")])
@pytest.mark.parametrize("dollar", ["", "$"], ids=["plain", "$"])
def test_faulty_number(api, dollar, option, value):
    answer = api.get("/api/providers", params={dollar + option: value})
    assert broken_fields(answer) == [option]


@pytest.mark.parametrize("query, field", [
    ("top=1&top=1", "top"), ("top=1&$top=1", "top"),
    ("skip=0&skip=1", "skip"), ("count=true&count=false", "count"),
    ("search=a&$search=b", "search"), ("orderby=id&orderby=id", "orderby"),
    ("filter=id ne null&filter=id ne null", "filter")])
def test_repeated_option(api, query, field):
    assert broken_fields(api.get("/api/providers?" + query)) == [field]


@pytest.mark.parametrize("query", [
    "filter=%zz", "filter=%", "filter=%00", "filter=%ff", "%zz=1",
    "&".join(["a=1"] * 100)], ids=lambda query: query[:12])
def test_malformed_query(suite, api, query):
    answer = suite.call("GET", "/api/providers?" + query, api.token)
    assert answer.status == 400, answer.body


@pytest.mark.parametrize("orderby", ["", "port", "port desc", "shared,name"])
def test_pages_never_overlap(api, orderby):
    brand = unique("Pages")
    made = {create(api, minimal(brand=brand, port=i % 3)) for i in range(25)}
    pages = []
    for skip in range(0, 30, 7):
        answer = api.get("/api/providers", params={
            "filter": f"brand eq '{brand}'", "orderby": orderby,
            "skip": skip, "top": 7}).json()
        assert answer["count"] == 25
        pages.append([item["id"] for item in answer["items"]])
    assert [len(page) for page in pages] == [7, 7, 7, 4, 0]
    assert {one for page in pages for one in page} == made


# search


@pytest.mark.parametrize("text, names", [
    ("alpha", ["alpha", "Alpha two"]),
    ("ALPHA", ["alpha", "Alpha two"]),
    ("über", ["Über-中🎉"]),
    ("carrier-", ["Alpha two", "100%_a\\b"]),
    (BRAND.upper(), NAMES),
    ("4930", ["Über-中🎉"]),
    ("101 or 102", ["alpha", "beta"]),
    ("101 or nothing-like-it or it's", ["alpha", "it's"]),
    ("Alpha two", ["Alpha two"]),
    (" beta ", ["beta"]),
    ("or", []),
    ("%", ["100%_a\\b"]),
    ("_a\\", ["100%_a\\b"]),
    ("'", ["it's"]),
    ("' or '1'='1", ["it's"]),
    # Not searched: auth_id, username, outbound_server.
    ("bob", []),
    ("192.0.2.1", []),
    ("", NAMES),
], ids=str)
@pytest.mark.parametrize("option", ["search", "$search"])
def test_search(api, rows, option, text, names):
    assert listed(api, **{option: text}) == names


def test_search_and_filter(api, rows):
    assert listed(api, "port eq 5060", search="alpha or 102") == [
        "alpha", "beta"]
    assert listed(api, "port eq 5061", search="alpha or 102") == ["Alpha two"]


@pytest.mark.parametrize("text", [" or ".join("abcdefghi"), "x" * 257],
                         ids=["terms", "length"])
def test_faulty_search(api, text):
    answer = api.get("/api/providers", params={"search": text})
    assert broken_fields(answer) == ["search"]


# Export


def exported(api, **options):
    """The rows of an export, the head first."""
    answer = api.get("/api/providers/export", params=options)
    assert answer.status_code == 200, answer.text
    text = answer.content.decode("utf-8")
    assert text.endswith("\r\n")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


COLUMNS = ["id", *shown(full()), "shared"]


def test_export_head(api):
    answer = api.get("/api/providers/export?filter=id eq null")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == \
        'attachment; filename="providers.csv"'
    assert answer.text == ",".join(COLUMNS) + "\r\n"


def cell_of(value):
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def test_export_has_what_get_answers(api):
    body = full(name='Ünï, "quoted"; 中🎉', brand=unique("Export"))
    made = get(api, create(api, body))
    rows = exported(api, filter=f"brand eq '{body['brand']}'")
    assert rows == [COLUMNS, [cell_of(made[name]) for name in COLUMNS]]


def test_export_of_nothing_but_defaults(api):
    body = minimal(brand=unique("Export"))
    made = get(api, create(api, body))
    rows = exported(api, filter=f"brand eq '{body['brand']}'")
    assert rows == [COLUMNS, [cell_of(made[name]) for name in COLUMNS]]


@pytest.mark.parametrize("text, cell", [
    ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd|' /C x'!A0", None),
    ("-1+2", "'-1+2"), ('="a,b"', None), ("+4930123456", "+4930123456"),
    ("-5", "-5"), ("a=1", "a=1")])
def test_export_has_no_formulas(api, text, cell):
    brand = unique("Export")
    create(api, minimal(brand=brand, username=text))
    (row,) = exported(api, filter=f"brand eq '{brand}'")[1:]
    assert row[COLUMNS.index("username")] == (cell or f"'{text}")


def test_export_has_no_password(api):
    body = full(brand=unique("Export"))
    create(api, body)
    rows = exported(api, filter=f"brand eq '{body['brand']}'")
    assert "password" not in rows[0]
    assert not any(PASSWORD in cell for row in rows for cell in row)


def test_export_of_several_pages(api, suite):
    """100 go in one page of the bus."""
    brand = unique("Export")
    template = create(api, minimal(brand=brand))
    suite.servers.sql(
        "create temporary table copy as select * from provider.providers"
        f" where brand = '{brand}';"
        "insert into provider.providers select (r).* from ("
        " select jsonb_populate_record(null::provider.providers,"
        "  to_jsonb(c) || jsonb_build_object('id', c.id + i,"
        "  'name', 'copy ' || i)) as r from copy c,"
        "  generate_series(1, 249) i) x")
    rows = exported(api, filter=f"brand eq '{brand}'")
    names = [row[COLUMNS.index("name")] for row in rows[1:]]
    assert len(rows) == 251
    assert names[1:] == [f"copy {i}" for i in range(1, 250)]
    assert len({row[0] for row in rows}) == 251
    assert rows[1][0] == template


def test_export_of_exactly_one_page(api, suite):
    brand = unique("Export")
    for i in range(100):
        create(api, minimal(brand=brand))
    assert len(exported(api, filter=f"brand eq '{brand}'")) == 101


def test_export_with_search(api, rows):
    names = [row[COLUMNS.index("name")] for row in exported(
        api, search="alpha or 102", filter=f"brand eq '{BRAND}'")[1:]]
    assert names == ["alpha", "Alpha two", "beta"]


@pytest.mark.parametrize("query, field", [
    ("filter=nope eq 1", "filter"), ("top=x", "top"),
    ("search=" + "x" * 257, "search")], ids=["filter", "top", "search"])
def test_faulty_export(api, query, field):
    assert broken_fields(api.get("/api/providers/export?" + query)) == [field]


def test_export_of_an_unknown_id_is_empty(api):
    assert exported(api, filter=f"id eq '{id_of(5)}'") == [COLUMNS]
