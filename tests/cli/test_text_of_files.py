"""The text of every file and pipe that a command reads: its encoding, and what is around it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from herod.input_text import decode_text, parse_json, parse_secret
from herod_cli.sign_in.saved_sign_ins import SavedSignIns
from herod_client.core.errors import SettingsError
from support.fake_daemon import FakeDaemon
from support.stopped_store import NEW, OLD

NOWHERE: Final = ("--url", "unix:/nonexistent/herod.sock")
STORE: Final = ("--store", "sqlite:/dev/null/herod.db")

# Each command that reads a secret or a password, by what it reads it for.
SECRETS: Final[dict[str, tuple[str, ...]]] = {
    "--key": (*NOWHERE, "--key", "@FILE", "key", "list"),
    "--token": (*NOWHERE, "--token", "@FILE", "key", "list"),
    "login --password-file": (*NOWHERE, "login", "ada@example.org", "--password-file", "FILE"),
    "user add --password-file": (*NOWHERE, "user", "add", "ada@example.org", "--password-file", "FILE"),
    "user passwd --current-file": (*NOWHERE, "user", "passwd", "--current-file", "FILE", "--password-file", "FILE"),
    "token issue": (*NOWHERE, "token", "issue", "--client-id", "x", "--secret", "@FILE"),
    "token validate": (*NOWHERE, "token", "validate", "@FILE"),
    "token inspect": (*NOWHERE, "token", "inspect", "@FILE"),
    "token revoke": (*NOWHERE, "token", "revoke", "@FILE"),
    "key verify": (*NOWHERE, "key", "verify", "@FILE"),
    "resource --secret": (*NOWHERE, "resource", "check", "sid", "--secret", "@FILE"),
    "restore --backup-secret-file": ("restore", "backup", "--backup-secret-file", "FILE", *STORE),
    "import --from-secret": ("import", "backup", "--from-secret", "@FILE", *STORE),
    "export --to-secret": ("export", "new", "--to-secret", "@FILE", *STORE),
    "secret rotate": ("secret", "rotate", "--new-secret-file", "FILE", *STORE),
    "serve --user-secret": ("serve", "--user-secret", "@FILE", *STORE),
    "smoke --admin-key": ("smoke", "--insecure-http", "--url", "http://127.0.0.1:1", "--admin-key", "@FILE"),
}  # fmt: skip

TEXTS: Final[dict[str, bytes]] = {
    "utf-16": NEW.encode("utf-16"),
    "utf-16 without a mark": NEW.encode("utf-16-le"),
    "latin-1": NEW.encode() + b"\xe9",
    "nul": NEW.encode() + b"\0",
    "escape": NEW.encode() + b"\x1b[0m",
    "two lines": NEW.encode() + b"\n" + NEW.encode(),
    "empty": b"",
    "mark alone": b"\xef\xbb\xbf\n",
    "blanks": b" \t\r\n",
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", SECRETS)
def test_refused(
    tmp_path: Path, herod: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    """A file without one line of text is named in one sentence, before anybody is asked; the exit code is 2."""
    monkeypatch.setenv("HERO_SECRET", OLD)
    Path("secret.txt").write_bytes(TEXTS[text])
    ended = herod(*(part.replace("FILE", "secret.txt") for part in SECRETS[name]))
    assert ended.code == 2
    assert ended.out == ""
    message = next(line for line in ended.err.splitlines() if "secret.txt" in line)
    assert NEW not in ended.err
    assert "codec" not in ended.err
    if text.startswith("utf-16"):
        assert "UTF-16: save it as UTF-8" in message
    if text == "latin-1":
        assert "not UTF-8: save it as UTF-8" in message


@pytest.mark.parametrize(
    "name", [name for name, command in SECRETS.items() if command[0] == "--url" and name != "token issue"]
)
def test_mark_and_line_end_are_skipped(
    daemon: FakeDaemon, herod: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What Windows' editors put around a secret is not sent."""
    Path("secret.txt").write_bytes(b"\xef\xbb\xbfherod_the_secret_itself\r\n")
    command = SECRETS[name][len(NOWHERE) :]
    herod(*(part.replace("FILE", "secret.txt") for part in command))
    sent = repr(daemon.asked)
    assert "herod_the_secret_itself" in sent
    assert "\\ufeff" not in sent
    assert "\ufeff" not in sent
    assert "xef" not in sent
    assert "itself\\r" not in sent


