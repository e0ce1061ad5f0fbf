"""Recovery codes: ten random texts, each of which takes the place of a second factor once.

A code has 80 random bits, in letters that nobody confuses (Crockford's base 32), in groups of four. Only HMACs are
kept.
"""

import secrets
from typing import Final

__all__ = ["RECOVERY_CODES", "new_recovery_code", "normal_recovery_code"]

RECOVERY_CODES: Final = 10
CODE_CHARACTERS: Final = 16
GROUP: Final = 4
ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
# What people read for another letter.
_READ_AS: Final = str.maketrans({"o": "0", "i": "1", "l": "1", "-": None, " ": None})


def new_recovery_code() -> str:
    """A random code, as it is shown."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))
    return "-".join(code[at : at + GROUP] for at in range(0, CODE_CHARACTERS, GROUP))


def normal_recovery_code(text: str) -> str | None:
    """A code as `new_recovery_code` shows it, from however it was typed; None if it cannot be one."""
    code = text.lower().translate(_READ_AS)
    if len(code) != CODE_CHARACTERS or not set(code) <= set(ALPHABET):
        return None
    return "-".join(code[at : at + GROUP] for at in range(0, CODE_CHARACTERS, GROUP))
