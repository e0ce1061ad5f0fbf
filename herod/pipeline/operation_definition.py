"""What an operation is, and the two decorators that create one from a handler.

An operation is a value; the table of them is `operations/operation_table.py`. An operation without a docstring or an
example cannot be defined.
"""

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar

import msgspec

from herod.identity.runtime_state import Runtime
from herod.pipeline.parameters.parameter_annotations import credential_field, normal_forms, secret_fields
from herod.pipeline.process.process_state import ProcessState
from herod.records import Record
from herod.scopes.decisions import Needs
from herod.scopes.principal import AuthMethod, Principal, Source
from herod.store.store_interface import ByteStream, Reader, Store
from herod.throttle.rules import Attempt, CountedAttempt, Counter
from herod_client.core.errors import HerodError
from herod_client.core.grants import Grants

__all__ = [
    "Context",
    "GivesNothing",
    "NoParams",
    "NoTarget",
    "Operation",
    "Params",
    "Route",
    "Surface",
    "Target",
    "Time",
    "Tool",
    "Wait",
    "Work",
    "command",
    "name_methods",
    "query",
]

R = TypeVar("R", bound=Record)

# A time in a result: RFC 3339.
Time = Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operation's parameters; the order of the fields is the order by position.

    Attributes:
        exactly_one: fields of which exactly one is given; for the documents.
        at_most_one: fields of which at most one is given; for the documents.
        elsewhere: names that clients take for parameters → what to do instead: a sentence.
    """

    exactly_one: ClassVar[tuple[str, ...]] = ()
    at_most_one: ClassVar[tuple[str, ...]] = ()
    elsewhere: ClassVar[Mapping[str, str]] = {}

    def __repr__(self) -> str:
        """Without the values: any may be a secret, and an error's text goes to the log."""
        return f"{type(self).__name__}(…)"


class NoParams(Params, frozen=True, kw_only=True):
    """No parameters."""


class Surface(Enum):
    """Where an operation is offered besides its routes."""

    RPC = "rpc"
    DASHBOARD = "dashboard"