@pytest.mark.parametrize("option", ["--key", "--token"])
@pytest.mark.parametrize("text", TEXTS)
def test_standard_input(herod: Callable[..., Any], option: str, text: str) -> None:
    """Standard input is judged like a file, and named."""
    ended = herod(*NOWHERE, option, "-", "key", "list", stdin=TEXTS[text])
    assert ended.code == 2
    assert ended.err.startswith("herod: Standard input ")
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("value", ["herod\x01key", "a\nb", "\udcff", "a\0b"])
def test_arguments_and_variables(herod: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A secret in an argument or a variable is judged in the same way."""
    ended = herod(*NOWHERE, "--key", value, "key", "list")
    assert (ended.code, ended.err.splitlines()[-1].startswith("herod: The key ")) == (2, True)
    if "\0" not in value:
        monkeypatch.setenv("HEROD_KEY", value)
        ended = herod(*NOWHERE, "key", "list")
        assert (ended.code, ended.err.startswith("herod: HEROD_KEY ")) == (2, True)


@pytest.mark.parametrize(
    "command",
    [
        ("key", "create", "a\udcff", "--scope", "read"),
        ("key", "show", "\udcff"),
        ("user", "add", "\udcff@example.org"),
        ("explain", "--scope", "\udcff"),
        ("token", "issue", "--scope", "\udced\udca0\udc80"),
        ("audit", "list", "--actor", "\udcff"),
        ("resource", "claim", "vm", "web\udcff", "--unprotected"),
        ("resource", "claim", "vm", "web", "--unprotected", "--attribute", "a=\udcff"),
        ("peer", "allow", "--user", "\udcff", "--scope", "read"),
    ],
)
def test_arguments_that_are_not_utf_8(herod: Callable[..., Any], daemon: FakeDaemon, command: tuple[str, ...]) -> None:
    """An argument that cannot be sent is refused before anything is."""
    ended = herod(*command)
    assert ended.code == 2
    assert "not text (UTF-8)" in ended.err
    assert not [asked for asked in daemon.asked if asked.body]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"version": 1, "sign_ins": {}}'.encode("utf-16"), "is UTF-16: save it as UTF-8."),
        (b'{"version": 1, "version": 1, "sign_ins": {}}', "has a name twice in one JSON object"),
        (b'{"version": 2, "sign_ins": {}}', "is damaged or of a newer version."),
        (b"{", "is not JSON"),
        (b"[" * 20000, "is not JSON"),
        (b"\xff\x01\xff\xff", "is not text"),
    ],
)
def test_saved_sign_ins(tmp_path: Path, herod: Callable[..., Any], content: bytes, says: str) -> None:
    """The file of `herod login` is named, with what to do; doctor goes on."""
    path = tmp_path / "config" / "herod" / "credentials.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    path.chmod(0o600)
    ended = herod(*NOWHERE, "whoami")
    assert ended.code == 1
    assert says in ended.err
    assert "`herod login`" in ended.err
    assert herod("doctor").out.count("credentials.json") == 1
    path.write_bytes(b"\xef\xbb\xbf" + b'{"version": 1, "sign_ins": {"x": {"access_token": "y"}}}\r\n')
    found = SavedSignIns(path).current("x", now=0)
    assert found is not None
    assert found.access_token == "y"


def test_attributes(herod: Callable[..., Any], daemon: FakeDaemon) -> None:
    """A JSON file may begin with a byte order mark, and may not have a name twice."""
    Path("a.json").write_bytes(b'\xef\xbb\xbf{"size": "small"}\r\n')
    assert herod("resource", "update", "sid", "--attributes", "@a.json").code == 0
    assert daemon.params("resources.update")["attributes"] == {"size": "small"}
    for content, says in (
        (b'{"a": 1, "a": 1}', "a.json has a name twice in one JSON object: keep one of them."),
        (b'{"a": {"b": 1, "b": 2}}', "a.json has a name twice"),
        ('{"a": 1}'.encode("utf-16"), "a.json is UTF-16: save it as UTF-8."),
        (b'{"a": "\xe9"}', "a.json is not UTF-8: save it as UTF-8."),
        (b'{"a": ' + b"9" * 5000 + b"}", "a.json is not JSON"),
        (b'{"a": 1', "a.json is not JSON"),
    ):
        Path("a.json").write_bytes(content)
        ended = herod("resource", "update", "sid", "--attributes", "@a.json")
        assert (ended.code, ended.err.startswith(f"herod: {says}")) == (2, True), ended.err


@pytest.mark.parametrize("text", TEXTS)
def test_the_smoke_checks(tmp_path: Path, text: str) -> None:
    """`herod-smoke` reads its files in the same way."""
    path = tmp_path / "key"
    path.write_bytes(TEXTS[text])
    url = ("--url", "http://127.0.0.1:1", "--insecure-http")
    done = subprocess.run(
        [sys.executable, "-m", "herod_smoke", *url, "--admin-key", f"@{path}"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{path}" in done.stderr
    assert "codec" not in done.stderr


@pytest.mark.parametrize(
    "command", [("backup",), ("export",), ("secret", "generate", "--output-file"), ("key", "create", "ci", "--save")]
)
def test_names_that_no_file_can_have(
    herod: Callable[..., Any], daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """A name that is too long is refused before anything is done."""
    monkeypatch.setenv("HERO_SECRET", OLD)
    ended = herod(*command, "n" * 5000)
    assert ended.code == 1
    assert "cannot be created: File name too long." in ended.err
    assert len(ended.err) < 500
    assert daemon.asked == []
    for path in ("/", "."):
        ended = herod(*command, path)
        assert (ended.code, ended.err.startswith(f"herod: {path} ")) == (1, True)


@pytest.mark.parametrize("name", ["s\udcff", "s\u202e", "s\n", "s\x1b[0m"])
def test_names_of_files(tmp_path: Path, herod: Callable[..., Any], name: str) -> None:
    """A file may have any name; answers and messages escape it."""
    ended = herod("secret", "generate", "--output-file", name, "--output", "json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == {"saved_to": name}
    again = herod("secret", "generate", "--output-file", name)
    assert (again.code, again.err.isascii(), len(again.err.splitlines())) == (1, True, 2)
    assert herod("export", "--to-secret", f"@{name}", *STORE).code == 2
    Path(name).unlink()
    assert herod(*NOWHERE, "--key", f"@{name}", "key", "list").code == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--url", "http://["), 3), (("--url", "http://x:99999", "--insecure-http"), 3),
        (("--url", "http://\udcff"), 3),
        (("--timeout", "nan"), 2), (("--timeout", "1e999"), 2), (("--timeout", "abc"), 2), (("--server-uid", "x"), 2),
        (("--server-uid", "9" * 5000), 2), (("--only", "\udcff"), 2),
    ],
)  # fmt: skip
def test_odd_options_of_the_smoke_checks(options: tuple[str, ...], code: int) -> None:
    """No option of `herod-smoke` causes a traceback."""
    command = [sys.executable, "-m", "herod_smoke", "--admin-key", "k", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_pure() -> None:
    """The functions behind all of this, where a file says little."""
    assert decode_text(b"", "x") == ""
    assert decode_text("ü\r\n".encode("utf-8-sig"), "x") == "ü\r\n"
    assert parse_secret("\ufeff a b \r\n", "x") == " a b "
    assert parse_json('{"a": [{"b": 1}, {"b": 2}]}', "x") == {"a": [{"b": 1}, {"b": 2}]}
    with pytest.raises(SettingsError, match="x is UTF-32"):
        decode_text("x".encode("utf-32"), "x")
