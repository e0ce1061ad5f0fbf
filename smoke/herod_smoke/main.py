"""`herod-smoke`: the command line."""

import errno
import math
import os
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from herod_smoke.check_runner import run
from herod_smoke.checks import CHECKS
from herod_smoke.files import load, save
from herod_smoke.fixtures import Fixtures
from herod_smoke.http_connection import Headers, SmokeConnection, UnreachableError, bearer, peer
from herod_smoke.report import FORMATS, Outcome, as_json, as_junit, line_of, summary

__all__ = ["Asked", "check", "main", "smoke"]

OK: Final = 200
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
UNAUTHENTICATED: Final = 4
INTERRUPTED: Final = 130  # 128 + SIGINT, as in shells
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
NO_UID: Final = 2**32 - 1
MAX_DIGITS: Final = 19
EXAMPLES: Final = """\b
Examples:
  herod-smoke
  herod-smoke --url https://auth.example.org --admin-key @admin.key
  herod-smoke --format junit > smoke.xml
  herod-smoke --only login --only token
"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The parsed command line."""

    url: str | None
    admin_key: str | None
    is_peer: bool
    legacy_secret: str | None
    kind: str
    output_file: str | None
    only: tuple[str, ...]
    is_listing: bool
    ca_file: str | None
    server_uid: int | None
    insecure_http: bool
    timeout: float


class UserId(click.ParamType[int]):
    """A user's number."""

    name = "uid"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse it.

        Raises:
            UsageError: it is not one.
        """
        text = str(value)
        if not (text.isascii() and text.isdecimal() and int(text[:MAX_DIGITS]) < NO_UID):
            self.fail(f"{value!r:.80} is not a user's number", param, ctx)
        return int(text)


class Seconds(click.FloatRange):
    """A number of seconds; NaN is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse it.

        Raises:
            UsageError: it is not one, or out of range.
        """
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r:.80} is not a number of seconds", param, ctx)
        return seconds


@click.command(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.option("--url", metavar="URL", help="The daemon: unix:/path, http://host:port or https://host:port.")
@click.option(
    "--admin-key", metavar="@FILE|KEY", help="An admin's API key or token; @FILE keeps it off the command line."
)
@click.option(
    "--peer", "is_peer", is_flag=True, help="Present your uid on the Unix socket, as root or herod's own user."
)
@click.option(
    "--legacy-secret", metavar="@FILE|SECRET", help="A legacy secret of the daemon, for the check of legacy secrets."
)
@click.option("--format", "kind", type=click.Choice(FORMATS), default="text", help="Report format.  [text]")
@click.option("--output-file", metavar="FILE", help="Write the report to FILE, and text lines to standard output.")
@click.option("--only", multiple=True, metavar="NAME", help="Run only this check; repeatable.")
@click.option("--list", "is_listing", is_flag=True, help="List the checks and exit.")
@click.option("--ca-file", metavar="FILE", help="Certificates to trust for https.")
@click.option(
    "--insecure-http",
    is_flag=True,
    envvar="HEROD_INSECURE_HTTP",
    help="Send the admin's key and passwords over http:// too, where anybody may listen.",
)
@click.option(
    "--server-uid",
    type=UserId(),
    envvar="HEROD_SERVER_UID",
    metavar="UID",
    help="Whose process may listen on the Unix socket, besides root.",
)
@click.option("--timeout", type=Seconds(0.1, 86400), default=30, metavar="S", help="Seconds to wait for an answer.")
def smoke(**options: Any) -> None:
    """Run 24 checks against a live herod.

    It runs as an admin, creates accounts and keys with random names that begin with `smoke-`, and deletes them at the
    end: it is safe against a daemon in use. Exit codes: 0 all passed, 1 one failed, 2 usage, 3 not reachable, 4 not
    authenticated.
    """
    try:
        code = check(Asked(**options))
    except KeyboardInterrupt:
        _say("herod-smoke: Interrupted.")
        code = INTERRUPTED
    sys.exit(code)


def check(asked: Asked) -> int:
    """Run the command; return its exit code.

    Raises:
        UsageError: the command line is invalid.
    """
    if asked.is_listing:
        click.echo("\n".join(CHECKS))
        return 0
    unknown = [name for name in asked.only if name not in CHECKS]
    if unknown:
        raise click.UsageError(f"there is no check {unknown[0]!r}: herod-smoke --list lists them")
    try:
        return _smoke(asked)
    except UnreachableError as error:
        _say(f"herod-smoke: {error}")
        return UNREACHABLE


def main(args: Sequence[str] | None = None) -> None:
    """Run the command."""
    try:
        try:
            smoke.main(args, prog_name="herod-smoke")
        finally:
            if sys.stdout is not None:  # it is closed
                sys.stdout.flush()
    except OSError as error:
        if error.errno not in FULL:
            raise
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # or the interpreter tries again when it ends
        _say(f"herod-smoke: The output could not be written: {error.strerror}.")
        sys.exit(FAILED)


def _smoke(asked: Asked) -> int:
    made = SmokeConnection(
        asked.url or _find(), timeout=asked.timeout, ca_file=asked.ca_file, server_uid=asked.server_uid
    )
    with closing(made) as connection:
        if connection.is_clear and not asked.insecure_http:
            raise click.UsageError(
                f"the admin's key and passwords would be sent unencrypted to {connection.url}, where anybody may listen"
                " in herod's place: give unix:/path or https://; to send them anyway, --insecure-http or"
                " HEROD_INSECURE_HTTP=1"
            )
        return _run(asked, connection)


def _run(asked: Asked, connection: SmokeConnection) -> int:
    admin = _admin(connection, _chosen_key(asked.admin_key), is_peer=asked.is_peer)
    legacy = None if asked.legacy_secret is None else _secret(asked.legacy_secret, "--legacy-secret")
    who = connection.ask("GET", "/api/v1/whoami", headers=admin)
    if who.status != OK:
        _say(f"herod-smoke: {connection.url} does not accept this credential ({who.status}): give --admin-key @FILE")
        return UNAUTHENTICATED
    shows_lines = asked.kind == "text" or asked.output_file is not None

    def tell(outcome: Outcome) -> None:
        if shows_lines:
            click.echo(line_of(outcome))

    outcomes, left = run(Fixtures(connection, admin, legacy), CHECKS, asked.only or tuple(CHECKS), tell=tell)
    for what in left:
        _say(f"herod-smoke: could not delete {what}: delete it yourself")
    report = {
        "json": lambda: as_json(connection.url, outcomes, left),
        "junit": lambda: as_junit(connection.url, outcomes),
    }
    if asked.kind in report:
        text = report[asked.kind]()
        if asked.output_file is None:
            click.echo(text)
        else:
            try:
                save(Path(asked.output_file), f"{text}\n".encode())
            except OSError as error:
                _say(f"herod-smoke: {asked.output_file} cannot be written: {error.strerror}")
                return FAILED
    if shows_lines:
        click.echo(summary(outcomes))
    return 0 if all(outcome.has_passed for outcome in outcomes) and not left else FAILED


def _find() -> str:
    """Find the daemon's default address; never TCP unless HEROD_URL says so."""
    known = os.environ.get("HEROD_URL")
    if known:
        return known
    state, home = os.environ.get("XDG_STATE_HOME", ""), os.environ.get("HOME", "")
    if not state.startswith("/"):
        state = f"{home}/.local/state"
    for folder in (os.environ.get("XDG_RUNTIME_DIR", ""), f"{state}/herod/run", "/run"):
        if folder.startswith("/") and Path(folder, "herod", "herod.sock").exists():
            return f"unix:{folder}/herod/herod.sock"
    raise UnreachableError("no herod socket was found: start the daemon with `herod serve`, or give --url")


