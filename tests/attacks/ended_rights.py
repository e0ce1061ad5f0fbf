"""Ways for a right to end, and ways to use it: after the answer that it has ended, no request may be granted it.

Must never sleep or assert: `test_races.py` does.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from attacks.race_scene import Scene
from herod.identity.credential_types import Bearer, PeerClaim, Presented, SessionCookie
from herod.scopes.principal import Peer, Source
from herod_client.core.errors import HerodError
from support.connected_apps import app_token, connect_app
from support.herod_in_memory import COOKIE, PUBLIC_URL, TCP, bearer
from support.mcp_agent import ask

__all__ = ["ENDS", "USES", "Right", "is_told"]


@dataclass(frozen=True)
class Right:
    """An admin's credential, and how it ends.

    Attributes:
        text: the token or key, if it is one: what is validated, verified and introspected.
        subject: whom the change feed tells of.
        resource: what it is for, if it is a token: otherwise `/mcp` takes none.
        end: ends it; returns once herod has answered.
        makes: whether it may make what lasts, which an app's token never may.
    """

    headers: Mapping[str, str]
    presented: Presented
    end: Callable[[], Awaitable[Any]]
    text: str = ""
    subject: str = ""
    source: Source = TCP
    resource: str | None = None
    makes: bool = True

    @property
    def uses(self) -> list[str]:
        """The ways to use it: `auth.verify` takes no token that is for one resource."""
        skipped = {*(() if self.text else OF_TEXT), "verify" if self.resource else "", "" if self.makes else "write"}
        return [name for name in USES if name not in skipped]


Make = Callable[[Scene], Awaitable[Right]]
Use = Callable[[Scene, Right], Awaitable[str]]


def _by_admin(scene: Scene, name: str, **params: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: scene.harness.admin(name, **params)


def _token_ends(name: str, **more: Any) -> Make:
    async def make(scene: Scene) -> Right:
        admin = await scene.admin()
        token = await admin.token(resource=PUBLIC_URL)
        end = _by_admin(scene, name, client_id=admin.client_id, **more)
        return Right(bearer(token), Bearer(token), end, token, admin.client_id, resource=PUBLIC_URL)

    return make


def _key_ends(name: str, **more: Any) -> Make:
    async def make(scene: Scene) -> Right:
        key = await scene.harness.service_key("admin", f"service {scene.number}")
        return Right(bearer(key), Bearer(key), _by_admin(scene, name, id=key.split("_")[2], **more), key)

    return make


def _user_key_ends(name: str, **more: Any) -> Make:
    async def make(scene: Scene) -> Right:
        admin = await scene.admin()
        key = await admin.key(scope="admin")
        end = _by_admin(scene, name, client_id=admin.client_id, **more)
        return Right({"x-api-key": key}, Bearer(key), end, key)

    return make


def _session_ends(name: str, **more: Any) -> Make:
    async def make(scene: Scene) -> Right:
        admin = await scene.admin()
        cookie = await admin.session()
        params = more or {"client_id": admin.client_id}
        own = name == "session.delete"
        end = (lambda: scene.harness.call(name, cookie, TCP)) if own else _by_admin(scene, name, **params)
        return Right({"cookie": f"herod_session={cookie.text}"}, cookie, end)

    return make


async def _session_of_a_key(scene: Scene) -> Right:
    key = await scene.harness.service_key("admin", f"service {scene.number}")
    opened = await scene.harness.call("session.create", Bearer(key), TCP)
    end = _by_admin(scene, scene.draw.choice(("keys.delete", "keys.disable")), id=key.split("_")[2])
    return Right({"cookie": f"herod_session={opened.cookie}"}, SessionCookie(opened.cookie), end)


async def _revoked(scene: Scene) -> Right:
    admin = await scene.admin()
    token = await admin.token(resource=PUBLIC_URL)
    end = scene.calling("token.revoke", Bearer(token), TCP, token=token)
    return Right(bearer(token), Bearer(token), end, token, admin.client_id, resource=PUBLIC_URL)


async def _app(scene: Scene) -> Right:
    """An app's token, whose delegation the person takes back."""
    admin = await scene.admin()
    delegation = await connect_app(scene.harness, admin, "admin")
    token = app_token(scene.harness, delegation)
    end = scene.calling("delegations.revoke", admin.basic, TCP, id=delegation.id)
    return Right(bearer(token.text), token, end, token.text, delegation.id, resource=PUBLIC_URL, makes=False)


async def _app_of(name: str, scene: Scene) -> Right:
    """An app's token, whose account ends."""
    admin = await scene.admin()
    token = app_token(scene.harness, await connect_app(scene.harness, admin, "admin"))
    end = _by_admin(scene, name, client_id=admin.client_id)
    return Right(bearer(token.text), token, end, token.text, admin.client_id, resource=PUBLIC_URL, makes=False)


async def _client_secret(scene: Scene) -> Right:
    admin = await scene.admin()
    end = _by_admin(scene, "users.rotate_secret", client_id=admin.client_id)
    return Right(admin.basic_header, admin.basic, end)


async def _rule(scene: Scene) -> Right:
    uid = 10_000 + scene.number
    rule = await scene.harness.admin("peers.allow", uid=uid, scope="admin")
    source = Source(peer=Peer(uid=uid, gid=uid), cookie=COOKIE)
    return Right({"authorization": "Peer"}, PeerClaim(""), _by_admin(scene, "peers.remove", id=rule.id), source=source)


