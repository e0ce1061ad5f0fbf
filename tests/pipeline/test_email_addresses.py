"""Email addresses: one normal form for every spelling, and accounts that are found by any of them."""

import re
import unicodedata

import idna
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.pipeline.parameters.email_addresses import MAX_EMAIL, parse_email
from herod.records import Account
from herod_client.core.errors import BadCredentials, Conflict, InvalidRequest, NotFound, RateLimited
from support.herod_in_memory import PASSWORD, TCP, Harness


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("ada@example.org", "ada@example.org"),
        (" ADA@Example.ORG\n", "ada@example.org"),
        ("ａｄａ@example.org", "ada@example.org"),
        ("root@localhost", "root@localhost"),
        ("a+b@x", "a+b@x"),
        ("ada@example\u3002org", "ada@example.org"),
        ("ada@example\uff0eorg", "ada@example.org"),
        ("ada@example\uff61org", "ada@example.org"),
        ("ada@127.0.0.1", "ada@127.0.0.1"),
        ("ada@my_host.local", "ada@my_host.local"),
        ("ada@r3---sn.example", "ada@r3---sn.example"),
        ("ada@" + "a" * 63, "ada@" + "a" * 63),
        ("üser@example.org", "üser@example.org"),
        ("a\u3002da@example.org", "a\u3002da@example.org"),  # only hosts have dots that IDNA reads
        *(
            (f"{letter}@x", f"{form}@x")
            for letter, form in zip(("J\u030c", "H\u0331", "T\u0308", "W\u030a", "Y\u030a"), "ǰẖẗẘẙ", strict=True)
        ),
    ],
)
def test_emails(text: str, email: str) -> None:
    """Emails are NFKC, lowercase, without surrounding space and with one dot, also if only lower case is composed."""
    assert parse_email(text) == parse_email(email) == email


def test_each_letter_of_an_email_has_one_form() -> None:
    """A normal form is its own normal form, for every capital letter, alone and with every mark."""
    marks = [chr(code) for code in range(0x300, 0x370)]
    letters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Lu", "Lt")]
    for texts in (letters, (letter + mark for letter in letters[:500] for mark in marks)):
        for text in texts:
            try:
                email = parse_email(f"{text}@x")
            except InvalidRequest:
                continue
            assert parse_email(email) == email


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@x",
        "a@",
        "a@b@c",
        "a b@c",
        "a@b\x00",
        "a\u202e@b",
        "a\u200b@b",
        "a@b.",
        "a@.b",
        "a@b..c",
        "a@b\u3002",
        "a\u3164@b",
        "a@b\ufe0f",
        "a\ud800@b",
        "a" * 250 + "@bcde",
    ],
)
def test_no_emails(text: str) -> None:
    """Invalid addresses and lookalikes of other addresses are refused."""
    with pytest.raises(InvalidRequest):
        parse_email(text)


UNICODE = "user@bücher.example"
ACE = "user@xn--bcher-kva.example"
DOMAINS = [
    # (the normal form, other spellings)
    (
        "bücher.example",
        "xn--bcher-kva.example",
        "XN--BCHER-KVA.Example",
        "BÜCHER.example",
        "bu\u0308cher.example",
        "bücher\u3002example",
        "ＢÜＣＨＥＲ．ｅｘａｍｐｌｅ",
    ),
    ("faß.example", "FAß.example", "FAẞ.example", "xn--fa-hia.example"),
    ("fass.example", "FASS.example"),
    ("σας.example", "xn--mxa8ab.example"),
    ("σασ.example", "ΣΑΣ.example", "xn--mxa9ab.example"),
    ("例え.テスト", "xn--r8jz45g.xn--zckzah", "例え。テスト", "例え.xn--zckzah"),
    ("аpple.example", "xn--pple-43d.example", "Аpple.example"),  # begins with a Cyrillic letter
    ("apple.example",),
    # An invisible joiner: for people, its A-label is the better spelling.
    ("xn--mgba3gch31f060k.example", "نامه\u200cای.example"),
    ("مثال.إختبار", "xn--mgbh0fb.xn--kgbechtv"),
]


@pytest.mark.parametrize("spellings", DOMAINS, ids=lambda spellings: str(spellings[0]))
def test_domains_have_one_spelling(spellings: tuple[str, ...]) -> None:
    """U-labels, A-labels, capitals, widths and dots of a domain are one address (RFC 5891, UTS 46)."""
    assert {parse_email(f"Ada@{domain}") for domain in spellings} == {f"ada@{spellings[0]}"}


def test_domains_that_look_alike_stay_apart() -> None:
    """Domains that only look alike, or are alike in IDNA 2003 only, are two."""
    assert len({parse_email(f"ada@{spellings[0]}") for spellings in DOMAINS}) == len(DOMAINS)


