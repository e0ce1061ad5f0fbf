"""The whole life of a key, by mouse."""

from support.chromium import Person, Sit, ask
from support.real_daemon import Daemon


def secret_of(ada: Person) -> str:
    """The secret that the page shows once."""
    text: str = ada.page.locator("#secret").inner_text()
    return text


def verdict(daemon: Daemon, key: str) -> bool:
    """Whether a key is accepted."""
    answer = ask(daemon, ("auth.verify", {"key": key}))[0]
    valid: bool = answer["valid"]
    return valid


def make_key(ada: Person, name: str) -> str:
    """Create a service key with the form; return its secret."""
    ada.go("Keys")
    ada.page.get_by_role("link", name="New key").click()
    ada.heading("New key")
    ada.page.get_by_label("Name", exact=True).fill(name)
    ada.page.get_by_label("Whose").select_option("service")
    ada.button("Create the key").click()
    ada.heading("The key was created")
    return secret_of(ada)


def test_life(sit: Sit, daemon: Daemon) -> None:
    """A key is created, copied, rotated, disabled, enabled and deleted, with immediate effect on validation."""
    ada = sit(permissions=["clipboard-read", "clipboard-write"])
    ada.sign_in()
    first = make_key(ada, "deploy")
    assert verdict(daemon, first)
    ada.button("Copy").click()
    ada.button("Copied").wait_for()
    assert ada.page.evaluate("navigator.clipboard.readText()") == first

    ada.page.get_by_role("link", name="Open the key").click()
    ada.heading("deploy")
    assert first not in ada.page.content()
    ada.button("Create a new secret").click()
    ada.heading("The key has a new secret")
    second = secret_of(ada)
    assert (verdict(daemon, first), verdict(daemon, second)) == (False, True)

    ada.page.get_by_role("link", name="Open the key").click()
    ada.button("Disable").click()
    ada.button("Enable").wait_for()
    assert not verdict(daemon, second)
    ada.button("Enable").click()
    ada.button("Disable").wait_for()
    assert verdict(daemon, second)

    ada.page.get_by_role("link", name="Delete…").click()
    ada.heading("Delete this key?")
    ada.button("Delete the key").click()
    ada.heading("Keys")
    ada.page.locator("#toasts .toast").wait_for()
    assert not verdict(daemon, second)
    assert ada.page.get_by_role("link", name="deploy", exact=True).count() == 0


def test_what_was_typed_stays(admin: Person) -> None:
    """A refused form shows the reason and keeps the input."""
    admin.go("Keys")
    admin.page.get_by_role("link", name="New key").click()
    admin.page.get_by_label("Name", exact=True).fill("half done")
    admin.page.get_by_label("Whose").select_option("owner")
    admin.page.get_by_label("The other user").fill("nobody@example.org")
    admin.button("Create the key").click()
    admin.page.get_by_role("alert").wait_for()
    assert admin.page.get_by_label("Name", exact=True).input_value() == "half done"
    assert admin.page.get_by_label("The other user").input_value() == "nobody@example.org"
    admin.forgive("status of 404")


def test_find(admin: Person) -> None:
    """A key is found by its name; an unknown name gives advice."""
    admin.go("Keys")
    rows = admin.page.get_by_role("row")
    assert rows.count() > 10
    admin.page.get_by_label("Name", exact=True).fill("gateway")
    admin.button("Show").click()
    admin.page.get_by_role("link", name="Show all").wait_for()
    assert rows.count() == 2
    assert admin.page.get_by_role("link", name="gateway", exact=True).is_visible()
    admin.page.get_by_label("Name", exact=True).fill("no such key")
    admin.button("Show").click()
    admin.page.get_by_text("No such key").wait_for()
