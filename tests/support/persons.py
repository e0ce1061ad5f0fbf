"""People for tests: accounts with a password, their browsers' sessions, passkeys, apps and recovery codes."""

from dataclasses import dataclass, field
from typing import Any

from herod.credentials.factors.totp import STEP_SECONDS
from herod.identity.credential_types import SessionCookie
from herod.scopes.principal import Source
from herod_client.core.errors import SecondFactorNeeded
from support.herod_in_memory import PASSWORD, TCP, Harness, User
from support.soft_authenticator import SoftAuthenticator
from support.totp_app import TotpApp
from support.waiting_calls import waiting_call

__all__ = ["Person", "equipped_person", "new_person", "params_of_person"]


@dataclass
class Person:
    """Somebody with an account.

    Attributes:
        cookie: their browser's session.
        app: their authenticator app, once it is set up.
        codes: their recovery codes, as shown.
    """

    harness: Harness
    user: User
    email: str
    cookie: SessionCookie
    app: TotpApp | None = None
    codes: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.user.client_id

    @property
    def headers(self) -> dict[str, str]:
        """The headers of their browser's requests."""
        return {"cookie": f"herod_session={self.cookie.text}"}

    async def call(self, name: str, /, **params: Any) -> Any:
        """Call an operation in their session."""
        return await self.harness.call(name, self.cookie, TCP, **params)

    def otp(self) -> str:
        """The next code of their app; the clock moves on, since each works once."""
        assert self.app is not None
        self.harness.clock.now += STEP_SECONDS
        return self.app.code(self.harness.clock.now)

    async def set_up_app(self) -> Any:
        """Set up an authenticator app."""
        begun = await self.call("totp.begin")
        self.app = TotpApp(begun.address)
        answer = await self.call("totp.enable", setup=begun.setup, otp=self.app.code(self.harness.clock.now))
        self.codes = answer.recovery_codes or self.codes
        return answer

    async def enrol(self, device: SoftAuthenticator | None = None, name: str = "laptop") -> SoftAuthenticator:
        """Enrol a passkey."""
        device = device or SoftAuthenticator(origin="http://localhost")
        begun = await self.call("passkeys.begin")
        device.learn_handle(begun.user_handle)
        answer = await self.call("passkeys.enrol", name=name, **device.enrol(begun.challenge))
        self.codes = answer.recovery_codes or self.codes
        return device

    async def sign_in(self, source: Source = TCP, **more: Any) -> Any:
        """Sign in by password in a new browser; the answer."""
        params = {"email": self.email, "password": PASSWORD, **more}
        opened = await self.harness.call("session.sign_in", None, source, **params)
        self.cookie = SessionCookie(opened.cookie)
        return opened

    async def sign_in_with(self, device: SoftAuthenticator, source: Source = TCP, **more: Any) -> SessionCookie:
        """Sign in with a passkey in a new browser."""
        begun = await self.harness.call("session.passkey_begin", None, source)
        opened = await self.harness.call("session.passkey", None, source, **device.sign_in(begun.challenge, **more))
        self.cookie = SessionCookie(opened.cookie)
        return self.cookie


async def new_person(harness: Harness, email: str = "ada@example.org", *, scope: str = "read", **more: Any) -> Person:
    """An account with a password, signed in by it."""
    user = await harness.user(scope, email=email, password=PASSWORD, **more)
    opened = await harness.call("session.sign_in", None, TCP, email=email, password=PASSWORD)
    return Person(harness, user, email, SessionCookie(opened.cookie))


async def equipped_person(harness: Harness, email: str = "ada@example.org", **more: Any) -> Person:
    """The same with a passkey, an authenticator app and recovery codes, in the session that set them up."""
    person = await new_person(harness, email, **more)
    await person.enrol()
    await person.set_up_app()
    return person


async def params_of_person(person: Person, name: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of an operation's example with what is real for this person, who is equipped."""
    harness, device = person.harness, SoftAuthenticator(origin="http://localhost")
    match name:
        case "passkeys.enrol":
            begun = await person.call("passkeys.begin")
            return {**params, **device.enrol(begun.challenge)}
        case "passkeys.rename" | "passkeys.delete":
            return {**params, "id": (await person.call("passkeys.list")).items[0].id}
        case "totp.enable":
            begun = await person.call("totp.begin")
            return {**params, "setup": begun.setup, "otp": TotpApp(begun.address).code(harness.clock.now)}
        case "approvals.decide":
            return {**params, "id": await waiting_call(harness, person.user)}
        case "session.passkey":
            await person.enrol(device, "another")
            begun = await harness.call("session.passkey_begin", None, TCP)
            return {**params, **device.sign_in(begun.challenge)}
        case "session.confirm":
            try:
                await person.sign_in()
            except SecondFactorNeeded as asked:
                return {**params, "pending": asked.pending, "otp": person.codes[0]}
    return params