async def _token_of_a_rule(scene: Scene) -> Right:
    uid = 10_000 + scene.number
    rule = await scene.harness.admin("peers.allow", uid=uid, scope="admin")
    source = Source(peer=Peer(uid=uid, gid=uid), cookie=COOKIE)
    token = (await scene.harness.call("token.create", PeerClaim(""), source, resource=PUBLIC_URL)).access_token
    end = _by_admin(scene, "peers.remove", id=rule.id)
    return Right(bearer(token), Bearer(token), end, token, rule.id, resource=PUBLIC_URL)


def _app_ends(name: str, **more: Any) -> Make:
    async def make(scene: Scene) -> Right:
        admin, harness = await scene.admin(), scene.harness
        given = {"redirect_uris": ["https://app.example.org/callback"], "scope": "admin"}
        app = await harness.admin("apps.add", name=f"app {scene.number}", **given)
        delegation = await connect_app(harness, admin, "admin", app=app.client_id, app_origin="registered")
        token = app_token(harness, delegation).text
        end = _by_admin(scene, name, client_id=app.client_id, **more)
        return Right(bearer(token), Bearer(token), end, token, delegation.id, resource=PUBLIC_URL, makes=False)

    return make


ENDS: Final[Mapping[str, Make]] = {
    "token, account deleted": _token_ends("users.delete"),
    "token, account disabled": _token_ends("users.disable"),
    "token, account demoted": _token_ends("users.scope", scope="read"),
    "token, client secret rotated": _token_ends("users.rotate_secret"),
    "token revoked": _revoked,
    "app disconnected": _app,
    "app, account deleted": partial(_app_of, "users.delete"),
    "app, client secret rotated": partial(_app_of, "users.rotate_secret"),
    "service key deleted": _key_ends("keys.delete"),
    "service key disabled": _key_ends("keys.disable"),
    "service key rotated": _key_ends("keys.rotate", overlap=0),
    "service key demoted": _key_ends("keys.update", scope="read"),
    "user key, account deleted": _user_key_ends("users.delete"),
    "user key, account disabled": _user_key_ends("users.disable"),
    "user key, account demoted": _user_key_ends("users.scope", scope="read"),
    "session signed out": _session_ends("session.delete"),
    "sessions ended": _session_ends("session.end_all"),
    "everybody's sessions ended": _session_ends("session.end_all", everyone=True),
    "session, account deleted": _session_ends("users.delete"),
    "session, key ended": _session_of_a_key,
    "client secret rotated": _client_secret,
    "peer rule removed": _rule,
    "token of a peer rule, removed": _token_of_a_rule,
    "app's token, app deleted": _app_ends("apps.delete"),
    "app's token, app disabled": _app_ends("apps.disable"),
    "app's token, app may be given less": _app_ends("apps.update", scope="read"),
}


async def _validate(scene: Scene, right: Right) -> str:
    answer = await scene.harness.call("token.validate", None, TCP, token=right.text, resource=right.resource)
    return str(answer.scope) if answer.valid else ""


async def _verify(scene: Scene, right: Right) -> str:
    answer = await scene.harness.call("auth.verify", None, TCP, key=right.text)
    return str(answer.scope) if answer.valid else ""


async def _introspect(scene: Scene, right: Right) -> str:
    answer = await scene.harness.admin("token.introspect", token=right.text)
    return str(answer.scope) if answer.active else ""


async def _whoami(scene: Scene, right: Right) -> str:
    answer = await scene.harness.request("GET", "/api/v1/whoami", headers=right.headers, source=right.source)
    return str(answer.json["data"]["scope"]) if answer.status == 200 else ""


async def _rpc(scene: Scene, right: Right) -> str:
    answer = await scene.harness.rpc("users.list", {"limit": 1}, headers=right.headers, source=right.source)
    return "admin" if "result" in answer else ""


async def _batch(scene: Scene, right: Right) -> str:
    call = {"jsonrpc": "2.0", "id": 1, "method": "whoami"}
    answer = await scene.harness.request("POST", "/rpc", json=[call] * 3, headers=right.headers, source=right.source)
    return " ".join(str(item.get("result", {}).get("scope", "")) for item in answer.json).strip()


async def _mcp(scene: Scene, right: Right) -> str:
    answer = await ask(scene.harness, "tools/call", {"name": "whoami"}, source=right.source,
                       **{name.replace("-", "_"): value for name, value in right.headers.items()})  # fmt: skip
    return str(answer.json["result"]["structuredContent"]["scope"]) if answer.status == 200 else ""


async def _write(scene: Scene, right: Right) -> str:
    """Make an account: a command, which is admitted again when it is written."""
    email = f"made{scene.number}@example.org"
    try:
        await scene.harness.call("users.add", right.presented, right.source, email=email, scope="read")
    except HerodError:
        return ""
    return "admin"


USES: Final[Mapping[str, Use]] = {
    "validate": _validate, "verify": _verify, "introspect": _introspect, "whoami": _whoami, "rpc": _rpc,
    "batch": _batch, "mcp": _mcp, "write": _write,
}  # fmt: skip
OF_TEXT: Final = frozenset({"validate", "verify", "introspect"})


async def is_told(scene: Scene, right: Right, cursor: str) -> bool:
    """Whether the change feed, read from the cursor, says anything of the right's subject."""
    answer = await scene.harness.admin("token.changes", cursor=cursor)
    return right.subject in repr(answer)
