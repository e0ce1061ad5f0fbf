"""The page that explains authorization decisions, as the engine makes them."""

import re
from collections.abc import AsyncIterator
from html import unescape

import pytest

from herod.operations.operation_table import OPERATIONS
from support.herod_in_memory import Harness, open_harness
from support.page_visitor import open_pages, said, visit


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness with pages."""
    async with open_harness(networks=frozenset({"lab", "office"})) as built:
        open_pages(built)
        yield built


def fix(page: str) -> str:
    """The suggested command."""
    (found,) = re.findall(r'<code id="fix">([^<]+)</code>', page)
    return unescape(found)


async def test_the_form(harness: Harness) -> None:
    """The empty form offers every operation, scope and network."""
    page = await (await visit(harness)).read("/ui/explain")
    for name in OPERATIONS:
        assert f'<option value="operation:{name}"' in page
    for name in harness.runtime.config.graph.scopes:
        assert f'<option value="scope:{name}"' in page
    assert '<option value="lab">' in page
    assert 'id="decision"' not in page


async def test_a_denial(harness: Harness) -> None:
    """A denial shows the reason, what is missing, and a command that fixes it; the form keeps its input."""
    admin = await visit(harness)
    bob = await harness.user(email="bob@example.org", name="Bob")
    page = await admin.read("/ui/explain", principal="bob@example.org", what="operation:users.add", network="")
    for word in (">Denied<", ">missing_scope<", '<dt>Missing</dt><dd><code class="chip">admin</code>'):
        assert word in page
    assert fix(page) == f"herod user scope {bob.client_id} admin"
    assert 'value="bob@example.org"' in page
    assert '<option value="operation:users.add" selected>' in page
    page = await admin.read("/ui/explain", principal=bob.client_id, what="scope:read", network="")
    assert ">Allowed<" in page
    assert "Missing" not in page


async def test_a_network(harness: Harness) -> None:
    """A network is checked in addition to the scope."""
    admin = await visit(harness)
    bob = await harness.user(email="bob@example.org", networks=["lab"])
    page = await admin.read("/ui/explain", principal=bob.client_id, what="scope:read", network="office")
    assert ">network_denied<" in page
    assert fix(page) == f"herod user edit {bob.client_id} --network=lab --network=office"
    assert ">Allowed<" in await admin.read("/ui/explain", principal=bob.client_id, what="", network="lab")


async def test_advice_without_a_command(harness: Harness) -> None:
    """Advice without a command is a sentence."""
    admin = await visit(harness)
    key = (await harness.service_key("read")).split("_")[2]
    page = await admin.read("/ui/explain", principal=key, what="scope:admin", network="")
    assert "<dt>Fix</dt><dd>Use a credential with scope admin</dd>" in page
    await harness.admin("keys.disable", id=key)
    page = await admin.read("/ui/explain", principal=key, what="scope:read", network="")
    assert "is disabled" in page
    page = await admin.read("/ui/explain", what="operation:token.create", network="")
    assert ">method_not_allowed<" in page


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"principal": '"><script>', "what": "scope:read"}, 404),
        ({"what": "operation:<b>no"}, 400),
        ({"what": "scope:<b>no"}, 400),
        ({"principal": "@", "what": ""}, 404),
        ({"what": "scope:"}, 400),
        ({"what": "operation: "}, 400),
        ({"what": "users.list"}, 400),
        ({"what": "network:lab"}, 400),
        ({"what": "scope:read", "network": "attic"}, 400),
        ({"what": "scope:read", "network": "a b"}, 400),
        ({"what": "scope:read", "network": " "}, 400),
        ({"what": "scope:read", "network": "\u3000"}, 400),
        ({"what": " "}, 400),
        ({"what": "scope:\u00a0"}, 400),
        ({"principal": " ", "what": "scope:read"}, 404),
    ],
)
async def test_what_cannot_be_asked(harness: Harness, query: dict[str, str], status: int) -> None:
    """An invalid question is reported, and its input is escaped."""
    page = await (await visit(harness)).read("/ui/explain", status=status, **query)
    assert said(page)
    assert "<script>" not in page
    assert "<b>" not in page


async def test_others_ask_about_themselves(harness: Harness) -> None:
    """Non-admins may ask only about themselves, whatever the URL says."""
    ada = await visit(harness)
    reader = await visit(harness, "bob@example.org", scope="read", name="Bob")
    page = await reader.read("/ui/explain")
    assert 'name="principal"' not in page
    assert ">Denied<" in await reader.read("/ui/explain", what="operation:users.list")
    page = await reader.read("/ui/explain", status=403, principal=ada.client_id, what="scope:read")
    assert "Only admins" in said(page)
