"""The overview page: for admins the daemon's state and warnings, for others their own account and keys."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest

from herod.audit_event import AuditEvent
from herod.dashboard.bar_charts import HEIGHT, WIDTH, draw_bars
from herod.dashboard.pages.overview import show_bytes, show_span
from herod.identity.credential_types import Bearer
from herod.pipeline.process.deployment_info import Deployment
from herod.settings import QuotaSettings
from herod.store.store_interface import Writer
from support.herod_in_memory import LEGACY, NOW, Harness, open_harness
from support.page_visitor import open_pages, text, visit

DAY = 86_400


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A harness with pages."""
    async with open_harness() as built:
        open_pages(built)
        yield built


async def test_an_admin_sees_how_the_daemon_is(harness: Harness) -> None:
    """An admin sees addresses, store and counts, and the full menu."""
    harness.pipeline.process.deployment = Deployment(
        binds=("unix:/run/<herod>.sock", "127.0.0.1:3350"),
        store_path="/var/lib/herod/herod.db",
        store_bytes=lambda: 2_300_000,
    )
    page = await (await visit(harness)).read("/ui/home")
    for word in ("unix:/run/&lt;herod&gt;.sock", "127.0.0.1:3350", "/var/lib/herod/herod.db", "2.3 MB", "0.0.test"):
        assert word in page
    for name in ("audit", "legacy", "resources", "explain", "connect"):
        assert f'href="/ui/{name}?ticket=' in page
    assert re.search(r'<a id="tile-peers" href="/ui/peers\?ticket=[^"]+"><strong>0</strong>', page)
    assert not re.search(r"<script>|<style|\sstyle=|\shx-on|javascript:", page)


async def test_a_quota_that_is_nearly_reached(harness: Harness) -> None:
    """An admin is warned before a quota that all share is reached, and others see nothing of it."""
    harness.configure(quotas=QuotaSettings(service_keys=10))
    for number in range(8):
        await harness.service_key("read", f"s{number}")
    pages = await visit(harness)
    assert "service keys of at most 10" not in await pages.read("/ui/home")
    await harness.service_key("read", "s8")
    assert "There are 9 service keys of at most 10" in await pages.read("/ui/home")
    harness.configure(quotas=QuotaSettings(service_keys=9, peer_rules=1))
    await harness.admin("peers.allow", uid=1, scope="read")
    codes = [(one.code, one.level) for one in (await harness.admin("overview")).attention]
    assert codes.count(("quota", "now")) == 2


async def test_the_last_day(harness: Harness) -> None:
    """Sign-ins and denials are counted by the hour, with the counts of their rows."""

    def put(tx: Writer) -> None:
        for at, operation, outcome, count in (
            (NOW - 2 * DAY, "login", "ok", 1),
            (NOW - 3 * 3600, "login", "ok", 1),
            (NOW - 3 * 3600, "users.list", "denied", 41),
        ):
            event = AuditEvent(
                at=at, actor="a", method="none", source="s", operation=operation, outcome=outcome, count=count
            )
            tx.audit(event)

    await harness.store.write(put)
    page = await (await visit(harness)).read("/ui/home")
    hour = datetime.fromtimestamp(NOW - 3 * 3600, UTC)
    assert 'aria-label="2 sign-ins in the last 24 hours' in page
    assert f'aria-label="41 denials in the last 24 hours, most in the hour from {hour:%H}:00 UTC: 41."' in page
    assert page.count("<rect") == 3
    assert f"<title>{hour:%H}:00 UTC: 41</title>" in page
    assert page.count('<svg class="bars') == page.count('role="img"') == 2
    assert re.search(rf'<th scope="row">{hour:%Y-%m-%d %H}:00 UTC</th><td>41</td>', page)


