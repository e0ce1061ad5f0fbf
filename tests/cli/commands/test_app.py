"""`herod app …`: the requests, the output, and where secrets are written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from herod_cli.shared.output import width
from support.fake_daemon import APP, FakeDaemon, json_reply

Typed = Callable[..., Any]

CALLBACK: Final = "https://grafana.example.org/login"
DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"

ASKED = [
    (("app", "add", "G", "--redirect", CALLBACK), "apps.add", {"name": "G", "redirect_uris": [CALLBACK]}),
    (
        (
            "app", "add", "G", "--redirect", "a", "--redirect", "b", "--public", "--scope", "read", "--scope", "user",
            "--network", "lab", "--post-logout", "c", "--pkce", "optional", "--algorithm", "ES256",
            "--no-remember-consent", "--admit-unconfirmed", "--send-unconfirmed-email", "--expand-scope",
        ),
        "apps.add",
        {
            "name": "G", "type": "public", "redirect_uris": ["a", "b"], "scope": "read user", "networks": ["lab"],
            "post_logout_uris": ["c"], "pkce": "optional", "id_token_algorithm": "ES256", "remember_consent": False,
            "admit_unconfirmed": True, "send_unconfirmed_email": True, "expand_scope": True,
        },
    ),
    (("app", "add", "tv", "--device"), "apps.add", {"name": "tv", "grants": [DEVICE, "refresh_token"]}),
    (
        ("app", "add", "tv", "--device", "--redirect", "a"),
        "apps.add",
        {"name": "tv", "redirect_uris": ["a"], "grants": ["authorization_code", "refresh_token", DEVICE]},
    ),
    (("app", "list"), "apps.list", {"limit": 200}),
    (("app", "list", "--limit", "3"), "apps.list", {"limit": 3}),
    (("app", "show", "Grafana"), "apps.get", {"client_id": "Grafana"}),
    (("app", "edit", "G", "--name", "Graf"), "apps.update", {"client_id": "G", "name": "Graf"}),
    (
        ("app", "edit", "G", "--redirect", "a", "--scope", "write", "--remember-consent", "--no-admit-unconfirmed"),
        "apps.update",
        {"client_id": "G", "redirect_uris": ["a"], "scope": "write", "remember_consent": True,
         "admit_unconfirmed": False},
    ),
    (("app", "edit", "G", "--no-post-logout"), "apps.update", {"client_id": "G", "post_logout_uris": []}),
    (
        ("app", "edit", "G", "--device"),
        "apps.update",
        {"client_id": "G", "grants": ["authorization_code", "refresh_token", DEVICE]},
    ),
    (
        ("app", "edit", "G", "--no-device"),
        "apps.update",
        {"client_id": "G", "grants": ["authorization_code", "refresh_token"]},
    ),
    (("app", "rotate-secret", "Grafana"), "apps.rotate_secret", {"client_id": "Grafana"}),
    (("app", "enable", "Grafana"), "apps.enable", {"client_id": "Grafana"}),
    (("app", "disable", "Grafana"), "apps.disable", {"client_id": "Grafana"}),
    (("app", "delete", "Grafana"), "apps.delete", {"client_id": "Grafana"}),
]  # fmt: skip


@pytest.mark.parametrize(("args", "method", "params"), ASKED, ids=[" ".join(row[0]) for row in ASKED])
def test_asked(args: tuple[str, ...], method: str, params: object, daemon: FakeDaemon, herod: Typed) -> None:
    """Each command calls its operation with exactly the given parameters."""
    ended = herod(*args)
    assert (ended.code, ended.err) == (0, "")
    assert daemon.params(method) == params
    assert all(width(line) <= 80 for line in ended.out.splitlines())


@pytest.mark.parametrize("args", [row[0] for row in ASKED], ids=" ".join)
def test_json(args: tuple[str, ...], daemon: FakeDaemon, herod: Typed) -> None:
    """With --output json standard output is exactly the operation's answer."""
    assert isinstance(json.loads(herod(*args, "--output", "json").out), dict)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("app", "add"), "NAME"),
        (("app", "add", "G"), "--redirect URI"),
        (("app", "add", "G", "--public"), "--redirect URI"),
        (("app", "add", "G", "--redirect", ""), "--redirect"),
        (("app", "add", "G", "--redirect", "a", "--pkce", "none"), "optional"),
        (("app", "add", "G", "--redirect", "a", "--algorithm", "HS256"), "RS256"),
        (("app", "add", "G", "--redirect", "a", "--scope", " "), "--scope"),
        (("app", "edit", "G"), "Nothing to change"),
        (("app", "edit", "G", "--post-logout", "a", "--no-post-logout"), "mutually exclusive"),
        (("app", "add", "G", "--redirect", "a", "--public", "--save", "x"), "has no secret"),
        (("app", "show"), "APP"),
    ],
)
def test_usage(args: tuple[str, ...], said: str, daemon: FakeDaemon, herod: Typed) -> None:
    """Bad options are refused before anything is sent, naming what is wrong."""
    ended = herod(*args)
    assert ended.code == 2
    assert said in ended.err
    assert daemon.asked == []


