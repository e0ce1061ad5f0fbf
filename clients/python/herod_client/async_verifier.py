"""`Verifier`: verifies herod's tokens in the service itself, and follows herod's feed to learn of revocations.

Keys and feed come over https, or over a Unix socket whose server is root or herod's user: anyone who could impersonate
herod would decide who gets access. The token to be verified is sent nowhere. Of the client, this module and
`ThreadedVerifier` alone need trio.
"""

import logging
import math
import random
import secrets
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from ssl import SSLContext
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import trio

from herod_client.addresses import Address, TcpAddress, parse_address
from herod_client.async_client import AsyncClient
from herod_client.client_errors import BadAnswer, ClientError, InvalidInput, Refused
from herod_client.core.errors import SettingsError
from herod_client.core.signing_keys import SigningKey, SigningKeys, hs256_key
from herod_client.credentials import Anonymous, Bearer, Identity
from herod_client.feed_mirror import parse_changes
from herod_client.jwks import parse_jwks
from herod_client.offline_token_verification import TokenChecker, WhenStale

__all__ = ["Verifier"]

logger = logging.getLogger("herod_client")

FEED: Final = "/api/v1/tokens/changes"
JWKS: Final = "/.well-known/jwks.json"
MAX_WAIT: Final = 25  # seconds of one poll
ANSWER_SECONDS: Final = 10.0  # beyond the wait
KEYS_KEPT: Final = 300.0
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
NEVER: Final = 2**53
BAD_REQUEST: Final = 400
TOO_MANY_REQUESTS: Final = 429
RETRY_SECONDS: Final = 5.0  # without a Retry-After
# While herod has no public key: nobody knows this secret, so no token is valid.
NO_KEY: Final = hs256_key(secrets.token_hex(32))