async def test_what_needs_attention(harness: Harness) -> None:
    """Each possible warning is shown with its fix, most severe first."""
    await harness.service_key("read", "old <one>")
    await harness.call("whoami", Bearer(LEGACY["admin"]))
    harness.clock.now += 100 * DAY
    await harness.call("whoami", Bearer(LEGACY["user"]))
    await harness.service_key("read", "ends", expires_at=datetime.fromtimestamp(harness.clock.now + 3 * DAY, UTC))
    await harness.service_key("read", "stays", expires_at=datetime.fromtimestamp(harness.clock.now + 8 * DAY, UTC))
    harness.pipeline.process.deployment = Deployment(
        store_path="/store",
        weak_secrets=("HERO_SECRET", "HEROD_STORE_SECRET"),
        warnings=("a <warning> of the settings",),
        certificate_ends=lambda: harness.clock.now + 2 * DAY,
    )
    page = await (await visit(harness)).read("/ui/home")
    for word in (
        "HERO_SECRET is too short", "herod secret rotate --new-secret-file", "secret rotate --store-secret",
        "1 key will expire within a week", "1 key not used for 90 days", "old &lt;one&gt;",
        "1 legacy secret used within", "2 legacy secrets in the settings", "herod legacy promote legacy-user-",
        "a &lt;warning&gt; of the settings", "No backup has been made yet", "herod backup", "expires in 2 days",
        "Registration is open", "(HS256)",
    ):  # fmt: skip
        assert word in page, word
    assert "<one>" not in page
    assert re.findall(r'<span class="level ([a-z]+)">', page) == ["now"] * 2 + ["soon"] * 6 + ["consider"] * 4
    assert "stays" not in page


