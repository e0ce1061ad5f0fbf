"""Changing what all handlers read, such as the settings, between two of them.

Handlers run on the event loop and in the store's writer thread: without this, half of a write could see the old state
and the other half the new one.
"""

import threading
from collections.abc import Callable

import trio

from herod.store.store_interface import Store, Writer
from herod_client.core.errors import Unavailable

__all__ = ["while_nobody_writes"]


async def while_nobody_writes(store: Store, take: Callable[[], None]) -> None:
    """Call `take` on the event loop, between two handlers, while the store's writer waits for it.

    Handlers run in those two threads only, so no handler sees a partial change.
    """
    loop = threading.get_ident()
    token = trio.lowlevel.current_trio_token()

    def hold(_tx: Writer) -> None:
        if threading.get_ident() == loop:  # the memory store has no writer thread
            take()
        else:
            trio.from_thread.run_sync(take, trio_token=token)

    try:
        await store.write(hold)
    except Unavailable:  # the store has no writer any more
        take()
