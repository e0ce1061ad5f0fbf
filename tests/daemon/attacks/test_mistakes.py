"""Operator mistakes: one line that says what to do, the right exit code, and never a traceback."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from support.real_daemon import SECRET, environment, herod, others_have_python, running


def serve(folder: Path, *arguments: str, secret: str | None = SECRET, **more: str) -> subprocess.CompletedProcess[str]:
    """Start a daemon that is expected to fail."""
    env = environment(folder, **more)
    if secret is not None:
        env["HERO_SECRET"] = secret
    return herod("serve", *arguments, env=env, timeout=30)


def check(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check for one line on stderr with these words, and the exit code."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode == code, done.stderr
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (None, ("HERO_SECRET", "herod secret generate")),
        ("", ("HERO_SECRET",)),
        ("short", ("32",)),
        ("your_secret_here", ("placeholder",)),
        ("changeme", ("placeholder",)),
    ],
)
def test_secrets(tmp_path: Path, secret: str | None, words: tuple[str, ...]) -> None:
    """A missing, empty, short or placeholder secret is refused."""
    check(serve(tmp_path, secret=secret), 2, *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--bind", "nonsense"), ("nonsense",)),
        (("--bind", "unix:relative"), ("unix:relative",)),
        (("--bind", "127.0.0.1:99999"), ("99999",)),
        (("--bind", "unix:/tmp/x,mode=9"), ("mode",)),
        (("--bind", "0.0.0.0:3350"), ("--insecure",)),
        (("--store", "mysql://x"), ("sqlite:",)),
        (("--config", "/nonexistent.toml"), ("/nonexistent.toml",)),
        (("--public-url", "nonsense"), ("public",)),
    ],
)
def test_options(tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    """An invalid option is refused with the value found and what is expected."""
    check(serve(tmp_path, *arguments), 2, *words)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("prot = 1", ("prot", "port")),
        ('port = "x"', ("port", "whole number")),
        ("port = ", ("herod.toml", "not TOML")),
        ('[scopes]\n"a" = {includes = ["b"]}\n"b" = {includes = ["a"]}', ("a → b → a",)),
        ('[scopes]\n"a" = {includes = ["nothing"]}', ("nothing",)),
    ],
)
def test_the_file(tmp_path: Path, toml: str, words: tuple[str, ...]) -> None:
    """Unknown and mistyped keys, bad syntax and impossible scopes in the file are refused."""
    path = tmp_path / "herod.toml"
    path.write_text(toml)
    check(serve(tmp_path, "--config", str(path), "--store", "memory:"), 2, *words)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """A port in use is reported with a way out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = serve(tmp_path, "--bind", f"127.0.0.1:{port}", "--store", "memory:")
    check(done, 1, str(port), "in use")


def test_a_socket_in_use_by_a_live_daemon(tmp_path: Path) -> None:
    """A socket of a running daemon is refused, and that daemon is not disturbed."""
    with running(tmp_path / "d") as daemon:
        done = serve(tmp_path, "--bind", f"unix:{daemon.socket}", "--store", "memory:")
        check(done, 1, str(daemon.socket), "another herod")
        assert daemon.curl("/health")[0] == 200


def test_a_store_in_use_by_a_live_daemon(tmp_path: Path) -> None:
    """A store of a running daemon is refused."""
    with running(tmp_path / "d") as daemon:
        store = f"sqlite:{daemon.folder}/store/herod.db"
        done = serve(tmp_path, "--bind", f"unix:{tmp_path}/other.sock", "--store", store)
        check(done, 1, "herod.db", str(daemon.process.pid))


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """A socket that a killed daemon left behind is replaced."""
    with running(tmp_path / "d") as daemon:
        daemon.stop(9)
        assert daemon.socket.exists()
    with running(tmp_path / "d") as daemon:
        assert daemon.curl("/health")[0] == 200


def test_another_secret_than_the_stores(tmp_path: Path) -> None:
    """Another secret is refused, and the store stays intact."""
    with running(tmp_path / "d"):
        pass
    store = f"sqlite:{tmp_path}/d/store/herod.db"
    done = serve(
        tmp_path, "--bind", f"unix:{tmp_path}/x.sock", "--store", store, secret="another secret, also long enough"
    )
    check(done, 2, "HERO_SECRET")
    with running(tmp_path / "d") as daemon:
        assert daemon.curl("/health")[0] == 200


@pytest.mark.parametrize("content", [b"this is no database at all" * 100, b""], ids=["garbage", "empty"])
def test_a_store_that_is_none(tmp_path: Path, content: bytes) -> None:
    """A file with garbage is refused; an empty file becomes a new store."""
    path = tmp_path / "s" / "herod.db"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    path.chmod(0o600)
    if content:
        done = serve(tmp_path, "--bind", f"unix:{tmp_path}/x.sock", "--store", f"sqlite:{path}")
        check(done, 1, str(path))


@pytest.mark.skipif(
    os.getuid() != 0 or not others_have_python(), reason="takes root, and a Python that other users may read"
)
def test_folders_that_are_not_writable(open_folder: Path) -> None:
    """A folder without write permission is named, for the socket and for the store."""
    folder = open_folder
    env = {**environment(folder), "HERO_SECRET": SECRET, "PYTHONDONTWRITEBYTECODE": "1"}
    other = ("setpriv", "--reuid=4711", "--regid=4711", "--clear-groups")
    done = herod("serve", "--bind", f"unix:{folder}/s/h.sock", "--store", "memory:", env=env, prefix=other)
    check(done, 1, str(folder))
    store = f"sqlite:{folder}/s/herod.db"
    done = herod("serve", "--bind", "127.0.0.1:0", "--store", store, env=env, prefix=other)
    check(done, 1, str(folder))


def test_sigterm_ends_it_in_time(tmp_path: Path) -> None:
    """SIGTERM ends it in time with clients connected, with exit code 0 and the socket removed."""
    with running(tmp_path / "d") as daemon:
        idle = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        for client in idle:
            client.connect(str(daemon.socket))
        idle[0].sendall(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        daemon.process.terminate()
        assert daemon.process.wait(timeout=60) == 0
        assert not daemon.socket.exists()
        for client in idle:
            client.close()
