"""Names of apps: what a person reads before they let an app in, so a name must not pretend to be another's.

Anybody may call an app what they like, and the consent page says where a name comes from. What this refuses is what no
reader could notice: names that look like herod's own, and words made of letters that belong to different alphabets.
"""

import re
import unicodedata
from typing import Final

from herod.pipeline.parameters.look_alike_letters import ALPHABETS, alphabet_of, as_latin
from herod.pipeline.parameters.text_normalization import MAX_TYPED, check_reserved, parse_name
from herod_client.core.errors import InvalidRequest

__all__ = ["parse_app_name"]

WORDS: Final = re.compile(r"[^\W\d_]+")


def parse_app_name(text: str) -> str:
    """A name in normal form: NFKC, no surrounding or repeated space.

    Raises:
        InvalidRequest: it is empty, too long, or pretends to be something else.
    """
    name = parse_name(unicodedata.normalize("NFKC", text[: MAX_TYPED + 1]))
    for word in WORDS.findall(name):
        used = {alphabet_of(letter) for letter in word} & ALPHABETS
        if len(used) > 1:
            named = " and ".join(alphabet.capitalize() for alphabet in sorted(used))
            raise InvalidRequest(f"The name has a word with letters of several alphabets, {named}: use one.")
    check_reserved(name, look_alike=as_latin(name.casefold()))
    return name
