"""The settings file: what it may contain, where it is looked for, and that each refusal names its place."""

from pathlib import Path

import pytest

from herod.identity.apps.openid_scopes import OPENID_SCOPES
from herod.settings import FdBind, LimitSettings, UnixBind, load_settings, setting_sources
from support.loaded_settings import ENVIRON, from_toml, load, refusal, toml_refusal


def test_whole_file(tmp_path: Path) -> None:
    """Every kind of key is read from the file, and relative paths are relative to it."""
    (tmp_path / "legacy").write_text("the-one-from-a-file\n")
    (tmp_path / "legacy").chmod(0o600)
    settings = from_toml(
        tmp_path,
        """
        bind = ["unix:/x", "fd://3"]
        store = "memory:"
        signing = "EdDSA"
        registration = "closed"
        admin_secret = ["@legacy", "the-one-that-is-inline"]
        log_level = "debug"
        networks = ["prod", "*"]
        hosts = ["Auth.Example.org", "[::2]"]
        origins = ["https://App.example.org/"]
        public_url = "https://auth.example.net/"
        bootstrap_admin_key = "my-admin"
        [scopes]
        "jobs:run" = { includes = ["user"] }
        [limits]
        max_connections = 7
        idle_seconds = 1.5
        """,
    )
    assert settings.bind == (UnixBind(Path("/x")), FdBind(3))
    assert settings.store is None
    assert settings.admin_secret == ("the-one-from-a-file", "the-one-that-is-inline")
    assert settings.networks == {"*"}
    assert settings.hosts == {"auth.example.org", "[::2]", "auth.example.net"}
    assert settings.origins == {"https://app.example.org"}
    assert settings.public_url == "https://auth.example.net"
    assert settings.scopes == {"jobs:run": ("user",)}
    assert settings.limits == LimitSettings(max_connections=7, idle_seconds=1.5)
    assert settings.config == tmp_path / "herod.toml"
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("issuer = 'x'\nport 5", "not TOML: Expected '=' after a key in a key/value pair (at line 2, column 6)."),
        ("x = " + "[" * 5000, "nested too deep"),
        ("issuer = 'x'\n\0", "line 2 contains a NUL character: remove it."),
        ("issuer = 'x\0'", "line 1 contains a NUL character: remove it."),
        ("port = 1\rissuer = 'x'\r", "the lines end with CR alone: save it with line ends LF or CRLF."),
        ("token-ttl = 5", "unknown key 'token-ttl': did you mean token_ttl?"),
        ("zebra = 5", "unknown key 'zebra': the keys are admin_secret, "),
        ("config = 'x'", "unknown key 'config'"),
        ("hero_secret = 'x'", "start with HERO_SECRET_FILE=FILE"),
        ("herod_store_secret = 'x'", "start with HEROD_STORE_SECRET_FILE=FILE"),
        ('port = "3350"', "port: found '3350', expected a whole number from 0 to 65535."),
        ("port = true", "port: found True, expected a whole number"),
        ("port = 70000", "port: found 70000, expected a whole number"),
        ("insecure = 1", "insecure: found 1, expected true or false."),
        ("issuer = ''", "issuer: found '', expected text."),
        ("issuer = 7", "issuer: found 7, expected text."),
        ('bind = "unix:/x"', "bind: found 'unix:/x', expected a list of texts."),
        ("bind = []", "bind: found no address"),
        ('bind = ["nonsense"]', "bind: 'nonsense' has no port"),
        ("admin_secret = [5]", "admin_secret: found list, expected a list of secrets"),
        ('admin_secret = "hush"', "admin_secret: found str, expected a list of secrets"),
        ("log_level = 'loud'", "expected debug or info or warning or error."),
        ("issuer = '" + "a" * 100 + "'\nport = '" + "b" * 100 + "'", "b…, expected a whole number"),
        ("scopes = 5", "scopes: found 5, expected [scopes]"),
        *((f"[scopes]\n{name} = {{}}", f"scopes: '{name}' is OpenID Connect's") for name in OPENID_SCOPES),
        ("[scopes]\nx = ['user']", "scopes: 'x' is ['user'], expected"),
        ("[scopes]\nx = { includes = [5] }", "scopes: 'x' is"),
        ("[scopes]\nx = { includes = [], colour = 1 }", "scopes: 'x' is"),
        ("[scopes]\nx = {include = []}", "scopes: 'x' is"),
        ("limits = 5", "limits: found 5, expected a table"),
        ("[limits]\nmax_conections = 5", "limits: unknown key 'max_conections': did you mean max_connections?"),
        ("[limits]\nmax_connections = 0", "max_connections: found 0, expected a whole number from 1 to 65536."),
        ("[limits]\nmax_connections = 1.5", "max_connections: found 1.5, expected a whole number"),
        ("[limits]\nhead_seconds = nan", "head_seconds: found nan, expected a number from 1 to 600."),
        ("[limits]\nhead_seconds = true", "head_seconds: found True, expected a number"),
        ("[[users]]\nemail = 'a@b'", "`herod import "),
        ("[users.'a@b']\nscope = 'read'", "`herod import "),
        ("['a@b']\nclient_id = 'x'", "this is a Hero Auth user file, not herod's settings"),
        ("networks = []", "networks: found no network"),
        ("networks = ['no good']", "networks: found 'no good'"),
        (f"networks = {['n'] * 65}", "networks: found 65 networks, expected at most 64"),
        ("hosts = ['https://x']", "hosts: found 'https://x', expected a host alone"),
        ("hosts = ['x:80']", "hosts: found 'x:80'"),
        ("origins = ['null']", "origins: found 'null'"),
        ("origins = ['*']", "origins: found '*'"),
        ("origins = ['https://*.x']", "origins: found 'https://*.x'"),
        ("origins = ['https://x/path']", "origins: found 'https://x/path'"),
        ("hosts = ['auth.example.org.']", "hosts: found 'auth.example.org.'"),
        ("hosts = ['☃.example']", "hosts: found '☃.example'"),
        ("origins = ['https://☃.example']", "origins: found 'https://☃.example'"),
        ("frame_origins = ['https://bücher..example']", "frame_origins: found 'https://bücher..example'"),
    ],
)
def test_bad_file(tmp_path: Path, text: str, says: str) -> None:
    """An error in a file is refused with its path, the key, the value found and what is expected."""
    assert says in toml_refusal(tmp_path, text)


