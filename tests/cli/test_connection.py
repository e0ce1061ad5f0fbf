"""Which daemon a command asks, with which credential, and how each failure exits."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.fake_daemon import USER, FakeDaemon, Reply, RpcError, fake_daemon, json_reply

Typed = Callable[..., Any]


def test_global_options_before_and_after(daemon: FakeDaemon, herod: Typed) -> None:
    """A global option may be anywhere on the command line, and the last one wins."""
    outs = {
        herod("--output", "json", "user", "list").out,
        herod("user", "--output", "json", "list").out,
        herod("user", "list", "--output", "json").out,
        herod("--output", "table", "user", "list", "--output", "json").out,
    }
    assert len(outs) == 1
    assert '"next_cursor": null' in outs.pop()


def test_looks_at_the_users_socket_then_the_machines(machine: Path, herod: Typed) -> None:
    """Without an address the user's socket is tried, then the system's."""
    (machine / "system").mkdir()
    with fake_daemon(machine / "system" / "herod.sock") as system:
        system.methods["whoami"] = {"name": "system"}
        assert herod("whoami").out == "name  system\n"


def test_address_of_the_command_line_comes_first(
    daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--url` takes precedence over HEROD_URL, and that over the socket."""
    with fake_daemon() as other:
        other.methods["whoami"] = {"name": "other"}
        monkeypatch.setenv("HEROD_URL", other.url)
        assert herod("whoami").out == "name  other\n"
        assert "Ada" in herod("whoami", "--url", daemon.url).out


def test_no_fall_back_to_tcp(machine: Path, herod: Typed) -> None:
    """A stale socket is an error, even if another one would answer."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(machine / "run" / "herod" / "herod.sock"))
    (machine / "system").mkdir()
    with fake_daemon(machine / "system" / "herod.sock") as system:
        ended = herod("whoami")
        assert system.asked == []
    assert ended.code == 3
    assert "Nothing listens on" in ended.err


@pytest.mark.parametrize(
    ("args", "environ", "presented"),
    [
        ((), {}, "Peer"),
        (("--key", "@key.txt"), {}, "Bearer herod_s_file"),
        (("--token", "@key.txt"), {"HEROD_KEY": "env"}, "Bearer herod_s_file"),
        ((), {"HEROD_KEY": "herod_s_env"}, "Bearer herod_s_env"),
        ((), {"HEROD_KEY": "@key.txt"}, "Bearer herod_s_file"),
        ((), {"HEROD_TOKEN": "a.b.c"}, "Bearer a.b.c"),
        (("--peer",), {"HEROD_KEY": "herod_s_env"}, "Peer"),
    ],
)
def test_what_is_presented(
    args: tuple[str, ...],
    environ: dict[str, str],
    presented: str,
    daemon: FakeDaemon,
    herod: Typed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The credential of the command line takes precedence over the environment's, and that over the uid."""
    Path("key.txt").write_text("herod_s_file\n", encoding="utf-8")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    ended = herod("whoami", *args)
    assert (ended.code, ended.err) == (0, "")
    assert daemon.asked[0].authorization == presented


def test_key_on_standard_input(daemon: FakeDaemon, herod: Typed) -> None:
    """`@-` reads the key from standard input, where no other user sees it."""
    assert herod("whoami", "--key", "@-", stdin=b"herod_s_stdin\n").err == ""
    assert daemon.asked[0].authorization == "Bearer herod_s_stdin"


@pytest.mark.parametrize("option", ["--key", "--token"])
def test_a_credential_in_argv_warns(option: str, daemon: FakeDaemon, herod: Typed) -> None:
    """A credential as an argument is warned about, without repeating it."""
    ended = herod("whoami", option, "herod_s_argv")
    assert ended.code == 0
    assert ended.err.startswith("herod: warning: ")
    assert f"{option} @FILE" in ended.err
    assert "herod_s_argv" not in ended.err


