"""The command `herod secret rotate-signing`: output and exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from herod.maintenance.signing_keys_at_startup import load_signing_keys
from herod.records import SigningKeyRecord
from herod_client.core.signing_keys import PlainAlgorithm
from support.stopped_store import NOW, OLD, opened


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the store and the secret that opens it."""
    monkeypatch.delenv("HEROD_STORE_SECRET", raising=False)
    monkeypatch.setenv("HERO_SECRET", OLD)
    return tmp_path / "herod.db"


async def start(path: Path, algorithm: PlainAlgorithm) -> None:
    """Simulate a daemon started with that algorithm."""
    async with opened(path) as one:
        await one.write(lambda tx: load_signing_keys(tx, secret=OLD, algorithm=algorithm, ttl=3600, now=NOW))


async def stops(path: Path) -> dict[str, int | None]:
    """The stored stop times."""
    async with opened(path) as one:
        return {record.id: record.expires_at for record in one.scan(SigningKeyRecord)}


async def test_a_new_key(store: Path, herod: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The report names both keys and the stop time of the old one, a token lifetime away."""
    monkeypatch.setattr("herod.maintenance.rotate_signing_key.time.time", lambda: NOW)
    await start(store, "EdDSA")
    (first,) = await stops(store)
    ended = herod("secret", "rotate-signing", "--store", f"sqlite:{store}", "--token-ttl", "60")
    assert ended.code == 0, ended.err
    after = await stops(store)
    assert after.pop(first) == NOW + 60
    ((second, stop),) = after.items()
    assert stop is None
    for word in (first, second, "2027-01-15T08:01:00Z"):
        assert word in ended.out
    answer = json.loads(herod("secret", "rotate-signing", "--store", f"sqlite:{store}", "--output", "json").out)
    (third,) = (name for name, stop in (await stops(store)).items() if stop is None)
    assert answer == {
        "store": str(store),
        "keys": [{"algorithm": "EdDSA", "for_apps": False, "kid": third, "retired": second}],
        "retired_until": "2027-01-15T09:00:00Z",
        "dropped": [],
    }


async def test_a_compromise(store: Path, herod: Callable[..., Any]) -> None:
    """With a compromise the report says that tokens have ended, and which key signs."""
    await start(store, "EdDSA")
    ended = herod("secret", "rotate-signing", "--store", f"sqlite:{store}", "--compromised")
    assert (ended.code, "have ended" in ended.out) == (0, True)
    assert list((await stops(store)).values()) == [None]
    await start(store, "HS256")
    ended = herod("secret", "rotate-signing", "--store", f"sqlite:{store}", "--compromised")
    assert (ended.code, "HERO_SECRET signs" in ended.out) == (0, True)
    assert await stops(store) == {"hs256": None}


async def test_where_the_secret_is_the_key(store: Path, herod: Callable[..., Any]) -> None:
    """With HS256 it is refused with both alternatives or, if one was already taken, with the next step."""
    await start(store, "HS256")
    for more in ((), ("--compromised",)):
        ended = herod("secret", "rotate-signing", "--store", f"sqlite:{store}", *more)
        assert (ended.code, ended.out) == (1, "")
        for words in ("HERO_SECRET", "herod secret rotate", "--signing EdDSA", 'signing = "EdDSA"'):
            assert words in " ".join(ended.err.split())
    config = store.with_name("herod.toml")
    config.write_text('signing = "EdDSA"\n')
    ended = herod("secret", "rotate-signing", "--store", f"sqlite:{store}", "--config", config)
    assert (ended.code, "the next start" in " ".join(ended.err.split())) == (1, True)


def test_no_store(store: Path, herod: Callable[..., Any]) -> None:
    """A missing store is named."""
    ended = herod("secret", "rotate-signing", "--store", f"sqlite:{store}")
    assert (ended.code, "there is no store" in " ".join(ended.err.split())) == (1, True)
    assert not store.exists()
