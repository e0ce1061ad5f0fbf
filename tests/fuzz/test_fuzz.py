"""Random requests: no internal error, no secret echoed, and no principal gains more than it was given.

HEROD_FUZZ requests (400) from HEROD_SEED, most of them in process; one in eight goes to a real daemon over its sockets.
Ten form one story, told to a new harness, so that each meets the effects of those before it.
"""

import base64
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzz.answer_rules import judge
from fuzz.raw_requests import Sender
from fuzz.request_generator import CANARY, SECRET_NAMES, Ask, asks
from herod.pipeline.ceilings.privilege_ceilings import is_standing_admin
from herod.records import Account, ApiKey, PeerRule
from support.herod_in_memory import ADMIN_SOURCE, COOKIE, LEGACY, TCP, Harness, open_harness
from support.real_daemon import Daemon, running
from support.soak_rounds import count
from support.soak_rounds import seed as chosen_seed

STORY = 10
STORIES = max(1, count("FUZZ") // STORY)
VISITS = max(1, count("FUZZ") // 8)
PASSWORD = "Hunter-correct-horse-battery"

at_random = partial(
    settings,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a story is short; shrinking it takes minutes
)


@dataclass(frozen=True)
class Held:
    """The grants of accounts, keys and rules."""

    accounts: dict[str, Account]
    keys: dict[str, ApiKey]
    rules: dict[str, PeerRule]


def held(harness: Harness) -> Held:
    """The grants in the store."""
    return Held(
        {one.id: one for one in harness.store.scan(Account)},
        {one.id: one for one in harness.store.scan(ApiKey)},
        {one.id: one for one in harness.store.scan(PeerRule)},
    )


def tampered(text: str) -> str:
    """The text with one character changed."""
    return text[:-9] + ("A" if text[-9] != "A" else "B") + text[-8:]


async def furnish(harness: Harness) -> dict[str, str]:
    """Create everything that a request may name."""
    admin = await harness.user("admin", email="admin@example.org")
    user = await harness.user("write", email="ada@example.org", password=PASSWORD)
    old = await harness.user("write")
    old_token = await old.token()
    await harness.admin("users.rotate_secret", client_id=old.client_id)
    user_key, service_key = await user.key("read"), await harness.service_key("admin")
    rule = await harness.admin("peers.allow", uid=4242, scope="read")
    token = await user.token()
    return {
        "admin_token": await admin.token(),
        "user_token": token,
        "old_token": old_token,
        "user_key": user_key,
        "service_key": service_key,
        "admin_key": await admin.key("admin"),
        "low_key": await harness.service_key("registrar", "low"),
        "user_secret": user.secret,
        "password": PASSWORD,
        "legacy_admin": LEGACY["admin"],
        "legacy_user": LEGACY["user"],
        "session": (await user.session()).text,
        "cookie": COOKIE,
        "tampered_token": tampered(token),
        "tampered_key": tampered(user_key),
        "canary": CANARY,
        "basic": base64.b64encode(f"{user.client_id}:{user.secret}".encode()).decode(),
        "basic_wrong": base64.b64encode(f"{user.client_id}:{CANARY}".encode()).decode(),
        "user_id": user.client_id,
        "admin_id": admin.client_id,
        "user_key_id": user_key.split("_")[2],
        "service_key_id": service_key.split("_")[2],
        "rule_id": rule.id,
        "nobody_id": "00000000-0000-4000-8000-000000000000",
    }


async def tell(story: list[Ask], *, is_admin: bool) -> None:
    """Send the requests in order, judge each answer, and check the final state."""
    async with open_harness() as harness:
        values = {name: value.replace(" ", "-") for name, value in (await furnish(harness)).items()}
        before = held(harness)
        for ask in story:
            sent = ask.filled({**values, "cookie": COOKIE} if "authorization" in ask.headers else values)
            answer = await harness.request(
                sent.method,
                sent.target,
                body=sent.body,
                headers=sent.headers,
                source=ADMIN_SOURCE if sent.is_unix else TCP,
            )
            body = b"" if sent.method == "HEAD" else answer.response.body
            if answer.response.stream is not None:
                await answer.response.stream.aclose()
            judge(sent, answer.status, answer.headers, body, secrets=[values[name] for name in ask.marks()])
        check_standing(harness)
        if not is_admin:
            check_nothing_widened(harness, before, held(harness))
        await harness.pipeline.flush(is_last=True)
        kept = [json.dumps(str(row.event)) for row in harness.store.audit_rows()]
        for name in SECRET_NAMES:
            assert not any(values[name] in row for row in kept), name


def check_standing(harness: Harness) -> None:
    """Check that an admin remains and that there is no owner, which no request here could create."""
    now = held(harness)
    records: list[Account | ApiKey] = [*now.accounts.values(), *now.keys.values()]
    assert any(is_standing_admin(harness.runtime, record, harness.clock.now) for record in records)
    owner = harness.runtime.config.graph.bit("owner")
    for scope in [record.scope for record in records] + [rule.scope for rule in now.rules.values()]:
        assert not harness.runtime.config.graph.mask(scope) & owner


def check_nothing_widened(harness: Harness, before: Held, after: Held) -> None:
    """Check that without admin new accounts hold `read`, keys no more than their owner, and all else is unchanged."""
    mask = harness.runtime.config.graph.mask
    assert after.rules == before.rules
    assert before.accounts.keys() <= after.accounts.keys()
    for id_, account in after.accounts.items():
        was = before.accounts.get(id_)
        assert account.scope == (was.scope if was is not None else ("read",))
        assert account.networks == (was.networks if was is not None else ("*",))
        assert account.enabled
    for id_, key in after.keys.items():
        if id_ in before.keys:
            assert key == before.keys[id_]
        else:
            assert key.owner is not None
            held_by_owner = mask(after.accounts[key.owner].scope)
            assert mask(key.scope) & ~held_by_owner == 0
    gone = before.keys.keys() - after.keys.keys()
    assert all(before.keys[id_].owner is not None for id_ in gone)


@pytest.mark.parametrize("is_admin", [False, True])
def test_stories(is_admin: bool) -> None:
    """A few requests in a row follow the rules, with and without admin credentials."""

    @seed(chosen_seed())
    @at_random(max_examples=max(1, STORIES // 2))
    @given(st.lists(asks(is_admin=is_admin), min_size=STORY, max_size=STORY))
    def run(story: list[Ask]) -> None:
        trio.run(partial(tell, story, is_admin=is_admin))

    run()


def test_visits(tmp_path: Path) -> None:
    """Over a Unix socket and TCP, the daemon survives with all its headers, and logs no secret and no error."""
    with running(tmp_path, HEROD_ADMIN_SECRET=LEGACY["admin"], HEROD_USER_SECRET=LEGACY["user"]) as daemon:
        values = furnish_daemon(daemon)
        sender = Sender(daemon)

        @seed(chosen_seed())
        @at_random(max_examples=VISITS)
        @given(asks(is_admin=False, is_slow=False))
        def run(ask: Ask) -> None:
            sent = ask.filled(values)
            status, headers, body = sender.send(sent)
            judge(sent, status, headers, body, secrets=[values[name] for name in ask.marks()])

        run()
        assert daemon.curl("/health")[0] == 200
        assert daemon.stop() == 0
    log = daemon.log.read_text()
    assert '"trace"' not in log
    for name in SECRET_NAMES:
        assert values[name] not in log, name


def furnish_daemon(daemon: Daemon) -> dict[str, str]:
    """Create what a request may name on a real daemon."""
    admin = ("-H", f"Authorization: Peer {daemon.cookie}")

    def made(method: str, *headers: str, **params: object) -> dict[str, str]:
        result: dict[str, str] = daemon.rpc(method, params, *(headers or admin))["result"]
        return result

    user = made("users.add", email="ada@example.org", scope="write", password=PASSWORD)
    boss = made("users.add", email="admin@example.org", scope="admin")
    service = made("keys.create", name="s", kind="service", scope="admin")["key"]
    basic = base64.b64encode(f"{user['client_id']}:{user['client_secret']}".encode()).decode()
    key = made("keys.create", "-H", f"Authorization: Basic {basic}", name="k")["key"]
    token = made("token.create", "-H", f"Authorization: Basic {basic}")["access_token"]
    return {
        **dict.fromkeys(("admin_token", "admin_key", "service_key"), service),
        **dict.fromkeys(("user_token", "old_token"), token),
        "user_key": key,
        "low_key": made("keys.create", name="low", kind="service", scope="registrar")["key"],
        "user_secret": user["client_secret"],
        "password": PASSWORD,
        "legacy_admin": LEGACY["admin"],
        "legacy_user": LEGACY["user"],
        "session": "s" * 43,
        "cookie": daemon.cookie,
        "tampered_token": tampered(token),
        "tampered_key": tampered(key),
        "canary": CANARY,
        "basic": basic,
        "basic_wrong": base64.b64encode(f"{user['client_id']}:{CANARY}".encode()).decode(),
        "user_id": user["client_id"],
        "admin_id": boss["client_id"],
        "user_key_id": key.split("_")[2],
        "service_key_id": service.split("_")[2],
        "rule_id": made("peers.allow", uid=4242, scope="read")["id"],
        "nobody_id": "00000000-0000-4000-8000-000000000000",
    }


def test_the_judge_can_condemn() -> None:
    """The judge detects an internal error, a wrong format and an echo."""
    ask = Ask("POST", "/rpc", {}, b"")
    fine = {"content-type": "application/json", "cache-control": "no-store", "pragma": "no-cache"}
    good = b'{"jsonrpc":"2.0","result":"shh","id":1}'
    judge(ask, 200, fine, good, secrets=["other"])
    fault = b'{"jsonrpc":"2.0","error":{"code":-32603,"message":"x","data":{"code":"internal"}},"id":1}'
    for status, body, secrets in ((500, good, []), (200, fault, []), (200, b"{}", []), (200, good, ["shh"])):
        with pytest.raises((AssertionError, KeyError)):
            judge(ask, status, fine, body, secrets=secrets)