@pytest.mark.parametrize(
    ("args", "environ"),
    [
        (("--key", "@k", "--token", "@k"), {}),
        (("--key", "@k", "--peer"), {}),
        ((), {"HEROD_KEY": "a", "HEROD_TOKEN": "b"}),
        (("--key", "@empty"), {}),
        (("--key", "@two words"), {}),
        (("--url", "herod"), {}),
        (("--url", "http://u:hunter2@localhost"), {}),
    ],
)
def test_refused_before_anything_is_sent(
    args: tuple[str, ...],
    environ: dict[str, str],
    daemon: FakeDaemon,
    herod: Typed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two credentials, an empty or malformed one, and an invalid address are usage errors."""
    for name, content in (("k", "key"), ("empty", "\n"), ("two words", "hunter2 hunter3")):
        Path(name).write_text(content, encoding="utf-8")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    ended = herod("whoami", *args)
    assert ended.code == 2
    assert ended.err.startswith("herod: ")
    assert "hunter" not in ended.err
    assert daemon.asked == []


def test_a_key_file_that_is_not_there(daemon: FakeDaemon, herod: Typed) -> None:
    """A key file that cannot be read is named."""
    ended = herod("whoami", "--key", "@nowhere")
    assert (ended.code, ended.err.splitlines()[0]) == (1, "herod: nowhere cannot be read: No such file or directory.")


def test_a_credential_in_the_clear_warns(herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is sent to another machine without TLS, as told, is warned about."""
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: (_ for _ in ()).throw(ConnectionRefusedError()))
    monkeypatch.setenv("HEROD_KEY", "herod_s_env")
    ended = herod("whoami", "--insecure-http", "--url", "http://192.0.2.1:3350")
    assert ended.code == 3
    assert "sent unencrypted" in ended.err


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (RpcError(4001, "Your token has expired.", {"code": "expired_token", "hint": "herod login"}), 4),
        (RpcError(4003, "You need admin.", {"code": "missing_scope", "hint": "herod user scope x admin"}), 1),
        (RpcError(4004, "There is no such account.", {"code": "not_found"}), 1),
        (RpcError(4029, "Too many.", {"code": "rate_limited"}), 1),
        (RpcError(5003, "Read-only.", {"code": "unavailable"}), 1),
        (RpcError(-32603, "internal", {"code": "internal"}), 1),
    ],
)
def test_refusals(answer: RpcError, code: int, daemon: FakeDaemon, herod: Typed) -> None:
    """The daemon's message is printed, its hint on a line of its own, with the exit code of its kind."""
    daemon.methods["users.get"] = answer
    ended = herod("user", "show", "ada@example.org")
    assert (ended.code, ended.out) == (code, "")
    lines = ended.err.splitlines()
    assert lines[0] == f"herod: {answer.message}"
    if answer.data and "hint" in answer.data:
        assert lines[1] == f"  hint: {answer.data['hint']}"


def test_a_refused_uid_is_told_how_to_be_let_in(daemon: FakeDaemon, herod: Typed) -> None:
    """A user without a rule learns which rule an admin has to create."""
    daemon.methods["whoami"] = RpcError(
        4001, "Nobody is signed in.", {"code": "bad_credentials", "hint": "herod login"}
    )
    ended = herod("whoami")
    assert ended.code == 4
    assert "herod peer allow --uid" in ended.err


def test_a_hostile_daemon_moves_no_cursor(daemon: FakeDaemon, herod: Typed) -> None:
    """Errors, names and health from the daemon are printed without control characters."""
    evil = "\x1b]0;owned\x07\x9b2J"
    daemon.methods["users.get"] = {**USER, "name": evil}
    daemon.methods["users.list"] = {
        "items": [{**USER, "email": evil, "scope": [evil, {evil: evil}]}],
        "next_cursor": None,
    }
    daemon.methods["whoami"] = RpcError(4003, evil, {"hint": evil, "code": evil})
    daemon.routes["GET", "/health"] = json_reply({"status": evil, evil: evil})
    for args in (("user", "show", "x"), ("user", "list"), ("whoami",), ("status",), ("doctor",)):
        for output in ("table", "json"):
            ended = herod(*args, "--output", output)
            assert not {"\x1b", "\x07", "\x9b"} & set(ended.out + ended.err)


