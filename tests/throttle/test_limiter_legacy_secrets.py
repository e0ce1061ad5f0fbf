"""The limits on guessing legacy secrets, and random credentials, which need no limit."""

from hashlib import sha256
from typing import Any

import msgspec
import pytest

from herod.credentials.imported_secret_hashes import import_sha256
from herod.identity.credential_types import ApiKeyHeader, Basic, Bearer, PeerClaim, SecretHeader
from herod.identity.legacy_secrets import LegacySecrets
from herod.pipeline.credential_verification import verify_credential
from herod.pipeline.operation_definition import Context
from herod.pipeline.pipeline import Pipeline
from herod.records import Account, GuessCount
from herod.scopes.principal import ANONYMOUS
from herod.store.store_interface import Writer
from herod.throttle import limiter
from herod_client.core.errors import BadToken, RateLimited, Unavailable
from herod_client.core.key_format import KeyKind, new_client_secret, new_key, new_key_id
from support.herod_in_memory import ADMIN_SOURCE, LEGACY, LOCAL_ADMIN, NOW, PUBLIC_URL, STRANGER, TCP, Harness, User
from support.wrong_guesses import ask, uid


async def test_legacy_secrets_are_guessed_ten_times(harness: Harness) -> None:
    """After ten guesses in any header a source is locked, even with a right secret, without a commit for each guess."""
    writes = harness.store.stats.writes
    for number in range(5):
        assert await ask(harness, "whoami", Bearer(f"guess {number}")) == "bad_credentials"
        assert await ask(harness, "auth.list_keys", None, TCP, admin_key=f"guess {number}") == "bad_credentials"
    assert harness.store.stats.writes == writes
    harness.clock.now += 100
    for presented in (SecretHeader("guess"), Bearer("guess"), Bearer(LEGACY["user"]), SecretHeader(LEGACY["admin"])):
        with pytest.raises(RateLimited) as refused:
            await harness.call("whoami", presented, TCP)
        assert (refused.value.retry_after, refused.value.reason) == (200, "locked_legacy")
    assert await ask(harness, "users.list", Bearer(LEGACY["user"])) == "rate_limited"  # not 403: it would confirm it
    assert await ask(harness, "whoami", Bearer(LEGACY["user"]), STRANGER) == "ok"
    assert await ask(harness, "whoami", LOCAL_ADMIN, ADMIN_SOURCE) == "ok"
    harness.clock.now += 200
    assert await ask(harness, "whoami", Bearer(LEGACY["user"])) == "ok"


async def test_a_right_legacy_secret_clears_nothing(harness: Harness) -> None:
    """A right legacy secret does not clear the count, so a holder of one cannot guess another without limit."""
    for _ in range(10):
        assert await ask(harness, "whoami", Bearer("guess")) == "bad_credentials"
        if _ < 9:
            assert await ask(harness, "whoami", Bearer(LEGACY["user"])) == "ok"
    assert await ask(harness, "whoami", Bearer(LEGACY["user"])) == "rate_limited"


