import pytest

from objects import unique
from servers import Servers
from suite import Suite
from world import World


def pytest_collection_modifyitems(items):
    """test_openapi.py checks every answer the others got: it comes last."""
    items.sort(key=lambda item: item.path.name == "test_openapi.py")


@pytest.fixture(scope="session")
def suite():
    """The running suite, shared by all tests: a test that stops a part of it
    starts that part again."""
    made = Suite()
    yield made
    faults = made.end()
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="session")
def api(suite):
    """A client signed in as the administrator."""
    return suite.sign_in()


@pytest.fixture(scope="session")
def world(suite):
    """One of each kind of caller, and what is whose."""
    return World(suite)


@pytest.fixture
def administrator(suite):
    """The name of an administrator of this test's own, with the password of
    the first one."""
    name = unique("admin")
    suite.servers.sql(
        "insert into system.administrators (name, password_hash) select"
        f" '{name}', password_hash from system.administrators"
        f" where name = '{suite.admin_name}'")
    return name


@pytest.fixture(scope="module")
def same_processes(suite):
    """Nothing a test of the module sends ends a process."""
    before = suite.pids()
    yield
    assert suite.pids() == before


@pytest.fixture(scope="session")
def servers():
    """PostgreSQL and Redis alone, for tests without the suite."""
    made = Servers()
    yield made
    made.end()
