"""`herod resource`: the requests, the sources of the secret, and the output."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.fake_daemon import RESOURCE, FakeDaemon, RpcError

Typed = Callable[..., Any]

SID = RESOURCE["sid"]
SECRET = "what the tenant chose"


@pytest.fixture(autouse=True)
def files(machine: Path) -> None:
    """A tenant's secret and attributes in files."""
    (machine / "tenant.secret").write_text(SECRET + "\n")
    (machine / "vm.json").write_text('{"cpus": 2}')
    (machine / "list.json").write_text("[2]")


@pytest.mark.parametrize(
    ("line", "method", "params"),
    [
        (("claim", "vm", "web 1"), "claim", {"kind": "vm", "name": "web 1"}),
        (
            ("claim", "vm", "web 1", "--attribute", "size=small", "--attribute", "note=a=b"),
            "claim",
            {"kind": "vm", "name": "web 1", "attributes": {"size": "small", "note": "a=b"}},
        ),
        (
            ("claim", "vm", "web 1", "--attributes", "@vm.json"),
            "claim",
            {"kind": "vm", "name": "web 1", "attributes": {"cpus": 2}},
        ),
        (("list", "vm", "--limit", "5"), "list", {"kind": "vm", "limit": 5}),
        (("get", SID), "get", {"sid": SID}),
        (("check", SID), "check", {"sid": SID}),
        (("update", SID, "--name", "web 2"), "update", {"sid": SID, "name": "web 2"}),
        (("release", SID), "release", {"sid": SID}),
    ],
)
def test_what_is_asked(
    line: tuple[str, ...], method: str, params: dict[str, Any], daemon: FakeDaemon, herod: Typed
) -> None:
    """The secret is read from a file or standard input, without the line end, and never printed."""
    for given in ("@tenant.secret", "-"):
        daemon.asked.clear()
        ended = herod("resource", *line, "--secret", given, stdin=SECRET.encode() + b"\n")
        assert (ended.code, ended.err) == (0, "")
        assert daemon.params(f"resources.{method}") == {**params, "secret": SECRET}
        assert SECRET not in ended.out


def test_a_secret_on_the_line_earns_a_warning(daemon: FakeDaemon, herod: Typed) -> None:
    """A secret as an argument is warned about, because all local users can read it."""
    ended = herod("resource", "get", SID, "--secret", "hunter2")
    assert ended.code == 0
    assert "warning" in ended.err
    assert "hunter2" not in ended.err


def test_unprotected_is_said_aloud(daemon: FakeDaemon, herod: Typed) -> None:
    """A resource without protection needs an explicit option."""
    assert herod("resource", "claim", "vm", "web 1").code == 2
    assert herod("resource", "claim", "vm", "web 1", "--unprotected", "--secret", "@tenant.secret").code == 2
    assert herod("resource", "claim", "vm", "web 1", "--unprotected").code == 0
    assert daemon.params("resources.claim")["secret"] == ""


def test_what_is_said(daemon: FakeDaemon, herod: Typed) -> None:
    """Tables show the complete sid, and JSON is the operation's own format."""
    ended = herod("resource", "list", "vm", "--secret", "@tenant.secret")
    assert SID in ended.out
    assert "size=small cpus=2" in ended.out
    assert all(len(line) <= 80 for line in ended.out.splitlines())
    ended = herod("resource", "get", SID, "--output", "json")
    assert '"cpus": 2' in ended.out
    daemon.methods["resources.list"] = {"items": [], "next_cursor": None}
    assert "No unprotected resources" in herod("resource", "list", "vm").err
    assert "owns no resources" in herod("resource", "list", "vm", "--secret", "@tenant.secret").err


def test_a_miss(daemon: FakeDaemon, herod: Typed) -> None:
    """A miss exits with 1 and the daemon's message."""
    daemon.methods["resources.check"] = RpcError(-32004, "There is no such resource.", {"code": "not_found"})
    ended = herod("resource", "check", SID)
    assert ended.code == 1
    assert "no such resource" in ended.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Nothing to change"),
        (("--attribute", "size"), "NAME=VALUE"),
        (("--attribute", "a=1", "--attribute", "a=2"), "twice"),
        (("--attribute", "a=1", "--attributes", "@vm.json"), "exclusive"),
        (("--attributes", "@list.json"), "not contain a JSON object"),
        (("--attributes", "@tenant.secret"), "tenant.secret is not JSON"),
    ],
)
def test_bad_changes(options: tuple[str, ...], message: str, daemon: FakeDaemon, herod: Typed) -> None:
    """Invalid changes are refused with an example, before anything is sent."""
    ended = herod("resource", "update", SID, *options)
    assert ended.code == 2
    assert message in ended.err
    assert not daemon.asked