async def test_a_restart_forgets_no_guess_at_a_legacy_secret(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses are written within a second, later if the store cannot, and not again without changes."""

    async def refuse(function: object) -> None:
        raise Unavailable("the disk is full")

    for _ in range(5):
        await ask(harness, "whoami", Bearer("guess"))
    with monkeypatch.context() as patched:
        patched.setattr(type(harness.store), "write", lambda self, function: refuse(function))
        await harness.pipeline.flush()
    await harness.pipeline.flush()
    for _ in range(5):
        await ask(harness, "whoami", Bearer("guess"))
    await harness.pipeline.flush(is_last=True)
    writes = harness.store.stats.writes
    await harness.pipeline.attempts.flush()
    assert harness.store.stats.writes == writes
    harness.pipeline = Pipeline(harness.store, harness.runtime, clock=harness.clock)
    assert await ask(harness, "whoami", Bearer("guess")) == "rate_limited"


async def test_a_guess_while_the_others_are_written_stays(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guess counted during a write is kept for the next write."""
    await ask(harness, "whoami", Bearer("guess"))
    real = harness.store.write

    async def slow(function: Any) -> Any:
        await ask(harness, "whoami", Bearer("guess"))
        return await real(function)

    with monkeypatch.context() as patched:
        patched.setattr(harness.store, "write", slow)
        await harness.pipeline.attempts.flush()
    await harness.pipeline.attempts.flush()
    (record,) = harness.store.scan(GuessCount)
    assert record.marks == ((NOW, 2),)


async def test_counts_in_memory_are_bounded(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """With too many sources and a read-only store, the oldest count is evicted."""
    monkeypatch.setattr(limiter, "MAX_UNWRITTEN", 3)
    for number in range(5):
        await ask(harness, "whoami", Bearer("guess"), uid(number))
    await harness.pipeline.flush()
    assert harness.store.count(GuessCount) == 3


async def test_what_is_random_is_not_counted(harness: Harness) -> None:
    """Random 256-bit credentials, also in questions, and peers are not counted, nor anything without legacy secrets."""
    user = await harness.user()
    token = await user.token()
    wrong_token = token[:-1] + ("A" if token[-1] != "A" else "B")
    for _ in range(12):
        for presented in (
            Bearer(new_key(KeyKind.SERVICE, new_key_id())),
            ApiKeyHeader("guess"),
            Bearer(wrong_token),
            Basic(user.client_id, new_client_secret()),
            PeerClaim("guess"),
        ):
            assert await ask(harness, "whoami", presented) in {"bad_credentials", "bad_token"}
        for text in (wrong_token, new_key(KeyKind.SERVICE, new_key_id()), "herod_u_mistyped", ""):
            assert not (await harness.call("token.validate", None, TCP, token=text)).valid
            assert not (await harness.call("auth.verify", None, TCP, key=text)).valid
            assert not (await harness.call("token.introspect", user.basic, TCP, token=text)).active
    harness.configure(legacy=LegacySecrets(harness.runtime.keyring, []))
    for legacy in (Bearer("guess"), SecretHeader("guess")):
        assert [await ask(harness, "whoami", legacy) for _ in range(12)] == ["bad_credentials"] * 12
        assert not (await harness.call("token.validate", legacy, TCP, token="guess")).valid
    await harness.pipeline.flush()
    assert harness.store.count(GuessCount) == 0


async def test_a_secret_that_looks_like_a_token_is_guarded(harness: Harness) -> None:
    """If a legacy secret looks like a token, bad tokens count as guesses at it, and valid tokens are unaffected."""
    harness.configure(legacy=LegacySecrets(harness.runtime.keyring, [("user", "our.old.secret")]))
    token = await (await harness.user()).token()
    for _ in range(10):
        with pytest.raises(BadToken):
            await harness.call("whoami", Bearer("our.new.secret"), TCP)
    assert await ask(harness, "whoami", Bearer("our.old.secret")) == "rate_limited"
    assert await ask(harness, "whoami", Bearer(token)) == "ok"


QUESTIONS = {"token.validate": "token", "auth.verify": "key", "token.introspect": "token"}


@pytest.mark.parametrize("question", list(QUESTIONS))
async def test_a_question_about_a_legacy_secret_is_a_guess(harness: Harness, question: str) -> None:
    """Who asks about ten wrong secrets is locked everywhere, for the right one too, and gets no answer about it."""
    name = QUESTIONS[question]
    user = await harness.user()
    presented = user.basic if question == "token.introspect" else None
    for number in range(10):
        assert await ask(harness, question, presented, TCP, **{name: f"guess {number}"}) == "ok"
    for text in ("guess", LEGACY["user"]):
        assert await ask(harness, question, presented, TCP, **{name: text}) == "rate_limited"
        assert await ask(harness, "whoami", Bearer(text)) == "rate_limited"
    token = await user.token()
    assert await ask(harness, question, presented, TCP, **{name: token}) == "ok"  # nothing is guessed
    assert await ask(harness, question, presented, uid(7), **{name: LEGACY["user"]}) == "ok"
    await harness.pipeline.flush()
    reasons = {row.event.reason for row in harness.store.audit_rows() if row.event.operation == question}
    assert "locked_legacy" in reasons


@pytest.mark.parametrize("question", list(QUESTIONS))
async def test_a_locked_source_gets_no_answer_to_questions(harness: Harness, question: str) -> None:
    """After ten wrong secrets in the headers, questions about right and wrong ones are refused too."""
    user = await harness.user()
    for _ in range(10):
        await ask(harness, "whoami", SecretHeader("guess"))
    for text in ("guess", LEGACY["admin"]):
        assert await ask(harness, question, user.basic, TCP, **{QUESTIONS[question]: text}) == "rate_limited"


async def test_guesses_of_every_way_share_a_count(harness: Harness) -> None:
    """Headers, parameters and questions over REST, forms, JSON-RPC batches and MCP are counted together."""
    key = await harness.user("read")
    headers = {
        "authorization": f"Bearer {await key.token(resource=PUBLIC_URL)}",
        "accept": "application/json, text/event-stream",
    }
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "auth.verify", "params": {"key": "a"}},
        {"jsonrpc": "2.0", "id": 2, "method": "token.validate", "params": ["b"]},
        {"jsonrpc": "2.0", "id": 3, "method": "auth.list_keys", "params": {"admin_key": "c"}},
    ]
    tool = {
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "validate_token", "arguments": {"token": "d"}},
    }  # fmt: skip
    for _ in range(2):
        assert (await harness.request("POST", "/rpc", json=batch)).status == 200
        assert (await harness.request("POST", "/mcp", json=tool, headers=headers)).status == 200
        assert (await harness.request("POST", "/introspect", form="token=e", headers=user_basic(key))).status == 200
    answer = await harness.request("POST", "/validate", json={"token": LEGACY["user"]})
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0
    answers = (await harness.request("POST", "/rpc", json=batch)).json
    assert {one["error"]["code"] for one in answers} == {4029}
    answer = await harness.request("POST", "/introspect", form=f"token={LEGACY['user']}", headers=user_basic(key))
    assert answer.status == 429
    assert "429" not in (await harness.request("POST", "/mcp", json=tool, headers=headers)).json


