"""The set of sockets that listen now, and of the TCP addresses that are tried again until they can be had.

Unix and TCP fail apart: what cannot listen never ends what can.
"""

import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, overload

import trio

from herod.pipeline.process.deployment_info import MissingAddresses
from herod.server.sockets.bound_listener import BoundListener
from herod.server.sockets.tcp_places import Place, bind_left_out, bind_place, held_loopbacks
from herod.server.sockets.tls import Certificates
from herod.settings.bind_addresses import TcpBind
from herod_client.core.errors import RuntimeFailure

__all__ = ["FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS", "Listeners", "PlaceState"]

_log = logging.getLogger(__name__)

LOOPBACKS: Final = frozenset({"127.0.0.1", "::1"})
FIRST_PAUSE_SECONDS: Final = 1
LONGEST_PAUSE_SECONDS: Final = 30


class PlaceState(NamedTuple):
    """A TCP place as it is now.

    Attributes:
        binds: its addresses, with the ports that the kernel chose.
        is_open: whether it listens.
        holds_localhost: whether no other process can be `localhost` with its port: herod listens on both loopback
            addresses, as far as this machine has them.
    """

    binds: Place
    is_open: bool
    holds_localhost: bool

    @property
    def port(self) -> int:
        """The port of all its addresses; 0 before the kernel has chosen it."""
        return self.binds[0].port

    @property
    def is_loopback(self) -> bool:
        """Whether it is `localhost`, held or not."""
        return self.binds[0].loopback is not None


