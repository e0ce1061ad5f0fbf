"""No field of an account, key or app is lost on its way to another herod, or to users, unless its record says so."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from herod.credentials.imported_secret_hashes import OWN_KEY, ImportedHash, pack_hash
from herod.credentials.passwords import hash_password
from herod.maintenance.export_accounts import export_accounts
from herod.maintenance.import_accounts import import_accounts
from herod.pipeline.result_views import AppView, Key, User, account_view, key_view
from herod.records import Account, ApiKey, App, Record
from support.stopped_store import opened, put, settings

HASH = pack_hash(ImportedHash(OWN_KEY, bytes(range(32)), is_of_sha256=False))
# No field has its default, so that one that is not carried over shows.
ACCOUNT = Account(
    id="ada", created_at=5, email="ada@example.org", name="Ada", password=hash_password("correct horse battery"),
    secret_hash=HASH, scope=("write",), networks=("lab",), enabled=False, epoch=7,
)  # fmt: skip
KEY = ApiKey(
    id="A" * 12, created_at=6, expires_at=2**31, name="backup", owner="ada", creator="grace", secret_hash=HASH,
    scope=("read",), networks=("lab",), enabled=False, epoch=7,
)  # fmt: skip
APP = App(
    id="app", created_at=7, name="Grafana", creator="grace", secret_hash=HASH, scope=("write",), networks=("lab",),
    redirect_uris=("https://app.example.org/cb",), post_logout_uris=("https://app.example.org/",),
    grants=("authorization_code",), needs_pkce=False, needs_nonce=False, id_token_algorithm="ES256",
    remembers_consent=False, admits_unconfirmed=True, sends_unconfirmed_email=True, expands_scope=True, enabled=False,
)  # fmt: skip
RECORDS = pytest.mark.parametrize("record", [ACCOUNT, KEY, APP], ids=["account", "key", "app"])


@RECORDS
def test_every_field_says_where_it_appears(record: Record) -> None:
    """A new field is exported or not, shown or not."""
    assert set(record.field_uses) == set(record.__struct_fields__)


@RECORDS
def test_the_sample_shows_every_field(record: Record) -> None:
    """An exported field of the sample above has another value than its default."""
    defaults = dict(zip(reversed(record.__struct_fields__), reversed(record.__struct_defaults__), strict=False))
    exported = [name for name, use in record.field_uses.items() if use.exported]
    same = [name for name in exported if defaults.get(name, ...) == getattr(record, name)]
    assert same == []


@RECORDS
async def test_every_exported_field_arrives(record: Record, tmp_path: Path) -> None:
    """What one herod exports another has after the import."""
    here, there, file = tmp_path / "here.db", tmp_path / "there.db", tmp_path / "file"
    async with opened(here) as store:
        await put(store, ACCOUNT, KEY, APP)
    file.write_bytes(export_accounts(settings(here)).content)
    import_accounts(settings(there), file)
    async with opened(there) as store:
        arrived = store.get(type(record), record.id)
    for name, use in record.field_uses.items():
        if use.exported is not None and name != "secret_hash":  # it now names the key it was made with
            assert getattr(arrived, name) == getattr(record, name), name


@pytest.mark.parametrize(
    ("record", "view", "computed"),
    [
        (ACCOUNT, User, {"confirmed"}),
        (KEY, Key, {"kind", "last_used_at"}),
        (APP, AppView, {"type", "pkce", "built_in", "last_used_at"}),
    ],
)
def test_every_shown_field_is_in_the_view(record: Record, view: type[User | Key | AppView], computed: set[str]) -> None:
    """And the view holds nothing else but what is worked out."""
    assert {use.shown for use in record.field_uses.values() if use.shown} == set(view.__struct_fields__) - computed


def test_what_users_see() -> None:
    """Scopes are joined, networks sorted, times in UTC."""
    assert account_view(ACCOUNT) == User(
        client_id="ada",
        email="ada@example.org",
        name="Ada",
        scope="write",
        networks=["lab"],
        enabled=False,
        created_at=datetime.fromtimestamp(5, UTC),
        confirmed=True,
    )
    seen = key_view(KEY, None)
    assert (seen.kind, seen.scope, seen.networks) == ("user", "read", ["lab"])
    assert (seen.expires_at, seen.last_used_at) == (datetime.fromtimestamp(2**31, UTC), None)
