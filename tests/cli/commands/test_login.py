"""`herod login`, `logout` and `whoami`: what is saved, for which daemon, and with which permissions."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from herod.protocols.error_codes import CODES
from herod_cli.sign_in import device_sign_in, lasting_sign_ins, password_sign_in
from herod_client.core.errors import SecondFactorNeeded
from support.fake_daemon import TOKEN, USER, WHOAMI, FakeDaemon, Reply, RpcError, fake_daemon, json_reply

Typed = Callable[..., Any]


@pytest.fixture
def kept(machine: Path) -> Path:
    """The file of saved sign-ins."""
    return machine / "config" / "herod" / "credentials.json"


def _login(herod: Typed, *args: str) -> Any:
    return herod("login", "ada@example.org", "--password-file", "-", *args, stdin=b"correct horse battery\n")


def test_login_keeps_a_token_for_its_owner_alone(daemon: FakeDaemon, herod: Typed, kept: Path) -> None:
    """The token is saved to a 0600 file in a 0700 folder, and not printed."""
    ended = _login(herod)
    assert ended.code == 0
    assert f"Signed in to {daemon.url} as ada@example.org" in ended.out
    assert TOKEN["access_token"] not in ended.out + ended.err
    [asked] = daemon.asked
    assert asked.json == {"email": "ada@example.org", "password": "correct horse battery"}
    assert asked.authorization is None
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert json.loads(kept.read_text(encoding="utf-8"))["sign_ins"][daemon.url]["access_token"] == "aaa.bbb.ccc"
    assert sorted(path.name for path in kept.parent.iterdir()) == ["credentials.json", "credentials.lock"]


@pytest.mark.parametrize("args", [("ada@example.org",), ("--email", "ada@example.org")])
def test_login_asks_at_the_terminal(
    args: tuple[str, ...], daemon: FakeDaemon, herod: Typed, terminal: Callable[..., None]
) -> None:
    """The password is prompted for."""
    terminal("correct horse battery")
    assert herod("login", *args).code == 0
    assert daemon.asked[0].json == {"email": "ada@example.org", "password": "correct horse battery"}


def test_login_asks_whose_password_a_file_has(
    daemon: FakeDaemon, herod: Typed, terminal: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a password and no email, the email is prompted for."""
    terminal()
    monkeypatch.setattr("click.prompt", lambda *_, **__: "ada@example.org")
    assert herod("login", "--password-file", "-", stdin=b"correct horse battery\n").code == 0
    assert daemon.asked[0].json == {"email": "ada@example.org", "password": "correct horse battery"}


def test_login_without_a_terminal(daemon: FakeDaemon, herod: Typed) -> None:
    """Without a terminal the options to use instead are named."""
    assert "--email EMAIL" in herod("login", "--password-file", "-").err
    assert "--password-file" in herod("login", "ada@example.org").err
    assert herod("login", "ada@example.org").code == 2
    assert daemon.asked == []


@pytest.mark.parametrize(
    "args",
    [
        ("ada@example.org", "--email", "ada@example.org"),
        ("ada@example.org", "--scope", "read"),
        ("--email", "ada@example.org", "--print"),
        ("--email", "ada@example.org", "--device"),
        ("--print", "--device"),
        ("--email", "ada@example.org", "--password-file", "-", "--otp-file", "-"),
    ],
)
def test_options_that_do_not_go_together(args: tuple[str, ...], daemon: FakeDaemon, herod: Typed) -> None:
    """Two ways to sign in at once are a usage error, before anything is sent."""
    ended = herod("login", *args, stdin=b"correct horse battery\n")
    assert ended.code == 2
    assert daemon.asked == []


def _needs_code(asked: Any) -> Reply:
    if "otp" not in asked.json:
        error = {"code": "second_factor_needed", "message": "This account has a second factor."}
        return json_reply({"error": error}, 401)
    return json_reply({**TOKEN, "client_id": USER["client_id"]})


def test_the_errors_names() -> None:
    """The errors that the command tells apart are those of the daemon."""
    assert SecondFactorNeeded.code == password_sign_in.NEEDS_CODE
    assert {row.oauth for row in CODES.values()} >= {lasting_sign_ins.INVALID_GRANT, *device_sign_in.ANSWERS}


def test_a_second_factor_is_asked_for(
    daemon: FakeDaemon, herod: Typed, terminal: Callable[..., None], kept: Path
) -> None:
    """Only if the account has one, its code is prompted for, and sent with the password."""
    daemon.answers["POST", "/login"] = _needs_code
    terminal("correct horse battery", "492039")
    assert herod("login", "--email", "ada@example.org").code == 0
    assert [asked.json.get("otp") for asked in daemon.asked] == [None, "492039"]
    assert daemon.asked[1].json["password"] == "correct horse battery"
    assert "492039" not in kept.read_text(encoding="utf-8")


def test_a_code_from_a_file(daemon: FakeDaemon, herod: Typed, machine: Path) -> None:
    """A code from a file or standard input is sent at once."""
    daemon.answers["POST", "/login"] = _needs_code
    (machine / "password").write_text("correct horse battery\n")
    ended = herod(
        "login", "--email", "ada@example.org", "--password-file", "password", "--otp-file", "-", stdin=b"492039\n"
    )
    assert ended.code == 0, ended.err
    assert [asked.json["otp"] for asked in daemon.asked] == ["492039"]


def test_a_code_without_a_terminal(daemon: FakeDaemon, herod: Typed, kept: Path) -> None:
    """Without a terminal the option for the code is named, and a browser for passkeys."""
    daemon.answers["POST", "/login"] = _needs_code
    ended = _login(herod)
    assert ended.code == 2
    assert "--otp-file FILE" in ended.err
    assert "passkey" in ended.err
    assert not kept.exists()


