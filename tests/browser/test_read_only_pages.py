"""The read-only pages: audit log, explain, sessions; and signing out."""

from support.chromium import ADMIN, PASSWORD, Person, Sit, ask
from support.real_daemon import Daemon


def test_explain(admin: Person) -> None:
    """The page shows why access is denied, and a command that changes it."""
    admin.go("Explain")
    admin.page.get_by_label("Who").fill("grace0@example.org")
    admin.page.get_by_label("What").select_option("operation:users.add")
    admin.button("Explain").click()
    admin.page.get_by_text("Denied").wait_for()
    assert "herod user" in admin.page.locator("main").inner_text()
    admin.page.get_by_label("Who").fill(ADMIN)
    admin.button("Explain").click()
    admin.page.get_by_text("Allowed").wait_for()


def test_audit_filter(admin: Person) -> None:
    """Only matching rows are shown, and the form keeps the filter."""
    admin.go("Audit")
    admin.page.get_by_label("Operation").fill("peers.allow")
    admin.button("Filter").click()
    admin.page.get_by_role("link", name="Show all").wait_for()
    rows = admin.page.locator("#rows tr")
    assert rows.count() == 2
    assert set(rows.locator("th code").all_inner_texts()) == {"peers.allow"}
    assert admin.page.get_by_label("Operation").input_value() == "peers.allow"


def test_audit_follow(sit: Sit, daemon: Daemon) -> None:
    """New rows appear on top automatically."""
    ada = sit()
    ada.sign_in()
    ada.go("Audit")
    ada.button("Follow").click()
    ada.page.get_by_text("Following").wait_for()
    rule = ask(daemon, ("peers.allow", {"uid": 77, "scope": "read"}))[0]
    ada.page.locator("#rows tr").first.get_by_text("peers.allow").wait_for()
    ask(daemon, ("peers.remove", {"id": rule["id"]}))
    ada.page.locator("#rows tr").first.get_by_text("peers.remove").wait_for()


def test_verify(admin: Person) -> None:
    """The log verifies."""
    admin.go("Audit")
    admin.button("Verify the log").click()
    admin.page.get_by_text("The log is intact").wait_for()


def test_sign_out(sit: Sit) -> None:
    """After signing out, going back shows nothing, and the URL opens nothing."""
    ada = sit()
    ada.sign_in()
    ada.go("Users")
    address = ada.page.url
    ada.button("Sign out").click()
    ada.page.get_by_text("You are signed out.").wait_for()
    ada.page.evaluate("address => location.assign(address)", address)
    ada.heading("Sign in")
    ada.page.go_back()
    ada.heading("Sign in")


def test_a_page_left_open(sit: Sit, daemon: Daemon) -> None:
    """When the session has ended, an open page gives way to the sign-in page, which leads back."""
    ada = sit()
    ada.page.clock.install()
    ada.sign_in()
    ada.go("Peers")
    with ada.page.expect_response(lambda answer: "/ui/peers" in answer.url) as asked:
        ada.page.clock.fast_forward("01:00:10")
    assert asked.value.status == 200
    ada.heading("Peers")
    ask(daemon, ("session.end_all", {"email": ADMIN}))
    ada.page.clock.fast_forward("01:00:10")
    ada.heading("Sign in again")
    ada.forgive("status of 401")
    ada.page.get_by_label("Email").fill(ADMIN)
    ada.page.get_by_label("Password").fill(PASSWORD)
    ada.button("Sign in").first.click()
    ada.heading("Peers")


def test_sign_another_out(sit: Sit, daemon: Daemon) -> None:
    """A browser signed out from elsewhere gets the front page at its next click."""
    ask(daemon, ("users.add", {"email": "guest@example.org", "name": "Guest", "scope": "read", "password": PASSWORD}))
    ada, guest = sit(), sit()
    ada.sign_in()
    guest.sign_in("guest@example.org")
    ada.go("Sessions")
    ada.button("Sign out", ada.page.get_by_role("row", name="Guest")).click()
    ada.sure("Sign out")
    ada.said("That browser is signed out.")
    guest.menu.get_by_role("link").last.click()
    guest.heading("Sign in")
    guest.forgive("status of 401")