@pytest.mark.parametrize("output", ["table", "json"])
@pytest.mark.parametrize(
    "args",
    [
        ("status",),
        ("whoami",),
        ("user", "list"),
        ("user", "show", "a@b"),
        ("key", "list"),
        ("key", "create", "x"),
        ("token", "validate", "@t"),
        ("token", "issue"),
        ("explain", "--scope", "read"),
        ("peer", "list"),
    ],
    ids=" ".join,
)
def test_garbage_is_no_herod(args: tuple[str, ...], output: str, daemon: FakeDaemon, herod: Typed) -> None:
    """Whatever answers, the command exits with one line and code 3."""
    Path("t").write_text("token", encoding="utf-8")
    replies = (
        Reply(200, b"<html>", "text/html"),
        Reply(200, b'{"jsonrpc": "2.0", "id": 1, "result": [1, "two"]}'),
        Reply(200, b'"text"'),
        Reply(404, b"nothing here", "text/plain"),
    )
    for reply in replies:
        for route in (("POST", "/rpc"), ("GET", "/health"), ("GET", "/api/version"), ("POST", "/token")):
            daemon.routes[route] = reply
        ended = herod(*args, "--output", output)
        if args == ("token", "issue") and reply.body.startswith(b'{"json'):
            assert ended.code == 1  # an object without a token
        elif args == ("status",) and reply.body.startswith(b'{"json'):
            assert ended.code in {1, 3}
        else:
            assert ended.code == 3, ended
        assert ended.err.startswith("herod: ") or args == ("status",)


def test_timeout(machine: Path, herod: Typed) -> None:
    """A daemon that does not answer is given up after --timeout."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(machine / "run" / "herod" / "herod.sock"))
        listener.listen()
        ended = herod("status", "--timeout", "0.05")
    assert ended.code == 3
    assert "did not answer within 0.05 s" in ended.err
    assert "hint: " in ended.err


def test_no_daemon_at_all(machine: Path, herod: Typed) -> None:
    """Without a socket the command lists the paths tried and how to start a daemon."""
    ended = herod("status")
    assert ended.code == 3
    assert str(machine / "run" / "herod" / "herod.sock") in ended.err
    assert "herod serve" in ended.err


def test_interrupted(daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C exits with one line and no traceback."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("herod_client.Client.call", interrupt)
    ended = herod("whoami")
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == "herod: Interrupted."


def test_a_bug_is_a_traceback(daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception is a traceback, not a refusal."""

    def fall(*_: object, **__: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr("herod_client.Client.call", fall)
    with pytest.raises(LookupError):
        herod("whoami")


def _command(*args: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    code = "import sys; from herod_cli.main import main; sys.exit(main())"
    environ = {**os.environ, "PYTHONPATH": ":".join(path for path in sys.path if path), **options.pop("environ", {})}
    return subprocess.run(
        [sys.executable, "-c", code, *args], env=environ, stderr=subprocess.PIPE, check=False, **options
    )


@pytest.mark.parametrize("args", [("user", "list"), ("--help",), ("user", "list", "--output", "json")], ids=" ".join)
def test_a_reader_that_has_left(args: tuple[str, ...], daemon: FakeDaemon) -> None:
    """`herod user list | head` exits silently when `head` closes the pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = _command(*args, stdout=writing)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_a_terminal_of_few_letters(daemon: FakeDaemon) -> None:
    """Characters that the terminal's encoding lacks are escaped."""
    daemon.methods["users.get"] = {**USER, "name": "\u6f22"}
    ended = _command("user", "show", "x", stdout=subprocess.PIPE, environ={"PYTHONIOENCODING": "ascii"})
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"\\u6f22" in ended.stdout
