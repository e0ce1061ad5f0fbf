"""The page for terminals: codes that are guessed, relayed or another's, other origins' forms, and what it says."""

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from herod.records import Delegation, DeviceCode
from herod.scopes.principal import Peer, Source
from herod.throttle.rules import USER_CODE
from support.device_app import DEVICE, ask_for_codes, codes_of, device_app, entered, poll, said_yes
from support.herod_in_memory import PASSWORD, Answer, Harness
from support.oauth_app import MCP, dynamic_app, registered_app
from support.page_visitor import OWN, Visitor, open_pages, said, text, visit

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
WRONG = "No terminal waits with this code"


@pytest.fixture
async def ada(harness: Harness) -> Visitor:
    """A person at a herod with pages."""
    open_pages(harness)
    return await visit(harness, scope="write")


def granted(harness: Harness) -> int:
    """How many delegations there are."""
    return harness.store.count(Delegation)


async def user_code(harness: Harness) -> str:
    """A user code that waits."""
    return str((await codes_of(device_app(harness)))["user_code"])


async def allow(person: Visitor, request: str, **fields: str) -> Answer:
    """Send the form of the question."""
    return await person.send("/ui/device", **{"request": request, "decision": "allow", **fields})


async def test_what_the_page_says(harness: Harness, ada: Visitor) -> None:
    """Who asks and who says so, from where and when, for what, as whom, until when; `read` alone is ticked."""
    codes = await codes_of(device_app(harness, name="Claude Code"), scope="admin write read mcp:x")
    page = await ada.do("/ui/device", user_code=codes["user_code"])
    for expected in (
        "“Claude Code”",
        "Nobody has checked it",
        codes["user_code"],
        "<code>127.0.0.1</code>",
        "The same place as this browser",
        MCP,
        "Ada",
        "ada@example.org",
        "nobody gets admin or owner by a code",
        "1 scope that herod does not know",
        f'My own terminal shows <span class="whole">{codes["user_code"]}</span>',
    ):
        assert expected in page, expected
    boxes = re.findall(r'name="scope:(\w+)" value="on"( checked)?', page)
    assert boxes == [("read", " checked"), ("write", "")]
    assert re.search(r'name="is_mine" value="on"[^>]*checked', page) is None
    assert page.index('value="deny"') < page.index('value="allow"')
    assert page.count("<time ") >= 2
    assert "autofocus" not in page
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("source", "label", "told"),
    [
        (Source(address="192.0.2.7"), "192.0.2.7", "Not where this browser is"),
        (Source(address="127.0.0.1", client="192.0.2.7"), "192.0.2.7", "Not where this browser is"),
        (Source(address="2001:db8::1"), "2001:db8::1", "Not where this browser is"),
        (Source(address="::1"), "::1", "The same place as this browser"),
        (Source(address="127.0.0.9"), "127.0.0.9", "The same place as this browser"),
        (Source(), "unix", "The same place as this browser"),
        (Source(peer=Peer(uid=4242, gid=4242)), "uid:4242", "perhaps by another user"),
        (Source(address="127.0.0.1", tcp_uid=4242), "127.0.0.1 (uid 4242)", "perhaps by another user"),
    ],
)
async def test_from_where(harness: Harness, ada: Visitor, source: Source, label: str, told: str) -> None:
    """The page says from where a code was asked for, and warns of what is not where the browser is."""
    app = await registered_app(harness, grants=(DEVICE,))
    form = urlencode({"client_id": app.client_id, "client_secret": app.secret, "resource": MCP})
    answer = await harness.request("POST", "/device_authorization", form=form, source=source)
    page = await ada.do("/ui/device", user_code=answer.json["user_code"])
    assert f"<code>{label}</code>" in page
    assert told in page


async def test_asked_by_a_web_page(harness: Harness, ada: Visitor) -> None:
    """A page in the person's own browser, which any user of the machine may serve, is not told to be the same place."""
    app = device_app(harness)
    by_page = {"origin": "http://localhost:9999", "sec-fetch-site": "same-site"}
    answer = await ask_for_codes(app, by_page)
    page = await ada.do("/ui/device", user_code=answer.json["user_code"])
    assert "A web page asked, of <code>http://localhost:9999</code>" in page
    assert "The same place" not in page


