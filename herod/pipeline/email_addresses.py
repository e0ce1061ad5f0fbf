"""Email addresses: one normal form for each, and accounts found by any spelling of theirs.

Two spellings of one address must never be two accounts, two counters or two locks. The normal form has the local part
in NFKC and lower case, and the domain in U-labels (RFC 5890): `bücher.example`, however it was written, and also for
`xn--bcher-kva.example`, which is what browsers make of it. Capitals, width and dots are mapped by UTS 46, without its
transitional part: `ß` and `ς` stay what they are, as RFC 5891 has it.

An account keeps the address that it was created with, so a store may hold addresses that would be refused or written
otherwise today. They are found as well, and an account whose address was typed exactly comes before all others.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import idna

from herod.pipeline.text_normalization import MAX_TYPED, has_invisible
from herod.records import Account
from herod.store.store_interface import Reader
from herod_client.core.errors import InvalidRequest, quoted

__all__ = ["MAX_EMAIL", "counted_email", "find_by_email", "has_email", "parse_email"]

MAX_EMAIL: Final = 254  # characters, with the domain in A-labels; RFC 5321 allows no longer path
MAX_LABEL: Final = 63  # octets of a part of a domain, as an A-label (RFC 1035, section 2.3.4)
ADDRESS: Final = re.compile(r"[^\s@<>\"(),:;\[\]\\]+@[^\s@<>\"(),:;\[\]\\]+\Z")
A_LABEL: Final = "xn--"
# RFC 1123, section 2.1, and the underscore, which hosts of local networks have.
HOST_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\Z")
# A dot between labels (RFC 3490, section 3.1); NFKC turns the halfwidth form into this one.
IDEOGRAPHIC_DOT: Final = "\u3002"
# The only invisible characters of a domain (RFC 5892, appendix A); IDNA says after which letters.
JOINERS: Final = {0x200C: None, 0x200D: None}


def parse_email(text: str) -> str:
    """An email address in normal form.

    Raises:
        InvalidRequest: it is not an address.
    """
    return _parse(text)[0]


def find_by_email(reader: Reader, text: str) -> Account | None:
    """The account with this address, in whatever spelling it was stored; None also for a text that is no address."""
    spellings = list(_spellings(text))
    found = {account.email: account for account in reader.find_any(Account, "email", spellings)} if spellings else {}
    return next((found[spelling] for spelling in spellings if spelling in found), None)


def has_email(account: Account, text: str) -> bool:
    """Whether an address is the account's, in whatever spelling."""
    return account.email is not None and account.email in _spellings(text)


def counted_email(reader: Reader, text: str) -> str:
    """The address under which sign-ins are counted: one for all spellings that find the same account, or would.

    Texts that never could be an address share one, so that strangers cannot add a counter for each.
    """
    account = find_by_email(reader, text)
    if account is not None:
        return account.email or account.id
    try:
        return parse_email(text)
    except InvalidRequest:
        return next(iter(_typed(text)), "")


def _parse(text: str) -> tuple[str, str]:
    """An address with its domain in U-labels, and in A-labels.

    Raises:
        InvalidRequest: it is not an address.
    """
    text = "" if len(text) > MAX_TYPED else text
    local, at, _ = _folded(text).rpartition("@")
    domain = unicodedata.normalize("NFKC", text).strip().rpartition("@")[2]  # UTS 46 knows its capitals better
    if not ADDRESS.match(f"{local}{at}{domain}") or has_invisible(local + domain.translate(JOINERS)):
        raise InvalidRequest("Invalid email address: write it as name@host.", reason="bad_email")
    labels = [_parse_label(label) for label in _split(domain)]
    email, in_ascii = (f"{local}@{'.'.join(label)}" for label in zip(*labels, strict=True))
    if len(in_ascii) > MAX_EMAIL:
        raise InvalidRequest(
            f"The email address has over {MAX_EMAIL} characters: give a shorter one.", reason="bad_email"
        )
    return email, in_ascii


def _split(domain: str) -> list[str]:
    """The labels of a domain.

    Raises:
        InvalidRequest: one is empty (RFC 5321, section 4.1.2).
    """
    labels = domain.replace(IDEOGRAPHIC_DOT, ".").split(".")
    if len(labels) > 1 and not labels[-1]:
        raise InvalidRequest("The email address ends with a dot: write it without.", reason="bad_email")
    if not all(labels):
        raise InvalidRequest(
            "Invalid email address: its domain begins with a dot or has two in a row. Write it as name@host.",
            reason="bad_email",
        )
    return labels


def _parse_label(text: str) -> tuple[str, str]:
    """A label of a domain as a U-label and as an A-label. Both are the same for one of ASCII letters.

    A U-label with characters that show nothing is no spelling for people, so its A-label takes its place.

    Raises:
        InvalidRequest: it is not a label (RFC 5891, section 4.2).
    """
    try:
        mapped = idna.uts46_remap(text, std3_rules=False)
        if len(mapped) > MAX_LABEL:  # an A-label is longer still
            raise _long_label()
        if mapped.isascii() and not mapped.startswith(A_LABEL):
            if not HOST_LABEL.match(mapped):
                raise _bad_label(text)
            return mapped, mapped
        u_label = idna.ulabel(mapped)
        a_label = idna.alabel(u_label).decode("ascii")
    except idna.IDNAError as error:
        raise (_long_label() if error.code == "label_too_long" else _bad_label(text)) from None
    return (a_label if has_invisible(u_label) else u_label), a_label


def _bad_label(text: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid email address: {quoted(text)} is not valid in a domain name. Check its spelling.", reason="bad_email"
    )


def _long_label() -> InvalidRequest:
    return InvalidRequest(
        f"Invalid email address: a part of its domain has over {MAX_LABEL} characters. Check its spelling.",
        reason="bad_email",
    )


def _spellings(text: str) -> Iterator[str]:
    """Every spelling under which an account with this address may be stored, each once, the typed one first."""
    spellings = _typed(text)
    with suppress(InvalidRequest):
        email, in_ascii = _parse(text)
        spellings += [email, in_ascii, f"{email}.", f"{in_ascii}."]  # a final dot was accepted in the past
    return iter(dict.fromkeys(spellings))


def _typed(text: str) -> list[str]:
    """The normal forms of the past, in which domains had no form of their own: with the dots of today, and without."""
    email = "" if len(text) > MAX_TYPED else _folded(text)
    local, at, domain = email.rpartition("@")
    forms = (f"{local}{at}{domain.replace(IDEOGRAPHIC_DOT, '.')}", email)
    return [form for form in forms if len(form) <= MAX_EMAIL and ADDRESS.match(form) and not has_invisible(form)]


def _folded(text: str) -> str:
    """NFKC, lower case, and again, until that changes nothing.

    One round is not enough: J with a caron has no composed form, but its lower case has one.
    """
    before = None
    while text != before:
        before, text = text, unicodedata.normalize("NFKC", text).strip().lower()
    return text
