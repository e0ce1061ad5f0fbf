"""Moving accounts and keys between stores: secrets keep working, and nothing is overwritten."""

import hashlib
import random
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from herod.credentials.accounts_file_encryption import decrypt_users, encrypt_users
from herod.credentials.keyring import Purpose
from herod.credentials.passwords import hash_password, verify_password
from herod.credentials.secret_hashes import hash_secret
from herod.identity.credential_types import Basic, Bearer, Presented
from herod.identity.identify import identify
from herod.maintenance.export_accounts import export_accounts
from herod.maintenance.import_accounts import Import, import_accounts
from herod.maintenance.restore import restore
from herod.maintenance.rotate_hero_secret import rotate_secret
from herod.pipeline.parameters.email_addresses import find_by_email
from herod.records import Account, ApiKey, HashKey
from herod.scopes.principal import Source
from herod.store.sqlite.sqlite_store import SqliteStore
from herod_client.core.errors import RuntimeFailure, SettingsError, Unauthenticated
from herod_client.core.key_format import KeyKind, new_key
from store.samples import account, key
from support.killed_commands import killer
from support.soak_rounds import count, seed
from support.stopped_store import NEW, NOW, OLD, contents, opened, put, save, settings, written
from support.store_runtime import runtime_of

CLIENT_SECRET = "herod_c_" + "x" * 49
PASSWORD = "canary horse battery"
PHC = hash_password(PASSWORD)
USER_KEY, SERVICE_KEY = new_key(KeyKind.USER, "A" * 12), new_key(KeyKind.SERVICE, "B" * 12)
SECRETS: tuple[Presented, ...] = (Basic("ada", CLIENT_SECRET), Bearer(USER_KEY), Bearer(SERVICE_KEY))
SEED = seed()
ROUNDS = count("IMPORT_KILLS")


async def fill(path: Path) -> Path:
    """Fill a store with an admin, her key, a service key, and a disabled account."""
    async with opened(path) as store:
        ring = store.keyring
        await put(
            store,
            account("ada", email="ada@example.org", password=PHC, scope=("admin",), epoch=3,
                    secret_hash=hash_secret(ring, "client_secret", "ada", CLIENT_SECRET)),
            account("bob", name='B"ob \\ Grüße', scope=("read", "jobs:run"), networks=("lab",), enabled=False),
            key("A" * 12, owner="ada", expires_at=NOW * 2, secret_hash=hash_secret(ring, "key", "A" * 12, USER_KEY)),
            key("B" * 12, owner=None, creator="gone", secret_hash=hash_secret(ring, "key", "B" * 12, SERVICE_KEY)),
        )  # fmt: skip
    return path


def export_to(path: Path, file: Path, *, secret: str | None = None, opens_with: str = OLD) -> Path:
    """Export a store to a file."""
    return written(file, export_accounts(settings(path, opens_with), secret=secret, now=NOW).content)


def who(store: SqliteStore, presented: Presented) -> str | None:
    """The principal of a secret in this store."""
    try:
        return identify(store, runtime_of(store), presented, Source(), NOW).id
    except Unauthenticated:
        return None


async def test_everybody_gets_in_elsewhere(tmp_path: Path) -> None:
    """Password, client secret and keys work in another store, with another root and another secret."""
    file = export_to(await fill(tmp_path / "a" / "herod.db"), tmp_path / "file", secret=NEW)
    path = tmp_path / "b" / "herod.db"
    done = import_accounts(settings(path, "another secret altogether, and long enough"), file, secret=NEW, now=NOW)
    assert (sorted(done.accounts), sorted(done.keys), done.is_new) == (["ada", "bob"], ["A" * 12, "B" * 12], True)
    assert done.admins == [("account", "ada", "ada@example.org")]
    assert done.unknown_scopes == [("account", "bob", "jobs:run")]
    assert (done.skipped, done.without_secret, done.unread) == ([], [("account", "bob")], ())
    async with opened(path, "another secret altogether, and long enough") as store:
        assert [who(store, one) for one in SECRETS] == ["ada", "ada", "B" * 12]
        assert who(store, Basic("ada", CLIENT_SECRET + "x")) is None
        assert who(store, Bearer(new_key(KeyKind.USER, "A" * 12))) is None
        ada, bob, mine = store.get(Account, "ada"), store.get(Account, "bob"), store.get(ApiKey, "A" * 12)
        assert ada is not None
        assert bob is not None
        assert mine is not None
        assert (ada.password, ada.created_at, ada.scope) == (PHC, 100, ("admin",))
        assert ada.epoch > 2**32  # no token of the other store names it
        assert (bob.enabled, bob.networks, bob.name) == (False, ("lab",), 'B"ob \\ Grüße')
        assert (mine.owner, mine.expires_at) == ("ada", NOW * 2)
        assert store.count(HashKey) == 1
        events = [(row.event.operation, row.event.target) for row in store.audit_rows()]
        assert sorted(events) == sorted(("import", id_) for id_ in (*done.accounts, *done.keys))
        assert (await store.verify_audit()).valid


