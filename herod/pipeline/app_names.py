"""Names of apps: what a person reads before they let an app in, so a name must not pretend to be another's.

Anybody may call an app what they like, and the consent page says where a name comes from. What this refuses is what no
reader could notice: names that look like herod's own, and words made of letters that belong to different alphabets.
"""

import re
import unicodedata
from typing import Final

from herod.pipeline.text_normalization import MAX_TYPED, check_reserved, parse_name
from herod_client.core.errors import InvalidRequest

__all__ = ["parse_app_name"]

# Alphabets with letters that look like Latin ones (UTS 39, section 4). Others are often mixed with Latin in one word.
ALPHABETS: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE", "GEORGIAN", "LISU"})
# Cyrillic, Greek and Armenian letters, and digits, that look like Latin letters.
LOOK_ALIKES: Final = str.maketrans(
    "\u0430\u0432\u0433\u0501\u0435\u04bb\u0456\u0458\u043a\u04cf\u043c\u043d\u043e\u0440\u0455\u0442\u0443\u0445"
    "\u03b1\u03b2\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7"
    "\u0570\u0585\u0578013|",
    "abrdehijklmhopstyxabenikvoptuxhonolel",
)
WORDS: Final = re.compile(r"[^\W\d_]+")


def parse_app_name(text: str) -> str:
    """A name in normal form: NFKC, no surrounding or repeated space.

    Raises:
        InvalidRequest: it is empty, too long, or pretends to be something else.
    """
    name = parse_name(unicodedata.normalize("NFKC", text[: MAX_TYPED + 1]))
    for word in WORDS.findall(name):
        used = {_alphabet(letter) for letter in word} & ALPHABETS
        if len(used) > 1:
            named = " and ".join(alphabet.capitalize() for alphabet in sorted(used))
            raise InvalidRequest(f"The name has a word with letters of several alphabets, {named}: use one.")
    check_reserved(name, look_alike=name.casefold().translate(LOOK_ALIKES))
    return name


def _alphabet(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
