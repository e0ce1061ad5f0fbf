"""The verifier with a real daemon: revocations take effect within a moment, through the change feed alone."""

import os
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from herod.pipeline.process.process_state import WAITING_OF_SOURCE
from herod_client import (
    AsyncClient,
    Basic,
    Client,
    InvalidInput,
    NotAuthenticated,
    Refused,
    ThreadedVerifier,
    Unreachable,
    Verifier,
)
from herod_client.core.access_tokens import Claims, issue
from herod_client.core.errors import BadToken, Disabled, HerodError, MissingScope, RevokedToken
from herod_client.core.refusal_reasons import refusal_reason
from herod_client.core.signing_keys import hs256_key
from herod_client.credentials import Bearer
from support.certificates import make_certificate
from support.real_daemon import SECRET, Daemon, free_port, running

BAD_REQUEST = 400


SECONDS = 60  # seconds until a test fails


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A real daemon, for tests that leave it running."""
    with running(tmp_path_factory.mktemp("daemon")) as made:
        yield made


@pytest.fixture
def admin(daemon: Daemon) -> Iterator[Client]:
    """The daemon's local admin."""
    with Client(f"unix:{daemon.socket}") as made:
        yield made


class Account:
    """An account and its token."""

    def __init__(self, admin: Client, scope: str = "write") -> None:
        made = admin.call("users.add", {"scope": scope})
        self.client_id: str = made["client_id"]
        self.basic = (made["client_id"], made["client_secret"])
        self._admin = admin

    def token(self) -> str:
        """A new token."""
        answer = self._admin.post_form("/token", {"grant_type": "client_credentials"}, identity=Basic(*self.basic))
        text: str = answer["access_token"]
        return text


@asynccontextmanager
async def verifying(daemon: Daemon, **more: Any) -> AsyncIterator[Verifier]:
    """A verifier with the secret, closed after the time a test may take."""
    with trio.fail_after(SECONDS):
        async with Verifier(f"unix:{daemon.socket}", secret=SECRET, **more) as verifier:
            yield verifier


async def after(verifier: Verifier, change: Callable[[], object]) -> None:
    """Wait until the verifier has received a change."""
    version = verifier.version
    await trio.to_thread.run_sync(change)
    await verifier.changed(version)


async def test_revoked_demoted_disabled_deleted(daemon: Daemon, admin: Client) -> None:
    """Each change takes effect when it arrives with the feed, without other requests."""
    async with verifying(daemon) as verifier:
        version = verifier.version
        ada = Account(admin)
        first, second = ada.token(), ada.token()
        await verifier.changed(version)
        assert verifier.verify(first, scope="write").sub == ada.client_id
        await after(verifier, lambda: admin.post_form("/revoke", {"token": first}))
        with pytest.raises(RevokedToken):
            verifier.verify(first)
        verifier.verify(second, scope="write")
        await after(verifier, lambda: admin.call("users.scope", {"client_id": ada.client_id, "scope": "read"}))
        with pytest.raises(MissingScope):
            verifier.verify(second, scope="write")
        assert verifier.verify(second).scope == "read"
        await after(verifier, lambda: admin.call("users.disable", {"client_id": ada.client_id}))
        with pytest.raises(Disabled):
            verifier.verify(second)
        await after(verifier, lambda: admin.call("users.enable", {"client_id": ada.client_id}))
        with pytest.raises(RevokedToken):  # disabling has ended the earlier ones
            verifier.verify(second)
        third = ada.token()
        verifier.verify(third)
        await after(verifier, lambda: admin.call("users.delete", {"client_id": ada.client_id}))
        with pytest.raises(RevokedToken):
            verifier.verify(third)


async def test_peers_and_the_local_admin(daemon: Daemon, admin: Client) -> None:
    """Tokens of peer rules and of the local admin are accepted; removing a rule ends its tokens."""
    rule = admin.call("peers.allow", {"uid": os.geteuid(), "scope": "user"})
    async with verifying(daemon) as verifier:
        mine = admin.post_form("/token", {"grant_type": "client_credentials"})["access_token"]
        assert verifier.verify(mine, scope="admin").kind == "local_admin"
        peer = daemon.curl("/token", "-H", "Authorization: Peer", "-d", "grant_type=client_credentials")[1]
        assert verifier.verify(peer["access_token"], scope="user").sub == rule["id"]
        await after(verifier, lambda: admin.call("peers.remove", {"id": rule["id"]}))
        with pytest.raises(RevokedToken):
            verifier.verify(peer["access_token"])


