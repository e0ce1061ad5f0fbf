"""The composition root: builds everything from the settings, in one visible function, and runs it."""

import gc
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

import herod
from herod.audit_copies import AuditCopies, open_audit_file
from herod.bootstrap_admin_key import give_bootstrap_key
from herod.deployment_info_from_settings import describe
from herod.event_loop_watch import LoopWatch, WatchedPipeline
from herod.first_admin_code_file import FirstAdminCodeFile
from herod.identity.config import Config
from herod.identity.runtime_state import Runtime
from herod.lasting_work import (
    can_read,
    end_waiting,
    finish_deletions_forever,
    flush_forever,
    log_audit_heads,
    purge_forever,
    show_status,
)
from herod.maintenance.rotate_hero_secret import adopt_secret
from herod.maintenance.sessions_of_removed_secrets import end_sessions_of_removed_secrets
from herod.maintenance.signing_keys_at_startup import load_signing_keys
from herod.operations.audit import AuditRetention
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.client_documents.document_fetcher import DocumentFetcher
from herod.pipeline.pipeline import Pipeline
from herod.pipeline.process.process_state import ProcessState
from herod.pipeline.process.steady_clock import SteadyClock, load_steady_clock
from herod.protocols.host_and_origin_guard import Guard
from herod.protocols.http import Handler
from herod.protocols.router import Router
from herod.public_names import PublicNames, follow_names, public_names
from herod.reload import Reloader, legacy_secrets, load_certificates
from herod.server.connection_limits import Limits
from herod.server.connections import raise_descriptor_limit, serve
from herod.server.dashboard_requests import PageRequests
from herod.server.logs import set_up_logging
from herod.server.memory_protection import protect_memory
from herod.server.sockets.inherited_sockets import keep_from_children
from herod.server.sockets.listener_set import Listeners
from herod.server.sockets.listeners import listening
from herod.server.sockets.tls import Certificates
from herod.server.sockets.unix_socket import prepare_folder
from herod.server.systemd_notify import SystemdNotifier, watch
from herod.settings import Settings
from herod.settings.bind_addresses import with_both_loopbacks
from herod.store.memory_store import MemoryStore
from herod.store.sqlite.sqlite_store import SqliteStore, open_sqlite
from herod.store.store_interface import Health, Store
from herod_client.core.errors import RuntimeFailure, Unavailable
from herod_client.core.scope_graph import ScopeGraph

__all__ = ["run"]

logger = logging.getLogger("herod")

GC_THRESHOLDS: Final = (50_000, 20, 50)


def run(settings: Settings, *, load: Callable[[], Settings]) -> int:
    """Run the daemon until a signal stops it, and return the exit code.

    Args:
        settings: the settings at startup.
        load: reads the settings again at SIGHUP.

    Raises:
        StartupError: the daemon cannot start; the message is one line that says what to change.
    """
    protect_memory()
    graph = ScopeGraph(settings.scopes)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # except while the reload handler is installed
    keep_from_children(len(settings.manager.sockets))
    writer = set_up_logging(settings.log_format, settings.log_level)
    try:
        for warning in settings.warnings:
            logger.warning("%s", warning)
        certificates = load_certificates(settings, now=_now())
        with listening(
            with_both_loopbacks(settings.bind),
            passed=settings.manager.sockets,
            tls=certificates,
            is_insecure=settings.insecure,
        ) as listeners:
            store = _open_store(settings)
            copies = AuditCopies(
                store,
                file=None if settings.audit_file is None else open_audit_file(settings.audit_file),
                has_room=writer.has_room if settings.audit_log else None,
            )
            trio.run(_main, settings, graph, listeners, store, copies, certificates, load)
    finally:
        writer.close()
    return 0


