"""A herod with the embedded store, filled with the largest and the most records that its limits allow."""

import gc
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from herod.audit_event import AuditEvent
from herod.credentials.secret_hashes import hash_secret
from herod.dashboard.quart_app import make_app
from herod.event_loop_watch import LoopWatch, WatchedPipeline
from herod.identity.config import Config
from herod.identity.legacy_secrets import LegacySecrets
from herod.identity.runtime_state import Runtime
from herod.operations.operation_table import OPERATIONS
from herod.operations.resources.owned_resources import MAX_ATTRIBUTE_BYTES
from herod.pipeline.process.process_state import ProcessState
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.http import Handler, Request, Response
from herod.protocols.router import Router
from herod.records import Account, ApiKey, PeerRule, Record, Resource, Revocation, Session
from herod.scopes.principal import Peer, Source
from herod.server.dashboard_requests import PageRequests
from herod.store.sqlite.sealed_rows import Row, RowCodec
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod.store.store_interface import Writer
from herod_client.core.grants import MAX_NETWORKS
from herod_client.core.key_format import KeyKind, new_id, new_key, new_key_id
from herod_client.core.scope_graph import MAX_SCOPES, ScopeGraph
from herod_client.core.signing_keys import SigningKeys, hs256_key
from support.herod_in_memory import NOW, SECRET, TCP

__all__ = ["GROUPS", "PEER", "Opened", "Worst", "open_worst"]

BATCH: Final = 500
LONGEST_NAME: Final = "\U0001f980" * 128
NETWORKS: Final = tuple(f"{number:02}{'n' * 62}" for number in range(MAX_NETWORKS))
BUILT_IN: Final = 6
SCOPES: Final = {f"s{number:02}{'s' * 61}": ("read",) for number in range(MAX_SCOPES - BUILT_IN)}
# The most that the kernel's answer can hold.
GROUPS: Final = frozenset(range(10_000, 10_255))
PEER: Final = Source(peer=Peer(uid=4711, gid=9999, groups=GROUPS), cookie="cookie")
ATTRIBUTES: Final = b'{"a":[' + b"[],"[:3] * ((MAX_ATTRIBUTE_BYTES - 20) // 3) + b"[]]}"


class Opened(trio.abc.Instrument):
    """Counts the rows that are decrypted on the event loop in one step.

    Attributes:
        most: in the longest step so far.
    """

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.most = 0
        self._count = 0
        self._thread = threading.get_ident()
        original = RowCodec.open

        def open_row(codec: RowCodec, record_type: type[Any], row: Row) -> Any:
            self._count += threading.get_ident() == self._thread
            return original(codec, record_type, row)

        patched.setattr(RowCodec, "open", open_row)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """End a step."""
        self.most = max(self.most, self._count)
        self._count = 0


@dataclass
class Worst:
    """The daemon without its sockets, over a full store.

    Attributes:
        credentials: name of a caller → its headers; "peer" and strangers have other sources, too.
        ids: an id of a record of each caller, by caller and kind.
        watch: the longest steps of the event loop.
    """

    store: SqliteStore
    runtime: Runtime
    handle: Handler
    watch: LoopWatch
    credentials: dict[str, dict[str, str]] = field(default_factory=dict)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)

    async def request(
        self, method: str, target: str, headers: dict[str, str], body: bytes = b"", source: Source = TCP
    ) -> Response:
        """Send a request through the router, as the server would."""
        path, _, query = target.partition("?")
        return await self.handle(Request(method, path, query, {"host": "localhost", **headers}, body, source))


