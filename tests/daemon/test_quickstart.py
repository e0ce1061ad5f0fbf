"""The first steps of a new user, with curl alone, over the Unix socket and TCP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.real_daemon import SECRET, Daemon, environment, herod, running

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the module, with Supervisor's bootstrap key."""
    folder = tmp_path_factory.mktemp("quickstart")
    with running(folder, "--bootstrap-admin-key", "my-admin", "--admin-secret", "@" + secret_file(folder)) as started:
        yield started


def secret_file(folder: Path) -> str:
    """A legacy admin secret, a UUID as in Supervisor."""
    path = folder / "legacy"
    path.write_text("0f8fad5b-d9cb-469f-a165-70867728950e\n")
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def admin_key(daemon: Daemon) -> str:
    """The bootstrap key from its file."""
    return (daemon.folder / "store" / "bootstrap-my-admin.key").read_text().strip()


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
def test_from_registration_to_an_admins_call(daemon: Daemon, admin_key: str, tcp: bool) -> None:
    """Register, log in, get a token by Basic and form, validate, and be refused and accepted as an admin."""
    email = f"ada-{'tcp' if tcp else 'unix'}@example.org"
    body = f'{{"email":"{email}","password":"{PASSWORD}"}}'
    status, made, _ = daemon.curl("/register", "--json", body, tcp=tcp)
    assert status == 201
    status, login, headers = daemon.curl("/login", "--json", body, tcp=tcp)
    assert (status, login["client_id"], headers["cache-control"]) == (200, made["client_id"], "no-store")
    client = ("-u", f"{made['client_id']}:{made['client_secret']}")
    _, by_basic, _ = daemon.curl("/token", *client, "-d", "grant_type=client_credentials", tcp=tcp)
    form = f"grant_type=client_credentials&client_id={made['client_id']}&client_secret={made['client_secret']}"
    _, by_form, _ = daemon.curl("/token", "-d", form, tcp=tcp)
    for token in (login["access_token"], by_basic["access_token"], by_form["access_token"]):
        _, valid, _ = daemon.curl("/validate", "--json", f'{{"token":"{token}","scope":"read"}}', tcp=tcp)
        assert (valid["valid"], valid["sub"], valid["scope"]) == (True, made["client_id"], "read")
    refused = daemon.curl("/api/v1/users", "-H", f"Authorization: Bearer {by_basic['access_token']}", tcp=tcp)
    assert refused[0] == 403
    assert refused[1]["error"]["code"] == "missing_scope"
    assert "'admin'" in refused[1]["error"]["message"]
    assert refused[2]["www-authenticate"] == 'Bearer error="insufficient_scope", scope="admin"'
    status, users, _ = daemon.curl("/api/v1/users", "-H", f"Authorization: Bearer {admin_key}", tcp=tcp)
    assert status == 200
    assert email in {user["email"] for user in users["data"]}
    for name, value in (
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
    ):
        assert headers[name] == value
    assert "frame-ancestors" in headers["content-security-policy"]


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
def test_supervisors_flow(daemon: Daemon, admin_key: str, tcp: bool) -> None:
    """The bootstrap key verifies, creates, lists and removes at POST /."""
    assert daemon.rpc("auth.verify", {"key": admin_key}, tcp=tcp)["result"] == {
        "valid": True,
        "name": "my-admin",
        "scope": "admin",
    }
    params = {"admin_key": admin_key, "name": "runner", "scope": "registrar"}
    made = daemon.rpc("auth.create_key", params, tcp=tcp)["result"]
    assert (made["name"], made["scope"], made["expires_at"]) == ("runner", "registrar", None)
    names = {key["name"] for key in daemon.rpc("auth.list_keys", {"admin_key": admin_key}, tcp=tcp)["result"]}
    assert names == {"my-admin", "runner"}
    assert daemon.rpc("auth.remove_key", {"admin_key": admin_key, "key": made["key"]}, tcp=tcp)["result"] is True
    assert daemon.rpc("auth.verify", {"key": made["key"]}, tcp=tcp)["result"] == {"valid": False}
    assert daemon.rpc("auth.list_keys", {"admin_key": made["key"]}, tcp=tcp)["error"]["code"] == 4001


