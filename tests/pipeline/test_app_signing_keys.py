"""Keys that sign for apps: made when one is needed, once, and used only when they are stored."""

from collections.abc import Callable
from operator import methodcaller

import pytest

from herod.pipeline.app_signing_keys import (
    PreparedKey,
    key_for_apps,
    new_signing_record,
    prepare_key_for_apps,
    public_algorithm,
    signing_key_of,
)
from herod.pipeline.operation_definition import Context, GivesNothing, NoParams, NoTarget, Operation, command
from herod.records import SigningKeyRecord
from herod.scopes.decisions import Access
from herod.scopes.principal import ANONYMOUS, Source
from herod.store.store_interface import Reader, Writer
from herod_client.core.errors import Conflict, HerodError
from herod_client.core.signing_keys import PublicAlgorithm, new_private
from support.herod_in_memory import NOW, Harness

SOURCE = Source(address="127.0.0.1")


def signing_with(
    algorithm: PublicAlgorithm, after: Callable[[], None] = lambda: None, refused: HerodError | None = None
) -> Operation:
    """An operation that signs for an app."""

    @command(
        "test.sign",
        needs=Access.PUBLIC,
        example={},
        credential=True,
        gives=GivesNothing("a test"),
        target=NoTarget("a test"),
        prepare=lambda reader, context, params: prepare_key_for_apps(context.runtime, algorithm),
    )
    def sign(tx: Writer, context: Context, params: NoParams) -> str:
        """Sign for an app."""
        key = key_for_apps(tx, context, algorithm)
        after()
        context.refused = refused
        return f"{key.kid} {key.sign(b'data').hex()}"

    return sign


async def signed(harness: Harness, operation: Operation) -> tuple[str, bytes]:
    """Call it: the `kid` and the signature."""
    kid, signature = (await harness.pipeline.call(operation, NoParams(), None, SOURCE)).split()
    return kid, bytes.fromhex(signature)


def stored(reader: Reader) -> list[tuple[str, str, bool]]:
    """The stored keys: algorithm, `kid` and whether they sign for apps."""
    return [(one.algorithm, one.id, one.for_apps) for one in reader.scan(SigningKeyRecord)]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_made_once(harness: Harness, algorithm: PublicAlgorithm) -> None:
    """The first need makes and stores the key, which is listed and verifies at once; later ones use it."""
    operation = signing_with(algorithm)
    kid, signature = await signed(harness, operation)
    assert stored(harness.store) == [(algorithm, kid, True)]
    key = harness.runtime.signing.for_apps(algorithm)
    assert key is not None
    assert (key.kid, key.algorithm, key.verify(b"data", signature)) == (kid, algorithm, True)
    assert harness.runtime.signing.find(kid) is key
    assert (await signed(harness, operation))[0] == kid
    assert harness.runtime.signing.for_apps(algorithm) is key
    assert [row.event.operation for row in harness.store.audit_rows()].count("signing.current") == 1


async def test_one_of_each(harness: Harness) -> None:
    """Keys of several algorithms stand side by side, and plain tokens keep their own."""
    plain = harness.runtime.signing.current
    kids = {(await signed(harness, signing_with(algorithm)))[0] for algorithm in ("RS256", "ES256", "EdDSA")}
    assert len(kids) == 3
    assert harness.runtime.signing.current is plain
    assert {key.kid for key in harness.runtime.signing} == {None, *kids}


async def test_a_refused_change_leaves_no_key(harness: Harness) -> None:
    """If the operation fails after the key was made, neither store nor memory has it."""

    def fail() -> None:
        raise Conflict("Conflicts with the current state.")

    with pytest.raises(Conflict):
        await harness.pipeline.call(signing_with("ES256", fail), NoParams(), None, SOURCE)
    assert stored(harness.store) == []
    assert harness.runtime.signing.for_apps("ES256") is None


async def test_a_refusal_that_is_kept(harness: Harness) -> None:
    """If the operation refuses and keeps what it changed, the key is stored and used."""
    with pytest.raises(Conflict):
        await harness.pipeline.call(signing_with("ES256", refused=Conflict("No.")), NoParams(), None, SOURCE)
    key = harness.runtime.signing.for_apps("ES256")
    assert key is not None
    assert stored(harness.store) == [("ES256", key.kid, True)]


async def test_the_first_writer_wins(harness: Harness) -> None:
    """A key that another herod at the same store made meanwhile is used; a second one is not made."""
    theirs = new_signing_record("RS256", new_private("RS256"), now=NOW, for_apps=True)
    later = new_signing_record("RS256", new_private("RS256"), now=NOW + 1, for_apps=True)
    plain = new_signing_record("EdDSA", new_private("EdDSA"), now=NOW)
    for record in (later, theirs, plain):
        await harness.store.write(methodcaller("put", record))
    assert (await signed(harness, signing_with("RS256")))[0] == theirs.id
    assert (await signed(harness, signing_with("EdDSA")))[0] != plain.id
    assert len(stored(harness.store)) == 4


async def test_prepared_outside_of_the_transaction(harness: Harness) -> None:
    """What was prepared for another algorithm is not used, and the private key is in no `repr`."""
    work = prepare_key_for_apps(harness.runtime, "RS256")
    assert work is not None
    prepared = work()
    assert isinstance(prepared, PreparedKey)
    assert repr(prepared) == "PreparedKey(algorithm='RS256')"
    context = Context(
        runtime=harness.runtime,
        process=harness.pipeline.process,
        principal=ANONYMOUS,
        source=SOURCE,
        now=NOW,
        prepared=prepared,
    )
    assert (await harness.store.write(lambda tx: key_for_apps(tx, context, "ES256"))).algorithm == "ES256"
    key = await harness.store.write(lambda tx: key_for_apps(tx, context, "RS256"))
    assert key.kid == new_signing_record("RS256", prepared.private, now=NOW).id


def test_no_public_algorithm() -> None:
    """HS256 has no public key, and a record of it gives none."""
    for name in ("HS256", "none", "RS512", ""):
        with pytest.raises(ValueError, match="no public algorithm"):
            public_algorithm(name)
    with pytest.raises(ValueError, match="no public algorithm"):
        signing_key_of(SigningKeyRecord(id="hs256", created_at=NOW, algorithm="HS256", private=b"s" * 32))
