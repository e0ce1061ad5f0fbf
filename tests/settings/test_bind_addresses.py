"""Bind addresses: what is parsed, what is refused, and what the error suggests."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod.settings import (
    Bind,
    FdBind,
    TcpBind,
    UnixBind,
    parse_bind,
    parse_binds,
)
from herod.settings.bind_addresses import default_binds, xdg_folder
from herod_client.core.errors import SettingsError

GOOD: list[tuple[str, Bind]] = [
    ("unix:/run/a.sock", UnixBind(Path("/run/a.sock"))),
    ("unix:/run/a.sock,mode=0600", UnixBind(Path("/run/a.sock"), mode=0o600)),
    ("unix:/run/a.sock,mode=666,peer=off", UnixBind(Path("/run/a.sock"), mode=0o666, peer=False)),
    ("unix:/run/a b.sock,peer=on", UnixBind(Path("/run/a b.sock"))),
    ("127.0.0.1:3350", TcpBind("127.0.0.1", 3350)),
    ("0.0.0.0:0", TcpBind("0.0.0.0", 0)),  # noqa: S104 - parsed, not bound
    ("[::1]:65535", TcpBind("::1", 65535)),
    ("[0:0:0:0:0:0:0:1]:80", TcpBind("::1", 80)),
    ("fd://3", FdBind(3)),
    ("fd://12", FdBind(12)),
]

BAD = [
    ("unix:@abstract", "abstract socket"),
    ("unix:relative.sock", "give an absolute path"),
    ("unix:", "give an absolute path"),
    ("unix:/run/herod/", "give an absolute path"),
    ("unix:/run/a\nb", "unprintable characters"),
    ("unix:/" + "a" * 100, "101 bytes"),
    ("unix:/a,mod=0600", "unknown option 'mod=0600'"),
    ("unix:/a,mode=0600,mode=0660", "sets mode twice"),
    ("unix:/a,mode=0888", "octal permissions"),
    ("unix:/a,mode=1777", "octal permissions"),
    ("unix:/a,mode=", "octal permissions"),
    ("unix:/a,mode=0440", "locks out the daemon's own user"),
    ("unix:/a,peer=no", "peer=on or peer=off"),
    ("http://127.0.0.1:3350", "is a path or a URL"),
    ("/run/a.sock", "is a path or a URL"),
    ("3350", "write 127.0.0.1:3350"),
    ("127.0.0.1", "has no port"),
    ("[::1]", "has no port"),
    ("", "has no port"),
    (":3350", "or 0.0.0.0:3350"),
    ("*:3350", "or 0.0.0.0:3350"),
    ("localhost:3350", "write 127.0.0.1:3350 and [::1]:3350"),
    ("auth.example.org:3350", "give an address"),
    ("999.0.0.1:3350", "give an address"),
    ("::1:3350", "as in [::1]:3350"),
    ("[127.0.0.1]:3350", "an IPv6 address only"),
    ("127.0.0.1:http", "a number from 0 to 65535"),
    ("127.0.0.1:65536", "a number from 0 to 65535"),
    ("127.0.0.1:٣", "a number from 0 to 65535"),
    ("127.0.0.1:+1", "a number from 0 to 65535"),
    ("fd://2", "N of at least 3"),
    ("fd:3", "N of at least 3"),
    ("fd://x", "N of at least 3"),
]


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_good_address(text: str, expected: Bind) -> None:
    """A valid address parses, and its text parses to the same address."""
    assert parse_bind(text) == expected
    assert parse_bind(str(expected)) == expected
    assert parse_binds(text) == (expected,)


@pytest.mark.parametrize(("text", "says"), BAD)
def test_bad_address(text: str, says: str) -> None:
    """An invalid address is refused in one line that shows the valid forms."""
    with pytest.raises(SettingsError) as caught:
        parse_bind(text, where="--bind")
    message = str(caught.value)
    assert message.startswith(f"--bind: {text[:120]!r} ")
    assert says in message
    assert "\n" not in message


@given(st.text(max_size=40) | st.from_regex(r"(unix:/|fd:|\[)[a-z0-9:.,=\]/]*", fullmatch=True))
def test_any_text(text: str) -> None:
    """Any text is an address that round-trips, or a one-line refusal."""
    refusal = ""
    try:
        bind = parse_bind(text)
        assert parse_bind(str(bind)) == bind
    except SettingsError as error:
        refusal = str(error)
    assert "\n" not in refusal


def test_localhost() -> None:
    """`localhost` is both loopback addresses, and only the second may be missing."""
    assert parse_binds("LocalHost:80") == (TcpBind("127.0.0.1", 80), TcpBind("::1", 80, is_optional=True))
    with pytest.raises(SettingsError, match="a number from 0 to 65535"):
        parse_binds("localhost:http")
    with pytest.raises(SettingsError, match="has no port"):
        parse_binds("localhost")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),  # noqa: S104 - parsed, not bound
        ("::", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    """Only addresses that no other machine can reach are loopback, however they are written."""
    assert TcpBind(host, 1).is_loopback is expected


def test_defaults_of_a_person() -> None:
    """A user's daemon listens in the user's runtime folder, for that user alone, and on both loopbacks."""
    assert default_binds({"XDG_RUNTIME_DIR": "/run/user/7"}, uid=7) == (
        UnixBind(Path("/run/user/7/herod/herod.sock"), mode=0o600),
        TcpBind("127.0.0.1", 3350),
        TcpBind("::1", 3350, is_optional=True),
    )


@pytest.mark.parametrize(("environ", "uid"), [({"XDG_RUNTIME_DIR": "/run/user/0"}, 0), ({}, 7)])
def test_defaults_of_the_machine(environ: dict[str, str], uid: int) -> None:
    """As root, or without a runtime folder, the socket is the system's and open to all users."""
    assert default_binds(environ, uid=uid, port=99)[:2] == (
        UnixBind(Path("/run/herod/herod.sock"), mode=0o666),
        TcpBind("127.0.0.1", 99),
    )


def test_xdg_folder() -> None:
    """A relative XDG folder counts as unset, and the default is below HOME, if it is set."""
    assert xdg_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"}, "XDG_STATE_HOME", ".local/state") == Path("/s")
    assert xdg_folder({"XDG_STATE_HOME": "s", "HOME": "/h"}, "XDG_STATE_HOME", ".local/state") == Path(
        "/h/.local/state"
    )
    assert xdg_folder({"HOME": "h"}, "XDG_STATE_HOME", ".local/state") is None
    assert xdg_folder({"HOME": "/h"}, "XDG_RUNTIME_DIR") is None
