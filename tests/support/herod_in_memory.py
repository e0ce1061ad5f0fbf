"""A whole herod in memory for tests: store, runtime, pipeline and router, with a clock that tests set."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from herod.identity.config import Config
from herod.identity.credential_types import Basic, Bearer, PeerClaim, Presented, SessionCookie
from herod.identity.legacy_secrets import LegacySecrets
from herod.identity.runtime_state import Runtime
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.pipeline import Pipeline
from herod.pipeline.process.process_state import ProcessState
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.http import Request, Response
from herod.protocols.router import Router
from herod.scopes.principal import Peer, Source
from herod.store.memory_store import MemoryStore
from herod_client.core.scope_graph import ScopeGraph
from herod_client.core.signing_keys import SigningKeys, hs256_key

PUBLIC_URL = "http://localhost"
SECRET = "a secret for tests that is long enough to sign"
COOKIE = "the cookie of this socket"
NOW = 1_800_000_000
DAEMON_UID = 990
ADMIN_SOURCE = Source(peer=Peer(uid=DAEMON_UID, gid=DAEMON_UID), cookie=COOKIE)
STRANGER = Source(peer=Peer(uid=1234, gid=1234), cookie=COOKIE)
TCP = Source(address="127.0.0.1")
LOCAL_ADMIN = PeerClaim(COOKIE)
LOOPBACK = frozenset({"http://localhost", "http://127.0.0.1", "http://[::1]"})
PASSWORD = "correct horse battery"
LEGACY = {
    "admin": "legacy-admin-secret",
    "user": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "registrar": "legacy-register",
}


@dataclass
class Clock:
    """A clock that tests set."""

    now: int = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class Answer:
    """A response with its body parsed."""

    response: Response

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def json(self) -> Any:
        return json.loads(self.response.body + self.response.shared)

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.response.headers}


@dataclass
class Harness:
    """The daemon without its sockets."""

    store: MemoryStore
    runtime: Runtime
    pipeline: Pipeline
    router: Router
    clock: Clock
    secrets: dict[str, str] = field(default_factory=dict)

    def configure(self, **changes: Any) -> None:
        """Reload with changed settings."""
        self.runtime.reload(replace(self.runtime.config, **changes))

    async def call(
        self, name: str, presented: Presented | None = None, source: Source = ADMIN_SOURCE, /, **params: Any
    ) -> Any:
        """Run an operation through the pipeline; times may be given as such."""
        operation = OPERATIONS[name]
        given = {key: as_text(value) if isinstance(value, datetime) else value for key, value in params.items()}
        return await self.pipeline.call(operation, operation.params(**given), presented, source)

    async def admin(self, name: str, /, **params: Any) -> Any:
        """Run an operation as the local admin."""
        return await self.call(name, LOCAL_ADMIN, ADMIN_SOURCE, **params)

    async def user(self, scope: str = "read", networks: list[str] | None = None, **params: Any) -> "User":
        """Add an account."""
        added = await self.admin("users.add", scope=scope, networks=networks, **params)
        return User(self, added.client_id, added.client_secret)

    async def service_key(self, scope: str, name: str = "service", **params: Any) -> str:
        """Create a service key."""
        issued = await self.admin("keys.create", name=name, kind="service", scope=scope, **params)
        text: str = issued.key
        return text

    async def request(
        self,
        method: str,
        target: str,
        *,
        json: Any = None,
        form: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        source: Source = TCP,
    ) -> Answer:
        """Send a request through the router, as the server would."""
        path, _, query = target.partition("?")
        sent = {"host": "localhost", **(headers or {})}
        if json is not None:
            body = _dumps(json)
            sent.setdefault("content-type", "application/json")
        elif form is not None:
            body = form.encode()
            sent.setdefault("content-type", "application/x-www-form-urlencoded")
        elif body is not None:
            sent.setdefault("content-type", "application/json")
        return Answer(await self.router(Request(method, path, query, sent, body or b"", source)))

    async def rpc(
        self, method: str, params: Any = None, *, headers: Mapping[str, str] | None = None, source: Source = TCP
    ) -> Any:
        """Make one JSON-RPC call; return the response object."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, **({} if params is None else {"params": params})}
        answer = await self.request("POST", "/rpc", json=call, headers=headers, source=source)
        assert answer.status == 200
        return answer.json


@dataclass
class User:
    """An account with its client secret."""

    harness: Harness
    client_id: str
    secret: str

    @property
    def basic(self) -> Basic:
        return Basic(self.client_id, self.secret)

    @property
    def basic_header(self) -> dict[str, str]:
        return basic(self.client_id, self.secret)

    async def token(self, scope: str | None = None, *, resource: str | None = None) -> str:
        """A fresh access token; with `PUBLIC_URL` as its resource it is good at `/mcp` too."""
        answer = await self.harness.call("token.create", self.basic, scope=scope, resource=resource)
        text: str = answer.access_token
        return text

    async def bearer(self, scope: str | None = None) -> Bearer:
        """The header with a fresh access token."""
        return Bearer(await self.token(scope))

    async def key(self, scope: str = "read", name: str = "key", **params: Any) -> str:
        """Create a user key of this account."""
        issued = await self.harness.call("keys.create", self.basic, name=name, scope=scope, **params)
        text: str = issued.key
        return text

    async def session(self, presented: Presented | None = None) -> SessionCookie:
        """A signed-in browser."""
        opened = await self.harness.call("session.create", presented or self.basic)
        return SessionCookie(opened.cookie)


def as_text(time: datetime) -> str:
    """A time as operations take it."""
    return time.isoformat().replace("+00:00", "Z")


def bearer(text: str) -> dict[str, str]:
    """The Authorization header for a token, key or legacy secret."""
    return {"authorization": f"Bearer {text}"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    """The Authorization header for a client id and secret."""
    return {"authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


@asynccontextmanager
async def open_harness(
    *,
    registration: Any = "open",
    scopes: Mapping[str, tuple[str, ...]] | None = None,
    networks: frozenset[str] | None = None,
) -> AsyncIterator[Harness]:
    """Open a harness with a fresh memory store."""
    clock = Clock()
    store = MemoryStore(SECRET)
    async with store:
        runtime = Runtime(
            config=Config(
                version="0.0.test",
                graph=ScopeGraph(scopes or {}),
                networks=networks or frozenset({"*"}),
                issuer="hero_auth",
                public_url=PUBLIC_URL,
                has_browser_origin=True,
                aliases=LOOPBACK,
                own_origins=LOOPBACK,
                token_ttl=3600,
                registration=registration,
                legacy=LegacySecrets(store.keyring, list(LEGACY.items())),
                daemon_uid=DAEMON_UID,
            ),
            keyring=store.keyring,
            signing=SigningKeys(hs256_key(SECRET)),
            boot_epoch=7,
            store_generation=store.cursor.generation,
            started_at=clock.now,
        )
        pipeline = Pipeline(store, runtime, clock=clock, process=ProcessState(operations=OPERATIONS))
        yield Harness(store, runtime, pipeline, Router(pipeline, OPERATIONS, Guard()), clock)


def _dumps(value: Any) -> bytes:
    return json.dumps(value).encode()
