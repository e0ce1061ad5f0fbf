"""Apps that register themselves: what is taken, what is refused, and that nothing is kept."""

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from credentials.hostile_redirects import FOREIGN, MALFORMED, OWN_ORIGINS
from herod.credentials.apps.dynamic_client_ids import MAX_CLIENT_ID_BYTES, SHORT_CHARS, dynamic_secret
from herod.identity.apps.grant_types import GRANT_TYPES
from herod.identity.apps.oauth_apps import AppOrigin, find_app
from herod.operations.oauth.dynamic_registration import MAX_LISTED
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.auditing.audit_recorder import ROWS_OF_PRINCIPAL
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.router import Router
from herod.records import RECORD_TYPES, GuessCount
from herod.scopes.principal import Peer, Source
from herod.throttle.rules import APP
from operations.oauth.registration_bodies import BODIES
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, TCP, Answer, Harness
from support.soak_rounds import count

PATH: Final = "/oauth/register"
BODY: Final[dict[str, Any]] = {
    "client_name": "Agent",
    "redirect_uris": ["http://localhost:4711/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}
UNIX: Final = Source(peer=Peer(uid=1000, gid=1000), cookie=COOKIE)


async def _register(harness: Harness, source: Source = TCP, headers: Any = None, /, **changes: Any) -> Answer:
    body = {name: value for name, value in {**BODY, **changes}.items() if value is not ...}
    return await harness.request("POST", PATH, json=body, headers=headers, source=source)


def _records(harness: Harness) -> int:
    return sum(harness.store.count(kind) for kind in RECORD_TYPES if kind is not GuessCount)


@pytest.mark.parametrize("agent", BODIES)
async def test_agents(harness: Harness, agent: str) -> None:
    """What agents send is taken, without the redirects that only an admin may register."""
    body, redirects = BODIES[agent]
    answer = await harness.request("POST", PATH, json=body)
    assert answer.status == 201
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json
    assert said["redirect_uris"] == redirects
    assert said["client_name"] == body["client_name"]
    assert said["grant_types"] == [one for one in body.get("grant_types", []) if one in GRANT_TYPES]
    assert said["response_types"] == ["code"]
    assert said["token_endpoint_auth_method"] == body["token_endpoint_auth_method"]
    assert said["client_id_issued_at"] == harness.clock.now
    assert len(said["client_id"]) <= MAX_CLIENT_ID_BYTES
    app = find_app(harness.store, harness.runtime, said["client_id"])
    assert app is not None
    assert (app.name, app.origin, list(app.redirect_uris)) == (body["client_name"], AppOrigin.DYNAMIC, redirects)
    if said["token_endpoint_auth_method"] == "none":
        assert not said.keys() & {"client_secret", "client_secret_expires_at"}
    else:
        assert said["client_secret"] == dynamic_secret(harness.store.keyring, said["client_id"])
        assert said["client_secret_expires_at"] == 0


async def test_defaults(harness: Harness) -> None:
    """Without other members an app gets RFC 7591's defaults: a secret for Basic, and codes."""
    answer = await harness.request("POST", PATH, json={"redirect_uris": ["https://app.example.org/cb"]})
    said = answer.json
    assert answer.status == 201
    assert said["token_endpoint_auth_method"] == "client_secret_basic"
    assert said["grant_types"] == ["authorization_code"]
    assert said["client_secret"].startswith("herod_c_")
    assert "client_name" not in said


async def test_unknown_and_null_members_are_ignored(harness: Harness) -> None:
    """Members that herod does not know are not echoed, since they are not registered, and null is nothing."""
    answer = await _register(harness, logo_uri="x", jwks={"keys": []}, scope="owner", client_name=None, **{"a b": [1]})
    assert answer.status == 201
    assert not answer.json.keys() & {"logo_uri", "jwks", "scope", "a b", "client_name"}


async def test_one_of_each(harness: Harness) -> None:
    """Repeated redirects are registered once, in their order."""
    texts = ["https://b.example/", "https://a.example/", "https://b.example/"]
    assert (await _register(harness, redirect_uris=texts)).json["redirect_uris"] == texts[:2]


@pytest.mark.parametrize(
    "uris",
    [
        ["cursor://anysphere.cursor-mcp/oauth/callback"],
        ["com.example.app:/callback"],
        ["http://app.example.org/cb"],
        ["http://127.0.0.2/cb"],
        ["javascript:alert(1)", "https://x/#y", "http://localhost:3350/ui/consent"],
        [],
        "https://app.example.org/cb",
        [7],
        {"a": 1},
        ["https://x.example/"] * (MAX_LISTED + 1),
        ...,
    ],
)
async def test_no_redirect_left(harness: Harness, uris: Any) -> None:
    """An app of whose redirects none will do is refused as RFC 7591 says."""
    harness.configure(own_origins=OWN_ORIGINS)
    answer = await _register(harness, redirect_uris=uris)
    assert (answer.status, answer.json["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize("part", range(8))
async def test_hostile_redirects(harness: Harness, part: int) -> None:
    """None of a thousand tricks is registered beside a good redirect, and none is echoed."""
    harness.configure(own_origins=OWN_ORIGINS)
    hostile = [text for text in MALFORMED if text.isascii()] + [one for one in FOREIGN if not one.startswith("https:")]
    hostile = [one for one in hostile if one.partition(":3350")[1] or not _is_for_anybody(one)]
    assert len(hostile) > 1000
    for start in range(part * 30, len(hostile), 240):
        source = replace(TCP, tcp_uid=start)
        answer = await _register(
            harness, source, redirect_uris=[*hostile[start : start + 30], BODY["redirect_uris"][0]]
        )
        assert answer.status == 201
        assert answer.json["redirect_uris"] == BODY["redirect_uris"]


def _is_for_anybody(text: str) -> bool:
    return text.startswith(("http://localhost", "http://127.0.0.1/", "http://[::1]")) and text in FOREIGN


@pytest.mark.parametrize(
    "changes",
    [
        {"client_name": "Bank\u202egpj.exe"},
        {"client_name": "Agent\u200b"},
        {"client_name": "Agent\n"},
        {"client_name": "\x1b[2J"},
        {"client_name": "Сlaude Code"},
        {"client_name": "herod"},
        {"client_name": "Ｈｅｒｏｄ"},
        {"client_name": "her0d"},
        {"client_name": ""},
        {"client_name": "   "},
        {"client_name": "x" * 129},
        {"client_name": "x" * 5000},
        {"client_name": 7},
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["refresh_token"]},
        {"grant_types": []},
        {"grant_types": "authorization_code"},
        {"grant_types": ["authorization_code"] * 33},
        {"response_types": ["token"]},
        {"response_types": []},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "tls_client_auth"},
        {"token_endpoint_auth_method": 1},
        {"redirect_uris": [f"https://{'a' * 60}{n}.example/{'b' * 300}" for n in range(3)]},
    ],
)
async def test_invalid_metadata(harness: Harness, changes: dict[str, Any]) -> None:
    """What else is wrong is refused as RFC 7591 says, and a kilobyte is the most that fits."""
    answer = await _register(harness, **changes)
    assert (answer.status, answer.json["error"]) == (400, "invalid_client_metadata")
    assert answer.json["error_description"]


async def test_names_are_normalised(harness: Harness) -> None:
    """A name is answered and shown in its normal form."""
    assert (await _register(harness, client_name="  My   Ａgent ")).json["client_name"] == "My Agent"
    for name in ("Claude Code (herod)", "Агент", "エージェント Code", "Ingénieur", "Αθηνά"):
        assert (await _register(harness, client_name=name)).json["client_name"] == name


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 100, b"null"])
async def test_unreadable_bodies(harness: Harness, body: bytes) -> None:
    """What is not a JSON object is refused in OAuth's format."""
    answer = await harness.request("POST", PATH, body=body)
    assert (answer.status, answer.json["error"]) == (400, "invalid_client_metadata")


