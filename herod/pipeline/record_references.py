"""Records as callers name them: by id, and as well by what people know them by, if that names one.

An id always comes first, so no name can be mistaken for the id of another record. Then an account is found by its
email, a peer rule by `uid:N` or `gid:N`, and accounts, keys and apps by their name: never by one that a caller could
not see, so the answer about another's record is that about none. Names of accounts that registered themselves are left
out: anybody could choose that of somebody else.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

from herod.identity.apps.registered_apps import built_in_apps
from herod.pipeline.ceilings.privilege_ceilings import is_admin
from herod.pipeline.operation_definition import Context
from herod.pipeline.parameters.email_addresses import find_by_email
from herod.pipeline.parameters.text_normalization import parse_label
from herod.records import Account, ApiKey, App, Deletion, PeerRule, Record, app_lookup
from herod.scopes.principal import PrincipalKind
from herod.store.store_interface import Reader
from herod_client.core.errors import Conflict, InvalidRequest, NotFound

__all__ = ["MAX_SEARCHED", "any_id", "named_account", "named_app", "named_key", "named_rule", "named_service_key"]

R = TypeVar("R", bound=Record)

# Names are sealed, so records are read one by one to find one; an admin's request waits for at most this many.
MAX_SEARCHED: Final = 300
# Actors in the audit log that are not records, and the form of most ids: no name is looked up for these.
NO_NAMES: Final = frozenset({"anonymous", "local-admin", "many", "offline", "startup"})
UUID_DASHES: Final = 4
KINDS: Final[tuple[type[Record], ...]] = (Account, ApiKey, PeerRule, App)
UUID_LENGTH: Final = 36


def named_account(reader: Reader, context: Context, text: str) -> Account | None:
    """The account with that client_id, email or unique name; by name only for admins, and the caller's own.

    Raises:
        Conflict: several have the name.
        NotFound: there are too many accounts to look for a name.
    """
    account = reader.get(Account, text) or find_by_email(reader, text)
    name = None if account is not None else _label(text)
    if name is None:
        return account
    if not is_admin(context):
        own = reader.get(Account, context.principal.id) if context.principal.kind is PrincipalKind.ACCOUNT else None
        return own if own is not None and own.name == name else None
    if reader.count(Account) > MAX_SEARCHED:
        raise NotFound(
            f"No account has this client_id or email, and names are not searched among more than {MAX_SEARCHED}."
        )
    return _only((one for one in reader.scan(Account) if one.name == name and not one.registered), "accounts")


def named_key(reader: Reader, context: Context, text: str) -> ApiKey | None:
    """The key with that id or unique name, of those that the caller may see; one that has not expired is preferred.

    A key that is about to be deleted with its owner is not found.

    Raises:
        Conflict: several have the name.
    """
    key = reader.get(ApiKey, text)
    if key is not None:
        return None if _is_deleted(reader, key) else key
    name = _label(text)
    if name is None:
        return None
    if is_admin(context) and reader.count(ApiKey) <= MAX_SEARCHED:
        found = [one for one in reader.scan(ApiKey) if one.name == name and not one.is_superseded]
    else:
        owners = {context.principal.id, *(("",) if is_admin(context) else ())}
        found = [one for owner in owners for one in reader.find(ApiKey, "name", owner, name)]
    found = [one for one in found if not _is_deleted(reader, one)]
    return _only([one for one in found if not one.has_ended(context.now)] or found, "keys")


def named_service_key(reader: Reader, text: str) -> ApiKey | None:
    """The service key with that id or name."""
    key = reader.get(ApiKey, text)
    name = None if key is not None else _label(text)
    if name is not None:
        key = next(iter(reader.find(ApiKey, "name", "", name)), None)
    return None if key is None or key.owner is not None else key


def named_rule(reader: Reader, text: str) -> PeerRule | None:
    """The peer rule with that id, or for `uid:N` or `gid:N`."""
    return reader.get(PeerRule, text) or next(iter(reader.find(PeerRule, "peer", text)), None)


def named_app(reader: Reader, context: Context, text: str) -> App | None:
    """The registered or built-in app with that client_id or name, whatever the name's case."""
    for built_in in built_in_apps(context.runtime):
        if text.casefold() == built_in.id:
            return built_in
    app = reader.get(App, text)
    name = None if app is not None else _label(text)
    return app if name is None else next(iter(reader.find(App, *app_lookup(name))), None)


def any_id(reader: Reader, context: Context, text: str) -> str:
    """The id of the account, key, peer rule or app that a text names; the text itself if it names none, as an id may.

    Raises:
        Conflict: it is the name of several.
    """
    if text in NO_NAMES or (len(text) == UUID_LENGTH and text.count("-") == UUID_DASHES):
        return text
    if any(reader.get(kind, text) is not None for kind in KINDS):
        return text
    if (owner := find_by_email(reader, text)) is not None:
        return owner.id
    try:
        account = named_account(reader, context, text)
    except NotFound:
        account = None
    rule, app = (named_rule(reader, text), named_app(reader, context, text)) if is_admin(context) else (None, None)
    found = [account, named_key(reader, context, text), rule, app]
    one = _only([record for record in found if record is not None], "records")
    return text if one is None else one.id


def _only(found: Iterable[R], what: str) -> R | None:
    """The one record with a name.

    Raises:
        Conflict: there are several.
    """
    several = list(found)
    if len(several) > 1:
        raise Conflict(f"Several {what} have this name: give the id of one.", reason="ambiguous")
    return several[0] if several else None


def _label(text: str) -> str | None:
    """A name in normal form; None for what cannot be one."""
    try:
        return parse_label(text)
    except InvalidRequest:
        return None


def _is_deleted(reader: Reader, key: ApiKey) -> bool:
    return key.owner is not None and reader.get(Deletion, key.owner) is not None