async def test_odd_records_move(tmp_path: Path) -> None:
    """A name as long as an email and a grant without networks are imported; unusable keys are not exported."""
    email = f"{'long' * 40}@example.org"
    async with opened(tmp_path / "a.db") as store:
        await put(store, account("ada", email=email, name=email), key("A" * 12, networks=(), secret_hash=b"h" * 32),
                  key("B" * 12, name="broken"), key("C" * 12, owner="gone", secret_hash=b"h" * 32))  # fmt: skip
    done = import_accounts(settings(tmp_path / "b.db"), export_to(tmp_path / "a.db", tmp_path / "f"))
    assert (done.accounts, done.keys) == (["ada"], ["A" * 12])
    async with opened(tmp_path / "b.db") as store:
        ada, mine = store.get(Account, "ada"), store.get(ApiKey, "A" * 12)
        assert ada is not None
        assert mine is not None
        assert (ada.name, mine.networks) == (email, ())


async def test_a_lost_hash_key(tmp_path: Path) -> None:
    """Without the key of its hash a secret matches nothing."""
    path = tmp_path / "b.db"
    import_accounts(settings(path), export_to(await fill(tmp_path / "a.db"), tmp_path / "f"))
    async with opened(path) as store:
        for one in list(store.scan(HashKey)):
            await store.write(lambda tx, id_=one.id: tx.delete(HashKey, id_))  # type: ignore[misc]
        assert [who(store, one) for one in SECRETS] == [None, None, None]


async def test_on_and_on_and_home(tmp_path: Path) -> None:
    """Moving works again to a third store, through a change of the root, and back to the first."""
    first = await fill(tmp_path / "1.db")
    second, third = tmp_path / "2.db", tmp_path / "3.db"
    import_accounts(settings(second), export_to(first, tmp_path / "f1"))
    rotate_secret(settings(second), NEW, is_compromised=True)
    onward = export_to(second, tmp_path / "f2", opens_with=NEW)
    import_accounts(settings(third), onward, secret=NEW)
    async with opened(third) as store:
        assert [who(store, one) for one in SECRETS] == ["ada", "ada", "B" * 12]
    async with opened(first) as store:
        await store.write(lambda tx: [tx.delete(Account, "ada"), tx.delete(ApiKey, "A" * 12)])
        assert who(store, SECRETS[0]) is None
    done = import_accounts(settings(first), onward, secret=NEW, skip_existing=True)
    assert (done.accounts, done.keys) == (["ada"], ["A" * 12])
    assert [(kind, id_) for kind, id_, _ in done.revived] == [("account", "ada"), ("key", "A" * 12)]
    async with opened(first) as store:
        assert [who(store, one) for one in SECRETS] == ["ada", "ada", "B" * 12]
        assert store.count(HashKey) == 0  # it is this store's own key


async def test_hash_keys_survive_a_restore(tmp_path: Path) -> None:
    """Accounts imported after the backup are carried forward with the keys of their hashes."""
    path = await fill(tmp_path / "herod.db")
    async with opened(path) as store:
        await put(store, account("eve", secret_hash=b"first"))
        backup = await save(store, tmp_path / "b")
        await store.write(lambda tx: tx.delete(Account, "eve"))
    async with opened(tmp_path / "other.db") as store:
        hashed = hash_secret(store.keyring, "client_secret", "eve", CLIENT_SECRET)
        await put(store, account("eve", secret_hash=hashed))
    import_accounts(settings(path), export_to(tmp_path / "other.db", tmp_path / "f"))
    restore(settings(path), backup, now=NOW)
    async with opened(path) as store:
        assert who(store, Basic("eve", CLIENT_SECRET)) == "eve"


