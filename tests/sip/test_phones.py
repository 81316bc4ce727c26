"""Phones: users of tenants that register as extension_number@domain."""

import dataclasses

import pytest

from people import act_as, as_tenant, path, sign_in_user
from servers import wait_for
from sip import ALGORITHMS, Device, exchange
from trunks import Trunk, registrations

URN = "<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"


def good(answer):
    assert answer.status == 200, answer
    return answer


def known(device):
    """Registers, as soon as the registrar has heard of the user."""
    wait_for(lambda: device.register().status == 200, "it can register")
    return device


def refused(device, status=403):
    wait_for(lambda: device.register().status == status, "it is refused")


def gone(api, aor):
    """Its bindings are removed: nobody waits for their end."""
    wait_for(lambda: registrations(api, aor=aor) == {}, f"{aor} is gone")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_life_of_a_phone(api, office, any_wire, algorithm):
    account = office.account()
    phone = known(Device(any_wire, account, algorithm))
    shown = account.registrations()
    assert list(shown) == [phone.contact]
    one = shown[phone.contact]
    assert one["aor"] == account.aor
    assert (one["user_id"], one["tenant_id"], one["trunk_id"]) == (
        account.id, office.tenant.id, None)
    assert one["received"] == any_wire.local
    again = good(phone.register(expires=1200)).contacts()
    assert 1190 <= again[phone.contact] <= 1200
    assert account.registrations()[phone.contact]["id"] == one["id"]
    assert not good(phone.unregister()).contacts()
    assert account.registrations() == {}


def test_two_devices(api, office, wires):
    account = office.account()
    desk, soft = Device(wires(), account), Device(wires(), account)
    known(desk)
    assert set(good(soft.register()).contacts()) == {desk.contact,
                                                     soft.contact}
    good(desk.unregister())
    assert set(account.registrations()) == {soft.contact}


def test_who_may_not(office, wires):
    """A wrong password, a number that is nobody's, a disabled user and one
    that was deleted: the same challenge, the same answer."""
    account, off = office.account(), office.account(enabled=False)
    left = office.account()
    office.destroy_user(left)
    known(Device(wires(), account))
    nobody = dataclasses.replace(account, user="999999")
    wrong = dataclasses.replace(account, password="wrong")
    answers = []
    for one in (wrong, nobody, off, left):
        device = Device(wires(), one)
        asked = exchange(device.wire, device.message())
        assert asked.status == 401
        assert asked.challenges()["MD5"]["realm"] == office.domain
        answers.append(device.register())
    assert {(one.status, one.reason) for one in answers} == {
        (403, "Forbidden")}
    other = Device(wires(), account)
    for field in ("To", "From"):
        assert other.register(
            To=f"<sip:{off.user}@{office.domain}>").status == 403, field


def test_unknown_domain(office, wires):
    account = office.account()
    known(Device(wires(), account))
    assert Device(wires(), dataclasses.replace(
        account, domain="nowhere.example")).register().status == 404


def test_password_changed(api, office, wires):
    """What is registered stays until its refresh."""
    account = office.account()
    phone = known(Device(wires(), account))
    new = "Zk9!pW4#cM7x"
    answer = office.api.post(
        path("users", account.id, "/extension_password"),
        json={"password": new})
    assert answer.status_code in (200, 204), answer.text
    refused(phone)
    assert list(account.registrations()) == [phone.contact]
    known(Device(wires(), account, password=new))


def test_same_extension_of_two_tenants(api, offices, wires):
    first, second = offices(), offices()
    one = first.account(extension_number="7000")
    two = second.account(extension_number="7000",
                         extension_password="Zk9!pW4#cM7x")
    two.password = "Zk9!pW4#cM7x"
    phones = [known(Device(wires(), account)) for account in (one, two)]
    assert list(one.registrations()) == [phones[0].contact]
    assert list(two.registrations()) == [phones[1].contact]
    assert Device(wires(), one, password=two.password).register().status == 403
    first.change_user(one, enabled=False)
    gone(api, one.aor)
    assert list(two.registrations()) == [phones[1].contact]


