"""`herod user …` and `herod key …`: the requests, the output, and where secrets are written."""

import json
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from herod_cli.shared.output import width
from support.fake_daemon import KEY, USER, WHOAMI, FakeDaemon, RpcError

Typed = Callable[..., Any]

ASKED = [
    (("user", "add", "ada@example.org"), "users.add", {"email": "ada@example.org"}),
    (("user", "add", "--email", "ada@example.org"), "users.add", {"email": "ada@example.org"}),
    (
        ("user", "add", "--name", "worker", "--scope", "read", "--scope", "user", "--network", "a", "--network", "b"),
        "users.add",
        {"name": "worker", "scope": "read user", "networks": ["a", "b"]},
    ),
    (("user", "show", "ada@example.org"), "users.get", {"email": "ada@example.org"}),
    (("user", "show", "5a5e"), "users.get", {"client_id": "5a5e"}),
    (("user", "scope", "5a5e", "write", "user"), "users.scope", {"client_id": "5a5e", "scope": "write user"}),
    (("user", "edit", "5a5e", "--name", "Ada"), "users.update", {"client_id": "5a5e", "name": "Ada"}),
    (("user", "edit", "a@b", "--confirmed"), "users.update", {"email": "a@b", "confirmed": True}),
    (("user", "edit", "a@b", "--unconfirmed"), "users.update", {"email": "a@b", "confirmed": False}),
    (("user", "edit", "a@b", "--network", "*"), "users.update", {"email": "a@b", "networks": ["*"]}),
    (("user", "enable", "a@b"), "users.enable", {"email": "a@b"}),
    (("user", "disable", "a@b"), "users.disable", {"email": "a@b"}),
    (("user", "sign-out", "a@b"), "session.end_all", {"email": "a@b"}),
    (("user", "sign-out"), "session.end_all", {}),
    (("user", "sign-out", "--everyone", "--yes"), "session.end_all", {"everyone": True}),
    (("user", "delete", "a@b"), "users.delete", {"email": "a@b"}),
    (("user", "rotate-secret", "a@b"), "users.rotate_secret", {"email": "a@b"}),
    (("user", "rotate-secret"), "users.rotate_secret", {"client_id": USER["client_id"]}),
    (("user", "list"), "users.list", {"limit": 200}),
    (("user", "list", "--limit", "3"), "users.list", {"limit": 3}),
    (("key", "create", "backup"), "keys.create", {"name": "backup"}),
    (
        ("key", "create", "ci", "--kind", "service", "--scope", "registrar", "--network", "lab"),
        "keys.create",
        {"name": "ci", "kind": "service", "scope": "registrar", "networks": ["lab"]},
    ),
    (
        ("key", "create", "x", "--owner", "ada@example.org", "--expires", "2030-01-31T12:00:00+02:00"),
        "keys.create",
        {"name": "x", "owner": "ada@example.org", "expires_at": "2030-01-31T10:00:00Z"},
    ),
    (("key", "list", "--owner", "5a5e"), "keys.list", {"limit": 200, "owner": "5a5e"}),
    (("key", "list", "--newest", "--kind", "user"), "keys.list", {"limit": 200, "order": "newest", "kind": "user"}),
    (("key", "list", "--expiring", "--state", "on"), "keys.list", {"limit": 200, "order": "expires", "state": "on"}),
    (("key", "list", "--name", "backup"), "keys.list", {"limit": 200, "name": "backup"}),
    (("user", "list", "--newest"), "users.list", {"limit": 200, "order": "newest"}),
    (("key", "show", "0kZ3vXq81LmT"), "keys.get", {"id": "0kZ3vXq81LmT"}),
    (("key", "delete", "0kZ3vXq81LmT"), "keys.delete", {"id": "0kZ3vXq81LmT"}),
    (("key", "verify", "@k"), "token.validate", {"token": "herod_u_k"}),
    (
        ("key", "verify", "-", "--scope", "write", "--network", "lab"),
        "token.validate",
        {"token": "herod_u_k", "scope": "write", "network": "lab"},
    ),
]


@pytest.mark.parametrize(("args", "method", "params"), ASKED, ids=[" ".join(row[0]) for row in ASKED])
def test_asked(args: tuple[str, ...], method: str, params: object, daemon: FakeDaemon, herod: Typed) -> None:
    """Each command calls its operation with exactly the given parameters."""
    Path("k").write_text("herod_u_k\n", encoding="utf-8")
    ended = herod(*args, stdin=b"herod_u_k\n")
    assert (ended.code, ended.err) == (0, "")
    assert daemon.params(method) == params
    assert all(width(line) <= 80 for line in ended.out.splitlines())