@given(
    st.lists(st.text(st.characters(categories=["L", "N", "M", "Pd"]), min_size=1, max_size=20), min_size=1, max_size=4)
)
def test_both_forms_of_a_domain_agree(labels: list[str]) -> None:
    """A normal form is a fixed point, and its A-labels have the same one."""
    try:
        email = parse_email(f"ada@{'.'.join(labels)}")
    except InvalidRequest:
        return
    _, _, domain = email.partition("@")
    in_ascii = ".".join(label if label.isascii() else idna.alabel(label).decode() for label in domain.split("."))
    assert parse_email(email) == parse_email(f"ada@{in_ascii}") == parse_email(f"ADA@{in_ascii.upper()}") == email


@given(st.text())
def test_a_normal_form_is_a_fixed_point(text: str) -> None:
    """Normalizing twice changes nothing."""
    for typed in (text, f"{text}@x", f"x@{text}"):
        try:
            email = parse_email(typed)
        except InvalidRequest:
            continue
        assert parse_email(email) == email
        assert len(email) <= MAX_EMAIL


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user@example.org.", "The domain of the email address ends with a dot: write it without."),
        ("user@example.org\u3002", "The domain of the email address ends with a dot: write it without."),
        ("user@xn--bcher-kva.example.", "The domain of the email address ends with a dot: write it without."),
        ("user@localhost.", "The domain of the email address ends with a dot: write it without."),
        ("user@example..org", "or has two in a row"),
        ("user@.example.org", "begins with a dot, or"),
        ("user@☃.example", "has the part '☃', which is not valid"),
        ("user@exa!mple.org", "has the part 'exa!mple', which is not valid"),
        ("user@-example.org", "has the part '-example', which is not valid"),
        ("user@example-.org", "has the part 'example-', which is not valid"),
        ("user@xn--a.example", "has the part 'xn--a', which is not valid"),
        ("user@xn--.example", "has the part 'xn--', which is not valid"),
        ("user@xn--bcher-.example", "has the part 'xn--bcher-', which is not valid"),
        ("user@a\u200cb.example", "which is not valid (RFC 5891): check its spelling."),
        ("user@\u0301b.example", "which is not valid (RFC 5891): check its spelling."),
        ("user@יאab.example", "which is not valid (RFC 5891): check its spelling."),
        ("user@" + "a" * 64 + ".example", "has a part of over 63 characters"),
        ("user@" + "ü" * 60 + ".example", "has a part of over 63 characters"),
        ("user@" + "ü" * 500 + ".example", "has a part of over 63 characters"),
        ("user@" + ".".join(["bücher"] * 20), "over 254 characters"),
        ("user@a\u00adb.example", "write it as name@host"),
        ("user@a\u202eb.example", "write it as name@host"),
        ("us\u200cer@example.org", "write it as name@host"),
    ],
)
def test_what_is_wrong_with_an_address(text: str, words: str) -> None:
    """Invalid addresses are refused with the part that is wrong."""
    with pytest.raises(InvalidRequest, match=re.escape(words)):
        parse_email(text)


def test_what_is_far_too_long_is_not_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too long a text is refused before normalization, because a long run of combining marks takes quadratic time."""

    def normalize(_form: str, text: str) -> str:
        assert len(text) <= 1024
        return text

    monkeypatch.setattr("herod.pipeline.parameters.email_addresses.unicodedata.normalize", normalize)
    for marks in (1024, 30_000):
        with pytest.raises(InvalidRequest):
            parse_email("a" + "\u0301\u0323" * marks + "@example.org")


@pytest.mark.parametrize("label", ["ü", "xn--tda", "ab", "שׁ", "a" * 63])
def test_far_too_many_parts_are_not_looked_at(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain of more parts than fit is refused before IDNA checks each: anybody can send one to /login."""
    checked = 0
    real = idna.uts46_remap

    def remap(domain: str, *, std3_rules: bool) -> str:
        nonlocal checked
        checked += 1
        return real(domain, std3_rules=std3_rules)

    monkeypatch.setattr("herod.domain_names.idna.uts46_remap", remap)
    with pytest.raises(InvalidRequest, match="over 253 characters"):
        parse_email(f"a@{'.'.join([label] * (1000 // (len(label) + 1)))}")
    assert checked == 0
    parse_email(f"a@{'.'.join([label] * 3)}")
    assert checked == 3


async def _account(harness: Harness, email: str, password: str = PASSWORD) -> str:
    """An account as an earlier version stored it, with that very email; its client_id."""
    user = await harness.user(email="someone@example.org", password=password)
    account = harness.store.get(Account, user.client_id)
    assert account is not None
    await harness.store.write(lambda tx: tx.put(msgspec.structs.replace(account, email=email)))
    return user.client_id


