"""Fields for passwords: masked, and open to password managers and pasting."""

import re

import pytest

from support.herod_in_memory import Harness
from support.page_visitor import open_pages, text, visit


@pytest.mark.parametrize(
    ("path", "purposes"),
    [
        ("/ui/sign-in", ["current-password", "off"]),  # the second is the field for an API key
        ("/ui/account", ["current-password", "new-password", "new-password"]),
        ("/ui/users/new", ["new-password"]),
        ("/ui/users/{client_id}", ["new-password"]),
    ],
)
async def test_fields(harness: Harness, path: str, purposes: list[str]) -> None:
    """Each says what it is for and takes 128 characters; no pattern, minimum over 12 or handler is in the way."""
    open_pages(harness)
    ada = await visit(harness)
    page = await ada.read(path.format(client_id=ada.client_id))
    assert [_value(field, "autocomplete") for field in _password_fields(page)] == purposes
    for field in _password_fields(page):
        assert int(_value(field, "maxlength")) >= 128
        assert int(_value(field, "minlength") or 0) <= 12
        assert "pattern" not in field
        assert not re.search(r"\son\w+=", field)


async def test_first_admin(harness: Harness) -> None:
    """So do the fields for the first admin's password."""
    open_pages(harness)
    page = text(await harness.request("GET", "/"))
    assert [_value(field, "autocomplete") for field in _password_fields(page)] == ["new-password"] * 2


def _password_fields(page: str) -> list[str]:
    """Each input whose name says that it takes a password or a key."""
    fields = re.findall(r"<input\b[^>]*>", page)
    found = [field for field in fields if _value(field, "name") in {"password", "current", "again", "key"}]
    assert all(_value(field, "type") == "password" for field in found)
    return found


def _value(field: str, name: str) -> str:
    match = re.search(rf'\b{name}="([^"]*)"', field)
    return match[1] if match else ""