async def test_the_same_reasons(daemon: Daemon, admin: Client) -> None:
    """`Verifier`, `ThreadedVerifier` and `/validate` refuse each token for the same reason, and each mistake too."""
    now = int(time.time())
    user, off, over = Account(admin), Account(admin), Account(admin)
    revoked = user.token()
    texts = {
        "good": user.token(), "revoked": revoked, "disabled": off.token(), "deleted": over.token(),
        "malformed": "a.b.c", "tampered": user.token()[:-4] + "AAAA",
        "future": forged(sub=user.client_id, iat=now + 600), "expired": forged(sub=user.client_id, iat=now - 3600),
        "another herod's": forged(sub="nobody", iat=now),
        "another's": forged(
            sub=user.client_id, iat=now, iss=daemon.url, aud="https://jobs.example", client_id=user.client_id
        ),
    }  # fmt: skip
    asked: list[dict[str, str]] = [
        {}, {"scope": "read"}, {"scope": "admin"}, {"network": "lab"}, {"scope": ""}, {"scope": "read launch"},
        {"network": " "}, {"scope": "admin", "network": "a b"},
    ]  # fmt: skip
    async with verifying(daemon) as verifier:
        await after(verifier, lambda: admin.post_form("/revoke", {"token": revoked}))
        await after(verifier, lambda: admin.call("users.disable", {"client_id": off.client_id}))
        await after(verifier, lambda: admin.call("users.delete", {"client_id": over.client_id}))
        with ThreadedVerifier(f"unix:{daemon.socket}", secret=SECRET) as threaded:
            for required in asked:
                for name, text in texts.items():
                    told = validated(admin, text, required)
                    assert locally(verifier.verify, text, required) == told, (name, required)
                    if name != "deleted":  # it was, before this verifier had heard of it
                        assert locally(threaded.verify, text, required) == told, (name, required)
    assert {validated(admin, text, {}) for text in texts.values()} == {
        "valid", "revoked", "disabled", "malformed", "signature", "clock", "expired", "audience",
    }  # fmt: skip


def forged(*, iat: int, **claims: Any) -> str:
    """A token that any service could make which holds HERO_SECRET."""
    more = {"iss": "hero_auth", "scope": "write", "jti": "j", "epoch": 1, "via": "client_secret", **claims}
    return issue(Claims(iat=iat, exp=iat + 3600, **more), hs256_key(SECRET))


def validated(admin: Client, text: str, required: dict[str, str]) -> str:
    """Herod's own answer: `valid`, the reason, or `mistake` for a 400."""
    try:
        answer = admin.post("/validate", {"token": text, **required})
    except Refused as error:
        return "mistake" if error.status == BAD_REQUEST else str(error)
    return "valid" if answer["valid"] else str(answer["reason"])


def locally(verify: Callable[..., object], text: str, required: dict[str, str]) -> str:
    """The same of a verifier."""
    try:
        verify(text, **required)
    except InvalidInput:
        return "mistake"
    except HerodError as error:
        return str(refusal_reason(error))
    return "valid"


async def test_the_same_as_herod_says(daemon: Daemon, admin: Client) -> None:
    """The verifier agrees with `/validate` on valid and invalid tokens."""
    ada = Account(admin)
    async with verifying(daemon) as verifier:
        good = ada.token()
        theirs, ours = admin.post("/validate", {"token": good}), verifier.verify(good)
        assert theirs["valid"] is True
        assert (theirs["sub"], theirs["scope"], theirs["exp"], theirs["iat"], theirs["jti"]) == (
            ours.sub, ours.scope, ours.exp, ours.iat, ours.jti,
        )  # fmt: skip
        assert theirs["networks"] == sorted(ours.networks)
        for bad in (good + "=", good[:-4] + "AAAA", "x", "", good.split(".", 1)[1]):
            assert admin.post("/validate", {"token": bad})["valid"] is False
            with pytest.raises(BadToken):
                verifier.verify(bad)


