"""Email addresses: one normal form for each, and accounts found by any spelling of theirs.

Two spellings of one address must never be two accounts, two counters or two locks. The normal form has the local part
in NFKC and lower case, and the domain in Unicode, however it was written (`herod/domain_names.py`).

An account keeps the address that it was created with, so a store may hold addresses that would be refused or written
otherwise today. They are found as well, and an account whose address was typed exactly comes before all others.
"""

import re
import unicodedata
from typing import Final, NamedTuple

from herod.domain_names import IDEOGRAPHIC_DOT, DomainError, Label, parse_labels
from herod.pipeline.parameters.text_normalization import MAX_TYPED, has_invisible
from herod.records import Account
from herod.store.store_interface import Reader
from herod_client.core.errors import InvalidRequest

__all__ = ["MAX_EMAIL", "counted_email", "find_by_email", "has_email", "parse_email", "stored_email"]

MAX_EMAIL: Final = 254  # characters, with the domain in A-labels; RFC 5321 allows no longer path
ADDRESS: Final = re.compile(r"[^\s@<>\"(),:;\[\]\\]+@[^\s@<>\"(),:;\[\]\\]+\Z")
# The only invisible characters of a domain (RFC 5892, appendix A); IDNA says after which letters.
JOINERS: Final = {0x200C: None, 0x200D: None}


def parse_email(text: str) -> str:
    """An email address in normal form.

    Raises:
        InvalidRequest: it is not an address.
    """
    return _parse(text)[0]


def find_by_email(reader: Reader, text: str) -> Account | None:
    """The account with this address, in whatever spelling it was stored; None also if the text is not an address."""
    return _find(reader, _spellings(text))


def has_email(account: Account, text: str) -> bool:
    """Whether an address is the account's, in whatever spelling."""
    return account.email is not None and account.email in _spellings(text).stored


def counted_email(reader: Reader, text: str) -> str:
    """The address under which sign-ins are counted: one for all spellings that find the same account, or would.

    Texts that never could be an address share one, so that strangers cannot add a counter for each.
    """
    spellings = _spellings(text)
    account = _find(reader, spellings)
    return spellings.normal if account is None else account.email or spellings.normal


def stored_email(text: str) -> str | None:
    """The form in which earlier versions stored an address, which may be refused today; None for what never was one."""
    return next(reversed(_typed(text)), None)


class _Spellings(NamedTuple):
    """The spellings of an address.

    Attributes:
        normal: the normal form; for what is no longer a valid address, the former normal form; or empty.
        stored: those under which an account may be stored, the typed one first.
    """

    normal: str
    stored: list[str]


def _find(reader: Reader, spellings: _Spellings) -> Account | None:
    if not spellings.stored:
        return None
    found = {account.email: account for account in reader.find_any(Account, "email", spellings.stored)}
    return next((found[spelling] for spelling in spellings.stored if spelling in found), None)


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
    try:
        labels = parse_labels(domain)
    except DomainError as error:
        raise InvalidRequest(f"The domain of the email address {error}.", reason="bad_email") from None
    email = f"{local}@{'.'.join(_for_people(label) for label in labels)}"
    in_ascii = f"{local}@{'.'.join(label.ascii for label in labels)}"
    if len(in_ascii) > MAX_EMAIL:
        raise InvalidRequest(
            f"The email address has over {MAX_EMAIL} characters: give a shorter one.", reason="bad_email"
        )
    return email, in_ascii


def _for_people(label: Label) -> str:
    """The Unicode form, unless it contains invisible characters, which people cannot type or compare."""
    return label.ascii if has_invisible(label.unicode) else label.unicode


def _spellings(text: str) -> _Spellings:
    typed = _typed(text)
    try:
        email, in_ascii = _parse(text)
    except InvalidRequest:
        return _Spellings(next(iter(typed), ""), typed)
    # A final dot was accepted in the past.
    stored = dict.fromkeys([*typed, email, in_ascii, f"{email}.", f"{in_ascii}."])
    return _Spellings(email, list(stored))


def _typed(text: str) -> list[str]:
    """The former normal forms, in which domains were not normalized: with today's dots, and without."""
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
