"""Runs changes of the secret and of the signing key that are to be killed.

Each line of its input is a JSON list: `secret`, `signing` or `import`, its arguments, seconds. It forks a process that
makes the change, kills it after so many seconds unless it has ended, and prints `killed` or `ended`. Forking saves a
second of imports.
"""

import json
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from herod.maintenance.import_accounts import import_accounts
from herod.maintenance.rotate_hero_secret import rotate_secret
from herod.maintenance.rotate_signing_key import rotate_signing
from support.stopped_store import settings


def change_secret(path: str, old: str, new: str, is_compromised: bool) -> None:
    """Change the secret as `herod secret rotate` does."""
    rotate_secret(settings(Path(path), old), new, is_compromised=is_compromised)


def change_signing(path: str, secret: str, now: int) -> None:
    """Change the signing key as `herod secret rotate-signing` does."""
    rotate_signing(settings(Path(path), secret), now=now)


def take_in(path: str, secret: str, file: str) -> None:
    """Import as `herod import` does."""
    import_accounts(settings(Path(path), secret), Path(file))


COMMANDS: dict[str, Callable[..., None]] = {"secret": change_secret, "signing": change_signing, "import": take_in}


def main() -> None:
    """Handle lines until the input ends."""
    for line in sys.stdin:
        command, arguments, seconds = json.loads(line)
        pid = os.fork()
        if pid == 0:
            COMMANDS[command](*arguments)
            os._exit(0)
        ended = os.pidfd_open(pid)
        select.select([ended], [], [], seconds)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(ended)
        os.write(1, b"killed\n" if os.WIFSIGNALED(status) else b"ended\n" if status == 0 else b"failed\n")


if __name__ == "__main__":
    main()
