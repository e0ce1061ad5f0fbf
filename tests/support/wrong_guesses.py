"""Clients that guess, for tests of the limits, and the answers they get."""

from typing import Any

from herod.scopes.principal import Peer, Source
from herod.throttle.rules import (
    PAIR,
)
from herod_client.core.errors import HerodError
from support.herod_in_memory import TCP, Harness

EMAIL = "ada@example.org"
RIGHT = "the long password of ada"
WRONG = "a long password of nobody"
WINDOW = PAIR.window


def tcp(address: str, *, uid: int | None = None, may_relay: bool = False) -> Source:
    """A client over TCP; with a uid, the kernel has named the user."""
    return Source(address=address, tcp_uid=uid, may_relay=may_relay)


def uid(number: int) -> Source:
    """A client on the Unix socket."""
    return Source(peer=Peer(uid=number, gid=number))


async def ask(harness: Harness, name: str, presented: Any = None, source: Source = TCP, /, **params: Any) -> str:
    """Call an operation; return `ok` or the error's code."""
    try:
        await harness.call(name, presented, source, **params)
    except HerodError as error:
        return error.code
    return "ok"


async def sign_in(harness: Harness, password: str = WRONG, *, email: str = EMAIL, source: Source = TCP) -> str:
    """Sign in; return `ok` or the error's code."""
    return await ask(harness, "login", None, source, email=email, password=password)