@pytest.mark.parametrize(
    "spelling",
    [
        str,
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: code.replace("-", " "),
        lambda code: f" {' '.join(code.lower())}\u00a0",
        lambda code: code.replace("-", "\u2013"),
        lambda code: "".join(chr(ord(one) + 0xFEE0) if one != "-" else one for one in code),
    ],
)
async def test_spellings(harness: Harness, ada: Visitor, spelling: object) -> None:
    """Case, spaces, dashes and full-width letters do not matter; the page shows the code as the terminal does."""
    code = await user_code(harness)
    assert callable(spelling)
    assert code in await ada.do("/ui/device", user_code=spelling(code))


async def test_a_link_with_the_code(harness: Harness, ada: Visitor) -> None:
    """A link fills the code in, tries nothing, and the person still has to send it and to say that it is theirs."""
    code = await user_code(harness)
    page = await ada.read("/ui/device", user_code=code)
    assert f'value="{code}"' in page
    assert "A link filled this code in" in page
    assert "“Agent”" not in page
    request = await entered(ada, code)
    answer = await allow(ada, request, scope_read="on")
    assert answer.status == 400
    assert "Say that your own terminal shows this code" in said(text(answer))
    assert granted(harness) == 0


@pytest.mark.parametrize("hostile", ['"><script>x</script>', "x" * 10_000, "\u202eABCD", "%00", "<b>"])
async def test_hostile_links(harness: Harness, ada: Visitor, hostile: str) -> None:
    """What a link fills in is text, and not much of it."""
    page = await ada.read("/ui/device", user_code=hostile)
    assert "<script>x" not in page
    assert "<b>" not in page
    assert len(re.findall(r'name="user_code" value="([^"]*)"', page)[0]) <= 64


async def test_wrong_codes_say_nothing(harness: Harness, ada: Visitor) -> None:
    """The answer is the same for a code that never was, that was answered, used, denied or is over."""
    app = device_app(harness)
    codes = [await codes_of(app) for _ in range(4)]
    await said_yes(ada, codes[0]["user_code"])
    await poll(app, codes[0]["device_code"])
    await said_yes(ada, codes[1]["user_code"])
    await ada.send("/ui/device", request=await entered(ada, codes[2]["user_code"]), decision="deny")
    harness.clock.now += 600
    answers = set()
    for code in ("BCDF-GHJK", *(one["user_code"] for one in codes), "", "😀" * 20):
        answer = await ada.send("/ui/device", user_code=code)
        shown = re.sub(r'value="[^"]*"', "", text(answer)).replace(" autofocus", "")
        shown = re.sub(r'<p class="help" id="whose">.*?</p>', "", shown)
        if code:
            answers.add((answer.status, shown))
            assert WRONG in said(text(answer))
    assert len(answers) == 1


async def test_guesses_are_counted(harness: Harness, ada: Visitor) -> None:
    """After ten wrong codes of an account from a source the next is refused, right or wrong, for a while."""
    code = await user_code(harness)
    assert USER_CODE.limit is not None
    for number in range(USER_CODE.limit):
        assert (await ada.send("/ui/device", user_code=f"BCDF-{number:04}")).status == 404
    locked = await ada.send("/ui/device", user_code=code)
    assert locked.status == 429
    assert "Too many attempts" in said(text(locked))
    eve = await visit(harness, "eve@example.org")
    assert code in await eve.do("/ui/device", user_code=code)
    harness.clock.now += USER_CODE.window + 1
    assert code in await ada.do("/ui/device", user_code=code)


async def test_a_page_burns_no_attempts(harness: Harness, ada: Visitor) -> None:
    """Links of another page try no code, so it cannot lock anybody out."""
    for number in range(20):
        await ada.get("/ui/device", user_code=f"BCDF-{number:04}")
    code = await user_code(harness)
    assert code in await ada.do("/ui/device", user_code=code)


async def test_another_persons_request(harness: Harness, ada: Visitor) -> None:
    """What one person entered another cannot decide about, nor what herod did not seal."""
    request = await entered(ada, await user_code(harness))
    eve = await visit(harness, "eve@example.org")
    for person, given in ((eve, request), (ada, request[:-4] + "AAAA"), (ada, ""), (ada, "é"), (ada, "x" * 9000)):
        answer = await allow(person, given, scope_read="on", is_mine="on")
        assert (answer.status, granted(harness)) == (400, 0)
        assert "Let <bdi" not in text(await person.get("/ui/device", request=given))
    assert (await allow(ada, request, scope_read="on", is_mine="on")).status == 200