@pytest.mark.parametrize("args", [row[0] for row in ASKED], ids=" ".join)
def test_json(args: tuple[str, ...], daemon: FakeDaemon, herod: Typed) -> None:
    """With --output json standard output is exactly the operation's answer."""
    Path("k").write_text("herod_u_k\n", encoding="utf-8")
    ended = herod(*args, "--output", "json", stdin=b"herod_u_k\n")
    assert isinstance(json.loads(ended.out), dict)


@pytest.mark.parametrize(
    "args",
    [
        ("user", "add", "a@b", "--email", "c@d"),
        ("user", "add", "--password", "--password-file", "x"),
        ("user", "add", "--password"),
        ("user", "add"),
        ("user", "add", ""),
        ("user", "add", "--scope", "read", "--network", "lab"),
        ("user", "add", "a@b", "--scope", ""),
        ("user", "edit", "a@b"),
        ("user", "scope", "a@b", " "),
        ("key", "create", "x", "--scope", ""),
        ("key", "create"),
        ("peer", "allow", "--scope", "read"),
        ("peer", "allow", "--uid", "1000"),
        ("peer", "allow", "--uid", "1000", "--scope", ""),
        ("token", "issue", "--scope", ""),
        ("user", "scope", "a@b"),
        ("user", "passwd", "a@b"),
        ("key", "create", "x", "--expires", "soon"),
        ("key", "create", "x", "--expires", "2030-01-31T12:00:00"),
        ("key", "create", "x", "--kind", "robot"),
    ],
    ids=" ".join,
)
def test_usage(args: tuple[str, ...], daemon: FakeDaemon, herod: Typed) -> None:
    """A usage error is reported before the daemon is asked, also without a terminal."""
    assert herod(*args).code == 2
    assert daemon.asked == []


def test_list_is_a_table(daemon: FakeDaemon, herod: Typed) -> None:
    """The table shows complete ids, names, scopes, and whether each is enabled."""
    [title, line] = herod("user", "list").out.splitlines()
    assert title.split("  ")[0] == "CLIENT_ID"
    assert line.split() == [USER["client_id"], "ada@example.org", "write", "on"]
    daemon.methods["users.list"] = {"items": [{**USER, "email": None, "enabled": False}], "next_cursor": None}
    assert herod("user", "list").out.splitlines()[1].split()[1:] == ["Ada", "write", "off"]
    [_, line] = herod("key", "list").out.splitlines()
    assert line.split() == [KEY["id"], "backup", "user", "read", "on", "never", "never"]


def test_list_of_long_names_fits(daemon: FakeDaemon, herod: Typed) -> None:
    """Long names and scopes leave ids complete and lines within 80 columns."""
    long = {"email": "\u6f22" * 100, "name": "n" * 100, "scope": " ".join(f"jobs:{i}" for i in range(20))}
    daemon.methods["users.list"] = {"items": [{**USER, **long}], "next_cursor": None}
    daemon.methods["keys.list"] = {
        "items": [{**KEY, **long, "kind": "service", "expires_at": "2030-01-31T12:00:00Z"}],
        "next_cursor": None,
    }
    for noun, identity in (("user", USER["client_id"]), ("key", KEY["id"])):
        [_, line] = herod(noun, "list").out.splitlines()
        assert str(identity) in line
        assert width(line) <= 80


def test_an_empty_list_says_what_to_do(daemon: FakeDaemon, herod: Typed) -> None:
    """An empty list is reported on stderr; scripts get an empty list."""
    daemon.methods["users.list"] = {"items": [], "next_cursor": None}
    ended = herod("user", "list")
    assert (ended.code, ended.out) == (0, "")
    assert "herod user add" in ended.err
    assert json.loads(herod("user", "list", "--output", "json").out) == {"items": [], "next_cursor": None}


def test_pages_are_followed(daemon: FakeDaemon, herod: Typed) -> None:
    """All pages of a list are read, up to --limit."""

    def page(params: dict[str, Any]) -> object:
        start = int(params.get("cursor", 0))
        items = [{**USER, "client_id": str(number)} for number in range(start, start + min(params["limit"], 200))]
        return {"items": items, "next_cursor": str(start + 200) if start < 400 else None}

    daemon.methods["users.list"] = page
    assert len(json.loads(herod("user", "list", "--output", "json").out)["items"]) == 600
    assert len(json.loads(herod("user", "list", "--limit", "250", "--output", "json").out)["items"]) == 250


