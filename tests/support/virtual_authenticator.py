"""Chromium's virtual authenticator: a passkey device without a person, driven over the DevTools protocol (CDP)."""

import re
from typing import Any, Final

from playwright.sync_api import CDPSession

from support.chromium import PASSWORD, Person

__all__ = ["VirtualAuthenticator", "by_password", "enrolled", "open_account"]


class VirtualAuthenticator:
    """A device with resident keys and user verification; nobody touches it unless a test says so."""

    def __init__(self, person: Person) -> None:
        self._cdp: CDPSession = person.context.new_cdp_session(person.page)
        self._cdp.send("WebAuthn.enable", {"enableUI": False})
        options = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": False,
        }
        self._id: str = self._send("addVirtualAuthenticator", options=options)["authenticatorId"]

    def touch(self, *, is_touched: bool = True) -> None:
        """Let a person touch it for every request from now on, or nobody."""
        self._send("setAutomaticPresenceSimulation", authenticatorId=self._id, enabled=is_touched)

    def verify(self, *, is_verified: bool) -> None:
        """Let it recognize the person's finger, or not."""
        self._send("setUserVerified", authenticatorId=self._id, isUserVerified=is_verified)

    @property
    def passkeys(self) -> list[dict[str, Any]]:
        """What it holds, with private keys and counters."""
        found: list[dict[str, Any]] = self._send("getCredentials", authenticatorId=self._id)["credentials"]
        return found

    def put(self, passkey: dict[str, Any]) -> None:
        """Hold a passkey, instead of the one with its id."""
        self._send("removeCredential", authenticatorId=self._id, credentialId=passkey["credentialId"])
        self._send("addCredential", authenticatorId=self._id, credential=passkey)

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._cdp.send(f"WebAuthn.{method}", params)
        return answer


def by_password(person: Person, *, lands_on: str | re.Pattern[str] = "Overview") -> None:
    """Sign in with email and password."""
    person.page.goto(person.daemon.public_url + "/")
    person.page.get_by_label("Email").fill(person.email)
    person.page.get_by_label("Password").fill(PASSWORD)
    person.button("Sign in").first.click()
    person.heading(lands_on)


def open_account(person: Person) -> None:
    """Open the account page."""
    person.page.locator(".me .who a").click()
    person.heading("Your account")


# A device that touches by itself answers each suggestion of a page, before and beside what a test does there.
WITHOUT_SUGGESTIONS: Final = "PublicKeyCredential.isConditionalMediationAvailable = () => Promise.resolve(false);"


def enrolled(person: Person, *, is_suggested: bool = False) -> VirtualAuthenticator:
    """Enrol a passkey on the account page, and sign out; by default no page suggests it from then on."""
    device = VirtualAuthenticator(person)
    if not is_suggested:
        person.page.add_init_script(WITHOUT_SUGGESTIONS)
    open_account(person)
    device.touch()
    person.button("Add a passkey").click()
    person.heading("Keep these recovery codes")
    device.touch(is_touched=False)
    person.page.get_by_role("link", name="I have kept them").click()
    person.heading("Your account")
    person.page.get_by_text("not used yet").wait_for()
    person.button("Sign out").click()
    person.heading("Sign in")
    return device