async def _main(
    settings: Settings,
    graph: ScopeGraph,
    listeners: Listeners,
    store: SqliteStore | MemoryStore,
    copies: AuditCopies,
    certificates: Certificates | None,
    load: Callable[[], Settings],
) -> None:
    notifier = SystemdNotifier(settings.manager.notify)
    async with store:
        steady, runtime = await _prepare(settings, graph, store, public_names(settings, listeners))
        deployment = replace(describe(settings, listeners, certificates), audit_file=copies.file_state)
        process = ProcessState(
            operations=OPERATIONS, deployment=deployment, steady=steady, documents=DocumentFetcher(herod.__version__)
        )
        watch_loop = LoopWatch() if settings.log_level == "debug" else None
        pipeline = (Pipeline if watch_loop is None else WatchedPipeline)(store, runtime, clock=_now, process=process)
        guard = Guard(hosts=settings.hosts | listeners.hosts, origins=settings.origins)
        pages = PageRequests(partial(_make_dashboard, pipeline, settings.frame_origins))
        router = Router(pipeline, OPERATIONS, guard, pages, settings.trusted_proxies)
        handle: Handler = router if watch_loop is None else watch_loop.names(router)
        if watch_loop is not None:
            trio.lowlevel.add_instrument(watch_loop)
        limits = Limits(**asdict(settings.limits))
        raise_descriptor_limit(limits.max_connections)
        gc.collect()
        gc.freeze()  # everything allocated so far is long-lived: later collections need not walk it
        gc.set_threshold(*GC_THRESHOLDS)
        shutdown = trio.Event()
        status, tell_ready, changed = _follow_listeners(listeners, process, notifier, store)
        reloader = Reloader(settings, load, runtime=runtime, store=store, certificates=certificates, clock=_now)
        async with trio.open_nursery() as background:
            background.start_soon(_watch_signals, shutdown, reloader, copies, tell_ready, notifier)
            background.start_soon(end_waiting, shutdown, runtime, store)
            background.start_soon(show_status, status, notifier.update)
            background.start_soon(follow_names, changed, partial(public_names, settings, listeners), runtime, store)
            background.start_soon(copies.run)
            _keep_up(background, settings, pipeline)
            if settings.manager.watchdog_seconds is not None:
                background.start_soon(watch, notifier, settings.manager.watchdog_seconds, partial(can_read, store))
            async with trio.open_nursery() as serving:
                await serving.start(
                    partial(
                        serve,
                        listeners,
                        handle,
                        limits=limits,
                        shutdown=shutdown,
                        refuse=router.refuse,
                        proxies=settings.trusted_proxies,
                    )
                )
                logger.info("herod %s %s", runtime.config.version, listeners.status)
                tell_ready()
            background.cancel_scope.cancel()
        await pipeline.flush(is_last=True)
        await copies.finish()
    if not listeners:
        raise RuntimeFailure(f"herod stops because it listens nowhere any more: {listeners.missing[0].reason}")
    logger.info("herod has stopped")


async def _prepare(
    settings: Settings, graph: ScopeGraph, store: SqliteStore | MemoryStore, names: PublicNames
) -> tuple[SteadyClock, Runtime]:
    """Do what must be done in the store before the first request.

    Raises:
        RuntimeFailure: the store cannot be written, or a signing key is damaged.
    """
    try:
        steady = await load_steady_clock(store, _now())
        runtime = await _make_runtime(settings, graph, store, steady, names)
        await store.write(partial(end_sessions_of_removed_secrets, legacy=runtime.config.legacy))
        if settings.bootstrap_admin_key is not None:
            await give_bootstrap_key(settings.bootstrap_admin_key, store, _folder(settings), clock=_now)
    except Unavailable as error:
        raise RuntimeFailure(f"herod cannot start: {error.message}") from error
    return steady, runtime


def _keep_up(background: trio.Nursery, settings: Settings, pipeline: Pipeline) -> None:
    """Start what keeps the store up to date while herod runs."""
    store, runtime, process = pipeline.store, pipeline.runtime, pipeline.process
    retention = AuditRetention(days=settings.audit_keep_days, rows=settings.audit_keep_rows)
    code = FirstAdminCodeFile(_folder(settings), store=store, runtime=runtime, admins=process.admins, clock=_now)
    background.start_soon(flush_forever, pipeline)
    background.start_soon(code.keep)
    background.start_soon(partial(purge_forever, store, runtime, retention, process.steady, clock=_now))
    background.start_soon(log_audit_heads, store)
    background.start_soon(finish_deletions_forever, store)


def _status(listeners: Listeners, process: ProcessState, store: Store) -> str:
    """What the service manager shows: the addresses, and what is wrong."""
    said = [listeners.status]
    health, why = store.health
    if health is not Health.OK:
        said.append(f"the store is {health}: {why}")
    audit_file = process.deployment.audit_file()
    if audit_file is not None and audit_file.problem is not None:
        said.append(f"the audit file is not written: {audit_file.problem}")
    return "; ".join(said)


