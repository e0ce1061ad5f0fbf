"""The daemon and its client library are released together, and the daemon requires its own version."""

import tomllib
from pathlib import Path

import herod
import herod_client


def test_one_version() -> None:
    """Both packages have the same version, and herod depends on exactly that version of its client."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert herod.__version__ == herod_client.__version__
    assert f"herod-client=={herod.__version__}" in project["dependencies"]
