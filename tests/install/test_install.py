"""`make install` and `make uninstall`, for real: the installed files, and that the installed program runs.

Each test installs once and checks everything, because an install takes a while.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import herod
from support.in_process_server import short_folder
from support.real_daemon import environment, running

CHECKOUT = Path(__file__).parents[2]
SHARED = (
    "lib/systemd/system/herod.service",
    "lib/systemd/system/herod.socket",
    "lib/systemd/user/herod.service",
    "lib/systemd/user/herod.socket",
    "lib/sysusers.d/herod.conf",
    "lib/tmpfiles.d/herod.conf",
    "share/herod/herod.toml",
    "share/herod/socket-only.conf",
    "share/herod/socket-activation.conf",
    "share/herod/socket-unit-only-unix.conf",
    "share/doc/herod/LICENSE",
    "share/doc/herod/README.md",
    "share/doc/herod/configuration.md",
    "share/doc/herod/install.md",
)


# A Python that makes empty environments in no time, itself in them, and agrees with everything.
HASTY = """#!/bin/sh
[ "$1 $2" = "-m venv" ] || exit 0
for folder; do :; done
mkdir -p "$folder/bin" "$folder/lib"
cp "$0" "$folder/bin/python"
echo "home = /usr/bin" > "$folder/pyvenv.cfg"
"""


def make(target: str, **variables: object) -> subprocess.CompletedProcess[str]:
    """Run one of the two targets with this Python, from a folder of the checkout, without user settings."""
    said = [f"{name}={value}" for name, value in variables.items()]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "COVERAGE", "PYTHON"))}
    command = ["make", "--no-print-directory", target, f"PYTHON={sys.executable}", *said]
    return subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=300, check=False)


def mode(path: Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def files(folder: Path) -> set[str]:
    """The files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}


def mentions(folder: Path, text: str) -> list[Path]:
    """Files that contain a text."""
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def check_layout(root: Path, prefix: str) -> None:
    """Check what is below PREFIX, and that it refers to its final location."""
    for name in SHARED:
        assert mode(root / name) == 0o644, name
    readme = root / "share" / "doc" / "herod" / "README.md"
    for link in re.findall(r"\]\(([^):]+\.md)\)", readme.read_text()):
        assert (readme.parent / link).is_file() or link == "CONTRIBUTING.md", link
    assert mode(root / "bin" / "herod") == 0o755
    assert f"exec {prefix}/lib/herod/bin/python -I -m herod" in (root / "bin" / "herod").read_text()
    unit = (root / "lib" / "systemd" / "system" / "herod.service").read_text()
    assert f"\nExecStart={prefix}/bin/herod serve\n" in unit
    # The environment: a Python and packages, no scripts with a path in them, and no installer.
    assert {path.name.rstrip("0123456789.") for path in (root / "lib" / "herod" / "bin").iterdir()} == {"python"}
    packages = next((root / "lib" / "herod" / "lib").glob("python3.*/site-packages"))
    names = {path.name for path in packages.iterdir()}
    assert {"herod", "herod_cli", f"herod-{herod.__version__}.dist-info"} <= names
    assert not {"pip", "pytest", "hatchling", "tests"} & names
    assert not list(packages.glob("*.pth")), "an editable install would read the checkout"
    assert list((packages / "herod" / "__pycache__").glob("app.*.pyc"))
    open_to_others = [path for path in root.rglob("*") if not path.is_symlink() and mode(path) & 0o022]
    assert open_to_others == []
    assert mentions(root, str(CHECKOUT)) == []
    assert mentions(root, "/lib/.herod.") == []


@pytest.mark.soak
def test_a_staged_environment(tmp_path: Path) -> None:
    """What `make install DESTDIR=…` stages has the paths of its final place, and no others."""
    stage = tmp_path / "stage"
    done = make("install", DESTDIR=stage, PREFIX="/opt/herod")
    assert done.returncode == 0, done.stderr
    check_layout(stage / "opt" / "herod", "/opt/herod")
    assert mentions(stage, str(tmp_path)) == []
    assert list(stage.rglob("direct_url.json")) == [], "it would name the folder that the wheel was built in"


