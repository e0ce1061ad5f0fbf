"""`herod token …`, `peer …`, `explain`, `secret generate`, `serve` and `status`."""

import base64
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from herod.settings import OPTIONS
from herod_cli.commands.serve import serve
from herod_client.core.errors import RuntimeFailure
from support.fake_daemon import PEER, FakeDaemon, RpcError, fake_daemon, json_reply

Typed = Callable[..., Any]
SECRET = "correct horse battery staple, long enough"


def test_issue_for_a_uid(daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the token is printed to standard output; the uid is the credential, whatever else is set."""
    monkeypatch.setenv("HEROD_KEY", "herod_s_env")
    ended = herod("token", "issue", "--scope", "read", "--scope", "user")
    assert (ended.code, ended.out, ended.err) == (0, "aaa.bbb.ccc\n", "")
    [asked] = daemon.asked
    assert asked.form == {"grant_type": "client_credentials", "scope": "read user"}
    assert asked.authorization == "Peer"


def test_issue_for_a_client(daemon: FakeDaemon, herod: Typed, terminal: Callable[..., None]) -> None:
    """A client id and its secret, from a file, standard input or a prompt, are sent as Basic."""
    Path("s").write_text("herod_c_x\n", encoding="utf-8")
    terminal("herod_c_x")
    for args in (("--secret", "@s"), ("--secret", "-"), ()):
        assert herod("token", "issue", "--client-id", "ada", *args, stdin=b"herod_c_x").err == ""
    basic = "Basic " + base64.b64encode(b"ada:herod_c_x").decode()
    assert [asked.authorization for asked in daemon.asked] == [basic] * 3
    assert daemon.asked[0].form == {"grant_type": "client_credentials"}


def test_issue_refused(daemon: FakeDaemon, herod: Typed) -> None:
    """OAuth errors are printed like all others."""
    Path("s").write_text("x", encoding="utf-8")
    answer = {"error": "invalid_client", "error_description": "The client is not known."}
    daemon.routes["POST", "/token"] = json_reply(answer, 401)
    ended = herod("token", "issue", "--client-id", "ada", "--secret", "@s")
    assert ended.code == 4
    assert ended.err.startswith("herod: The client is not known.\n  hint: ")
    answer = {"error": "invalid_scope", "error_description": "Not yours."}
    daemon.routes["POST", "/token"] = json_reply(answer, 400)
    assert herod("token", "issue", "--scope", "admin").code == 1


def test_issue_usage(daemon: FakeDaemon, herod: Typed) -> None:
    """A secret needs a client id, and TCP needs both."""
    assert herod("token", "issue", "--secret", "@s").code == 2
    assert herod("token", "issue", "--url", "http://127.0.0.1:1").code == 2


def test_issue_saves(daemon: FakeDaemon, herod: Typed) -> None:
    """With --save the token is written to a 0600 file and not printed."""
    ended = herod("token", "issue", "--save", "t")
    assert "aaa.bbb.ccc" not in ended.out + ended.err
    assert Path("t").read_text(encoding="utf-8") == "aaa.bbb.ccc\n"
    assert stat.S_IMODE(Path("t").stat().st_mode) == 0o600
    assert json.loads(herod("token", "issue", "--output", "json").out)["access_token"] == "aaa.bbb.ccc"


def test_validate(daemon: FakeDaemon, herod: Typed) -> None:
    """A valid token exits with 0, an invalid one with 1 and the reason."""
    ended = herod("token", "validate", "-", "--scope", "read", "--network", "lab", stdin=b"aaa.bbb.ccc\n")
    assert ended.code == 0
    assert daemon.params("token.validate") == {"token": "aaa.bbb.ccc", "scope": "read", "network": "lab"}
    daemon.methods["token.validate"] = {"valid": False, "reason": "expired"}
    ended = herod("token", "validate", "-", stdin=b"aaa.bbb.ccc\n")
    assert (ended.code, ended.out) == (1, "not valid: expired\n")


def test_inspect(daemon: FakeDaemon, herod: Typed) -> None:
    """All members of introspection are shown, with readable times; an inactive token exits with 1."""
    ended = herod("token", "inspect", "-", stdin=b"aaa.bbb.ccc\n")
    assert (ended.code, daemon.params("token.introspect")) == (0, {"token": "aaa.bbb.ccc"})
    assert "2027-01-15T08:00:00Z" in ended.out
    daemon.methods["token.introspect"] = {"active": False}
    ended = herod("token", "inspect", "-", stdin=b"aaa.bbb.ccc\n")
    assert (ended.code, ended.out) == (1, "not valid\n")
    assert json.loads(herod("token", "inspect", "-", "--output", "json", stdin=b"x").out) == {"active": False}


def test_issue_for_a_service(daemon: FakeDaemon, herod: Typed) -> None:
    """The audience is sent in the form."""
    assert herod("token", "issue", "--resource", "https://jobs.example.org").code == 0
    [asked] = daemon.asked
    assert asked.form["resource"] == "https://jobs.example.org"


def test_an_odd_time_is_shown_as_it_is(daemon: FakeDaemon, herod: Typed) -> None:
    """A time outside the calendar is shown as a number."""
    daemon.methods["token.validate"] = {"valid": True, "exp": 10**18, "iat": None}
    assert herod("token", "validate", "-", stdin=b"x").out == f"valid  yes\nexp    {10**18}\niat    -\n"


def test_revoke(daemon: FakeDaemon, herod: Typed) -> None:
    """A token is revoked by its text."""
    daemon.methods["token.validate"] = {"valid": False, "reason": "revoked"}
    assert herod("token", "revoke", "-", stdin=b"aaa.bbb.ccc\n").out == "The token is revoked.\n"
    assert daemon.params("token.revoke") == {"token": "aaa.bbb.ccc"}


@pytest.mark.parametrize(
    "verdict",
    [{"valid": True}, *({"valid": False, "reason": reason} for reason in ("invalid", "malformed", "audience"))],
    ids=str,
)
def test_revoke_what_is_no_token(verdict: dict[str, Any], daemon: FakeDaemon, herod: Typed) -> None:
    """A partial token or a key is refused, although the daemon would report success (RFC 7009, section 2.2)."""
    daemon.methods["token.validate"] = verdict
    ended = herod("token", "revoke", "-", stdin=b"aaa.bbb\n")
    assert ended.code == 1
    assert ended.out == ""
    assert "nothing was revoked" in ended.err


@pytest.mark.parametrize("args", [("token", "validate"), ("token", "revoke"), ("key", "verify")], ids=" ".join)
def test_a_secret_too_big_or_odd(args: tuple[str, ...], daemon: FakeDaemon, herod: Typed) -> None:
    """An oversized or binary file is refused before it is sent."""
    for content in (b"x" * 70_000, b"\xff\xfe", b"\n"):
        assert herod(*args, "-", stdin=content).code in {1, 2}
    assert daemon.asked == []


@pytest.mark.parametrize(
    ("args", "params"),
    [
        (("--uid", "1000", "--scope", "write"), {"uid": 1000, "scope": "write"}),
        (("--uid", "0", "--scope", "read"), {"uid": 0, "scope": "read"}),
        (("--user", "ada", "--scope", "a b"), {"user": "ada", "scope": "a b"}),
        (
            ("--gid", "7", "--scope", "a", "--scope", "b", "--network", "x"),
            {"gid": 7, "scope": "a b", "networks": ["x"]},
        ),
        (("--group", "builders", "--scope", "a"), {"group": "builders", "scope": "a"}),
    ],
)
def test_peer_allow(args: tuple[str, ...], params: object, daemon: FakeDaemon, herod: Typed) -> None:
    """A rule is for one uid, gid, user or group."""
    ended = herod("peer", "allow", *args)
    assert ended.code == 0
    assert f"id          {PEER['id']}" in ended.out
    assert daemon.params("peers.allow") == params


@pytest.mark.parametrize("args", [("--scope", "a"), ("--uid", "1", "--gid", "1", "--scope", "a"), ("--uid", "1")])
def test_peer_allow_usage(args: tuple[str, ...], daemon: FakeDaemon, herod: Typed) -> None:
    """No subject, two subjects or no scope is a usage error."""
    assert herod("peer", "allow", *args).code == 2
    assert daemon.asked == []


def test_peer_list_and_remove(daemon: FakeDaemon, herod: Typed) -> None:
    """Rules are listed with their subject, and removed by id."""
    assert herod("peer", "list").out.splitlines()[1].split("  ") == [PEER["id"], "uid 1000", "write", "*"]
    assert json.loads(herod("peer", "list", "--output", "json").out)["items"] == [PEER]
    assert herod("peer", "remove", PEER["id"]).code == 0
    assert daemon.params("peers.remove") == {"id": PEER["id"]}


def test_explain(daemon: FakeDaemon, herod: Typed) -> None:
    """Allowed exits with 0; denied with 1, the reason, the missing scope and a fix."""
    ended = herod("explain", "--operation", "users.list", "--network", "lab", "--principal", "ada@example.org")
    assert (ended.code, ended.out) == (0, "allowed\n")
    assert daemon.params("access.explain") == {
        "principal": "ada@example.org",
        "operation": "users.list",
        "network": "lab",
    }
    daemon.methods["access.explain"] = {
        "allowed": False,
        "reason": "missing_scope",
        "missing": "admin",
        "hint": "herod user scope x admin",
    }
    ended = herod("explain", "--scope", "admin")
    assert (ended.code, ended.out) == (1, "denied: missing scope: admin\n  fix: herod user scope x admin\n")
    assert json.loads(herod("explain", "--scope", "admin", "--output", "json").out)["allowed"] is False
    assert herod("explain").code == 2
    assert herod("explain", "--scope", "a", "--operation", "b").code == 2


def test_status(daemon: FakeDaemon, herod: Typed) -> None:
    """The status shows health, version and counts."""
    ended = herod("status")
    assert (ended.code, ended.err) == (0, "")
    lines = [line.split(maxsplit=1) for line in ended.out.splitlines()]
    assert lines[:2] == [["url", str(daemon.url)], ["status", "ok"]]
    assert ["uptime", "1 d 1 h 1 min 1 s"] in lines
    assert json.loads(herod("status", "--output", "json").out)["stats"]["uptime"] == 90061


def test_status_for_a_stranger(daemon: FakeDaemon, herod: Typed) -> None:
    """Without the scope for the counts, the status shows the rest."""
    daemon.methods["stats"] = RpcError(4001, "Who are you?")
    ended = herod("status")
    assert (ended.code, ended.err) == (0, "")
    assert "uptime" not in ended.out


def test_status_of_a_sick_daemon(daemon: FakeDaemon, herod: Typed) -> None:
    """A daemon that answers 503 is reported as reachable and unhealthy."""
    daemon.routes["GET", "/health"] = json_reply({"status": "read-only", "reason": "fsync failed"}, 503)
    ended = herod("status")
    assert ended.code == 1
    assert "read-only" in ended.out
    assert "log" in ended.err


def test_status_over_tcp(herod: Typed) -> None:
    """The status works over TCP if requested."""
    with fake_daemon() as daemon:
        daemon.routes["GET", "/health"] = json_reply({"status": "ok"})
        daemon.routes["GET", "/api/version"] = json_reply({"version": "0.1.0"})
        ended = herod("status", "--url", daemon.url)
        assert ended.code == 0
        assert all(asked.authorization is None for asked in daemon.asked)


def test_secret_generate(herod: Typed) -> None:
    """A secret is one line of 256 random bits that shells and files accept."""
    secrets = {herod("secret", "generate").out for _ in range(5)}
    assert len(secrets) == 5
    for text in secrets:
        assert len(base64.urlsafe_b64decode(text.strip() + "=")) == 32
    assert len(json.loads(herod("secret", "generate", "--output", "json").out)["secret"]) == 43


@pytest.mark.parametrize("call", ["os.write", "os.fsync"])
def test_secret_that_no_disk_takes(call: str, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error, immediate or late: no file is left, and the secret is not printed instead."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(call, full)
    ended = herod("secret", "generate", "--output-file", "s")
    assert ended.code == 1
    assert ended.out == ""
    assert "No space left" in ended.err
    assert not Path("s").exists()


def test_secret_into_a_file(herod: Typed) -> None:
    """In a file the secret has mode 0600, is not printed, and never overwrites another file."""
    ended = herod("secret", "generate", "--output-file", "s")
    assert ended.code == 0
    text = Path("s").read_text(encoding="utf-8")
    assert len(text) == 44
    assert text.strip() not in ended.out + ended.err
    assert stat.S_IMODE(Path("s").stat().st_mode) == 0o600
    ended = herod("secret", "generate", "--output-file", "s")
    assert ended.code == 1
    assert "exists already" in ended.err
    assert Path("s").read_text(encoding="utf-8") == text
    assert herod("secret", "generate", "--output-file", "no/such/folder").code == 1


def test_serve_has_every_option() -> None:
    """The command line has exactly the options that can be set on it."""
    offered = {option for param in serve.params for option in param.opts if isinstance(param, click.Option)}
    assert offered == {option.flag for option in OPTIONS.values() if option.is_flag}


def test_serve_passes_on_what_was_said(herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only given options are passed on, repeated ones as tuples, numbers as numbers, including zero."""
    said: dict[str, object] = {}

    def load_settings(options: dict[str, object], environ: object, *, uid: int, pid: int) -> str:
        said.update(options)
        return "settings"

    monkeypatch.setattr("herod_cli.commands.serve.load_settings", load_settings)
    monkeypatch.setattr("herod.app.run", lambda settings, load: 0 if settings == load() == "settings" else 9)
    args = ("--port", "0", "--bind", "fd://3", "--bind", "[::1]:1", "--insecure", "--admin-secret", "@f")
    assert herod("serve", *args, "--signing", "EdDSA").code == 0
    assert said == {
        "port": 0,
        "bind": ("fd://3", "[::1]:1"),
        "insecure": True,
        "admin_secret": ("@f",),
        "signing": "EdDSA",
    }


@pytest.mark.parametrize(
    ("environ", "args", "message"),
    [
        ({}, (), "No HERO_SECRET is set"),
        ({"HERO_SECRET": "changeme"}, (), "HERO_SECRET"),
        ({"HERO_SECRET": SECRET}, ("--bind", "nowhere"), "nowhere"),
        ({"HERO_SECRET": SECRET}, ("--config", "no.toml"), "no.toml"),
    ],
)
def test_serve_with_bad_settings(
    environ: dict[str, str],
    args: tuple[str, ...],
    message: str,
    herod: Typed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An invalid setting is one line and exit code 2."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    ended = herod("serve", *args)
    assert (ended.code, ended.out) == (2, "")
    [line] = ended.err.splitlines()
    assert line.startswith("herod: ")
    assert message in line


def test_serve_that_cannot_start(herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed start is one line and exit code 1; Ctrl-C is a clean exit."""
    monkeypatch.setenv("HERO_SECRET", SECRET)

    def fail(_: object, *, load: object) -> int:
        raise RuntimeFailure("127.0.0.1:3350 is taken: stop what listens there, or say --port.")

    monkeypatch.setattr("herod.app.run", fail)
    ended = herod("serve")
    assert (ended.code, len(ended.err.splitlines())) == (1, 1)
    assert "taken" in ended.err

    def interrupt(_: object, *, load: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("herod.app.run", interrupt)
    assert herod("serve").code == 0
