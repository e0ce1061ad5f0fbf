"""An OAuth app in tests, with the browser of the person who uses it: asks, is answered, exchanges and refreshes."""

import base64
import html
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from herod.credentials.apps.dynamic_client_ids import DynamicApp, dynamic_secret, seal_client_id
from herod.identity.apps.app_credentials import hash_app_secret
from herod.identity.credential_types import Basic, SessionCookie
from herod.records import App
from herod_client.core.key_format import new_id
from support.herod_in_memory import PASSWORD, TCP, Answer, Harness, basic, bearer
from support.page_visitor import OWN, Visitor, text

__all__ = [
    "CALLBACK",
    "ISSUER",
    "MCP",
    "TOGETHER",
    "AppOfTest",
    "Connecting",
    "connecting",
    "dynamic_app",
    "hidden_request",
    "led_on",
    "registered_app",
    "send_without_session",
]

CALLBACK = "http://127.0.0.1:54545/callback"
ISSUER = "http://localhost"
# What takes an app and a person.
TOGETHER = frozenset({
    "oauth.consent", "oauth.allow", "oauth.continue", "oauth.deny", "token.exchange_code", "token.refresh",
    "oauth.device_authorization", "oauth.enter_user_code", "oauth.device", "oauth.device_allow", "oauth.device_deny",
    "token.exchange_device_code",
})  # fmt: skip
GRANTS = ("authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code")
APP_SECRET = "herod_c_of-the-test"
MCP = "http://localhost/mcp"


@dataclass
class AppOfTest:
    """An app as it registered, and what it sends.

    Attributes:
        secret: of a confidential app.
        verifier: PKCE's.
    """

    harness: Harness
    client_id: str
    redirect: str = CALLBACK
    secret: str | None = None
    verifier: str = "v" * 43
    more: dict[str, str] = field(default_factory=dict)

    @property
    def challenge(self) -> str:
        """Of the verifier, S256."""
        return base64.urlsafe_b64encode(sha256(self.verifier.encode()).digest()).decode().rstrip("=")

    def asking(self, **changes: str | None) -> dict[str, str]:
        """The parameters of a request at `/authorize`; None leaves one out."""
        usual: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect,
            "response_type": "code",
            "scope": "read",
            "state": "s t/a+te",
            "resource": MCP,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    async def ask(self, **changes: str | None) -> Answer:
        """Send somebody's browser to `/authorize`, with no session."""
        return await self.harness.request("GET", f"/authorize?{urlencode(self.asking(**changes))}")

    async def request_for(self, **changes: str | None) -> str:
        """The sealed request that leads to the consent page."""
        answer = await self.ask(**changes)
        assert answer.status == 303, text(answer)
        path, _, query = answer.headers["location"].partition("?")
        assert path == "/ui/consent", answer.headers["location"]
        return dict(parse_qsl(query))["request"]

    async def connect(self, visitor: Visitor, *ticked: str, **changes: str | None) -> dict[str, str]:
        """Ask, have the person tick and allow, and return what comes back in the redirect's query."""
        request = await self.request_for(**changes)
        page = await visitor.read("/ui/consent", request=request)
        assert hidden_request(page) == request
        return await self.allow(visitor, request, *ticked)

    async def allow(self, visitor: Visitor, request: str, *ticked: str) -> dict[str, str]:
        """Have the person allow, and return what comes back in the redirect's query."""
        boxes = {f"scope:{name}": "on" for name in ticked or ("read",)}
        answer = await visitor.send("/ui/consent", request=request, decision="allow", **boxes)
        return self.came_back(answer)

    def came_back(self, answer: Answer) -> dict[str, str]:
        """What a redirect to the app says, or a page that leads there by itself."""
        location = answer.headers.get("location") or led_on(answer)
        assert location.startswith(self.redirect), location
        pairs = parse_qsl(urlsplit(location).query, keep_blank_values=True)
        assert len(dict(pairs)) == len(pairs), location
        return dict(pairs)

    async def form(self, **fields: str | None) -> Answer:
        """Send a form to `/token`, as the app."""
        own = {"client_id": self.client_id, **({} if self.secret is None else {"client_secret": self.secret})}
        given = {**own, **{name: value for name, value in fields.items() if value is not None}}
        return await self.harness.request("POST", "/token", form=urlencode(given))

    async def exchange(self, code: str, **changes: str | None) -> Answer:
        """Exchange a code."""
        usual: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect,
            "code_verifier": self.verifier,
            "resource": MCP,
        }
        return await self.form(**{**usual, **changes})

    async def refresh(self, token: str, **changes: str | None) -> Answer:
        """Refresh with a refresh token."""
        return await self.form(grant_type="refresh_token", refresh_token=token, **changes)

    async def tokens(self, visitor: Visitor, *ticked: str, **changes: str | None) -> dict[str, Any]:
        """Connect, and exchange the code."""
        back = await self.connect(visitor, *ticked, **changes)
        kept = {"resource": changes["resource"]} if "resource" in changes else {}
        answer = await self.exchange(back["code"], **kept)
        assert answer.status == 200, answer.json
        found: dict[str, Any] = answer.json
        return found

    async def call_tool(self, access_token: str, tool: str = "whoami", **arguments: Any) -> Answer:
        """Call a tool at `/mcp` with an access token."""
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        }
        headers = {**bearer(access_token), "accept": "application/json, text/event-stream"}
        return await self.harness.request("POST", "/mcp", json=call, headers=headers)


