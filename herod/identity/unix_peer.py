"""`Authorization: Peer`: identifies the process at the other end of a Unix socket, and finds the rules that admit it.

It must be requested and is never implied: a relayed request has no peer, and the local admin must also read the cookie.
"""

import hmac

from herod.identity.credential_types import PeerClaim
from herod.identity.effective_principals import local_admin, rule_principal
from herod.identity.runtime_state import Runtime
from herod.records import PeerRule
from herod.scopes.principal import NOBODY_UID, Principal, Source
from herod.store.store_interface import Reader
from herod_client.core.errors import BadCredentials, Unauthenticated

__all__ = ["peer_principal"]


def peer_principal(reader: Reader, runtime: Runtime, claim: PeerClaim, source: Source) -> Principal:
    """The principal of a request that asks to be identified by its socket peer.

    Raises:
        BadCredentials: the socket has no peer, the request was relayed, or no rule admits the peer.
    """
    peer = source.peer
    if peer is None:
        raise _no_peer("herod can identify peers only on a Unix socket bound without peer=off", "no_peer")
    if claim.is_relayed:
        raise _no_peer("a request from a relay or a browser must bring its own credential", "relayed")
    if peer.uid == NOBODY_UID:
        raise _no_peer("this process's user does not exist outside its container", "nobody")
    if claim.may_be_admin and _is_local_admin(runtime, claim, source, peer.uid):
        return local_admin(runtime)
    if source.may_relay:
        raise _no_peer("a trusted proxy's uid does not identify its clients", "relayed")
    rules = _rules_of(reader, runtime, f"uid:{peer.uid}")
    if not rules:
        gids = sorted({peer.gid, *peer.groups} - {NOBODY_UID})
        rules = _rules_of(reader, runtime, *(f"gid:{gid}" for gid in gids))
        rules.sort(key=lambda rule: int(rule.subject.removeprefix("gid:")))
    if not rules:
        raise BadCredentials(
            f"No rule admits uid {peer.uid} on this socket.",
            reason="no_peer_rule",
            hint=f"herod peer allow --uid {peer.uid} --scope read",
        )
    return rule_principal(runtime, rules)


def _rules_of(reader: Reader, runtime: Runtime, *subjects: str) -> list[PeerRule]:
    """The rules of uids or gids, without those that were removed in this process."""
    return [rule for rule in reader.find_any(PeerRule, "peer", subjects) if rule.id not in runtime.switched_off]


def _is_local_admin(runtime: Runtime, claim: PeerClaim, source: Source, uid: int) -> bool:
    if claim.cookie is None or source.cookie is None or uid not in (0, runtime.config.daemon_uid):
        return False
    return hmac.compare_digest(claim.cookie.encode(), source.cookie.encode())


def _no_peer(why: str, reason: str) -> Unauthenticated:
    return BadCredentials(f"Authorization: Peer was refused: {why}.", reason=reason)
