"""Schemathesis reads the OpenAPI document and tests a real daemon against it over TCP."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.documented_commands import documented
from support.real_daemon import Daemon, running
from support.soak_rounds import count, seed

ROOT = Path(__file__).parents[3]
EVERY_PHASE = "examples,coverage,fuzzing,stateful"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that listens on TCP."""
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon


def check(daemon: Daemon, key: str | None, *arguments: str) -> tuple[int, str]:
    """Run schemathesis as `schemathesis.toml` says, with what it configures; return its exit code and output.

    Args:
        key: the key to send, if any.
    """
    asked = documented("schemathesis", daemon.url)  # ends with -H and the header
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", *(asked[:-1] if key else asked[:-2]),
            *([f"Authorization: Bearer {key}"] if key else []),
            "--seed", str(seed()), "--max-examples", str(count("SCHEMA") or 1), "--no-color", *arguments,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore", "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def make_key(daemon: Daemon, name: str, scope: str) -> str:
    """Create a service key."""
    made = json.loads(daemon.herod("key", "create", name, "--scope", scope, "--output", "json").stdout)
    text: str = made["key"]
    return text


@pytest.mark.parametrize(
    ("who", "phases"),
    [
        ("admin", "examples,coverage" if count("SCHEMA") else "examples"),
        ("read", "examples"),
        ("nobody", "examples"),
        pytest.param("admin", EVERY_PHASE, marks=pytest.mark.soak),
        pytest.param("read", EVERY_PHASE, marks=pytest.mark.soak),
        pytest.param("nobody", EVERY_PHASE, marks=pytest.mark.soak),
    ],
)
def test_schemathesis_finds_nothing(daemon: Daemon, who: str, phases: str, say: Callable[[str], None]) -> None:
    """No undocumented status, header or content type, no 5xx, no ignored credential, no accepted invalid data."""
    key = None if who == "nobody" else make_key(daemon, f"{who} {phases}", who)
    code, said = check(daemon, key, "--phases", phases)
    assert code == 0, said
    say(f"{who}: {next(line.strip() for line in said.splitlines() if ' generated' in line)}")
