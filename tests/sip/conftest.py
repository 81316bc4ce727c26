import pathlib
import sys

import pytest

# The suite and its servers are those of the REST tests.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "integration"))

# ruff: noqa: E402
from names import Names
from offices import Office
from people import path
from sip import Device, Tcp, Udp
from suite import Suite
from trunks import Certificates, Trunk, transport


def pytest_collection_modifyitems(items):
    """A certificate that was set cannot be taken back: before that comes the
    test of what is without one."""
    items.sort(key=lambda item: item.name != "test_without_a_certificate")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def names(tmp_path_factory):
    """The name server of the suite."""
    made = Names(tmp_path_factory.mktemp("names"))
    yield made
    made.end()


@pytest.fixture(scope="session")
def suite(certificates, names):
    """The running suite, shared by all tests: a test that stops a part of it
    starts that part again."""
    made = Suite(sip_ca_file=certificates.authority,
                 dns_servers=names.address)
    yield made
    faults = made.end()
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="session")
def api(suite):
    """A client signed in as the administrator."""
    return suite.sign_in()


@pytest.fixture
def same_registrar(suite):
    """What a test sends does not end the process."""
    before = suite.pids()["registrar"]
    yield
    assert suite.pids()["registrar"] == before


@pytest.fixture
def trunk(api):
    """A trunk that registers here, known to the registrar."""
    made = Trunk(api)
    yield made
    made.destroy()


@pytest.fixture(scope="session")
def tcp_port(api):
    return transport(api, "TCP").port


@pytest.fixture(scope="session")
def tls_port(api, certificates):
    certificates.set(api, "registrar")
    return transport(api, "TLS").port


@pytest.fixture
def wires(suite):
    """Opens wires to the registrar, over UDP where nothing else is said, and
    closes them afterwards."""
    opened = []

    def wire(kind=Udp, *arguments, **options):
        opened.append(kind(*(arguments or [suite.sip_port]), **options))
        return opened[-1]

    yield wire
    for one in opened:
        one.close()


@pytest.fixture
def device(trunk, wires):
    return Device(wires(), trunk)


@pytest.fixture(params=["UDP", "TCP", "TLS"])
def any_wire(request, wires, certificates):
    """A wire of each transport."""
    if request.param == "UDP":
        return wires()
    port = request.getfixturevalue(f"{request.param.lower()}_port")
    context = certificates.client() if request.param == "TLS" else None
    return wires(Tcp, port, context=context)


@pytest.fixture
def offices(suite, api):
    """Makes tenants, and destroys what is left of them."""
    made = []

    def make():
        made.append(Office(suite, api))
        return made[-1]

    yield make
    for one in made:
        if api.get(path("tenants", one.tenant.id)).status_code == 200:
            one.destroy()


@pytest.fixture
def office(offices):
    return offices()
