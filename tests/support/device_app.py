"""An app without a browser in tests, and the person who enters its code at herod's page."""

from typing import Any
from urllib.parse import urlencode

from support.herod_in_memory import Answer, Harness
from support.oauth_app import MCP, AppOfTest, dynamic_app, hidden_request
from support.page_visitor import Visitor, text

__all__ = ["DEVICE", "ask_for_codes", "codes_of", "device_app", "entered", "poll", "said_yes"]

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS = (DEVICE, "refresh_token")


def device_app(harness: Harness, *, name: str = "Agent", grants: tuple[str, ...] = GRANTS) -> AppOfTest:
    """An app that registered itself for device codes alone."""
    return dynamic_app(harness, name=name, grants=grants)


async def ask_for_codes(app: AppOfTest, headers: dict[str, str] | None = None, /, **changes: str | None) -> Answer:
    """Ask `/device_authorization`, as the app; None leaves a parameter out."""
    usual: dict[str, str | None] = {
        "client_id": app.client_id,
        "client_secret": app.secret,
        "scope": "read",
        "resource": MCP,
    }
    given = {name: value for name, value in {**usual, **changes}.items() if value is not None}
    return await app.harness.request("POST", "/device_authorization", form=urlencode(given), headers=headers)


async def codes_of(app: AppOfTest, **changes: str | None) -> dict[str, Any]:
    """The answer of `/device_authorization`."""
    answer = await ask_for_codes(app, **changes)
    assert answer.status == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


async def poll(app: AppOfTest, device_code: str, **changes: str | None) -> Answer:
    """Ask `/token` whether the person has decided."""
    return await app.form(**{"grant_type": DEVICE, "device_code": device_code, **changes})


async def entered(person: Visitor, user_code: str) -> str:
    """Enter a user code, and return the sealed request of the page that asks."""
    return hidden_request(await person.do("/ui/device", user_code=user_code))


async def said_yes(person: Visitor, user_code: str, *ticked: str) -> str:
    """Enter a user code and allow, and return the page that says so."""
    boxes = {f"scope:{name}": "on" for name in ticked or ("read",)}
    request = await entered(person, user_code)
    answer = await person.send("/ui/device", request=request, decision="allow", is_mine="on", **boxes)
    assert answer.status == 200, text(answer)
    return text(answer)
