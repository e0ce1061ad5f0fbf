"""`herod app connected` and `herod app disconnect`."""

import json
from collections.abc import Callable

from cli.conftest import Typed
from support.fake_daemon import CONNECTED, FakeDaemon


def test_connected(daemon: FakeDaemon, herod: Typed) -> None:
    """The apps are listed with what they may do, where and until when."""
    ended = herod("app", "connected")
    assert ended.code == 0
    row = ended.out.splitlines()[1]
    for text in (CONNECTED["id"], "Claude Code", "read", "never"):
        assert str(text) in row
    assert "ACCOUNT" not in ended.out
    assert "account" not in daemon.params("delegations.list")
    assert json.loads(herod("app", "connected", "--output", "json").out)["items"] == [CONNECTED]


def test_connected_of_somebody(daemon: FakeDaemon, herod: Typed) -> None:
    """An admin asks for one account's; those of several come with their account."""
    assert herod("app", "connected", "--account", "ada@example.org").code == 0
    assert daemon.params("delegations.list")["account"] == "ada@example.org"
    other = {**CONNECTED, "account": "another account", "resource": None, "last_used_at": "2026-02-01T00:00:00Z"}
    daemon.methods["delegations.list"] = {"items": [CONNECTED, other], "next_cursor": None}
    ended = herod("app", "connected")
    assert str(CONNECTED["account"]) in ended.out
    assert "another account" in ended.out
    assert "2026-02-01" in ended.out
    daemon.methods["delegations.list"] = {"items": [other], "next_cursor": None}
    assert "who you" in herod("app", "connected").out


def test_none_connected(daemon: FakeDaemon, herod: Typed) -> None:
    """Without any, that is said."""
    daemon.methods["delegations.list"] = {"items": [], "next_cursor": None}
    assert "No app is connected." in "".join((ended := herod("app", "connected")).out + ended.err)


def test_disconnect(daemon: FakeDaemon, herod: Typed, terminal: Callable[..., None]) -> None:
    """Access is taken back by id or name, after a question or with --yes."""
    assert herod("app", "disconnect", "Claude Code", "--yes").code == 0
    assert daemon.params("delegations.revoke") == {"id": "Claude Code"}
    terminal(confirms=False)
    asked = len(daemon.asked)
    assert herod("app", "disconnect", CONNECTED["id"]).code != 0
    assert len(daemon.asked) == asked
    terminal()
    ended = herod("app", "disconnect", CONNECTED["id"])
    assert (ended.code, "is disconnected" in ended.out + ended.err) == (0, True)
