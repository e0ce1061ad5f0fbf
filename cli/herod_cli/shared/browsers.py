"""Finds the user's browser and opens an address in it.

Must never pass on a secret: neither in the address, since every user of the machine can read the arguments of a
process, nor in an environment variable of herod's, since a browser outlives the command.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from typing import Final

from herod_cli.shared.whole_numbers import MAX_UID, parse_whole

__all__ = ["browsers", "open_address", "own_uids"]

# A command that cannot open a browser fails within this time; one that stays in the foreground is left running.
BROWSER_SECONDS: Final = 3
# The names of settings and credentials of herod's.
OWN_PREFIXES: Final = ("HEROD_", "HERO_", "CREDENTIALS_DIRECTORY")


def browsers(environ: Mapping[str, str]) -> list[list[str]]:
    """Return the commands to try: those in BROWSER, as xdg-open and webbrowser read it, then the desktop's."""
    found = []
    for text in filter(None, environ.get("BROWSER", "").split(":")):
        with contextlib.suppress(ValueError):
            words = [word for word in shlex.split(text) if word != "%s"]
            found += [words] if words else []
    desktop = shutil.which("xdg-open")
    if desktop is not None and (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        found.append([desktop])
    return found


def open_address(address: str, environ: Mapping[str, str]) -> bool:
    """Open an address without secrets in the first browser that works, and return whether there was one."""
    inherited = {name: value for name, value in environ.items() if not name.startswith(OWN_PREFIXES)}
    for command in browsers(environ):
        with contextlib.suppress(OSError):
            opened = subprocess.Popen(  # noqa: S603 - the user's own choice of a browser
                [*command, address],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=inherited,
            )
            try:
                if opened.wait(timeout=BROWSER_SECONDS) != 0:
                    continue
            except subprocess.TimeoutExpired:
                opened.returncode = 0  # it keeps running
            return True
    return False


def own_uids(environ: Mapping[str, str]) -> frozenset[int]:
    """Return the uids whose browsers are accepted: this user's and, under sudo, the calling user's."""
    before = parse_whole(environ.get("SUDO_UID", ""), 0, MAX_UID)
    return frozenset({os.geteuid(), *([before] if os.geteuid() == 0 and before is not None else [])})
