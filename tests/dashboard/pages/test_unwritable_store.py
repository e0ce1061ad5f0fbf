"""Pages while the store cannot be written: what ended is said to be in force, and until when."""

from collections.abc import Callable
from typing import Any

import pytest

from herod.store.store_interface import NotWritten
from support.herod_in_memory import Harness
from support.page_visitor import open_pages, text, visit

SAID = "this is in force until the restart, and then undone. Free some space and repeat it."


@pytest.mark.parametrize("button", ["disable", "delete", "sign_out"])
async def test_what_ended_in_memory_is_said(harness: Harness, monkeypatch: pytest.MonkeyPatch, button: str) -> None:
    """Disabling or deleting an account and signing it or oneself out say that a restart undoes it."""
    open_pages(harness)
    admin, user = await visit(harness), await harness.user()
    monkeypatch.setattr(harness.store, "write", _refuse)
    for path in (f"/ui/users/{user.client_id}/{button}", "/ui/sign-out"):
        answer = await admin.send(path)
        assert answer.status == 503, text(answer)
        assert SAID in text(answer)


async def test_what_was_not_changed_is_said(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other changes are not in force, and their pages say that nothing was changed."""
    open_pages(harness)
    admin, user = await visit(harness), await harness.user()
    monkeypatch.setattr(harness.store, "write", _refuse)
    answer = await admin.send(f"/ui/users/{user.client_id}/scope", scope_write="on")
    assert (answer.status, "nothing was changed" in text(answer)) == (503, True)


async def _refuse(function: Callable[..., Any]) -> None:
    raise NotWritten("The store's disk is full", "free some space", reason="disk_full")
