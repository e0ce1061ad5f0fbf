"""Doctor check of the user that the daemon runs as: what keeps a program of a person from herod's store and secret."""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from herod_cli.doctor.findings import Finding, ok, warn
from herod_client import UnixAddress

__all__ = ["check_daemon_user", "cookie_owner"]

ROOT: Final = 0
# Below it, users are of the system's services (login.defs, SYS_UID_MAX).
FIRST_PERSON: Final = 1000
NO_LOGIN: Final = frozenset({"nologin", "false"})
WORTH: Final = "what apps are allowed and what people approve"


def check_daemon_user(address: UnixAddress) -> Iterator[Finding]:
    """Say as whom the daemon runs, by the owner of the cookie that it wrote; nothing if that cannot be seen."""
    uid = cookie_owner(address)
    if uid is None:
        return
    name = _name(uid)
    if uid == ROOT:
        yield ok("daemon-user", f"The daemon runs as root, so only root can bypass {WORTH}. It does not need to.")
    elif _is_person(uid):
        yield warn(
            "daemon-user",
            f"The daemon runs as {name}: each program of {name} can read its store and secret. So {WORTH} stops an app "
            "that was talked into something, and not one that attacks.",
            "make install, which gives herod a user of its own",
        )
    else:
        yield ok(
            "daemon-user",
            f"The daemon runs as {name}, a user of its own: no person's program can bypass {WORTH}.",
        )


def cookie_owner(address: UnixAddress) -> int | None:
    """The uid that the socket's cookie belongs to; None if it cannot be seen."""
    try:
        return Path(address.cookie_path).stat().st_uid
    except OSError:
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _is_person(uid: int) -> bool:
    """Whether people's programs run as this user: it is yours, or one with which somebody can log in."""
    if uid == os.geteuid():
        return True
    try:
        shell = pwd.getpwuid(uid).pw_shell
    except KeyError:  # another container's, perhaps, or one that systemd made for the service alone
        return False
    return uid >= FIRST_PERSON and Path(shell).name not in NO_LOGIN