async def test_two_people_decide(harness: Harness, ada: Visitor) -> None:
    """A code is decided about once: who comes second is told that nobody waits any more."""
    eve = await visit(harness, "eve@example.org")
    code = await user_code(harness)
    first, second = await entered(ada, code), await entered(eve, code)
    assert (await allow(ada, first, scope_read="on", is_mine="on")).status == 200
    for decision in ("allow", "deny"):
        answer = await eve.send("/ui/device", request=second, decision=decision, scope_read="on", is_mine="on")
        assert answer.status == 400
        assert "Nobody waits with this code any more" in said(text(answer))
    assert "Nobody waits" in await ada.read("/ui/device", status=400, request=first)
    (record,) = harness.store.scan(DeviceCode)
    assert (record.state, record.account) == ("allowed", ada.client_id)


async def test_apps_that_are_off_since(harness: Harness, ada: Visitor) -> None:
    """Nobody can allow an app that is not known any more."""
    request = await entered(ada, await user_code(harness))
    harness.configure(dynamic_apps="off")
    assert (await allow(ada, request, scope_read="on", is_mine="on")).status == 400
    assert "Nobody waits" in await ada.read("/ui/device", status=400, request=request)
    assert granted(harness) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "http://localhost:6274", "sec-fetch-site": "same-site"},
        {"origin": "null"},
        {},
        {"origin": "http://localhost", "sec-fetch-site": "cross-site"},
    ],
)
async def test_forms_of_other_pages(harness: Harness, ada: Visitor, headers: dict[str, str]) -> None:
    """CSRF: what another page sends is refused, even one that knows the ticket, and grants nothing."""
    request = await entered(ada, await user_code(harness))
    fields = {"request": request, "decision": "allow", "scope:read": "on", "is_mine": "on", "ticket": ada.ticket}
    answer = await harness.request("POST", "/ui/device", form=urlencode(fields), headers={**headers, **ada.cookie})
    assert answer.status in {400, 403}
    assert granted(harness) == 0


async def test_the_ticket_counts(harness: Harness, ada: Visitor) -> None:
    """The cookie alone decides nothing, nor does another session's ticket or none."""
    request = await entered(ada, await user_code(harness))
    eve = await visit(harness, "eve@example.org")
    for ticket in ("", eve.ticket, ada.ticket[:-1] + "x"):
        fields = {"request": request, "decision": "allow", "scope:read": "on", "is_mine": "on", "ticket": ticket}
        await harness.request("POST", "/ui/device", form=urlencode(fields), headers={**OWN, **ada.cookie})
    await harness.request("GET", f"/ui/device?{urlencode(fields)}", headers={**SAME_ORIGIN, **ada.cookie})
    assert granted(harness) == 0


async def test_it_is_never_in_a_frame(harness: Harness, ada: Visitor) -> None:
    """No origin may frame any of its pages, and its forms end at herod."""
    code = await user_code(harness)
    request = await entered(ada, code)
    answers = [
        await ada.get("/ui/device"),
        await ada.get("/ui/device", request=request),
        await ada.get("/ui/device", request="x"),
        await ada.send("/ui/device", user_code="BCDFGHJK"),
        await allow(ada, request),
        await allow(ada, request, scope_read="on", is_mine="on"),
    ]
    for answer in answers:
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "form-action 'self';" in answer.headers["content-security-policy"]


async def test_signing_in_leads_back(harness: Harness, ada: Visitor) -> None:
    """Who follows the link without a session signs in first, and lands at the page with the code filled in."""
    await harness.user("admin", name="an admin")
    code = await user_code(harness)
    answer = await harness.request("GET", f"/ui/device?user_code={code}", headers={"sec-fetch-site": "none"})
    shown = text(await harness.request("GET", answer.headers["location"], headers=SAME_ORIGIN))
    assert code not in shown
    back = re.findall(r'name="back" value="([^"]+)"', shown)[0]
    form = urlencode({"email": "ada@example.org", "password": PASSWORD, "back": back})
    signed_in = await harness.request("POST", "/ui/sign-in", form=form, headers=OWN)
    location = urlsplit(signed_in.headers["location"])
    assert location.path == "/ui/device"
    assert dict(parse_qsl(location.query))["user_code"] == code


