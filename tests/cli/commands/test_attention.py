"""`herod attention`."""

import json

from cli.conftest import Typed
from support.fake_daemon import FakeDaemon

WARNING = {
    "code": "app_admin",
    "level": "consider",
    "message": "1 app may be given admin.",
    "fix": "Lower what people may give.",
    "command": "herod app edit 42 --scope read",
    "subjects": [{"id": "42", "name": "To\u202eol", "at": None}],
}


def test_what_is_wrong(daemon: FakeDaemon, herod: Typed) -> None:
    """Each warning is shown with its subjects, what fixes it, and the command; nothing moves the terminal."""
    daemon.methods["attention"] = {"items": [WARNING]}
    ended = herod("attention")
    assert ended.code == 0
    for text in ("Consider: 1 app may be given admin.", "Lower what", "run: herod app edit 42 --scope read"):
        assert text in ended.out
    assert "\u202e" not in ended.out


def test_for_scripts(daemon: FakeDaemon, herod: Typed) -> None:
    """JSON has the list as the daemon gives it."""
    daemon.methods["attention"] = {"items": [WARNING]}
    assert json.loads(herod("attention", "--output", "json").out) == [WARNING]


def test_nothing_is_wrong(daemon: FakeDaemon, herod: Typed) -> None:
    """Without any, that is said."""
    ended = herod("attention")
    assert (ended.code, "Nothing needs attention." in ended.out + ended.err) == (0, True)
