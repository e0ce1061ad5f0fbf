"""Settings: precedence, and one-line refusals that name the place and what to change."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from herod.settings import Settings, TcpBind, UnixBind
from herod_client.core.errors import SettingsError
from support.loaded_settings import SECRET, from_toml, load, refusal, toml_refusal


def test_defaults() -> None:
    """With only a secret, every setting has INTERFACES' default."""
    settings = load()
    assert settings == Settings(
        hero_secret=SECRET,
        bind=(
            UnixBind(Path("/run/herod/herod.sock"), mode=0o666),
            TcpBind("127.0.0.1", 3350),
            TcpBind("::1", 3350, is_optional=True),
        ),
        store=Path("/nowhere/.local/state/herod/herod.db"),
        folder=Path("/nowhere/.local/state/herod"),
    )
    assert settings.issuer == "hero_auth"
    assert settings.networks == {"*"}


def test_secrets_are_not_shown() -> None:
    """The `repr` of the settings contains no secret."""
    shown = repr(load({"HEROD_STORE_SECRET": SECRET[::-1], "HEROD_ADMIN_SECRET": "legacy-one"}))
    assert SECRET not in shown
    assert SECRET[::-1] not in shown
    assert "legacy-one" not in shown


def test_folder_of_a_store_in_memory() -> None:
    """The daemon's own files are beside its socket, or where that would be; never in the working directory."""
    assert load(store="memory:", bind=("127.0.0.1:1", "unix:/a/b.sock", "unix:/c/d.sock")).folder == Path("/a")
    assert load({"XDG_RUNTIME_DIR": "/r"}, store="memory:", bind=("127.0.0.1:1",)).folder == Path("/r/herod")
    assert load(store="memory:", bind=("fd://3",)).folder == Path("/run/herod")
    assert load(store="sqlite:/s/x.db", bind=("unix:/a/b.sock",)).folder == Path("/s")


def test_precedence(tmp_path: Path) -> None:
    """The command line overrides the environment, which overrides the file; a list is replaced, not merged."""
    path = tmp_path / "herod.toml"
    path.write_text('issuer = "file"\nnetworks = ["file"]\ntoken_ttl = 5\n')
    environ = {"HEROD_CONFIG": str(path), "HEROD_ISSUER": "environment", "HEROD_NETWORKS": " a\tb "}
    assert load({"HEROD_CONFIG": str(path)}).issuer == "file"
    settings = load(environ)
    assert (settings.issuer, settings.token_ttl) == ("environment", 5)
    assert settings.networks == {"a", "b"}
    assert load(environ, issuer="line").issuer == "line"


def test_what_was_not_said() -> None:
    """None, False and an empty tuple from the command line, and an empty variable, count as unset."""
    settings = load({"HEROD_ISSUER": "", "HEROD_BIND": "  "}, issuer=None, insecure=False, admin_secret=())
    assert replace(settings, warnings=()) == load()
    assert load(port=0).bind[1] == TcpBind("127.0.0.1", 0)


