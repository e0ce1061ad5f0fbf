"""Reload at SIGHUP: scopes, networks, legacy secrets and the certificate are read again and applied all or nothing.

Everything that can fail happens before the first change. Must never let one request see both old and new settings:
a mask of one scope graph means nothing in another.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from typing import Final

import trio

from herod.credentials.keyring import Keyring
from herod.identity.legacy_secrets import LegacySecrets
from herod.identity.runtime_state import Runtime
from herod.maintenance.sessions_of_removed_secrets import (
    end_sessions_of_removed_secrets,
    sessions_of_removed_secrets,
)
from herod.maintenance.signing_keys_at_startup import startup_event
from herod.server.sockets.tls import Certificates
from herod.settings import RELOADED, Settings
from herod.store.changes_between_writes import while_nobody_writes
from herod.store.store_interface import Store
from herod_client.core.errors import StartupError, Unavailable
from herod_client.core.scope_graph import ADMIN, REGISTRAR, USER, ScopeGraph

__all__ = ["Reloader", "legacy_secrets", "load_certificates"]

logger = logging.getLogger("herod")

# A file on a hanging disk, or a pipe without a writer, must not block all later reloads.
READ_SECONDS: Final = 30
CERTIFICATE: Final = frozenset({"tls_cert", "tls_key"})
# Fields that are not settings, or are reported when the settings are read.
UNSAID: Final = frozenset({"warnings", "manager", "former_secret", "folder"})
NAMES: Final = {
    "config": "the path of the settings file",
    "hero_secret": "HERO_SECRET (run `herod secret rotate` before the restart)",
    "store_secret": "HEROD_STORE_SECRET (run `herod secret rotate --store-secret` before the restart)",
}


def legacy_secrets(settings: Settings, keyring: Keyring) -> LegacySecrets:
    """The legacy secrets from the settings, each with its scope."""
    by_scope = {
        ADMIN: settings.admin_secret,
        USER: settings.user_secret,
        REGISTRAR: settings.register_secret,
    }
    return LegacySecrets(keyring, [(scope, text) for scope, texts in by_scope.items() for text in texts])


def load_certificates(settings: Settings, *, now: int) -> Certificates | None:
    """The certificate of the TCP addresses; None without TLS.

    Raises:
        SettingsError: as `Certificates.load`.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificates.load(settings.tls_cert, settings.tls_key, now=now)


class Reloader:
    """Reads the settings again and applies what can change without a restart.

    Args:
        settings: the settings at startup.
        load: reads them again from the same sources.
        runtime: receives scopes, networks, quotas and legacy secrets.
        store: its writer is held while they are replaced.
        certificates: the certificates in use, if any.
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
        """Apply the new settings; on any error, change nothing, log the reason and return False."""
        try:
            # In a thread that is abandoned on a timeout: a file may be on a hanging disk.
            with trio.fail_after(READ_SECONDS):
                settings = await trio.to_thread.run_sync(self._load, abandon_on_cancel=True)
            graph = ScopeGraph(settings.scopes, generation=self._runtime.config.graph.generation + 1)
            legacy = legacy_secrets(settings, self._runtime.keyring)
            certificates = None
            if self._certificates is not None:
                certificates = load_certificates(settings, now=self._clock())
        except trio.TooSlowError:
            logger.error(  # noqa: TRY400 - the message says it all
                "SIGHUP: keeping the old settings: the settings and their files could not be read within %d seconds",
                READ_SECONDS,
            )
            return False
        except StartupError as error:
            logger.error("SIGHUP: keeping the old settings: %s", error)  # noqa: TRY400 - the message says it all
            return False
        except Exception:
            logger.exception("SIGHUP: keeping the old settings")
            return False
        for warning in settings.warnings:
            logger.warning("%s", warning)

        def take() -> None:
            config = self._runtime.config
            if any(legacy.get(secret.id) is None for secret in config.legacy.all()):
                self._runtime.session_codes.clear()
            changed = replace(config, graph=graph, networks=settings.networks, legacy=legacy, quotas=settings.quotas)
            self._runtime.reload(changed)
            if self._certificates is not None and certificates is not None:
                self._certificates.replace(certificates)

        await while_nobody_writes(self._store, take)
        await self._end_sessions(legacy)
        self._store.change_notifier.send()  # scopes changed: what the change feed said about principals is outdated
        await self._audit()
        if changed := self._unchangeable(settings):
            logger.warning("SIGHUP: these settings have changed and need a restart: %s", ", ".join(changed))
        what = "scopes, networks, quotas and legacy secrets"
        logger.info("SIGHUP: reloaded %s", what if certificates is None else f"{what} and the certificate")
        return True

    async def _end_sessions(self, legacy: LegacySecrets) -> None:
        """End the sessions of secrets that were removed; in memory, if the store cannot be written."""
        try:
            await self._store.write(partial(end_sessions_of_removed_secrets, legacy=legacy))
        except Unavailable:
            with suppress(Unavailable):
                self._runtime.switched_off.update(sessions_of_removed_secrets(self._store, legacy))

    async def _audit(self) -> None:
        """Record the reload in the audit log, whose rows depend on the settings in force at the time."""
        now = self._clock()
        try:
            await self._store.write(lambda tx: tx.audit(startup_event("reload", None, now, by="SIGHUP")))
        except Unavailable as error:
            logger.warning("SIGHUP: the reload is not in the audit log", extra={"reason": error.message})

    def _unchangeable(self, settings: Settings) -> list[str]:
        """The settings that differ from startup and were not applied; names only, never values."""
        before = self._started_with
        taken = RELOADED | UNSAID
        if before.tls_cert is not None and settings.tls_cert is not None:
            taken |= CERTIFICATE
        names = (one.name for one in fields(before) if one.name not in taken)
        return [NAMES.get(name, name) for name in names if getattr(before, name) != getattr(settings, name)]