def test_a_wrong_password_keeps_nothing(daemon: FakeDaemon, herod: Typed, kept: Path) -> None:
    """A refused sign-in exits with 4 and saves nothing."""
    daemon.routes["POST", "/login"] = json_reply(
        {"error": {"code": "bad_credentials", "message": "Unknown email or wrong password."}}, 401
    )
    ended = _login(herod)
    assert (ended.code, ended.err) == (4, "herod: Unknown email or wrong password.\n")
    assert not kept.exists()


def test_what_was_kept_is_presented_there_alone(daemon: FakeDaemon, herod: Typed) -> None:
    """A saved token is sent only to the address it came from."""
    _login(herod)
    herod("whoami")
    assert daemon.asked[-1].authorization == "Bearer aaa.bbb.ccc"
    herod("whoami", "--peer")
    assert daemon.asked[-1].authorization == "Peer"
    with fake_daemon() as other:
        other.methods["whoami"] = WHOAMI
        herod("whoami", "--url", other.url)
        assert other.asked[-1].authorization is None


def test_two_daemons_two_sign_ins(
    daemon: FakeDaemon, herod: Typed, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sign-ins at two daemons are separate, and signing out where there is none names the other address."""
    monkeypatch.setenv("HEROD_INSECURE_HTTP", "1")
    with fake_daemon() as other:
        other.routes["POST", "/login"] = json_reply({**TOKEN, "access_token": "ddd.eee.fff"})
        other.methods["token.revoke"] = {"revoked": True}
        _login(herod)
        _login(herod, "--url", other.url)
        assert set(json.loads(kept.read_text(encoding="utf-8"))["sign_ins"]) == {daemon.url, other.url}
        assert herod("logout", "--url", other.url).code == 0
        assert other.params("token.revoke") == {"token": "ddd.eee.fff"}
        ended = herod("logout", "--url", other.url)
    assert ended.code == 1
    assert daemon.url in ended.err


def test_logout_revokes_and_forgets(daemon: FakeDaemon, herod: Typed, kept: Path) -> None:
    """The token is revoked and deleted."""
    _login(herod)
    assert herod("logout").code == 0
    assert daemon.params("token.revoke") == {"token": "aaa.bbb.ccc"}
    assert daemon.asked[-1].authorization == "Bearer aaa.bbb.ccc"
    assert not kept.exists()


@pytest.mark.parametrize(
    ("answer", "warns"), [(RpcError(4001, "It has expired."), False), (RpcError(5003, "Read-only."), True)]
)
def test_logout_forgets_even_if_revoking_fails(
    answer: RpcError, warns: bool, daemon: FakeDaemon, herod: Typed, kept: Path
) -> None:
    """A token that is already invalid is deleted silently, and one that could not be revoked with a warning."""
    _login(herod)
    daemon.methods["token.revoke"] = answer
    ended = herod("logout")
    assert ended.code == 0
    assert ("warning" in ended.err) is warns
    assert not kept.exists()


def test_a_dead_saved_token_says_what_to_do(daemon: FakeDaemon, herod: Typed) -> None:
    """When a saved token is refused, both possible fixes are named."""
    _login(herod)
    daemon.methods["whoami"] = RpcError(4001, "The token has expired.", {"code": "expired_token"})
    ended = herod("whoami")
    assert ended.code == 4
    assert "`herod login` signs in anew, `herod logout` removes it" in ended.err


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_readable_file_is_refused(mode: int, daemon: FakeDaemon, herod: Typed, kept: Path) -> None:
    """A file that others can read or write is not used, and the command that fixes it is named."""
    _login(herod)
    kept.chmod(mode)
    count = len(daemon.asked)
    ended = herod("whoami")
    assert ended.code == 1
    assert f"chmod 600 {kept}" in ended.err
    assert len(daemon.asked) == count
    assert herod("whoami", "--peer").code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user(daemon: FakeDaemon, herod: Typed, kept: Path) -> None:
    """A file that belongs to somebody else is not used, and said to be theirs."""
    _login(herod)
    os.chown(kept, 4711, -1)
    ended = herod("whoami")
    assert ended.code == 1
    assert "belongs to another user (uid 4711)" in ended.err
    assert herod("logout").code == 1
    assert kept.exists()


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"version": 2, "sign_ins": {}}', '{"version": 1, "sign_ins": {"a": 1}}', "[" * 100_000, "\x00"],
)
def test_a_damaged_file_is_refused(content: str, daemon: FakeDaemon, herod: Typed, kept: Path) -> None:
    """A file in another format is named and left unchanged."""
    kept.parent.mkdir(parents=True)
    kept.write_text(content, encoding="utf-8")
    kept.chmod(0o600)
    ended = herod("whoami")
    assert ended.code == 1
    assert "damaged" in ended.err
    assert kept.read_text(encoding="utf-8") == content


def test_no_home(daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a home the command uses its uid, and cannot sign in."""
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert herod("whoami").code == 0
    ended = _login(herod)
    assert ended.code == 1
    assert "XDG_CONFIG_HOME" in ended.err


def test_whoami(daemon: FakeDaemon, herod: Typed) -> None:
    """`whoami` prints everything that the daemon answers, and nothing of a sign-in that there is not."""
    assert herod("whoami").out.splitlines() == [
        f"sub       {USER['client_id']}",
        "kind      account",
        "name      Ada",
        "method    jwt",
        "scope     write",
        "networks  *",
    ]
    assert json.loads(herod("whoami", "--output", "json").out) == WHOAMI
