"""How the name of an app is shown that nobody vouches for: so that it cannot pretend to be another, or a word of herod.

An app that registers itself calls itself what it likes. Its name is shown in quotes, as letters, digits and plain
punctuation alone: no ticks, shields and arrows that look like a page's own marks. Next to it stands what would mislead:
letters of several alphabets, which can look alike, words that claim to be checked, and herod's own name.
"""

import unicodedata
from typing import Final

from herod.identity.apps.oauth_apps import AppOrigin
from herod.pipeline.parameters.look_alike_letters import ALPHABETS, as_latin, has_look_alikes
from herod.pipeline.parameters.text_normalization import plain_letters

__all__ = ["name_warnings", "shown_name"]

MAX_SHOWN: Final = 64
# Unicode's categories of letters, marks, digits and spaces; of the rest only what names have.
_KEPT: Final = ("L", "M", "Nd", "Zs")
_PUNCTUATION: Final = frozenset("-_.,:'&+/()!")
_CLAIMS: Final = ("verif", "official", "trusted", "secure", "approved", "certified")
# Latin letters that no language writes names with.
_SMALL_CAPITAL: Final = "LATIN LETTER SMALL CAPITAL"
_OWN_NAME: Final = "herod"
# Agents put the name that their user gave the server behind their own: Claude Code (herod).
_SERVER_NAME: Final = f"({_OWN_NAME})"


def shown_name(name: str) -> str:
    """A name without what could be taken for a part of the page; never empty."""
    kept = "".join(
        letter for letter in name if unicodedata.category(letter).startswith(_KEPT) or letter in _PUNCTUATION
    )
    text = " ".join(kept.split())
    return (text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…") or "An app without a name"


def name_warnings(name: str, origin: AppOrigin) -> list[str]:
    """What a person should know about a name, if no admin gave it: sentences."""
    if origin is AppOrigin.REGISTERED:
        return []
    text = unicodedata.normalize("NFKC", shown_name(name)).casefold()
    plain = plain_letters(as_latin(text))
    found = []
    own_part = plain.removesuffix(_SERVER_NAME) or plain
    if _OWN_NAME in "".join(letter for letter in own_part if letter.isalnum()):
        found.append("This app is not part of herod, whatever its name says.")
    if any(claim in plain for claim in _CLAIMS):
        found.append("Herod has verified nothing about this app, whatever its name says.")
    letters = {unicodedata.name(letter, "?") for letter in text if letter.isalpha()}
    alphabets = {name.partition(" ")[0] for name in letters}
    has_small_capitals = any(name.startswith(_SMALL_CAPITAL) for name in letters)
    if len(alphabets & ALPHABETS) > 1 or has_look_alikes(text) or has_small_capitals:
        found.append("The name has letters that look like others: it may imitate another name.")
    return found
