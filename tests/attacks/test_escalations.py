"""Attempts of every credential at more than it may: generated from the operations and the pages, and a list by hand.

After each attempt the whole store is compared with the one before, and what the caller may do. HEROD_ESCALATIONS
attempts from HEROD_SEED.
"""

import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from string import Template
from typing import Any, Final
from urllib.parse import quote

import pytest

from attacks.escalation_attempts import FORM, JSON, NETWORKS, SCOPES, Attempt, attempts
from attacks.escalation_measure import gained, put_back, rights
from attacks.escalation_world import BOSS, Caller, World, open_world
from herod.dashboard.quart_app import make_app
from herod.operations.operation_table import OPERATIONS
from herod.scopes.principal import Source
from herod_client.core.scope_graph import ADMIN
from support.herod_in_memory import PASSWORD, Answer, bearer
from support.page_visitor import OWN
from support.soak_rounds import chance, count

ATTEMPTS: Final = count("ESCALATIONS")
HIGHEST: Final = "admin lab by client secret"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Everybody."""
    async with open_world() as opened:
        yield opened


async def attack(world: World, caller: Caller, attempt: Attempt, number: int) -> tuple[list[str], Answer]:
    """Send one attempt; return what was gained, and the answer. The store is put back."""
    if caller.source.peer is None:  # each from another address, so that no limit answers instead
        source = Source(address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
        caller = replace(caller, source=source)
    before, could = world.records(), await rights(world, caller)
    headers = {**attempt.headers, **caller.headers}
    answer = await world.harness.request(
        attempt.method, attempt.target, body=attempt.body or None, headers=headers, source=caller.source
    )
    after = world.records()
    found = gained(world, caller, before, after)
    can = await rights(world, caller)
    if can is not None and (could is None or not could.covers(can)):
        found.append(f"may {can}, and could {could}")
    if answer.status >= 500:
        found.append(f"answered {answer.status}")
    said = answer.response.body + answer.response.shared
    is_asked = any(word in f"{attempt.target}{attempt.body!r}" for word in (BOSS, world.ids["boss_token"]))
    bit = world.harness.runtime.config.graph.bit(ADMIN)  # an admin's app sees what the admin does, and changes nothing
    sees_all = caller.is_admin or any(grant.mask & bit for grant in caller.may)
    if not sees_all and not is_asked and BOSS.encode() in said:
        found.append("told of another's account")
    if after != before:
        await put_back(world, before)
    return found, answer


async def test_generated(world: World, say: Callable[[str], None]) -> None:
    """No attempt gains anything, whichever operation, protocol, spelling and credential."""
    draw = chance("escalations")
    callers = [caller for name, caller in world.callers.items() if not name.endswith("at the pages")]
    weights = [4 if caller.is_admin else 2 if caller.may else 1 for caller in callers]
    statuses: Counter[int] = Counter()
    for number, attempt in enumerate(itertools.islice(attempts(world, draw), ATTEMPTS)):
        [caller] = draw.choices(callers, weights)
        found, answer = await attack(world, caller, attempt, number)
        assert not found, (number, caller.name, attempt, answer.response.body, found)
        statuses[answer.status] += 1
    say(f"{ATTEMPTS} attempts by {len(callers)} credentials; statuses: {dict(sorted(statuses.items()))}")


async def test_every_page_form(world: World, say: Callable[[str], None]) -> None:
    """No form of the pages gains anything by ids and fields of others, nor by a page that the caller does not see."""
    draw = chance("escalations", "forms")
    rules = [
        rule.rule
        for rule in make_app(world.harness.pipeline, OPERATIONS).url_map.iter_rules()
        if "POST" in (rule.methods or ()) and "sign" not in rule.rule.replace("sign_out", "")
    ]
    number = 0
    for path in rules:
        for name, visitor in world.visitors.items():
            for _ in range(max(1, ATTEMPTS // 2000)):
                number += 1
                ids = world.ids
                id_ = draw.choice(
                    [ids[one] for one in ("boss", "other", "boss_key", "service", "rule", "boss_session", "app")]
                    if "/approvals/" not in path and "/passkeys/" not in path
                    else [ids["approval"], ids["passkey"]]
                )
                fields = {
                    "for_": draw.choice(("service", "user")), "owner": ids["boss"], "name": f"name {number}",
                    "scope": draw.choice(SCOPES), "scope:admin": "on", "scope:owner": "on", "networks": "*",
                    "client_id": ids["boss"], "id": draw.choice((ids["boss_key"], ids["legacy"])), "kind": "service",
                    "email": draw.choice(("", BOSS, f"new{number}@example.org")), "ends": "never", "uid": "7900",
                    "who": "7900", "enabled": "on", "sid": ids["sid"], "secret": "", "everyone": "on", "sure": "on",
                    "password": "a quite long password of theirs", "current": PASSWORD, "overlap": "604800",
                    "redirects": "https://evil.example/", "type": "public", "device": "on", "confirmed": "on",
                    "confirm": draw.choice((id_, BOSS, "boss")), "code": "x", "network": "*", "approve": "true",
                    "decision": "allow", "scope:read": "on",
                }  # fmt: skip
                chosen = {key: value for key, value in fields.items() if draw.random() < 0.8}
                form = "&".join(
                    f"{key}={value.replace('&', '')}" for key, value in {**chosen, "ticket": visitor.ticket}.items()
                )
                form = form.replace(" ", "+").encode("ascii", "replace").decode()
                target = path.replace("<id>", quote(id_)).replace("<delegation>", ids["delegation"])
                assert "<" not in target
                attempt = Attempt(path, "POST", target, {**FORM, **OWN}, form.encode())
                caller = world.callers[f"{name} at the pages"]
                found, answer = await attack(world, caller, attempt, number)
                assert not found, (caller.name, attempt, answer.response.body[:2000], found)
    say(f"{number} forms of {len(rules)} kinds by {len(world.visitors)} visitors")


# what, caller, method, target, body; `$name` is an id of the scene.
BY_HAND: Final[tuple[tuple[str, str, str, str, Any], ...]] = (
    ("a wider scope of oneself", "read * by client secret", "PUT", "/api/v1/users/$own_read_all/scope",
        {"scope": "admin"}),
    ("the same by the old path", "write * by token", "POST", "/users/scope",
        {"client_id": "$own_write_all", "scope": "admin"}),
    ("the account of the body, not of the path", "admin lab by token", "PUT", "/api/v1/users/$own_admin_lab/scope",
        {"client_id": "$own_read_all", "scope": "read"}),
    ("another's, by email beside the path", "admin lab by client secret", "POST",
        "/api/v1/users/$own_admin_lab/disable", {"email": "$boss_email"}),
    ("both ids", "admin lab by client secret", "POST", "/users/scope",
        {"client_id": "$own_admin_lab", "email": "$boss_email", "scope": "read"}),
    ("a target beyond one's networks", "admin lab by client secret", "POST", "/users/delete", {"client_id": "$boss"}),
    ("a key beyond one's networks", "admin lab by client secret", "DELETE", "/api/v1/keys/$lab_service", None),
    ("a rule beyond one's networks", "peer admin lab", "DELETE", "/api/v1/peers/$rule", None),
    ("an app beyond one's networks, led elsewhere", "admin lab by client secret", "PATCH", "/api/v1/apps/$app",
        {"redirect_uris": ["https://evil.example/"]}),
    ("its secret", "admin lab by token", "POST", "/api/v1/apps/$app/rotate-secret", {}),
    ("an app that may be given more", "admin lab by client secret", "POST", "/api/v1/apps",
        {"name": "x", "redirect_uris": ["https://evil.example/"], "networks": ["*"]}),
    ("an app of a reader", "read * by client secret", "POST", "/api/v1/apps",
        {"name": "x", "redirect_uris": ["https://evil.example/"]}),
    ("an app that gives itself more", "an app by its secret", "PATCH", "/api/v1/apps/$app", {"scope": "admin"}),
    ("an app that is built in", "admin lab by client secret", "DELETE", "/api/v1/apps/herod-cli", None),
    ("oneself confirmed", "read * by client secret", "PATCH", "/api/v1/users/$own_read_all", {"confirmed": True}),
    ("more networks for oneself", "admin lab by client secret", "PATCH", "/api/v1/users/$own_admin_lab",
        {"networks": ["*"]}),
    ("a key that reaches farther", "admin lab by session", "POST", "/api/v1/keys",
        {"name": "x", "scope": "read", "kind": "service", "networks": ["lab", "office"]}),
    ("a rule that reaches farther", "service admin lab", "POST", "/api/v1/peers",
        {"uid": 7001, "scope": "read", "networks": ["*"]}),
    ("two groups multiplied: a key", "peer in two groups", "POST", "/api/v1/keys",
        {"name": "x", "kind": "service", "scope": "admin", "networks": ["*"]}),
    ("two groups multiplied: an account", "peer in two groups", "POST", "/api/v1/users",
        {"email": "x@example.org", "scope": "admin", "networks": ["*"]}),
    ("two groups multiplied: another admin", "peer in two groups", "POST", "/api/v1/users/$boss/disable", None),
    ("two groups multiplied: a rule", "peer in two groups", "POST", "/api/v1/peers",
        {"uid": 7001, "scope": "admin"}),
    ("a key of a higher scope", "read * by client secret", "POST", "/api/v1/keys", {"name": "x", "scope": "write"}),
    ("a key of an own scope and a higher one", "read * by client secret", "POST", "/api/v1/keys",
        {"name": "x", "scope": "read admin"}),
    ("a service key", "write * by client secret", "POST", "/api/v1/keys",
        {"name": "x", "scope": "read", "kind": "service"}),
    ("a key for another", "user * by client secret", "POST", "/api/v1/keys",
        {"name": "x", "scope": "read", "owner": "$boss"}),
    ("a key that makes keys", "write * by key", "POST", "/api/v1/keys", {"name": "x", "scope": "read"}),
    ("a key that lengthens itself", "write * by key", "PATCH", "/api/v1/keys/$other_key", {"expires_at": None}),
    ("a registrar that makes keys", "service registrar *", "POST", "/api/v1/keys",
        {"name": "x", "scope": "registrar", "kind": "service"}),
    ("another's key, rotated", "read * by client secret", "POST", "/api/v1/keys/$other_key/rotate", {"overlap": 0}),
    ("another's key, by the old path", "read * by client secret", "POST", "/api/auth/keys/$boss_key/rotate", {}),
    ("a scope of a key, widened", "write * by client secret", "PATCH", "/api/v1/keys/$other_key", {"scope": "admin"}),
    ("another's client secret", "write * by token", "POST", "/api/v1/users/$boss/rotate-secret", {}),
    ("another's password, which is known", "read * by client secret", "POST", "/api/v1/users/$other/password",
        {"password": "a quite long password", "current": PASSWORD}),
    ("another's sessions", "read * by session", "POST", "/api/v1/sessions/end-all", {"client_id": "$boss"}),
    ("everybody's sessions", "read * by session", "POST", "/api/v1/sessions/end-all", {"everyone": True}),
    ("everybody's sessions, by an admin of a network", "admin lab by token", "POST", "/api/v1/sessions/end-all",
        {"everyone": True}),
    ("another's token, revoked", "read * by token", "POST", "/rpc",
        {"jsonrpc": "2.0", "id": 1, "method": "token.revoke", "params": {"token": "$boss_token"}}),
    ("another's resource, with the tenant's secret", "user * by token", "DELETE",
        "/api/v1/resources/$sid?secret=what+the+tenant+of+the+boss+chose", None),
    ("a resource beyond one's networks", "admin lab by token", "DELETE",
        "/api/v1/resources/$sid?secret=another+secret+of+somebody", None),
    ("a legacy secret made a key", "user * by token", "POST", "/api/v1/legacy/$legacy/promote", {"name": "x"}),
    ("the same by an admin of a network", "admin lab by token", "POST", "/api/v1/legacy/$legacy/promote",
        {"name": "x"}),
    ("a wider scope at registration", "nobody", "POST", "/register",
        {"email": "x@example.org", "password": "a quite long password", "scope": "admin"}),
    ("networks at registration", "nobody", "POST", "/register",
        {"email": "x@example.org", "password": "a quite long password", "networks": ["*"], "enabled": True}),
    ("the email of another at registration", "nobody", "POST", "/register",
        {"email": " BOSS.7F3A@EXAMPLE.ORG ", "password": "a quite long password"}),
    ("an admin key that is none, beside a small one", "read * by token", "POST", "/rpc",
        {"jsonrpc": "2.0", "id": 1, "method": "auth.create_key",
         "params": {"admin_key": "$service", "name": "x", "scope": "admin"}}),
    ("an admin's position", "read * by token", "POST", "/rpc",
        {"jsonrpc": "2.0", "id": 1, "method": "auth.create_key", "params": ["$boss_token.x", "x", "admin"]}),
    ("an identity change in a batch", "read * by token", "POST", "/rpc",
        [{"jsonrpc": "2.0", "id": 1, "method": "auth.list_keys", "params": {"admin_key": "$service"}},
         {"jsonrpc": "2.0", "id": 2, "method": "users.delete", "params": {"client_id": "$boss"}}]),
    ("the identity of the former item in a batch", "nobody", "POST", "/",
        [{"jsonrpc": "2.0", "id": 1, "method": "auth.verify", "params": {"key": "$boss_token"}},
         {"jsonrpc": "2.0", "id": 2, "method": "users.scope", "params": {"client_id": "$other", "scope": "admin"}}]),
    ("a right admin key in the item before", "read * by token", "POST", "/rpc",
        [{"jsonrpc": "2.0", "id": 1, "method": "auth.list_keys", "params": {"admin_key": "$boss_token"}},
         {"jsonrpc": "2.0", "id": 2, "method": "auth.create_key", "params": {"name": "x", "scope": "admin"}}]),
    ("a tool of admins", "read * by token", "POST", "/mcp",
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
         "params": {"name": "set_user_scope", "arguments": {"client_id": "$own_read_all", "scope": "admin"}}}),
    ("a tool's argument for another", "admin lab by token", "POST", "/mcp",
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
         "params": {"name": "delete_user", "arguments": {"email": "$boss_email"}}}),
    ("a session made longer by a narrower token", "admin lab by a token of read", "POST", "/api/v1/users",
        {"email": "x@example.org", "scope": "read", "networks": ["lab"]}),
    ("what one was before", "a demoted admin by session", "POST", "/api/v1/users", {"email": "x@example.org"}),
    ("what one was before, by key", "a demoted admin by key", "DELETE", "/api/v1/keys/$service", None),
    ("a rule for the daemon's uid", "admin lab by token", "POST", "/api/v1/peers",
        {"uid": 990, "scope": "admin", "networks": ["*"]}),
    ("a rule for nobody", "admin lab by token", "POST", "/api/v1/peers",
        {"uid": 65534, "scope": "read", "networks": ["lab"]}),
    ("an app of another's, disconnected", "read * by token", "DELETE", "/api/v1/delegations/$delegation", None),
    ("the same by an admin of a network", "admin lab by session", "DELETE", "/api/v1/delegations/$delegation", None),
    ("another's approval", "admin lab by session", "POST", "/api/v1/approvals/$approval/decide", {"approve": True}),
    ("another's approval, by an app", "admin lab by an app", "POST", "/api/v1/approvals/$approval/decide",
        {"approve": True}),
    ("an id with an end", "read * by token", "DELETE", "/api/v1/users/$boss%2e", None),
    ("an id behind one's own", "read * by token", "DELETE", "/api/v1/users/$own_read_all/../$boss", None),
    ("another method by a header", "read * by token", "POST", "/api/v1/users/$boss", {"_method": "DELETE"}),
)  # fmt: skip


@pytest.mark.parametrize(("caller", "method", "target", "body"), [one[1:] for one in BY_HAND],
                         ids=[one[0] for one in BY_HAND])  # fmt: skip
async def test_by_hand(world: World, caller: str, method: str, target: str, body: Any) -> None:
    """The attempt changes nothing at all."""
    text = "" if body is None else Template(json.dumps(body)).safe_substitute(world.ids)
    more = {"mcp-protocol-version": "2025-11-25"} if target == "/mcp" else {"x-http-method-override": "DELETE"}
    attempt = Attempt(target, method, Template(target).safe_substitute(world.ids), {**JSON, **more}, text.encode())
    before = {key: record for key, record in world.records().items() if key[0] != "guess"}
    who = world.callers[caller]
    answer = await world.harness.request(
        method, attempt.target, body=attempt.body or None, headers={**attempt.headers, **who.headers}, source=who.source
    )
    after = {key: record for key, record in world.records().items() if key[0] != "guess"}
    assert after == before, answer.response.body
    assert answer.status < 500


async def test_two_credentials(world: World) -> None:
    """With two credentials in the headers, whichever is better, nothing is done."""
    boss, low = bearer(world.ids["boss_token"]), world.callers["read * by key"].headers
    before = world.records()
    for headers in (
        {**boss, **low},
        {**boss, "x-herod-secret": "guess"},
        {**low, "authorization": world.callers["admin lab by client secret"].headers["authorization"]},
        {**low, **world.callers["admin lab by session"].headers},
    ):
        body = {"email": "x@example.org", "scope": "read", "networks": ["lab"]}
        answer = await world.harness.request("POST", "/api/v1/users", json=body, headers=headers)
        assert 400 <= answer.status < 404
        assert {k: v for k, v in world.records().items() if k[0] != "guess"} == before


@pytest.mark.parametrize("networks", NETWORKS)
async def test_networks_of_oneself(world: World, networks: Any) -> None:
    """No form of a list of networks gives an admin of one network another one."""
    caller = world.callers[HIGHEST]
    for method, target, body in (
        ("PATCH", "/api/v1/users/$own_admin_lab", {}),
        ("POST", "/api/v1/users", {"email": "x@example.org", "scope": "read"}),
        ("POST", "/api/v1/keys", {"name": "x", "scope": "read", "kind": "service"}),
    ):
        path = Template(target).substitute(world.ids)
        attempt = Attempt("", method, path, JSON, json.dumps({**body, "networks": networks}).encode())
        found, _ = await attack(world, caller, attempt, 1)
        assert not found


async def test_the_measure(world: World) -> None:
    """The control: what an admin may do is an escalation when the caller is taken for somebody who may only read."""
    boss = Caller("boss", bearer(world.ids["boss_token"]), (world.grant("read"),))
    noticed = []
    for number, (method, target, body) in enumerate((
        ("PUT", "/api/v1/users/$other/scope", {"scope": "admin"}),
        ("POST", "/api/v1/users/$other/disable", None),
        ("DELETE", "/api/v1/users/$other", None),
        ("DELETE", "/api/v1/keys/$service", None),
        ("PATCH", "/api/v1/apps/$app", {"redirect_uris": ["https://evil.example/"]}),
        ("POST", "/api/v1/apps", {"name": "x", "redirect_uris": ["https://evil.example/"]}),
        ("DELETE", "/api/v1/apps/$app", None),
        ("POST", "/api/v1/keys", {"name": "x", "scope": "admin", "kind": "service"}),
        ("POST", "/api/v1/peers", {"uid": 7999, "scope": "read"}),
        ("POST", "/api/v1/users", {"email": "x@example.org", "scope": "read"}),
        ("DELETE", "/api/v1/peers/$rule", None),
    )):  # fmt: skip
        text = b"" if body is None else json.dumps(body).encode()
        found, answer = await attack(
            world, boss, Attempt("", method, Template(target).substitute(world.ids), JSON, text), number
        )
        assert answer.status < 300, answer.response.body
        noticed.append(bool(found))
    assert all(noticed)
