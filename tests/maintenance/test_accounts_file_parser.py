"""Parsing a file of accounts and keys: liberal in the input format, strict in the result."""

import hashlib
from contextlib import suppress
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from herod.credentials.imported_secret_hashes import hash_key_id
from herod.credentials.passwords import hash_password
from herod.maintenance.accounts_file_parser import AccountEntry, Entries, parse_entries
from herod_client.core.errors import RuntimeFailure
from herod_client.core.scope_graph import ScopeGraph
from herod_client.core.times import rfc3339_text

NOW = 1_800_000_000
SHA256 = hashlib.sha256(b"short").hexdigest()
GRAPH = ScopeGraph({"jobs:run": ("user",)})
KEY = f"""
[[hash_keys]]
key = "{"11" * 32}"
"""


def parse(text: str) -> Entries:
    """Parse as an import does."""
    return parse_entries(text.encode(), GRAPH, now=NOW)


def only(text: str) -> AccountEntry:
    """The only account of a file."""
    (account,) = parse(text).accounts
    return account


@pytest.mark.parametrize(
    "text",
    [
        '[[users]]\nclient_id = "c1"\nemail = " Ada@Example.org"\npassword_hash = "HASH"\nscope = "write"',
        '[users."ada@example.org"]\nclient_id = "c1"\npassword_hash = "HASH"\nscope = ["read", "write"]',
        '[accounts.c1]\nemail = "ada@example.org"\npassword = "HASH"\nscopes = "member"',
        '[user]\nclient_id = "c1"\nemail = "ada@example.org"\npassword_hash = "sha256:HASH"\nrole = "Write"',
        '[c1]\nemail = "ADA@EXAMPLE.ORG"\npassword_sha256 = "HASH"\nscope = "read,write"',
    ],
)
def test_outlines_of_hero_auth(text: str) -> None:
    """A list of tables, or tables by email or id, under any of the names give the same account."""
    account = only(text.replace("HASH", SHA256))
    assert (account.id, account.email, account.password_sha256) == ("c1", "ada@example.org", SHA256)
    assert (account.scope, account.networks, account.enabled) == (("write",), ("*",), True)


@pytest.mark.parametrize(
    ("field", "other", "most", "said"),
    [
        ("networks", 'scope = "read"\n', [f"n{number}" for number in range(64)], "At most 64 networks"),
        ("scope", "", ["read"] * 64, "A scope has at most 64 names"),
    ],
)
def test_lists_are_bounded(field: str, other: str, most: list[str], said: str) -> None:
    """Up to 64 networks or scopes are accepted; an entry with more is named, and nothing is imported."""
    mac = f"hmac-sha256:{hash_key_id(bytes.fromhex('11' * 32))}:{'ab' * 32}"
    account = f'[[users]]\nclient_id = "c1"\n{field} = '
    key = f'{KEY}[[keys]]\nid = "0kZ3vXq81LmT"\nname = "k"\nsecret_hash = "{mac}"\n{other}{field} = '
    for entry, name in ((account, "c1"), (key, "0kZ3vXq81LmT")):
        assert parse(f"{entry}{most}\n")
        with pytest.raises(RuntimeFailure, match=f"'{name}': {said}"):
            parse(f"{entry}{[*most, most[0]]}\n")


def test_what_is_not_understood_is_named() -> None:
    """Unknown fields and tables are named once each; of two names for one field the second is."""
    entries = parse(
        '[[users]]\nclient_id = "c1"\nlast_login = 3\nid = "x"\n[[users]]\nclient_id = "c2"\nlast_login = 4\n'
        "[settings]\na = 1\n"
    )
    assert set(entries.unread) == {"users: last_login", "users: id", "settings"}


def test_defaults() -> None:
    """The defaults are scope read, all networks, enabled and created now; a plain password is taken as typed."""
    account = only('[[users]]\nemail = "ada@example.org"\npassword = "short"\ncreated_at = 2999-01-01T00:00:00Z')
    assert (account.id, account.name, account.scope) == (None, "ada@example.org", ("read",))
    assert (account.password_sha256, account.created_at) == (SHA256, NOW)
    assert not only('[[users]]\nclient_id = "c1"\ndisabled = true').enabled
    assert only('[[users]]\nclient_id = "c1"\ncreated = 5').created_at == 5
    assert only('[[users]]\nclient_id = "c1"\ncreated = "1970-01-01T00:00:07"').created_at == 7


