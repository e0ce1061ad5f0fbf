"""How pages call operations: with the visitor's session, and nothing else.

Every page begins with `enter` or, for a submitted form, `submitted`. Both refuse requests that do not come from our own
pages. A page never decides who may do what: it calls the pipeline, which does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from quart import current_app, g, request

from herod.dashboard.csrf import TICKET, check_same_origin, is_from_own_page, join
from herod.dashboard.signing_in.unsent_forms import keep_form
from herod.identity.credential_types import Presented, SessionCookie
from herod.identity.people.session_secrets import COOKIE_CHARACTERS, resume_proof
from herod.operations.system import WhoamiAnswer
from herod.pipeline.admission import SIGN_IN_AGAIN
from herod.pipeline.operation_definition import Operation, Params
from herod.pipeline.pipeline import Pipeline
from herod.protocols.decode import convert_params, read_form, read_query
from herod.protocols.http import Request
from herod.scopes.principal import Source
from herod_client.core.errors import ExpiredToken, HerodError, InvalidRequest, PersonNeeded

__all__ = ["MENU", "NULL", "Entry", "Gateway", "Null", "SignInNeeded", "Visit", "asked", "texts", "words"]


class Null(Enum):
    """The value of a field that is to be null, while None omits it."""

    NULL = "null"


NULL: Final = Null.NULL


class SignInNeeded(Exception):
    """The visitor is not signed in, or the page was reached from elsewhere."""


class SignInAgain(Exception):
    """What the visitor asked for needs a recent sign-in, or a person's.

    Attributes:
        error: the operation's refusal.
    """

    def __init__(self, error: HerodError) -> None:
        super().__init__(error.message)
        self.error = error


class SetUpNeeded(Exception):
    """The visitor must set up a second factor before anything else.

    Attributes:
        ticket: of their session.
    """

    def __init__(self, ticket: str) -> None:
        super().__init__("a second factor must be set up first")
        self.ticket = ticket


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu; it is shown to visitors who may call `operation`."""

    endpoint: str
    label: str
    icon: str
    operation: str


MENU: Final = (
    Entry("overview", "Overview", "gauge", "stats"),
    Entry("users", "Users", "people", "users.list"),
    Entry("keys", "Keys", "key", "keys.list"),
    Entry("apps", "Apps", "grid", "apps.list"),
    Entry("peers", "Peers", "plug", "peers.list"),
    Entry("resources", "Resources", "box", "resources.count"),
    Entry("legacy", "Legacy secrets", "clock", "legacy.status"),
    Entry("audit", "Audit", "list", "audit.list"),
    Entry("approvals", "Approvals", "check", "approvals.list"),
    Entry("sessions", "Sessions", "window", "session.list"),
    Entry("explain", "Explain", "question", "access.explain"),
    Entry("connect", "Connect", "terminal", "whoami"),
)


@dataclass(frozen=True)
class Visit:
    """One request by a signed-in visitor.

    Attributes:
        asked: the request, as herod's own reader parsed it.
        ticket: the half of their session's secret that is in our pages.
        resume: what the browser keeps to resume the session in a new tab.
        who: the visitor's principal now.
        menu: the areas that they may open.
        query: the URL's parameters.
        granted: the operations that they may call.
    """

    asked: Request
    ticket: str
    resume: str
    session: SessionCookie
    who: WhoamiAnswer
    menu: tuple[Entry, ...]
    query: Mapping[str, str]
    granted: frozenset[str]


# Where a second factor is set up; whoever must and has none sees no other page.
SETS_UP: Final = frozenset(
    {"second_factor", "account_app", "account_app_post", "passkey_options", "passkey_add", "sign_out"}
)