async def test_a_restart(tmp_path: Path) -> None:
    """After a restart the verifier follows the new daemon, and the local admin's old tokens are refused."""
    with running(tmp_path) as daemon, Client(f"unix:{daemon.socket}") as admin:
        await _restart(daemon, admin, tmp_path)


async def _restart(daemon: Daemon, admin: Client, tmp_path: Path) -> None:
    ada = Account(admin)
    async with verifying(daemon) as verifier:
        good, local = ada.token(), admin.post_form("/token", {"grant_type": "client_credentials"})["access_token"]
        verifier.verify(good)
        verifier.verify(local)
        version = verifier.version
        assert await trio.to_thread.run_sync(daemon.stop) == 0
        verifier.verify(good)  # within max_stale
        with running(tmp_path):
            await verifier.changed(version)
            assert verifier.verify(good).sub == ada.client_id
            with pytest.raises(RevokedToken):
                verifier.verify(local)


async def test_a_restore(tmp_path: Path) -> None:
    """After a restore all earlier tokens are refused, and accounts created since the backup are unknown."""
    with running(tmp_path) as daemon, Client(f"unix:{daemon.socket}") as admin:
        await _restore(daemon, admin, tmp_path)


async def _restore(daemon: Daemon, admin: Client, tmp_path: Path) -> None:
    ada = Account(admin)
    backup = tmp_path / "backup"
    assert daemon.herod("backup", str(backup)).returncode == 0
    bob = Account(admin)
    async with verifying(daemon) as verifier:
        tokens = [ada.token(), bob.token()]
        for token in tokens:
            verifier.verify(token)
        version = verifier.version
        await trio.to_thread.run_sync(daemon.stop)
        database = tmp_path / "store" / "herod.db"
        restored = daemon.herod("restore", str(backup), "--store", f"sqlite:{database}")
        assert restored.returncode == 0, restored.stderr
        with running(tmp_path):
            await verifier.changed(version)
            for token in tokens:
                with pytest.raises(RevokedToken):
                    verifier.verify(token)
            fresh = ada.token()
            assert verifier.verify(fresh).sub == ada.client_id


async def test_who_may_not_read_the_feed(daemon: Daemon, admin: Client) -> None:
    """A verifier without a valid credential does not start."""
    with pytest.raises(NotAuthenticated):
        async with verifying(daemon, credential="herod_s_nonsense"):
            pass
    key = admin.call("keys.create", {"name": "verifier", "kind": "service", "scope": "read"})["key"]
    token = Account(admin).token()
    async with verifying(daemon, credential=key) as verifier:
        assert verifier.verify(token).scope == "write"


def test_a_service_without_trio(daemon: Daemon, admin: Client) -> None:
    """Without trio, a thread follows the feed, and any thread may verify."""
    ada = Account(admin)
    token = ada.token()
    with ThreadedVerifier(f"unix:{daemon.socket}", secret=SECRET) as verifier:
        assert verifier.verify(token, scope="write").sub == ada.client_id
        assert not verifier.is_stale
        version = verifier.version
        admin.post_form("/revoke", {"token": token})
        assert verifier.changed(version) > version
        with pytest.raises(RevokedToken):
            verifier.verify(token)
    assert "herod-verifier" not in {thread.name for thread in threading.enumerate()}


def test_a_thread_that_cannot_start(tmp_path: Path) -> None:
    """An error at the start of the thread is raised where the verifier is entered."""
    verifier = ThreadedVerifier(f"unix:{tmp_path}/s", secret=SECRET)
    with pytest.raises(Unreachable), verifier:
        pass
    with pytest.raises(RuntimeError, match="enter it first"):
        verifier.changed(0)


