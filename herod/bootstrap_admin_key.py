"""The first admin key, for a daemon that is set up by a program: `--bootstrap-admin-key`.

It is shown once, in a box on a terminal or in a 0600 file, never in the log.
"""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from herod.file_ownership import require_own_path
from herod.maintenance.signing_keys_at_startup import create_bootstrap_key
from herod.pipeline.parameters.text_normalization import parse_name
from herod.private_files import write_private
from herod.records import ApiKey
from herod.store.store_interface import Store, Writer
from herod_client.core.errors import InvalidRequest, RuntimeFailure, SettingsError
from herod_client.core.times import rfc3339_text

__all__ = ["give_bootstrap_key"]

logger = logging.getLogger("herod")


async def give_bootstrap_key(name: str, store: Store, folder: Path, *, clock: Callable[[], int]) -> None:
    """Create the first admin key, unless there is one of that name.

    Args:
        name: the key's.
        folder: for the key's file, if there is no terminal.
        clock: Unix seconds.

    Raises:
        SettingsError: no key can have that name.
        RuntimeFailure: the file cannot be written; no key was created.
        Unavailable: the store cannot be written.
    """
    path = None if sys.stderr.isatty() else folder / f"bootstrap-{_file_name(name)}.key"

    def create(tx: Writer) -> str | None:
        text = create_bootstrap_key(tx, store.keyring, name=name, now=clock())
        if text is not None and path is not None:
            _write_key_file(path, text)  # if this fails, the transaction rolls back and no key is created
        return text

    try:
        text = await store.write(create)
    except InvalidRequest as error:
        raise SettingsError(f"--bootstrap-admin-key: {error.message}") from None
    if text is None:
        _say_it_exists(name, store, clock())
    elif path is None:
        sys.stderr.write(_key_box(name, text))
    else:
        logger.warning("the bootstrap admin key %r was written to %s: move it to a safe place", name, path)


def _say_it_exists(name: str, store: Store, now: int) -> None:
    """Say that there is a key of that name; one that has expired was meant to, so no start makes another one."""
    for key in store.find(ApiKey, "name", "", parse_name(name)):
        if key.has_ended(now):
            logger.warning(
                "the key named %r expired on %s, and no bootstrap admin key was created: set a new expiry with "
                "`herod key rotate %s --expires never`, or another name here",
                name,
                rfc3339_text(key.expires_at or 0),
                key.id,
            )
            return
    logger.info("a key named %r exists already: no bootstrap admin key was created", name)


def _key_box(name: str, text: str) -> str:
    """The box that shows a key once on a terminal."""
    # The key has its own line: it fills a box of 80 columns.
    lines = ("Bootstrap admin key, shown only once: save it now.", "", f"name   {name}", "scope  admin", "key", text)
    width = max(map(len, lines))
    rule = "─" * (width + 2)
    return "\n".join((f"┌{rule}┐", *(f"│ {line.ljust(width)} │" for line in lines), f"└{rule}┘", ""))


def _write_key_file(path: Path, text: str) -> None:
    require_own_path(path, "the bootstrap admin key's file", may_share=True)
    try:
        write_private(path, f"{text}\n".encode(), is_durable=True)  # before the key is: it is shown only once
    except OSError as error:
        raise RuntimeFailure(
            f"the bootstrap admin key could not be written to {path} ({error.strerror}), so no key was created: "
            "move that file away, or make its folder writable"
        ) from None


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).lstrip(".") or "key"