def _chosen_key(given: str | None) -> str | None:
    """The admin key of the option, or else of the variable; None without either.

    Raises:
        UsageError: it is empty, so that the uid's rights would be tested instead.
    """
    key, where = (given, "--admin-key") if given is not None else (os.environ.get("HEROD_KEY"), "HEROD_KEY")
    if key is not None and not key.strip():
        raise click.UsageError(f"{where} is empty: give a key, or leave it out.")
    return key


def _admin(connection: SmokeConnection, key: str | None, *, is_peer: bool) -> Headers:
    if key is not None and not is_peer:
        return bearer(_secret(key, "--admin-key"))
    if connection.socket is None:
        raise click.UsageError("a uid cannot be presented over TCP: give --admin-key @FILE")
    try:
        cookie = load(Path(f"{connection.socket}.cookie"), follow=False).strip()
    except (OSError, UnicodeError):
        cookie = None
    return peer(cookie)


def _secret(text: str, option: str) -> str:
    secret = text
    if text.startswith("@"):
        try:
            secret = load(Path(text[1:])).strip()
        except (OSError, ValueError) as error:
            raise click.UsageError(f"{option}: cannot read {text[1:]}: {error}") from error
    elif text not in os.environ.values():
        _say(f"herod-smoke: warning: {option} on the command line can be seen by every local user: use @FILE")
    if not secret:
        raise click.UsageError(f"{option}: {text[1:] or 'the value'} is empty: put the key in it")
    if not (secret.isascii() and secret.isprintable()):
        where = text[1:] if text.startswith("@") else "the value"
        raise click.UsageError(f"{option}: {where} has a line end or a character that no key has: keep only the key")
    return secret


def _say(text: str) -> None:
    with suppress(OSError):  # a full disk there changes no exit code
        click.echo(text, err=True)
