"""`herod approval list`."""

from cli.conftest import Typed
from support.fake_daemon import FakeDaemon

WAITING = {
    "id": "0b9f1e2a-5c3d-4e6f-8a7b-9c0d1e2f3a4b",
    "app_name": "Claude Code",
    "operation": "resources.release",
    "target_name": "volume 1",
    "state": "waiting",
    "expires_at": "2026-02-01T00:10:00Z",
}


def test_what_waits(daemon: FakeDaemon, herod: Typed) -> None:
    """Each call is listed with who asks, for what, and until when."""
    daemon.methods["approvals.list"] = {"items": [WAITING], "next_cursor": None}
    ended = herod("approval", "list")
    assert ended.code == 0
    for text in WAITING.values():
        assert text in ended.out


def test_nothing_waits(daemon: FakeDaemon, herod: Typed) -> None:
    """Without any, that is said."""
    daemon.methods["approvals.list"] = {"items": [], "next_cursor": None}
    assert "No app waits for you." in "".join((ended := herod("approval", "list")).out + ended.err)
