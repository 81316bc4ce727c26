"""Gateways that register here with a trunk made over REST (RFC 3261 10.3)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from objects import unique
from servers import wait_for
from sip import ALGORITHMS, Device, exchange, request
from trunks import Trunk, all_registrations, probe, registrations

pytestmark = pytest.mark.usefixtures("same_registrar")

# services/registrar/inbound.h
EXPIRES_MIN_S, EXPIRES_MAX_S, EXPIRES_DEFAULT_S = 90, 3600, 300
# services/registrar/binding.h
CONTACTS_MAX = 10


def good(answer):
    assert answer.status == 200, answer
    return answer


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_life_of_a_registration(trunk, any_wire, algorithm):
    device = Device(any_wire, trunk.wait_known(any_wire), algorithm)
    assert list(good(device.register()).contacts()) == [device.contact]
    shown = trunk.registrations()
    assert list(shown) == [device.contact]
    one = shown[device.contact]
    assert one["aor"] == f"{trunk.user}@{trunk.domain}"
    assert one["trunk_id"] == trunk.id
    assert one["received"] == any_wire.local
    assert one["transport"] == any_wire.transport
    assert 590 <= one["expires_in"] <= 600
    again = good(device.register(expires=1200)).contacts()
    assert 1190 <= again[device.contact] <= 1200
    refreshed = trunk.registrations()[device.contact]
    assert 1190 <= refreshed["expires_in"] <= 1200
    assert refreshed["id"] == one["id"]
    assert refreshed["registered_at"] == one["registered_at"]
    assert not good(device.unregister()).contacts()
    assert trunk.registrations() == {}


def test_challenge(trunk, wires):
    wire = wires()
    trunk.wait_known(wire)
    answer = probe(wire, trunk)
    offered = answer.challenges()
    # RFC 8760 2.4: the strongest first
    assert list(offered) == ["SHA-512-256", "SHA-256", "MD5"]
    for challenge in offered.values():
        assert challenge["realm"] == trunk.domain
        assert challenge["qop"] == "auth"
    assert not answer.contacts()


def test_wrong_password(trunk, wires):
    """As is an account that is not there: nobody learns which there are."""
    wire = wires()
    trunk.wait_known(wire)
    refused = [Device(wire, trunk, password="wrong").register(),
               Device(wire, trunk, user="nobody").register()]
    assert [answer.status for answer in refused] == [403, 403]
    assert refused[0].reason == refused[1].reason
    assert trunk.registrations() == {}


def test_another_ones_address_of_record(api, trunk, wires):
    other = Trunk(api, hostname=trunk.domain)
    device = Device(wires(), trunk)
    wait_for(lambda: Device(device.wire, other).register().status == 200,
             "the other one can register")
    answer = device.register(
        To=f"<sip:{other.user}@{trunk.domain}>",
        From=f"<sip:{other.user}@{trunk.domain}>;tag=a")
    assert answer.status == 403, answer
    other.destroy()


def test_forged_nonce(trunk, wires):
    """It is challenged anew; the credentials are looked at no further."""
    device = Device(wires(), trunk.wait_known(wires()))
    good(device.register())
    message = device.message().replace(b'nonce="', b'nonce="0', 1)
    message = message.replace(b'c"0', b'c"')
    assert exchange(device.wire, message).status == 401


def test_used_nonce_count(trunk, wires):
    """What was seen on the wire is of no use to others: the credentials of a
    REGISTER with another contact are stale."""
    device = Device(wires(), trunk.wait_known(wires()))
    good(device.register())
    message = device.message()
    good(exchange(device.wire, message))
    forged = message.replace(device.contact.encode(), b"sip:a@192.0.2.66")
    answer = exchange(wires(), forged.replace(b"branch=z9hG4bK",
                                              b"branch=z9hG4bKx"))
    assert answer.status == 401
    assert {words["stale"] for words in answer.challenges().values()} == {
        "true"}
    assert list(trunk.registrations()) == [device.contact]


def test_retransmission(trunk, wires):
    """The same request again gets the same answer and changes nothing."""
    device = Device(wires(), trunk.wait_known(wires()))
    good(device.register())
    message = device.message(expires=700)
    answers = [good(exchange(device.wire, message)) for _ in range(2)]
    assert answers[0].value("to") == answers[1].value("to")
    assert len(trunk.registrations()) == 1


def test_unknown_realm(wires, trunk):
    trunk.wait_known(wires())
    trunk.domain = "nowhere.example"
    assert probe(wires(), trunk).status == 404


@pytest.mark.parametrize("asked, given", [
    (EXPIRES_MIN_S, EXPIRES_MIN_S), (None, EXPIRES_DEFAULT_S),
    (EXPIRES_MAX_S + 1, EXPIRES_MAX_S), ("soon", 400)])
def test_expires(trunk, device, asked, given):
    trunk.wait_known(device.wire)
    answer = device.register(expires=asked)
    if given == 400:
        assert answer.status == 400, answer
        return
    assert good(answer).contacts() == {device.contact: given}


def test_expires_too_brief(trunk, device):
    trunk.wait_known(device.wire)
    answer = device.register(expires=EXPIRES_MIN_S - 1)
    assert (answer.status, answer.value("min-expires")) == (
        423, str(EXPIRES_MIN_S))
    # the contact's own goes before that of the request
    answer = device.register(contact=f"<{device.contact}>;expires=1")
    assert answer.status == 423
    assert trunk.registrations() == {}


def test_several_contacts(trunk, device):
    trunk.wait_known(device.wire)
    contacts = [f"<sip:a@192.0.2.1>;expires={EXPIRES_MIN_S}",
                "<sip:b@192.0.2.2>;q=0.5"]
    bound = good(device.register(contact=contacts)).contacts()
    assert bound == {"sip:a@192.0.2.1": EXPIRES_MIN_S, "sip:b@192.0.2.2": 600}
    assert set(trunk.registrations()) == set(bound)
    good(device.register(contact="<sip:a@192.0.2.1>;expires=0"))
    assert set(trunk.registrations()) == {"sip:b@192.0.2.2"}
    assert set(device.query()) == {"sip:b@192.0.2.2"}


def test_several_devices(trunk, wires):
    """Each its own contact; one that leaves takes no other with it."""
    trunk.wait_known(wires())
    devices = [Device(wires(), trunk) for _ in range(3)]
    for one in devices:
        good(one.register())
    assert set(devices[0].query()) == {one.contact for one in devices}
    good(devices[0].unregister())
    assert set(trunk.registrations()) == {one.contact for one in devices[1:]}


def test_too_many_contacts(trunk, device):
    trunk.wait_known(device.wire)
    contacts = [f"<sip:c{n}@192.0.2.1>" for n in range(CONTACTS_MAX + 1)]
    assert device.register(contact=contacts).status == 403
    good(device.register(contact=contacts[1:]))
    assert device.register(contact=contacts[0]).status == 403
    assert len(trunk.registrations()) == CONTACTS_MAX


def test_star(trunk, wires):
    """Contact: * with an Expires of 0 ends all, and is nothing else."""
    trunk.wait_known(wires())
    devices = [Device(wires(), trunk) for _ in range(2)]
    for one in devices:
        good(one.register())
    assert devices[0].register(contact="*").status == 400
    assert devices[0].register(
        expires=0, contact=["*", "<sip:a@192.0.2.1>"]).status == 400
    assert len(trunk.registrations()) == 2
    assert not good(devices[0].register(expires=0, contact="*")).contacts()
    assert trunk.registrations() == {}


def test_older_than_what_there_is(trunk, device):
    trunk.wait_known(device.wire)
    device.cseq = 100
    good(device.register())
    device.cseq = 50
    assert device.register(expires=700).status == 500
    assert trunk.registrations()[device.contact]["expires_in"] <= 600


def test_path_and_instance(trunk, device):
    trunk.wait_known(device.wire)
    urn = "<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"
    contact = f'<{device.contact}>;+sip.instance="{urn}";reg-id=1'
    fields = {"Path": "<sip:192.0.2.9;lr;ob>", "User-Agent": "Gateway/1"}
    refused = device.register(contact=contact, **fields)
    assert (refused.status, refused.value("unsupported")) == (420, "path")
    answer = good(device.register(contact=contact, **fields,
                                  Supported="path, outbound"))
    assert answer.value("path") == fields["Path"]
    assert answer.value("require") == "outbound"
    one = trunk.registrations()[device.contact]
    assert one["path"] == fields["Path"]
    assert one["instance_id"] == urn
    assert one["reg_id"] == 1
    assert one["user_agent"] == "Gateway/1"


def test_received_is_where_it_came_from(trunk, device):
    """Behind a NAT, the Contact says nothing of the way back."""
    trunk.wait_known(device.wire)
    good(device.register(contact="<sip:a@10.255.0.1:5060>"))
    assert trunk.registrations()["sip:a@10.255.0.1:5060"]["received"] == (
        device.wire.local)


def test_list(api, trunk, device):
    trunk.wait_known(device.wire)
    good(device.register())
    aor = f"{trunk.user}@{trunk.domain}"
    assert list(registrations(api, aor=aor)) == [device.contact]
    assert device.contact in all_registrations(api)
    assert registrations(api, aor="nobody@" + trunk.domain) == {}


# The trunk is changed over REST


def test_password_changed(trunk, wires):
    """The old one is refused and the new one good; what was registered stays
    until it has to be refreshed."""
    device = Device(wires(), trunk.wait_known(wires()))
    good(device.register())
    old, trunk.password = trunk.password, unique("new")
    trunk.change(password=trunk.password)
    fresh = Device(wires(), trunk)
    wait_for(lambda: fresh.register().status == 200, "the new one is good")
    assert device.password == old
    assert device.register().status == 403
    assert Device(wires(), trunk, password=old).register().status == 403
    assert device.contact in trunk.registrations()


def test_disabled_and_enabled(trunk, device):
    trunk.wait_known(device.wire)
    good(device.register())
    trunk.change(enabled=False)
    wait_for(lambda: device.register().status == 404, "it is refused")
    trunk.change(enabled=True)
    wait_for(lambda: device.register().status == 200, "it is taken again")


def test_destroyed(api, wires):
    trunk = Trunk(api)
    device = Device(wires(), trunk.wait_known(wires()))
    good(device.register())
    trunk.destroy()
    wait_for(lambda: device.register().status == 404, "it is refused")


def test_destroyed_beside_another(api, trunk, wires):
    """The domain stays: then it is one more name nobody has."""
    gone = Trunk(api, hostname=trunk.domain)
    device = Device(wires(), gone)
    wait_for(lambda: device.register().status == 200, "it can register")
    gone.destroy()
    wait_for(lambda: device.register().status == 403, "it is refused")
    good(Device(wires(), trunk).register())


def test_renamed(trunk, wires):
    """Another auth_id is another account, at once."""
    device = Device(wires(), trunk.wait_known(wires()))
    good(device.register())
    trunk.user = unique("other")
    trunk.change(auth_id=trunk.user)
    wait_for(lambda: Device(wires(), trunk).register().status == 200,
             "the new name is good")
    assert device.register().status == 403


def test_three_way(api, wires):
    """username is who it is, auth_id what it proves itself as."""
    trunk = Trunk(api, username="4000")
    device = Device(wires(), trunk.wait_known(wires()))
    who = {"To": f"<sip:4000@{trunk.domain}>",
           "From": f"<sip:4000@{trunk.domain}>;tag=b"}
    good(device.register(**who))
    assert trunk.registrations()[device.contact]["aor"] == (
        f"4000@{trunk.domain}")
    assert device.register().status == 403
    trunk.destroy()


def test_domain_in_request_uri(trunk, wires):
    """Gateways that were given an address for a name: To has the address."""
    trunk.wait_known(wires())
    device = Device(wires(), trunk)
    good(device.register(To=f"<sip:{trunk.user}@127.0.0.1>"))
    assert trunk.registrations()[device.contact]["aor"] == (
        f"{trunk.user}@{trunk.domain}")


def test_other_methods_do_not_register(trunk, wires):
    wire = wires()
    trunk.wait_known(wire)
    answer = exchange(wire, request(
        wire, "MESSAGE", f"sip:{trunk.domain}",
        {"Contact": "<sip:a@192.0.2.1>"}, trunk.user, trunk.domain))
    assert answer.status == 405
    assert trunk.registrations() == {}


def test_all_at_once(trunk, wires):
    """As after a power cut: each gets its place at once."""
    trunk.wait_known(wires())
    devices = [Device(wires(), trunk) for _ in range(CONTACTS_MAX)]
    for _ in range(5):
        with ThreadPoolExecutor(CONTACTS_MAX) as threads:
            for answer in threads.map(Device.register, devices):
                good(answer)
        assert set(trunk.registrations()) == {one.contact for one in devices}
        good(devices[0].register(expires=0, contact="*"))