async def test_hero_auth(tmp_path: Path) -> None:
    """Passwords and client secrets of a Hero Auth file work, whether stored plain or as SHA-256."""
    digest = hashlib.sha256
    text = f"""
[[users]]
client_id = "c1"
email = "Ada@Example.org"
password_hash = "{digest(b"short").hexdigest()}"
client_secret = "the plain secret of c1"
scope = "admin"
last_login = 5

[[users]]
client_id = "c2"
name = "runner"
client_secret_hash = "{digest(b"the hashed secret of c2").hexdigest()}"
scope = "register"

[[users]]
client_id = "c3"
client_secret = "hunter2"
"""
    path = tmp_path / "herod.db"
    done = import_accounts(settings(path), written(tmp_path / "users.toml", encrypt_users(text, OLD)), now=NOW)
    assert (done.accounts, done.without_secret) == (["c1", "c2", "c3"], [("account", "c3")])
    assert done.unread == ("users: last_login",)
    async with opened(path) as store:
        ada, runner = store.get(Account, "c1"), store.get(Account, "c2")
        assert ada is not None
        assert runner is not None
        assert ada.password is not None
        assert ada.password.startswith("hero_auth:$argon2id$")
        assert verify_password("short", ada.password)
        assert runner.scope == ("registrar",)
        assert who(store, Basic("c1", "the plain secret of c1")) == "c1"
        assert who(store, Basic("c2", "the hashed secret of c2")) == "c2"
        for wrong in ("", "hunter2", digest(b"the hashed secret of c2").hexdigest()):
            assert all(who(store, Basic(client, wrong)) is None for client in ("c1", "c2", "c3"))
    again = import_accounts(settings(tmp_path / "2.db", NEW), export_to(path, tmp_path / "f"), secret=OLD)
    assert again.without_secret == [("account", "c3")]
    async with opened(tmp_path / "2.db", NEW) as store:
        assert who(store, Basic("c2", "the hashed secret of c2")) == "c2"


async def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    """Conflicts refuse the import; with skip_existing the rest is imported, and a repetition changes nothing."""
    file = export_to(await fill(tmp_path / "a.db"), tmp_path / "f")
    path = tmp_path / "b.db"
    async with opened(path) as store:
        await put(
            store,
            account("bob", name="our bob", email="bob@example.org"),
            key("C" * 12, owner=None, name="name of " + "B" * 12),
            account("zoe", email="ada@example.org"),
        )
    before = contents(tmp_path)
    with pytest.raises(RuntimeFailure, match="--skip-existing") as refusal:
        import_accounts(settings(path), file)
    for part in ("account bob (its client_id exists already)", "account ada (account zoe has its email)",
                 f"key {'A' * 12} (its owner's client_id is another",
                 f"key {'B' * 12} (key {'C' * 12} has its name)"):  # fmt: skip
        assert part in str(refusal.value)
    dry = import_accounts(settings(path), file, skip_existing=True, dry_run=True)
    assert (dry.accounts, dry.keys, dry.is_dry_run) == ([], [], True)
    assert contents(tmp_path) == before
    async with opened(path) as store:
        await store.write(lambda tx: tx.delete(Account, "zoe"))
    done = import_accounts(settings(path), file, skip_existing=True)
    assert (done.accounts, done.keys) == (["ada"], ["A" * 12])
    assert [one[:2] for one in done.skipped] == [("account", "bob"), ("key", "B" * 12)]
    again = import_accounts(settings(path), file, skip_existing=True)
    assert (again.accounts, again.keys, len(again.skipped)) == ([], [], 4)
    async with opened(path) as store:
        bob = store.get(Account, "bob")
        assert bob is not None
        assert bob.name == "our bob"