def test_staged(tmp_path: Path) -> None:
    """`make install DESTDIR=…`, as packagers do it: everything is laid out for its final place, and nothing else."""
    stage, python = tmp_path / "stage", tmp_path / "python"
    python.write_text(HASTY)
    python.chmod(0o755)
    done = make("install", DESTDIR=stage, PREFIX="/opt/herod", PYTHON=python)
    assert done.returncode == 0, done.stderr
    for name in SHARED:
        assert mode(stage / "opt" / "herod" / name) == 0o644, name
    settings = stage / "etc" / "herod" / "herod.toml"
    assert mode(settings) == 0o644
    assert {path.name for path in stage.iterdir()} == {"etc", "opt"}
    # A package contains no secret: each machine has its own.
    assert files(stage / "etc") == {"herod/herod.toml"}
    unit = (stage / "opt" / "herod" / "lib" / "systemd" / "system" / "herod.service").read_text()
    assert "LoadCredential=hero_secret:/etc/herod/hero_secret" in unit
    done = make("uninstall", DESTDIR=stage, PREFIX="/opt/herod")
    assert done.returncode == 0, done.stderr
    assert files(stage) == {"etc/herod/herod.toml"}


def test_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An install serves from its location and is removed by `make uninstall`, except for state and secret."""
    prefix, etc = tmp_path / "prefix", tmp_path / "etc"
    (etc / "herod").mkdir(parents=True)
    (etc / "herod" / "herod.toml").write_text('registration = "closed"\n')
    place = {"PREFIX": prefix, "SYSCONFDIR": etc, "ACCOUNT": "no"}
    done = make("install", **place)
    assert done.returncode == 0, done.stderr
    assert "systemctl daemon-reload" in done.stdout
    units = prefix / "lib" / "systemd" / "system"
    assert f"systemctl link {units}/herod.socket\n  systemctl enable --now {units}/herod.service " in done.stdout
    check_layout(prefix, str(prefix))
    assert {path.name for path in prefix.iterdir()} == {"bin", "lib", "share"}
    assert (etc / "herod" / "herod.toml").read_text() == 'registration = "closed"\n', "settings are never overwritten"
    secret = etc / "herod" / "hero_secret"
    assert mode(secret) == 0o600
    assert len(secret.read_text().strip()) >= 43
    assert secret.read_text().strip() not in done.stdout + done.stderr

    if shutil.which("systemd-analyze"):
        unit = prefix / "lib" / "systemd" / "system" / "herod.service"
        command = ["systemd-analyze", "verify", "--man=no", str(unit)]
        verified = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (verified.returncode, verified.stderr) == (0, "")

    # From the root folder, with a trap where PYTHONPATH and the current folder would be searched.
    trap = tmp_path / "trap"
    (trap / "herod").mkdir(parents=True)
    (trap / "herod" / "__init__.py").write_text("raise SystemExit('this is the wrong herod')\n")
    env = environment(tmp_path / "home", PYTHONPATH=str(trap))
    python = prefix / "lib" / "herod" / "bin" / "python"
    packages = ("herod", "herod_cli", "herod_client", "herod_smoke")
    where = subprocess.run(
        [python, "-I", "-c", f"import {', '.join(packages)}\nfor p in {', '.join(packages)}: print(p.__file__)"],
        cwd="/", env=env, capture_output=True, text=True, timeout=60, check=True,
    ).stdout.split()  # fmt: skip
    assert [path.startswith(f"{prefix}/lib/herod/lib/") for path in where] == [True] * len(packages)
    program = str(prefix / "bin" / "herod")
    version = subprocess.run([program, "--version"], cwd=trap, env=env, capture_output=True, text=True, check=True)
    assert herod.__version__ in version.stdout

    monkeypatch.chdir("/")
    monkeypatch.setattr("support.real_daemon.COMMAND", (program,))  # for the client commands
    config = str(etc / "herod" / "herod.toml")
    with running(tmp_path / "run", command=(program,), PYTHONPATH=str(trap), HEROD_CONFIG=config) as daemon:
        assert daemon.curl("/health")[1] == {"status": "ok", "service": "herod", "version": herod.__version__}
        assert daemon.curl("/", tcp=True)[0] == 200
        loaded = set(re.findall(r"/\S+\.so\b", Path(f"/proc/{daemon.process.pid}/maps").read_text()))
        assert any(path.startswith(str(prefix)) for path in loaded)
        assert not any(
            path.startswith((str(CHECKOUT), sys.prefix + "/lib")) and "site-packages" in path for path in loaded
        )
        status = daemon.herod("status", "--output", "json")
        assert status.returncode == 0, status.stderr
        assert json.loads(status.stdout)["version"] == herod.__version__
        assert daemon.curl("/register", "--json", "{}")[0] in {400, 403}
        assert daemon.stop() == 0

    kept = secret.read_text()
    done = make("uninstall", **place)
    assert done.returncode == 0, done.stderr
    assert files(prefix) == set()
    assert {path.name for path in (prefix / "lib").iterdir()} == set()
    assert secret.read_text() == kept
    assert (tmp_path / "run" / "store" / "herod.db").exists()
    assert make("uninstall", **place).returncode == 0, "twice is no error"


# Moves nothing to where the environment belongs, but what was there before.
CLUMSY = """#!/bin/sh
[ "${1##*/} ${2##*/lib/}" = "herod herod" ] && exit 1
exec /bin/mv "$@"
"""


def test_a_failed_swap(tmp_path: Path) -> None:
    """After a failed swap the former environment is complete in its place."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in (("python", HASTY), ("mv", CLUMSY)):
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
    stage = tmp_path / "stage"
    place = {"DESTDIR": stage, "PREFIX": "/opt/herod", "PYTHON": tools / "python"}
    assert make("install", **place).returncode == 0
    library = stage / "opt" / "herod" / "lib"
    (library / "herod" / "mark").touch()
    done = make("install", **place, PATH=f"{tools}:{os.environ['PATH']}")
    assert done.returncode != 0
    assert (library / "herod" / "mark").exists()
    assert (library / "herod" / "bin" / "python").exists()
    assert [path.name for path in library.iterdir() if path.name.startswith(".")] == []
    assert make("install", **place).returncode == 0
    assert not (library / "herod" / "mark").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_an_account_is_for_root_to_make() -> None:
    """Without root and without the account, the error comes before anything is built."""
    script = (
        "getent() { return 2; }; export -f getent; exec setpriv --reuid 65533 --clear-groups tools/install.sh install"
    )
    with short_folder() as folder:
        folder.chmod(0o777)
        env = {"PREFIX": str(folder / "prefix"), "SYSCONFDIR": str(folder / "etc"), "PATH": os.environ["PATH"]}
        done = subprocess.run(
            ["bash", "-c", script], cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert "make install: only root can create user and group herod" in done.stderr
        assert files(folder) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
@pytest.mark.parametrize("target", ["install", "uninstall"])
@pytest.mark.parametrize("way", ["theirs", "theirs/own", "link", "open", "chain"])
def test_root_in_a_folder_of_another_user(tmp_path: Path, way: str, target: str) -> None:
    """A folder where another user could plant links is refused, because root would write or delete elsewhere."""
    roots = tmp_path / "roots"
    kept = roots / "lib" / "herod" / "kept"
    kept.parent.mkdir(parents=True)
    kept.touch()
    for name in ("theirs", "theirs/own", "open"):
        (tmp_path / name).mkdir()
    (tmp_path / "theirs" / "own" / "lib").symlink_to(roots / "lib")
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to("roots")
    (tmp_path / "chain").symlink_to("link")
    os.chown(tmp_path / "theirs", 4321, 4321)
    os.chown(tmp_path / "link", 4321, 4321, follow_symlinks=False)
    before = files(tmp_path)
    done = make(target, DESTDIR=tmp_path / way, PREFIX="/")
    assert done.returncode != 0
    culprit = {"theirs/own": "theirs", "chain": "link"}.get(way, way)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("make install: ")]
    assert line.startswith(f"make install: {tmp_path}/{culprit} ")
    assert ("chmod o-w" in line) == (way == "open")
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "place", ["bin", "lib/systemd/user", "lib/sysusers.d", "lib/tmpfiles.d", "share/doc", "etc/herod", "group"]
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_every_folder_that_is_written_to(tmp_path: Path, place: str) -> None:
    """Root refuses whichever of the folders another user owns, or a group may write to, before anything is built."""
    (tmp_path / place).mkdir(parents=True)
    if place == "group":
        os.chown(tmp_path, 0, 4321)
        tmp_path.chmod(0o775)
    else:
        os.chown(tmp_path / place, 4321, 4321)
    before = files(tmp_path)
    done = make("install", DESTDIR=tmp_path, PREFIX="/")
    culprit = tmp_path if place == "group" else tmp_path / place
    assert f"make install: {culprit} " in done.stderr
    assert done.returncode != 0
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"PREFIX": "relative"}, "absolute path"),
        ({"PREFIX": "/opt/a b"}, "absolute path"),
        ({"DESTDIR": "/proc/nowhere"}, "writable"),
        ({"PYTHON": "/bin/false"}, "3.11"),
    ],
)
def test_refusals(tmp_path: Path, variables: dict[str, str], word: str) -> None:
    """An impossible install is refused in one line, before anything is created."""
    done = make("install", **{"DESTDIR": str(tmp_path / "stage"), "PREFIX": "/opt/herod", **variables})
    assert done.returncode != 0
    assert [word in line for line in done.stderr.splitlines() if line.startswith("make install: ")] == [True]
    assert files(tmp_path) == set()
