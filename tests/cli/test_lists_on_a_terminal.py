"""Lists on a real terminal of 80 columns, from a real daemon with names that are long, wide and unusual."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from rich.cells import cell_len

from support.real_daemon import COMMAND, Daemon, running

COLUMNS: Final = 80
END: Final = "-- end of "
# Runs command lines one after the other on one terminal.
TYPIST: Final = f"""
import json, sys
from herod_cli.main import main
for line in json.loads(sys.argv[1]):
    code = main(line)
    sys.stderr.flush()
    print("{END}" + " ".join(line), code, flush=True)
"""
NAMES: Final = (
    "\N{CJK UNIFIED IDEOGRAPH-6F22}\N{CJK UNIFIED IDEOGRAPH-5B57}" * 25,
    "\N{HANGUL SYLLABLE HAN} \N{HANGUL SYLLABLE GEUL} " * 12 + "end",
    "e\N{COMBINING ACUTE ACCENT}te\N{COMBINING ACUTE ACCENT}" * 16,
    "\N{FULLWIDTH LATIN CAPITAL LETTER A}da, Countess of Lovelace, Analyst of the Analytical Engine",
    "\N{PILE OF POO}" * 40,
    "x" * 100,
    "a",
)
NETWORKS: Final = ["mainnet", "testnet", "devnet-with-a-rather-long-name", "lab"]
SCOPES: Final = ("read", "registrar user write", "admin")
LISTS: Final = (
    ("user", "list"),
    ("key", "list"),
    ("peer", "list"),
    ("resource", "list", "vm"),
    ("audit", "list"),
    ("legacy", "status"),
    ("doctor",),
    ("status",),
)
EMPTY: Final = (("resource", "list", "none"), ("audit", "list", "--operation", "none"))
REFUSED: Final = {
    ("user", "show", "nobody@example.org"): "`herod user list`",
    ("key", "show", "0kZ3vXq81LmT"): "`herod key list`",
    ("peer", "remove", "nobody"): "`herod peer list`",
    ("key", "rotate", "0kZ3vXq81LmT", "--overlap", "8d"): "the maximum is 7d",
    ("--url", "unix:/nowhere/herod.sock", "status"): "`herod serve`",
    ("--url", "http://127.0.0.1:1", "whoami"): "`herod serve`",
    ("export", "/nowhere/file"): "HERO_SECRET_FILE=FILE",
}


def fill(daemon: Daemon) -> None:
    """Create thirty accounts and keys in every state, rules and resources."""
    calls: list[tuple[str, dict[str, Any]]] = []
    for number in range(30):
        name, scope = NAMES[number % len(NAMES)], SCOPES[number % len(SCOPES)]
        address = f"{'long-' * 10}{number}@{'sub.' * 10}example.org" if number % 2 else f"u{number}@example.org"
        only = {"networks": NETWORKS} if number % 3 else {}
        ends = {"expires_at": "2030-01-31T12:00:00Z"} if number % 2 else {}
        calls += [
            ("users.add", {"email": address, "name": name, "scope": scope, **only}),
            ("keys.create", {"name": name[:95] + f" {number}", "kind": "service", "scope": scope, **only, **ends}),
            ("peers.allow", {"uid": 4294967000 + number, "scope": scope, **only}),
            ("resources.claim", {"kind": "vm", "name": name, "secret": "", "attributes": {"note": name}}),
        ]
    cookie = ("-H", f"Authorization: Peer {daemon.cookie}")
    made = [answer for start in range(0, len(calls), 50) for answer in batch(daemon, calls[start : start + 50], cookie)]
    results = [answer["result"] for answer in made if "result" in answer]
    keys = [result["id"] for result in results if result.get("key")]
    assert len(results) == 4 * 30, [answer for answer in made if "error" in answer]
    batch(daemon, [("keys.disable", {"id": key}) for key in keys[::3]], cookie)
    batch(daemon, [("keys.rotate", {"id": key, "overlap": 600}) for key in keys[1::3]], cookie)


def batch(daemon: Daemon, calls: list[tuple[str, dict[str, Any]]], credential: tuple[str, ...]) -> list[dict[str, Any]]:
    """Send many calls in one batch; return the answers."""
    asked = [{"jsonrpc": "2.0", "id": n, "method": method, "params": p} for n, (method, p) in enumerate(calls)]
    status, answers, _ = daemon.curl("/rpc", "--json", json.dumps(asked), *credential)
    assert status == 200
    found: list[dict[str, Any]] = answers
    return found


def typed(daemon: Daemon, lines: tuple[tuple[str, ...], ...], *, columns: int = COLUMNS) -> dict[tuple[str, ...], str]:
    """Run each command line on a terminal; return the output of each."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {name: value for name, value in daemon.env.items() if name not in {"COLUMNS", "LINES", "HERO_SECRET"}}
    process = subprocess.Popen(
        [sys.executable, "-c", TYPIST, json.dumps(lines)],
        env={**env, "PYTHONUTF8": "1", "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
        stdin=slave, stdout=slave, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    parts = []
    with suppress(OSError):  # how a terminal reports that its other end is closed
        while part := os.read(master, 65536):
            parts.append(part)
    os.close(master)
    assert process.wait(timeout=20) == 0, b"".join(parts)
    shown = re.split(rf"^{END}.*\n", b"".join(parts).decode().replace("\r\n", "\n"), flags=re.MULTILINE)
    return dict(zip(lines, shown[:-1], strict=True))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with much data."""
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "legacy").write_text("0f8fad5b-d9cb-469f-a165-70867728950e\n")
    (folder / "legacy").chmod(0o600)
    with running(folder, "--admin-secret", f"@{folder}/legacy") as started:
        fill(started)
        yield started


def test_lists_fit(daemon: Daemon) -> None:
    """No line is wider than the terminal, headers and full ids are present, and nothing moves the cursor."""
    shown = typed(daemon, (*LISTS, *EMPTY))
    for line, text in shown.items():
        assert text.strip(), line
        assert "\x1b" not in text
        for row in text.splitlines():
            assert cell_len(row) <= COLUMNS, (line, row)
    assert len(shown["user", "list"].splitlines()) == 31
    assert len(shown["key", "list"].splitlines()) == 31
    assert re.search(r"^ID +NAME +KIND +SCOPE +STATE +EXPIRES +LAST USED$", shown["key", "list"], re.MULTILINE)
    uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    for line in (("user", "list"), ("peer", "list"), ("resource", "list", "vm")):
        assert len(re.findall(rf"^{uuid}  ", shown[line], re.MULTILINE)) == 30
    assert "u0@example.org " in shown["user", "list"]


def test_a_narrow_terminal_shows_records(daemon: Daemon) -> None:
    """On a terminal too narrow for columns, each item is a record with its complete scope."""
    lists = (("user", "list"), ("key", "list"), ("audit", "list"))
    shown = typed(daemon, lists, columns=50)
    assert len(re.findall(r"^scope +user registrar write$", shown["key", "list"], re.MULTILINE)) == 10
    assert "\n\nid " in shown["key", "list"]
    assert all(cell_len(row) <= 50 for row in shown["audit", "list"].splitlines())


def test_refusals_say_what_to_do(daemon: Daemon) -> None:
    """Each refusal names a command or value that helps, in lines that fit."""
    for line, text in typed(daemon, tuple(REFUSED)).items():
        assert text.startswith("herod: "), line
        assert REFUSED[line] in text, line
        assert all(cell_len(row) <= COLUMNS for row in text.splitlines()), text


def test_json_is_json(daemon: Daemon) -> None:
    """JSON output is complete for every list, whatever its content and the terminal."""
    lists = tuple((*line, "--output", "json") for line in (*LISTS, *EMPTY))
    shown = typed(daemon, lists)
    found = {line[:2]: json.loads(text) for line, text in shown.items()}
    assert {"\N{CJK UNIFIED IDEOGRAPH-6F22}\N{CJK UNIFIED IDEOGRAPH-5B57}" * 25, "x" * 100} < {
        user["name"] for user in found["user", "list"]["items"]
    }


@pytest.mark.parametrize("line", [("user", "list"), ("user", "list", "--output", "json"), ("--help",)], ids=" ".join)
def test_output_that_goes_nowhere(daemon: Daemon, line: tuple[str, ...]) -> None:
    """A full disk is one line and a hint; a closed pipe, as by `head`, is no error."""
    with Path("/dev/full").open("w") as full:
        ended = run(daemon, line, full.fileno())
    assert (ended.returncode, ended.stderr.splitlines()) == (
        1,
        ["herod: The output could not be written: No space left on device.", "  hint: free space where it is written"],
    )
    reading, writing = os.pipe()
    os.close(reading)
    ended = run(daemon, line, writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")


def run(daemon: Daemon, line: tuple[str, ...], output: int) -> subprocess.CompletedProcess[str]:
    """Run the command with this output."""
    return subprocess.run(
        [*COMMAND, *line], env=daemon.env, stdout=output, stderr=subprocess.PIPE, text=True, timeout=20, check=False
    )


def test_help_is_whole(daemon: Daemon) -> None:
    """No command's short help is truncated."""
    groups = ("user", "key", "token", "peer", "resource", "audit", "legacy", "secret")
    for line, text in typed(daemon, tuple((group, "--help") for group in groups)).items():
        assert "Commands:" in text, line
        assert "..." not in text.partition("Commands:")[2], line
        assert all(cell_len(row) <= COLUMNS for row in text.splitlines()), line
