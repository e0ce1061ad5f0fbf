"""Hostile names of every record, on every page of the dashboard: always text, never markup, script or template."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Final
from urllib.parse import quote

import pytest

from attacks.escalation_world import open_world
from herod.dashboard.quart_app import make_app
from herod.operations.operation_table import OPERATIONS
from support.device_app import codes_of, device_app
from support.herod_in_memory import PASSWORD, TCP, Harness
from support.oauth_app import dynamic_app
from support.page_visitor import Visitor, open_pages, sign_in, text, visit
from support.waiting_calls import waiting_call

NAMES: Final = (
    "<script>alert(7)</script>", '"><img src=x onerror=alert(7)>', "'><svg/onload=alert(7)>", "{{ 7 * 1299709 }}",
    "{% raw %}", "javascript:alert(7)", "</title><script>alert(7)</script>", "--><b>bold</b>", "&lt;b&gt;",
    "${7*1299709}",
    "</textarea><iframe src=//evil>", "`onfocus=alert(7) autofocus",
)  # fmt: skip


class Markup(HTMLParser):
    """The elements of a page, and the attributes that run or load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what no page of herod has."""
        given = dict(attrs)
        loads = [value or "" for name, value in attrs if name in ("src", "href", "action", "formaction")]
        if tag in ("b", "iframe") or (tag == "script" and not (given.get("src") or "").startswith("/ui/static/")):
            self.found.append(tag)
        # The last is the address for an authenticator app, which herod makes, with the email percent-encoded.
        own = ("/", "#", "?", "https://", "http://localhost", "otpauth://totp/herod:")
        if any(not value.startswith(own) for value in loads if value):
            self.found.append(f"{tag} {loads}")
        self.found += [name for name, _ in attrs if name.startswith("on") or name == "srcdoc"]


async def waiting(harness: Harness, visitor: Visitor, name: str) -> str:
    """The approval of a call in which everything has this name: the app, what would change, and the parameters."""
    return await waiting_call(
        harness, visitor, name, target_kind="resource", target=name, target_name=name, shown=((name, name),)
    )


def judge(page: str, where: str) -> None:
    """Check that nothing of a name is more than text."""
    assert not Markup(page).found, (where, Markup(page).found)
    assert "9097963" not in page, where  # 7 * 1299709: a template that ran


async def test_every_page(say: Callable[[str], None]) -> None:
    """No page shows a name as anything but text, for an admin, whom all of them are shown, and for a reader."""
    async with open_world() as world:
        harness = world.harness
        for number, name in enumerate(NAMES):
            user = await harness.user("user", name=name, email=f"hostile{number}@example.org", password=PASSWORD)
            await user.key(name=name, scope="read")
            await harness.service_key("read", name)
            await harness.admin("apps.add", name=name, redirect_uris=[f"https://app.example.org/{number}"])
            await harness.call("resources.claim", user.basic, TCP, kind=name, name=name, secret="of a tenant")
        admin = await harness.user("admin", name=NAMES[0], email="eve@example.org", password=PASSWORD)
        visitors = [await sign_in(harness, "eve@example.org", admin.client_id), world.visitors["read *"]]
        rules = [
            rule.rule
            for rule in make_app(harness.pipeline, OPERATIONS).url_map.iter_rules()
            if "GET" in (rule.methods or ()) and "static" not in rule.rule
        ]
        ids = {
            "keys": [one.id for one in (await harness.admin("keys.list", limit=200)).items],
            "apps": [one.client_id for one in (await harness.admin("apps.list", limit=200)).items],
            "users": [one.client_id for one in (await harness.admin("users.list", limit=200)).items],
        }
        pages = shown = 0
        for visitor in visitors:
            ids["approvals"] = [await waiting(harness, visitor, name) for name in NAMES]
            for rule in rules:
                chosen = ids.get(rule.split("/")[2], [])[-len(NAMES) :] if "<id>" in rule else [""]
                assert chosen, rule
                for id_ in [*chosen, *(quote(name, safe="") for name in NAMES if "<id>" in rule)]:
                    queries: list[dict[str, str]] = (
                        [{}]
                        if "<id>" in rule
                        else [
                            {},
                            *(
                                {
                                    "name": n,
                                    "who": n,
                                    "code": n,
                                    "principal": n,
                                    "actor": n,
                                    "network": n,
                                    "scope": n,
                                    "cursor": n,
                                }
                                for n in NAMES[:3]
                            ),
                        ]
                    )
                    for query in queries:
                        answer = await visitor.get(rule.replace("<id>", id_), **query)
                        assert answer.status < 500, rule
                        page = text(answer)
                        judge(page, rule)
                        pages += 1
                        shown += "alert(7)" in page
        assert shown > len(rules)
    say(f"{pages} pages of {len(rules)} kinds; {shown} of them with hostile names")


@pytest.mark.parametrize("name", NAMES)
async def test_where_apps_ask(harness: Harness, name: str) -> None:
    """An app's own name on the consent page, on a terminal's, and on that of an approval that waits for the person."""
    open_pages(harness)
    ada = await visit(harness)
    judge(await ada.read("/ui/consent", request=await dynamic_app(harness, name=name).request_for()), "consent")
    codes = await codes_of(device_app(harness, name=name))
    judge(await ada.do("/ui/device", user_code=codes["user_code"]), "terminal")
    approval = await ada.read(f"/ui/approvals/{await waiting(harness, ada, name)}")
    assert "Approve once" in approval
    judge(approval, "approval")
