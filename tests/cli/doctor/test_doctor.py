"""`herod doctor` finds problems, suggests fixes, and shows no secret."""

import json
import os
import pwd
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from herod_cli.doctor.account_checks import check_daemon_user, cookie_owner
from herod_cli.shared.output import width
from herod_client import UnixAddress
from support.fake_daemon import FakeDaemon, Reply, RpcError, fake_daemon, json_reply

Typed = Callable[..., Any]
SECRET = "correct horse battery staple, long enough"


def _checks(herod: Typed, code: int, *args: str) -> dict[str, list[dict[str, Any]]]:
    """Findings by check."""
    ended = herod("doctor", "--output", "json", *args)
    assert ended.code == code, ended
    answer = json.loads(ended.out)
    assert answer["ok"] is (code == 0)
    found: dict[str, list[dict[str, Any]]] = {}
    for check in answer["checks"]:
        found.setdefault(check["check"], []).append(check)
    return found


def _result(checks: dict[str, list[dict[str, Any]]], name: str) -> str:
    results = [check["result"] for check in checks[name]]
    return str(max(results, key=["ok", "warn", "fail"].index))


def test_all_is_well(daemon: FakeDaemon, machine: Path, herod: Typed) -> None:
    """A healthy daemon passes all checks, and every line fits."""
    cookie = machine / "run" / "herod" / "herod.sock.cookie"
    cookie.write_text("abcDEF0123456789_-", encoding="utf-8")
    cookie.chmod(0o600)
    ended = herod("doctor")
    assert ended.code == 0
    assert "You are Ada (account), by jwt: write." in ended.out
    assert "warn" not in ended.out
    assert all(width(line) <= 80 for line in ended.out.splitlines() if " " in line.strip())
    assert "abcDEF" not in ended.out
    checks = _checks(herod, 0)
    for name in ("looked", "cookie", "daemon", "health", "version", "identity", "credentials"):
        assert _result(checks, name) == "ok"


@pytest.mark.parametrize(
    ("uid", "shell", "mine", "result", "words"),
    [
        (0, "/bin/bash", 0, "ok", "as root"),
        (990, "/usr/sbin/nologin", 1000, "ok", "as herod, a user of its own"),
        (61234, None, 1000, "ok", "as uid 61234, a user of its own"),
        (1000, "/bin/bash", 0, "warn", "as herod: each program of herod can read its store"),
        (1001, "/usr/sbin/nologin", 1000, "ok", "a user of its own"),
        (990, "/usr/sbin/nologin", 990, "warn", "can read its store and secret"),
    ],
)
def test_as_whom_the_daemon_runs(
    daemon: FakeDaemon,
    machine: Path,
    herod: Typed,
    monkeypatch: pytest.MonkeyPatch,
    uid: int,
    shell: str | None,
    mine: int,
    result: str,
    words: str,
) -> None:
    """Where it is a person's user, any program of theirs can bypass consent and approvals, and that is said."""

    def known(asked: int) -> Any:
        if shell is None:
            raise KeyError(asked)
        return pwd.struct_passwd((("root" if asked == 0 else "herod"), "x", asked, asked, "", "/", shell))

    monkeypatch.setattr("herod_cli.doctor.account_checks.pwd.getpwuid", known)
    monkeypatch.setattr("herod_cli.doctor.account_checks.os.geteuid", lambda: mine)
    address = UnixAddress(str(machine / "run" / "herod" / "herod.sock"))
    assert list(check_daemon_user(address)) == []  # without a cookie nothing can be said
    Path(address.cookie_path).write_text("x", encoding="utf-8")
    assert cookie_owner(address) == os.getuid()
    monkeypatch.setattr("herod_cli.doctor.account_checks.cookie_owner", lambda _: uid)
    (finding,) = check_daemon_user(address)
    assert finding.result == result
    assert words in finding.text
    assert bool(finding.fix) is (result == "warn")