def test_file_that_is_missing(tmp_path: Path) -> None:
    """A settings file that was given and does not exist is refused, in words for who has Hero Auth's users file."""
    for where, message in (
        ("--config", refusal(config=tmp_path / "none.toml")),
        ("HEROD_CONFIG", refusal({"HEROD_CONFIG": str(tmp_path / "none.toml")})),
    ):
        assert message.startswith(f"{where}: '{tmp_path}/none.toml' does not exist.")
        assert "--store" in message
        assert "`herod import FILE`" in message
    assert "Is a directory" in refusal({"HEROD_CONFIG": str(tmp_path)})


def test_file_that_is_no_text(tmp_path: Path) -> None:
    """A binary file is taken for an encrypted Hero Auth user file, and the message names the import."""
    path = tmp_path / "users.toml.enc"
    path.write_bytes(b"\xff\xfe\x00")
    assert f"`herod import {path}`" in refusal(config=path)


def test_file_without_end() -> None:
    """An endless device is refused rather than read."""
    assert "/dev/zero is over 1048576 bytes" in refusal(config="/dev/zero")


def test_default_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's file is used if it exists, else the user's, else none."""
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert load(environ).config is None
    assert load({"HOME": ""}, store="memory:").config is None
    own = tmp_path / "herod" / "herod.toml"
    own.parent.mkdir()
    own.write_text("issuer = 'own'")
    assert load(environ).issuer == "own"
    system = tmp_path / "etc" / "herod.toml"
    system.parent.mkdir()
    system.write_text("issuer = 'machine'")
    assert load(environ).issuer == "machine"


def test_default_file_that_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A settings file that exists and is unreadable is refused, not skipped."""
    monkeypatch.setattr(setting_sources, "SYSTEM_CONFIG", tmp_path / ("a" * 300))
    assert "File name too long" in refusal()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_encoding_of_the_file(tmp_path: Path, encoding: str) -> None:
    """A byte order mark and Windows' line ends are skipped; other encodings are named."""
    path = tmp_path / "herod.toml"
    path.write_bytes("# Schlüssel\r\nissuer = 'x'\r\n[scopes]\r\n'a:b' = {}\r\n".encode(encoding))
    if encoding == "utf-8-sig":
        settings = load_settings({"config": path}, ENVIRON, uid=1000)
        assert (settings.issuer, settings.scopes) == ("x", {"a:b": ()})
    else:
        name = "not UTF-8" if encoding == "latin-1" else encoding.upper()[:6]
        assert refusal(config=path) == f"--config: {path} is {name}: save it as UTF-8."