async def test_forms_and_compressed_bodies(harness: Harness) -> None:
    """The endpoint takes JSON alone, uncompressed, in the body."""
    form = await harness.request("POST", PATH, form="client_name=x")
    assert (form.status, form.json["error"]) == (400, "invalid_client_metadata")
    query = await harness.request("POST", f"{PATH}?client_name=x", json=BODY)
    assert (query.status, query.json["error"]) == (400, "invalid_client_metadata")
    packed = await harness.request("POST", PATH, json=BODY, headers={"content-encoding": "gzip"})
    assert packed.status == 415
    packed = await harness.request("POST", PATH, body=b"\x1f\x8b\x08")
    assert packed.status == 415
    assert (await harness.request("GET", PATH)).status == 405


@pytest.mark.parametrize(
    ("source", "headers", "status"),
    [
        (TCP, {}, 201),
        (TCP, {"host": "127.0.0.1:3350"}, 201),
        (TCP, {"host": "[::1]:3350"}, 201),
        (TCP, {"origin": "http://localhost", "referer": "http://localhost/"}, 201),
        (UNIX, {"host": "whatever"}, 201),
        (UNIX, {"x-forwarded-for": "203.0.113.7"}, 403),
        (TCP, {"host": "auth.example.org"}, 403),
        (Source(address="192.0.2.7"), {"host": "192.0.2.7:3350"}, 403),
        (TCP, {"forwarded": "for=203.0.113.7"}, 403),
        (TCP, {"via": "1.1 proxy"}, 403),
        (TCP, {"x-forwarded-for": "127.0.0.1"}, 403),
        (TCP, {"x-forwarded-host": "localhost"}, 403),
        (TCP, {"x-forwarded-anything": ""}, 403),
        (TCP, {"x-real-ip": "203.0.113.7"}, 403),
    ],
)
async def test_only_on_this_machine(harness: Harness, source: Source, headers: dict[str, str], status: int) -> None:
    """Only who reaches herod by a loopback name or the Unix socket, and through no proxy, may register."""
    harness.router = Router(harness.pipeline, OPERATIONS, Guard(frozenset({"auth.example.org", "192.0.2.7"})))
    for body in (BODY, {"redirect_uris": "unreadable"}):
        answer = await harness.request("POST", PATH, json=body, headers=headers, source=source)
        assert answer.status == (400 if status == 201 and body is not BODY else status)
        if status == 403:
            assert answer.json["error"] == "unauthorized_client"
            assert "localhost" in answer.json["error_description"]
    await harness.pipeline.flush(is_last=True)
    rows = (await harness.admin("audit.list")).items
    assert ("not_direct" in {row.reason for row in rows}) is (status == 403)