def dynamic_app(
    harness: Harness,
    *redirects: str,
    name: str = "Agent",
    grants: tuple[str, ...] = ("authorization_code", "refresh_token"),
    auth_method: str = "none",
    redirect: str | None = None,
) -> AppOfTest:
    """An app that registered itself with these redirects, the first of which it uses."""
    kept = redirects or ("http://127.0.0.1/callback",)
    client_id = seal_client_id(harness.runtime.keyring, DynamicApp(name, kept, grants, auth_method))
    secret = None if auth_method == "none" else dynamic_secret(harness.runtime.keyring, client_id)
    return AppOfTest(harness, client_id, redirect or (redirects[0] if redirects else CALLBACK), secret)


async def registered_app(
    harness: Harness, *, name: str = "Notes", secret: str | None = APP_SECRET, **changes: Any
) -> AppOfTest:
    """An app that an admin registered; confidential, unless it has no secret."""
    client_id = new_id()
    redirect = "https://notes.example.org/callback"
    hashed = None if secret is None else hash_app_secret(harness.runtime.keyring, client_id, secret)
    record = App(
        **{
            "id": client_id,
            "created_at": harness.clock.now,
            "name": name,
            "creator": "an admin",
            "secret_hash": hashed,
            "redirect_uris": (redirect,),
            "scope": ("write",),
            **changes,
        }
    )
    await harness.store.write(lambda tx: tx.put(record))
    return AppOfTest(harness, client_id, record.redirect_uris[0], secret)


def led_on(answer: Answer) -> str:
    """Where a page leads by itself."""
    (found,) = re.findall(r'<meta http-equiv="refresh" content="0;url=([^"]*)">', text(answer))
    return html.unescape(found)


def hidden_request(page: str) -> str:
    """The sealed request in the form of a consent page."""
    (found,) = re.findall(r'name="request" value="([^"]*)"', page)
    return html.unescape(found)


async def send_without_session(harness: Harness, **fields: str) -> Answer:
    """Send the consent form as somebody who has no session."""
    return await harness.request("POST", "/ui/consent", form=urlencode(fields), headers=OWN)


@dataclass(frozen=True)
class Connecting:
    """A person who is asked, and what they and the app then have.

    Attributes:
        session: the person's.
        request: sealed, as the consent page has it.
        code: not used yet.
        refresh_token: of another sign-in of the same app.
        user_code: nobody has entered it.
        device_request: sealed, of another user code that the person has entered.
        device_code: allowed and not used.
    """

    app: AppOfTest
    session: SessionCookie
    request: str
    code: str
    refresh_token: str
    user_code: str
    device_request: str
    device_code: str

    @property
    def by_app(self) -> Basic:
        """The app's own credential."""
        return Basic(self.app.client_id, self.app.secret or "")

    @property
    def by_person(self) -> dict[str, str]:
        """The person's session, as a header."""
        return {"cookie": f"herod_session={self.session.text}"}

    @property
    def headers(self) -> dict[str, str]:
        """The app's own credential, as a header."""
        return basic(self.app.client_id, self.app.secret or "")


async def connecting(harness: Harness, scope: str = "read", email: str = "person@example.org") -> Connecting:
    """A registered app that a person has allowed, in all its stages at once, without pages."""
    await harness.user(scope=scope, email=email, password=PASSWORD, name="Person")
    opened = await harness.call("session.sign_in", None, TCP, email=email, password=PASSWORD)
    session = SessionCookie(opened.cookie)
    app = await registered_app(harness, needs_pkce=False, grants=GRANTS)
    without: dict[str, str | None] = dict.fromkeys(("code_challenge", "code_challenge_method", "redirect_uri"))
    asking = app.asking(**without, nonce="n", scope="read openid")
    request = (await harness.call("oauth.authorize", None, TCP, **asking)).request

    async def code() -> str:
        location = (await harness.call("oauth.allow", session, TCP, request=request, scope="read")).location
        return str(dict(parse_qsl(urlsplit(location).query))["code"])

    by = Basic(app.client_id, app.secret or "")
    first = await harness.call("token.exchange_code", by, TCP, grant_type="authorization_code", code=await code())

    async def device(*, is_entered: bool = True) -> tuple[str, str]:
        codes = await harness.call("oauth.device_authorization", by, TCP, scope="read openid", resource=MCP)
        if not is_entered:
            return codes.device_code, codes.user_code
        entered = await harness.call("oauth.enter_user_code", session, TCP, user_code=codes.user_code)
        return codes.device_code, entered.request

    allowed, request_for_it = await device()
    await harness.call("oauth.device_allow", session, TCP, request=request_for_it, scope="read", is_mine=True)
    return Connecting(
        app,
        session,
        request,
        await code(),
        first.refresh_token,
        user_code=(await device(is_entered=False))[1],
        device_request=(await device())[1],
        device_code=allowed,
    )
