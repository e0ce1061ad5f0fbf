"""Changing the secret: at every moment one of the two opens the store, and every record is readable.

HEROD_KILL_ROUNDS rounds (50), from HEROD_SEED.
"""

import random
import time
from pathlib import Path

import pytest

from herod.credentials.secret_hashes import hash_secret
from herod.maintenance.rotate_hero_secret import rotate_secret
from herod.maintenance.signing_keys_at_startup import load_signing_keys
from herod.records import Account, ApiKey, Session, SigningKeyRecord
from herod.store.sqlite.disk.open_database import open_file
from herod.store.sqlite.offline_transaction import check_all
from herod.store.sqlite.sqlite_store import SqliteStore
from herod.store.store_interface import Writer
from herod_client.core.errors import RuntimeFailure, SettingsError, StartupError
from herod_client.core.signing_keys import SigningKeys
from store.samples import account, event, key, revocation, session
from support.killed_commands import killer
from support.soak_rounds import count, seed
from support.stopped_store import NEW, NOW, OLD, STORE, contents, opened, put, settings

ROUNDS = count("KILL_ROUNDS")
SEED = seed()
KEYS = 300
TTL = 3600


async def fill(path: Path, secret: str = OLD) -> None:
    """Fill a store with records of every kind."""
    async with opened(path, secret) as store:
        await put(store, *(key(f"k{n}") for n in range(KEYS)), account(email="ada@example.org"), session())
        await put(store, revocation())
        await store.write(audit_fifty)
        await start(store, secret)


def audit_fifty(tx: Writer) -> None:
    """Write fifty rows of the audit chain."""
    for number in range(50):
        tx.audit(event(number))


async def start(store: SqliteStore, secret: str, now: int = NOW) -> SigningKeys:
    """Load the signing keys as a start does."""
    return await store.write(
        lambda tx: load_signing_keys(tx, secret=secret, algorithm="HS256", ttl=TTL, now=now),
    )


def opens(path: Path, secret: str) -> bool:
    """Whether a secret opens the store, without changing it."""
    try:
        open_file(path, secret).connection.close()
    except SettingsError:
        return False
    return True


async def test_both_open_until_a_start_with_the_new_one(tmp_path: Path) -> None:
    """The old secret opens the store until the first start with the new one."""
    path = tmp_path / "herod.db"
    await fill(path)
    assert not rotate_secret(settings(path), NEW, now=NOW).is_done_before
    for _ in range(2):
        async with opened(path, OLD) as store:
            assert store.count(ApiKey) == KEYS
    assert opens(path, NEW)
    async with opened(path, NEW) as store:
        assert store.get(Account, "ada") is not None
        assert [row.event.operation for row in store.audit_rows()][-1] == "secret.rotate"
    assert not opens(path, OLD)
    assert rotate_secret(settings(path), NEW).is_done_before


async def test_tokens_of_the_old_secret_are_good_until_they_end(tmp_path: Path) -> None:
    """Tokens of the old secret stay valid for a token lifetime after the switch; then it is forgotten."""
    path = tmp_path / "herod.db"
    await fill(path)
    rotate_secret(settings(path), NEW, now=NOW)
    rotate_secret(settings(path), NEW, now=NOW)  # as after an interruption
    async with opened(path, OLD) as store:
        again = await start(store, OLD, NOW + 10)
        assert len(list(again)) == 1
    async with opened(path, NEW) as store:
        for now in (NOW + 100, NOW + 200):
            current, old = (await start(store, NEW, now)).find_all(None)
            assert (current.verifier, current.verifies_until) == (NEW.encode(), None)
            assert (old.verifier, old.verifies_until) == (OLD.encode(), NOW + 100 + TTL)
        keys = await start(store, NEW, NOW + 100 + TTL)
        assert len(list(keys)) == 1
        assert [one.id for one in store.scan(SigningKeyRecord)] == ["hs256"]


async def test_back_to_the_old_secret_and_on_again(tmp_path: Path) -> None:
    """A start with the old secret makes it current again, and its stop time begins with the next switch."""
    path = tmp_path / "herod.db"
    await fill(path, STORE)
    given = settings(path, OLD, store_secret=STORE)
    async with opened(path, STORE) as store:
        await start(store, OLD)
    rotate_secret(given, NEW, now=NOW)
    async with opened(path, STORE) as store:
        await start(store, NEW, NOW + 1)
        await start(store, OLD, NOW + 2)
        old = (await start(store, NEW, NOW + 50)).find_all(None)[1]
        assert old.verifies_until == NOW + 50 + TTL


async def test_a_retired_secret_keeps_its_end(tmp_path: Path) -> None:
    """If EdDSA signs already, the old secret keeps its stop time, and the new one verifies nothing."""
    path = tmp_path / "herod.db"
    await fill(path)
    async with opened(path) as store:
        await store.write(lambda tx: load_signing_keys(tx, secret=OLD, algorithm="EdDSA", ttl=TTL, now=NOW + 5))
    rotate_secret(settings(path), NEW, now=NOW + 50)
    async with opened(path, NEW) as store:
        keys = await store.write(
            lambda tx: load_signing_keys(tx, secret=NEW, algorithm="EdDSA", ttl=TTL, now=NOW + 100)
        )
        assert [(one.verifier, one.verifies_until) for one in keys.find_all(None)] == [(OLD.encode(), NOW + 5 + TTL)]


