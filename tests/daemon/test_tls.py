"""TLS as seen by curl and openssl, and starts with unusable files."""

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import make_certificate
from support.real_daemon import SECRET, Daemon, environment, herod, running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with TLS on its TCP address."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = make_certificate(folder)
    arguments = ("--tls-cert", str(cert), "--tls-key", str(key))
    (folder / "config").mkdir()
    with running(folder, *arguments) as started:
        yield started


def curl(daemon: Daemon, *arguments: str, scheme: str = "https", ca: str = "herod.pem") -> tuple[int, str]:
    """Request /health; return curl's exit code and output, including headers."""
    done = subprocess.run(
        ["curl", "-sS", "-i", "--noproxy", "*", "--max-time", "20", "--cacert", str(daemon.folder / ca), *arguments,
         f"{scheme}://localhost:{daemon.port}/health"],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_curl_trusts_it(daemon: Daemon) -> None:
    """Curl with --cacert accepts it; HSTS is sent there, and not on the Unix socket."""
    code, said = curl(daemon, "--http1.1")
    assert (code, said.splitlines()[0]) == (0, "HTTP/1.1 200 OK")
    assert "Strict-Transport-Security: max-age=" in said
    assert curl(daemon, "--http2")[0] == 0
    assert "strict-transport-security" not in daemon.curl("/health")[2]


def test_plain_http(daemon: Daemon) -> None:
    """Plain HTTP gets a hint what to write instead, without any header of the API."""
    code, said = curl(daemon, scheme="http")
    assert code == 0
    assert said.startswith("HTTP/1.1 400")
    assert "https://" in said
    assert "Strict-Transport-Security" not in said


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(("version", "works"), [("1", False), ("1_1", False), ("1_2", True), ("1_3", True)])
def test_versions(daemon: Daemon, version: str, works: bool) -> None:
    """TLS 1.2 and 1.3 work, and nothing older."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port}", f"-tls{version}", "-alpn", "h2,http/1.1",
         "-cipher", "ALL:@SECLEVEL=0"],
        input="GET /health HTTP/1.0\r\n\r\n", capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert (done.returncode == 0) is works, done.stderr
    assert ("ALPN protocol: http/1.1" in done.stdout) is works


def test_a_renegotiation_is_not_had(daemon: Daemon) -> None:
    """`R` makes openssl request a renegotiation, which is refused."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port}", "-tls1_2"],
        input="R\n", capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert "RENEGOTIATING" in done.stdout + done.stderr
    assert "no renegotiation" in done.stderr or done.returncode != 0
    assert curl(daemon)[0] == 0


def test_a_renewed_certificate(daemon: Daemon) -> None:
    """SIGHUP loads a new certificate; one that does not match its key leaves the old one in use."""
    cert, key = make_certificate(daemon.folder, name="renewed")
    (daemon.folder / "herod.key").write_bytes(key.read_bytes())
    daemon.process.send_signal(signal.SIGHUP)
    daemon.logged("keeping the old settings")
    assert curl(daemon)[0] == 0
    before = (daemon.folder / "herod.pem").read_bytes()
    (daemon.folder / "herod.pem").write_bytes(cert.read_bytes())
    daemon.process.send_signal(signal.SIGHUP)
    daemon.logged("secrets and the certificate")
    assert curl(daemon, ca="renewed.pem")[0] == 0
    (daemon.folder / "old.pem").write_bytes(before)
    assert curl(daemon, ca="old.pem")[0] == 60  # not trusted


def test_a_slow_handshake_is_cut_off(tmp_path: Path) -> None:
    """A slow handshake is cut off after `head_seconds`, while others are served."""
    cert, key = make_certificate(tmp_path)
    config = tmp_path / "herod.toml"
    config.write_text(f'tls_cert = "{cert.name}"\ntls_key = "{key.name}"\n[limits]\nhead_seconds = 1\n')
    with running(tmp_path, "--config", str(config)) as daemon:
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as slow:
            slow.sendall(b"\x16\x03\x01")
            assert curl(daemon)[0] == 0
            assert slow.recv(1) == b""
        assert daemon.stop() == 0


def test_files_that_will_not_do(tmp_path: Path) -> None:
    """An unusable file is one line and exit code 2."""
    cert, key = make_certificate(tmp_path)
    _, other = make_certificate(tmp_path, name="other")
    env = environment(tmp_path, HERO_SECRET=SECRET)
    for certificate, secret, message in (
        (cert, other, "does not match the certificate"),
        (cert, tmp_path / "none", "cannot read"),
        (key, key, "contains no certificate"),
    ):
        arguments = ("--tls-cert", str(certificate), "--tls-key", str(secret), "--store", "memory:")
        done = herod("serve", "--bind", "127.0.0.1:0", *arguments, env=env)
        assert done.returncode == 2
        assert message in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_byte_order_mark_is_skipped(tmp_path: Path, line_end: str) -> None:
    """Files that Windows saved work, of a chain too: OpenSSL alone would leave out the first certificate."""
    cert, key = make_certificate(tmp_path)
    trusted = cert.read_bytes()
    other, _ = make_certificate(tmp_path, name="other")
    for path, text in ((cert, cert.read_text() + other.read_text()), (key, key.read_text())):
        path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", line_end).encode())
    config = tmp_path / "herod.toml"
    config.write_text(f'tls_cert = "{cert.name}"\ntls_key = "{key.name}"\n')
    with running(tmp_path, "--config", str(config)) as daemon:
        (tmp_path / "trusted.pem").write_bytes(trusted)
        assert curl(daemon, ca="trusted.pem")[0] == 0
        assert "its dates cannot be read" not in daemon.log.read_text()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("option", ["--tls-cert", "--tls-key"])
def test_another_encoding_is_named(tmp_path: Path, option: str, encoding: str) -> None:
    """A file in UTF-16, as PowerShell writes it, is named."""
    files = dict(zip(("--tls-cert", "--tls-key"), make_certificate(tmp_path), strict=True))
    path = files[option]
    path.write_bytes(path.read_text().encode(encoding))
    arguments = [part for name, file in files.items() for part in (name, str(file))]
    done = herod("serve", "--bind", "127.0.0.1:0", *arguments, env=environment(tmp_path, HERO_SECRET=SECRET))
    assert done.returncode == 2
    assert done.stderr == f"herod: {option}: {path} is {encoding.upper()[:6]}: save it as UTF-8.\n"
