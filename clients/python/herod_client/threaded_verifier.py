"""`ThreadedVerifier`: a `Verifier` for services that do not run on trio. Its thread only follows the feed."""

import logging
import queue
import threading
from collections.abc import Iterable
from contextlib import suppress
from ssl import SSLContext
from types import TracebackType
from typing import Self

import trio

from herod_client.addresses import Address
from herod_client.async_verifier import Verifier
from herod_client.credentials import Identity
from herod_client.offline_token_verification import WhenStale

__all__ = ["ThreadedVerifier"]

logger = logging.getLogger("herod_client")


class ThreadedVerifier:
    """A `Verifier` with a thread that follows the feed, for services without trio. Use it with `with`, after forking.

    `verify` may be called from any thread and on any event loop: it never blocks. The arguments are those of
    `Verifier`.
    """

    def __init__(
        self,
        address: str | Address,
        *,
        secret: str | None = None,
        jwks: bool = False,
        credential: str | Identity | None = None,
        audiences: Iterable[str] = (),
        resource: str | None = None,
        network: str | None = None,
        max_stale: float = 60.0,
        when_stale: WhenStale = "refuse",
        server_uid: int | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self._verifier = Verifier(
            address,
            secret=secret,
            jwks=jwks,
            credential=credential,
            audiences=audiences,
            resource=resource,
            network=network,
            max_stale=max_stale,
            when_stale=when_stale,
            server_uid=server_uid,
            tls=tls,
        )
        self.verify = self._verifier.verify
        self._thread: threading.Thread | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._over = trio.Event()

    @property
    def is_stale(self) -> bool:
        """Whether herod has not answered for `max_stale` seconds."""
        return self._verifier.is_stale

    @property
    def version(self) -> int:
        """A number that increases with every change the feed reports."""
        return self._verifier.version

    def changed(self, since: int) -> int:
        """Block until `version` differs from `since`; not for event loops.

        Raises:
            RuntimeError: it was not entered, or has ended.
        """
        if self._token is None:
            raise RuntimeError("the verifier is not running: enter it first")
        return trio.from_thread.run(self._verifier.changed, since, trio_token=self._token)

    def __enter__(self) -> Self:
        """Load the whole feed once.

        Raises:
            ClientError: herod cannot be reached, is not trusted, or refuses the feed.
        """
        entered: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(entered,), name="herod-verifier", daemon=True)
        self._thread.start()
        error = entered.get()
        if error is not None:
            self._thread.join()
            raise error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop following the feed."""
        assert self._thread is not None and self._token is not None  # noqa: S101, PT018 - for the type checker
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._over.set)
        self._thread.join()

    def _run(self, entered: "queue.SimpleQueue[BaseException | None]") -> None:
        async def follow() -> None:
            async with self._verifier:
                self._token = trio.lowlevel.current_trio_token()
                entered.put(None)
                await self._over.wait()

        try:
            trio.run(follow)
        except BaseException as error:  # raised by `__enter__`
            logger.debug("the verifier's thread has ended", exc_info=error)
            entered.put(error)
