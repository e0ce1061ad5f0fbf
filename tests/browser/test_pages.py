"""Every page of the menu: opens without errors, is accessible, fits, is small, and is cached as allowed."""

from collections.abc import Callable

import pytest

from support.chromium import PHONE, WIDE, Person, Sit

SIZES = {"wide": WIDE, "phone": PHONE}
MOST_BYTES = 150_000
# Pages that are linked from an area rather than the menu.
INNER = (
    ("Users", "New user"),
    ("Users", "Ada Lovelace"),
    ("Keys", "New key"),
    ("Keys", "job store"),
    ("Apps", "New app"),
    ("Apps", "herod-cli"),
)


@pytest.mark.parametrize("size", SIZES)
def test_every_page(sit: Sit, size: str) -> None:
    """Wide and on a phone, dark and light, axe finds nothing serious and the page fits the window."""
    ada = sit(size=SIZES[size])
    ada.page.goto(ada.daemon.url + "/")
    found = look_at("front", ada)
    ada.sign_in()
    for area in ada.areas():
        ada.go(area)
        found += look_at(area, ada)
    for area, link in INNER:
        ada.go(area)
        ada.page.get_by_role("link", name=link, exact=True).first.click()
        ada.page.locator("main h1", has_not_text=area).wait_for()
        found += look_at(f"{area}: {link}", ada)
    assert not found, "\n".join(found)


def look_at(name: str, ada: Person) -> list[str]:
    """The problems of the open page."""
    wrong = ada.violations()
    ada.page.emulate_media(color_scheme="light")
    wrong += [f"light: {line}" for line in ada.violations("color-contrast")]  # only colors change
    ada.page.emulate_media(color_scheme="dark")
    if ada.is_too_wide():
        wrong.append("scrolls sideways")
    return [f"{name}: {line}" for line in wrong]


def test_first_load(sit: Sit, say: Callable[[str], None]) -> None:
    """The largest first load is small with all its files; pages are not cached, everything else is."""
    ada = sit()
    ada.sign_in()
    shared: dict[str, int] = {}
    largest = (0, "")
    for area in ada.areas():
        ada.seen.answers.clear()
        ada.go(area)
        ada.page.wait_for_load_state("load")
        for answer in ada.seen.answers:
            is_file = "/ui/static/" in answer.url
            if not is_file and not answer.request.is_navigation_request():
                continue  # requested later; the previous page may have been left in the middle of it
            size = int(answer.headers["content-length"])  # the body may not be available after its page
            if is_file:
                shared[answer.url] = size
                assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            else:
                largest = max(largest, (size, area))
                assert answer.headers["cache-control"] == "no-store"
    total = largest[0] + sum(shared.values())
    say(f"{total} bytes at most for a first load: {largest[1]} with {largest[0]}, {len(shared)} files beside it")
    assert total < MOST_BYTES