def _follow_listeners(
    listeners: Listeners, process: ProcessState, notifier: SystemdNotifier, store: Store
) -> tuple[Callable[[], str], Callable[[], None], trio.MemoryReceiveChannel[None]]:
    """Tell pages when an address is opened or lost.

    Returns:
        What the service manager should show; what tells it so, and that herod is ready or a reload has ended; and a
        channel that says when herod's names may have changed.
    """
    status = partial(_status, listeners, process, store)
    change, changed = trio.open_memory_channel[None](1)

    def tell_changed() -> None:
        binds = tuple(one.label for one in listeners)
        process.deployment = replace(process.deployment, binds=binds, missing=listeners.missing)
        with suppress(trio.WouldBlock):
            change.send_nowait(None)

    def tell_ready() -> None:
        listeners.try_missing()  # the administrator expects an answer now
        notifier.ready(status())

    listeners.on_change = tell_changed
    return status, tell_ready, changed


def _make_dashboard(pipeline: Pipeline, frame_origins: frozenset[str]) -> Any:
    """The dashboard, complete; called in a thread at the first browser request."""
    from herod.dashboard.quart_app import make_app  # imports Quart, which only browser requests need
    from herod.dashboard.rendering import compile_templates

    app = make_app(pipeline, OPERATIONS, frame_origins=frame_origins)
    compile_templates(app)
    return app


def _open_store(settings: Settings) -> SqliteStore | MemoryStore:
    secret = settings.store_secret or settings.hero_secret
    if settings.store is None:
        return MemoryStore(secret)
    if adopt_secret(settings):
        logger.warning(
            "the store %s was made with the byte order mark or line ends around the secret: they are not part of it, "
            "and it opens without them now",
            settings.store,
        )
    return open_sqlite(settings.store, secret, now=_now())


async def _make_runtime(
    settings: Settings,
    graph: ScopeGraph,
    store: SqliteStore | MemoryStore,
    steady: SteadyClock,
    names: PublicNames,
) -> Runtime:
    now = _now()
    signing = await store.write(
        partial(
            load_signing_keys,
            secret=settings.hero_secret,
            algorithm=settings.signing,
            ttl=settings.token_ttl,
            now=now,
            earliest=steady.earliest(now),
        )
    )
    return Runtime(
        config=Config(
            version=herod.__version__,
            graph=graph,
            networks=settings.networks,
            issuer=settings.issuer,
            public_url=names.public_url,
            has_browser_origin=names.has_browser_origin,
            aliases=names.aliases,
            own_origins=names.own_origins,
            token_ttl=settings.token_ttl,
            app_token_ttl=settings.app_token_ttl,
            session_idle=settings.session_idle,
            registration=settings.registration,
            second_factor=settings.second_factor,
            dynamic_apps=settings.dynamic_apps,
            client_documents=settings.client_documents,
            approve=settings.approve,
            legacy=legacy_secrets(settings, store.keyring),
            daemon_uid=os.getuid(),
            quotas=settings.quotas,
        ),
        keyring=store.keyring,
        signing=signing,
        boot_epoch=secrets.randbits(31),
        store_generation=store.cursor.generation,
        started_at=now,
    )


def _folder(settings: Settings) -> Path:
    """The folder for the daemon's own files; without a store and a Unix socket, it may not exist yet."""
    if settings.store is None:
        with suppress(RuntimeFailure):  # who writes a file there says so
            prepare_folder(settings.folder / "herod.sock")
    return settings.folder


async def _watch_signals(
    shutdown: trio.Event,
    reloader: Reloader,
    copies: AuditCopies,
    say_ready: Callable[[], None],
    notifier: SystemdNotifier,
) -> None:
    """Drain at the first SIGTERM or SIGINT, exit at once at the second, reload at SIGHUP."""
    wanted, reloads = trio.open_memory_channel[None](1)  # one pending reload covers every SIGHUP until it runs
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as reloading:
            reloading.start_soon(_reload_when_asked, reloads, reloader, say_ready, notifier)
            async for number in signals:
                if number == signal.SIGHUP:
                    copies.reopen()
                    with suppress(trio.WouldBlock):
                        if not shutdown.is_set():
                            wanted.send_nowait(None)
                    continue
                if shutdown.is_set():
                    os._exit(128 + number)
                logger.info("%s: stopping after the requests in progress", signal.Signals(number).name)
                notifier.stopping()
                shutdown.set()


async def _reload_when_asked(
    reloads: trio.MemoryReceiveChannel[None],
    reloader: Reloader,
    say_ready: Callable[[], None],
    notifier: SystemdNotifier,
) -> None:
    async for _ in reloads:
        notifier.reloading()
        await reloader.reload()
        say_ready()  # also after a failure: the old settings stay in force


def _now() -> int:
    return int(time.time())
