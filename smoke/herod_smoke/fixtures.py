"""State that the checks share: credentials, created objects, and what to delete at the end."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from herod_smoke.http_connection import Headers, HttpClient, Response, basic, bearer

__all__ = ["CheckError", "Fixtures", "SmokeUser", "expect"]


class CheckError(Exception):
    """A failed check: what was expected, and what was answered."""


def expect(condition: object, said: str, answer: Response | None = None) -> None:
    """Fail the check unless `condition`.

    Args:
        condition: what must hold.
        said: what was expected, as a sentence for people.
        answer: the actual answer; its status and code are shown, never its body, which may contain a secret.
    """
    if not condition:
        raise CheckError(said if answer is None else f"{said}; the answer was {answer.status} {_code(answer)}".rstrip())


@dataclass(frozen=True)
class SmokeUser:
    """An account made for the checks."""

    client_id: str
    client_secret: str = field(repr=False)
    email: str
    password: str = field(repr=False)


@dataclass
class Fixtures:
    """One run of the checks.

    Attributes:
        connection: sends requests to the daemon.
        admin: the headers that authenticate the admin.
        legacy_secret: one of the daemon's legacy secrets, if given.
    """

    connection: HttpClient
    admin: Headers
    legacy_secret: str | None = None
    run: str = field(default_factory=lambda: secrets.token_hex(4))
    _cleaning: list[tuple[str, Callable[[], Response]]] = field(default_factory=list)
    _count: int = 0

    def name(self, what: str) -> str:
        """Return a unique name."""
        self._count += 1
        return f"smoke-{self.run}-{what}-{self._count}"

    def email(self) -> str:
        """Return an unused email address (RFC 2606)."""
        return f"{self.name('user')}@example.invalid"

    def api(
        self,
        method: str,
        path: str,
        *,
        who: Headers | None = None,
        json: Any = None,
        headers: Headers | None = None,
    ) -> Response:
        """Send a request as the admin, or with the headers `who`."""
        return self.connection.ask(
            method, path, json=json, headers={**(self.admin if who is None else who), **(headers or {})}
        )

    def rpc(self, method: str, params: Any = None, *, who: Headers | None = None) -> Any:
        """Make a JSON-RPC call; return its answer, an object with `result` or `error`."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {} if params is None else params}
        answer = self.api("POST", "/rpc", who=who, json=call)
        expect(answer.status == 200 and isinstance(answer.json, dict), f"{method} answers 200", answer)
        return answer.json

    def user(self, scope: str = "read", **more: Any) -> SmokeUser:
        """Create an account, deleted at the end."""
        email, password = self.email(), secrets.token_urlsafe(12)
        sent = {"email": email, "password": password, "scope": scope, **more}
        answer = self.api("POST", "/users/add", json=sent)
        expect(answer.status == 201, "an admin can add a user", answer)
        added = self.adopt_user(answer.json)
        return SmokeUser(added["client_id"], added["client_secret"], email, password)

    def adopt_user(self, added: Mapping[str, Any]) -> Mapping[str, Any]:
        """Delete, at the end, an account that a check has created."""
        client_id = added["client_id"]
        self.later("the account " + client_id, lambda: self.api("DELETE", f"/api/v1/users/{client_id}"))
        return added

    def token(self, user: SmokeUser, **form: str) -> str:
        """Get an access token with the account's client secret."""
        sent = {"grant_type": "client_credentials", **form}
        answer = self.connection.ask("POST", "/token", form=sent, headers=basic(user.client_id, user.client_secret))
        expect(answer.status == 200, "a client gets a token", answer)
        token: str = answer.json["access_token"]
        return token

    def key(self, scope: str = "read", *, who: Headers | None = None, **more: Any) -> Mapping[str, Any]:
        """Create an API key, deleted at the end: a service key as the admin, or a user key with `who`."""
        sent = {"name": self.name("key"), "scope": scope, **({"kind": "service"} if who is None else {}), **more}
        answer = self.api("POST", "/api/v1/keys", who=who, json=sent)
        expect(answer.status == 201, "a key can be created", answer)
        made: Mapping[str, Any] = answer.json["data"]
        self.later("the key " + made["id"], lambda: self.api("DELETE", f"/api/v1/keys/{made['id']}"))
        return made

    def validate(self, token: str, **more: str) -> Mapping[str, Any]:
        """Return what `/validate` answers for a token, key or secret."""
        answer = self.connection.ask("POST", "/validate", json={"token": token, **more})
        expect(answer.status == 200 and isinstance(answer.json, dict), "/validate answers 200", answer)
        verdict: Mapping[str, Any] = answer.json
        return verdict

    def whoami(self, who: Headers) -> Mapping[str, Any]:
        """Return what whoami answers for a credential."""
        answer = self.api("GET", "/api/v1/whoami", who=who)
        expect(answer.status == 200, "whoami answers", answer)
        found: Mapping[str, Any] = answer.json["data"]
        return found

    def signed_in(self, user: SmokeUser) -> Headers:
        """Sign a user in; return the headers of the session's token."""
        answer = self.connection.ask("POST", "/login", json={"email": user.email, "password": user.password})
        expect(answer.status == 200, "a user can sign in", answer)
        return bearer(answer.json["access_token"])

    def later(self, what: str, delete: Callable[[], Response]) -> None:
        """Delete something at the end; it may be deleted by then."""
        self._cleaning.append((what, delete))

    def clean_up(self) -> list[str]:
        """Delete everything that was created, newest first; return what could not be deleted."""
        left = []
        while self._cleaning:
            what, delete = self._cleaning.pop()
            try:
                is_gone = delete().status in {200, 204, 404}
            except Exception:  # noqa: BLE001 - the rest must still be deleted
                is_gone = False
            if not is_gone:
                left.append(what)
        return left


def _code(answer: Response) -> str:
    """Return the error code of an answer."""
    found = answer.json
    error = found.get("error") if isinstance(found, dict) else None
    code = error.get("code") if isinstance(error, dict) else error
    return str(code) if isinstance(code, str | int) else ""
