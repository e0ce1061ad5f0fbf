"""The reload itself: all or nothing, and never in the middle of a handler."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import cast

import pytest
import trio
import trio.testing

from herod.identity.credential_types import Bearer, SessionCookie
from herod.identity.legacy_secrets import LegacySecrets
from herod.records import Account, Record
from herod.reload import Reloader
from herod.settings import Settings
from herod.store.sqlite.sqlite_store import open_sqlite
from herod.store.store_interface import Store, Writer
from herod_client.core.errors import SettingsError, Unauthenticated, Unavailable
from herod_client.core.scope_graph import ScopeGraph
from support.herod_in_memory import TCP, Harness

LEGACY = "a secret of another system"
OLD = Settings(hero_secret="h" * 40, bind=(), store=None, public_url="http://localhost")
NEW = replace(
    OLD, scopes={"jobs:run": ("user",)}, networks=frozenset({"prod"}), user_secret=("a secret of another system",)
)


def make_reloader(harness: Harness, load: Callable[[], Settings], store: Store | None = None) -> Reloader:
    """A reloader of that harness, with its store or another."""
    return Reloader(
        OLD,
        load,
        runtime=harness.runtime,
        store=store or harness.store,
        certificates=None,
        clock=lambda: harness.clock.now,
    )


async def test_all_of_it(harness: Harness) -> None:
    """Graph, networks and legacy secrets are new, with the next generation, and caches are empty."""
    before = harness.runtime.config.graph
    harness.runtime.grant(("read",), ("*",))
    assert await make_reloader(harness, lambda: NEW).reload()
    assert harness.runtime.config.graph.bit("jobs:run")
    assert harness.runtime.config.graph.generation == before.generation + 1
    assert harness.runtime.config.networks == frozenset({"prod"})
    found = harness.runtime.config.legacy.match("a secret of another system")
    assert found is not None
    assert found.scope == "user"
    assert not len(harness.runtime.grants)


async def test_a_file_that_hangs(
    harness: Harness, caplog: pytest.LogCaptureFixture, mock_clock: trio.testing.MockClock
) -> None:
    """A hanging file times out, so that the next SIGHUP is handled."""
    release = threading.Event()

    def hang() -> Settings:
        release.wait()
        return NEW

    mock_clock.autojump_threshold = 0
    try:
        assert not await make_reloader(harness, hang).reload()
    finally:
        release.set()
        mock_clock.autojump_threshold = inf
    assert harness.runtime.config.networks != frozenset({"prod"})
    assert "could not be read within 30 seconds" in caplog.text
    assert await make_reloader(harness, lambda: NEW).reload()


def _refuse() -> Settings:
    raise SettingsError("networks: found nothing.")


def _fail() -> Settings:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (_refuse, "networks: found nothing."),
        (_fail, "ZeroDivisionError"),
        (lambda: replace(NEW, scopes={"a": ("b",), "b": ("a",)}), "cycle"),
    ],
)
async def test_nothing_of_it(
    harness: Harness, load: Callable[[], Settings], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After any error everything is unchanged, and the log has the reason."""
    before = harness.runtime.config.graph, harness.runtime.config.networks, harness.runtime.config.legacy
    with caplog.at_level(logging.ERROR):
        assert not await make_reloader(harness, load).reload()
    assert (harness.runtime.config.graph, harness.runtime.config.networks, harness.runtime.config.legacy) == before
    assert "keeping the old settings" in caplog.text
    assert message in caplog.text


