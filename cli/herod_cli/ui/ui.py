"""`herod ui`: opens the dashboard in a browser, signed in as the user who runs the command.

The browser opens a file that only its owner can read and that redirects to the page with a one-time code: no secret is
on a command line, where every user of the machine could read it.
"""

import contextlib
import html
import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from herod.file_ownership import require_own_path
from herod_cli.click_base_classes import HerodCommand
from herod_cli.exit_codes import OK, FailureError
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.browsers import open_address, own_uids
from herod_cli.shared.output import print_json, print_lines
from herod_cli.shared.secret_files import create_private, is_private, open_folder, write_all

if TYPE_CHECKING:
    from herod.loopback_relay import Relay

__all__ = ["ui"]

# A code is valid for a minute: an older file is useless and is deleted.
FILE_SECONDS: Final = 120


@click.command(
    cls=HerodCommand,
    examples=["herod ui", "herod ui --key @admin.key", "herod ui --print  # for a browser elsewhere on this machine"],
)
@click.option(
    "--print",
    "prints",
    is_flag=True,
    help="Print the address with its one-time code and open nothing. Whoever opens it first, within a minute, is signed"
    " in as you.",
)
@pass_invocation
def ui(invocation: Invocation, prints: bool) -> int:  # noqa: FBT001 - click's form
    """Open the dashboard in a browser, signed in as you.

    The browser session has your rights, and no more. If the daemon has no TCP address, the pages are relayed from a
    port of 127.0.0.1 until Ctrl-C.
    """
    from herod_client import TcpAddress, UnixAddress  # keeps `--help` fast

    address = invocation.address()
    answer = _ask(invocation)
    relay = None
    if isinstance(address, TcpAddress):
        base = str(address)
    elif isinstance(page_url := answer.get("page_url"), str) and page_url.startswith(("http://", "https://")):
        base = page_url
    else:
        from herod.loopback_relay import Relay  # brings trio, which no other command needs
        from herod_client.socket_servers import expected_servers

        assert isinstance(address, UnixAddress)  # noqa: S101 - for the type checker: there is no third
        relay = Relay(address.path, uids=own_uids(os.environ), servers=expected_servers(invocation.server()))
        base = f"http://127.0.0.1:{relay.port}"
    link = f"{base}/ui/code?code={answer['code']}"
    path: Path | None = None
    try:
        if prints:
            _say(invocation, {"url": link}, link)
        else:
            path = _write_page(_folder(os.environ), link)
            _say(invocation, {"url": base, "file": str(path)}, _open(path, base, os.environ))
        if relay is not None:
            _serve(invocation, relay)
    finally:
        if path is not None and relay is not None:
            path.unlink(missing_ok=True)
    return OK


def _ask(invocation: Invocation) -> Mapping[str, object]:
    from herod_client import BadAnswer, Refused  # loaded by the client already

    try:
        answer = invocation.call("session.code")
    except Refused as error:
        if error.code != "ceiling_exceeded":
            raise
        raise FailureError(
            "An access token, as `herod login` saves it, cannot open a session: the session would outlive it.",
            hint="use your uid with --peer, or --key @FILE; or sign in on the page",
        ) from error
    code = answer.get("code")
    if not isinstance(code, str) or not code.isalnum():
        raise BadAnswer("The daemon answered without a code.", hint="`herod doctor` compares versions")
    return answer


def _folder(environ: Mapping[str, str]) -> Path:
    """Return a folder that only this user can access, in memory if possible."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    cache = environ.get("XDG_CACHE_HOME", "")
    home = environ.get("HOME", "")
    parent = next((one for one in (runtime, cache, home and f"{home}/.cache") if one.startswith("/")), None)
    if parent is None:
        raise FailureError("There is no folder for the browser's page.", hint="set HOME, or use `herod ui --print`")
    folder = Path(parent) / "herod-ui"
    require_own_path(folder / "open.html", "the page for the browser")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise FailureError(
            f"{folder} cannot be created: {error.strerror}.", hint="`herod ui --print` needs no file"
        ) from error
    if folder.is_symlink() or found.st_uid != os.geteuid() or not is_private(found):
        raise FailureError(
            f"{folder} must be a folder that only you can access.", hint=f"remove it, or `chmod 700 {folder}`"
        )
    return folder


def _write_page(folder: Path, link: str) -> Path:
    """Write a page that redirects to `link`, and delete older pages."""
    for old in folder.glob("open-*.html"):
        with contextlib.suppress(OSError):
            if old.lstat().st_mtime < time.time() - FILE_SECONDS:
                old.unlink()
    path = folder / f"open-{secrets.token_hex(8)}.html"
    target = html.escape(link, quote=True)
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={target}"><title>herod</title>'
        f'<p><a href="{target}">Continue to herod</a></p></html>\n'
    )
    with contextlib.ExitStack() as opened:
        place = open_folder(path)
        opened.callback(os.close, place)
        descriptor = create_private(path, folder=place)
        opened.callback(os.close, descriptor)
        write_all(descriptor, page.encode())
    return path


def _open(path: Path, base: str, environ: Mapping[str, str]) -> str:
    """Open the file in a browser, and return what to tell the user."""
    if open_address(path.as_uri(), environ):
        return f"Opened {base} in a browser: confirm there that it is you."
    return f"No browser could be opened: open {path} within a minute, or use `herod ui --print`."


def _say(invocation: Invocation, answer: Mapping[str, str], sentence: str) -> None:
    if invocation.is_json:
        print_json(answer)
    else:
        print_lines([sentence])


def _serve(invocation: Invocation, relay: "Relay") -> None:
    import trio

    if not invocation.is_json:
        print_lines([f"The pages are relayed from http://127.0.0.1:{relay.port} until Ctrl-C."])
    sys.stdout.flush()
    try:
        trio.run(relay.serve)
    except* KeyboardInterrupt:
        pass  # the normal way to stop it