def test_a_legacy_secret_is_an_admin(daemon: Daemon) -> None:
    """A legacy admin secret is accepted as Supervisor's UUIDs were, in the header or as admin_key."""
    secret = "0f8fad5b-d9cb-469f-a165-70867728950e"
    status, who, _ = daemon.curl("/api/v1/whoami", "-H", f"X-Herod-Secret: {secret}")
    assert (status, who["data"]["scope"], who["data"]["method"]) == (200, "admin", "legacy_secret")
    assert "result" in daemon.rpc("auth.list_keys", {"admin_key": secret})


def test_the_bootstrap_key_is_made_once_and_logged_nowhere(daemon: Daemon, admin_key: str, tmp_path: Path) -> None:
    """The bootstrap key is written once, 0600 beside the store; the log names the file and never the key."""
    path = daemon.folder / "store" / "bootstrap-my-admin.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert admin_key not in daemon.logged(str(path))
    with running(tmp_path / "again", "--bootstrap-admin-key", "my-admin") as other:
        assert other.stop() == 0
    with running(tmp_path / "again", "--bootstrap-admin-key", "my-admin") as other:
        assert other.stop() == 0  # the log is complete by then
        assert "exists already" in other.log.read_text()


def test_what_was_made_survives_a_restart(tmp_path: Path) -> None:
    """Accounts, keys, tokens and revocations survive a restart; the cookie is new."""
    with running(tmp_path / "d") as daemon:
        key = daemon.herod("key", "create", "kept", "--scope", "admin", "--output", "json")
        assert key.returncode == 0, key.stderr
        text, cookie = json.loads(key.stdout)["key"], daemon.cookie
        client = json.loads(daemon.herod("user", "add", "ada@example.org", "--output", "json").stdout)
        basic = ("-u", f"{client['client_id']}:{client['client_secret']}")
        kept, revoked = (
            daemon.curl("/token", *basic, "-d", "grant_type=client_credentials")[1]["access_token"] for _ in range(2)
        )
        assert daemon.curl("/revoke", *basic, "-d", f"token={revoked}")[0] == 200
        assert daemon.stop() == 0
        assert not daemon.socket.exists()
    with running(tmp_path / "d") as daemon:
        assert daemon.rpc("auth.verify", {"key": text})["result"]["valid"] is True
        assert daemon.rpc("token.validate", {"token": kept})["result"]["valid"] is True
        assert daemon.rpc("token.validate", {"token": revoked})["result"] == {"valid": False, "reason": "revoked"}
        assert daemon.cookie != cookie
        assert daemon.curl("/api/v1/whoami", "-H", f"Authorization: Peer {cookie}")[0] == 401


def test_a_bootstrap_key_that_cannot_be_handed_over_is_not_made(tmp_path: Path) -> None:
    """A file in the place of the bootstrap key stops the start, and the next start creates the key."""
    folder = tmp_path / "d"
    in_the_way = folder / "store" / "bootstrap-my-admin.key"
    in_the_way.parent.mkdir(parents=True, mode=0o700)
    in_the_way.write_text("something else")
    env = environment(folder, HERO_SECRET=SECRET)
    store = f"sqlite:{folder}/store/herod.db"
    bind = f"unix:{folder}/other.sock"
    done = herod("serve", "--bind", bind, "--store", store, "--bootstrap-admin-key", "my-admin", env=env)
    assert done.returncode == 1
    assert str(in_the_way) in done.stderr
    assert "Traceback" not in done.stderr
    in_the_way.unlink()
    with running(folder, "--bootstrap-admin-key", "my-admin") as daemon:
        key = in_the_way.read_text().strip()
        assert daemon.rpc("auth.verify", {"key": key})["result"]["scope"] == "admin"