@pytest.mark.parametrize(
    ("args", "secret"),
    [(("app", "add", "G", "--redirect", "a"), "herod_c_app"), (("app", "rotate-secret", "G"), "herod_c_new")],
)
def test_the_secret(args: tuple[str, ...], secret: str, daemon: FakeDaemon, herod: Typed, machine: Path) -> None:
    """It is shown once, or written to a private file and shown nowhere."""
    assert secret in herod(*args).out
    ended = herod(*args, "--save", "app.secret")
    assert ended.code == 0
    assert secret not in ended.out + ended.err
    assert (machine / "app.secret").read_text() == f"{secret}\n"
    assert (machine / "app.secret").stat().st_mode & 0o777 == 0o600
    saved = json.loads(herod(*args, "--save", "again.secret", "--output", "json").out)
    assert saved["saved_to"] == "again.secret"
    assert "client_secret" not in saved


def test_a_public_app_shows_no_secret(daemon: FakeDaemon, herod: Typed) -> None:
    """There is none, and nothing is called one."""
    daemon.methods["apps.add"] = {**APP, "type": "public", "client_secret": None}
    ended = herod("app", "add", "G", "--redirect", "a", "--public")
    assert ended.code == 0
    assert "client_secret" not in ended.out


def test_warnings(daemon: FakeDaemon, herod: Typed) -> None:
    """What an admin should know is a warning on standard error; scripts find it in the answer."""
    for type_, secret in (("public", None), ("confidential", "herod_c_app")):
        daemon.methods["apps.add"] = {**APP, "type": type_, "client_secret": secret, "warning": "Use https."}
        ended = herod("app", "add", "G", "--redirect", "a")
        assert "herod: warning: Use https." in ended.err
        assert "warning" not in ended.out
        assert '"warning": "Use https."' in herod("app", "add", "G", "--redirect", "a", "--output", "json").out


def test_what_to_enter_in_the_app(daemon: FakeDaemon, herod: Typed) -> None:
    """`add` and `show` say what the app's settings ask for, if the daemon says it; scripts get the app alone."""
    for args in (("app", "add", "G", "--redirect", "a"), ("app", "show", "G")):
        ended = herod(*args)
        assert "To enter in the app's settings" in ended.out
        assert "http://localhost:3350/.well-known/openid-configuration" in ended.out
        assert "http://localhost:3350/token" in ended.out
        assert "http://localhost:3350/token" not in herod(*args, "--output", "json").out
    daemon.routes["GET", "/.well-known/oauth-authorization-server"] = json_reply({"error": "no"}, status=503)
    ended = herod("app", "show", "G")
    assert (ended.code, ended.err) == (0, "")
    assert "To enter" not in ended.out


def test_what_an_app_has_to_be_told(daemon: FakeDaemon, herod: Typed) -> None:
    """A public app has no secret to enter, one with codes has their endpoint, and the built-in one has nothing."""
    daemon.routes["GET", "/.well-known/oauth-authorization-server"] = json_reply(
        {"issuer": "http://h", "token_endpoint": "http://h/token", "device_authorization_endpoint": "http://h/codes"}
    )
    assert "with the client_id and the secret:" in (shown := herod("app", "show", "G").out)
    assert "http://h/codes" not in shown
    daemon.methods["apps.get"] = {**APP, "type": "public", "grants": [DEVICE]}
    assert "with the client_id:" in (shown := herod("app", "show", "G").out)
    assert "http://h/codes" in shown
    daemon.methods["apps.get"] = {**APP, "type": "public", "built_in": True}
    assert "http://h/token" not in herod("app", "show", "G").out


@pytest.mark.parametrize(
    ("args", "grants"),
    [
        ((), ["authorization_code", DEVICE, "refresh_token"]),
        (("--device",), ["authorization_code", "refresh_token", DEVICE]),
        (("--no-device",), ["authorization_code", "refresh_token"]),
    ],
)
def test_a_redirect_of_an_app_that_only_showed_codes(
    args: tuple[str, ...], grants: list[str], daemon: FakeDaemon, herod: Typed
) -> None:
    """With it the app may also send people to herod; without that grant the redirect URI would be of no use."""
    daemon.methods["apps.get"] = {**APP, "redirect_uris": [], "grants": [DEVICE, "refresh_token"]}
    assert herod("app", "edit", "G", "--redirect", "a", *args).code == 0
    assert daemon.params("apps.update") == {"client_id": "G", "redirect_uris": ["a"], "grants": grants}


def test_the_list_shows_what_is_off_and_built_in(daemon: FakeDaemon, herod: Typed) -> None:
    """The state of each app is in the table."""
    items = [{**APP, "built_in": True}, APP, {**APP, "enabled": False}]
    daemon.methods["apps.list"] = {"items": items, "next_cursor": None}
    rows = herod("app", "list").out.splitlines()[1:]
    assert [row.rsplit("  ", 1)[1] for row in rows] == ["built in", "on", "off"]


def test_disabling_says_how_to_undo_it(daemon: FakeDaemon, herod: Typed) -> None:
    """By the name that was given, as a shell takes it."""
    assert "`herod app enable 'my app'`" in herod("app", "disable", "my app").out


@pytest.mark.parametrize("args", [("app", "delete", "G"), ("app", "rotate-secret", "G")])
def test_what_cannot_be_undone_is_asked(
    args: tuple[str, ...], daemon: FakeDaemon, herod: Typed, terminal: Callable[..., None]
) -> None:
    """On a terminal, a no changes nothing; --yes asks nothing."""
    terminal(confirms=False)
    ended = herod(*args)
    assert ended.code == 1
    assert "Nothing was changed" in ended.err
    assert daemon.asked == []
    assert herod(*args, "--yes").code == 0
