"""Admission: which operations a credential opens, alone and in the lists of menus and tools."""

import pytest

from herod.identity.credential_types import Bearer, Presented
from herod.operations.operation_table import OPERATIONS
from herod_client.core.errors import BadCredentials, Unauthenticated
from support.herod_in_memory import ADMIN_SOURCE, TCP, Harness


async def test_what_would_be_admitted(harness: Harness) -> None:
    """`admitted` decides as `call` does, without running or recording anything."""
    reader = await (await harness.user("read")).bearer()
    asked = [OPERATIONS[name] for name in ("keys.list", "users.list", "whoami", "health")]
    assert harness.pipeline.admitted(asked, reader, ADMIN_SOURCE) == {"keys.list", "whoami", "health"}
    for nobody in (None, Bearer("nobody's")):
        assert harness.pipeline.admitted(asked, nobody, ADMIN_SOURCE) == {"health"}
    assert not harness.pipeline.denials.take(None)


async def credentials_of(harness: Harness) -> dict[str, Presented | None]:
    """One credential of every sort that opens different operations."""
    admin, reader = await harness.user("admin"), await harness.user("read")
    return {
        "nobody": None,
        "admin": admin.basic,
        "reader": reader.basic,
        "token": await reader.bearer(),
        "user key": Bearer(await admin.key("admin")),
        "service key": Bearer(await harness.service_key("read", "a")),
        "admin's service key": Bearer(await harness.service_key("admin", "b")),
        "session": await reader.session(),
    }


async def test_admitted_is_what_each_call_would_be(harness: Harness) -> None:
    """Operations that ask for the same are decided together, with the answer that each has alone."""
    for name, presented in (await credentials_of(harness)).items():
        alone = {
            one
            for one, operation in OPERATIONS.items()
            if harness.pipeline.admitted([operation], presented, ADMIN_SOURCE)
        }
        together = harness.pipeline.admitted(OPERATIONS.values(), presented, ADMIN_SOURCE)
        assert together == alone, name


async def test_a_visit(harness: Harness) -> None:
    """A visit answers a plain query and lists the other operations; a refusal is noted as of any call."""
    reader = (await harness.user("read")).basic
    whoami = OPERATIONS["whoami"]
    who, granted = await harness.pipeline.visit(
        whoami, whoami.params(), reader, ADMIN_SOURCE, among=OPERATIONS.values()
    )
    assert who.scope == "read"
    assert granted == harness.pipeline.admitted(OPERATIONS.values(), reader, ADMIN_SOURCE)
    with pytest.raises(Unauthenticated):
        await harness.pipeline.visit(whoami, whoami.params(), Bearer("nobody's"), ADMIN_SOURCE, among=())
    assert harness.pipeline.denials.take(None)
    add = OPERATIONS["users.add"]
    with pytest.raises(TypeError, match="not a plain query"):
        await harness.pipeline.visit(add, add.params(), reader, ADMIN_SOURCE, among=())


async def test_a_missing_credential_is_named(harness: Harness) -> None:
    """The refusal names the credentials that the operation takes."""
    with pytest.raises(BadCredentials, match=r"a client id and secret \(Authorization: Basic\) or Authorization: Peer"):
        await harness.call("token.create", None)
    with pytest.raises(BadCredentials, match=r"present a client id and secret \(Authorization: Basic\)\."):
        await harness.call("token.create", None, TCP)
    with pytest.raises(BadCredentials, match="send Authorization: Bearer"):
        await harness.call("whoami", None)