@pytest.mark.parametrize("created", [UNICODE, ACE, "user@BÜCHER.example"])
async def test_one_account_for_all_spellings(harness: Harness, created: str) -> None:
    """Whatever spelling an account was created with, it signs in with every other, and no second one can be created."""
    answer = await harness.request("POST", "/register", json={"email": created, "password": PASSWORD})
    assert answer.status == 201
    client_id = answer.json["client_id"]
    for spelling in (UNICODE, ACE, "USER@BÜCHER.EXAMPLE", "user@bücher\u3002example"):
        answer = await harness.request("POST", "/login", json={"email": spelling, "password": PASSWORD})
        assert (answer.status, answer.json.get("client_id")) == (200, client_id)
        answer = await harness.request("POST", "/register", json={"email": spelling, "password": PASSWORD})
        assert answer.status == 409
        with pytest.raises(Conflict):
            await harness.admin("users.add", email=spelling)
        found = await harness.admin("users.get", email=spelling)
        assert (found.client_id, found.email) == (client_id, UNICODE)
        explained = await harness.admin("access.explain", principal=spelling, scope="read")
        assert explained.allowed
    assert (await harness.admin("users.scope", email=ACE, scope="write")).client_id == client_id
    assert (await harness.admin("users.update", email=ACE, name="Ada")).client_id == client_id
    assert (await harness.admin("users.disable", email=UNICODE)).client_id == client_id
    assert (await harness.admin("users.delete", email=ACE)).client_id == client_id


@pytest.mark.parametrize(
    ("stored", "spellings"),
    [
        (UNICODE, [UNICODE, ACE, "USER@BÜCHER.example"]),
        (ACE, [UNICODE, ACE, "user@XN--bcher-kva.example"]),
        ("user@example.org.", ["user@example.org.", "user@example.org", "USER@example.org\u3002"]),
        ("user@☃.example", ["user@☃.example", "USER@☃.example"]),
        ("user@a--.example", ["user@a--.example"]),
    ],
)
async def test_accounts_of_earlier_versions(harness: Harness, stored: str, spellings: list[str]) -> None:
    """An account stays reachable by the spelling it was stored in, even one refused today, and by its normal form."""
    client_id = await _account(harness, stored)
    for spelling in spellings:
        signed_in = await harness.call("login", None, TCP, email=spelling, password=PASSWORD)
        assert signed_in.client_id == client_id
        found = await harness.admin("users.get", email=spelling)
        assert (found.client_id, found.email) == (client_id, stored)
        with pytest.raises((Conflict, InvalidRequest)):
            await harness.admin("users.add", email=spelling)


@pytest.mark.parametrize("order", [1, -1])
async def test_two_accounts_of_earlier_versions(harness: Harness, order: int) -> None:
    """If two spellings of one address were two accounts, each is reached by its own, and neither by the other's."""
    passwords = {UNICODE: "a password of the first one", ACE: "another one of the second"}
    ids = {email: await _account(harness, email, passwords[email]) for email in list(passwords)[::order]}
    for mine, other in ((UNICODE, ACE), (ACE, UNICODE)):
        signed_in = await harness.call("login", None, TCP, email=mine, password=passwords[mine])
        assert signed_in.client_id == ids[mine]
        with pytest.raises(BadCredentials):
            await harness.call("login", None, TCP, email=mine, password=passwords[other])
    await harness.admin("users.delete", email=ACE)
    assert (await harness.admin("users.get", client_id=ids[UNICODE])).email == UNICODE
    with pytest.raises(NotFound):
        await harness.admin("users.get", client_id=ids[ACE])


async def test_spellings_share_their_counter(harness: Harness) -> None:
    """Guesses at one address are counted together, in whatever spelling, whether or not there is an account."""
    await _account(harness, ACE)
    for local in ("user", "nobody"):
        spellings = [f"{local}@{domain}" for domain in DOMAINS[0]]
        for number in range(10):
            with pytest.raises(BadCredentials):
                await harness.call("login", None, TCP, email=spellings[number % len(spellings)], password="wrong")
        for spelling in spellings:
            with pytest.raises(RateLimited):
                await harness.call("login", None, TCP, email=spelling, password=PASSWORD)


async def test_no_counter_tells_who_is_there(harness: Harness) -> None:
    """An address that is refused today is counted like any other, whether or not an earlier version stored it."""
    await _account(harness, "user@☃.example")
    for email in ("user@☃.example", "nobody@☃.example"):
        for _ in range(10):
            with pytest.raises(BadCredentials):
                await harness.call("login", None, TCP, email=email, password="wrong")
        with pytest.raises(RateLimited):
            await harness.call("login", None, TCP, email=email, password="wrong")


async def test_a_reference_that_is_no_address(harness: Harness) -> None:
    """Where an account is named by email, what cannot be one is a 400 that says why, and an unknown one a 404."""
    for operation in ("users.get", "users.delete", "users.disable"):
        with pytest.raises(InvalidRequest, match="ends with a dot"):
            await harness.admin(operation, email="user@example.org.")
        with pytest.raises(NotFound):
            await harness.admin(operation, email=ACE)
