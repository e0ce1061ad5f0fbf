"""Standard streams that are closed, full or broken: one line at most, an exit code, never a traceback."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from herod_cli.main import PLACES
from support.real_daemon import environment

# A command line of each command that ends by itself, without a daemon.
COMMANDS: Final = {
    name: shlex.split(line)
    for name, line in {
        "serve": "--port 70000",
        "status": "",
        "doctor": "",
        "login": "ada@example.org --password-file -",
        "logout": "",
        "whoami": "--key -",
        "user": "list",
        "key": "list",
        "token": "validate -",
        "app": "list",
        "peer": "list",
        "resource": "list vm --secret -",
        "approval": "list",
        "attention": "",
        "audit": "list",
        "legacy": "status",
        "explain": "--scope read",
        "backup": "new.backup",
        "restore": "none.backup",
        "export": "-",
        "import": "-",
        "secret": "generate",
        "ui": "--print",
        "smoke": "--list",
        "completion": "bash",
    }.items()
}


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, in which `herod` is the command."""
    program = f'herod() {{ {shlex.quote(sys.executable)} -m herod "$@"; }}; set -o pipefail; {command}'
    return subprocess.run(
        ["bash", "-c", program],
        cwd=folder,
        env=environment(folder, HERO_SECRET="0123456789abcdef0123456789abcdef", HEROD_STORE="sqlite:/dev/null/x.db"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_command_is_tried() -> None:
    """A new command gets a line here."""
    assert COMMANDS.keys() == PLACES.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_closed(tmp_path: Path, name: str) -> None:
    """With closed streams, nothing is done whose answer would be lost, and no other file takes the stream's place."""
    command = shlex.join(["herod", name, *COMMANDS[name]])
    usual = run(command, tmp_path)
    assert "Traceback" not in usual.stderr
    closed = run(f"{command} >&-", tmp_path)
    if name == "serve":
        assert (closed.returncode, closed.stderr) == (usual.returncode, usual.stderr)
    else:
        assert closed.returncode == 1
        why = "The output could not be written:" if name == "completion" else "Standard output is closed, so nothing"
        assert closed.stderr.startswith(f"herod: {why}")
    assert run(f"{command} 2>&-", tmp_path).returncode == usual.returncode
    for line in (f"{command} <&-", f"{command} <&- 2>&-", f"{command} <&- >&- 2>&-"):
        ended = run(line, tmp_path)
        assert "Traceback" not in ended.stderr
        assert ended.returncode in {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("command", "code", "stderr"),
    [
        ("herod --help >&-", 1, "herod: The output could not be written: Bad file descriptor."),
        ("herod --version >&-", 1, "herod: The output could not be written: Bad file descriptor."),
        ("herod --help > /dev/full", 1, "herod: The output could not be written: No space left on device."),
        ("herod secret generate > /dev/full", 1, "herod: The output could not be written: No space left"),
        ("herod secret generate 1< /dev/null", 1, "herod: Standard output is closed"),
        ("herod secret generate --output-file s > /dev/full", 1, "herod: The output could not be written"),
        ("herod doctor --output json > /dev/full", 1, "herod: The output could not be written"),
        ("herod nonsense 2> /dev/full", 2, ""),
        ("herod nonsense 2>&-", 2, ""),
        ("herod status 2> /dev/full", 3, ""),
        ("herod status > /dev/full 2> /dev/full", 3, ""),
        ("herod secret generate | head -c 0", 1, ""),
        ("herod completion bash | head -n 0", 1, ""),
        ("herod nonsense 2>&1 | head -c 0", 2, ""),
        ("herod whoami --key - <&-", 2, "herod: Standard input is empty"),
        ("herod login ada@example.org <&-", 3, "herod: No daemon was found"),
    ],
)
def test_outputs_that_fail(tmp_path: Path, command: str, code: int, stderr: str) -> None:
    """An output that takes nothing is named once, and does not change the code of another failure."""
    ended = run(command, tmp_path)
    assert ended.stderr.startswith(stderr) if stderr else not ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert ended.returncode == code or (code == 1 and ended.returncode == 0 and "|" in command)


def test_the_smoke_checks(tmp_path: Path) -> None:
    """`herod-smoke` too ends without a traceback."""
    smoke = shlex.join([sys.executable, "-m", "herod_smoke"])
    for rest, code in (
        ("--list >&-", 0), ("--list > /dev/full", 1), ("--list 2>&-", 0), ("--nonsense 2>&-", 2),
        ("--nonsense 2> /dev/full", 1), ("--list | head -c 0", 0), ("--url unix:/nonexistent/s >&- 2>&-", 3),
        ("--url unix:/nonexistent/s 2> /dev/full", 3),
    ):  # fmt: skip
        ended = run(f"set +o pipefail; {smoke} {rest}", tmp_path)
        assert ended.returncode == code, (rest, ended)
        assert "Traceback" not in ended.stderr


def test_a_store_is_never_a_stream(tmp_path: Path) -> None:
    """With all streams closed, messages do not go to the file that got the number of one."""
    store = tmp_path / "herod.db"
    store.write_bytes(b"precious" * 200)
    store.chmod(0o600)
    ended = run(f"herod serve --bind unix:{tmp_path}/s --store sqlite:{store} <&- >&- 2>&-", tmp_path)
    assert ended.returncode == 1
    assert store.read_bytes() == b"precious" * 200
