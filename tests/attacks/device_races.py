"""Races for a terminal's codes: two people decide, two programs redeem, and one enters while another is over."""

from functools import partial

from attacks.race_scene import Scene, won
from herod.identity.credential_types import PublicClient
from herod.records import Delegation, DeviceCode, TokenFamily
from support.herod_in_memory import TCP
from support.persons import new_person

__all__ = ["a_device_code_is_redeemed_twice", "two_people_decide_about_a_code"]

CLI = PublicClient("herod-cli")
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def two_people_decide_about_a_code(scene: Scene) -> None:
    """One of them decides, and the app gets what that one said."""
    harness, number = scene.harness, scene.number
    people = [await new_person(harness, f"{name}{number}@example.org") for name in ("ada", "eve")]
    codes = await harness.call("oauth.device_authorization", CLI, TCP, scope="read", resource="http://localhost")
    calls = []
    for person in people:
        entered = await person.call("oauth.enter_user_code", user_code=codes.user_code)
        calls += [
            partial(person.call, "oauth.device_allow", request=entered.request, scope="read", is_mine=True),
            partial(person.call, "oauth.device_deny", request=entered.request),
        ]
    scene.draw.shuffle(calls)
    assert len(won(await scene.at_once(calls))) == 1
    (code,) = [one for one in harness.store.scan(DeviceCode) if one.state != "waiting" and not one.family]
    granted = [one.id for one in harness.store.scan(Delegation) if one.account in {person.id for person in people}]
    assert granted == ([code.delegation] if code.state == "allowed" else [])
    await harness.store.write(lambda tx: tx.delete(DeviceCode, code.id))


async def a_device_code_is_redeemed_twice(scene: Scene) -> None:
    """One gets tokens, and the others end them."""
    harness = scene.harness
    person = await new_person(harness, f"ada{scene.number}@example.org")
    codes = await harness.call("oauth.device_authorization", CLI, TCP, scope="read", resource="http://localhost")
    entered = await person.call("oauth.enter_user_code", user_code=codes.user_code)
    await person.call("oauth.device_allow", request=entered.request, scope="read", is_mine=True)
    redeem = partial(
        harness.call, "token.exchange_device_code", CLI, TCP, grant_type=GRANT, device_code=codes.device_code
    )
    assert len(won(await scene.at_once([redeem] * 4))) == 1
    assert [one for one in harness.store.scan(TokenFamily) if one.account == person.id] == []
