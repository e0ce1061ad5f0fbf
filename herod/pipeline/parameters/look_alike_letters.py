"""Letters that look like Latin ones: the one table, for names that are refused and names that are warned of.

After Unicode's confusables (UTS 39), in case-folded form; only letters that a reader takes for the Latin one in text as
small as a page's. Pure: no names are judged here.
"""

import unicodedata
from typing import Final

__all__ = ["ALPHABETS", "alphabet_of", "as_latin", "has_look_alikes"]

# Alphabets with letters that look like Latin ones (UTS 39, section 4). Others are often mixed with Latin in one word.
ALPHABETS: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE", "GEORGIAN", "LISU"})

# а ь в с ԁ е һ н і ј к ӏ м п о р ԛ г ѕ т ԝ х у; α β ε ι κ η ο ρ τ υ ν ω χ γ; հ ո օ  # noqa: RUF003 - as they look
_LETTERS: Final = str.maketrans(
    "\u0430\u044c\u0432\u0441\u0501\u0435\u04bb\u043d\u0456\u0458\u043a\u04cf\u043c\u043f\u043e\u0440\u051b\u0433"
    "\u0455\u0442\u051d\u0445\u0443"
    "\u03b1\u03b2\u03b5\u03b9\u03ba\u03b7\u03bf\u03c1\u03c4\u03c5\u03bd\u03c9\u03c7\u03b3"
    "\u0570\u0578\u0585",
    "abbcdehhijklmnopqrstwxyabeiknoptuvwxyhno",
)
_SIGNS: Final = str.maketrans("0135|", "olesl")


def as_latin(text: str) -> str:
    """A case-folded text with its look-alikes, digits and bars included, replaced by what they look like."""
    return text.translate(_LETTERS).translate(_SIGNS)


def has_look_alikes(text: str) -> bool:
    """Whether a case-folded text has a letter of another alphabet that looks like a Latin one."""
    return text.translate(_LETTERS) != text


def alphabet_of(letter: str) -> str:
    """The alphabet that a letter is of, by the first word of its name in Unicode; empty for one without a name."""
    return unicodedata.name(letter, "").partition(" ")[0]
