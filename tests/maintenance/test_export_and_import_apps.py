"""Moving registered apps between stores: secrets keep working, and what no admin could register is refused."""

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import tomli_w

from herod.credentials.accounts_file_encryption import decrypt_users, encrypt_users
from herod.identity.apps.app_credentials import app_with_secret, hash_app_secret, public_app
from herod.maintenance.export_accounts import export_accounts
from herod.maintenance.import_accounts import Import, import_accounts
from herod.records import App, HashKey
from herod_client.core.errors import BadCredentials, RuntimeFailure
from herod_client.core.key_format import new_client_secret
from store.samples import app
from support.stopped_store import NOW, OLD, opened, put, settings, written
from support.store_runtime import runtime_of

SECRET: Final = new_client_secret()


async def fill(path: Path) -> Path:
    """A store with a confidential app, a public one and one whose secret is lost."""
    async with opened(path) as store:
        await put(
            store,
            app("conf", name="Grafana", secret_hash=hash_app_secret(store.keyring, "conf", SECRET), scope=("admin",)),
            app("pub", name="Phone", redirect_uris=("org.example.notes:/cb",), remembers_consent=False, enabled=False),
            app("lost", name="Lost", secret_hash=b"odd"),
        )
    return path


def export_to(path: Path, file: Path) -> Path:
    """Export a store."""
    return written(file, export_accounts(settings(path), now=NOW).content)


def changed(file: Path, number: int, **changes: Any) -> Path:
    """The same export with another app of that number."""
    table = tomllib.loads(decrypt_users(file.read_bytes(), OLD).decode())
    table["apps"][number] |= changes
    return written(file.with_suffix(".changed"), encrypt_users(tomli_w.dumps(table), OLD))


def import_into(path: Path, file: Path, **options: Any) -> Import:
    """Import a file."""
    return import_accounts(settings(path), file, now=NOW, **options)


async def test_apps_work_elsewhere(tmp_path: Path) -> None:
    """The secret and the client_id keep working; a public app stays public; one without a valid secret is listed."""
    file = export_to(await fill(tmp_path / "a" / "herod.db"), tmp_path / "file")
    path = tmp_path / "b" / "herod.db"
    done = import_into(path, file)
    assert sorted(done.apps) == ["conf", "lost", "pub"]
    assert done.admins == [("app", "conf", "Grafana")]
    assert done.without_secret == [("app", "lost")]
    async with opened(path) as store:
        runtime = runtime_of(store)
        assert app_with_secret(store, runtime, "conf", SECRET) is not None
        for id_, secret in (("conf", new_client_secret()), ("lost", SECRET), ("lost", "odd")):
            with pytest.raises(BadCredentials):
                app_with_secret(store, runtime, id_, secret)
        with pytest.raises(BadCredentials, match="has a client secret"):
            public_app(store, runtime, "lost")
        phone = store.get(App, "pub")
        assert phone is not None
        assert (phone.is_confidential, phone.enabled, phone.creator) == (False, False, "ada")
        assert store.count(HashKey) == 1
        events = {(row.event.operation, row.event.target) for row in store.audit_rows()}
        assert events == {("import", id_) for id_ in done.apps}


async def test_an_imported_secret_moves_on(tmp_path: Path) -> None:
    """Exported again, to a third store, the secret still works."""
    first = export_to(await fill(tmp_path / "a" / "herod.db"), tmp_path / "first")
    import_into(tmp_path / "b" / "herod.db", first)
    second = export_to(tmp_path / "b" / "herod.db", tmp_path / "second")
    import_into(tmp_path / "c" / "herod.db", second)
    async with opened(tmp_path / "c" / "herod.db") as store:
        assert app_with_secret(store, runtime_of(store), "conf", SECRET) is not None


async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """An app whose client_id or name is taken is refused, or skipped and listed on request."""
    file = export_to(await fill(tmp_path / "a" / "herod.db"), tmp_path / "file")
    path = tmp_path / "b" / "herod.db"
    async with opened(path) as store:
        await put(store, app("pub", name="Mine"), app("other", name="GRAFANA"))
    with pytest.raises(RuntimeFailure, match=r"app other has its name.*its client_id exists already"):
        import_into(path, file)
    done = import_into(path, file, skip_existing=True)
    assert done.apps == ["lost"]
    assert sorted(done.skipped) == [
        ("app", "conf", "app other has its name"),
        ("app", "pub", "its client_id exists already"),
    ]
    async with opened(path) as store:
        mine = store.get(App, "pub")
    assert mine is not None
    assert mine.name == "Mine"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"redirect_uris": ["javascript:alert(1)"]}, "Invalid redirect URI"),
        ({"redirect_uris": "https://x/"}, "its redirect_uris is not a list"),
        ({"redirect_uris": []}, "needs a redirect URI"),
        ({"scope": "owner"}, "never given the scope|ever given the scope 'owner'"),
        ({"grants": ["password"]}, "its grants are not among"),
        ({"id_token_algorithm": "none"}, "its id_token_algorithm is none of"),
        ({"type": "other"}, "neither confidential nor public"),
        ({"type": "public", "needs_pkce": False}, "Only a confidential app"),
        ({"needs_pkce": "no"}, "its needs_pkce is neither true nor false"),
        ({"name": ""}, "it has no name"),
        ({"name": "\u202ex"}, "invisible"),
        ({"client_id": "herod app"}, "its client_id is not valid"),
        ({"client_id": "pub"}, "'pub' occurs twice"),
        ({"name": "PHONE"}, "app name 'phone' occurs twice"),
    ],
)
async def test_what_an_admin_could_not_register_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """A file cannot bring in an app that herod would refuse, and nothing else of it is imported then."""
    file = changed(export_to(await fill(tmp_path / "a" / "herod.db"), tmp_path / "file"), 0, **changes)
    path = tmp_path / "b" / "herod.db"
    with pytest.raises(RuntimeFailure, match=said):
        import_into(path, file)
    assert not path.exists()


async def test_an_older_export_has_no_apps(tmp_path: Path) -> None:
    """A file without apps is imported as before, and Hero Auth's file cannot have any."""
    old = written(tmp_path / "old", encrypt_users('format = "herod accounts and keys 1"\n', OLD))
    assert import_into(tmp_path / "b" / "herod.db", old).apps == []
    text = '[[users]]\nemail = "a@example.org"\n[[apps]]\nname = "x"\n'
    done = import_into(tmp_path / "c" / "herod.db", written(tmp_path / "hero", encrypt_users(text, OLD)))
    assert (done.apps, done.unread) == ([], ("apps",))
