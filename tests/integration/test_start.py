"""deploy/migrate, on databases of its own."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from servers import ROOT, Servers
from suite import migrate

MIGRATIONS = ROOT / "deploy/migrations"
NAMES = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
APPLIED = "select name, checksum, applied_at from trunkline.migrations " \
          "order by name"


@pytest.fixture
def database(servers, request):
    servers.create_database(request.node.name)
    return request.node.name


@pytest.fixture
def url(servers, database):
    return servers.database_url(database, "trunkline")


def copy_of_migrations(directory):
    return shutil.copytree(MIGRATIONS, directory / "migrations")


def test_migrate_applies_all_once(servers, database, url):
    first = migrate(url)
    assert first.returncode == 0, first.stderr
    applied = servers.sql(APPLIED, database)
    assert [row.split("|")[0] for row in applied] == NAMES
    second = migrate(url)
    assert (second.returncode, second.stdout) == (0, "")
    assert servers.sql(APPLIED, database) == applied


def test_migrate_refuses_a_changed_file(servers, database, url, tmp_path):
    folder = copy_of_migrations(tmp_path)
    assert migrate(url, MIGRATIONS=str(folder)).returncode == 0
    with open(folder / NAMES[0], "a") as changed:
        changed.write("-- changed\n")
    (folder / "9999_new.sql").write_text("create table public.new ();\n")
    refused = migrate(url, MIGRATIONS=str(folder))
    assert refused.returncode != 0
    assert NAMES[0] in refused.stderr
    assert servers.sql("select to_regclass('public.new') is null",
                       database) == ["t"]


def test_migrate_leaves_nothing_of_a_file_that_fails(servers, database, url,
                                                     tmp_path):
    folder = copy_of_migrations(tmp_path)
    bad = folder / "9999_bad.sql"
    bad.write_text("create table public.half ();\nselect 1 / 0;\n")
    failed = migrate(url, MIGRATIONS=str(folder))
    assert failed.returncode != 0
    assert bad.name in failed.stderr
    assert servers.sql("select to_regclass('public.half') is null",
                       database) == ["t"]
    assert bad.name not in "".join(servers.sql(APPLIED, database))
    bad.write_text("create table public.half ();\n")
    assert migrate(url, MIGRATIONS=str(folder)).returncode == 0


def test_two_migrates_at_once(servers, database, url):
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(migrate, [url] * 2))
    assert [one.returncode for one in done] == [0, 0], done
    applied = "".join(one.stdout for one in done)
    for name in NAMES:
        assert applied.count(name) == 1


def test_two_databases_at_once():
    """Roles belong to the server: both migrations make the same ones."""
    servers = Servers()
    try:
        names = ["one", "two"]
        for name in names:
            servers.create_database(name)
        with ThreadPoolExecutor() as pool:
            done = list(pool.map(migrate, [
                servers.database_url(name, "trunkline") for name in names]))
        assert [one.returncode for one in done] == [0, 0], done
    finally:
        servers.end()


def test_ids_are_positive_and_unique(servers, database, url):
    assert migrate(url).returncode == 0
    rows = servers.sql(
        "select count(distinct id) = 10000, min(id) > 0 from"
        " (select trunkline.next_id() as id from generate_series(1, 10000)) x",
        database, user="trunkline_provider")
    assert rows == ["t|t"]


def test_services_may_not_make_objects_in_common_schemas(servers, database,
                                                         url):
    assert migrate(url).returncode == 0
    rows = servers.sql(
        "select has_schema_privilege(current_user, 'public', 'create'),"
        " has_schema_privilege(current_user, 'trunkline', 'create')",
        database, user="trunkline_system")
    assert rows == ["f|f"]


# Migrations that change what is there


def migrate_before(name, url, directory):
    """Applies the migrations that come before one."""
    folder = copy_of_migrations(directory)
    for later in NAMES[NAMES.index(name):]:
        (folder / later).unlink()
    done = migrate(url, MIGRATIONS=str(folder))
    assert done.returncode == 0, done.stderr


TRUNKS = """
insert into provider.providers (id, name, enabled, auth_mode, transport,
    hostname, port, registration, register_interval, outbound_server,
    outbound_server_port, inlan, single_via_header, rewrite_via_ip,
    verify_port, keep_alive, keep_alive_interval, concurrency,
    adjust_sdp_direction, remove_srtp_info, stir_shaken_signature_required,
    did_numbers, outbound_parameters)
select id, 'trunk', true, 'IP_AUTH', 'UDP', 'sip.example.net', 5060, false,
    600, 'sip.example.net', 5060, false, true, true, true, true, 360, 1, true,
    true, false, did_numbers, jsonb_build_object(
        'to_user_part', jsonb_build_object('custom_value', repeat('x', 3000)))
from (values {}) as trunks (id, did_numbers)
"""
RANGES = "select provider_id, provider.did_text(range)" \
         " from provider.did_ranges order by provider_id, lower(range)"


def test_trunks_from_before_their_writes_were_cheaper(servers, database, url,
                                                      tmp_path):
    migrate_before("0012_cheaper_writes.sql", url, tmp_path)
    servers.sql(TRUNKS.format(
        "(1, '3000;12000-18000'), (2, '5-7'), (3, null), (4, '9')"), database)
    before = servers.sql(RANGES, database)
    assert before == ["1|3000", "1|12000-18000", "2|5-7", "4|9"]
    done = migrate(url)
    assert done.returncode == 0, done.stderr
    assert servers.sql(RANGES, database) == before

    servers.sql(TRUNKS.format("(5, '1-2;4'), (6, null)"), database)
    servers.sql("update provider.providers set did_numbers = case id"
                " when 1 then '3001' when 3 then '8' end where id <= 3",
                database)
    servers.sql("delete from provider.providers where id in (4, 6)", database)
    assert servers.sql(RANGES, database) == ["1|3001", "3|8", "5|1-2", "5|4"]
    assert servers.sql(
        "select distinct length(outbound_parameters"
        " #>> '{to_user_part,custom_value}') from provider.providers",
        database) == ["3000"]
    servers.sql("delete from provider.providers", database)
    assert servers.sql(RANGES, database) == []


def test_ranges_of_a_pool_are_part_of_the_statements_plan(servers, database,
                                                          url):
    """A function that is called has its text planned anew for each row."""
    assert migrate(url).returncode == 0
    plan = "\n".join(servers.sql(
        "explain select range from provider.did_ranges_of('5-7')", database))
    assert "string_to_table" in plan
    assert "did_ranges_of" not in plan
    assert servers.sql("select range from provider.did_ranges_of(null)",
                       database) == []