def test_user_disabled_and_enabled(api, office, wires):
    account = office.account()
    phone = known(Device(wires(), account))
    office.change_user(account, enabled=False)
    gone(api, account.aor)
    refused(phone)
    office.change_user(account, enabled=True)
    known(phone)


def test_user_destroyed_and_made_again(api, office, wires):
    account = office.account()
    phone = known(Device(wires(), account))
    office.destroy_user(account)
    gone(api, account.aor)
    refused(phone)
    again = office.account(extension_number=account.user)
    known(phone)
    assert again.registrations()[phone.contact]["user_id"] == again.id


def test_tenant_disabled_and_enabled(api, office, wires):
    accounts = [office.account() for _ in range(3)]
    phones = [known(Device(wires(), one)) for one in accounts]
    assert office.online() == 3
    office.change(enabled=False)
    for one in accounts:
        gone(api, one.aor)
    refused(phones[0])
    office.change(enabled=True)
    known(phones[0])


def test_tenant_renamed(api, office, wires):
    account = office.account()
    phone = known(Device(wires(), account))
    office.change(domain="new-" + office.domain)
    gone(api, account.aor)
    refused(phone, 404)
    moved = dataclasses.replace(account, domain=office.domain)
    known(Device(wires(), moved))


def test_tenant_destroyed(api, office, wires):
    accounts = [office.account() for _ in range(3)]
    phones = [known(Device(wires(), one)) for one in accounts]
    office.destroy()
    for one in accounts:
        gone(api, one.aor)
    refused(phones[0], 404)


def test_trunk_gone(api, wires):
    """What a gateway had bound goes with its trunk."""
    trunk = Trunk(api)
    device = Device(wires(), trunk.wait_known(wires()))
    aor = f"{trunk.user}@{trunk.domain}"
    good(device.register())
    trunk.change(enabled=False)
    gone(api, aor)
    trunk.change(enabled=True)
    known(device)
    trunk.change(auth_id=trunk.user + "x")
    gone(api, aor)
    refused(device)
    trunk.change(auth_id=trunk.user)
    known(device)
    trunk.destroy()
    gone(api, aor)


# What is told of them over REST


def test_user_status(office, wires):
    account = office.account()
    offline = office.status(account)
    assert (offline["status"], offline["registration"]) == ("OFFLINE", [])
    phone = Device(wires(), account)
    contact = (f'<{phone.contact};pn-provider=apns;pn-prid=x>'
               f';+sip.instance="{URN}"')
    wait_for(lambda: phone.register(
        contact=contact, **{"User-Agent": "Softphone/2.1 (x)"}).status == 200,
        "it can register")
    bare = known(Device(wires(), account))
    status = office.status(account)
    assert (status["status"], status["presence"]) == ("ONLINE", "AVAILABLE")
    by_contact = {one["contact_address"]: one
                  for one in status["registration"]}
    assert len(by_contact) == 2
    assert by_contact[phone.contact + ";pn-provider=apns;pn-prid=x"] == {
        "instance_id": URN[1:-1], "user_agent": "Softphone/2.1 (x)",
        "application": "Softphone", "ip": "127.0.0.1", "enable_push": True,
        "contact_address": phone.contact + ";pn-provider=apns;pn-prid=x"}
    other = by_contact[bare.contact]
    assert len(other["instance_id"]) == 16
    assert (other["user_agent"], other["enable_push"]) == (None, False)
    good(bare.register())
    assert other in office.status(account)["registration"]
    assert office.online() == 1


@pytest.mark.parametrize("instance", [URN, None])
def test_drop_one_registration(api, office, wires, instance):
    account = office.account()
    stays = known(Device(wires(), account))
    phone = Device(wires(), account)
    good(phone.register(contact=f"<{phone.contact}>" + (
        f';+sip.instance="{instance}"' if instance else "")))
    said = {one["contact_address"]: one["instance_id"]
            for one in office.status(account)["registration"]}

    def drop(instance_id):
        return office.api.post(path(
            "users", account.id, f"/status/{instance_id}/destroy_status"))

    answer = drop(said[phone.contact])
    assert answer.status_code == 204, answer.text
    assert set(account.registrations()) == {stays.contact}
    assert drop(said[phone.contact]).status_code == 404
    good(phone.register())


