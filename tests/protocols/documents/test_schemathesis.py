"""Schemathesis reads the OpenAPI document and tests a real daemon against it over TCP."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.real_daemon import Daemon, running
from support.soak_rounds import count, seed

FOLDER = Path(__file__).parent
EVERY_PHASE = "examples,coverage,fuzzing,stateful"
# The exclusions, each with its reason; everything else is checked for every operation in every phase.
CONFIG = """
[generation]
database = "none"
# Two credentials in one request are a 400: the run brings its own.
with-security-parameters = false

# A schema says of names in ASCII what herod takes. Which characters of Unicode cannot be seen, no pattern says.
[phases.fuzzing.checks]
positive_data_acceptance.enabled = false
[phases.stateful.checks]
positive_data_acceptance.enabled = false

# JSON-RPC answers what it cannot read under 200, as its specification has it.
[[operations]]
include-operation-id = ["rpc", "rpc_at_root"]
checks.negative_data_rejection.enabled = false

# A schema does not know which local users and groups there are, or that a user's key made by a service needs an owner.
[[operations]]
include-operation-id = ["peers.allow", "keys.create"]
checks.positive_data_acceptance.enabled = false

# A schema does not know which passwords are easy to guess.
[[operations]]
include-operation-id = ["users.add", "users.add.2", "users.password", "register"]
checks.positive_data_acceptance.enabled = false

# A client_id and client_secret in the form would be a second credential.
[[operations]]
include-operation-id = ["token.create", "token.introspect", "token.revoke"]
checks.positive_data_acceptance.enabled = false

# MCP's methods have parameters and headers of their own, which OpenAPI has no way to say.
[[operations]]
include-operation-id = ["mcp"]
checks.positive_data_acceptance.enabled = false
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that listens on TCP."""
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon


def check(daemon: Daemon, folder: Path, key: tuple[str, str] | None, *arguments: str) -> tuple[int, str]:
    """Run schemathesis; return its exit code and output.

    Args:
        key: the id and text of the key to send, if any.
    """
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    key_id, text = key or ("none", "")
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{daemon.url}/openapi.json",
            *(["-H", f"Authorization: Bearer {text}"] if key else []),
            "--seed", str(seed()), "--max-examples", str(count("SCHEMA") or 1), "--no-color", "--continue-on-failure",
            "--warnings", "off", *arguments,
        ],
        cwd=folder,
        env={
            **os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(FOLDER),
            "HEROD_CHECKED_KEY": key_id, "PYTHONWARNINGS": "ignore", "NO_PROXY": "*",
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def make_key(daemon: Daemon, name: str, scope: str) -> tuple[str, str]:
    """Create a service key; return its id and text."""
    made = json.loads(daemon.herod("key", "create", name, "--scope", scope, "--output", "json").stdout)
    return made["id"], made["key"]


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
def test_schemathesis_finds_nothing(
    daemon: Daemon, tmp_path: Path, who: str, phases: str, say: Callable[[str], None]
) -> None:
    """No undocumented status, header or content type, no 5xx, no ignored credential, no accepted invalid data."""
    key = None if who == "nobody" else make_key(daemon, f"{who} {phases}", who)
    code, said = check(daemon, tmp_path, key, "--phases", phases)
    assert code == 0, said
    say(f"{who}: {next(line.strip() for line in said.splitlines() if ' generated' in line)}")