async def test_the_store_secret(tmp_path: Path) -> None:
    """The store secret changes separately, and a change of HERO_SECRET leaves it as the one that opens the store."""
    path = tmp_path / "herod.db"
    await fill(path, STORE)
    given = settings(path, OLD, store_secret=STORE)
    rotate_secret(given, NEW)
    assert opens(path, STORE)
    assert not opens(path, NEW)
    rotate_secret(given, NEW, is_store_secret=True)
    assert opens(path, STORE)
    assert opens(path, NEW)


async def test_refusals(tmp_path: Path) -> None:
    """An invalid rotation is refused in one line and changes nothing."""
    path = tmp_path / "herod.db"
    with pytest.raises(RuntimeFailure, match="no store"):
        rotate_secret(settings(path), NEW)
    await fill(path)
    for given, new, options, words in (
        (settings(path), OLD, {}, "in use already"),
        (settings(path), NEW, {"is_store_secret": True}, "is not set"),
        (settings(path, "quite another secret than before"), NEW, {}, "another secret"),
    ):
        with pytest.raises(StartupError, match=words):
            rotate_secret(given, new, **options)
    assert opens(path, OLD)
    assert not opens(path, NEW)


async def test_compromised(tmp_path: Path) -> None:
    """After a compromise the old secret opens nothing, signing keys, tokens and sessions end, and API keys stay."""
    path = tmp_path / "herod.db"
    await fill(path)
    async with opened(path) as store:
        cursor = store.cursor
        hashed = hash_secret(store.keyring, "key", "k1", "the key")
        wraps = open_wraps(path)
    assert rotate_secret(settings(path), NEW, is_compromised=True, now=NOW).untidied is None
    assert not opens(path, OLD)
    async with opened(path, NEW) as store:
        assert store.count(ApiKey) == len(list(store.scan(ApiKey))) == KEYS
        assert store.find(Account, "email", "ada@example.org")[0].epoch > 1000
        assert list(store.scan(Session)) == []
        assert list(store.scan(SigningKeyRecord)) == []
        assert store.changes(cursor).is_reset
        assert hash_secret(store.keyring, "key", "k1", "the key") == hashed
        verdict = await store.verify_audit()
        assert verdict.valid, verdict.reason
        assert (await start(store, NEW)).find_all(None)[0].verifier == NEW.encode()
        assert len(list(await start(store, NEW))) == 1
    assert not [name for name, content in contents(tmp_path).items() if wraps in content]
    assert rotate_secret(settings(path), NEW, is_compromised=True).is_done_before
    rotate_secret(settings(path, NEW), OLD, is_compromised=True)  # a renewed root can be renewed again
    async with opened(path, OLD) as store:
        assert hash_secret(store.keyring, "key", "k1", "the key") == hashed


def open_wraps(path: Path) -> bytes:
    """The wraps in the file."""
    one = open_file(path, OLD)
    one.connection.close()
    return one.wrap


async def test_a_broken_audit_chain_stays_broken(tmp_path: Path) -> None:
    """Resealing does not remove evidence of tampering from the audit chain."""
    path = tmp_path / "herod.db"
    await fill(path)
    one = open_file(path, OLD)
    one.connection.execute("UPDATE audit SET json = replace(json, 'ada', 'eve') WHERE seq = 20").fetchall()
    one.connection.close()
    rotate_secret(settings(path), NEW, is_compromised=True)
    async with opened(path, NEW) as store:
        verdict = await store.verify_audit()
    assert (verdict.valid, verdict.first_bad) == (False, 20)


async def test_a_damaged_record_stops_sealing_anew(tmp_path: Path) -> None:
    """A damaged record stops resealing, with nothing changed and the old secret valid."""
    path = tmp_path / "herod.db"
    await fill(path)
    one = open_file(path, OLD)
    one.connection.execute("UPDATE records SET owner = 'eve' WHERE id = 'k7'").fetchall()
    one.connection.close()
    with pytest.raises(RuntimeFailure, match="nothing was changed"):
        rotate_secret(settings(path), NEW, is_compromised=True)
    assert opens(path, OLD)


@pytest.mark.parametrize("is_compromised", [False, True])
async def test_killed_at_random_moments(tmp_path: Path, is_compromised: bool) -> None:
    """After a kill the old or the new secret opens the store, and every record is readable."""
    chance = random.Random(SEED)  # noqa: S311 - reproducible rounds
    path = tmp_path / "herod.db"
    await fill(path)
    started = time.monotonic()
    current, other = OLD, NEW
    rotate_secret(settings(path, current), other, is_compromised=is_compromised)
    longest = time.monotonic() - started
    current, other = other, current
    async with opened(path, current):
        pass
    seen: set[str] = set()
    with killer() as rounds:
        for number in range(ROUNDS):
            seconds = chance.uniform(0, longest * 1.2)
            ended = rounds.run("secret", [str(path), current, other, is_compromised], seconds)
            seen.add(ended)
            where = f"round {number} of seed {SEED}, {ended}"
            working = [secret for secret in (current, other) if opens(path, secret)]
            assert working, where
            assert ended != "ended" or other in working, where
            one = open_file(path, working[-1])
            verdict = check_all(one)
            assert verdict.valid, f"{where}: {verdict.reason}"
            ((keys,),) = one.connection.execute("SELECT count(*) FROM records WHERE kind = 'key'").fetchall()
            assert keys == KEYS, where
            one.connection.close()
            async with opened(path, working[-1]):  # as at the next start
                pass
            if working[-1] == other:
                current, other = other, current
    assert "killed" in seen
