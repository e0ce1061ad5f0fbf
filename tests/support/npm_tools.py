"""Tools from npm, run as their documentation says, from `tests/npm`."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

__all__ = ["NPM", "needs_npm", "npm_tool"]

NPM: Final = Path(__file__).parents[1] / "npm"
BIN: Final = NPM / "node_modules" / ".bin"

needs_npm: Final = pytest.mark.skipif(
    shutil.which("node") is None or not BIN.is_dir(),
    reason="the npm packages are missing: apt install npm, then `make test` fetches them",
)


def npm_tool(
    name: str, *arguments: str | Path, folder: Path, is_offline: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a tool, or `node`.

    Args:
        name: of a command that a package installs.
        folder: the working directory.
        is_offline: no connection can be opened, not even to this machine.
    """
    command = [name if name == "node" else str(BIN / name), *(str(argument) for argument in arguments)]
    preloaded = {"NODE_OPTIONS": f"--require {NPM / 'offline.cjs'}"} if is_offline else {}
    quiet = {"NO_COLOR": "1", "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **quiet, "NO_PROXY": "*", **preloaded},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
