import pytest

from servers import Servers
from suite import Suite


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
def servers():
    """PostgreSQL and Redis alone, for tests without the suite."""
    made = Servers()
    yield made
    made.end()