async def test_off(harness: Harness) -> None:
    """Where dynamic apps are off, or the public URL is another machine's, none registers and none is known."""
    client_id = (await _register(harness)).json["client_id"]
    for changes in ({"dynamic_apps": "off"}, {"public_url": "https://auth.example.org"}):
        before = harness.runtime.config
        harness.configure(**changes)
        answer = await _register(harness)
        assert (answer.status, answer.json["error"]) == (403, "unauthorized_client")
        assert find_app(harness.store, harness.runtime, client_id) is None
        harness.runtime.reload(before)
    assert find_app(harness.store, harness.runtime, client_id) is not None


async def test_it_is_limited_by_source(harness: Harness) -> None:
    """One source registers so many an hour, and others are not affected."""
    for _ in range(APP.limit or 0):
        assert (await _register(harness)).status == 201
    answer = await _register(harness)
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0
    assert (await _register(harness, UNIX)).status == 201
    harness.clock.now += APP.window + 1
    assert (await _register(harness)).status == 201


async def test_it_is_audited_and_counted(harness: Harness) -> None:
    """Registrations of a source in one minute are one row and their number, with the id of the first app."""
    answers = [await _register(harness, UNIX) for _ in range(5)]
    harness.clock.now += 120
    await harness.pipeline.flush(is_last=True)
    rows = [row for row in (await harness.admin("audit.list")).items if row.operation == "oauth.register"]
    assert [(row.actor, row.source, row.outcome, row.count) for row in rows] == [
        ("anonymous", "uid:1000", "ok", 4),
        ("anonymous", "uid:1000", "ok", 1),
    ]
    assert rows[1].target == answers[0].json["client_id"][:SHORT_CHARS]
    metrics = (await harness.admin("metrics")).splitlines()
    assert "herod_app_registrations_total 5" in metrics


async def test_no_json_rpc_method(harness: Harness) -> None:
    """Registration is at its route alone: other protocols do not know from where a request comes."""
    answer = await harness.rpc("oauth.register", BODY, source=ADMIN_SOURCE)
    assert answer["error"]["code"] == -32601


async def test_ten_thousand(harness: Harness, say: Callable[[str], None]) -> None:
    """A flood of registrations from many users leaves nothing in the store and in memory but some audit rows."""
    rounds = count("REGISTRATIONS")
    sources = [replace(TCP, tcp_uid=1000 + number) for number in range(-(-rounds // 50))]
    every = -(-rounds // (APP.window - 600))  # all of them in less than an hour

    async def flood(number: int) -> None:
        for at in range(number):
            answer = await _register(harness, sources[at % len(sources)], client_name=f"Agent {at}")
            assert answer.status == 201
            harness.clock.now += at % every == 0

    async def calm() -> None:
        harness.clock.now += 2 * APP.window
        await harness.pipeline.flush(is_last=True)
        await harness.store.purge_expired(harness.clock.now)
        gc.collect()

    await flood(len(sources))  # what is kept for each source once
    await calm()
    before, head = _records(harness), harness.store.audit_head[0]
    tracemalloc.start()
    size, _ = tracemalloc.get_traced_memory()
    await flood(rounds)
    await calm()
    grown = tracemalloc.get_traced_memory()[0] - size
    tracemalloc.stop()
    rows = harness.store.audit_head[0] - head
    say(f"{rounds} registrations: {rows} audit rows, {grown} bytes more in memory")
    assert _records(harness) == before
    assert harness.store.count(GuessCount) == 0
    assert rows <= 2 * ROWS_OF_PRINCIPAL
    assert grown < 1_000_000
