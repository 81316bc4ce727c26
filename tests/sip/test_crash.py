"""The registrar, Redis or both are killed under load: what was acknowledged is
held, nothing else is, and all recovers by itself."""

import pytest

from load_sip import Load
from servers import wait_for
from sip import Device
from trunks import answers_options

# At different points of its work.
KILLS = 5


@pytest.fixture
def load(suite, api):
    with Load(api, suite.sip_port) as running:
        yield running


def restart(suite):
    suite.start("registrar")
    suite.wait_ready()


def test_registrar_killed(suite, load):
    """No client needs to notice: each goes on with its Call-ID, the next CSeq
    and the nonce it has."""
    challenged = load.ends[401]
    for _ in range(KILLS):
        suite.kill9("registrar")
        with load.paused():
            restart(suite)
            load.check()
        # While all that was due comes in.
        load.wait_accepted(0.3)
    load.wait_accepted(2)
    load.finish()
    load.check()
    assert load.ends["again"] > 0
    assert load.ends[401] == challenged
    assert load.ends[503] == 0


def test_registrar_killed_and_back_at_once(suite, load):
    """Those who come before it knows the trunks are told to come again, and
    nobody that they are not known."""
    for _ in range(KILLS):
        suite.kill9("registrar")
        restart(suite)
        load.wait_accepted()
    load.finish()
    load.check()


def test_registrar_stopped(suite, load):
    """SIGTERM: what is in flight is answered first."""
    suite.stop("registrar")
    with load.paused():
        restart(suite)
        load.check()
    load.wait_accepted(2)


def test_redis_killed(suite, load, same_registrar):
    suite.servers.kill9_redis()
    load.wait_refused()
    accepted = load.accepted
    load.wait_refused()
    assert load.accepted == accepted
    with load.paused():
        suite.servers.start_redis()
        suite.wait_ready()
        load.check()
    load.wait_accepted(2)
    load.finish()
    load.check()


def test_redis_hangs(suite, load, same_registrar):
    """Whether a REGISTER came about is then not known, so it is refused; the
    client asks again, and all agree."""
    with suite.servers.redis_paused():
        load.wait_refused()
    load.wait_accepted(2)
    load.finish()
    load.check()


def test_redis_and_registrar_killed(suite, load):
    suite.servers.kill9_redis()
    suite.kill9("registrar")
    with load.paused():
        suite.servers.start_redis()
        restart(suite)
        load.check()
    load.wait_accepted(2)


def test_started_without_redis(suite, trunk, wires):
    """It answers, but acknowledges nothing; and recovers."""
    device = Device(wires(), trunk.wait_known(wires()))
    suite.servers.kill9_redis()
    suite.kill9("registrar")
    suite.start("registrar")
    answers_options(device.wire)
    wait_for(lambda: device.register().status == 503, "it is refused")
    assert device.register().value("retry-after")
    suite.servers.start_redis()
    wait_for(lambda: device.register().status == 200, "it is accepted")
    suite.wait_ready()


def test_started_without_the_other_services(suite, trunk, wires):
    """Who is not known yet is not refused for good: 503, not 404 or 403. What
    was registered is still there."""
    device = Device(wires(), trunk.wait_known(wires()))
    assert device.register().status == 200
    suite.kill9("provider")
    suite.kill9("registrar")
    suite.start("registrar")
    answers_options(device.wire)
    refused = device.register()
    assert (refused.status, bool(refused.value("retry-after"))) == (503, True)
    suite.start("provider")
    wait_for(lambda: device.register().status == 200, "it is accepted")
    suite.wait_ready()
    assert list(trunk.registrations()) == [device.contact]


def test_other_services_die_later(suite, trunk, wires, same_registrar):
    """What was followed last goes on."""
    device = Device(wires(), trunk.wait_known(wires()))
    for name in ("provider", "transport", "system"):
        suite.kill9(name)
    assert device.register().status == 200
    for name in ("system", "provider", "transport"):
        suite.start(name)
    suite.wait_ready()
    assert device.register().status == 200
