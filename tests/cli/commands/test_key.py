"""`herod key rotate|disable|enable|edit`: the requests and the output."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.fake_daemon import KEY, FakeDaemon

Typed = Callable[..., Any]

ID = KEY["id"]


def asked(daemon: FakeDaemon) -> tuple[str, Any]:
    """The last call that the daemon received."""
    call = daemon.asked[-1].json
    return call["method"], call["params"]


@pytest.mark.parametrize(("option", "seconds"), [((), 0), (("--overlap", "10m"), 600), (("--overlap", "7d"), 604_800)])
def test_rotate(option: tuple[str, ...], seconds: int, daemon: FakeDaemon, herod: Typed, machine: Path) -> None:
    """A rotated secret is saved to a private file; the overlap is sent in seconds."""
    ended = herod("key", "rotate", ID, *option, "--save", "new.key")
    assert ended.code == 0
    assert asked(daemon) == ("keys.rotate", {"id": ID, "overlap": seconds})
    assert (machine / "new.key").read_text().strip() == "herod_u_other"
    assert (machine / "new.key").stat().st_mode & 0o777 == 0o600
    assert "herod_u_other" not in ended.out + ended.err


@pytest.mark.parametrize(("when", "end"), [("2030-12-31", "2030-12-31"), ("never", None)])
def test_rotate_with_a_new_end(when: str, end: str | None, daemon: FakeDaemon, herod: Typed) -> None:
    """A new end is sent with the rotation; never is null."""
    assert herod("key", "rotate", ID, "--expires", when).code == 0
    assert asked(daemon) == ("keys.rotate", {"id": ID, "overlap": 0, "expires_at": end})


@pytest.mark.parametrize("saves", [True, False])
def test_a_warning_is_shown(saves: bool, daemon: FakeDaemon, herod: Typed) -> None:
    """What keeps a new secret from working is a warning on standard error; scripts find it in the answer."""
    daemon.methods["keys.rotate"] = {**KEY, "key": "herod_u_other", "warning": "The key is disabled."}
    options = ("--save", "new.key") if saves else ()
    ended = herod("key", "rotate", ID, *options)
    assert "warning: The key is disabled." in ended.err
    assert "warning" not in ended.out
    assert '"warning": "The key is disabled."' in herod("key", "rotate", ID, "--output", "json").out


@pytest.mark.parametrize(
    "options", [(), ("--owner", "ada"), ("--name", "x"), ("--kind", "user"), ("--state", "off"), ("--expiring",)]
)
def test_a_list_without_keys(options: tuple[str, ...], daemon: FakeDaemon, herod: Typed) -> None:
    """Only a list of all keys says that there are none; a choice of them says that it matches none."""
    daemon.methods["keys.list"] = {"items": [], "next_cursor": None}
    ended = herod("key", "list", *options)
    assert ended.code == 0
    assert ("There are no keys" in ended.err) == (not options)
    assert ("No key matches" in ended.err) == bool(options)


def test_rotate_with_an_odd_overlap(daemon: FakeDaemon, herod: Typed) -> None:
    """A duration without a unit is refused with an example, before anything is sent."""
    ended = herod("key", "rotate", ID, "--overlap", "10")
    assert ended.code == 2
    assert "write 30s, 10m, 12h or 7d" in ended.err


def test_off_and_on(daemon: FakeDaemon, herod: Typed) -> None:
    """Disabling and enabling each print the new state."""
    ended = herod("key", "disable", ID)
    assert (ended.code, asked(daemon)) == (0, ("keys.disable", {"id": ID}))
    assert f"herod key enable {ID}" in ended.out
    ended = herod("key", "enable", ID)
    assert (ended.code, asked(daemon)) == (0, ("keys.enable", {"id": ID}))
    assert "is enabled" in ended.out


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (("--name", "nightly"), {"name": "nightly"}),
        (("--scope", "read"), {"scope": "read"}),
        (("--network", "lab", "--network", "office"), {"networks": ["lab", "office"]}),
        (("--expires", "never"), {"expires_at": None}),
        (("--expires", "2030-01-31"), {"expires_at": "2030-01-31"}),
        (("--expires", "2030-01-31T12:00:00Z"), {"expires_at": "2030-01-31T12:00:00Z"}),
    ],
)
def test_edit(options: tuple[str, ...], changes: dict[str, Any], daemon: FakeDaemon, herod: Typed) -> None:
    """Only the given options are sent, so omitted ones stay unchanged."""
    ended = herod("key", "edit", ID, *options)
    assert ended.code == 0
    assert asked(daemon) == ("keys.update", {"id": ID, **changes})


def test_edit_nothing(daemon: FakeDaemon, herod: Typed) -> None:
    """Without a change the command is refused with the options that exist."""
    ended = herod("key", "edit", ID)
    assert ended.code == 2
    assert "--expires" in ended.err
