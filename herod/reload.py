"""What SIGHUP does: scopes, networks, legacy secrets and the certificate are read again and taken together, or not.

Everything that can fail comes before the first change. Must never leave a request half in the old order and half in
the new: masks of one graph mean nothing to another.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Final

import trio

from herod.credentials.keyring import Keyring
from herod.identity.legacy_secrets import LegacySecrets
from herod.identity.runtime_state import Runtime
from herod.maintenance.signing_keys_at_startup import startup_event
from herod.server.sockets.tls import Certificates
from herod.settings import RELOADED, Settings
from herod.store.store_interface import Store, Writer
from herod_client.core.errors import StartupError, Unavailable
from herod_client.core.scope_graph import ADMIN, REGISTRAR, USER, ScopeGraph

__all__ = ["Reloader", "legacy_secrets", "load_certificates"]

logger = logging.getLogger("herod")

# A file on a disk that hangs, or a pipe that nobody writes to, must not stop all later reloads.
READ_SECONDS: Final = 30
CERTIFICATE: Final = frozenset({"tls_cert", "tls_key"})
# What is not a setting, or is said when the settings are read.
UNSAID: Final = frozenset({"warnings", "manager"})
NAMES: Final = {
    "config": "the place of the settings file",
    "hero_secret": "HERO_SECRET (changed by `herod secret rotate`, before that)",
    "store_secret": "HEROD_STORE_SECRET (changed by `herod secret rotate --store-secret`, before that)",
}


def legacy_secrets(settings: Settings, keyring: Keyring) -> LegacySecrets:
    """The legacy secrets that the settings hold, each with its scope."""
    by_scope = {
        ADMIN: settings.admin_secret,
        USER: settings.user_secret,
        REGISTRAR: settings.register_secret,
    }
    return LegacySecrets(keyring, [(scope, text) for scope, texts in by_scope.items() for text in texts])


def load_certificates(settings: Settings, *, now: int) -> Certificates | None:
    """What the TCP addresses show; None where they speak in the clear.

    Raises:
        SettingsError: as `Certificates.load`.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificates.load(settings.tls_cert, settings.tls_key, now=now)


class Reloader:
    """Reads the settings again.

    Args:
        settings: what the daemon was started with.
        load: reads them again, from the same places.
        runtime: takes scopes, networks and legacy secrets.
        store: its writer stands still while that happens.
        certificates: those in use, if any.
        clock: Unix seconds.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        *,
        runtime: Runtime,
        store: Store,
        certificates: Certificates | None,
        clock: Callable[[], int],
    ) -> None:
        self._started_with = settings
        self._load = load
        self._runtime = runtime
        self._store = store
        self._certificates = certificates
        self._clock = clock

    async def reload(self) -> bool:
        """Take what is new; False when something was wrong, in which case all is as before and the log says why."""
        try:
            # Off the loop, and not waited for at the end: a file may lie on a disk that hangs.
            with trio.fail_after(READ_SECONDS):
                settings = await trio.to_thread.run_sync(self._load, abandon_on_cancel=True)
            graph = ScopeGraph(settings.scopes, generation=self._runtime.config.graph.generation + 1)
            legacy = legacy_secrets(settings, self._runtime.keyring)
            certificates = None
            if self._certificates is not None:
                certificates = load_certificates(settings, now=self._clock())
        except trio.TooSlowError:
            logger.error(  # noqa: TRY400 - the message says it all
                "SIGHUP: the old settings stay: the settings and their files could not be read within %d seconds",
                READ_SECONDS,
            )
            return False
        except StartupError as error:
            logger.error("SIGHUP: the old settings stay: %s", error)  # noqa: TRY400 - the message says it all
            return False
        except Exception:
            logger.exception("SIGHUP: the old settings stay")
            return False
        for warning in settings.warnings:
            logger.warning("%s", warning)

        def take() -> None:
            config = self._runtime.config
            self._runtime.reload(replace(config, graph=graph, networks=settings.networks, legacy=legacy))
            if self._certificates is not None and certificates is not None:
                self._certificates.replace(certificates)

        await _while_nobody_writes(self._store, take)
        self._store.change_notifier.send()  # other scopes: what the feed told of everybody's is over
        await self._audit()
        if changed := self._unchangeable(settings):
            logger.warning("SIGHUP: this has changed and needs a restart: %s", ", ".join(changed))
        what = "scopes, networks and legacy secrets"
        logger.info("SIGHUP: %s were read again", what if certificates is None else f"{what} and the certificate")
        return True

    async def _audit(self) -> None:
        """Note it in the audit log, which cannot be read without knowing what was in force."""
        now = self._clock()
        try:
            await self._store.write(lambda tx: tx.audit(startup_event("reload", None, now, by="SIGHUP")))
        except Unavailable as error:
            logger.warning("SIGHUP: the reload is not in the audit log", extra={"reason": error.message})

    def _unchangeable(self, settings: Settings) -> list[str]:
        """What differs from the start and was not taken; names only, never values."""
        before = self._started_with
        taken = RELOADED | UNSAID
        if before.tls_cert is not None and settings.tls_cert is not None:
            taken |= CERTIFICATE
        names = (one.name for one in fields(before) if one.name not in taken)
        return [NAMES.get(name, name) for name in names if getattr(before, name) != getattr(settings, name)]


async def _while_nobody_writes(store: Store, take: Callable[[], None]) -> None:
    """Call `take` on the event loop, between two handlers, while the store's writer waits for it.

    Handlers run in those two threads and nowhere else, so none sees the change half made.
    """
    loop = threading.get_ident()
    token = trio.lowlevel.current_trio_token()

    def hold(_tx: Writer) -> None:
        if threading.get_ident() == loop:  # the store in memory has no other thread
            take()
        else:
            trio.from_thread.run_sync(take, trio_token=token)

    try:
        await store.write(hold)
    except Unavailable:  # nobody writes at all
        take()
