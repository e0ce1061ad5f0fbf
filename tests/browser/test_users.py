"""The whole life of a user, by mouse."""

from support.chromium import Person, Sit, ask
from support.real_daemon import Daemon

EMAIL = "eve@example.org"
FIRST = "a first password of hers"
SECOND = "a second password of hers"


def may_sign_in(daemon: Daemon, password: str) -> bool:
    """Whether the password is accepted."""
    status, _, _ = daemon.curl("/login", "--json", f'{{"email":"{EMAIL}","password":"{password}"}}')
    return status == 200


def state_of(ada: Person) -> str:
    """The user's state on the page."""
    text: str = ada.page.locator("#live").inner_text()
    return text


def test_life(sit: Sit, daemon: Daemon) -> None:
    """A user is added, renamed, given a scope, a password and a secret, disabled, enabled and deleted."""
    ada = sit()
    ada.sign_in()
    ada.go("Users")
    ada.page.get_by_role("link", name="New user").click()
    ada.heading("New user")
    ada.page.get_by_label("Email").fill(EMAIL)
    ada.page.get_by_label("Name", exact=True).fill("Eve")
    ada.page.get_by_label("Password").fill(FIRST)
    ada.button("Add the user").click()
    ada.heading("The user was added")
    old = ada.page.locator("#secret").inner_text()
    assert may_sign_in(daemon, FIRST)

    ada.page.get_by_role("link", name="Open the user").click()
    ada.heading("Eve")
    ada.page.get_by_label("Name", exact=True).fill("Eve Moneypenny")
    ada.page.get_by_role("textbox", name="Networks").fill("lab office")
    ada.button("Save").click()
    ada.heading("Eve Moneypenny")
    assert "office" in state_of(ada)

    ada.page.get_by_role("checkbox", name="write").check()
    ada.button("Set the scope").click()
    ada.page.locator("#toasts .toast").wait_for()
    user = ask(daemon, ("users.get", {"email": EMAIL}))[0]
    assert user["scope"].split() == ["write"] or set(user["scope"].split()) == {"read", "write"}

    ada.page.get_by_label("New password").fill(SECOND)
    ada.button("Set the password").click()
    ada.page.locator("#toasts .toast").wait_for()
    assert (may_sign_in(daemon, FIRST), may_sign_in(daemon, SECOND)) == (False, True)

    ada.button("New client secret").click()
    ada.sure("New client secret")
    ada.heading("A new client secret")
    assert ada.page.locator("#secret").inner_text() != old

    ada.page.get_by_role("link", name="Open the user").click()
    ada.button("Disable").click()
    ada.sure("Disable")
    ada.button("Enable").wait_for()
    assert not may_sign_in(daemon, SECOND)
    ada.button("Enable").click()
    ada.button("Disable").wait_for()
    assert may_sign_in(daemon, SECOND)

    ada.page.get_by_role("link", name="Delete…").click()
    ada.heading("Delete this user?")
    ada.button("Delete the user").click()
    ada.heading("Users")
    assert not may_sign_in(daemon, SECOND)
    ada.page.get_by_label("Email, client_id or name").fill(EMAIL)
    ada.button("Find").click()
    ada.page.get_by_text("No such user").wait_for()
    ada.forgive("status of 404")
