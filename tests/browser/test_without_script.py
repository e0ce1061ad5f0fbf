"""The main flows without JavaScript: forms and links are enough."""

from support.chromium import Person, Sit


def sit_down(sit: Sit) -> Person:
    """Ada, signed in, in a browser without JavaScript."""
    ada = sit(java_script_enabled=False)
    ada.sign_in()
    return ada


def test_every_page(sit: Sit) -> None:
    """Each page opens, and has no button that does nothing."""
    ada = sit_down(sit)
    for area in ada.areas():
        ada.go(area)
        assert ada.page.locator("[data-copy]:visible, [data-theme-toggle]:visible").count() == 0, area


def test_key(sit: Sit) -> None:
    """A key is created, rotated, disabled and deleted."""
    ada = sit_down(sit)
    ada.go("Keys")
    ada.page.get_by_role("link", name="New key").click()
    ada.page.get_by_label("Name", exact=True).fill("plain")
    ada.page.get_by_label("Whose").select_option("service")
    ada.button("Create the key").click()
    ada.heading("The key was created")
    first = ada.page.locator("#secret").inner_text()
    ada.page.get_by_role("link", name="Open the key").click()
    ada.button("Create a new secret").click()
    ada.heading("The key has a new secret")
    assert ada.page.locator("#secret").inner_text() != first
    ada.page.get_by_role("link", name="Open the key").click()
    ada.button("Disable").click()
    ada.button("Enable").wait_for()
    ada.page.get_by_role("link", name="Delete…").click()
    ada.button("Delete the key").click()
    ada.heading("Keys")
    ada.page.locator("#toasts .toast").wait_for()


def test_user(sit: Sit) -> None:
    """A user is added, disabled and deleted."""
    ada = sit_down(sit)
    ada.go("Users")
    ada.page.get_by_role("link", name="New user").click()
    ada.page.get_by_label("Email").fill("plain@example.org")
    ada.button("Add the user").click()
    ada.heading("The user was added")
    ada.page.get_by_role("link", name="Open the user").click()
    ada.button("Disable").click()
    ada.button("Enable").wait_for()
    ada.page.get_by_role("link", name="Delete…").click()
    ada.button("Delete the user").click()
    ada.heading("Users")


def test_looking(sit: Sit) -> None:
    """Explain answers, the audit log is filtered, and signing out works."""
    ada = sit_down(sit)
    ada.go("Explain")
    ada.page.get_by_label("What").select_option("scope:admin")
    ada.button("Explain").click()
    ada.page.get_by_text("Allowed").wait_for()
    ada.go("Audit")
    ada.page.get_by_label("Operation").fill("peers.allow")
    ada.button("Filter").click()
    ada.page.get_by_role("link", name="Show all").wait_for()
    assert ada.page.locator("#rows tr").count() == 2
    ada.button("Sign out").click()
    ada.heading("Sign in")
