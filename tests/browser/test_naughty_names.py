"""Names that break layouts, in a real browser: no page gets wider than its window."""

from typing import Final

import pytest

from herod.pipeline.parameters.text_normalization import parse_name
from herod_client.core.errors import InvalidRequest
from support.chromium import PHONE, WIDE, Sit, ask
from support.public_vectors import NAUGHTY_STRINGS, needs_naughty_strings

SIZES: Final = {"wide": WIDE, "phone": PHONE}
WORST: Final = 20
pytestmark = needs_naughty_strings


def worst_names() -> list[str]:
    """The longest accepted strings, one of the maximum length without a space, and some right-to-left ones."""
    names: dict[str, None] = {"W" * 128: None}
    for string in sorted(NAUGHTY_STRINGS, key=len, reverse=True):
        try:
            names[parse_name(string)] = None
        except InvalidRequest:
            continue
    turning = [name for name in names if any("\u0590" <= character <= "\u08ff" for character in name)]
    return [*dict.fromkeys([*list(names)[:WORST], *turning])]


@pytest.mark.parametrize("size", SIZES)
def test_layout(sit: Sit, size: str) -> None:
    """Lists and pages of keys and users fit the window, and no script in a name runs."""
    ada = sit(theme="dark", size=SIZES[size])
    names = [f"{size[0]}{name}"[:128] for name in worst_names()]
    ask(ada.daemon, *(("keys.create", {"name": name, "kind": "service"}) for name in names))
    ask(ada.daemon, *(("users.add", {"name": name}) for name in names))
    ada.sign_in()
    for area in ("Keys", "Users"):
        ada.go(area)
        assert not ada.is_too_wide(), area
        for number in range(0, len(names), 5):
            ada.page.locator("tbody th a").nth(number).click()
            ada.page.get_by_role("heading", name="Details").wait_for()
            assert not ada.is_too_wide(), ada.page.locator("h1").inner_text()
            ada.go(area)
