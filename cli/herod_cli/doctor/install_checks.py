"""Doctor checks of an install: the units, the service's user and group, its secret, store and socket.

Reads the unit files directly and does not ask systemd, so that it also works in a container and on a machine that is
being prepared. Runs nothing, and opens no secret.
"""

import grp
import os
import pwd
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from herod.input_files import read_input
from herod.input_text import decode_text
from herod_cli.doctor.findings import Finding, fail, ok, warn
from herod_cli.shared.cli_version import cli_version
from herod_cli.shared.secret_files import is_private
from herod_client.connection_diagnosis import owner
from herod_client.core.errors import SettingsError

__all__ = ["check_install"]

# systemd.unit(5), "Unit File Load Path": the first that exists is used.
UNIT_FOLDERS: Final = (
    Path("/etc/systemd/system"),
    Path("/run/systemd/system"),
    Path("/usr/local/lib/systemd/system"),
    Path("/usr/lib/systemd/system"),
    Path("/lib/systemd/system"),
)
STATE: Final = Path("/var/lib/herod")
SOCKET: Final = Path("/run/herod/herod.sock")
ENABLED: Final = (
    Path("/etc/systemd/system/multi-user.target.wants/herod.service"),
    Path("/etc/systemd/system/sockets.target.wants/herod.socket"),
)
ROOT: Final = 0
MAX_UNIT: Final = 1024 * 1024
# Credential → the name of its check. The second exists only with a drop-in.
CREDENTIALS: Final = {"hero_secret": "installed-secret", "herod_store_secret": "installed-store-secret"}
# What ProtectHome=yes hides from a service, systemd.exec(5).
HIDDEN: Final = ("/home/", "/root/", "/run/user/")
AGAIN: Final = "make install again, then: systemctl daemon-reload"


@dataclass(frozen=True, slots=True)
class Unit:
    """The settings of herod.service and its drop-ins that are checked.

    Attributes:
        command: the program that it starts.
        secrets: credential → the file that systemd reads it from; only credentials for which the unit names one.
    """

    path: Path
    command: Path
    user: str
    group: str
    secrets: Mapping[str, Path]


def check_install() -> Iterator[Finding]:
    """Check units, user and group, secret, store and socket; one finding if nothing is installed."""
    path = next((folder / "herod.service" for folder in UNIT_FOLDERS if (folder / "herod.service").is_file()), None)
    beside = Path(sys.prefix).parent / "systemd" / "system" / "herod.service"
    if path is None and beside.is_file():
        yield warn(
            "install",
            f"{beside} is not in a folder that systemd reads.",
            f"systemctl link {beside.with_suffix('.socket')}; systemctl enable --now {beside}",
        )
        return
    if path is None:
        yield ok("install", "No herod.service is installed on this machine: `make install` installs one.")
        return
    try:
        unit = _load_unit(path)
    except OSError as error:
        yield warn("install", f"{path} cannot be read: {error.strerror}.", "run this as root")
        return
    except SettingsError as error:
        yield warn("install", str(error))
        return
    yield from _check_unit(unit)
    yield from _check_account(unit)
    yield from _check_secrets(unit)
    yield from _check_state(unit)
    yield from _check_group(unit)


def _load_unit(path: Path) -> Unit:
    """Read the unit, then its drop-ins in the order of their names: the last value wins, as in systemd."""
    dropins: dict[str, Path] = {}
    for folder in reversed(UNIT_FOLDERS):
        dropins |= {file.name: file for file in (folder / "herod.service.d").glob("*.conf")}
    said: dict[str, str] = {}
    secrets: dict[str, Path] = {}
    for file in (path, *(dropins[name] for name in sorted(dropins))):
        for line in decode_text(read_input(file, MAX_UNIT)[0], str(file)).splitlines():
            key, equals, value = line.strip().partition("=")
            if key == "LoadCredential":
                name, _, place = value.partition(":")
                if not value:  # an empty value clears the list
                    secrets.clear()
                elif name in CREDENTIALS and place.startswith("/"):
                    secrets[name] = Path(place)
            elif equals and value:
                said[key] = value
    user = said.get("User", "root")
    return Unit(
        path=path,
        command=Path(re.split(r"\s", said.get("ExecStart", "").lstrip("-@:+!"), maxsplit=1)[0]),
        user=user,
        group=said.get("Group", user),
        secrets=secrets,
    )


def _check_unit(unit: Unit) -> Iterator[Finding]:
    command = unit.command
    # bin/herod is a shell script; the Python that it runs can be missing or hidden as well.
    python = command.parent.parent / "lib" / "herod" / "bin" / "python"
    if not command.is_file() or not os.access(command, os.X_OK):
        yield fail("unit", f"{unit.path} starts {command}, which does not exist or is not executable.", AGAIN)
    elif python.is_symlink() and not python.exists():
        yield fail("unit", f"{command} needs {python}, which is a broken link: its Python was removed.", AGAIN)
    elif hidden := next((str(path) for path in (command, python) if str(path.resolve()).startswith(HIDDEN)), None):
        yield fail(
            "unit",
            f"{hidden} is in a home directory, which the service cannot see.",
            "make install with PREFIX= and PYTHON= outside of homes, such as PYTHON=/usr/bin/python3",
        )
    else:
        yield ok("unit", f"{unit.path} starts {command}.")
    yield from _check_installed_version(command)
    if any(link.is_symlink() for link in ENABLED):
        yield ok("enabled", "The service starts at boot.")
    else:
        yield warn("enabled", "The service does not start at boot.", "systemctl enable --now herod")


