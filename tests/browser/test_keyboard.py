"""Keyboard operation: the order on a page, and the focus in dialogs."""

from support.chromium import ADMIN, PASSWORD, Person, Sit


def focused(ada: Person) -> str:
    """The text of the focused element."""
    text: str = ada.page.evaluate("(document.activeElement.innerText || document.activeElement.id).trim()")
    return text


def test_sign_in(sit: Sit) -> None:
    """The focus is in the first field; Tab and Enter do the rest."""
    ada = sit()
    ada.page.goto(ada.daemon.url + "/")
    assert focused(ada) == "email"
    ada.page.keyboard.type(ADMIN)
    ada.page.keyboard.press("Tab")
    assert focused(ada) == "password"
    ada.page.keyboard.type(PASSWORD)
    ada.page.keyboard.press("Enter")
    ada.heading("Overview")


def test_order(admin: Person) -> None:
    """The order is the skip link, the menu from top to bottom, the user's own links, then the page."""
    admin.go("Peers")
    order = []
    for _ in range(len(admin.areas()) + 6):
        admin.page.keyboard.press("Tab")
        order.append(focused(admin))
    assert order[:2] == ["Skip to the content", "herod"]
    assert order[2:-4] == admin.areas()
    assert order[-4:-1] == ["Ada Lovelace", "Theme", "Sign out"]


def test_skip_link(admin: Person) -> None:
    """The skip link becomes visible on focus, and leads past the menu."""
    admin.go("Peers")
    link = admin.page.get_by_role("link", name="Skip to the content")
    admin.page.keyboard.press("Tab")
    assert link.evaluate("link => link.getBoundingClientRect().left") >= 0
    admin.page.keyboard.press("Enter")
    admin.page.keyboard.press("Tab")
    assert admin.page.evaluate("document.activeElement.closest('main') !== null")


def test_every_stop_is_seen(admin: Person) -> None:
    """Every focused element has an outline."""
    admin.go("Peers")
    for _ in range(50):
        admin.page.keyboard.press("Tab")
        if admin.page.evaluate("document.activeElement === document.body"):
            return
        style = admin.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none", focused(admin)
    raise AssertionError("the way through the page has no end")


def test_dialog(admin: Person) -> None:
    """A dialog focuses its harmless answer, keeps the focus, and returns it when cancelled."""
    admin.go("Peers")
    row = admin.page.get_by_role("row", name="user 1234")
    remove = admin.button("Remove", row)
    remove.focus()
    admin.page.keyboard.press("Enter")
    dialog = admin.page.get_by_role("dialog")
    dialog.wait_for()
    assert focused(admin) == "Cancel"
    for _ in range(5):
        admin.page.keyboard.press("Tab")
        assert admin.page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    admin.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert remove.evaluate("button => button === document.activeElement")
    assert row.is_visible()


def test_a_button_pressed_before_the_page_is_ready_asks_too(admin: Person) -> None:
    """A button asks for confirmation even before the page's scripts have loaded."""
    admin.page.route("**/static/shell-*.js", lambda _: None)
    admin.page.get_by_role("navigation", name="Areas").get_by_role("link", name="Peers", exact=True).click(
        no_wait_after=True
    )
    remove = admin.button("Remove", admin.page.get_by_role("row", name="user 1234"))
    remove.focus()
    admin.page.keyboard.press("Enter")
    admin.page.get_by_role("dialog").wait_for()
    assert focused(admin) == "Cancel"
    admin.page.keyboard.press("Escape")
    assert remove.is_visible()


def test_a_question_is_asked_again(admin: Person) -> None:
    """A form whose first answer never arrived asks before it is sent once more."""
    admin.go("Peers")
    admin.page.route("**/ui/peers/*/remove", lambda route: route.fulfill(status=204))
    remove = admin.button("Remove", admin.page.get_by_role("row", name="user 1234"))
    for _ in range(2):
        remove.click()
        admin.sure("Remove")
        admin.page.get_by_role("dialog").wait_for(state="detached")
    assert remove.is_visible()
