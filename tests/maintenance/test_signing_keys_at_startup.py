"""Before the first request: which keys sign and verify, and the first admin key."""

from operator import methodcaller
from pathlib import Path

import pytest

from herod.bootstrap_admin_key import give_bootstrap_key
from herod.identity.credential_types import Bearer
from herod.maintenance.signing_keys_at_startup import create_bootstrap_key, load_signing_keys
from herod.pipeline.app_signing_keys import new_signing_record
from herod.records import ApiKey, App, SigningKeyRecord
from herod.store.store_interface import Writer
from herod_client.core.errors import InvalidRequest
from herod_client.core.signing_keys import PlainAlgorithm, PublicAlgorithm, SigningKeys, new_private
from herod_client.core.times import rfc3339_text
from support.herod_in_memory import NOW, SECRET, Harness

TTL = 3600


async def start(harness: Harness, algorithm: PlainAlgorithm, now: int = NOW) -> SigningKeys:
    """Load the keys as the daemon does."""
    return await harness.store.write(
        lambda tx: load_signing_keys(tx, secret=SECRET, algorithm=algorithm, ttl=TTL, now=now)
    )


def operations(harness: Harness) -> list[str]:
    """The operations in the audit log."""
    return [row.event.operation for row in harness.store.audit_rows()]


async def test_the_first_start_keeps_the_key_and_a_second_changes_nothing(harness: Harness) -> None:
    """HS256 has no kid, its record contains no secret, and a second start changes nothing."""
    keys = await start(harness, "HS256")
    assert (keys.current.algorithm, keys.current.kid) == ("HS256", None)
    await start(harness, "HS256", NOW + 10)
    assert operations(harness) == ["signing.current"]
    assert [record.private for record in harness.store.scan(SigningKeyRecord)] == [b""]


async def test_a_switch_gives_the_old_key_a_hard_stop_that_stays(harness: Harness) -> None:
    """The old key verifies until its last possible token has expired, however often the daemon restarts."""
    await start(harness, "HS256")
    first = await start(harness, "EdDSA", NOW + 10)
    second = await start(harness, "EdDSA", NOW + 500)
    assert first.current.kid == second.current.kid
    for keys in (first, second):
        old = next(key for key in keys.find_all(None) if key.algorithm == "HS256")
        assert old.verifies_until == NOW + 10 + TTL
    assert operations(harness) == ["signing.current", "signing.retire", "signing.current"]


async def test_switching_back_revives_hs256_and_retires_the_other(harness: Harness) -> None:
    """Switching back reuses HS256; a later EdDSA key is new, because a retired key never signs again."""
    first = (await start(harness, "EdDSA")).current.kid
    keys = await start(harness, "HS256", NOW + 10)
    assert (keys.current.algorithm, keys.current.verifies_until) == ("HS256", None)
    assert [key.verifies_until for key in keys.find_all(first)] == [NOW + 10 + TTL]
    assert (await start(harness, "EdDSA", NOW + 20)).current.kid != first


async def test_a_start_with_a_clock_that_is_ahead_deletes_no_key(harness: Harness) -> None:
    """A retired key that only looks stopped is kept, and verifies again once the clock is corrected."""
    retired = (await start(harness, "EdDSA")).current.kid
    await start(harness, "HS256", NOW + 10)

    def load(tx: Writer) -> SigningKeys:
        now = NOW + 25 * 3600
        return load_signing_keys(tx, secret=SECRET, algorithm="HS256", ttl=TTL, now=now, earliest=NOW + 20)

    await harness.store.write(load)
    keys = await start(harness, "HS256", NOW + 30)
    assert [key.verifies_until for key in keys.find_all(retired)] == [NOW + 10 + TTL]
    assert not (await start(harness, "HS256", NOW + 10 + TTL)).find_all(retired)


