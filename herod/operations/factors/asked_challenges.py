"""Challenges of passkeys in the store: whether herod made one for this, and that it works once."""

import base64
from typing import Annotated, Final

import msgspec

from herod.credentials.factors.challenges import (
    ChallengeFor,
    challenge_end,
    challenge_id,
    is_challenge,
    new_challenge,
)
from herod.credentials.factors.passkeys import MAX_PART_BYTES, RelyingParty
from herod.identity.config import Config
from herod.identity.people.relying_party import relying_party, why_no_passkeys
from herod.pipeline.operation_definition import Context
from herod.pipeline.parameters.parameter_types import AS_IT_IS
from herod.records import UsedChallenge
from herod.store.store_interface import Writer
from herod_client.core.access_tokens import CLOCK_SKEW
from herod_client.core.errors import BadCredentials, Conflict

__all__ = ["BrowserPart", "ask", "party_of", "shown", "use_challenge"]

BrowserPart = Annotated[
    str,
    msgspec.Meta(description="in base64url", extra_json_schema={"maxLength": MAX_PART_BYTES * 4 // 3 + 2}),
    AS_IT_IS,
]
STALE: Final = "This took longer than five minutes, or was answered already: try again."


def party_of(config: Config) -> RelyingParty:
    """Whom passkeys are for.

    Raises:
        Conflict: there can be none.
    """
    party = relying_party(config)
    if party is None:
        raise Conflict(why_no_passkeys(config) or "", reason="passkeys_off")
    return party


def ask(context: Context, purpose: ChallengeFor, *bound: str) -> bytes:
    """A challenge for this store, and what else it is bound to."""
    runtime = context.runtime
    return new_challenge(runtime.keyring, purpose, runtime.store_generation, *bound, now=context.now)


def use_challenge(tx: Writer, context: Context, challenge: bytes, purpose: ChallengeFor, *bound: str) -> None:
    """Use a challenge up.

    Raises:
        BadCredentials: herod did not make it for this, it is older than five minutes, or it was used.
    """
    runtime, now = context.runtime, context.now
    bound = (runtime.store_generation, *bound)
    if not is_challenge(runtime.keyring, challenge, purpose, *bound, now=now, skew=CLOCK_SKEW):
        raise BadCredentials(STALE, reason="stale_challenge")
    id_ = challenge_id(runtime.keyring, challenge)
    if tx.get(UsedChallenge, id_) is not None:
        raise BadCredentials(STALE, reason="used_challenge")
    tx.put(UsedChallenge(id=id_, created_at=now, expires_at=challenge_end(challenge)))


def shown(data: bytes) -> str:
    """Bytes as browsers take them: base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
