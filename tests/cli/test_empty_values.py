"""Empty is not absent: an option from a variable that was never set is a usage error, and nothing is sent."""

from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from herod_cli.main import herod as root
from support.fake_daemon import FakeDaemon

Typed = Callable[..., Any]


def _commands(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _commands(found, *names, name)
    yield names, command


TEXTS = [
    (names, param)
    for names, command in _commands(root)
    for param in command.params
    if isinstance(param.type, click.types.StringParamType)
]


@pytest.mark.parametrize("value", ["", " ", "\t", "\u00a0"])
def test_no_command_takes_an_empty_text(value: str) -> None:
    """No option and no argument of any command takes an empty or blank text."""
    assert len(TEXTS) > 100
    for names, param in TEXTS:
        with pytest.raises(click.BadParameter, match="it is empty"):
            param.type.convert(value, param, None)
        assert param.type.convert("read", param, None) == "read", names


@pytest.mark.parametrize("value", ["", "  "])
@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "validate", "@t", "--scope"),
        ("token", "validate", "@t", "--network"),
        ("key", "verify", "@t", "--scope"),
        ("key", "verify", "@t", "--network"),
        ("explain", "--operation", "users.list", "--network"),
        ("explain", "--scope"),
        ("explain", "--operation"),
        ("explain", "--scope", "read", "--principal"),
        ("key", "create", "k", "--scope"),
        ("key", "create", "k", "--scope", "read", "--network"),
        ("key", "edit", "K", "--scope"),
        ("key", "list", "--owner"),
        ("key", "delete"),
        ("user", "add", "--email", "a@b.example", "--scope"),
        ("user", "add", "--email", "a@b.example", "--network"),
        ("user", "scope", "a@b.example"),
        ("peer", "allow", "--uid", "1", "--scope"),
        ("peer", "allow", "--uid", "1", "--scope", "read", "--network"),
        ("token", "issue", "--scope"),
        ("token", "issue", "--resource"),
        ("audit", "list", "--actor"),
        ("whoami", "--key"),
        ("whoami", "--token"),
        ("whoami", "--url"),
    ],
    ids=" ".join,
)
def test_nothing_is_sent(arguments: tuple[str, ...], value: str, daemon: FakeDaemon, herod: Typed) -> None:
    """The option is named, and the daemon is not asked about something else."""
    ended = herod(*arguments, value)
    assert (ended.code, ended.out) == (2, "")
    assert "it is empty" in ended.err
    assert daemon.asked == []


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize("name", ["HEROD_KEY", "HEROD_TOKEN"])
def test_an_empty_credential_is_not_the_uid(
    name: str, value: str, daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an empty credential in the environment, the uid, which may be an admin's, is not presented in its place."""
    monkeypatch.setenv(name, value)
    ended = herod("whoami")
    assert (ended.code, ended.out, daemon.asked) == (2, "", [])
    assert f"{name} is empty" in ended.err
    assert herod("whoami", "--peer").code == 0
