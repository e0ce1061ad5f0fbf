"""The page of peer rules: list, add and remove, with errors in the form."""

from collections.abc import AsyncIterator

import pytest

from herod.records import PeerRule
from support.herod_in_memory import Harness, open_harness
from support.page_visitor import open_pages, said, text, visit


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness with pages."""
    async with open_harness() as built:
        open_pages(built)
        yield built


async def test_a_rules_life(harness: Harness) -> None:
    """A rule appears in the list with its grant when added, and disappears when removed."""
    ada = await visit(harness)
    assert "No rules yet" in await ada.read("/ui/peers")
    page = await ada.do("/ui/peers", by="uid", who="1234", scope_read="on", networks="lab, office")
    for word in ("user 1234", "read", "lab", "office", "The rule is in force."):
        assert word in page
    (rule,) = harness.store.scan(PeerRule)
    page = await ada.do(f"/ui/peers/{rule.id}/remove")
    assert "No rules yet" in page
    assert harness.store.count(PeerRule) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"by": "uid", "who": "x"},
        {"by": "user", "who": ""},
        {"by": "uid", "who": "1", "networks": "no/such"},
        {"by": "scope", "who": "admin"},
        {"by": "networks", "who": "lab"},
        {"by": "<b>", "who": "<b>"},
    ],
)
async def test_what_cannot_be(harness: Harness, fields: dict[str, str]) -> None:
    """A refused form shows the reason and the escaped input, and creates nothing."""
    ada = await visit(harness)
    answer = await ada.send("/ui/peers", scope_read="on", **fields)
    assert answer.status == 400
    assert said(text(answer))
    assert "<b>" not in text(answer)
    assert harness.store.count(PeerRule) == 0


async def test_a_reader_has_no_such_page(harness: Harness) -> None:
    """Non-admins have the page neither in the menu nor by its URL."""
    reader = await visit(harness, email="bob@example.org", scope="read", name="Bob")
    assert "/ui/peers" not in await reader.read("/ui/home")
    await reader.read("/ui/peers", status=403)