def user_basic(user: User) -> dict[str, str]:
    """The header of an account's client id and secret."""
    return user.basic_header


async def test_the_users_of_a_service_do_not_lock_it(harness: Harness) -> None:
    """Questions with a service key have a limit of their own, whatever is locked for the service's source."""
    key = await harness.service_key("read")
    for presented in (Bearer(key), ApiKeyHeader(key)):
        for number in range(40):
            answer = await harness.call("token.validate", presented, TCP, token=f"what users typed {number}")
            assert answer.reason == "invalid"
    assert await ask(harness, "whoami", Bearer(LEGACY["user"])) == "ok"
    for _ in range(10):
        await ask(harness, "whoami", SecretHeader("guess"))
    assert (await harness.call("token.validate", Bearer(key), TCP, token=LEGACY["user"])).valid
    for _ in range(20):
        assert await ask(harness, "token.introspect", Bearer(key), TCP, token="guess") == "ok"
    for text in ("guess", LEGACY["user"]):
        with pytest.raises(RateLimited) as refused:
            await harness.call("auth.verify", Bearer(key), TCP, key=text)
        assert refused.value.reason == "locked_service"
    token = await (await harness.user()).token()
    assert (await harness.call("token.validate", Bearer(key), TCP, token=token)).valid


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
async def test_a_service_key_counts_on_every_wire(harness: Harness, header: str) -> None:
    """The key is read from the headers wherever the question is asked, over REST and JSON-RPC, alone and in batches."""
    key = await harness.service_key("read")
    headers = {header: f"Bearer {key}" if header == "authorization" else key}
    questions = [("token.validate", "token"), ("auth.verify", "key")]
    for number in range(10):
        text = f"what users typed {number}"
        assert (await harness.request("POST", "/validate", json={"token": text}, headers=headers)).status == 200
        calls = [
            {"jsonrpc": "2.0", "id": 1, "method": method, "params": {name: f"{text} {path}"}}
            for method, name in questions
            for path in ("/rpc", "/")
        ]
        for path, json in (("/rpc", calls), ("/", calls[0]), ("/", calls[1]), ("/rpc", calls[2])):
            answer = await harness.request("POST", path, json=json, headers=headers)
            assert b"error" not in answer.response.body
    assert await ask(harness, "whoami", Bearer(LEGACY["user"])) == "ok"
    for number in range(20):
        json = {"token": f"more {number}"}
        assert (await harness.request("POST", "/validate", json=json, headers=headers)).status == 200
    right = {"token": LEGACY["user"]}
    assert (await harness.request("POST", "/validate", json=right, headers=headers)).status == 429
    assert (await harness.request("POST", "/validate", json=right)).json["valid"]