class Listeners(Sequence[BoundListener]):
    """The sockets that listen now, and the TCP places that are tried again.

    Args:
        opened: the Unix sockets.
        places: the TCP addresses to open.
        passed: passed sockets of TCP addresses; a place takes its own when all its addresses can be had.
        tls: the certificate of the TCP addresses; without it they are unencrypted.

    Attributes:
        on_change: called whenever a listener was added or lost.
    """

    def __init__(
        self,
        opened: Sequence[BoundListener],
        places: Sequence[Place] = (),
        *,
        passed: Mapping[TcpBind, socket.socket] | None = None,
        tls: Certificates | None = None,
    ) -> None:
        self.on_change: Callable[[], None] = _nothing
        self._opened = list(opened)
        self._passed = dict(passed or {})
        self._tls = tls
        self._missing: dict[Place, str] = dict.fromkeys(places, "")
        self._places = list(places)
        self._lost: list[MissingAddresses] = []
        self._place_of: dict[BoundListener, Place] = {}
        self._start: Callable[[BoundListener], None] = _ignore  # until `begin`
        self._has_missing = trio.Event()
        self._open_places()

    @overload
    def __getitem__(self, index: int) -> BoundListener: ...
    @overload
    def __getitem__(self, index: slice) -> list[BoundListener]: ...
    def __getitem__(self, index: int | slice) -> BoundListener | list[BoundListener]:
        return self._opened[index]

    def __len__(self) -> int:
        return len(self._opened)

    @property
    def hosts(self) -> frozenset[str]:
        """The accepted Host headers, without ports, of all TCP addresses, also of those that are still missing."""
        opened = {one.host for one in self._opened if one.host is not None}
        return frozenset(opened | {bind.url_host for place in self._missing for bind in place})

    @property
    def places(self) -> tuple[PlaceState, ...]:
        """All TCP places, in the order of the settings."""
        return tuple(
            PlaceState(place, place not in self._missing, self._holds_localhost(place)) for place in self._places
        )

    def _holds_localhost(self, place: Place) -> bool:
        held = held_loopbacks(one.socket for one in self._of(place))
        # What belongs to an open place and is not open was left out because this machine has no such address.
        return bool(held) and held | {bind.loopback for bind in place} >= LOOPBACKS

    def _of(self, place: Place) -> list[BoundListener]:
        return [one for one in self._opened if self._place_of.get(one) == place]

    @property
    def missing(self) -> tuple[MissingAddresses, ...]:
        """What does not listen."""
        return (
            *(MissingAddresses(tuple(map(str, place)), reason) for place, reason in self._missing.items()),
            *self._lost,
        )

    @property
    def status(self) -> str:
        """One line for people: where herod listens, and where not."""
        text = f"listening on {', '.join(one.label for one in self._opened)}"
        away = [address for one in self.missing for address in one.addresses]
        return f"{text}; not on {', '.join(away)}: {self.missing[0].reason}" if away else text

    def begin(self, start: Callable[[BoundListener], None]) -> None:
        """Pass each listener to `start`, those that are opened later too."""
        self._start = start
        for listener in self._opened:
            start(listener)

    def try_missing(self) -> None:
        """Open what can be had now; log what cannot, once for each reason."""
        before = self.missing
        opened = self._open_places()
        for one in self.missing:
            if one not in before:
                _log.warning("not listening on %s: %s", " and ".join(one.addresses), one.reason)
        for listener in opened:
            self._start(listener)
        if opened:
            _log.info("%s", self.status)
            self.on_change()

    async def keep_trying(self) -> None:
        """Try what is missing again and again, at growing intervals."""
        while True:
            await self._has_missing.wait()
            pause = FIRST_PAUSE_SECONDS
            while self._missing:
                await trio.sleep(pause)
                self.try_missing()
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            self._has_missing = trio.Event()

    def lose(self, listener: BoundListener, error: OSError) -> None:
        """Give up a listener that cannot accept any more; a TCP place is opened again as soon as possible."""
        if listener not in self._opened:
            return
        reason = f"{listener.label} accepts no more connections ({error.strerror})"
        place = self._place_of.get(listener)
        if place is None:
            self._end(listener)
            _log.error("%s: restart herod", reason)
            self._lost.append(MissingAddresses((listener.label,), f"{reason}: restart herod"))
        else:
            _log.error("%s: it is opened again", reason)
            self._give_up(place, reason)
        self.on_change()

    async def keep_whole(self) -> None:
        """Look again and again for an address family that the machine lacked: it may have got it meanwhile."""
        while True:
            await trio.sleep(LONGEST_PAUSE_SECONDS)
            self.complete_places()

    def complete_places(self) -> None:
        """Open the addresses that were left out, where that is possible now.

        A place one of whose addresses another process has taken is given up.
        """
        for place in [place for place in self._places if place not in self._missing]:
            here = {one.socket.getsockname()[0] for one in self._of(place)}
            for bind in place:
                if bind.is_optional and bind.host not in here:
                    self._open_left_out(place, bind)

    def _open_left_out(self, place: Place, bind: TcpBind) -> None:
        try:
            taken = bind_left_out(bind)
        except RuntimeFailure as failure:
            _log.error("%s", failure)
            self._give_up(place, str(failure))
            self.on_change()
            return
        if taken is not None:
            listener = BoundListener(taken, label=str(bind), host=bind.url_host, tls=self._tls)
            self._place_of[listener] = place
            self._opened.append(listener)
            self._start(listener)
            _log.info("%s", self.status)
            self.on_change()

    def _give_up(self, place: Place, reason: str) -> None:
        """Close a place, and open it again as soon as possible."""
        for one in self._of(place):
            self._end(one)
        self._missing[place] = reason
        self.try_missing()

    def _end(self, listener: BoundListener) -> None:
        self._opened.remove(listener)
        self._place_of.pop(listener, None)
        trio.lowlevel.notify_closing(listener.socket)
        listener.close()

    def stop(self) -> None:
        """Stop all listeners and remove the paths; the locks are kept."""
        self._start = _ignore
        for listener in self._opened:
            listener.stop()

    def close(self) -> None:
        """Stop, and release all addresses."""
        for listener in self._opened:
            listener.close()
        for passed in self._passed.values():
            passed.close()

    def _open_places(self) -> list[BoundListener]:
        """Open the missing places that can be had, and note why the others cannot."""
        opened: list[BoundListener] = []
        for place in list(self._missing):
            try:
                place_now, listeners = self._open_place(place)
            except RuntimeFailure as failure:
                self._missing[place] = str(failure)
                self._has_missing.set()
            else:
                del self._missing[place]
                self._places[self._places.index(place)] = place_now
                opened += listeners
        self._opened += opened
        return opened

    def _open_place(self, place: Place) -> tuple[Place, list[BoundListener]]:
        """Open a place, and return it with the port that the kernel chose, and its listeners."""
        sockets = bind_place(place, self._passed)
        chosen = next((bind.port for bind in sockets), 0)  # to open it again where it was
        place = tuple(replace(bind, port=bind.port or chosen) for bind in place)
        labels = {bind: str(bind) for bind in sockets}
        for bind in place:
            if (taken := self._passed.pop(bind, None)) is not None:
                sockets[bind], labels[bind] = taken, f"fd://{taken.fileno()} ({bind})"
        listeners = [
            BoundListener(sockets[bind], label=labels[bind], host=bind.url_host, tls=self._tls)
            for bind in place
            if bind in sockets
        ]
        self._place_of |= dict.fromkeys(listeners, place)
        return place, listeners


def _nothing() -> None:
    pass


def _ignore(_: BoundListener) -> None:
    pass