async def test_the_bootstrap_key_is_an_admin_and_made_once(harness: Harness) -> None:
    """A second start with the name creates no other key."""

    async def create(name: str) -> str | None:
        return await harness.store.write(
            lambda tx: create_bootstrap_key(tx, harness.runtime.keyring, name=name, now=harness.clock.now)
        )

    text = await create("my-admin")
    assert text is not None
    who = await harness.call("whoami", Bearer(text))
    assert (who.kind, who.scope, who.name) == ("service", "admin", "my-admin")
    assert await create(" my-admin ") is None
    assert harness.store.count(ApiKey) == 1
    assert operations(harness) == ["keys.bootstrap"]
    with pytest.raises(InvalidRequest):
        await create("herod")


async def test_no_start_replaces_a_bootstrap_key_that_expired(
    harness: Harness, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever gave the bootstrap key an end meant it: the next start says how to give it another, and makes none."""
    text = await harness.service_key("admin", "my-admin", expires_at=rfc3339_text(NOW + 10))
    harness.clock.now += 10
    with caplog.at_level("INFO", logger="herod"):
        await give_bootstrap_key("my-admin", harness.store, tmp_path, clock=harness.clock)
    assert f"herod key rotate {text.split('_')[2]} --expires never" in caplog.text
    assert harness.store.count(ApiKey) == 1


async def test_keys_for_apps_outlive_starts(harness: Harness) -> None:
    """Keys for apps go on signing over starts and switches; a plain EdDSA key is another than the one for apps."""
    kids: dict[PublicAlgorithm, str] = {}
    algorithms: tuple[PublicAlgorithm, ...] = ("RS256", "EdDSA")
    plain_ones: tuple[PlainAlgorithm, ...] = ("HS256", "EdDSA", "HS256")
    app = App(id="a", created_at=NOW, name="Wiki", creator="test", scope=("read",), id_token_algorithm="EdDSA")
    await harness.store.write(methodcaller("put", app))
    for algorithm in algorithms:
        record = new_signing_record(algorithm, new_private(algorithm), now=NOW, for_apps=True)
        await harness.store.write(methodcaller("put", record))
        kids[algorithm] = record.id
    for number, plain in enumerate(plain_ones):
        keys = await start(harness, plain, NOW + number)
        for algorithm, kid in kids.items():
            key = keys.for_apps(algorithm)
            assert key is not None
            assert (key.kid, key.verifies_until) == (kid, None)
        assert keys.for_apps("ES256") is None
        assert keys.current.algorithm == plain
        assert keys.current.kid not in kids.values()


async def test_keys_for_apps_that_no_app_uses(harness: Harness) -> None:
    """A key of an algorithm that no app has any more gets a hard stop; RS256 stays, and a later app gets a new key."""
    algorithms: tuple[PublicAlgorithm, ...] = ("RS256", "ES256", "EdDSA")
    made = {one: new_signing_record(one, new_private(one), now=NOW, for_apps=True) for one in algorithms}
    app = App(id="a", created_at=NOW, name="Wiki", creator="test", scope=("read",), id_token_algorithm="ES256")
    for record in (*made.values(), app):
        await harness.store.write(methodcaller("put", record))
    keys = await start(harness, "HS256", NOW + 10)
    assert [keys.for_apps(one) is not None for one in algorithms] == [True, True, False]
    retired = keys.find(made["EdDSA"].id)
    assert retired is not None
    assert retired.verifies_until == NOW + 10 + TTL
    await start(harness, "HS256", NOW + 10 + TTL)
    kids = {record.id for record in harness.store.scan(SigningKeyRecord)}
    assert kids == {"hs256", made["RS256"].id, made["ES256"].id}


async def test_two_keys_for_apps_of_one_algorithm(harness: Harness) -> None:
    """If two herods made one at once, the first signs; the other verifies until its hard stop."""
    first, second = (
        new_signing_record("RS256", new_private("RS256"), now=NOW + number, for_apps=True) for number in (0, 1)
    )
    for record in (second, first):
        await harness.store.write(methodcaller("put", record))
    keys = await start(harness, "HS256", NOW + 10)
    signing, other = keys.for_apps("RS256"), keys.find(second.id)
    assert signing is not None
    assert other is not None
    assert (signing.kid, other.verifies_until) == (first.id, NOW + 10 + TTL)
    await start(harness, "HS256", NOW + 10 + TTL)
    assert {record.id for record in harness.store.scan(SigningKeyRecord)} == {"hs256", first.id}