async def test_a_session_of_no_person(harness: Harness, ada: Visitor) -> None:
    """Who signed in with an API key is led to sign in as a person, and cannot even try a code."""
    user = await harness.user("write")
    form = urlencode({"key": await user.key("write")})
    signed_in = await harness.request("POST", "/ui/sign-in/key", form=form, headers=OWN)
    cookie = {"cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    by_key = Visitor(harness, user.client_id, cookie, signed_in.headers["location"].partition("ticket=")[2])
    code = await user_code(harness)
    request = await entered(ada, code)
    for answer in (
        await by_key.get("/ui/device"),
        await by_key.get("/ui/device", request=request),
        await by_key.send("/ui/device", user_code=code),
        await allow(by_key, request, scope_read="on", is_mine="on"),
    ):
        assert 'name="password"' in text(answer)
        assert "Let <bdi" not in text(answer)
    assert granted(harness) == 0


async def test_nothing_ticked(harness: Harness, ada: Visitor) -> None:
    """Allowing without a tick shows the page again as it was filled in, and says what to do."""
    codes = await codes_of(device_app(harness), scope="read write")
    request = await entered(ada, codes["user_code"])
    answer = await allow(ada, request, is_mine="on")
    assert "Tick what the app may do" in said(text(answer))
    assert re.search(r'name="is_mine" value="on"[^>]* checked', text(answer))
    assert re.findall(r'name="scope:\w+" value="on"( checked)?', text(answer)) == ["", ""]
    answer = await allow(ada, request, scope_write="on")
    assert re.findall(r'name="scope:(\w+)" value="on" checked', text(answer)) == ["write"]
    assert granted(harness) == 0


@pytest.mark.parametrize("decision", ["deny", "", "yes"])
async def test_denial_is_easy(harness: Harness, ada: Visitor, decision: str) -> None:
    """One click denies, without a tick; so does a form with no known button."""
    code = await user_code(harness)
    answer = await ada.send("/ui/device", request=await entered(ada, code), decision=decision)
    assert answer.status == 200
    assert "gets nothing" in text(answer)
    (record,) = harness.store.scan(DeviceCode)
    assert (record.state, granted(harness)) == ("denied", 0)


async def test_who_is_not_admitted(harness: Harness, ada: Visitor) -> None:
    """An app that admits confirmed accounts alone, or asks for what the person does not have, is not offered."""
    app = await registered_app(harness, grants=(DEVICE,), scope=("registrar",))
    codes = await codes_of(app, scope="registrar")
    request = (await ada.send("/ui/device", user_code=codes["user_code"])).headers["location"]
    answer = await harness.request("GET", request, headers={**OWN, **ada.cookie})
    assert "you cannot give with a code" in said(text(answer))
    strict = await registered_app(harness, name="Strict", grants=(DEVICE,), admits_unconfirmed=False)
    await harness.call("register", None, email="eve@example.org", password=PASSWORD)
    codes = await codes_of(strict)
    form = urlencode({"email": "eve@example.org", "password": PASSWORD})
    opened = await harness.request("POST", "/ui/sign-in", form=form, headers=OWN)
    cookie = {"cookie": opened.headers["set-cookie"].partition(";")[0]}
    eve = Visitor(harness, "eve", cookie, opened.headers["location"].partition("ticket=")[2])
    location = (await eve.send("/ui/device", user_code=codes["user_code"])).headers["location"]
    answer = await harness.request("GET", location, headers={**OWN, **eve.cookie})
    assert "An admin must confirm your account" in said(text(answer))


@pytest.mark.parametrize(
    ("name", "shown", "warned"),
    [
        ("Claude Code ✔ verified", "Claude Code verified", "verified nothing"),
        ("<b>x</b>", "bx/b", ""),
        ("Сlaude", "Сlaude", "imitate"),
    ],
)
async def test_names_that_pretend(harness: Harness, ada: Visitor, name: str, shown: str, warned: str) -> None:
    """Names are shown as on the consent page, with its warnings."""
    codes = await codes_of(device_app(harness, name=name))
    page = await ada.do("/ui/device", user_code=codes["user_code"])
    assert f"“{shown}”" in page
    assert warned in page


async def test_everything_to_give_and_read(harness: Harness, ada: Visitor) -> None:
    """Of an app that asks for all there is, a person can give `read` alone, and that is what is ticked."""
    answer = await ask_for_codes(device_app(harness), client_id="herod-cli", scope=None, resource="http://localhost")
    page = await ada.do("/ui/device", user_code=answer.json["user_code"])
    assert re.findall(r'name="scope:(\w+)" value="on" checked', page) == ["read"]
    assert 'name="scope:admin"' not in page


async def test_a_secret_of_its_own_making(harness: Harness, ada: Visitor) -> None:
    """An app that registered itself with a secret is as little known as one without: `read` alone is ticked."""
    app = dynamic_app(harness, grants=(DEVICE,), auth_method="client_secret_basic")
    page = await ada.do("/ui/device", user_code=(await codes_of(app, scope="write read"))["user_code"])
    assert re.findall(r'name="scope:(\w+)" value="on" checked', page) == ["read"]
    assert 'name="scope:write"' in page
