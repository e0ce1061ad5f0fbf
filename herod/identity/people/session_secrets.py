"""The parts of a browser session's secret: the cookie's half, the ticket, and the proof that resumes it in a new tab.

    half     22 random characters, in the cookie, which every port of this host gets from the browser
    ticket   21 characters, in our pages' addresses and forms
    proof    43 characters, in the storage of our origin, which no other port can read

Ticket and proof are MACs of the half, so nothing more is stored. Half and ticket together are the session. Half and
proof only lead a browser's window to it (`dashboard/csrf.py` says why the proof is not the ticket): of the half, of
ticket or of proof alone nobody can tell another part. Must never be compared otherwise than in constant time.
"""

from hmac import compare_digest
from typing import Final

from herod.credentials.keyring import Keyring, Purpose
from herod_client.core.key_format import base62, new_opaque

__all__ = ["COOKIE_CHARACTERS", "new_session_secret", "resume_proof", "resumed_secret"]

# 22 of 43 characters: 131 bits in the cookie, 125 in the pages' addresses (`dashboard/csrf.py` says why).
COOKIE_CHARACTERS: Final = 22
TICKET_CHARACTERS: Final = 21
PROOF_CHARACTERS: Final = 43


def new_session_secret(keyring: Keyring) -> str:
    """The secret of a new session: a random half, and its ticket."""
    half = new_opaque()[:COOKIE_CHARACTERS]
    return half + _ticket(keyring, half)


def resume_proof(keyring: Keyring, half: str) -> str:
    """What a browser keeps in our origin's storage to resume the session of its cookie's half."""
    return _part(keyring, b"resume", half, PROOF_CHARACTERS)


def resumed_secret(keyring: Keyring, half: str, proof: str) -> str | None:
    """The secret of the session whose half and proof these are; None if the proof is another one's.

    Whether there is such a session, and whether it is still good, is for `identify`.
    """
    expected = resume_proof(keyring, half)
    if not compare_digest(expected.encode(), proof.encode("utf-8", "surrogatepass")):
        return None
    return half + _ticket(keyring, half)


def _ticket(keyring: Keyring, half: str) -> str:
    return _part(keyring, b"ticket", half, TICKET_CHARACTERS)


def _part(keyring: Keyring, label: bytes, half: str, characters: int) -> str:
    mac = keyring.mac(Purpose.SESSIONS, b"session part", label, half.encode("utf-8", "surrogatepass"))
    return base62(int.from_bytes(mac, "big") % 62**characters, characters)
