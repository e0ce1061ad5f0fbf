"""Domain names: each has one form in Unicode and one in ASCII, whatever spelling is given (RFC 5890, RFC 5891).

`bücher.example` is also `BÜCHER.example` and `xn--bcher-kva.example`, which is what browsers send. Capitals, width and
dots are mapped by UTS 46, without its transitional part: `ß` and `ς` stay what they are.
"""

import re
import unicodedata
from typing import Final, NamedTuple

import idna

from herod_client.core.errors import quoted

__all__ = ["IDEOGRAPHIC_DOT", "DomainError", "Label", "ascii_domain", "parse_labels"]

MAX_DOMAIN: Final = 253  # octets, with A-labels (RFC 1035, section 3.1)
MAX_LABEL: Final = 63  # octets of a part of a domain, as an A-label (RFC 1035, section 2.3.4)
A_LABEL: Final = "xn--"
SHORTEST: Final = len("xn--tda.")  # of a label that is not ASCII; checking one takes IDNA a tenth of a millisecond
# RFC 1123, section 2.1, and the underscore, which hosts of local networks have.
HOST_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\Z")
# A dot between labels (RFC 3490, section 3.1); NFKC turns the halfwidth form into this one.
IDEOGRAPHIC_DOT: Final = "\u3002"


class DomainError(ValueError):
    """A text is not a domain name. The message is the rest of a sentence that begins with the domain."""


class Label(NamedTuple):
    """A part of a domain name, between dots; both forms are the same for one of ASCII letters."""

    unicode: str
    ascii: str


def parse_labels(text: str) -> list[Label]:
    """The parts of a domain name.

    Raises:
        DomainError: it is not one.
    """
    labels = unicodedata.normalize("NFKC", text).replace(IDEOGRAPHIC_DOT, ".").split(".")
    if len(labels) > 1 and not labels[-1]:
        raise DomainError("ends with a dot: write it without")
    if not all(labels):
        raise DomainError("begins with a dot, or has two in a row: write one between its parts")
    if sum(len(label) + 1 if label.isascii() else SHORTEST for label in labels) > MAX_DOMAIN + 1:
        raise DomainError(f"has over {MAX_DOMAIN} characters: check its spelling")
    return [_parse_label(label) for label in labels]


def ascii_domain(text: str) -> str:
    """A domain name in A-labels.

    Raises:
        DomainError: it is not one.
    """
    return ".".join(label.ascii for label in parse_labels(text))


def _parse_label(text: str) -> Label:
    try:
        mapped = idna.uts46_remap(text, std3_rules=False)
        if len(mapped) > MAX_LABEL:  # an A-label is longer still
            raise _too_long()
        if mapped.isascii() and not mapped.startswith(A_LABEL):
            if not HOST_LABEL.match(mapped):
                raise _invalid(text)
            return Label(mapped, mapped)
        if mapped.startswith(A_LABEL):
            return Label(idna.ulabel(mapped), mapped)
        return Label(mapped, idna.alabel(mapped).decode("ascii"))
    except idna.IDNAError as error:
        raise (_too_long() if error.code == "label_too_long" else _invalid(text)) from None


def _invalid(text: str) -> DomainError:
    return DomainError(f"has the part {quoted(text)}, which is not valid (RFC 5891): check its spelling")


def _too_long() -> DomainError:
    return DomainError(f"has a part of over {MAX_LABEL} characters: check its spelling")
