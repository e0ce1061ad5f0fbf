"""Families of refresh tokens, as far as whoever looks at one token must know them: which one it is of, and its end."""

from typing import Final

from herod.credentials.apps.refresh_tokens import is_derived, parse_refresh_token
from herod.identity.runtime_state import Runtime
from herod.operations.tokens.revocation_records import revoke_family
from herod.pipeline.operation_definition import Context
from herod.records import Delegation, Revocation, TokenFamily
from herod.store.store_interface import Reader, Writer
from herod_client.core.access_tokens import CLOCK_SKEW
from herod_client.core.errors import BadCredentials, InvalidGrant

__all__ = ["ROTATION_GRACE_SECONDS", "end_family", "family_mark", "find_family", "is_current", "is_in_grace"]

# How long a refresh token is good beside its successor.
ROTATION_GRACE_SECONDS: Final = 60
BAD_TOKEN: Final = "This refresh token is not valid any more: connect again."  # noqa: S105 - a message


def find_family(reader: Reader, runtime: Runtime, text: str) -> tuple[TokenFamily, int]:
    """The family of a refresh token that herod made, and the token's number in it, whether it is used up or not.

    Raises:
        InvalidGrant: herod did not make it, or its family has ended.
    """
    try:
        token = parse_refresh_token(text)
    except BadCredentials as error:
        raise InvalidGrant(error.message, reason=error.reason) from None
    family = reader.get(TokenFamily, token.family)
    if family is None or not is_derived(runtime.keyring, token, epoch=family.epoch):
        raise InvalidGrant(BAD_TOKEN, reason="unknown_refresh_token")
    return family, token.number


def is_current(family: TokenFamily, number: int, now: int) -> bool:
    """Whether a token of a family is good: the newest one, and for a while the one before it."""
    return number == family.number or (number == family.number - 1 and is_in_grace(family, now))


def is_in_grace(family: TokenFamily, now: int) -> bool:
    """Whether the last rotation is so recent that both tokens count.

    One in the future, from before the clock was set back, would count for as long as that.
    """
    return family.number > 0 and family.rotated_at - CLOCK_SKEW <= now < family.rotated_at + ROTATION_GRACE_SECONDS


def end_family(tx: Writer, context: Context, delegation: Delegation | None, family_id: str) -> bool:
    """End a family: its refresh tokens at once, its access tokens here and at every verifier.

    Args:
        delegation: None if it has ended, and all of its tokens with it.

    Returns:
        Whether that changed anything.
    """
    had_tokens = tx.delete(TokenFamily, family_id)
    if delegation is None or tx.get(Revocation, f"{delegation.account}/{family_id}") is not None:
        return had_tokens
    revoke_family(tx, context, delegation, family_id)
    return True


def family_mark(family: TokenFamily) -> str:
    """Under which a family is revoked, as a token is under its subject and id."""
    return f"{family.account}/{family.id}"