def _check_installed_version(command: Path) -> Iterator[Finding]:
    packages = (command.parent.parent / "lib" / "herod" / "lib").glob("python3*/site-packages/herod-*.dist-info")
    installed = {folder.name.removeprefix("herod-").removesuffix(".dist-info") for folder in packages}
    if installed and cli_version() not in installed:
        there = ", ".join(sorted(installed))
        yield warn(
            "installed-version", f"{command} is {there}, this command is {cli_version()}.", f"use {command}, or {AGAIN}"
        )


def _check_account(unit: Unit) -> Iterator[Finding]:
    missing = []
    try:
        uid: int | None = pwd.getpwnam(unit.user).pw_uid
    except KeyError:
        uid = None
        missing.append(f"user {unit.user}")
    if _gid(unit.group) is None:
        missing.append(f"group {unit.group}")
    if missing:
        yield fail("account", f"There is no {' and no '.join(missing)}.", "systemd-sysusers, or make install again")
    elif uid == ROOT:
        yield warn("account", "The service runs as root, which it does not need.", "set User=herod in the unit")
    else:
        yield ok("account", f"The service runs as {unit.user}:{unit.group}.")


def _check_secrets(unit: Unit) -> Iterator[Finding]:
    if "hero_secret" not in unit.secrets:
        yield ok("installed-secret", f"{unit.path} names no file for hero_secret, so none was checked.")
    for name, path in unit.secrets.items():
        yield _check_secret(CREDENTIALS[name], path)


def _check_secret(check: str, path: Path) -> Finding:
    try:
        found = path.stat()
    except FileNotFoundError:
        return fail(
            check,
            f"{path} does not exist: the service cannot start.",
            f"restore your copy of it; for a new store: herod secret generate --output-file {path}",
        )
    except OSError as error:
        return ok(check, f"{path} was not checked: {error.strerror}.")
    if is_private(found) and found.st_uid == ROOT:
        return ok(check, f"{path} is {owner(found)}.")
    return fail(
        check,
        f"{path} is {owner(found)}: only root needs access, since systemd passes it to the service.",
        f"chown root:root {path}; chmod 600 {path}",
    )


def _check_state(unit: Unit) -> Iterator[Finding]:
    try:
        found = STATE.stat()
    except FileNotFoundError:
        yield ok("state", f"{STATE} does not exist yet: systemd creates it at the first start.")
        return
    except OSError as error:
        yield ok("state", f"{STATE} was not checked: {error.strerror}.")
        return
    if stat.S_IMODE(found.st_mode) & 0o077 or owner(found).split()[1].split(":")[0] != unit.user:
        yield fail(
            "state",
            f"{STATE} is {owner(found)}: only {unit.user} needs access.",
            f"chown -R {unit.user}:{unit.group} {STATE}; chmod 700 {STATE}",
        )
    else:
        yield ok("state", f"{STATE} is {owner(found)}.")


def _check_group(unit: Unit) -> Iterator[Finding]:
    """Check who can connect to the socket: its group and mode, and whether they admit this user."""
    try:
        found = SOCKET.stat()
    except FileNotFoundError:
        yield warn("installed-socket", f"{SOCKET} does not exist: the service is not running.", "systemctl start herod")
        return
    except OSError as error:
        yield warn("installed-socket", f"{SOCKET} was not checked: {error.strerror}.")
        return
    gid = _gid(unit.group)
    if found.st_mode & stat.S_IWOTH:
        yield ok("installed-socket", f"{SOCKET} is {owner(found)}: every user can connect.")
    elif found.st_gid != gid or not found.st_mode & stat.S_IWGRP:
        yield warn(
            "installed-socket",
            f"{SOCKET} is {owner(found)}: members of group {unit.group} cannot connect.",
            f"systemctl edit herod.socket: SocketGroup={unit.group}, SocketMode=0660; or mode=0660 in HEROD_BIND",
        )
    elif os.geteuid() in {ROOT, found.st_uid} or gid in {os.getegid(), *os.getgroups()}:
        yield ok("installed-socket", f"{SOCKET} is {owner(found)}, and you can connect.")
    else:
        yield warn(
            "installed-socket", f"You are not in group {unit.group}, which can connect to {SOCKET}.", _join(unit.group)
        )


def _join(group: str) -> str:
    try:
        me = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user without a name, as in containers
        me = "USER"
    if me in grp.getgrnam(group).gr_mem:
        return "you were added to the group after you logged in: log in again"
    return f"usermod -aG {group} {me}, then log in again"


def _gid(group: str) -> int | None:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None
