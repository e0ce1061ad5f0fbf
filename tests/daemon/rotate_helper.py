"""Runs changes of the secret that are to be killed.

Each line of its input is a JSON list: path, old secret, new secret, whether it is compromised, seconds. It forks a
process that changes the secret, kills it after so many seconds unless it has ended, and says `killed` or `ended`.
Forking saves the second that importing takes.
"""

import json
import os
import select
import signal
import sys
from pathlib import Path

from offline_store import settings

from herod.offline import rotate_secret


def main() -> None:
    """Serve lines until the input ends."""
    for line in sys.stdin:
        path, old, new, is_compromised, seconds = json.loads(line)
        pid = os.fork()
        if pid == 0:
            rotate_secret(settings(Path(path), old), new, is_compromised=is_compromised)
            os._exit(0)
        ended = os.pidfd_open(pid)
        select.select([ended], [], [], seconds)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(ended)
        os.write(1, b"killed\n" if os.WIFSIGNALED(status) else b"ended\n" if status == 0 else b"failed\n")


if __name__ == "__main__":
    main()