async def test_what_needs_a_restart(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    """Settings that need a restart are named as users write them, without their values."""
    changed = replace(NEW, hero_secret="x" * 40, token_ttl=77, tls_cert=Path("/c"), tls_key=Path("/k"), bind=())
    with caplog.at_level(logging.WARNING):
        assert await make_reloader(harness, lambda: changed).reload()
    assert "need a restart: HERO_SECRET (run `herod secret rotate` before the restart), tls_cert, " in caplog.text
    assert "xxx" not in caplog.text


async def test_a_store_that_cannot_write(harness: Harness) -> None:
    """The reload succeeds although the store cannot write."""

    class ReadOnly:
        """A store that refuses every write."""

        change_notifier = harness.store.change_notifier

        def scan(self, record_type: type[Record]) -> Iterator[Record]:
            return harness.store.scan(record_type)

        async def write(self, function: object) -> None:
            raise Unavailable("read-only", reason="read_only")

    reloader = Reloader(
        OLD,
        lambda: NEW,
        runtime=harness.runtime,
        store=cast("Store", ReadOnly()),
        certificates=None,
        clock=lambda: 0,
    )
    assert await reloader.reload()
    assert harness.runtime.config.networks == frozenset({"prod"})


async def test_no_handler_sees_half(harness: Harness, tmp_path: Path) -> None:
    """A handler in the writer's thread sees one graph and its networks from beginning to end."""
    generations: list[int] = []
    mixed: list[object] = []
    runtime = harness.runtime

    def look(tx: Writer) -> None:
        assert threading.current_thread() is not threading.main_thread()
        before = runtime.config.graph, runtime.config.networks, runtime.config.legacy
        for _ in range(200):
            tx.count(Account)
            if (runtime.config.graph, runtime.config.networks, runtime.config.legacy) != before:
                mixed.append(before)
        if (before[0].generation % 2 == 1) is not (before[1] == frozenset({"prod"})):
            mixed.append(before)
        generations.append(before[0].generation)

    store = open_sqlite(tmp_path / "herod.db", "s" * 40, now=harness.clock.now)
    async with store:
        harness.configure(legacy=LegacySecrets(store.keyring, []), graph=ScopeGraph())
        is_over = trio.Event()

        async def keep_looking() -> None:
            while not is_over.is_set():
                await store.write(look)

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(keep_looking)
            for number in range(20):
                assert await make_reloader(harness, lambda: (OLD, NEW)[number % 2 == 0], store).reload()  # noqa: B023 - called at once
            is_over.set()
    assert mixed == []
    assert len(set(generations)) > 3


async def test_a_legacy_secret_that_was_removed_and_comes_back(harness: Harness) -> None:
    """Sessions and sign-in codes of a legacy secret end when it is removed, even if it is configured again."""
    with_secret = replace(OLD, user_secret=(LEGACY,))
    assert await make_reloader(harness, lambda: with_secret).reload()
    session = SessionCookie((await harness.call("session.create", Bearer(LEGACY), TCP)).cookie)
    code = (await harness.call("session.code", Bearer(LEGACY), TCP)).code
    other = await (await harness.user()).session()
    assert (await harness.call("whoami", session, TCP)).scope == "user"
    assert await make_reloader(harness, lambda: OLD).reload()
    assert await make_reloader(harness, lambda: with_secret).reload()
    assert (await harness.call("whoami", Bearer(LEGACY), TCP)).scope == "user"
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", session, TCP)
    with pytest.raises(Unauthenticated):
        await harness.call("session.redeem", None, TCP, code=code)
    assert (await harness.call("whoami", other, TCP)).scope == "read"


async def test_a_removed_legacy_secret_while_the_store_cannot_be_written(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sessions then end in memory."""
    with_secret = replace(OLD, user_secret=(LEGACY,))
    assert await make_reloader(harness, lambda: with_secret).reload()
    session = SessionCookie((await harness.call("session.create", Bearer(LEGACY), TCP)).cookie)

    async def refuse(_function: object) -> None:
        raise Unavailable("The store's disk is full.", reason="disk_full")

    with monkeypatch.context() as full:
        full.setattr(harness.store, "write", refuse)
        assert await make_reloader(harness, lambda: OLD).reload()
    assert await make_reloader(harness, lambda: with_secret).reload()
    with pytest.raises(Unauthenticated):
        await harness.call("whoami", session, TCP)
