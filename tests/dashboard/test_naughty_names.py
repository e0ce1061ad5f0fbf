"""The Big List of Naughty Strings as names, through the real pages: accepted or refused, and always shown escaped.

Each page is compared with the same page for a plain name: the same elements with the same attributes, and the name
only as text.
"""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Final

import pytest

from herod.pipeline.parameters.text_normalization import parse_name
from herod_client.core.errors import InvalidRequest
from support.herod_in_memory import Harness
from support.page_visitor import Visitor, open_pages, rows, said, text, visit
from support.public_vectors import NAUGHTY_STRINGS, needs_naughty_strings

STRINGS: Final = NAUGHTY_STRINGS
pytestmark = needs_naughty_strings
PLAIN: Final = "a plain name"


class Skeleton(HTMLParser):
    """A page's elements with the names of their attributes, their text, and the values of its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.values: dict[str, str | None] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        given = dict(attrs)
        if tag == "input":
            self.values[given.get("name") or ""] = given.get("value")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", (data,)))


def name_of(string: str) -> str | None:
    """The name that herod normalizes it to; None if it is refused."""
    try:
        return parse_name(string)
    except InvalidRequest:
        return None


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """An admin who is signed in."""
    open_pages(harness)
    return await visit(harness)


FORMS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "keys": ("/ui/keys", {"for_": "service", "scope_read": "on", "ends": "never"}),
    "users": ("/ui/users", {"scope_read": "on", "email": ""}),
}


def test_the_list_is_whole() -> None:
    """The list has all 515 strings."""
    assert len(STRINGS) == 515


@pytest.mark.parametrize("kind", ["keys", pytest.param("users", marks=pytest.mark.soak)])
async def test_as_names(harness: Harness, ada: Visitor, kind: str, say: Callable[[str], None]) -> None:
    """Each string is a name that pages show as text, or is refused with a message and kept in the form."""
    path, form = FORMS[kind]
    good = Skeleton(text(await ada.send(path, name=PLAIN, **form))).elements
    bad = Skeleton(text(await ada.send(path, name="a\u200bb", **form))).elements
    taken: dict[str, None] = {}
    refused = 0
    for string in STRINGS:
        harness.clock.now += 1  # so that the list has them in this order
        answer = await ada.send(path, name=string, **form)
        page, name = text(answer), name_of(string)
        found = Skeleton(page)
        if name is None or (kind == "keys" and name in taken):
            assert answer.status == (400 if name is None else 409), string
            assert said(page), string
            assert found.elements == bad, string
            assert found.values["name"] == string.replace("\r\n", "\n"), string
            refused += 1
        else:
            assert answer.status == 200, string
            assert found.elements == good, string
            assert name in found.texts, string
            taken[name] = None
    ada.harness.clock.now += 1
    say(f"{len(STRINGS)} strings as names of {kind}: {len(STRINGS) - refused} taken, {refused} refused")
    assert len(STRINGS) - refused > 400
    if kind == "keys":
        await check_lists(ada, [*taken])


async def check_lists(ada: Visitor, names: list[str]) -> None:
    """Each row of the list is like that of the plain name, and contains the next name."""
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while len(seen) <= len(names):
        page = text(await ada.get("/ui/keys", **{"order": "oldest", **cursor}))
        seen += (found := rows(page))
        elements = Skeleton(page).elements
        body = elements[elements.index(("tbody", ())) + 1 :]
        row = body[: body.index(("tr", ()), 1)]
        assert body[: len(row) * len(found)] == row * len(found)
        cursor = {"cursor": page.split("cursor=")[-1].split("&")[0].split('"')[0]}
    assert seen == [PLAIN, *names]


async def test_as_filters(ada: Visitor) -> None:
    """Each string as a filter, half of them of keys and half of users, is echoed as text and causes no error."""
    for number, string in enumerate(STRINGS):
        path, field = (("/ui/keys", "name"), ("/ui/users", "who"))[number % 2]
        answer = await ada.get(path, **{field: string})
        assert answer.status in (200, 400, 404), string
        found = Skeleton(text(answer))
        assert found.values[field] == string.strip(), string
        assert {tag for tag, _ in found.elements} <= KNOWN, string


# The markup of the lists.
KNOWN: Final = {
    "a", "button", "div", "fieldset", "footer", "form", "h1", "h2", "head", "header", "html", "body", "img", "input",
    "label", "legend", "li", "link", "main", "meta", "nav", "option", "p", "path", "script", "section", "select",
    "span", "svg", "title", "ul", "use", "code", "table", "tbody", "td", "th", "thead", "time", "tr",
}  # fmt: skip
