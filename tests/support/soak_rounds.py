"""How many rounds the soak tests run, and from which seed. CONTRIBUTING.md lists the names.

`make soak KILLS=500 SEED=7` sets the variables; without them the suite runs its short version. All randomness must
come from the seed, so that a failure can be reproduced.
"""

import os
import random
from typing import Final

__all__ = ["SHORT", "chance", "count", "describe", "seed"]

PREFIX: Final = "HEROD_"
# Name without the prefix → default of the suite.
SHORT: Final = {
    "KILL_ROUNDS": 50,
    "SIGNING_KILLS": 20,
    "IMPORT_KILLS": 6,
    "BACKUP_ROUNDS": 20,
    "FLIPS": 200,
    "SWAPS": 300,
    "IMAGES": 60,
    "EIO_ROUNDS": 2,
    "STALLS": 100,
    "UNREAD": 100,
    "SIEGE": 1,
    "BOUNDS": 300,
    "AUDIT": 1000,
    "FUZZ": 400,
    "FUZZ_BYTES": 500,
    "LOGINS": 40,
    "CANARIES": 500,
    "ESCALATIONS": 400,
    "RACES": 60,
    "HEADS": 200,
    "SHARED": 200,
    "REGISTRATIONS": 300,
    "RESTART_SECONDS": 3,
    "SCHEMA": 0,
}


def count(name: str) -> int:
    """The number of rounds of `name`."""
    return int(os.environ.get(PREFIX + name, SHORT[name]))


def seed() -> int:
    """The seed of all randomness."""
    return int(os.environ.get(PREFIX + "SEED", "1"))


def chance(*words: object) -> random.Random:
    """A random generator for one subject, independent of what other subjects draw."""
    return random.Random("/".join(map(str, (seed(), *words))))  # noqa: S311 - reproducible rounds


def describe() -> str:
    """One line with which a run can be repeated."""
    return " ".join(f"{PREFIX}{name}={count(name)}" for name in SHORT) + f" {PREFIX}SEED={seed()}"
