"""The page of legacy secrets: their uses, and their promotion to keys."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from herod.identity.credential_types import Bearer
from herod.records import ApiKey
from support.herod_in_memory import LEGACY, Harness, open_harness
from support.page_visitor import open_pages, said, secret_of, text, visit


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness with pages."""
    async with open_harness() as built:
        open_pages(built)
        yield built


def admin_secret(harness: Harness) -> str:
    """The id of the legacy secret with scope admin."""
    (found,) = (secret.id for secret in harness.runtime.config.legacy.all() if secret.scope == "admin")
    return found


async def test_what_there_is(harness: Harness) -> None:
    """The list shows ids, scopes, uses and sources, but no secret."""
    await harness.call("whoami", Bearer(LEGACY["user"]))
    page = await (await visit(harness)).read("/ui/legacy")
    for secret in harness.runtime.config.legacy.all():
        assert f"<code>{secret.id}</code>" in page
    assert page.count("setting user_secret") == 1
    assert "<code>uid:990</code>" in page
    assert page.count("nothing yet") == 3
    for secret_text in LEGACY.values():
        assert secret_text not in page


async def test_promoting(harness: Harness) -> None:
    """The key is shown once with the next steps; afterwards the list names it and no longer offers promotion."""
    admin = await visit(harness)
    secret = admin_secret(harness)
    answer = await admin.send("/ui/legacy", id=secret, name="runners <b>", expires_at="2030-01-31")
    page = text(answer)
    assert answer.status == 201
    key = secret_of(page)
    record = harness.store.get(ApiKey, key.split("_")[2])
    assert record is not None
    assert (record.name, record.scope) == ("runners <b>", ("admin",))
    assert record.expires_at == int(datetime(2030, 1, 31, 23, 59, 59, tzinfo=UTC).timestamp())
    for word in ("<code>admin_secret</code>", "systemctl reload herod", "runners &lt;b&gt;"):
        assert word in page
    again = await admin.read("/ui/legacy")
    assert key not in again
    assert "runners &lt;b&gt;" in again
    assert f'<option value="{secret}"' not in again
    assert (await harness.call("whoami", Bearer(key))).scope == "admin"


async def test_without_a_name_it_is_called_as_the_secret(harness: Harness) -> None:
    """Without a name the key is named after the secret, and never expires."""
    admin = await visit(harness)
    secret = admin_secret(harness)
    key = secret_of(text(await admin.send("/ui/legacy", id=secret, name="", expires_at="")))
    record = harness.store.get(ApiKey, key.split("_")[2])
    assert record is not None
    assert (record.name, record.expires_at) == (secret, None)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"id": "legacy-none"}, 404),
        ({"id": ""}, 400),
        ({"expires_at": "2020-01-01"}, 400),
        ({"expires_at": '"><script>'}, 400),
        ({"name": "\u202e"}, 400),
    ],
)
async def test_what_is_refused(harness: Harness, fields: dict[str, str], status: int) -> None:
    """A refusal is shown above the form with the input kept, and no key is created."""
    admin = await visit(harness)
    answer = await admin.send("/ui/legacy", **{"id": admin_secret(harness), "name": "<kept>", **fields})
    assert answer.status == status
    assert said(text(answer))
    assert "name" in fields or 'value="&lt;kept&gt;"' in text(answer)
    assert "<script>" not in text(answer)
    assert harness.store.count(ApiKey) == 0


async def test_twice(harness: Harness) -> None:
    """A second promotion is refused with the existing key."""
    admin = await visit(harness)
    await admin.send("/ui/legacy", id=admin_secret(harness))
    answer = await admin.send("/ui/legacy", id=admin_secret(harness))
    assert answer.status == 409
    assert "herod key rotate" in text(answer)


async def test_none(harness: Harness) -> None:
    """Without legacy secrets there is no form."""
    harness.configure(legacy=type(harness.runtime.config.legacy)(harness.store.keyring, []))
    page = await (await visit(harness)).read("/ui/legacy")
    assert "No legacy secrets" in page
    assert not re.search("Create the key", page)


async def test_others(harness: Harness) -> None:
    """Non-admins see and create nothing."""
    reader = await visit(harness, "bob@example.org", scope="write", name="Bob")
    assert (await reader.get("/ui/legacy")).status == 403
    assert (await reader.send("/ui/legacy", id=admin_secret(harness))).status == 403
    assert harness.store.count(ApiKey) == 0