def test_no_daemon(machine: Path, herod: Typed) -> None:
    """Without a daemon the other checks still run."""
    checks = _checks(herod, 1)
    assert _result(checks, "address") == "fail"
    assert [check["text"].endswith("does not exist") for check in checks["looked"]] == [True, True, True]
    assert "store" in checks


def test_stale_socket(machine: Path, herod: Typed) -> None:
    """A stale socket fails, with the command that replaces it."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(machine / "run" / "herod" / "herod.sock"))
    assert "herod serve" in _checks(herod, 1)["daemon"][0]["fix"]


@pytest.mark.parametrize(
    ("issuer", "result", "words"),
    [
        ("http://localhost:3350", "ok", "reach the daemon at http://localhost:3350"),
        ("https://auth.example.org/x", "ok", "Passkeys belong to that name"),
        ("http://herod.invalid", "ok", "No browser can reach the daemon"),
        ("http://127.0.0.1:3350", "warn", "cannot belong to an address"),
        ("https://[2001:db8::1]", "warn", "cannot belong to an address"),
        ("http://herod.lan:3350", "warn", "without TLS"),
    ],
)
def test_the_public_url(daemon: FakeDaemon, herod: Typed, issuer: str, result: str, words: str) -> None:
    """The public URL is said, and a warning where people cannot have passkeys."""
    daemon.routes["GET", "/.well-known/oauth-authorization-server"] = json_reply({"issuer": issuer})
    checks = _checks(herod, 0)
    assert _result(checks, "public-url") == result
    assert words in checks["public-url"][0]["text"]


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        ({"items": [{"code": "passkeys_stranded", "message": "1 passkey", "fix": "Set public_url back."}]}, 1),
        ({"items": [{"code": "backup"}, "x"]}, 0),
        ({"items": 5}, 0),
        ({}, 0),
        (RpcError(4003, "no"), 0),
    ],
)
def test_passkeys_of_another_host(daemon: FakeDaemon, herod: Typed, answer: object, count: int) -> None:
    """Passkeys that belong to a former public URL are a warning, if the caller may know."""
    daemon.methods["attention"] = answer
    assert len(_checks(herod, 0).get("passkeys", [])) == count


@pytest.mark.parametrize("reply", [json_reply({"issuer": 1}), json_reply([]), json_reply({}, 404)])
def test_a_public_url_that_is_not_said(daemon: FakeDaemon, herod: Typed, reply: Reply) -> None:
    """Without metadata, nothing is said of it."""
    daemon.routes["GET", "/.well-known/oauth-authorization-server"] = reply
    assert "public-url" not in _checks(herod, 0)


def test_bad_address(herod: Typed) -> None:
    """An invalid address fails."""
    assert _result(_checks(herod, 1, "--url", "nowhere"), "address") == "fail"


def test_another_program(daemon: FakeDaemon, herod: Typed) -> None:
    """Another program on the socket is not taken for herod."""
    daemon.routes["GET", "/health"] = json_reply({"status": "ok", "service": "other"})
    assert "is not herod" in _checks(herod, 1)["daemon"][0]["text"]


def test_sick_old_and_strange(daemon: FakeDaemon, herod: Typed) -> None:
    """A read-only store fails; another version and a missing credential are warnings with a fix."""
    daemon.routes["GET", "/health"] = json_reply({"status": "read-only", "service": "herod", "reason": "fsync"}, 503)
    daemon.routes["GET", "/api/version"] = json_reply({"version": "9.9.9"})
    daemon.methods["whoami"] = RpcError(4001, "Who are you?")
    checks = _checks(herod, 1)
    assert _result(checks, "health") == "fail"
    assert "fsync" in checks["health"][0]["text"]
    assert _result(checks, "version") == "warn"
    assert "9.9.9" in checks["version"][0]["text"]
    assert _result(checks, "identity") == "warn"
    assert "herod peer allow --uid" in checks["identity"][0]["fix"]


def test_an_open_folder_and_cookie(daemon: FakeDaemon, machine: Path, herod: Typed) -> None:
    """A folder where others can create a socket, and a readable cookie, fail."""
    folder = machine / "run" / "herod"
    folder.chmod(0o777)
    (folder / "herod.sock.cookie").write_text("abcDEF0123456789_-", encoding="utf-8")
    (folder / "herod.sock.cookie").chmod(0o644)
    checks = _checks(herod, 1)
    assert checks["socket-folder"][0]["fix"] == f"chmod 755 {folder}"
    assert _result(checks, "cookie") == "fail"


def test_a_socket_of_a_group(daemon: FakeDaemon, machine: Path, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without access is told to join the socket's group, if the group has access."""
    path = machine / "run" / "herod" / "herod.sock"
    monkeypatch.setattr("os.access", lambda *_: False)
    path.chmod(0o600)
    assert "mode=0666" in _checks(herod, 1)["socket"][0]["fix"]
    path.chmod(0o660)
    monkeypatch.setattr("herod_cli.doctor.daemon_checks.owner", lambda _: "srw-rw---- herod:herod")
    assert "usermod -aG herod USER" in _checks(herod, 1)["socket"][0]["fix"]