def test_a_cursor_that_repeats_ends(daemon: FakeDaemon, herod: Typed) -> None:
    """A daemon that repeats a cursor does not keep the command running forever."""
    daemon.methods["users.list"] = {"items": [USER], "next_cursor": "again"}
    assert len(json.loads(herod("user", "list", "--output", "json").out)["items"]) == 2


@dataclass(frozen=True)
class Made:
    """A command that creates a secret, the field of the answer that contains it, and the secret."""

    args: tuple[str, ...]
    name: str
    secret: str


@pytest.fixture(
    params=[
        Made(("user", "add", "a@b"), "client_secret", "herod_c_secret"),
        Made(("user", "rotate-secret", "a@b"), "client_secret", "herod_c_other"),
        Made(("key", "create", "backup"), "key", "herod_u_secret"),
    ],
    ids=lambda made: " ".join(made.args),
)
def made(request: pytest.FixtureRequest) -> Made:
    """Each command that creates a secret."""
    found: Made = request.param
    return found


def test_on_a_terminal_it_stands_in_a_box(
    made: Made, daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the secret is framed, on one line, within 80 columns, with advice to save it."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = herod(*made.args).out.splitlines()
    assert lines[0].startswith("┌")
    assert lines[-1].startswith("└")
    assert sum(made.secret in line for line in lines) == 1
    assert any("Save it now" in line for line in lines)
    assert {width(line) for line in lines} == {width(lines[0])}
    assert width(lines[0]) <= 80


def test_in_a_pipe_it_is_plain(made: Made, daemon: FakeDaemon, herod: Typed) -> None:
    """In a pipe the secret is a line of the record, or JSON."""
    assert f"{made.secret}\n" in herod(*made.args).out
    assert json.loads(herod(*made.args, "--output", "json").out)[made.name] == made.secret


@pytest.mark.parametrize("output", ["table", "json"])
def test_saved_it_is_shown_nowhere(made: Made, output: str, daemon: FakeDaemon, herod: Typed) -> None:
    """With --save the secret is written to a 0600 file and not printed."""
    ended = herod(*made.args, "--save", "s", "--output", output)
    assert ended.code == 0
    assert made.secret not in ended.out + ended.err
    assert Path("s").read_text(encoding="utf-8") == f"{made.secret}\n"
    assert stat.S_IMODE(Path("s").stat().st_mode) == 0o600


def test_no_file_is_overwritten(made: Made, daemon: FakeDaemon, herod: Typed) -> None:
    """An existing file is kept, and nothing is created."""
    Path("s").write_text("precious", encoding="utf-8")
    assert herod(*made.args, "--save", "s").code == 1
    assert Path("s").read_text(encoding="utf-8") == "precious"
    assert daemon.asked == []


def test_a_refusal_leaves_no_file(made: Made, daemon: FakeDaemon, herod: Typed) -> None:
    """If the daemon refuses, the file for the secret is removed."""
    for method in ("users.add", "users.rotate_secret", "keys.create"):
        daemon.methods[method] = RpcError(4009, "The name is taken.", {"code": "conflict"})
    assert herod(*made.args, "--save", "s").code == 1
    assert not Path("s").exists()


def test_a_full_disk_loses_no_secret(
    made: Made, daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the secret cannot be written to the file, it is printed."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("herod_cli.shared.secret_files.write_all", full)
    ended = herod(*made.args, "--save", "s")
    assert made.secret in ended.out
    assert "No space left" in ended.err
    assert not Path("s").exists()


def test_password_from_a_file_or_input(daemon: FakeDaemon, herod: Typed) -> None:
    """A password keeps its spaces, and loses a byte order mark and line ends."""
    Path("p").write_bytes(b"\xef\xbb\xbf correct horse \n\n")
    herod("user", "add", "a@b", "--password-file", "p")
    assert daemon.params("users.add")["password"] == " correct horse "
    daemon.asked.clear()
    herod("user", "add", "a@b", "--password-file", "-", stdin=b"correct horse battery\r\n")
    assert daemon.params("users.add")["password"] == "correct horse battery"


def test_password_from_the_terminal(daemon: FakeDaemon, herod: Typed, terminal: Callable[..., None]) -> None:
    """A password is prompted for twice, until both entries match."""
    terminal("", "correct horse", "correct hose", "correct horse battery", "correct horse battery")
    ended = herod("user", "add", "a@b", "--password")
    assert daemon.params("users.add")["password"] == "correct horse battery"
    assert "empty" in ended.err
    assert "inputs differ" in ended.err


def test_passwd_of_ones_own(daemon: FakeDaemon, herod: Typed, terminal: Callable[..., None]) -> None:
    """Changing one's own password needs the current one."""
    terminal("old password", "new password", "new password")
    assert herod("user", "passwd").code == 0
    assert daemon.params("users.password") == {
        "client_id": USER["client_id"],
        "password": "new password",
        "current": "old password",
    }


def test_passwd_of_another(daemon: FakeDaemon, herod: Typed) -> None:
    """An admin sets another user's password without the current one."""
    assert herod("user", "passwd", "a@b", "--password-file", "-", stdin=b"new password").code == 0
    assert daemon.params("users.password") == {"email": "a@b", "password": "new password"}


def test_own_without_an_account(daemon: FakeDaemon, herod: Typed) -> None:
    """The local admin has no password, so the command asks for a user."""
    daemon.methods["whoami"] = {**WHOAMI, "kind": "local_admin", "name": "root"}
    ended = herod("user", "rotate-secret")
    assert ended.code == 2
    assert "root is not an account" in ended.err


@pytest.mark.parametrize("args", [("user", "add"), ("user", "add", "--scope", "admin", "--save", "x")], ids=" ".join)
def test_an_account_needs_an_email_or_a_name(args: tuple[str, ...], daemon: FakeDaemon, herod: Typed) -> None:
    """Without an email or a name no account is made: nobody could find it."""
    ended = herod(*args)
    assert (ended.code, daemon.asked) == (2, [])
    assert "Give the EMAIL of a person, or --name TEXT for a program." in ended.err
    assert not Path("x").exists()


def test_rotating_ones_own_secret_asks_on_a_terminal(
    daemon: FakeDaemon, herod: Typed, terminal: Callable[..., None]
) -> None:
    """Without WHO, a terminal asks before the caller's own secret and tokens end."""
    terminal(confirms=False)
    ended = herod("user", "rotate-secret")
    assert ended.code == 1
    assert [one.json["method"] for one in daemon.asked] == ["whoami"]
    assert "Nothing was changed" in ended.err
    assert herod("user", "rotate-secret", "--yes").code == 0
    assert herod("user", "rotate-secret", "a@b").code == 0


@pytest.mark.parametrize("args", [("user", "delete", "a@b"), ("key", "delete", "0kZ3")], ids=" ".join)
def test_deleting_asks_on_a_terminal(
    args: tuple[str, ...], daemon: FakeDaemon, herod: Typed, terminal: Callable[..., None]
) -> None:
    """Deletion asks for confirmation on a terminal only, and not with --yes."""
    terminal(confirms=False)
    ended = herod(*args)
    assert (ended.code, daemon.asked) == (1, [])
    assert "Nothing was changed" in ended.err
    assert herod(*args, "--yes").code == 0
    terminal(confirms=True)
    assert herod(*args).code == 0


def test_deleting_says_what_lives_on(daemon: FakeDaemon, herod: Typed) -> None:
    """Remaining service keys and peer rules that the deleted account created are listed."""
    said = herod("user", "delete", "a@b").out
    assert "with 1 of its keys; still valid: service keys b, peer rules c." in said


def test_verify(daemon: FakeDaemon, herod: Typed) -> None:
    """A valid key exits with 0 and its details, an invalid one with 1 and the reason."""
    ended = herod("key", "verify", "-", stdin=b"k")
    assert ended.code == 0
    assert "exp       2027-01-15T08:00:00Z" in ended.out
    daemon.methods["token.validate"] = {"valid": False, "reason": "invalid"}
    ended = herod("key", "verify", "-", stdin=b"k")
    assert (ended.code, ended.out) == (1, "not valid\n")
    assert "nobody holds such a key" in ended.err
    assert herod("key", "verify", "-", "--output", "json", stdin=b"k").code == 1
    for reason, meaning in (("scope", "does not have the required scope"), ("owner_disabled", "herod user enable")):
        daemon.methods["token.validate"] = {"valid": False, "reason": reason}
        ended = herod("key", "verify", "-", stdin=b"k")
        assert (ended.code, ended.out, meaning in ended.err) == (1, f"not valid: {reason}\n", True)


def test_a_key_in_argv_warns(daemon: FakeDaemon, herod: Typed) -> None:
    """A key as an argument works, with a warning about its visibility."""
    ended = herod("key", "verify", "herod_u_argv")
    assert ended.code == 0
    assert "warning" in ended.err
    assert "herod_u_argv" not in ended.err