def test_unknown_option_is_a_bug() -> None:
    """An option that is not in the table is a programming error, not the operator's."""
    with pytest.raises(TypeError, match="no such options: colour"):
        load(colour="red")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("HEROD_PORT=abc", "HEROD_PORT: found 'abc', expected a whole number from 0 to 65535."),
        ("HEROD_PORT=" + "9" * 5000, "HEROD_PORT: found '999"),
        ("HEROD_INSECURE=perhaps", "HEROD_INSECURE: found 'perhaps', expected true or false."),
        ("HEROD_SIGNING=hs256", "HEROD_SIGNING: found 'hs256', expected HS256 or EdDSA."),
        ("HEROD_TOKEN_TTL=0", "HEROD_TOKEN_TTL: found 0"),
        ("HEROD_BIND=unix:/x 127.0.0.1", "HEROD_BIND: '127.0.0.1' has no port"),
        ("HEROD_STORE=herod.db", "HEROD_STORE: found 'herod.db', expected sqlite:/path/of/herod.db or memory:."),
        ("HEROD_STORE=sqlite:herod.db", "expected sqlite:/path"),
        ("HEROD_STORE=sqlite://herod.db", "expected sqlite:/path"),
        ("HEROD_STORE=sqlite:/var/", "expected sqlite:/path"),
        ("HEROD_STORE=postgresql://db/x", "PostgreSQL is not supported yet"),
        ("HEROD_BOOTSTRAP_ADMIN_KEY=../x", "HEROD_BOOTSTRAP_ADMIN_KEY: found '../x'"),
        ("HEROD_PUBLIC_URL=auth.example.org", "expected a URL like https://auth.example.org."),
        ("HEROD_PUBLIC_URL=https://a?b", "expected a URL"),
        ("HEROD_PUBLIC_URL=https://a:99999", "expected a URL"),
        ("HEROD_PUBLIC_URL=https://u@a", "expected a URL"),
        ("HEROD_PUBLIC_URL=https://", "expected a URL"),
        ("HEROD_ADMIN_SECRET=@/none", "HEROD_ADMIN_SECRET: cannot read '/none'"),
    ],
)
def test_bad_variable(text: str, says: str) -> None:
    """An error in a variable is refused with the variable's name."""
    name, _, value = text.partition("=")
    message = refusal({name: value})
    assert says in message
    assert message.startswith(name)


@pytest.mark.parametrize(
    ("text", "expected"), [("1", True), ("YES", True), ("on", True), ("true", True), ("0", False), ("off", False)]
)
def test_switch_words(text: str, expected: bool) -> None:
    """A switch in the environment accepts the usual words."""
    assert load({"HEROD_INSECURE": text}).insecure is expected


def test_bind_twice() -> None:
    """A duplicate address is refused, but not several ports chosen by the kernel."""
    assert "unix:/x,mode=0600 is listed twice" in refusal(bind=("unix:/x", "unix:/x,mode=0600"))
    assert "127.0.0.1:1 is listed twice" in refusal(bind=("127.0.0.1:1", "127.0.0.1:1"))
    assert len(load(bind=("127.0.0.1:0", "127.0.0.1:0")).bind) == 2


@pytest.mark.parametrize("bind", ["127.0.0.1:5", "unix:/x", "fd://3"])
def test_port_beside_bind(tmp_path: Path, bind: str) -> None:
    """A port that addresses leave without effect is refused, unless what names the addresses takes precedence."""
    assert load(port=99).bind[1] == TcpBind("127.0.0.1", 99)
    assert refusal(port=99, bind=(bind,)) == (
        "--port applies to the default addresses only, and --bind replaces them: add 127.0.0.1:99 to the addresses, or "
        "remove one of the two settings."
    )
    assert "HEROD_PORT applies" in refusal({"HEROD_PORT": "99", "HEROD_BIND": bind})
    assert "--port applies" in refusal({"HEROD_BIND": bind}, port=99)
    assert toml_refusal(tmp_path, f"port = 99\nbind = ['{bind}']").startswith("port applies")
    file = tmp_path / "bind.toml"
    file.write_text(f"bind = ['{bind}']")
    assert "--port applies" in refusal(config=file, port=9)
    assert "HEROD_PORT applies to" in load({"HEROD_PORT": "99"}, bind=(bind,)).warnings[0]
    assert "port applies to" in from_toml(tmp_path, "port = 99", bind=(bind,)).warnings[0]
    assert load({"HEROD_PORT": "tcp://10.0.0.1:3350"}, bind=(bind,)).warnings[0].startswith("HEROD_PORT: set by")


