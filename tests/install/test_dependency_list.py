"""The list of dependencies that `make build` writes (an SBOM in CycloneDX)."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def test_every_locked_package(tmp_path: Path) -> None:
    """It has each package that a daemon is installed with, in the locked version and with its hashes."""
    made = tmp_path / "herod.cdx.json"
    command = (Path(sys.executable).with_name("cyclonedx-py"), "requirements", "--output-reproducible")
    subprocess.run(
        [*command, "--pyproject", "pyproject.toml", "--output-file", made, "requirements/run.txt"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    listed: dict[str, Any] = json.loads(made.read_text())
    assert listed["metadata"]["component"]["name"] == "herod"
    locked = (ROOT / "requirements/run.txt").read_text()
    versions = set(re.findall(r"^([\w.-]+)==([^ ;\\]+)", locked, re.MULTILINE))
    assert {(one["name"], one["version"]) for one in listed["components"]} == versions
    hashes = set(re.findall(r"--hash=sha256:(\w{64})", locked))
    assert {one["content"] for one in _hashes(listed)} == hashes


def _hashes(listed: dict[str, Any]) -> list[dict[str, str]]:
    return [
        found
        for component in listed["components"]
        for reference in component["externalReferences"]
        for found in reference.get("hashes", ())
    ]