def test_secrets() -> None:
    """A hash is kept as a hash, a plain random secret as it is, and one chosen by a person is not accepted."""
    hashed = only(f'[[users]]\nclient_id = "c1"\nclient_secret_hash = "{SHA256}"').secret
    plain = only(f'[[users]]\nclient_id = "c1"\nclient_secret = "{SHA256}"').secret
    assert (hashed.sha256, plain.plain) == (SHA256, SHA256)
    assert not only('[[users]]\nclient_id = "c1"\nclient_secret = "hunter2"').secret
    assert SHA256 not in repr(hashed) + repr(plain)


def test_unknown_scopes_are_kept_and_named() -> None:
    """Unknown scopes are kept and reported; they grant nothing until the settings define them."""
    account = only('[[users]]\nclient_id = "c1"\nscope = "admin jobs:run ships:sail"')
    assert (account.scope, account.unknown) == (("admin", "ships:sail"), ("ships:sail",))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('email = "no address"', "address"),
        ('client_id = "a:b"', "client_id"),
        ('client_id = "service"', "client_id"),
        ('client_id = "legacy-admin-1"', "client_id"),
        ("client_id = 5", "not a string"),
        ('name = "evil\\u202Ename"', "invisible"),
        ('name = "local admin"', "is reserved"),
        ("", "neither"),
        ('client_id = "c1"\nscope = "a b()"', "scope"),
        ('client_id = "c1"\nscope = ""', "empty"),
        ('client_id = "c1"\nscope = [1]', "list of names"),
        ('client_id = "c1"\nnetworks = ["a/b"]', "network name"),
        ('client_id = "c1"\nenabled = "yes"', "neither true"),
        ('client_id = "c1"\ncreated_at = "soon"', "not a valid time"),
        ('client_id = "c1"\ncreated_at = true', "not a valid time"),
        ('client_id = "c1"\npassword_hash = "plain"', "Argon2id"),
        (f'client_id = "c1"\npassword_hash = "$argon2id$v=19$m=4194304,t=2,p=1${"A" * 22}${"A" * 43}"', "costs"),
        ('client_id = "c1"\nclient_secret_hash = "bcrypt"', "form"),
        (f'client_id = "c1"\nclient_secret_hash = "hmac-sha256:{"1" * 16}:{"2" * 64}"', "not in the file"),
        ('client_id = "c1"\n[[users]]\nclient_id = "c1"', "twice"),
        ('email = "a@b"\n[[users]]\nemail = "A@B"', "twice"),
        ('email = "a@bücher.example"\n[[users]]\nemail = "A@xn--bcher-kva.example"', "twice"),
        ('email = "a@example.org."', "ends with a dot"),
        ('email = "a@exa mple.org"', "name@host"),
        ('email = "a@☃.example"', "which is not valid"),
    ],
)  # fmt: skip
def test_what_may_not_be_stored(line: str, why: str) -> None:
    """An invalid value is refused with a message that contains no secret."""
    with pytest.raises(RuntimeFailure, match=why):
        parse(f"[[users]]\n{line}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("not toml", "TOML"),
        ("a = " + "[" * 5000, "TOML"),
        ('format = "herod accounts and keys 2"', "another herod"),
        ("users = 5", "list of tables"),
        ('[[hash_keys]]\nkey = "11"', "64"),
        ('[[keys]]\nid = "short"', "12 letters"),
        ('[[keys]]\nid = "AAAAAAAAAAAA"', "no name"),
        ('[[keys]]\nid = "AAAAAAAAAAAA"\nname = "a"\nscope = "read"', "missing"),
    ],
)
def test_files_that_are_refused(text: str, why: str) -> None:
    """A file without a list of accounts and keys is refused."""
    with pytest.raises(RuntimeFailure, match=why):
        parse(text)


