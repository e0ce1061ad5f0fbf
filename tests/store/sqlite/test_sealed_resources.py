"""Resources in the file: none of their data is in plaintext, and they are found after a change of the root key."""

from pathlib import Path

import pytest

from herod.maintenance.rotate_hero_secret import rotate_secret
from herod.records import Resource
from store.samples import resource
from support.stopped_store import NEW, OLD, contents, opened, put, settings

SECRET = "a tenant's very own words"
MADE = resource(secret=SECRET, type="paperweights", name="the web server", attributes=b'{"note":"remarkable"}')


@pytest.mark.parametrize("is_compromised", [False, True])
async def test_they_are_found_after_a_change_of_the_secret(tmp_path: Path, is_compromised: bool) -> None:
    """Resources are found by sid and in lists, because their lookups are recomputed with the new root."""
    path = tmp_path / "herod.db"
    async with opened(path, OLD) as store:
        await put(store, MADE)
    rotate_secret(settings(path), NEW, is_compromised=is_compromised)
    async with opened(path, NEW) as store:
        assert MADE.lookup is not None
        assert store.find(Resource, *MADE.lookup) == [MADE]
        assert store.list(Resource, owner=MADE.owner_id).items == [MADE]


async def test_nothing_stands_in_the_clear(tmp_path: Path) -> None:
    """Secret, kind, name, attributes and claimant are not in plaintext in any of the store's files."""
    async with opened(tmp_path / "herod.db", OLD) as store:
        await put(store, MADE)
    content = b"".join(contents(tmp_path).values())
    assert MADE.id.encode() in content
    for word in (SECRET.encode(), b"paperweights", b"the web server", b"remarkable", b"compute"):
        assert word not in content
