"""A daemon whose clock is set: the seconds in the file of HEROD_TEST_SKEW are added to the time.

Run as a program, with herod's arguments. The daemon, its log and its answers all use that time. Expired records are
deleted every tenth of a second.
"""

import os
import sys
import time
from pathlib import Path

_FILE = Path(os.environ["HEROD_TEST_SKEW"])
_time = time.time


def _skewed() -> float:
    return _time() + int(_FILE.read_text())


if __name__ == "__main__":
    import herod.lasting_work

    time.time = _skewed
    vars(herod.lasting_work)["PURGE_SECONDS"] = 0.1
    from herod_cli.main import main

    sys.exit(main())
