"""The keys that sign what others verify: id_tokens, and tokens for resources other than herod.

One key of each algorithm, made when the first app needs it, so that `/.well-known/jwks.json` lists only keys in use. An
RSA key takes too long for the event loop: `prepare_key_for_apps` makes it in a thread before the transaction, in which
`key_for_apps` stores it, unless another request or another herod at the same store was first.
"""

from dataclasses import dataclass, field

from herod.audit_event import AuditEvent
from herod.identity.runtime_state import Runtime
from herod.pipeline.operation_definition import Context, Work
from herod.records import SigningKeyRecord
from herod.store.store_interface import Writer
from herod_client.core.signing_keys import PublicAlgorithm, SigningKey, new_private, private_key

__all__ = [
    "PreparedKey",
    "key_for_apps",
    "new_signing_record",
    "prepare_key_for_apps",
    "public_algorithm",
    "signing_key_of",
]


@dataclass(frozen=True, slots=True)
class PreparedKey:
    """A private key that was made before the transaction, in case it is needed."""

    algorithm: PublicAlgorithm
    private: bytes = field(repr=False)


def prepare_key_for_apps(runtime: Runtime, algorithm: PublicAlgorithm) -> Work | None:
    """For an operation's `prepare`: the work of making a key; None if there is one already."""
    if runtime.signing.for_apps(algorithm) is not None:
        return None
    return lambda: PreparedKey(algorithm, new_private(algorithm))


def key_for_apps(tx: Writer, context: Context, algorithm: PublicAlgorithm) -> SigningKey:
    """The key that signs for apps with that algorithm; made and stored if none does yet.

    This process uses a new key once it is committed (`Context.on_commit`).
    """
    known = context.runtime.signing.for_apps(algorithm)
    if known is not None:
        return known
    record = _stored(tx, algorithm)
    if record is None:
        prepared = context.prepared
        is_prepared = isinstance(prepared, PreparedKey) and prepared.algorithm == algorithm
        private = prepared.private if is_prepared else new_private(algorithm)
        record = new_signing_record(algorithm, private, now=context.now, for_apps=True)
        tx.put(record)
        tx.audit(_created(record, context))
    key = signing_key_of(record)
    context.on_commit.append(lambda: _use(context.runtime, key))
    return key


def new_signing_record(
    algorithm: PublicAlgorithm, private: bytes, *, now: int, for_apps: bool = False
) -> SigningKeyRecord:
    """The record of a new private key."""
    kid = private_key(algorithm, private).kid
    assert kid is not None  # noqa: S101 - for the type checker: a public key has its thumbprint
    return SigningKeyRecord(id=kid, created_at=now, algorithm=algorithm, private=private, for_apps=for_apps)


def signing_key_of(record: SigningKeyRecord) -> SigningKey:
    """The key of a record with a public half.

    Raises:
        ValueError: it is damaged, or HS256.
    """
    return private_key(public_algorithm(record.algorithm), record.private, verifies_until=record.expires_at)


def public_algorithm(name: str) -> PublicAlgorithm:
    """An algorithm by its name.

    Raises:
        ValueError: it is not one that others can verify with a public key.
    """
    match name:
        case "RS256" | "ES256" | "EdDSA":
            return name
        case _:
            raise ValueError(f"no public algorithm: {name!r}")


def _stored(tx: Writer, algorithm: PublicAlgorithm) -> SigningKeyRecord | None:
    """The stored key that signs for apps with that algorithm: the first, if there are several."""
    found = [one for one in tx.scan(SigningKeyRecord) if one.for_apps and one.algorithm == algorithm]
    live = [one for one in found if one.expires_at is None]
    return min(live, key=lambda one: (one.created_at, one.id), default=None)


def _use(runtime: Runtime, key: SigningKey) -> None:
    runtime.signing = runtime.signing.with_key_for_apps(key)


def _created(record: SigningKeyRecord, context: Context) -> AuditEvent:
    return AuditEvent(
        at=context.now,
        actor="herod",
        method="none",
        source=context.source.label,
        operation="signing.current",
        outcome="ok",
        target=record.id,
    )