async def test_public_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With EdDSA the keys come from herod without a secret, and a key under a wrong `kid` is refused."""
    monkeypatch.setattr("herod_client.async_verifier.KEYS_KEPT", 0)  # fetched every time, with the same result
    with running(tmp_path, "--signing", "EdDSA") as daemon, Client(f"unix:{daemon.socket}") as admin:
        token = Account(admin).token()
        with trio.fail_after(SECONDS):
            async with Verifier(f"unix:{daemon.socket}", jwks=True) as verifier:
                assert verifier.verify(token, scope="write").kind == "account"
            async with Verifier(f"unix:{daemon.socket}", jwks=True, secret=SECRET) as verifier:
                assert verifier.verify(token).scope == "write"
                keys = verifier.checker.keys
                version = verifier.version
                admin.call("users.add", {"scope": "read"})
                await verifier.changed(version)
                assert verifier.checker.keys is keys
            async with Verifier(f"unix:{daemon.socket}", secret=SECRET) as verifier:
                with pytest.raises(BadToken):
                    verifier.verify(token)


async def test_no_public_keys(daemon: Daemon, admin: Client, caplog: pytest.LogCaptureFixture) -> None:
    """While herod has no public key, no token is valid, and the log says what to do."""
    token = Account(admin).token()
    async with Verifier(f"unix:{daemon.socket}", jwks=True) as verifier:
        with pytest.raises(BadToken):
            verifier.verify(token)
    assert "Give secret=HERO_SECRET" in caplog.text


async def test_over_tls(tmp_path: Path) -> None:
    """Feed and keys are read over https, with an API key as credential."""
    certificate, key_file = make_certificate(tmp_path, name="herod")
    port = free_port()
    binds = (f"unix:{tmp_path}/herod.sock", f"127.0.0.1:{port}")
    with running(tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key_file), binds=binds) as daemon:
        with Client(f"unix:{daemon.socket}") as admin:
            token = Account(admin).token()
            key = admin.call("keys.create", {"name": "v", "kind": "service", "scope": "read"})["key"]
        tls = ssl.create_default_context(cafile=str(certificate))
        with trio.fail_after(SECONDS):
            async with Verifier(f"https://127.0.0.1:{port}", secret=SECRET, credential=key, tls=tls) as verifier:
                assert verifier.verify(token).scope == "write"


@pytest.mark.parametrize("url", ["http://127.0.0.1:3350", "http://localhost", "http://herod.example"])
def test_never_over_http(url: str) -> None:
    """Plain http is refused before anything is sent, because any local program could listen there."""
    with pytest.raises(InvalidInput, match="not accepted over http"):
        Verifier(url, secret=SECRET)


@pytest.mark.parametrize("kind", [Verifier, ThreadedVerifier])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"secret": ""},
        {"secret": "", "jwks": True},
        {"secret": SECRET, "max_stale": 1},
        {"secret": SECRET, "network": ""},
        {"secret": SECRET, "audiences": ""},
        {"secret": SECRET, "audiences": [""]},
        {"secret": SECRET, "audiences": "https://me.example"},
        {"secret": SECRET, "resource": ""},
        {"secret": SECRET, "resource": "me.example"},
        {"secret": SECRET, "credential": ""},
        {"secret": SECRET, "when_stale": ""},
    ],
    ids=str,
)
def test_settings_that_will_not_do(kind: Callable[..., object], more: dict[str, Any]) -> None:
    """Missing keys, empty arguments, as from a variable that was never set, and too short a `max_stale` are refused."""
    with pytest.raises(InvalidInput):
        kind("unix:/run/herod/herod.sock", **more)
    with pytest.raises(InvalidInput):
        kind("", secret=SECRET)


async def test_when_all_places_are_taken(tmp_path: Path) -> None:
    """With a real daemon whose places are taken by as many accounts as there are places, a revocation still arrives."""
    with running(tmp_path) as daemon, Client(f"unix:{daemon.socket}") as admin:
        tokens = [Account(admin, scope="read").token() for _ in range(WAITING_OF_SOURCE)]
        ada = Account(admin)
        token = ada.token()
        cursor = admin.get("/api/v1/tokens/changes")["data"]["cursor"]
        async with trio.open_nursery() as nursery:

            async def wait_for_changes(token: str) -> None:
                async with AsyncClient(f"unix:{daemon.socket}", identity=Bearer(token), timeout=SECONDS) as client:
                    at = cursor
                    while True:
                        with suppress(Refused):  # its place was taken
                            at = (await client.get(f"/api/v1/tokens/changes?wait=30&cursor={at}"))["data"]["cursor"]

            for one in tokens:
                nursery.start_soon(wait_for_changes, one)
            await trio.sleep(0.5)
            async with verifying(daemon, max_stale=2) as verifier:
                assert verifier.verify(token).sub == ada.client_id
                await after(verifier, lambda: admin.call("users.delete", {"client_id": ada.client_id}))
                with pytest.raises(RevokedToken):
                    verifier.verify(token)
                assert not verifier.is_stale
            nursery.cancel_scope.cancel()
