"""Who is asking, from where, and by what proof.

Every credential becomes the same thing: a `Principal` with a grant.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from herod_client.core.grants import NOTHING, Grant, Grants

__all__ = ["ANONYMOUS", "NOBODY_UID", "AuthMethod", "Peer", "Principal", "PrincipalKind", "Source", "part_of"]

# The kernel's overflow uid: what a process of a foreign user namespace looks like. Nobody in particular.
NOBODY_UID: Final = 65534


class AuthMethod(StrEnum):
    """What proved the identity; written to the audit log."""

    JWT = "jwt"
    USER_KEY = "user_key"
    SERVICE_KEY = "service_key"
    CLIENT_SECRET = "client_secret"  # noqa: S105 - a method's name
    PASSWORD = "password"  # noqa: S105 - a method's name
    SESSION = "session"
    LEGACY_SECRET = "legacy_secret"  # noqa: S105 - a method's name
    PEER = "peer"
    ANONYMOUS = "anonymous"


class PrincipalKind(StrEnum):
    """What a principal is, whatever it presented."""

    ACCOUNT = "account"
    SERVICE = "service"
    PEER = "peer"
    LOCAL_ADMIN = "local_admin"
    LEGACY = "legacy"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a Unix socket, as the kernel attests it at accept. Never its pid."""

    uid: int
    gid: int
    groups: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Source:
    """Where a connection comes from; made once, at accept.

    Attributes:
        peer: the process on a Unix socket; None over TCP, or where the socket was bound with `peer=off`.
        address: the IP address over TCP, `unix` otherwise.
        secure: whether TLS is below.
        cookie: what a local admin on this socket must present besides their uid; None where there is none.
    """

    peer: Peer | None = None
    address: str = "unix"
    secure: bool = False
    cookie: str | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """What the audit log and the guessing limits call it: `uid:1000` or an address."""
        return f"uid:{self.peer.uid}" if self.peer is not None else self.address


class Principal(msgspec.Struct, frozen=True):
    """Someone, with what they hold at this moment through this credential.

    Attributes:
        id: the `sub`: a client id, a service key's id, a peer rule's id, or a fixed name.
        grants: own ∩ the credential ∩ its owner, already intersected. Mostly one; several stand side by side.
        credential: id of what was presented (jti, key id, session id, rule id), for revocation and the audit.
        made_with: the method at the root: for a token or session, what it was made with; else the same as `method`.
        epoch: the account's epoch, or that of whatever else tokens of this principal die with.
        key_epoch: that of the API key which was presented: what is made with the key dies with it.
        issued_at: when the credential was made, in Unix seconds; None where nobody knows.
        expires_at: when the credential itself is over; the grant may end before.
        audience: the resource that the token was made for (RFC 8707), if for one.
        is_former: it was shown by the secret of before its last rotation, which works for a while.
        parts: where there are several grants, the principals with one each, in the same order, of which this is made
            up; a token or session is made by one of them. Empty otherwise.
    """

    id: str
    kind: PrincipalKind
    name: str
    method: AuthMethod
    grants: Grants
    credential: str
    made_with: AuthMethod
    epoch: int = 0
    key_epoch: int = 0
    issued_at: int | None = None
    expires_at: int | None = None
    audience: str | None = None
    is_former: bool = False
    parts: "tuple[Principal, ...]" = ()

    def is_live(self, now: int) -> bool:
        """Whether `now` lies within the window of one of the grants."""
        for grant in self.grants:  # noqa: SIM110 - a generator costs each use of a key twice this
            if grant.is_live(now):
                return True
        return False

    @property
    def widest(self) -> Grant:
        """The grant with the most scopes and, of equals, the most networks. To show or to pass on, not to decide by."""
        if not self.parts:
            return self.grants[0]
        return max(self.grants, key=lambda grant: (grant.mask.bit_count(), grant.reach))

    def farthest(self, mask: int) -> Grant | None:
        """Of the grants that hold all of `mask`, the one that reaches the most networks."""
        holding = [grant for grant in self.grants if not mask & ~grant.mask]
        return max(holding, key=lambda grant: grant.reach, default=None)


def part_of(principal: Principal, grant: Grant) -> Principal:
    """The principal with that one of its grants alone."""
    if not principal.parts:
        return principal
    return principal.parts[principal.grants.index(grant)]


ANONYMOUS: Final = Principal(
    id="anonymous",
    kind=PrincipalKind.ANONYMOUS,
    name="anonymous",
    method=AuthMethod.ANONYMOUS,
    grants=(NOTHING,),
    credential="",
    made_with=AuthMethod.ANONYMOUS,
)