def test_a_folder_that_a_group_can_write(daemon: FakeDaemon, machine: Path, herod: Typed) -> None:
    """A group-writable folder is a warning, as for `serve`."""
    (machine / "run" / "herod").chmod(0o775)
    assert _result(_checks(herod, 0), "socket-folder") == "warn"


def test_no_cookie(daemon: FakeDaemon, herod: Typed) -> None:
    """A socket without a cookie has no local admin, which is a warning."""
    assert _result(_checks(herod, 0), "cookie") == "warn"


def test_no_cookie_of_a_daemon_that_does_not_run(machine: Path, herod: Typed) -> None:
    """A daemon that does not answer has written no cookie, which says nothing about local admins."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(machine / "run" / "herod" / "herod.sock"))
    assert "cookie" not in _checks(herod, 1)


def test_an_unusable_credential(daemon: FakeDaemon, machine: Path, herod: Typed) -> None:
    """Saved sign-ins that others can read fail, and the daemon is still checked."""
    kept = machine / "config" / "herod" / "credentials.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"version": 1, "sign_ins": {}}', encoding="utf-8")
    kept.chmod(0o644)
    checks = _checks(herod, 1)
    assert f"chmod 600 {kept}" in checks["credentials"][0]["fix"]
    assert _result(checks, "credential") == "fail"
    assert _result(checks, "daemon") == "ok"


@pytest.mark.parametrize(
    ("secret", "result"), [(SECRET, "ok"), ("short but no placeholder", "fail"), ("your_secret_here" * 4, "fail")]
)
def test_secret_in_the_environment(
    secret: str, result: str, daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weak or placeholder secret fails; none is ever shown."""
    monkeypatch.setenv("HERO_SECRET", secret)
    ended = herod("doctor")
    assert secret not in ended.out + ended.err
    checks = _checks(herod, 0 if result == "ok" else 1)
    assert _result(checks, "secret" if result == "ok" else "settings") == result
    assert ("store-secret" in checks) is (result == "ok")