async def test_names_of_expired_keys_move(tmp_path: Path) -> None:
    """Of several keys with one name, all but one expired, all are imported; only one that has not takes the name."""

    def named(letter: str, **values: Any) -> ApiKey:
        return key(letter * 12, owner=None, secret_hash=b"h" * 32, **values)

    path, other = tmp_path / "a.db", tmp_path / "b.db"
    async with opened(path) as store:
        await put(
            store,
            named("C", name="runner", expires_at=NOW - 9, is_superseded=True),
            named("D", name="runner"),
            named("E", name="ended", expires_at=NOW - 9),
            named("F", name="live"),
        )
    async with opened(other) as store:
        await put(
            store,
            named("G", name="ended"),
            named("H", name="runner", expires_at=NOW - 9),
            named("I", name="live"),
        )
    file = export_to(path, tmp_path / "f")
    done = import_accounts(settings(other), file, skip_existing=True, now=NOW)
    assert [one[:2] for one in done.skipped] == [("key", "F" * 12)]
    async with opened(other) as store:
        holders = {
            name: [one.id for one in store.find(ApiKey, "name", "", name)] for name in ("runner", "ended", "live")
        }
    assert holders == {"runner": ["D" * 12], "ended": ["G" * 12], "live": ["I" * 12]}


@pytest.mark.parametrize("stored", ["ada@bücher.example", "ada@xn--bcher-kva.example", "ada@bücher.example."])
async def test_a_stored_email_in_another_spelling(tmp_path: Path, stored: str) -> None:
    """An account is not imported beside one with the same email in another spelling; their keys are those of one."""
    async with opened(tmp_path / "a.db") as store:
        mine = account("ada", email="ada@xn--bcher-kva.example", name="ada@xn--bcher-kva.example")
        await put(store, mine, key("A" * 12, owner="ada", secret_hash=b"h" * 32))
    file = export_to(tmp_path / "a.db", tmp_path / "f")
    done = import_accounts(settings(tmp_path / "new.db"), file)
    assert (done.accounts, done.keys) == (["ada"], ["A" * 12])
    async with opened(tmp_path / "new.db") as store:
        ada = store.get(Account, "ada")
        assert ada is not None
        assert ada.email == "ada@bücher.example"
    async with opened(tmp_path / "b.db") as store:
        await put(store, account("zoe", email=stored))
    with pytest.raises(RuntimeFailure, match="account zoe has its email"):
        import_accounts(settings(tmp_path / "b.db"), file)
    async with opened(tmp_path / "c.db") as store:
        await put(store, account("ada", email=stored))
    done = import_accounts(settings(tmp_path / "c.db"), file, skip_existing=True)
    assert (done.accounts, done.keys) == ([], ["A" * 12])


async def test_emails_that_only_earlier_versions_accepted(tmp_path: Path) -> None:
    """An export of a store is imported whole: with an address that is refused today, and two spellings of one."""
    emails = {
        "ada": "ada@bücher.example",
        "bea": "ada@xn--bcher-kva.example",
        "cay": "cay@-bad-.example",
        "dan": "dan@xn--bcher-kva.example",
        "eve": "eve@example.org.",
    }
    async with opened(tmp_path / "a.db") as store:
        await put(store, *(account(name, email=email, name=name) for name, email in emails.items()))
    done = import_accounts(settings(tmp_path / "b.db"), export_to(tmp_path / "a.db", tmp_path / "f"))
    assert sorted(done.accounts) == sorted(emails)
    async with opened(tmp_path / "b.db") as store:
        for name, email in emails.items():
            found = find_by_email(store, email)
            assert found is not None
            assert found.id == name
        dan = store.get(Account, "dan")
        assert dan is not None
        assert dan.email == "dan@bücher.example"


async def test_ids_are_one_name_space(tmp_path: Path) -> None:
    """An account never gets the id of a key, nor a key that of an account."""
    file = export_to(await fill(tmp_path / "a.db"), tmp_path / "f")
    path = tmp_path / "b.db"
    async with opened(path) as store:
        await put(store, account("A" * 12), key("ada"))
    done = import_accounts(settings(path), file, skip_existing=True)
    assert (done.accounts, done.keys) == (["bob"], ["B" * 12])


def test_a_dry_run_makes_no_store(tmp_path: Path) -> None:
    """A dry run reports what it would do and creates no store."""
    text = '[[users]]\nclient_id = "c1"\nnetworks = ["lab"]'
    file = written(tmp_path / "users.toml", encrypt_users(text, OLD))
    chosen = settings(tmp_path / "herod.db")
    done = import_accounts(chosen, file, dry_run=True)
    assert (done.accounts, done.is_new) == (["c1"], True)
    assert set(contents(tmp_path)) == {"users.toml"}