class Verifier:
    """Verifies access tokens locally; used as `async with Verifier(...) as verifier:` on trio.

    Inside, `verify` is a plain function that never waits. Entering waits for the feed's first complete answer.

    Args:
        address: `unix:/path` or `https://host:port`; `http://` is refused.
        secret: HERO_SECRET, if herod signs with HS256.
        jwks: fetch the public keys, if herod signs with EdDSA, or apps send tokens for this service; with both, tokens
            of the secret and of all public keys are accepted.
        credential: the credential for the feed: a token or key as text, or an `Identity`; by default this process's
            uid on a Unix socket. Any principal is allowed, for instance a service key with scope read.
        resource: this service's URI: a token with `aud` is accepted only if that equals it or lies below it, by whole
            segments of the path. A token without one is always accepted.
        audiences: other values of `aud` that mean this service.
        network: the network this service is on: every token must reach it.
        max_stale: seconds without an answer from herod after which no token is trusted.
        when_stale: refuse every token then, or verify against the last known state.
        server_uid: the uid that may listen on the Unix socket, besides root; by default this process's own user or
            the local user `herod`.
        tls: how an https address is verified; by default against the system's authorities.

    Raises:
        InvalidInput: the address, secret or another argument is empty or invalid, or neither `secret` nor `jwks` was
            given.
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
        self.address = parse_address(address) if isinstance(address, str) else address
        if isinstance(self.address, TcpAddress) and not self.address.secure:
            raise InvalidInput(
                "Keys and revocations are not accepted over http://, where any local program could impersonate herod.",
                hint="use herod's Unix socket, unix:/path, or https://",
            )
        if secret is None and not jwks:
            raise InvalidInput("There is no key to verify tokens with.", hint="give secret=HERO_SECRET, or jwks=True")
        self._identity = Bearer(credential) if isinstance(credential, str) else credential
        if secret is not None:
            _secret_key(secret)
        self._secret = secret
        self._jwks = jwks
        self._server_uid = server_uid
        self._tls = tls
        self._max_stale = max_stale
        self._wait = max(1, min(MAX_WAIT, int(max_stale / 2)))
        if isinstance(audiences, str):
            raise InvalidInput("audiences is a string: give a list of strings.")
        self.checker = TokenChecker(
            audiences=frozenset(audiences),
            resource=resource,
            network=network,
            max_stale=max_stale,
            when_stale=when_stale,
        )
        self._change_notifier = trio.lowlevel.ParkingLot()
        self._manager: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery | None = None
        self._known: list[SigningKey] = []
        self._keys_until = -math.inf
        self.verify = self.checker.verify  # bound once: this saves a call on the hot path

    @property
    def is_stale(self) -> bool:
        """Whether herod has not answered for `max_stale` seconds."""
        return self.checker.is_stale

    @property
    def version(self) -> int:
        """A counter that increases with every change of the state."""
        return self.checker.mirror.version

    async def changed(self, since: int) -> int:
        """Wait until `version` differs from `since`, for caches of results of `verify`."""
        while self.version == since:
            await self._change_notifier.park()
        return self.version

    async def __aenter__(self) -> Self:
        """Load the complete state once, then follow the feed.

        Raises:
            ClientError: herod cannot be reached, is not trusted, or refuses the feed.
        """
        client = AsyncClient(
            self.address,
            identity=self._identity,
            timeout=self._wait + ANSWER_SECONDS,
            max_connections=1,
            tls=self._tls,
            server_uid=self._server_uid,
        )
        try:
            while not await self._listen(client, wait=self._wait):
                pass
        except BaseException:
            await client.aclose()
            raise
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        self._nursery.start_soon(self._follow, client)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop following the feed."""
        assert self._manager is not None and self._nursery is not None  # noqa: S101, PT018 - for the type checker
        self._nursery.cancel_scope.cancel()
        # The nursery does not get the body's error, which it would wrap in a group.
        await self._manager.__aexit__(None, None, None)

    async def _follow(self, client: AsyncClient) -> None:
        """Follow the feed, also while herod is unreachable or has no place for a request that waits."""
        pause = FIRST_PAUSE
        async with client:
            while True:
                try:
                    await self._listen_or_poll(client)
                except ClientError as error:
                    if isinstance(error, Refused) and error.status == BAD_REQUEST:
                        self.checker.mirror.begin_anew()  # another version of herod may have other cursors
                    if pause == FIRST_PAUSE:
                        logger.warning("the change feed is interrupted: %s", error.message)
                    # Services must not all reconnect at once.
                    await trio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - not for security
                    pause = min(2 * pause, LONGEST_PAUSE)
                else:
                    if pause != FIRST_PAUSE:
                        logger.info("the change feed has resumed")
                    pause = FIRST_PAUSE

    async def _listen_or_poll(self, client: AsyncClient) -> None:
        """Apply one answer of the feed; if too many others wait for changes, ask without waiting, and pause instead."""
        try:
            await self._listen(client, wait=self._wait)
        except Refused as error:
            if error.status != TOO_MANY_REQUESTS:
                raise
            while not await self._listen(client, wait=0):
                pass
            pause = RETRY_SECONDS if error.retry_after is None else float(error.retry_after)
            # Each answer is good for `max_stale` seconds.
            await trio.sleep(min(pause, self._max_stale / 2) * random.uniform(0.5, 1))  # noqa: S311 - as above

    async def _listen(self, client: AsyncClient, *, wait: int) -> bool:
        """Apply one answer of the feed; return whether the state is complete."""
        checker, mirror = self.checker, self.checker.mirror
        query = f"?wait={wait}" + ("" if mirror.cursor is None else f"&cursor={quote(mirror.cursor)}")
        changes = parse_changes(await client.get(FEED + query))
        if changes.reset or changes.new_keys or trio.current_time() >= self._keys_until:
            try:
                await self._load_keys(client)
            except ClientError:
                mirror.begin_anew()  # the changes in this answer would be lost
                raise
        version = mirror.version
        try:
            is_whole = mirror.take(changes, checker.stopwatch())
        except BadAnswer:
            mirror.begin_anew()
            raise
        if is_whole:
            checker.touch()
        if mirror.version != version:
            self._change_notifier.unpark_all()
        return is_whole

    async def _load_keys(self, client: AsyncClient) -> None:
        """Load the keys that may have signed a token; unchanged keys keep the cache of tokens."""
        keys = parse_jwks(await client.get(JWKS, identity=Anonymous())) if self._jwks else []
        if self._secret is not None:
            keys.append(_secret_key(self._secret))
        if not keys:
            logger.warning(
                "%s has no public keys yet: it signs plain tokens with HS256. Give secret=HERO_SECRET to verify those; "
                "tokens of apps are verified as soon as herod has a key for them",
                self.address,
            )
            keys.append(NO_KEY)
        if keys != self._known:
            # It does not matter which of them signs; herod removes expired ones from the list.
            others = [replace(key, verifies_until=NEVER) for key in keys[1:]]
            self._known, self.checker.keys = keys, SigningKeys(keys[0], others)
        self._keys_until = trio.current_time() + KEYS_KEPT


def _secret_key(secret: str) -> SigningKey:
    try:
        return hs256_key(secret)
    except SettingsError as error:
        raise InvalidInput(str(error)) from None