@pytest.mark.parametrize(
    ("encoding", "why"),
    [("utf-16", "is UTF-16: save it as UTF-8"), ("utf-16-be", "is UTF-16"), ("latin-1", "is not UTF-8: save it")],
)
def test_encodings(encoding: str, why: str) -> None:
    """A byte order mark and Windows' line ends in the encrypted text are skipped; another encoding is named."""
    text = '[[users]]\r\nclient_id = "c1"\r\nname = "Zoë"\r\n'
    (account,) = parse_entries(text.encode("utf-8-sig"), GRAPH, now=NOW).accounts
    assert account.name == "Zoë"
    with pytest.raises(RuntimeFailure, match=f"the decrypted file {why}"):
        parse_entries(text.encode(encoding), GRAPH, now=NOW)
    with pytest.raises(RuntimeFailure, match="TOML"):
        parse('[[users]]\nclient_id = "c1"\nclient_id = "c2"')


def key_of(owner: str) -> str:
    """A key with the key of its hash."""
    secret_hash = f"hmac-sha256:{hash_key_id(bytes.fromhex('11' * 32))}:{'ab' * 32}"
    lines = f'id = "{"A" * 12}"\nname = "a"\nowner = "{owner}"\nscope = "read"\nsecret_hash = "{secret_hash}"'
    return f"{KEY}[[keys]]\n{lines}\n"


@pytest.mark.parametrize(
    ("owner", "account", "why"),
    [
        ("c2", "c1", "owner is not in the file"),
        ("", "c1", "its owner is empty"),
        ("A" * 12, "A" * 12, "of a key and of an account"),
    ],
)
def test_keys_beside_accounts(owner: str, account: str, why: str) -> None:
    """A key comes with its owner and has a unique id; the refusal contains no hash."""
    with pytest.raises(RuntimeFailure, match=why) as refusal:
        parse(f'{key_of(owner)}[[users]]\nclient_id = "{account}"')
    assert "abab" not in str(refusal.value)


@pytest.mark.parametrize(
    ("written", "end"),
    [
        ("2030-12-31", "2030-12-31T23:59:59Z"),
        ('"2030-12-31"', "2030-12-31T23:59:59Z"),
        ("2030-12-31T12:00:00Z", "2030-12-31T12:00:00Z"),
        ('"2030-12-31T12:00:00+02:00"', "2030-12-31T10:00:00Z"),
        ("1924905600", "2030-12-31T00:00:00Z"),
    ],
)
def test_when_a_key_expires(written: str, end: str) -> None:
    """A key expires at a time, or at the end of a day, as everywhere; a date of creation is the beginning of it."""
    text = key_of("").replace('owner = ""', f"expires_at = {written}\ncreated_at = 2026-12-31")
    (key,) = parse(text).keys
    assert key.expires_at is not None
    assert (rfc3339_text(key.expires_at), rfc3339_text(key.created_at)) == (end, "2026-12-31T00:00:00Z")


def test_nothing_secret_is_shown() -> None:
    """The `repr` of parsed entries shows no secret."""
    entries = parse(f'{key_of("c1")}[[users]]\nclient_id = "c1"\nclient_secret = "{"s" * 20}"')
    assert [one.owner for one in entries.keys] == ["c1"]
    shown = repr(entries) + repr(entries.keys) + repr(entries.accounts)
    assert not [word for word in ("abab", "ssss", "1111") if word in shown]


def test_a_password_hash_of_herod() -> None:
    """A password hash of herod is imported unchanged."""
    phc = hash_password("correct horse battery")
    assert only(f'[[users]]\nclient_id = "c1"\npassword_hash = "{phc}"').password == phc


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.lists(st.text(max_size=3)))


@given(content=st.binary(max_size=60))
def test_any_bytes(content: bytes) -> None:
    """Any bytes give entries or a refusal."""
    with suppress(RuntimeFailure):
        parse_entries(content, GRAPH, now=NOW)


@given(fields=st.dictionaries(st.sampled_from(["client_id", "email", "name", "scope", "networks", "enabled", "id",
       "client_secret", "client_secret_hash", "password", "password_hash", "created_at", "owner"]), scalars),
       table=st.sampled_from(["users", "keys"]))  # fmt: skip
def test_any_fields(fields: dict[str, Any], table: str) -> None:
    """Tables with known names and any values give entries or a refusal."""
    fields = {name: value for name, value in fields.items() if value is not None}
    with suppress(RuntimeFailure, UnicodeEncodeError):
        parse(tomli_w.dumps({table: [fields]}))
