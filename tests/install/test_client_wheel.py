"""The client library as installed by others: the built wheel alone, without the daemon and without trio."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.fake_daemon import Reply, fake_daemon

PROJECT = Path(__file__).parents[2] / "clients" / "python"
WITHOUT = "herod", "herod_cli", "trio", "httptools", "quart", "hypercorn", "apsw", "click"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, unpacked outside of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=PROJECT, capture_output=True, timeout=120, check=True)
    [built] = folder.glob("herod_client-*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def run(wheel: Path, code: str) -> str:
    """The output of a program that has the wheel and its dependencies, and no other package of this project."""
    before = f"import sys\nsys.path.insert(0, {str(wheel)!r})\nfor name in {WITHOUT}: sys.modules[name] = None\n"
    command = [sys.executable, "-I", "-c", before + code]
    # An empty environment: this is a copy, whose lines must not count for coverage.
    done = subprocess.run(command, cwd="/", env={}, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_it_stands_alone(wheel: Path) -> None:
    """Calls, token verification and the middleware work without the daemon's packages."""
    code = (
        "import herod_client, herod_client.asgi_middleware, herod_client.offline_token_verification\n"
        "print(herod_client.Client.__module__, herod_client.VerifiedToken.__module__, herod_client.__file__)"
    )
    client, verified, file = run(wheel, code).split()
    assert (client, verified) == ("herod_client.client", "herod_client.offline_token_verification")
    assert Path(file).is_relative_to(wheel)


def test_the_async_client_runs_on_asyncio_alone(wheel: Path, tmp_path: Path) -> None:
    """It needs neither trio nor httptools."""
    code = (
        "import asyncio, herod_client\n"
        f"print(asyncio.run(herod_client.AsyncClient('unix:{tmp_path}/s').get('/health')))"
    )
    with fake_daemon(tmp_path / "s") as daemon:
        daemon.routes["GET", "/health"] = Reply()
        assert run(wheel, code) == "{}"


def test_what_it_depends_on(wheel: Path) -> None:
    """The wheel depends on three packages, and the extra on those of the verifiers."""
    [metadata] = wheel.glob("*.dist-info/METADATA")
    needed = [line for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist:")]
    names = {line.split()[1].rstrip("=><0123456789.,") for line in needed if "extra ==" not in line}
    assert names == {"cryptography", "msgspec", "pyjwt"}


def test_it_is_typed(wheel: Path) -> None:
    """Type checkers of users see its types."""
    assert (wheel / "herod_client" / "py.typed").is_file()
