"""The daemon and its client library are released together, and the daemon asks for the very version it stands on."""

import tomllib
from pathlib import Path

import herod
import herod_client


def test_one_version() -> None:
    """Both packages carry one version, and herod depends on exactly that one of its client."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert herod.__version__ == herod_client.__version__
    assert f"herod-client=={herod.__version__}" in project["dependencies"]