async def test_files_that_do_not_open(tmp_path: Path) -> None:
    """A wrong secret, damage, truncation, plain TOML, a missing and an oversized file are refused without effect."""
    file = export_to(await fill(tmp_path / "a" / "herod.db"), tmp_path / "f")
    content = file.read_bytes()
    path = tmp_path / "b" / "herod.db"
    with pytest.raises(SettingsError, match="--from-secret"):
        import_accounts(settings(path, NEW), file)
    flipped = bytearray(content)
    flipped[len(flipped) // 2] ^= 1
    for bad in (bytes(flipped), content[:-1], content[:20]):
        with pytest.raises(SettingsError, match="cannot be decrypted"):
            import_accounts(settings(path), written(tmp_path / "bad", bad))
    with pytest.raises(RuntimeFailure, match="bad is empty"):
        import_accounts(settings(path), written(tmp_path / "bad", b""))
    plain = '[[users]]\nclient_id = "c1"\nemail = "ada@example.org"\n'
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        with pytest.raises(RuntimeFailure, match="not encrypted"):
            import_accounts(settings(path), written(tmp_path / "bad", plain.encode(encoding)))
    with pytest.raises(RuntimeFailure, match="No such file"):
        import_accounts(settings(path), tmp_path / "missing")
    with pytest.raises(RuntimeFailure, match="over"):
        import_accounts(settings(path), Path("/dev/zero"))
    with pytest.raises(RuntimeFailure, match="no store"):
        export_accounts(settings(tmp_path / "c" / "herod.db"))
    assert not path.exists()


async def test_a_running_daemon_refuses(tmp_path: Path) -> None:
    """An import is refused while a daemon has the store open."""
    path = await fill(tmp_path / "herod.db")
    file = export_to(path, tmp_path / "f")
    async with opened(path):
        with pytest.raises(RuntimeFailure, match="in use"):
            export_accounts(settings(path))
        with pytest.raises(RuntimeFailure, match="in use"):
            import_accounts(settings(path), file)


async def test_what_an_export_holds(tmp_path: Path) -> None:
    """An export is sealed TOML with hashes instead of secrets, and is audited."""
    path = await fill(tmp_path / "herod.db")
    done = export_accounts(settings(path), now=NOW)
    text = decrypt_users(done.content, OLD).decode()
    table = tomllib.loads(text)
    assert [user["client_id"] for user in table["users"]] == ["ada", "bob"]
    for secret in (CLIENT_SECRET, PASSWORD, USER_KEY, SERVICE_KEY, OLD):
        assert secret not in text
    for clear in (b"ada@example.org", b"client_id", b"argon2"):
        assert clear not in done.content
    assert "ada" not in repr(done)
    async with opened(path) as store:
        assert store.audit_rows()[-1].event.operation == "export"
        assert store.keyring.key(Purpose.KEY_HASHES).hex() in text  # makes the keys work elsewhere


async def test_killed_midway(tmp_path: Path) -> None:
    """After a kill all of the import is there, or none, and the store opens."""
    users = "".join(f'[[users]]\nclient_id = "c{number}"\n' for number in range(300))
    file = written(tmp_path / "users.toml", encrypt_users(users, OLD))
    started = time.monotonic()
    import_accounts(settings(tmp_path / "0.db"), file)
    longest = time.monotonic() - started
    chance = random.Random(SEED)  # noqa: S311 - reproducible rounds
    seen = set()
    with killer() as rounds:
        for number in range(1, ROUNDS + 1):
            path = tmp_path / f"{number}.db"
            ended = rounds.run("import", [str(path), OLD, str(file)], chance.uniform(0, longest * 1.2))
            async with opened(path) as store:
                count = store.count(Account)
                assert (await store.verify_audit()).valid
            assert count == 300 if ended == "ended" else count in (0, 300)
            seen.add(ended)
    assert "killed" in seen


def test_reports_hold_no_secret() -> None:
    """Logs and reports of an import contain only ids."""
    assert Import.__struct_fields__ == (
        "store", "is_new", "is_dry_run", "accounts", "keys", "apps", "skipped", "admins", "revived", "without_secret",
        "unknown_scopes", "unknown_networks", "unread",
    )  # fmt: skip
