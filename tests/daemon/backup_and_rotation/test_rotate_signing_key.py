"""Changing the key that signs tokens: with real daemons, in a store's file, and killed at random moments.

HEROD_KILL_ROUNDS rounds (20), from HEROD_SEED.
"""

import base64
import dataclasses
import json
import os
import random
import time
from pathlib import Path

import msgspec
import pytest

from herod.maintenance.rotate_hero_secret import rotate_secret
from herod.maintenance.rotate_signing_key import rotate_signing
from herod.maintenance.signing_keys_at_startup import load_signing_keys
from herod.records import SigningKeyRecord
from herod.store.sqlite.disk.open_database import open_file
from herod.store.sqlite.offline_transaction import check_all, readable, transaction
from herod.store.sqlite.sqlite_store import SqliteStore
from herod_client.core.access_tokens import Claims, issue
from herod_client.core.errors import RuntimeFailure, SettingsError
from herod_client.core.signing_keys import PlainAlgorithm, SigningKeys, hs256_key
from support.killed_commands import killer
from support.real_daemon import SECRET, Daemon, running
from support.soak_rounds import count, seed
from support.stopped_store import NEW, NOW, OLD, contents, opened, settings

ROUNDS = count("SIGNING_KILLS")
SEED = seed()
TTL = 3600


async def start(store: SqliteStore, algorithm: PlainAlgorithm, now: int = NOW) -> SigningKeys:
    """Load the signing keys as a start does."""
    return await store.write(lambda tx: load_signing_keys(tx, secret=OLD, algorithm=algorithm, ttl=TTL, now=now))


def stored(path: Path, secret: str = OLD) -> dict[str, SigningKeyRecord]:
    """The signing keys in a file, after checking that every record is readable."""
    one = open_file(path, secret)
    try:
        verdict = check_all(one)
        assert verdict.valid, verdict.reason
        return {record.id: record for record in readable(one, SigningKeyRecord)}
    finally:
        one.connection.close()


def part(token: str, index: int) -> bytes:
    """The decoded bytes of a part of a token."""
    text = token.split(".")[index]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def kid(token: str) -> str:
    """The `kid` of a token."""
    found: str = json.loads(part(token, 0))["kid"]
    return found


def forged(token: str, *, iat: int, exp: int) -> str:
    """A token that a service with HERO_SECRET could create."""
    claims = msgspec.json.decode(part(token, 1), type=Claims)
    return issue(msgspec.structs.replace(claims, iat=iat, exp=exp, jti="forged"), hs256_key(SECRET))


class Place:
    """A folder in which daemons run one after another, with an account."""

    def __init__(self, folder: Path, secret_file: Path) -> None:
        self.folder = folder
        self.path = folder / "store" / "herod.db"
        self._secret = secret_file
        self._client_id = ""

    def add_user(self, daemon: Daemon) -> None:
        """Add an account to issue tokens for."""
        added = daemon.herod("user", "add", "ada@example.org", "--save", str(self._secret), "--output", "json")
        assert added.returncode == 0, added.stderr
        self._client_id = json.loads(added.stdout)["client_id"]

    def token(self, daemon: Daemon) -> str:
        """A new token."""
        who = f"{self._client_id}:{self._secret.read_text().strip()}"
        status, answer, _ = daemon.curl("/token", "-u", who, "-d", "grant_type=client_credentials")
        assert status == 200, answer
        token: str = answer["access_token"]
        return token

    def good(self, daemon: Daemon, *tokens: str) -> list[bool]:
        """Which of the tokens are valid."""
        return [daemon.curl("/validate", "--json", json.dumps({"token": one}))[1]["valid"] for one in tokens]

    def end(self, name: str) -> None:
        """Move the stop time of a retired key into the past, as for a much later start."""
        one = open_file(self.path, SECRET)
        with transaction(one) as tx:
            record = tx.get(SigningKeyRecord, name)
            assert record is not None
            tx.put(msgspec.structs.replace(record, expires_at=int(time.time()) - 1))
        one.connection.close()

    def stop_of(self, name: str) -> int | None:
        """The stored stop time of a key."""
        return stored(self.path, SECRET)[name].expires_at


@pytest.fixture
def place(open_folder: Path, tmp_path: Path) -> Place:
    """A folder for this test."""
    return Place(open_folder / tmp_path.name, tmp_path / "secret")


def test_the_switch(place: Place) -> None:
    """From HS256 to EdDSA, until the old key stops, and back: each token is valid for as long as documented."""
    with running(place.folder) as daemon:
        place.add_user(daemon)
        old = place.token(daemon)
    assert json.loads(part(old, 0)) == {"alg": "HS256", "typ": "JWT"}
    with running(place.folder, "--signing", "EdDSA") as daemon:
        new = place.token(daemon)
        assert place.good(daemon, old, new) == [True, True]
    stop = place.stop_of("hs256")
    assert stop is not None
    assert json.loads(part(old, 1))["exp"] <= stop <= int(time.time()) + TTL

    now = int(time.time())
    within, beyond = forged(old, iat=now - 10, exp=stop), forged(old, iat=now, exp=stop + 1)
    with running(place.folder, "--signing", "EdDSA", HEROD_TOKEN_TTL="7200") as daemon:
        assert kid(place.token(daemon)) == kid(new)
        assert place.good(daemon, old, new, within, beyond) == [True, True, True, False]  # as docs/signing.md says
    assert place.stop_of("hs256") == stop
    place.end("hs256")
    with running(place.folder, "--signing", "EdDSA") as daemon:
        fresh = forged(old, iat=now, exp=now + TTL)
        assert place.good(daemon, old, within, beyond, fresh, new) == [False, False, False, False, True]

    with running(place.folder) as daemon:
        back = place.token(daemon)
        assert "kid" not in json.loads(part(back, 0))
        assert place.good(daemon, new, back) == [True, True]
    assert place.stop_of("hs256") is None
    retired = place.stop_of(kid(new))
    assert retired is not None
    assert json.loads(part(new, 1))["exp"] <= retired <= int(time.time()) + TTL


