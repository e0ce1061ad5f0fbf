"""Offline commands that are killed partway, for tests that inspect what is left."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


class Killer:
    """Starts commands that change a store and kills them."""

    def __init__(self, asking: IO[str], answers: IO[str]) -> None:
        self._asking = asking
        self._answers = answers

    def run(self, command: str, arguments: list[Any], seconds: float) -> str:
        """Run one change; `killed`, or `ended` if it finished first."""
        self._asking.write(json.dumps([command, arguments, seconds]) + "\n")
        self._asking.flush()
        ended = self._answers.readline().strip()
        assert ended in {"killed", "ended"}
        return ended


@contextmanager
def killer() -> Iterator[Killer]:
    """Start the helper process."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    command = [sys.executable, str(Path(__file__).parents[1] / "daemon" / "backup_and_rotation" / "rotate_helper.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Killer(process.stdin, process.stdout)