@pytest.mark.parametrize(("mode", "result"), [(0o600, "ok"), (0o400, "ok"), (0o640, "fail"), (0o604, "fail")])
def test_secret_file(
    mode: int, result: str, daemon: FakeDaemon, machine: Path, herod: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret's file must be readable by its owner only."""
    file = machine / "hero_secret"
    file.write_text(SECRET + "\n", encoding="utf-8")
    file.chmod(mode)
    monkeypatch.setenv("HERO_SECRET_FILE", str(file))
    assert _result(_checks(herod, 0 if result == "ok" else 1), "secret-file") == result


def test_missing_secret_file(daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that names a missing file fails."""
    monkeypatch.setenv("HERO_SECRET_FILE", "/nonexistent/hero_secret")
    assert _result(_checks(herod, 1), "secret-file") == "fail"


def test_store_modes(daemon: FakeDaemon, machine: Path, herod: Typed) -> None:
    """The store's folder and files must be accessible to their owner only."""
    folder = machine / "store"
    folder.mkdir(mode=0o700)
    for name in ("herod.db", "herod.db-wal"):
        (folder / name).touch()
        (folder / name).chmod(0o600)
    assert _result(_checks(herod, 0), "store") == "ok"
    (folder / "herod.db-wal").chmod(0o644)
    checks = _checks(herod, 1)
    assert [check["fix"] for check in checks["store"] if check["result"] == "fail"] == [
        f"chmod 600 {folder}/herod.db-wal"
    ]
    folder.chmod(0o755)
    assert f"chmod 700 {folder}" in [check["fix"] for check in _checks(herod, 1)["store"]]


def test_over_tcp(herod: Typed) -> None:
    """Over TCP the checks of the socket and the peer credential are skipped."""
    with fake_daemon() as daemon:
        daemon.routes["GET", "/health"] = json_reply({"status": "ok", "service": "herod"})
        daemon.routes["GET", "/api/version"] = json_reply({"version": "0.1.0"})
        daemon.methods["whoami"] = RpcError(4001, "Who are you?")
        checks = _checks(herod, 0, "--url", daemon.url)
    assert "--key @FILE" in checks["identity"][0]["fix"]
    assert not {"looked", "cookie", "socket-folder"} & set(checks)


@pytest.mark.parametrize("answer", [RpcError(5003, "Busy."), ["Ada"]])
def test_an_identity_that_cannot_be_told(answer: object, daemon: FakeDaemon, herod: Typed) -> None:
    """An error or a malformed answer of `whoami` fails the check."""
    daemon.methods["whoami"] = answer
    assert _result(_checks(herod, 1), "identity") == "fail"


def test_garbage(daemon: FakeDaemon, herod: Typed) -> None:
    """An answer that is not from herod fails the check."""
    daemon.routes["GET", "/health"] = Reply(200, b"<html>", "text/html")
    assert _result(_checks(herod, 1), "daemon") == "fail"


def test_unreadable_settings(daemon: FakeDaemon, machine: Path, herod: Typed) -> None:
    """An invalid settings file is a warning if no daemon is started from this shell."""
    (machine / "config" / "herod").mkdir(parents=True)
    (machine / "config" / "herod" / "herod.toml").write_text("[", encoding="utf-8")
    assert _result(_checks(herod, 0), "settings") == "warn"


@pytest.mark.parametrize(
    ("kinds", "is_warned"),
    [((), False), (("OKP",), False), (("RSA", "EC"), False), (("RSA", "OKP"), True), (("OKP", "EC", "RSA"), True)],
)
def test_an_ed25519_key_among_others(
    daemon: FakeDaemon, machine: Path, herod: Typed, kinds: tuple[str, ...], is_warned: bool
) -> None:
    """An Ed25519 key beside keys of other kinds is a warning, because older libraries then read none of them."""
    daemon.routes["GET", "/.well-known/jwks.json"] = json_reply({"keys": [{"kty": kind} for kind in kinds]})
    checks = _checks(herod, 0)
    assert ("public-keys" in checks) is is_warned
    if is_warned:
        assert _result(checks, "public-keys") == "warn"


@pytest.mark.parametrize("answer", [{}, [], {"keys": 5}, {"keys": [5, "OKP", {}]}])
def test_an_answer_that_is_no_key_set(daemon: FakeDaemon, machine: Path, herod: Typed, answer: object) -> None:
    """An answer that is not a key set is passed over."""
    daemon.routes["GET", "/.well-known/jwks.json"] = json_reply(answer)
    assert "public-keys" not in _checks(herod, 0)