def test_what_kubernetes_sets() -> None:
    """The variables of a service named herod are ignored, with a warning."""
    links = {
        "HEROD_PORT": "tcp://10.0.0.1:3350",
        "HEROD_PORT_3350_TCP": "tcp://10.0.0.1:3350",
        "HEROD_PORT_3350_TCP_ADDR": "10.0.0.1",
        "HEROD_SERVICE_HOST": "10.0.0.1",
        "HEROD_SERVICE_PORT": "3350",
        "HEROD_SERVICE_PORT_HTTP": "3350",
    }
    settings = load(links)
    assert settings.bind[1] == TcpBind("127.0.0.1", 3350)
    assert settings.warnings == (
        (
            f"{', '.join(sorted(links))}: set by Kubernetes or Docker for a service named herod, and ignored: set "
            "enableServiceLinks: false, or name the service differently."
        ),
    )
    assert load(links, port=4000).bind[1] == TcpBind("127.0.0.1", 4000)
    assert load({"HEROD_PORT": "udp://[fd00::1]:3350"}).bind[1] == TcpBind("127.0.0.1", 3350)
    for value in ("abc", "10.0.0.1:3350", "tcp:3350", "-1", "70000", "3.5", "0x10", "1_000", "\u0663", "\udcff"):
        assert "expected a whole number from 0 to 65535." in refusal({"HEROD_PORT": value})
    assert load({"HEROD_PORT": " 3351 "}).bind[1] == TcpBind("127.0.0.1", 3351)


def test_text_that_is_not_utf_8() -> None:
    """A value with bytes that are not UTF-8, or with control characters, is refused with what to do."""
    for where, message in {
        "--bind": refusal(bind=("unix:/tmp/h\udcff.sock",)),
        "HEROD_BIND": refusal({"HEROD_BIND": "unix:/a unix:/h\udcff"}),
        "--store": refusal(store="sqlite:/\udcff.db"),
        "--config": refusal(config="/\udcff"),
        "--audit-file": refusal(audit_file="/a\nb"),
        "HEROD_TLS_CERT": refusal({"HEROD_TLS_CERT": "\udcff"}),
    }.items():
        assert message.startswith(f"{where}: '")
        assert message.endswith("contains a character that is not UTF-8 or cannot be printed: write it without that.")
    assert refusal(admin_secret=("hush\udcff",)) == "--admin-secret is not text (UTF-8): keep only the secret in it."


@pytest.mark.parametrize("name", ["STATE_DIRECTORY", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "HOME"])
@pytest.mark.parametrize("value", ["/t/\udcff", "/t/a\nb"])
def test_folders_that_are_not_text(name: str, value: str) -> None:
    """Default paths too must be such that logs and answers can name them."""
    message = refusal({name: value})
    assert message.startswith(repr(value)[:-1])
    assert "choose other paths with --config, --store and --bind." in message
    assert load({name: value}, store="memory:", bind=("unix:/x",)).bind == (UnixBind(Path("/x")),)


def test_insecure_without_effect() -> None:
    """Allowing plaintext where there is none to allow is warned about."""
    assert load(insecure=True).warnings == ("--insecure has no effect: no TCP address beyond loopback is bound.",)
    assert "--insecure has no effect" not in load(insecure=True, bind=("10.0.0.1:1",)).warnings[0]


def test_beyond_loopback() -> None:
    """TCP beyond loopback needs TLS or an explicit setting that allows plaintext."""
    message = refusal(bind=("10.0.0.1:3350",))
    assert message.startswith("10.0.0.1:3350 can be reached from other machines")
    assert message.endswith("set --tls-cert and --tls-key, or --insecure.")
    settings = load(bind=("127.0.0.1:1", "10.0.0.1:3350"), insecure=True)
    assert "10.0.0.1:3350: secrets are sent unencrypted" in settings.warnings[0]


