"""Forms of other origins and pages on other ports of this host gain nothing."""

import pytest

from dashboard.browser_sign_in import GOOD, OWN, open_session, sign_in, text
from support.herod_in_memory import PASSWORD, Harness


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://localhost:9999", "sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "https://localhost"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://friend.example", "sec-fetch-site": "cross-site"}, 400),
        ({"origin": "http://friend.example"}, 400),
        ({"origin": "http://localhost", "sec-fetch-site": "same-site"}, 400),
        ({"origin": "http://localhost", "sec-fetch-site": "none"}, 400),
        ({"sec-fetch-site": "same-origin"}, 400),
        ({}, 400),
    ],
)
async def test_forms_of_other_origins(dashboard: Harness, headers: dict[str, str], status: int) -> None:
    """Forms of another origin, which includes another port and origins allowed for the API, neither sign in nor out."""
    answer = await dashboard.request("POST", "/ui/sign-in", form=GOOD, headers=headers)
    assert answer.status == status
    assert "set-cookie" not in answer.headers
    cookie, home = await open_session(dashboard)
    out = await dashboard.request("POST", "/ui/sign-out", form=home.partition("?")[2], headers={**headers, **cookie})
    assert out.status == status
    assert (await dashboard.request("GET", home, headers=cookie)).status == 200
    await dashboard.pipeline.flush(is_last=True)
    denied = [row.event for row in dashboard.store.audit_rows() if row.event.outcome == "denied"]
    assert {event.reason for event in denied} == {"origin" if status == 403 else "foreign_form"}
    assert sum(event.count for event in denied) == 2


async def test_a_page_on_another_port_gains_nothing(dashboard: Harness) -> None:
    """Another port of this host receives the cookie, which is only half of the session's secret.

    Neither at the pages, with another ticket or none, nor at the API, nor as any other credential does it open
    anything.
    """
    cookie, home = await open_session(dashboard)
    half = cookie["cookie"].partition("=")[2]
    await dashboard.user(scope="read", email="eve@example.org", name="Eve", password=PASSWORD)
    mine = (await sign_in(dashboard, form=GOOD.replace("ada", "eve"))).headers["location"]
    for target in ("/", "/ui/home", "/ui/home?ticket=", f"/ui/home?ticket={half}", mine):
        answer = await dashboard.request("GET", target, headers=cookie)
        assert "Ada" not in text(answer), target
    for headers in (cookie, {"authorization": f"Bearer {half}"}, {"x-api-key": half}):
        assert (await dashboard.request("GET", "/api/v1/whoami", headers=headers)).status == 401
    out = await dashboard.request("POST", "/ui/sign-out", form=mine.partition("?")[2], headers={**OWN, **cookie})
    assert out.status == 303
    assert "Ada" in text(await dashboard.request("GET", home, headers=cookie))


async def test_a_cookie_set_by_another_port(dashboard: Harness) -> None:
    """A foreign cookie before herod's is ignored, and a cross-site link to a session leads to the front page."""
    cookie, home = await open_session(dashboard)
    tossed = {"cookie": f"herod_session=tossed; {cookie['cookie']}"}
    assert (await dashboard.request("GET", home, headers=tossed)).status == 200
    # An address that is typed at the other port and redirected from there comes as `none`.
    for site, status in (("same-site", 303), ("cross-site", 303), ("none", 303), ("same-origin", 200)):
        answer = await dashboard.request("GET", home, headers={**cookie, "sec-fetch-site": site})
        assert answer.status == status, site
        assert answer.headers.get("location", "/") == "/"


async def test_forms_with_keys_of_other_origins(dashboard: Harness) -> None:
    """A page of another origin cannot sign a user in with its own key."""
    key = await dashboard.service_key("read", "a reader")
    for headers in ({}, {"origin": "http://localhost", "sec-fetch-site": "same-site"}):
        answer = await dashboard.request("POST", "/ui/sign-in/key", form=f"key={key}", headers=headers)
        assert answer.status == 400
        assert "set-cookie" not in answer.headers
