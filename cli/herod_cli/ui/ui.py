"""`herod ui`: the dashboard in a browser, signed in as whoever runs the command.

The browser gets a file to open, readable by its owner alone, that leads to the page with a one-time code: neither the
code nor any other secret stands in a command line, where every user of the machine could read it.
"""

import contextlib
import html
import os
import secrets
import shlex
import shutil
import subprocess
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
from herod_cli.shared.output import print_json, print_lines
from herod_cli.shared.secret_files import create_private, is_private, open_folder, write_all

if TYPE_CHECKING:
    from herod_cli.ui.loopback_relay import Relay

__all__ = ["ui"]

# A browser that is there says so at once; one that stays in the foreground is left to itself.
BROWSER_SECONDS: Final = 3
# A code lives a minute: a file that is older opens nothing and is in the way.
FILE_SECONDS: Final = 120


@click.command(
    cls=HerodCommand,
    examples=["herod ui", "herod ui --key @admin.key", "herod ui --print  # for a browser elsewhere on this machine"],
)
@click.option(
    "--print",
    "prints",
    is_flag=True,
    help="Print the address with its one-time code and open nothing: whoever opens it first, within a minute, is you.",
)
@pass_invocation
def ui(invocation: Invocation, prints: bool) -> int:  # noqa: FBT001 - click's form
    """Open the dashboard in a browser, signed in as you.

    You may do there what you may do here, and no more. Where the daemon has no TCP address, the pages are passed on
    from a port of 127.0.0.1 until Ctrl-C.
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
        from herod_cli.ui.loopback_relay import Relay  # brings trio, which no other command needs

        assert isinstance(address, UnixAddress)  # noqa: S101 - for the type checker: there is no third
        relay = Relay(address.path, uids=_own_uids(os.environ))
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
            "An access token, as `herod login` saves it, opens no session: it would outlive itself.",
            hint="ask by your uid with --peer, or with --key @FILE; or sign in on the page",
        ) from error
    code = answer.get("code")
    if not isinstance(code, str) or not code.isalnum():
        raise BadAnswer("The daemon answered without a code.", hint="`herod doctor` compares versions")
    return answer


def _own_uids(environ: Mapping[str, str]) -> frozenset[int]:
    """Whose browsers are ours: also those of who became root to ask."""
    before = environ.get("SUDO_UID", "")
    return frozenset({os.geteuid(), *([int(before)] if os.geteuid() == 0 and before.isdigit() else [])})


def _folder(environ: Mapping[str, str]) -> Path:
    """A folder of this user alone, on a disk in memory where there is one."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    cache = environ.get("XDG_CACHE_HOME", "")
    parent = Path(runtime) if runtime.startswith("/") else Path(cache) if cache.startswith("/") else None
    folder = (parent or Path.home() / ".cache") / "herod-ui"
    require_own_path(folder / "open.html", "the page for the browser")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise FailureError(
            f"{folder} cannot be made: {error.strerror}.", hint="`herod ui --print` needs no file"
        ) from error
    if folder.is_symlink() or found.st_uid != os.geteuid() or not is_private(found):
        raise FailureError(f"{folder} is not yours alone.", hint=f"remove it, or `chmod 700 {folder}`")
    return folder


def _write_page(folder: Path, link: str) -> Path:
    """A page that leads on; what earlier ones left goes."""
    for old in folder.glob("open-*.html"):
        with contextlib.suppress(OSError):
            if old.lstat().st_mtime < time.time() - FILE_SECONDS:
                old.unlink()
    path = folder / f"open-{secrets.token_hex(8)}.html"
    target = html.escape(link, quote=True)
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={target}"><title>herod</title>'
        f'<p><a href="{target}">Go on to herod</a></p></html>\n'
    )
    with contextlib.ExitStack() as opened:
        place = open_folder(path)
        opened.callback(os.close, place)
        descriptor = create_private(path, folder=place)
        opened.callback(os.close, descriptor)
        write_all(descriptor, page.encode())
    return path


def _open(path: Path, base: str, environ: Mapping[str, str]) -> str:
    """Give the file to a browser; what to tell the user."""
    for command in _browsers(environ):
        with contextlib.suppress(OSError):
            opened = subprocess.Popen(  # noqa: S603 - the user's own choice of a browser
                [*command, path.as_uri()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                if opened.wait(timeout=BROWSER_SECONDS) != 0:
                    continue
            except subprocess.TimeoutExpired:
                opened.returncode = 0  # it goes on without us
            return f"Opened {base} in a browser: confirm there that it is you."
    return f"No browser could be opened: open {path} within a minute, or use `herod ui --print`."


def _browsers(environ: Mapping[str, str]) -> list[list[str]]:
    """Commands to try: what BROWSER names, as xdg-open and webbrowser read it, and the desktop's own."""
    found = []
    for text in filter(None, environ.get("BROWSER", "").split(":")):
        with contextlib.suppress(ValueError):
            words = [word for word in shlex.split(text) if word != "%s"]
            found += [words] if words else []
    desktop = shutil.which("xdg-open")
    if desktop is not None and (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        found.append([desktop])
    return found


def _say(invocation: Invocation, answer: Mapping[str, str], sentence: str) -> None:
    if invocation.is_json:
        print_json(answer)
    else:
        print_lines([sentence])


def _serve(invocation: Invocation, relay: "Relay") -> None:
    import trio

    if not invocation.is_json:
        print_lines([f"The pages come over http://127.0.0.1:{relay.port} until Ctrl-C."])
    sys.stdout.flush()
    try:
        trio.run(relay.serve)
    except* KeyboardInterrupt:
        pass  # how it is meant to end