def tls_files(tmp_path: Path) -> tuple[Path, Path]:
    """Files that look like a certificate and a key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_text("-----BEGIN CERTIFICATE-----\n")
    key.write_text("-----BEGIN PRIVATE KEY-----\n")
    key.chmod(0o600)
    return cert, key


def test_tls(tmp_path: Path) -> None:
    """With a certificate and key, TCP beyond loopback is allowed."""
    cert, key = tls_files(tmp_path)
    settings = load(bind=("0.0.0.0:3350",), tls_cert=cert, tls_key=key)
    assert (settings.tls_cert, settings.tls_key) == (cert, key)
    assert settings.warnings == ()


def test_tls_that_is_not_whole(tmp_path: Path) -> None:
    """One of the two files alone, or files with other content, are refused."""
    cert, key = tls_files(tmp_path)
    assert refusal(tls_cert=cert) == "--tls-cert is given without --tls-key: give both or neither."
    assert "--tls-key is given without --tls-cert" in refusal(tls_key=key)
    assert "contains no certificate" in refusal(tls_cert=key, tls_key=key)
    assert "contains no private key" in refusal(tls_cert=cert, tls_key=cert)
    assert "cannot read" in refusal(tls_cert=tmp_path / "none", tls_key=key)
    key.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert "is encrypted" in refusal(tls_cert=cert, tls_key=key)


def test_tls_warnings(tmp_path: Path) -> None:
    """A world-readable key and TLS without TCP are warned about."""
    cert, key = tls_files(tmp_path)
    key.chmod(0o644)
    settings = load(bind=("unix:/x",), tls_cert=cert, tls_key=key)
    assert f"every user of this machine can read {key}" in settings.warnings[0]
    assert "no TCP address is bound" in settings.warnings[1]


@pytest.mark.parametrize(
    ("environ", "uid", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "XDG_STATE_HOME": "/s"}, 0, "/var/lib/a/herod.db"),
        ({"XDG_STATE_HOME": "/s"}, 0, "/var/lib/herod/herod.db"),
        ({"XDG_STATE_HOME": "/s"}, 7, "/s/herod/herod.db"),
        ({"HOME": "/h"}, 7, "/h/.local/state/herod/herod.db"),
        ({"HEROD_STORE": "sqlite:/x/y.db"}, 7, "/x/y.db"),
        ({"HEROD_STORE": "sqlite:///x/y.db"}, 7, "/x/y.db"),
    ],
)
def test_store(environ: dict[str, str], uid: int, expected: str) -> None:
    """The store's path comes from systemd, the option, or the system's or user's folders."""
    assert load(environ, uid=uid).store == Path(expected)


def test_store_without_a_home() -> None:
    """Without a place for the store, the refusal names the option for it."""
    assert "--store sqlite:/path/of/herod.db" in refusal({"HOME": ""})


def test_public_url() -> None:
    """Without a public URL in the settings, it depends on the addresses that the daemon gets."""
    assert load().public_url is None
    assert load(public_url="https://auth.example.org/").public_url == "https://auth.example.org"


@pytest.mark.parametrize(
    "url",
    [
        "auth.example.org",
        "ftp://auth.example.org",
        "https://",
        'https://a"b',
        "https://a.example/é",
        "https://bücher.example",
        "https://a.example/a b",
        "https://a.example/<x>",
    ],
)
def test_public_urls_that_no_header_can_hold(url: str) -> None:
    """A public URL stands in challenges and metadata, so it is one of RFC 3986."""
    with pytest.raises(SettingsError, match=r"expected a URL like https://auth\.example\.org\."):
        load(public_url=url)


@pytest.mark.parametrize("host", ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "bücher\u3002example"])
def test_hosts_are_those_that_browsers_send(tmp_path: Path, host: str) -> None:
    """An international domain in a setting is the one that clients name in their headers, in ASCII."""
    text = f"hosts = ['{host}']\norigins = ['https://{host}:8443/']\nframe_origins = ['HTTPS://{host}']"
    settings = from_toml(tmp_path, text)
    assert settings.hosts == {"xn--bcher-kva.example"}
    assert settings.origins == {"https://xn--bcher-kva.example:8443"}
    assert settings.frame_origins == {"https://xn--bcher-kva.example"}


def test_public_url_is_a_host() -> None:
    """The host of a configured URL is accepted in Host headers."""
    assert load(public_url="https://[2001:db8::1]:8/x").hosts == {"[2001:db8::1]"}


def test_misspelt_variable() -> None:
    """A variable that looks like a misspelled setting is warned about; unrelated variables are not."""
    given = {"HEROD_BINDS": "x", "HEROD_ZEBRA": "x", "HEROD_URL": "x", "HERO_STORE_SECRET": "x", "HERO_OTHER": "x"}
    assert load(given).warnings == (
        "HEROD_BINDS is not a setting; did you mean HEROD_BIND?",
        "HERO_STORE_SECRET is not a setting; did you mean HEROD_STORE_SECRET?",
    )


def test_environment_is_only_read() -> None:
    """Loading does not change the process environment."""
    before = dict(os.environ)
    load()
    assert dict(os.environ) == before