async def test_many_keys(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are examined up to a bound, and the page says that there may be more."""
    for number in range(12):
        await harness.service_key("read", f"key {number}", expires_at=datetime.fromtimestamp(NOW + 101 * DAY, UTC))
    harness.clock.now += 100 * DAY
    messages = {one.code: one.message for one in (await harness.admin("overview")).attention}
    assert messages["expiring"] == "12 keys will expire within a week."
    assert messages["unused"] == "12 keys not used for 90 days or more."
    monkeypatch.setattr("herod.store.store_interface.MAX_PAGE", 5)
    monkeypatch.setattr("herod.store.memory_state.MAX_PAGE", 5)
    monkeypatch.setattr("herod.operations.system.attention.MAX_KEYS", 10)
    seen = await harness.admin("overview")
    messages = {one.code: one.message for one in seen.attention}
    assert messages["unused"].startswith("At least 1")
    assert messages["expiring"].startswith("At least 1")
    assert max(len(one.subjects) for one in seen.attention) == 5


async def test_apps_that_may_be_given_admin(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is named with its page and what to do, while it is enabled; the command that is built in is not."""
    added = {}
    for name, scope in (("Harmless", "write"), ("Too <much>", "admin"), ("Off", "admin")):
        given = {"name": name, "redirect_uris": ["https://app.example.org/"], "scope": scope}
        added[name] = (await harness.admin("apps.add", **given)).client_id
        harness.clock.now += 1
    await harness.admin("apps.disable", client_id=added["Off"])
    page = await (await visit(harness)).read("/ui/home")
    assert "1 app may be given admin" in page
    assert f"herod app edit {added['Too <much>']} --scope read" in page
    assert re.search(rf'<a href="/ui/apps/{added["Too <much>"]}\?ticket=[^"]+">Too &lt;much&gt;</a>', page)
    monkeypatch.setattr("herod.store.store_interface.MAX_PAGE", 1)
    monkeypatch.setattr("herod.store.memory_state.MAX_PAGE", 1)
    monkeypatch.setattr("herod.operations.system.access_survey.MAX_RECORDS", 2)
    messages = {one.code: one.message for one in (await harness.admin("overview")).attention}
    assert messages["app_admin"].startswith("At least 1 app may")
    await harness.admin("apps.update", client_id=added["Too <much>"], scope="write")
    assert "app_admin" not in {one.code for one in (await harness.admin("overview")).attention}


async def test_nothing_needs_attention(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without warnings the page says so."""
    monkeypatch.setattr("herod.operations.system.attention.find_warnings", lambda facts, now: [])
    assert "Nothing needs attention" in await (await visit(harness)).read("/ui/home")


async def test_a_reader_sees_what_is_theirs(harness: Harness) -> None:
    """A reader sees the own account and keys, and neither the daemon's state nor admin areas."""
    harness.pipeline.process.deployment = Deployment(binds=("unix:/secret/place.sock",), warnings=("not for all",))
    await harness.service_key("read", "of somebody else")
    reader = await visit(harness, "bob@example.org", scope="read", name="Bob <b>")
    page = await reader.read("/ui/home")
    assert "Bob &lt;b&gt;" in page
    assert "No keys yet" in page
    for word in ("/secret/place", "not for all", "somebody else", "What needs attention", "/ui/audit", "/ui/legacy"):
        assert word not in page
    for area in ("audit", "legacy", "resources", "audit/new"):
        assert (await reader.get(f"/ui/{area}")).status == 403
    with pytest.raises(Exception, match="scope 'admin'"):
        await harness.call("overview", (await harness.user("write")).basic)


async def test_who_can_read_nothing(harness: Harness) -> None:
    """A registrar has no list of keys and still gets a page."""
    page = await (await visit(harness, "reg@example.org", scope="registrar", name="Reg")).read("/ui/home")
    assert "Your keys" not in page
    assert "Reg" in page


async def test_a_read_only_store_is_said_first(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only store is the first warning, with its reason."""
    admin = await visit(harness)
    monkeypatch.setattr(type(harness.store), "health", property(lambda _: ("read-only", "the disk failed")))
    page = await admin.read("/ui/home")
    assert '<strong class="level now">read-only</strong>' in page
    assert "The store is read-only: the disk failed" in page


async def test_the_page_refreshes_itself(harness: Harness) -> None:
    """Counts and charts refresh themselves, unless the user is typing, with that part of a newly fetched page."""
    admin = await visit(harness)
    page = await admin.read("/ui/home")
    (target,) = re.findall(r'<div id="live" hx-get="([^"]+)"', page)
    answer = await harness.request("GET", target.replace("&amp;", "&"), headers={**admin.cookie, "hx-request": "true"})
    assert 'id="live"' in text(answer)


async def test_long_looks_are_remembered_for_a_minute(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expensive overview is cached for a minute, and a cheap one is not."""
    looks = []

    async def look() -> int:
        looks.append(harness.clock.now)
        return len(looks)

    find = harness.pipeline.process.scans.find
    assert [await find("short", look, rows=10, now=at) for at in (0, 1)] == [1, 2]
    assert [await find("long", look, rows=10_000, now=at) for at in (100, 159, 160, 90)] == [3, 3, 4, 5]


async def test_a_day_with_too_many_rows(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day with too many rows is counted up to a bound, and the page says so."""
    monkeypatch.setattr("herod.operations.system.overview.AUDIT_PAGE", 2)
    admin = await visit(harness)
    for number in range(4):
        await harness.user(email=f"user{number}@example.org")
    seen = await harness.admin("overview")
    assert seen.is_whole_day
    assert sum(hour.sign_ins for hour in seen.hours) == 1
    monkeypatch.setattr("herod.operations.system.overview.MAX_AUDIT_ROWS", 4)
    assert not (await harness.admin("overview")).is_whole_day
    assert "more rows of this day" in await admin.read("/ui/home")


async def test_the_last_backup_is_known_from_the_audit_log(harness: Harness) -> None:
    """The age of the last backup comes from the audit log, with a warning when it is too old."""
    harness.pipeline.process.deployment = Deployment(store_path="/store")
    await harness.user()
    await harness.admin("backup")
    assert (await harness.admin("overview")).last_backup_at == datetime.fromtimestamp(NOW, UTC)
    codes = {one.code for one in (await harness.admin("overview")).attention}
    assert "backup" not in codes
    harness.clock.now += 8 * DAY
    (one,) = (one for one in (await harness.admin("overview")).attention if one.code == "backup")
    assert one.message == "The last backup is 8 days old."


async def test_no_secret_is_told(harness: Harness) -> None:
    """The operation's answer contains neither HERO_SECRET nor a legacy secret."""
    answer = msgspec.json.encode(await harness.admin("overview")).decode()
    for secret in LEGACY.values():
        assert secret not in answer


def test_bars() -> None:
    """The largest bar has the full height, none exceeds it, and nonzero ones are visible."""
    counts = [(datetime.fromtimestamp(NOW + hour * 3600, UTC), value) for hour, value in enumerate([0, 1, 10_000] * 8)]
    drawn = draw_bars("good", "Things", "things", counts)
    assert drawn.total == 8 * 10_001
    for bar, (_, value) in zip(drawn.bars, counts, strict=True):
        assert bar.y + bar.height == HEIGHT
        assert 0 <= bar.x < bar.x + bar.width <= WIDTH
        assert bar.height == {0: 0, 1: 4, 10_000: HEIGHT}[value]
    assert draw_bars("good", "Things", "things", counts[:1]).summary == "No things in the last 1 hours."


def test_words_for_numbers() -> None:
    """Sizes and durations are shown in their largest units."""
    assert [show_span(seconds) for seconds in (5, 65, 3_700, 90_000)] == ["5 s", "1 min", "1 h 1 min", "1 d 1 h"]
    assert [show_bytes(size) for size in (999, 1_500, 250_000, 3 * 10**9, 10**15)] == [
        "999 B", "1.5 kB", "250 kB", "3.0 GB", "1000.0 TB",
    ]  # fmt: skip
