"""The socket of `make run` without XDG_RUNTIME_DIR is found by the command, the smoke checks and the clients."""

import subprocess
import sys
from pathlib import Path

from herod_client import find_address
from support.real_daemon import herod, running


def test_found(tmp_path: Path) -> None:
    """It is below the folder of the store, and so is its cookie, which makes the daemon's user local admin."""
    socket = tmp_path / "state" / "herod" / "run" / "herod" / "herod.sock"
    tmp_path.chmod(0o755)
    socket.parent.mkdir(parents=True)
    with running(tmp_path, "--bind", f"unix:{socket}") as daemon:
        env = {name: value for name, value in daemon.env.items() if name not in {"HEROD_URL", "XDG_RUNTIME_DIR"}}
        assert str(find_address(env)) == f"unix:{socket}"
        assert herod("whoami", env=env).stdout.split()[-1] == "*"
        assert f"{socket}" in herod("status", env=env).stdout
        assert f"You can read {socket}.cookie" in herod("doctor", "--output", "json", env=env).stdout
        smoke = [sys.executable, "-m", "herod_smoke", "--only", "health"]
        done = subprocess.run(smoke, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout.endswith("1 passed, 0 failed\n")
        home = {**env, "HOME": str(tmp_path), "XDG_STATE_HOME": "relative"}
        assert herod("status", env=home).returncode == 3


def test_make_run_says_nothing_of_it() -> None:
    """Nobody needs to export the folder any more."""
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    assert 'XDG_RUNTIME_DIR="$$folder/run"' in makefile
    assert "export XDG_RUNTIME_DIR=$$XDG_RUNTIME_DIR" not in makefile