class Gateway:
    """The pages' access to operations.

    Attributes:
        operations: the operation table.
    """

    def __init__(self, pipeline: Pipeline, operations: Mapping[str, Operation]) -> None:
        self.pipeline = pipeline
        self.operations = operations

    async def enter(self, *, leads_to: str | None = None) -> Visit:
        """The visitor of this page.

        Args:
            leads_to: the operation whose form the page is: a new sign-in is asked for before the form is filled in.

        Raises:
            SignInNeeded: they are not signed in, or do not come from one of our pages.
            SignInAgain: their session is too old for that operation, or no person opened it.
            SetUpNeeded: they must set up a second factor first.
        """
        received = asked()
        query = read_query(received.query)
        visit = await self._visit(received, query.get(TICKET), query)
        if leads_to is not None and self.may(visit, leads_to):
            try:
                self.pipeline.require_fresh(self.operations[leads_to], visit.session, received.source)
            except (ExpiredToken, PersonNeeded) as error:
                raise SignInAgain(error) from error
        return visit

    async def submitted(self, *, kept_as: str = "") -> tuple[Visit, dict[str, str]]:
        """The visitor who sent this form, and its fields without the ticket.

        Args:
            kept_as: the label of the form's button, if its content is to outlive a new sign-in (`unsent_forms.py`).

        Raises:
            InvalidRequest: another origin's page sent it.
            SignInNeeded: they are not signed in.
            SetUpNeeded: they must set up a second factor first.
        """
        received = asked()
        self.check_form(received)
        fields = read_form(received)
        visit = await self._visit(received, fields.pop(TICKET, None), read_query(received.query))
        if kept_as:
            g.unsent = keep_form(
                self.pipeline.runtime,
                sub=visit.who.sub,
                path=received.path,
                label=kept_as,
                fields=fields,
                now=self.pipeline.now(),
            )
        return visit, fields

    def check_form(self, received: Request, check: Callable[[Request], None] = check_same_origin) -> None:
        """Refuse a form that another origin's page sent, and note it for the audit log.

        Args:
            received: the request.
            check: what is refused; by default what no page of our own origin sent.

        Raises:
            InvalidRequest: another origin's page sent it.
        """
        try:
            check(received)
        except InvalidRequest as error:
            self.pipeline.note_refused_request(received.source, error.reason)
            raise

    async def call(self, visit: Visit, name: str, /, **fields: Any) -> Any:
        """Run an operation as the visitor.

        Args:
            visit: from `enter` or `submitted`.
            name: the operation.
            fields: its parameters, as text or already of their type; empty texts and None are omitted, `NULL` is null.

        Raises:
            HerodError: the operation failed.
            SignInAgain: the visitor's session is too old for it, or no person opened it.
        """
        given = {key: value for key, value in fields.items() if value is not None and value != ""}
        given = {key: None if value is NULL else value for key, value in given.items()}
        operation = self.operations[name]
        params = convert_params(operation, given, is_text=True)
        try:
            return await self.pipeline.call(operation, params, visit.session, visit.asked.source)
        except PersonNeeded as error:
            raise SignInAgain(error) from error
        except ExpiredToken as error:
            if error.reason != SIGN_IN_AGAIN:
                raise
            raise SignInAgain(error) from error

    async def call_public(
        self, name: str, fields: Mapping[str, str], source: Source, *, presented: Presented | None = None
    ) -> Any:
        """Run an operation before sign-in: a public one, or one with the credential typed to sign in."""
        operation = self.operations[name]
        return await self.pipeline.call(operation, convert_params(operation, fields, is_text=True), presented, source)

    async def ask_public(self, name: str, params: Params, source: Source) -> Any:
        """Ask a public operation that takes more than texts."""
        return await self.pipeline.call(self.operations[name], params, None, source)

    def may(self, visit: Visit, name: str) -> bool:
        """Whether the visitor may call the operation: to decide what to show, never what to allow."""
        return name in visit.granted

    async def _visit(self, received: Request, ticket: str | None, query: Mapping[str, str]) -> Visit:
        session = join(received, ticket)
        if ticket is None or session is None or not is_from_own_page(received):
            raise SignInNeeded
        operation = self.operations["whoami"]
        who, granted = await self.pipeline.visit(
            operation, operation.params(), session, received.source, among=self.operations.values()
        )
        if who.needs_second_factor is True and request.endpoint not in SETS_UP:
            raise SetUpNeeded(ticket)
        menu = tuple(
            entry
            for entry in MENU
            if entry.endpoint in current_app.view_functions
            and entry.operation in granted
            and who.needs_second_factor is not True
        )
        proof = resume_proof(self.pipeline.runtime.keyring, session.text[:COOKIE_CHARACTERS])
        return Visit(received, ticket, proof, session, who, menu, query, granted)


def asked() -> Request:
    """The request as herod's own reader parsed it."""
    received: Request = request.scope["state"]["request"]
    return received


def texts(fields: Mapping[str, str], prefix: str) -> list[str]:
    """The names of the ticked boxes of a group, whose fields are named `prefix:name`."""
    return [name.removeprefix(f"{prefix}:") for name in fields if name.startswith(f"{prefix}:")]


def words(text: str) -> list[str]:
    """The words of a field that takes several, separated by commas or spaces.

    Raises:
        InvalidRequest: there are too many.
    """
    found = text.replace(",", " ").split()
    if len(found) > 100:
        raise InvalidRequest("Give at most 100 names.")
    return found
