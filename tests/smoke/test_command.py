"""The command `herod-smoke`: its output, its reports and its exit code."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from herod_smoke.checks import CHECKS
from herod_smoke.main import main
from support.real_daemon import Daemon, environment, running

COMMAND = (sys.executable, "-m", "herod_smoke")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A good daemon."""
    with running(tmp_path_factory.mktemp("smoke"), "--bootstrap-admin-key", "smoke") as daemon:
        yield daemon


def smoke(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run([*COMMAND, *arguments], env=env, capture_output=True, text=True, check=False, timeout=120)


def key_file(daemon: Daemon) -> str:
    """The file of the bootstrap admin's key, as an option takes it."""
    return f"@{daemon.folder}/store/bootstrap-smoke.key"


def test_lines(daemon: Daemon) -> None:
    """The output has a line with its time for each check, and the number passed at the end."""
    ended = smoke("--only", "health", "--only", "token", env=daemon.env)
    assert (ended.returncode, ended.stderr) == (0, "")
    first, second, last = ended.stdout.splitlines()
    assert first.startswith("ok    health ")
    assert first.endswith(" ms")
    assert second.startswith("ok    token ")
    assert last == "2 passed, 0 failed"


def test_all_over_tcp_with_a_key(daemon: Daemon) -> None:
    """Over TCP a key is needed; the report is JSON."""
    ended = smoke(
        "--insecure-http", "--url", daemon.url, "--admin-key", key_file(daemon), "--format", "json", env=daemon.env
    )
    assert ended.returncode == 0
    found = json.loads(ended.stdout)
    assert (found["passed"], found["failed"], found["left"]) == (24, 0, [])
    assert [check["name"] for check in found["checks"]] == list(CHECKS)


def test_junit(daemon: Daemon, tmp_path: Path) -> None:
    """The file is JUnit XML, and the lines are printed as well."""
    path = tmp_path / "smoke.xml"
    ended = smoke("--only", "health", "--format", "junit", "--output-file", str(path), env=daemon.env)
    assert ended.stdout.endswith("1 passed, 0 failed\n")
    suites = ET.parse(path).getroot()  # noqa: S314 - our own file
    assert suites.get("tests") == "1"
    assert [case.get("name") for case in suites.iter("testcase")] == ["health"]


def test_list() -> None:
    """The list has one name on each line and needs no daemon."""
    ended = smoke("--list", env={})
    assert ended.stdout.split() == list(CHECKS)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--only", "nonsense"), 2, "herod-smoke --list"),
        (("--url", "unix:/nowhere/herod.sock"), 3, "does not answer"),
        (("--url", "gopher://x"), 3, "write unix:/path"),
        (("--insecure-http", "--url", "{tcp}"), 2, "give --admin-key @FILE"),
        (("--url", "{tcp}", "--admin-key", "a key"), 2, "--insecure-http or HEROD_INSECURE_HTTP=1"),
        (("--url", "HTTP://127.0.0.1:1", "--admin-key", "a key"), 2, "--insecure-http or HEROD_INSECURE_HTTP=1"),
        (("--insecure-http", "--url", "{tcp}", "--admin-key", "@/nowhere"), 2, "cannot read /nowhere"),
        (("--insecure-http", "--url", "{tcp}", "--admin-key", "wrong"), 4, "does not accept this credential (401)"),
    ],
)
def test_what_cannot_be_done(arguments: tuple[str, ...], code: int, said: str, daemon: Daemon) -> None:
    """Each usage error says what to do, with its exit code."""
    ended = smoke(*(part.format(tcp=daemon.url) for part in arguments), env=daemon.env)
    assert ended.returncode == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_daemon(tmp_path: Path) -> None:
    """Without a daemon it says how to start one, and does not try TCP."""
    ended = smoke(env=environment(tmp_path))
    assert ended.returncode == 3
    assert "herod serve" in ended.stderr


@pytest.mark.parametrize(("arguments", "variables"), [(("--admin-key", ""), {}), ((), {"HEROD_KEY": " "})], ids=str)
def test_an_empty_key_is_not_the_uid(arguments: tuple[str, ...], variables: dict[str, str], daemon: Daemon) -> None:
    """An empty admin key is a usage error: the uid's rights would be tested in its place."""
    ended = smoke("--only", "health", *arguments, env={**daemon.env, **variables})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "is empty" in ended.stderr


def test_a_key_in_argv_is_warned_of(daemon: Daemon) -> None:
    """A key as an argument is warned about, because all local users see the command line."""
    key = Path(key_file(daemon)[1:]).read_text().strip()
    ended = smoke("--insecure-http", "--url", daemon.url, "--admin-key", key, "--only", "health", env=daemon.env)
    assert ended.returncode == 0
    assert "use @FILE" in ended.stderr
    assert key not in ended.stdout + ended.stderr


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends the command as it ends every other one of herod: in one line, with the shells' exit code."""

    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("herod_smoke.main.check", interrupted)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "herod-smoke: Interrupted.\n"


def test_under_herods_own_name(daemon: Daemon) -> None:
    """`herod smoke` is the same command."""
    ended = daemon.herod("smoke", "--only", "health")
    assert ended.returncode == 0
    assert ended.stdout.endswith("1 passed, 0 failed\n")