def test_rotating_as_an_operator_does(place: Place) -> None:
    """Refused while the daemon runs; then old and new tokens are valid together, and after a compromise no old one."""
    rotate = ("secret", "rotate-signing", "--store", f"sqlite:{place.path}")
    with running(place.folder, "--signing", "EdDSA") as daemon:
        place.add_user(daemon)
        old = place.token(daemon)
        refused = daemon.herod(*rotate)
        assert (refused.returncode, "in use" in refused.stderr) == (1, True)
    done = daemon.herod(*rotate, "--output", "json")
    assert done.returncode == 0, done.stderr
    (rotated,) = json.loads(done.stdout)["keys"]
    with running(place.folder, "--signing", "EdDSA") as daemon:
        new = place.token(daemon)
        assert (kid(old), kid(new)) == (rotated["retired"], rotated["kid"])
        assert place.good(daemon, old, new) == [True, True]
    leaked = daemon.herod(*rotate, "--compromised")
    assert leaked.returncode == 0, leaked.stderr
    with running(place.folder, "--signing", "EdDSA") as daemon:
        assert place.good(daemon, old, new, place.token(daemon)) == [False, False, True]


async def test_what_is_written(tmp_path: Path) -> None:
    """The new key signs, the old one has its stop time, the audit log names both, and the file discloses no key."""
    path = tmp_path / "herod.db"
    async with opened(path) as store:
        first = (await start(store, "EdDSA")).current.kid
        assert first is not None
    done = rotate_signing(settings(path), now=NOW + 5)
    kept = stored(path)
    assert done.store == str(path)
    (rotated,) = done.change.rotated
    assert {name: record.expires_at for name, record in kept.items()} == {
        first: NOW + 5 + TTL,
        rotated.current: None,
    }
    assert not [name for name, content in contents(tmp_path).items() for one in kept.values() if one.private in content]
    rotate_signing(settings(path), now=NOW + 5 + TTL)
    again = rotate_signing(settings(path), is_compromised=True, now=NOW + 6 + TTL)
    assert set(stored(path)) == {again.change.rotated[0].current}
    async with opened(path) as store:
        said = [row.event for row in store.audit_rows()]
        assert (await start(store, "EdDSA", NOW + 7 + TTL)).current.kid == again.change.rotated[0].current
    assert [(one.operation.removeprefix("signing."), one.target == first) for one in said] == [
        ("current", True),
        ("retire", True),
        ("current", False),
        ("forget", True),
        ("retire", False),
        ("current", False),
        ("drop", False),
        ("drop", False),
        ("current", False),
    ]
    assert {one.actor for one in said[1:]} == {"offline"}
    assert {one.source for one in said[1:]} == {f"uid:{os.getuid()}"}


async def test_refusals(tmp_path: Path) -> None:
    """An invalid rotation is refused in one line that says what to do, and changes nothing."""
    path = tmp_path / "herod.db"
    with pytest.raises(RuntimeFailure, match="no store"):
        rotate_signing(settings(path))
    async with opened(path) as store:
        await start(store, "HS256")
    before = stored(path)
    with pytest.raises(RuntimeFailure, match="HERO_SECRET itself"):
        rotate_signing(settings(path))
    with pytest.raises(RuntimeFailure, match="the next start"):
        rotate_signing(dataclasses.replace(settings(path), signing="EdDSA"))
    with pytest.raises(SettingsError, match="another secret"):
        rotate_signing(settings(path, NEW))
    assert stored(path) == before


async def test_both_changes_together(tmp_path: Path) -> None:
    """Between a change of the secret and the next start, the signing key can be changed under either secret."""
    path = tmp_path / "herod.db"
    async with opened(path) as store:
        await start(store, "EdDSA")
    rotate_secret(settings(path), NEW, now=NOW)
    for secret in (OLD, NEW):
        rotate_signing(settings(path, secret), now=NOW)
        assert len(stored(path, OLD)) == len(stored(path, NEW))
    assert sorted(record.expires_at or 0 for record in stored(path).values()) == [0, NOW + TTL, NOW + TTL]


async def test_killed_at_random_moments(tmp_path: Path) -> None:
    """After a kill exactly one key signs, the old or the new one, and no key with valid tokens is lost."""
    chance = random.Random(SEED)  # noqa: S311 - reproducible rounds
    path = tmp_path / "herod.db"
    async with opened(path) as store:
        await start(store, "EdDSA")
    started = time.monotonic()
    rotate_signing(settings(path), now=NOW)
    longest = time.monotonic() - started
    before, changed, seen = stored(path), 0, set()
    with killer() as rounds:
        for number in range(ROUNDS):
            now = NOW + number * 100
            ended = rounds.run("signing", [str(path), OLD, now], chance.uniform(0, longest * 1.2))
            seen.add(ended)
            where = f"round {number} of seed {SEED}, {ended}"
            after = stored(path)
            current = [record for record in after.values() if record.expires_at is None]
            assert len(current) == 1, where
            if current[0].id in before:
                assert ended == "killed", where
                assert after == before, where
            else:
                changed += 1
                live = {
                    one.id: one.expires_at or now + TTL for one in before.values() if (one.expires_at or now + 1) > now
                }
                assert {one.id: one.expires_at for one in after.values() if one not in current} == live, where
            before = after
    assert "killed" in seen
    async with opened(path) as store:
        operations = [row.event.operation for row in store.audit_rows()]
        assert operations.count("signing.retire") == changed + 1