def test_who_sees_registrations(suite, api, offices, wires):
    """The system's administrator all; a tenant's its own, as many as it
    counts; its users nothing."""
    first, second = offices(), offices()
    accounts = [first.account(), first.account(), second.account()]
    phones = [known(Device(wires(), one)) for one in accounts]
    trunk = Trunk(api)
    device = Device(wires(), trunk.wait_known(wires()))
    good(device.register())

    def listed(client):
        answer = client.get("/api/registrations")
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["count"] == len({one["aor"] for one in body["items"]})
        return {one["contact"] for one in body["items"]}

    manager, _ = sign_in_user(suite, first.tenant, role="QueueManager")
    for client in (first.api, manager):
        assert listed(client) == {one.contact for one in phones[:2]}
    assert listed(second.api) == {phones[2].contact}
    for query in ({"user_id": accounts[2].id}, {"trunk_id": trunk.id},
                  {"aor": accounts[2].aor},
                  {"aor": f"{trunk.user}@{trunk.domain}"}):
        assert registrations(first.api, **query) == {}, query
    assert list(registrations(first.api, aor=accounts[0].aor)) == [
        phones[0].contact]
    user, _ = sign_in_user(suite, first.tenant)
    assert user.get("/api/registrations").status_code == 403
    page = first.api.get("/api/registrations", params={"skip": 1, "top": 1})
    assert (page.json()["count"], len(page.json()["items"])) == (2, 1)
    trunk.destroy()


def test_own_trunk_of_a_tenant(api, office, wires):
    """It is listed with the tenant's phones, and is no online user."""
    office.change(enable_feature_trunks=True)
    trunk = Trunk(office.api, did_numbers="49301230000-49301230009")
    device = Device(wires(), trunk.wait_known(wires()))
    good(device.register())
    phone = known(Device(wires(), office.account()))
    shown = registrations(office.api)
    assert set(shown) == {device.contact, phone.contact}
    assert shown[device.contact]["trunk_id"] == trunk.id
    assert shown[device.contact]["tenant_id"] == office.tenant.id
    assert office.online() == 1
    trunk.destroy()


# Faults


def test_registrar_killed(suite, api, office, wires):
    """Its phones are still bound, and go on."""
    account = office.account()
    phone = known(Device(wires(), account))
    suite.kill9("registrar")
    suite.start("registrar")
    # The first answer is a good one: the listener opens when all is read.
    good(phone.register())
    suite.wait_ready()
    assert list(account.registrations()) == [phone.contact]
    assert office.status(account)["status"] == "ONLINE"


def test_gone_while_no_registrar_ran(suite, api, office, wires):
    stays, left = office.account(), office.account()
    for one in (stays, left):
        known(Device(wires(), one))
    suite.kill9("registrar")
    office.destroy_user(left)
    suite.start("registrar")
    suite.wait_ready()
    gone(api, left.aor)
    assert len(stays.registrations()) == 1


def test_without_the_tenant_service(suite, api, office, wires, trunk):
    """Trunks work; phones are not known yet, and told to come again. Later it
    is not missed."""
    account = office.account()
    phone = known(Device(wires(), account))
    gateway = Device(wires(), trunk.wait_known(wires()))
    suite.kill9("tenant")
    good(phone.register())
    suite.kill9("registrar")
    suite.start("registrar")
    assert good(gateway.register())
    answer = phone.register()
    assert (answer.status, bool(answer.value("retry-after"))) == (503, True)
    wrong = dataclasses.replace(account, user="999999")
    assert Device(wires(), wrong).register().status == 503
    suite.start("tenant")
    known(phone)
    suite.wait_ready()
    assert list(account.registrations()) == [phone.contact]


def test_acting_administrator(suite, api, office, wires):
    """The system's administrator acts as a tenant: then it sees that one's."""
    account = office.account()
    phone = known(Device(wires(), account))
    client = as_tenant(suite, office.tenant)
    assert set(registrations(client)) == {phone.contact}
    act_as(client)
    assert phone.contact in registrations(client, user_id=account.id)
