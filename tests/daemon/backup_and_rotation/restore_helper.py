"""Restores that are to be killed: each line of its input is a JSON list of store, backup and number of steps.

It forks a process that restores and exits, as if killed, before that many files were opened, linked, renamed or
removed, and prints `killed` or `ended`.
"""

import json
import os
import sys
from pathlib import Path

from herod.maintenance.restore import restore
from support.stopped_store import settings

STEPS = frozenset({"open", "os.link", "os.rename", "os.remove", "os.truncate"})


def restore_until(store: Path, file: Path, steps: int) -> None:
    """Restore as `herod restore` does, for so many steps."""
    left = steps

    def count(event: str, _arguments: object) -> None:
        nonlocal left
        if event in STEPS:
            left -= 1
            if left < 0:
                os._exit(9)

    sys.addaudithook(count)
    restore(settings(store), file)


def main() -> None:
    """Handle lines until the input ends."""
    for line in sys.stdin:
        store, file, steps = json.loads(line)
        pid = os.fork()
        if pid == 0:
            restore_until(Path(store), Path(file), steps)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        os.write(1, {0: b"ended\n", 9: b"killed\n"}.get(os.waitstatus_to_exitcode(status), b"failed\n"))


if __name__ == "__main__":
    main()