@dataclass(frozen=True, slots=True)
class Tool:
    """How an operation is offered to agents (MCP).

    Attributes:
        destructive: it removes or changes existing data, while others only add; agents should ask a person first.
        idempotent: calling it twice has the same effect as calling it once.
    """

    name: str
    destructive: bool = False
    idempotent: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP route: method, and a path whose `{name}` segments are parameters."""

    method: str
    path: str


class Context(msgspec.Struct, kw_only=True):
    """What a handler knows about the call.

    Attributes:
        principal: the caller, as identified in this transaction. Sign-in handlers set it to the one who signed in.
        now: Unix seconds.
        prepared: what `prepare`'s work returned.
        target: id of what is changed, for the audit. The pipeline sets it, or a handler that creates something.
        record: the operation's target, as read outside of the transaction; for limits and preparation.
        counted: the attempts of this call, as the guessing limits count them.
        said: what a success says in the audit log besides, from a fixed list.
        may_verify: the handler may verify the credential in its parameters, because guesses at it are counted.
        on_commit: what a handler wants done to the memory once its change is committed, and never otherwise.
        refused: set by a handler that refuses and has changed something because of what it was asked, such as to end
            what was used twice: its changes are kept, the audit log has the refusal, and the caller gets this error.
    """

    runtime: Runtime
    process: ProcessState
    principal: Principal
    source: Source
    now: int
    prepared: Any = None
    target: str | None = None
    record: Any = None
    counted: tuple[CountedAttempt, ...] = ()
    said: str | None = None
    may_verify: bool = False
    on_commit: list[Callable[[], None]] = msgspec.field(default_factory=list)
    refused: HerodError | None = None


def _nobody(principal: Principal, record: Any) -> bool:
    return False


def _nothing(reader: Reader, context: Context, record: Any) -> Grants:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Generic[R]):
    """What a command changes.

    Attributes:
        noun: its name in messages: "There is no such NOUN."
        find: the record that the parameters name, or None. It may raise an error.
        is_own: whether a principal that is not an admin may see it.
        grants: what it holds now; the actor must cover it.
        is_optional: the parameters may name none; the handler then gets None.
        own_sign_in: for what a person signs in with: how old, in seconds, the sign-in of a caller may be whose own
            account it is (`admission.check_own_sign_in`); None if that does not matter.
    """

    noun: str
    find: Callable[[Reader, Context, Any], R | None]
    is_own: Callable[[Principal, R], bool] = _nobody
    grants: Callable[[Reader, Context, R], Grants] = _nothing
    is_optional: bool = False
    own_sign_in: int | None = None


@dataclass(frozen=True, slots=True)
class NoTarget:
    """For a command that changes nothing that exists: `why`."""

    why: str


@dataclass(frozen=True, slots=True)
class GivesNothing:
    """For a command that does not let anybody do anything for longer than before: `why`."""

    why: str


# Slow work (Argon2, name service), run in a thread between admission and the transaction.
Work = Callable[[], Any]
Limit = Callable[[Reader, Context, Any], Attempt | None]
Misses = Callable[[Context, Any], Counter | None]
Prepare = Callable[[Reader, Context, Any], Work | None]
Unwritten = Callable[[Reader, Context, Any, Any], None]
Written = Callable[[Context], None]
Streamed = Callable[[Store], Awaitable[ByteStream]]
# Waiting (a long poll) or slow reading (a long scan, in a thread with a separate connection).
Wait = Callable[[Store, Context, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One capability.

    Attributes:
        needs: the scope, or an `Access`.
        methods: the only credentials it accepts, or None for all.
        credential: whether a command creates, changes or ends a credential or the principal that holds it: an account,
            key, token, session, code, peer rule, app, delegation, site, factor or approval; or copies all of them.
            Refused to apps' tokens.
        apps_may: an app's token may call it although it is about credentials: for revoking that token.
        gives: for a command about credentials, the type of the record that it creates or changes so that somebody can
            use it, or use it for longer; the pipeline checks that it gives no more than the caller holds, and does not
            expire after the caller's credential (`privilege_ceilings.py`). Or why it gives nothing.
        issues: it issues a credential, which `issued_per_minute` limits: a token, key, secret, session or code.
        openid: only for an app's token with the scope `openid`, also one that is for no resource (`Audience.APP`).
        takes_apps: an app may call it, authenticated as one; everywhere else an app's credential is refused as unknown.
        destructive: it removes or changes data, as `Tool.destructive` says of a tool: apps must have it approved.
        person: it needs the session of a person (`identity/people/persons.py`) whose sign-in is at most so many seconds
            old; 0 is any age. No other credential is accepted. None: it needs no person.
        enrols: it helps to set up a second factor, so that a person who must have one and has none may call it.
        fresh: how old a browser's sign-in may be, in seconds, if it gives something; None for `FRESH_SECONDS`.
        manages_keys: it creates or changes keys: refused to user keys, and to service keys without admin.
        target: what a command changes, which the pipeline finds, checks and hands to the handler, or why there is none.
        limit: the attempt that is rate-limited; counted before `prepare`.
        then_limit: a second attempt, counted after `prepare`'s work: for a secret that only who knew the first may try.
        misses: the counter of lookups that found nothing (NotFound or an empty page), for what is opened by a secret
            that people choose. While it is locked, the operation is refused before any lookup. A command looks in
            `prepare` already.
        verifies: the parameter that is somebody else's credential, about which the caller asks. Wrong ones that may be
            guesses at a legacy secret are counted, and refused when there were too many.
        prepare: the slow work to do between admission and the transaction.
        wait: for a query that waits or reads for long: it is awaited after admission and returns the result instead of
            the handler, which then only defines the operation; afterwards the caller is admitted again.
        unwritten: applies the change in memory when the store cannot be written.
        written: updates the memory once the change is committed.
        counts: the runtime's counters that a success increases, once it is committed.
        streamed: what its REST routes return instead of its result, once that is committed.
        always_audited: it issues what no record shows, so a success is audited even if the store is unchanged; other
            operations are audited only if they changed something.
        is_routine: a success is counted and not audited, because it goes on with what was audited when it began.
        creates: REST returns 201.
        failures: errors it raises besides those of every similar operation; for the documents.
        headers: parameter → the header that may carry it over REST, for what must not be in a URL.
        status: the HTTP status of a result, where it is not always the same.
        media_type: the type of its result, a text, over REST; without it results are JSON.
        is_quiet: counted, not logged.
        credential_field: the parameter that is a credential.
        secret_fields: the parameters that are secrets: never shown, kept or logged.
        normal_forms: for a command's texts: parameter → the function with which the pipeline normalizes it.
        only_direct: it answers only who reaches herod on this machine, at a loopback name or the Unix socket, and not
            through a proxy. Such an operation has plain routes alone.
        dynamic_direct: an app that registered itself may call it only from where it may register (`only_direct`).
        members: its plain routes take a JSON object, of which they ignore the members that they do not know, and answer
            in OAuth's format (RFC 7591, section 3).
        form: its plain routes accept a form and answer in OAuth's format.
        grant_type: the form's `grant_type` for which it is called; operations with one share their route (RFC 6749,
            section 4).
    """

    name: str
    needs: Needs
    params: type[Params]
    result: Any
    handler: Callable[..., Any]
    summary: str
    example: Mapping[str, Any]
    is_command: bool
    routes: tuple[Route, ...] = ()
    surfaces: frozenset[Surface] = frozenset({Surface.RPC})
    methods: frozenset[AuthMethod] | None = None
    target: Target[Any] | NoTarget | None = None
    credential: bool = False
    apps_may: bool = False
    gives: type[Record] | GivesNothing | None = None
    issues: bool = False
    takes_apps: bool = False
    openid: bool = False
    destructive: bool = False
    person: int | None = None
    enrols: bool = False
    fresh: int | None = None
    manages_keys: bool = False
    tool: Tool | None = None
    limit: Limit | None = None
    then_limit: Limit | None = None
    misses: Misses | None = None
    verifies: str | None = None
    prepare: Prepare | None = None
    wait: Wait | None = None
    unwritten: Unwritten | None = None
    written: Written | None = None
    counts: tuple[str, ...] = ()
    streamed: Streamed | None = None
    always_audited: bool = False
    is_routine: bool = False
    creates: bool = False
    failures: tuple[type[HerodError], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    status: Callable[[Any], int] | None = None
    media_type: str | None = None
    is_quiet: bool = False
    only_direct: bool = False
    dynamic_direct: bool = False
    members: bool = False
    form: bool = False
    grant_type: str | None = None
    credential_field: str | None = None
    secret_fields: frozenset[str] = frozenset()
    normal_forms: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    decode: Callable[[bytes], Params] = field(repr=False)

    @property
    def is_destructive(self) -> bool:
        """Whether it removes or changes data, while others only add."""
        return self.destructive or (self.tool is not None and self.tool.destructive)

    @property
    def is_by_name(self) -> bool:
        """Whether parameters are taken by name only: several that stay unchanged if omitted cannot be skipped."""
        return self.params.__struct_defaults__.count(msgspec.UNSET) > 1


Handler = Callable[..., Any]


_METHOD_NAMES: Final = {
    AuthMethod.CLIENT_SECRET: "a client id and secret (Authorization: Basic)",
    AuthMethod.PASSWORD: "a password",
    AuthMethod.PASSKEY: "a passkey",
    AuthMethod.PEER: "Authorization: Peer",
    AuthMethod.SESSION: "a browser session",
    AuthMethod.USER_KEY: "a user's API key",
    AuthMethod.SERVICE_KEY: "a service key",
    AuthMethod.LEGACY_SECRET: "a legacy secret",
    AuthMethod.JWT: "an access token",
    AuthMethod.APP: "an app's client_id",
    AuthMethod.DELEGATION: "an app's access token",
    AuthMethod.ANONYMOUS: "no credential",
}


def name_methods(methods: Iterable[AuthMethod]) -> str:
    """Credentials as people read them: "a password or Authorization: Peer"."""
    asked = set(methods)
    *most, last = (name for method, name in _METHOD_NAMES.items() if method in asked)
    return f"{', '.join(most)} or {last}" if most else last


def query(name: str, *, needs: Needs, example: Mapping[str, Any], **facts: Any) -> Callable[[Handler], Operation]:
    """Turn a handler that only reads into an operation; it runs inline on the event loop."""
    return lambda handler: _operation(handler, name=name, needs=needs, example=example, is_command=False, **facts)


def command(name: str, *, needs: Needs, example: Mapping[str, Any], **facts: Any) -> Callable[[Handler], Operation]:
    """Turn a handler that changes something into an operation; it runs in the write transaction and is audited."""
    return lambda handler: _operation(handler, name=name, needs=needs, example=example, is_command=True, **facts)


def _operation(handler: Handler, *, name: str, http: tuple[str, ...] = (), **facts: Any) -> Operation:
    summary = inspect.getdoc(handler)
    if not summary:
        raise TypeError(f"operation {name} has no docstring")
    if facts["is_command"] and facts.get("target") is None:
        raise TypeError(f"command {name} does not say what it changes: set target=, or NoTarget with a reason")
    if facts["is_command"] and "credential" not in facts:
        raise TypeError(
            f"command {name} does not say whether it creates, changes or ends a credential: set credential="
        )
    if facts.get("credential") and "gives" not in facts:
        raise TypeError(f"command {name} does not say what it gives: set gives=, or GivesNothing with a reason")
    if facts.get("person") is not None:
        if facts.get("tool") is not None:
            raise TypeError(f"operation {name} needs a person: it cannot be a tool")
        facts.setdefault("methods", frozenset({AuthMethod.SESSION}))
    if facts.get("only_direct") and (facts.get("tool") or Surface.RPC in facts.get("surfaces", {Surface.RPC})):
        raise TypeError(f"{name} is only for direct requests, which JSON-RPC and MCP cannot tell: set surfaces=")
    hints = typing.get_type_hints(handler)
    params: type[Params] = hints[list(inspect.signature(handler).parameters)[2]]
    return Operation(
        name=name,
        params=params,
        result=hints["return"],
        handler=handler,
        summary=summary,
        routes=tuple(Route(*route.split(" ", 1)) for route in http),
        credential_field=credential_field(params),
        secret_fields=secret_fields(params),
        normal_forms=normal_forms(name, params) if facts["is_command"] else {},
        decode=msgspec.json.Decoder(params).decode,
        **facts,
    )