async def test_what_is_beside_a_question_never_refuses_it(harness: Harness) -> None:
    """An operation for everybody answers, whatever the headers are."""
    for headers in (
        {"authorization": "Basic nonsense"},
        {"authorization": "Bearer herod_s_wrong"},
        {"authorization": "Other x"},
        {"authorization": "Bearer one", "x-api-key": "another"},
    ):
        answer = await harness.request("POST", "/validate", json={"token": LEGACY["user"]}, headers=headers)
        assert answer.json["valid"]


async def test_only_service_keys_have_a_count_of_their_own(harness: Harness) -> None:
    """Accounts, user keys, wrong keys and legacy secrets beside a question do not avoid the count of the source."""
    user = await harness.user("user")
    key = await user.key()
    callers = [user.basic, Bearer(key), ApiKeyHeader(key), Bearer(LEGACY["user"]), Bearer("herod_s_wrong"), None]
    for number in range(10):
        presented = callers[number % len(callers)]
        assert await ask(harness, "token.validate", presented, TCP, token=f"guess {number}") == "ok"
    assert await ask(harness, "token.validate", user.basic, TCP, token="guess") == "rate_limited"


async def test_the_sources_of_a_range_have_a_limit_together(harness: Harness) -> None:
    """A user's subordinate uids guess fifty legacy secrets, not ten each; other users are unaffected."""
    for number in range(50):
        assert await ask(harness, "whoami", Bearer("guess"), uid(100_000 + number)) == "bad_credentials"
    assert await ask(harness, "whoami", Bearer(LEGACY["user"]), uid(100_100)) == "rate_limited"
    for other in (7, 165_536):
        assert await ask(harness, "whoami", Bearer(LEGACY["user"]), uid(other)) == "ok"


async def test_client_secrets_that_people_chose(harness: Harness) -> None:
    """Wrong secrets for accounts with an imported one are counted by source; others are not, and work meanwhile."""
    user, other = await harness.user(), await harness.user()
    chosen = "chosen by a person"
    imported = import_sha256(
        harness.runtime.keyring, "client_secret", user.client_id, sha256(chosen.encode()).hexdigest()
    )

    def change(tx: Writer) -> None:
        account = tx.get(Account, user.client_id)
        assert account is not None
        tx.put(msgspec.structs.replace(account, secret_hash=imported))

    await harness.store.write(change)
    assert await ask(harness, "whoami", Basic(user.client_id, chosen)) == "ok"
    for _ in range(10):
        assert await ask(harness, "whoami", Basic(other.client_id, "guess")) == "bad_credentials"
        assert await ask(harness, "token.create", Basic(user.client_id, "guess")) == "bad_credentials"
    for secret in ("guess", chosen):
        assert await ask(harness, "token.create", Basic(user.client_id, secret)) == "rate_limited"
    assert await ask(harness, "token.create", Basic(other.client_id, "guess")) == "bad_credentials"
    assert await ask(harness, "token.create", other.basic) == "ok"
    assert await ask(harness, "token.create", Basic(user.client_id, chosen), uid(7)) == "ok"
    for number in range(50):
        presented = Basic(user.client_id, "guess")
        assert await ask(harness, "token.create", presented, uid(100_000 + number)) == "bad_credentials"
    assert await ask(harness, "token.create", Basic(user.client_id, chosen), uid(100_100)) == "rate_limited"
    assert await ask(harness, "token.create", Basic(user.client_id, chosen), uid(7)) == "ok"


async def test_no_operation_verifies_what_is_not_counted(harness: Harness) -> None:
    """A handler that verifies a credential which its operation does not name fails."""
    context = Context(
        runtime=harness.runtime, process=harness.pipeline.process, principal=ANONYMOUS, source=TCP, now=NOW
    )
    with pytest.raises(RuntimeError, match="verifies"):
        verify_credential(harness.store, context, "guess")