@asynccontextmanager
async def open_worst(folder: Path, *, many: int) -> AsyncIterator[Worst]:
    """Open a full store.

    Args:
        many: how many records of each kind the callers have.
    """
    store = open_sqlite(folder / "herod.db", SECRET, now=NOW)
    async with store:
        runtime = Runtime(
            config=Config(
                version="0.0.test",
                graph=ScopeGraph(SCOPES),
                networks=frozenset({"*"}),
                issuer="hero_auth",
                public_url="http://localhost",
                token_ttl=3600,
                registration="open",
                legacy=LegacySecrets(store.keyring, [("user", f"legacy secret number {one}") for one in range(64)]),
                daemon_uid=990,
            ),
            keyring=store.keyring,
            signing=SigningKeys(hs256_key(SECRET)),
            boot_epoch=7,
            started_at=NOW,
        )
        watch = LoopWatch(time.thread_time)  # other processes do not count
        pipeline = WatchedPipeline(store, runtime, clock=lambda: NOW, process=ProcessState(operations=OPERATIONS))
        pages = PageRequests(partial(make_app, pipeline, OPERATIONS))
        worst = Worst(store, runtime, watch.names(Router(pipeline, OPERATIONS, Guard(), pages)), watch)
        for records in _batches(_records(worst, many)):
            await store.write(partial(_put, records))
        gc.collect()
        gc.disable()  # what the test remembers would make collections long
        trio.lowlevel.add_instrument(watch)
        try:
            yield worst
        finally:
            trio.lowlevel.remove_instrument(watch)
            gc.enable()


def _put(records: list[Record], tx: Writer) -> None:
    for record in records:
        tx.put(record)
        tx.audit(
            AuditEvent(
                at=NOW, actor=record.id, method="jwt", source="uid:4711", operation="keys.create", outcome="ok",
                target=record.id,
            )
        )  # fmt: skip


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def _records(worst: Worst, many: int) -> Iterator[Record]:
    """Two accounts, one with few large and one with many small records, and rules for groups."""
    all_scopes = (*SCOPES, "write", "user")
    for who, name, scope, networks, count in (
        ("wide", LONGEST_NAME, all_scopes, NETWORKS, many // 8),
        ("many", "m", ("write", "user"), ("*",), many),
    ):
        account = Account(
            id=new_id(), created_at=NOW, email=f"{who}@{'long.' * 40}example.org", name=name, password=None,
            secret_hash=b"", scope=scope, networks=networks,
        )  # fmt: skip
        yield account
        key_id = new_key_id()
        text = new_key(KeyKind.USER, key_id)
        yield _key(account, key_id, "the caller's", hash_secret(worst.store.keyring, "key", key_id, text))
        service_id = new_key_id()
        service = new_key(KeyKind.SERVICE, service_id)
        digest = hash_secret(worst.store.keyring, "key", service_id, service)
        yield _key(account, service_id, f"the service's {who}", digest, is_service=True)
        worst.credentials[who] = {"authorization": f"Bearer {text}"}
        worst.credentials[f"{who}, service key"] = {"authorization": f"Bearer {service}"}
        worst.ids[who, "account"] = account.id
        worst.ids[who, "key"] = key_id
        for number in range(count):
            yield _key(account, new_key_id(), (f"{number} {name}")[:128], bytes(32))
        for number in range(count):
            yield Session(
                id=f"{who}{number:060}", created_at=NOW + number % 7, expires_at=NOW + 40_000, subject=account.id,
                via=f"key.{key_id}.0", epoch=1, scope=scope, networks=networks,
            )  # fmt: skip
            yield Revocation(
                id=f"{account.id}/{number}", created_at=NOW, expires_at=NOW + 3600, subject=account.id, jti=str(number)
            )
        for claimant in (account.id, service_id):
            for number in range(count):
                resource = Resource(
                    id=new_id(), created_at=NOW + number % 7, claimant=claimant, type="vm", secret="", name=name,
                    attributes=ATTRIBUTES if who == "wide" else b"{}",
                )  # fmt: skip
                worst.ids[who, "resource"] = resource.id
                yield resource
    worst.credentials["peer"] = {"authorization": "Peer"}
    worst.credentials["stranger"] = {}
    for gid in sorted(GROUPS):
        yield PeerRule(
            id=new_id(), created_at=NOW, subject=f"gid:{gid}", creator="x", scope=all_scopes, networks=NETWORKS
        )


def _key(account: Account, id: str, name: str, digest: bytes, *, is_service: bool = False) -> ApiKey:
    owner: Any = None if is_service else account.id
    return ApiKey(
        id=id, created_at=NOW, name=name, owner=owner, creator=account.id, secret_hash=digest, scope=account.scope,
        networks=account.networks,
    )  # fmt: skip
