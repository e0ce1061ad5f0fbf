"""The caller of a request: principal, source and authentication method.

Every credential becomes a `Principal` with grants.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from herod_client.core.grants import NOTHING, Grant, Grants

__all__ = [
    "ANONYMOUS",
    "NOBODY_UID",
    "OTHER_ORIGIN",
    "AuthMethod",
    "Peer",
    "Principal",
    "PrincipalKind",
    "Source",
    "part_of",
]

# The kernel's overflow uid, shown for processes of other user namespaces: it identifies no particular user.
NOBODY_UID: Final = 65534
# All foreign pages that herod does not tell apart, as a `Source.origin`.
OTHER_ORIGIN: Final = "other-origin"


class AuthMethod(StrEnum):
    """How the identity was proved; written to the audit log."""

    JWT = "jwt"
    USER_KEY = "user_key"
    SERVICE_KEY = "service_key"
    CLIENT_SECRET = "client_secret"  # noqa: S105 - a method's name
    PASSWORD = "password"  # noqa: S105 - a method's name
    PASSKEY = "passkey"
    SESSION = "session"
    LEGACY_SECRET = "legacy_secret"  # noqa: S105 - a method's name
    PEER = "peer"
    APP = "app"
    DELEGATION = "delegation"
    ANONYMOUS = "anonymous"


class PrincipalKind(StrEnum):
    """What a principal is, whichever credential it presented."""

    ACCOUNT = "account"
    SERVICE = "service"
    PEER = "peer"
    LOCAL_ADMIN = "local_admin"
    LEGACY = "legacy"
    APP = "app"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a Unix socket, as the kernel reports it at accept. Never its pid."""

    uid: int
    gid: int
    groups: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request comes from; created once a connection, at accept.

    Only `peer` and `cookie` prove anything. The other fields name a source for limits and logs.

    Attributes:
        peer: the process on a Unix socket; None over TCP, or where the socket was bound with `peer=off`.
        address: the IP address over TCP, `unix` otherwise.
        secure: whether the connection uses TLS.
        cookie: the cookie that a local admin on this socket must present besides the uid; None without a local admin.
        tcp_uid: over TCP, the owner of the client's socket, if it is on this machine and the kernel tells. A hint.
        may_relay: many clients may be behind this peer or `tcp_uid`: a trusted proxy, or over TCP root or nobody.
        client: the address of a trusted proxy's client, of this request.
        is_direct: the request names a loopback host or came by the Unix socket, and nothing in it says that a relay
            passed it on. Set only for operations that ask for it (`only_direct`).
        origin: the foreign web page that made a browser send this request; empty if there is none.
    """

    peer: Peer | None = None
    address: str = "unix"
    secure: bool = False
    cookie: str | None = field(default=None, repr=False)
    tcp_uid: int | None = None
    may_relay: bool = False
    client: str | None = None
    origin: str = ""
    is_direct: bool = False

    @property
    def user(self) -> int | None:
        """The local user's uid; None if there is none, or if it may act for many others. Over TCP only a hint."""
        if self.client is not None or self.may_relay:
            return None
        return self.tcp_uid if self.peer is None else self.peer.uid

    @property
    def label(self) -> str:
        """Its name in the logs: `uid:1000`, an address, or `127.0.0.1 (uid 1000)` for a local user over TCP.

        A client that a local user names, as any can if a loopback address is trusted, is `192.0.2.7 (by uid 1000)`.
        """
        if self.client is not None:
            return self.client if self.tcp_uid is None else f"{self.client} (by uid {self.tcp_uid})"
        if self.peer is not None:
            return f"uid:{self.peer.uid}"
        return self.address if self.tcp_uid is None or self.may_relay else f"{self.address} (uid {self.tcp_uid})"


class Principal(msgspec.Struct, frozen=True):
    """The identity behind a request, with its current grants through this credential.

    Attributes:
        id: the `sub`: a client id, a service key's id, a peer rule's id, or a fixed name.
        grants: the owner's ∩ the credential's, already intersected. Usually one; several are independent of each other.
        credential: id of the presented credential (jti, key id, session id, rule id), for revocation and the audit log.
        made_with: for a token or session, the method of its parent credential; else the same as `method`.
        epoch: the epoch of the account, or of the record that this principal's tokens end with.
        key_epoch: the epoch of the presented API key: tokens and sessions made with the key end with it.
        issued_at: when the credential was issued, in Unix seconds; None if unknown.
        expires_at: when the credential itself expires; the grant may end before.
        audience: the resource that the token is for (RFC 8707), if any.
        signed_in_at: for a session, when its person or credential signed in, in Unix seconds (`auth_time`).
        amr: for a session, how a person proved who they are (RFC 8176); empty for other credentials.
        lacks_factor: a session whose account must have a second factor and has none: it may set one up, and nothing
            else.
        is_former: the key was presented with its former secret, which stays valid for a while after a rotation.
        parts: if there are several grants, one principal for each, in the same order; a token or session is made by
            one of them. Empty otherwise.
        delegation: the id of the delegation that an app's token is of; such a principal makes nothing that lasts.
        app: the client_id of that app.
        openid: OpenID Connect's scopes in an app's token: what the app may learn, and no power.
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
    signed_in_at: int | None = None
    amr: tuple[str, ...] = ()
    lacks_factor: bool = False
    is_former: bool = False
    parts: "tuple[Principal, ...]" = ()
    delegation: str | None = None
    app: str | None = None
    openid: tuple[str, ...] = ()

    def is_live(self, now: int) -> bool:
        """Whether `now` is within the window of one of the grants."""
        for grant in self.grants:  # noqa: SIM110 - a generator would double the cost of each use of a key
            if grant.is_live(now):
                return True
        return False

    @property
    def widest(self) -> Grant:
        """The grant with the most scopes and, of equals, the most networks. For display and delegation only."""
        if not self.parts:
            return self.grants[0]
        return max(self.grants, key=lambda grant: (grant.mask.bit_count(), grant.reach))

    def farthest(self, mask: int) -> Grant | None:
        """Of the grants that include all of `mask`, the one with the most networks."""
        holding = [grant for grant in self.grants if not mask & ~grant.mask]
        return max(holding, key=lambda grant: grant.reach, default=None)


def part_of(principal: Principal, grant: Grant) -> Principal:
    """The principal reduced to one of its grants."""
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
