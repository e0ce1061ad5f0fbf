"""The daemon's secrets: where they are read from, which are refused, and that no message contains one."""

from pathlib import Path

import pytest

from herod.settings import Settings, load_settings
from herod_client.core.errors import SettingsError

SECRET = "jN3k8sV1xQ0pZ7wB5tY2uR9mC4hL6dGf"
OTHER = SECRET[::-1]


def load(environ: dict[str, str], **options: object) -> Settings:
    """Settings that consist of secrets only."""
    return load_settings({"store": "memory:", **options}, environ, uid=1000)


def refusal(environ: dict[str, str], **options: object) -> str:
    """The one-line refusal of these secrets, which must not contain one."""
    with pytest.raises(SettingsError) as caught:
        load(environ, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in message
    return message


def keep(path: Path, content: str | bytes, mode: int = 0o600) -> str:
    """Write a secret to a file."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return str(path)


def test_none() -> None:
    """Without a secret, the message says how to create one and where to put it."""
    for environ in ({}, {"HERO_SECRET": ""}):
        message = refusal(environ)
        assert "`herod secret generate --output-file FILE`" in message
        assert "HERO_SECRET_FILE=FILE" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (SECRET, SECRET),
        (SECRET + "\n", SECRET),
        (SECRET + "\r\n", SECRET),
        (SECRET + "\n\n", SECRET),
        (SECRET + "\r", SECRET),
        ("\ufeff" + SECRET, SECRET),
        ("\ufeff" + SECRET + "\r\n\r\n", SECRET),
        ("\ufeff\ufeff" + SECRET, SECRET),
        (" " + SECRET, " " + SECRET),
        ("ü" * 16, "ü" * 16),
    ],
)
def test_file(tmp_path: Path, content: str, expected: str) -> None:
    """A byte order mark and line ends are not part of the secret; other white space is, with a warning."""
    settings = load({"HERO_SECRET_FILE": keep(tmp_path / "s", content)})
    assert settings.hero_secret == expected
    assert settings.store_secret is None
    assert any("white space" in warning for warning in settings.warnings) == (expected != expected.strip())


@pytest.mark.parametrize("unseen", ["\u200b", "\u00ad", "\u2060"])
def test_what_nobody_sees_in_a_secret(tmp_path: Path, unseen: str) -> None:
    """A character that shows nothing belongs to the secret, as it always did, with a warning."""
    settings = load({"HERO_SECRET_FILE": keep(tmp_path / "s", SECRET + unseen)})
    assert settings.hero_secret == SECRET + unseen
    assert settings.warnings == ("HERO_SECRET_FILE contains invisible characters, which count as part of the secret.",)


def test_systemd_credentials(tmp_path: Path) -> None:
    """Both secrets can come as systemd credentials, and other credentials are ignored."""
    keep(tmp_path / "hero_secret", SECRET)
    keep(tmp_path / "herod_store_secret", OTHER)
    keep(tmp_path / "unrelated", "x")
    settings = load({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert (settings.hero_secret, settings.store_secret) == (SECRET, OTHER)
    assert load({"CREDENTIALS_DIRECTORY": str(tmp_path / "none"), "HERO_SECRET": SECRET}).store_secret is None


def test_two_sources(tmp_path: Path) -> None:
    """Two sources that agree are accepted; two that differ are refused with their names."""
    environ = {"HERO_SECRET": SECRET, "HERO_SECRET_FILE": keep(tmp_path / "hero_secret", SECRET + "\n")}
    assert load(environ | {"CREDENTIALS_DIRECTORY": str(tmp_path)}).hero_secret == SECRET
    assert refusal(environ | {"HERO_SECRET": OTHER}) == (
        "HERO_SECRET and HERO_SECRET_FILE have different secrets: keep one of them."
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty: put the secret in it."),
        (b"\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b" \t \r\n", "has only white space"),
        (b"\xff" * 32, "is not UTF-8: save it as UTF-8."),
        (SECRET.encode() + b"\xe9", "is not UTF-8: save it as UTF-8."),
        (b"\x01\xff" * 32, "is not text (UTF-8)"),
        (SECRET.encode("utf-16"), "is UTF-16: save it as UTF-8."),
        (SECRET.encode("utf-16-le"), "is UTF-16: save it as UTF-8."),
        (SECRET.encode("utf-16-be"), "is UTF-16: save it as UTF-8."),
        (SECRET.encode("utf-32"), "is UTF-32: save it as UTF-8."),
        (b"\0" + SECRET.encode(), "contains a NUL character"),
        (SECRET.encode() + b"\0\n", "contains a NUL character"),
        (b"\0", "contains a NUL character"),
        (SECRET.encode() + b"\x07", "contains the invisible character U+0007"),
        (SECRET.encode() + b"\x1b[0m", "contains the invisible character U+001B"),
        (SECRET.encode() + b"\x7f", "contains the invisible character U+007F"),
        (SECRET.encode() + "\u2028x".encode(), "contains the invisible character U+2028"),
        (SECRET.encode() + "\ufeffx".encode(), "contains the invisible character U+FEFF"),
        (SECRET.encode() + b"\n" + SECRET.encode(), "has more than one line"),
        (SECRET.encode() + b"\rx\r", "has more than one line"),
    ],
)
@pytest.mark.parametrize("place", ["file", "store", "credential", "legacy"])
def test_file_that_holds_none(tmp_path: Path, content: bytes, says: str, place: str) -> None:
    """A file without one line of text is refused in one sentence that names it."""
    path = keep(tmp_path / "hero_secret", content)
    sources: dict[str, tuple[str, dict[str, str], dict[str, object]]] = {
        "file": ("HERO_SECRET_FILE", {"HERO_SECRET_FILE": path}, {}),
        "store": ("HEROD_STORE_SECRET_FILE", {"HERO_SECRET": SECRET, "HEROD_STORE_SECRET_FILE": path}, {}),
        "credential": ("systemd credential hero_secret", {"CREDENTIALS_DIRECTORY": str(tmp_path)}, {}),
        "legacy": ("--admin-secret", {"HERO_SECRET": SECRET}, {"admin_secret": (f"@{path}",)}),
    }
    where, environ, options = sources[place]
    message = refusal(environ, **options)
    assert message.startswith(f"{where}: {path} {says}")
    assert message.endswith((".", "?"))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("  ", "HERO_SECRET has only white space"),
        ("\r\n", "HERO_SECRET is empty"),
        (SECRET + "\n" + SECRET, "HERO_SECRET has more than one line"),
        (SECRET + "\x01", "HERO_SECRET contains the invisible character U+0001"),
    ],
)
def test_variable_that_holds_none(value: str, says: str) -> None:
    """A variable is checked like a file."""
    assert refusal({"HERO_SECRET": value}).startswith(says)


@pytest.mark.parametrize("value", ["\ufeff" + SECRET, SECRET + "\n", SECRET + "\r", "\ufeff\ufeff" + SECRET + "\r\n"])
def test_the_same_bytes_are_the_same_secret(tmp_path: Path, value: str) -> None:
    """A secret that was copied from its file into a variable with all that surrounds it is the same."""
    both = {"HERO_SECRET": value, "HERO_SECRET_FILE": keep(tmp_path / "hero_secret", value)}
    assert load(both).hero_secret == SECRET
    assert load({"HERO_SECRET": value}).former_secret == value
    kept = load({"HERO_SECRET_FILE": keep(tmp_path / "hero_secret", value)})
    former = value.removesuffix("\n") if "\r\n" not in value else value.removesuffix("\r\n")
    assert kept.former_secret == (None if former == SECRET else former)
    assert load({"HERO_SECRET": SECRET}).former_secret is None


def test_a_secret_about_to_be_changed(tmp_path: Path) -> None:
    """What herod 0.1 accepted is taken as it was, so that `herod secret rotate` can change it."""
    for content in (SECRET + "\n" + SECRET, SECRET + "\0", SECRET + "\t"):
        path = keep(tmp_path / "hero_secret", content + "\n")
        found = load_settings(
            {"store": "memory:"}, {"HERO_SECRET_FILE": path}, uid=1000, is_secret_replaced=True
        ).hero_secret
        assert found == content
        assert "`herod secret rotate`" in refusal({"HERO_SECRET_FILE": path})


def test_bytes_in_the_environment() -> None:
    """A variable that is not UTF-8 is refused without a crash."""
    assert "HERO_SECRET is not text" in refusal({"HERO_SECRET": SECRET + "\udcff"})


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file is named."""
    assert f"HERO_SECRET_FILE: cannot read '{tmp_path}/none': No such file" in refusal(
        {"HERO_SECRET_FILE": str(tmp_path / "none")}
    )
    assert "not a valid path" in refusal({"HERO_SECRET_FILE": "a\0b"})


def test_file_that_everybody_reads(tmp_path: Path) -> None:
    """A world-readable secret file is warned about."""
    settings = load({"HERO_SECRET_FILE": keep(tmp_path / "s", SECRET, 0o644)})
    assert settings.warnings == (f"HERO_SECRET_FILE: every user of this machine can read {tmp_path}/s: chmod 600 it.",)


@pytest.mark.parametrize("variable", ["HERO_SECRET", "HEROD_STORE_SECRET"])
def test_short(variable: str) -> None:
    """A secret under 32 bytes is refused, or accepted with a warning if allowed."""
    environ = {"HERO_SECRET": SECRET} | {variable: OTHER[:31]}
    message = refusal(environ)
    assert message.startswith(f"{variable} has 31 bytes and needs 32")
    assert "--allow-weak-secret" in message
    settings = load(environ, allow_weak_secret=True)
    assert settings.warnings == (f"{variable} has 31 bytes: anyone who sees one token can guess it.",)


@pytest.mark.parametrize(
    "value",
    [
        "your_secret_here",
        "changeme",
        "CHANGE-ME!",
        "secret",
        "<secret>",
        "password",
        "your-256-bit-secret",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
        "please replace this with a real one, replace_me",
    ],
)
def test_placeholder(value: str) -> None:
    """A placeholder from examples is refused at any length, whatever is allowed."""
    for variable in ("HERO_SECRET", "HEROD_STORE_SECRET"):
        message = refusal({"HERO_SECRET": SECRET} | {variable: value}, allow_weak_secret=True)
        assert message == (f"{variable} is a placeholder from an example: make one with `herod secret generate`.")


def test_one_secret_for_two_uses() -> None:
    """A store secret equal to HERO_SECRET protects nothing, which is warned about."""
    settings = load({"HERO_SECRET": SECRET, "HEROD_STORE_SECRET": SECRET})
    assert settings.warnings == ("HEROD_STORE_SECRET equals HERO_SECRET, so it protects nothing: make another.",)


def test_legacy_from_the_command_line() -> None:
    """A legacy secret in the arguments works, with a warning that all users can see it."""
    settings = load({"HERO_SECRET": SECRET}, admin_secret=(OTHER, SECRET, OTHER), user_secret=("c" * 16,))
    assert (settings.admin_secret, settings.user_secret) == ((OTHER, SECRET), ("c" * 16,))
    assert settings.warnings == (
        "--admin-secret: every user of this machine can read a command line: use @FILE.",
        "--user-secret: every user of this machine can read a command line: use @FILE.",
    )


def test_legacy_from_files(tmp_path: Path) -> None:
    """`@FILE` is read, one secret for each file, wherever the option is set."""
    first, second = keep(tmp_path / "a", f"{OTHER}\n"), keep(tmp_path / "b", SECRET, 0o644)
    settings = load({"HERO_SECRET": SECRET, "HEROD_REGISTER_SECRET": f"@{first}\nthree\n\n@{second}"})
    assert settings.register_secret == (OTHER, "three", SECRET)
    assert settings.warnings == (
        (
            "HEROD_REGISTER_SECRET: a legacy secret under 16 bytes can be guessed: guesses at /validate and "
            "auth.verify are not limited."
        ),
        f"HEROD_REGISTER_SECRET: every user of this machine can read {second}: chmod 600 it.",
    )
    assert "more than one line" in refusal(
        {"HERO_SECRET": SECRET}, admin_secret=("@" + keep(tmp_path / "c", "x\ny\n"),)
    )
    assert "is empty" in refusal({"HERO_SECRET": SECRET}, admin_secret=("@" + keep(tmp_path / "d", "\n"),))


def test_legacy_in_an_open_file(tmp_path: Path) -> None:
    """Secrets in a world-readable settings file are warned about; in a private one they are not."""
    path = keep(tmp_path / "herod.toml", f'admin_secret = ["{OTHER}"]', 0o644)
    assert load({"HERO_SECRET": SECRET}, config=path).warnings == (
        f"{path}: admin_secret: every user of this machine can read this file: chmod 600 it, or use @FILE.",
    )
    Path(path).chmod(0o640)
    assert load({"HERO_SECRET": SECRET}, config=path).warnings == ()


def test_legacy_with_two_meanings() -> None:
    """The same legacy secret for two scopes is refused."""
    assert refusal({"HERO_SECRET": SECRET}, admin_secret=(OTHER,), user_secret=(OTHER,)) == (
        "The same secret is given as admin_secret and user_secret: keep one of them."
    )


def test_legacy_that_is_none() -> None:
    """An empty legacy secret is refused without being quoted."""
    assert refusal({"HERO_SECRET": SECRET}, admin_secret=("",)) == (
        "--admin-secret: found tuple, expected a list of secrets or @FILE, one line each."
    )
