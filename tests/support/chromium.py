"""A real browser for tests: Debian's Chromium, driven by Playwright, against a real daemon.

Console messages, uncaught exceptions and policy violations of a page are recorded and fail the test that opened it.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Response, sync_playwright

from support.real_daemon import Daemon, running

ADMIN: Final = "ada@example.org"
PASSWORD: Final = "correct horse battery staple"
LEGACY: Final = "a secret of older days, long enough"
WIDE: Final = (1280, 900)
PHONE: Final = (390, 844)
AXE: Final = Path(__file__).parents[1] / "npm/node_modules/axe-core/axe.min.js"
WAIT_MS: Final = 60_000  # until a page counts as hanging

Theme = Literal["dark", "light"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is missing: apt install chromium")
    with sync_playwright() as playwright:
        # The pages are our own, on loopback; the sandbox needs namespaces that containers do not provide.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@dataclass
class Seen:
    """Errors seen on a page, and the responses that it loaded."""

    complaints: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)

    def note(self, line: ConsoleMessage) -> None:
        """Record a line of the console, unless it says that a sign-out did what it is for."""
        if not line.text.startswith("Clear-Site-Data header on"):
            self.complaints.append(f"{line.type}: {line.text} ({line.location})")

    def check(self) -> None:
        """Fail if any complaint was recorded."""
        assert not self.complaints, "\n".join(self.complaints)


@dataclass
class Person:
    """A user at a browser."""

    daemon: Daemon
    context: BrowserContext
    page: Page
    seen: Seen
    email: str = ADMIN

    def sign_in(self, email: str = ADMIN, password: str = PASSWORD) -> None:
        """Open the front page and sign in."""
        self.page.goto(self.daemon.url + "/")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).first.click()
        self.heading("Overview")

    def areas(self) -> list[str]:
        """The entries of the menu."""
        return [text.strip() for text in self.menu.get_by_role("link").all_inner_texts()]

    @property
    def menu(self) -> Locator:
        return self.page.get_by_role("navigation", name="Areas")

    def go(self, area: str) -> None:
        """Follow a link in the menu."""
        self.menu.get_by_role("link", name=area, exact=True).click()
        self.page.locator(".side nav a[aria-current=page]", has_text=area).wait_for(timeout=WAIT_MS)

    def heading(self, name: str | re.Pattern[str]) -> None:
        """Wait for a page with this first heading."""
        self.page.get_by_role("heading", level=1, name=name).wait_for(timeout=WAIT_MS)

    def said(self, text: str | re.Pattern[str]) -> None:
        """Wait for a toast."""
        self.page.locator("#toasts").get_by_text(text).wait_for(timeout=WAIT_MS)

    def button(self, name: str, within: Locator | None = None) -> Locator:
        """Find a button by its name."""
        return (within or self.page).get_by_role("button", name=name, exact=True)

    def sure(self, name: str) -> None:
        """Confirm in the confirmation dialog."""
        self.page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()

    def forgive(self, words: str) -> None:
        """Drop recorded complaints that contain these words, because the test provoked them."""
        self.seen.complaints[:] = [line for line in self.seen.complaints if words not in line]

    def is_too_wide(self) -> bool:
        """Whether the page itself scrolls sideways, as opposed to an element on it."""
        wide: bool = self.page.evaluate("document.scrollingElement.scrollWidth > innerWidth")
        return wide

    def picture(self, name: str) -> None:
        """Take pictures of the page in every theme and size, if HEROD_SHOTS names a folder for them."""
        folder = os.environ.get("HEROD_SHOTS")
        if not folder:
            return
        before = self.page.viewport_size
        for theme in ("dark", "light"):
            for size, (width, height) in {"wide": WIDE, "phone": PHONE}.items():
                self.page.emulate_media(color_scheme=theme)
                self.page.set_viewport_size({"width": width, "height": height})
                self.page.screenshot(path=Path(folder) / f"{name}-{theme}-{size}.png", full_page=True)
        self.page.emulate_media(color_scheme="null")
        if before is not None:
            self.page.set_viewport_size(before)

    def violations(self, *rules: str) -> list[str]:
        """Violations that axe rates serious or critical, by all its rules or by the given ones."""
        if not AXE.exists():
            pytest.skip("axe-core is missing: apt install npm, then `make test` fetches it")
        # Evaluated through the debugger, which the page's content security policy does not restrict.
        self.page.evaluate(_axe())
        options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
        found = self.page.evaluate("options => axe.run(document, options).then(found => found.violations)", options)
        return [_describe(one) for one in found if one["impact"] in ("serious", "critical")]


Sit = Callable[..., Person]


@contextmanager
def person(
    browser: Browser, daemon: Daemon, *, theme: Theme = "dark", size: tuple[int, int] = WIDE, **options: Any
) -> Iterator[Person]:
    """A separate browser context without cookies; complaints of its pages fail the test at the end.

    Args:
        theme: the color scheme that the system prefers.
        size: the window size.
        options: further Playwright options, such as `java_script_enabled`.
    """
    width, height = size
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(WAIT_MS)
    seen = Seen()
    page = context.new_page()
    page.on("console", seen.note)
    page.on("pageerror", lambda error: seen.complaints.append(f"thrown: {error}"))
    page.on("response", lambda answer: seen.answers.append(answer))  # noqa: PLW0108 - Playwright sets attributes on it
    try:
        yield Person(daemon, context, page, seen)
        seen.check()
    finally:
        context.close()


@contextmanager
def furnished(folder: Path, *, users: int = 12, keys: int = 12) -> Iterator[Daemon]:
    """Run a daemon with users, keys, rules and resources, and with `ADMIN` to sign in."""
    with running(folder, HEROD_USER_SECRET=LEGACY) as daemon:
        furnish(daemon, users=users, keys=keys)
        yield daemon


def furnish(daemon: Daemon, *, users: int, keys: int) -> None:
    """Fill a daemon with data."""
    ask(daemon, ("users.add", {"email": ADMIN, "name": "Ada Lovelace", "scope": "admin", "password": PASSWORD}))
    people = ("Grace Hopper", "Alan Turing", "Katherine Johnson", "Edsger Dijkstra", "Barbara Liskov", "Donald Knuth")
    services = ("backup", "scheduler", "mail relay", "metrics", "runner", "gateway")
    ask(
        daemon,
        *(
            ("users.add", {"email": f"{_slug(people[i % 6])}{i}@example.org", "name": _numbered(people, i), "scope": s})
            for i, s in zip(range(users), ["read", "write", "user"] * users, strict=False)
        ),
        *(
            ("keys.create", {"name": _numbered(services, i), "kind": "service", "scope": s})
            for i, s in zip(range(keys), ["read", "registrar", "user"] * keys, strict=False)
        ),
        ("peers.allow", {"uid": 1234, "scope": "read"}),
        ("peers.allow", {"gid": 4321, "scope": "write user", "networks": ["lab", "office"]}),
    )
    key = ask(daemon, ("keys.create", {"name": "job store", "kind": "service", "scope": "user"}))[0]["key"]
    for number in range(6):
        ask(
            daemon,
            ("resources.claim", {"kind": ("job", "volume")[number % 2], "name": f"thing {number}", "secret": "s" * 20}),
            credential=f"Bearer {key}",
        )
    ask(daemon, ("whoami", {}), credential=f"Bearer {LEGACY}")


def ask(daemon: Daemon, *calls: tuple[str, Mapping[str, Any]], credential: str | None = None) -> list[Any]:
    """Call operations over the socket, as the local admin or with another credential; return their results."""
    header = f"Authorization: {credential or 'Peer ' + daemon.cookie}"
    results = []
    for start in range(0, len(calls), 50):
        batch = [
            {"jsonrpc": "2.0", "id": number, "method": name, "params": dict(params)}
            for number, (name, params) in enumerate(calls[start : start + 50])
        ]
        _, answers, _ = daemon.curl("/", "--json", json.dumps(batch), "-H", header)
        for answer in answers:
            assert "result" in answer, answer
            results.append(answer["result"])
    return results


def _slug(name: str) -> str:
    return name.split(maxsplit=1)[0].lower()


def _numbered(names: tuple[str, ...], index: int) -> str:
    return names[index % len(names)] + (f" {index // len(names) + 1}" if index >= len(names) else "")


def _describe(violation: Mapping[str, Any]) -> str:
    where = "; ".join(f"{node['html'][:160]} {node['failureSummary']}" for node in violation["nodes"][:4])
    return f"{violation['impact']} {violation['id']}: {violation['help']}: {where}"


@cache
def _axe() -> str:
    return AXE.read_text()
