"""The deployment information for the dashboard, and its warnings."""

import time
from pathlib import Path

import pytest

from herod.deployment_info_from_settings import describe
from herod.operations.system.admin_warnings import Facts, find_warnings
from herod.reload import load_certificates
from herod.server.sockets.listener_set import Listeners
from herod.server.sockets.listeners import listening
from herod.settings import Settings, load_settings
from herod.settings.bind_addresses import TcpBind, UnixBind
from support.certificates import make_certificate

SECRET = "a secret for tests that is long enough to sign"
DAY = 86_400
NOW = 1_800_000_000


def settings(folder: Path, **environ: str) -> Settings:
    """Settings of a daemon in a folder."""
    given = {"HERO_SECRET": SECRET, "HOME": str(folder), "HEROD_STORE": f"sqlite:{folder}/herod.db", **environ}
    return load_settings({}, given, uid=4711)


async def test_addresses_and_store(tmp_path: Path) -> None:
    """Addresses have the port that the kernel chose, and the store's size includes its log."""
    binds = (UnixBind(tmp_path / "herod.sock"), TcpBind("127.0.0.1", 0))
    with listening(binds) as listeners:
        deployment = describe(settings(tmp_path), listeners, None)
        port = listeners[1].socket.getsockname()[1]
    assert deployment.binds == (f"unix:{tmp_path}/herod.sock", f"127.0.0.1:{port}")
    assert deployment.store_path == f"{tmp_path}/herod.db"
    assert deployment.store_bytes() == 0
    (tmp_path / "herod.db").write_bytes(b"1234")
    (tmp_path / "herod.db-wal").write_bytes(b"56")
    assert deployment.store_bytes() == 6
    assert (deployment.has_tls, deployment.certificate_ends()) == (False, None)
    in_memory = describe(settings(tmp_path, HEROD_STORE="memory:"), Listeners([]), None)
    assert (in_memory.store_path, in_memory.store_bytes()) == (None, None)


async def test_weak_secrets_are_named_and_not_told(tmp_path: Path) -> None:
    """Weak secrets are named by their variables without their values; other warnings are unchanged."""
    weak = settings(tmp_path, HERO_SECRET="short one", HEROD_ALLOW_WEAK_SECRET="1", HEROD_STORE_SECRET="short one")
    deployment = describe(weak, Listeners([]), None)
    assert deployment.weak_secrets == ("HERO_SECRET", "HEROD_STORE_SECRET")
    assert any("protects nothing" in warning for warning in deployment.warnings)
    assert not any(" bytes" in warning for warning in deployment.warnings)
    assert "short one" not in repr(deployment)


async def test_the_certificate_that_is_shown_now(tmp_path: Path) -> None:
    """The expiry is that of the certificate in use, also after a reload."""
    now = int(time.time())

    def load(name: str, days: int) -> tuple[str, str]:
        certificate, key = make_certificate(tmp_path, name=name, last_day=days)
        return str(certificate), str(key)

    first, second = (
        settings(tmp_path, HEROD_TLS_CERT=cert, HEROD_TLS_KEY=key) for cert, key in (load("a", 3), load("b", 40))
    )
    certificates = load_certificates(first, now=now)
    assert certificates is not None
    deployment = describe(first, Listeners([]), certificates)
    assert deployment.has_tls
    assert abs((deployment.certificate_ends() or 0) - now - 3 * DAY) < DAY
    renewed = load_certificates(second, now=now)
    assert renewed is not None
    certificates.replace(renewed)
    assert abs((deployment.certificate_ends() or 0) - now - 40 * DAY) < DAY


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (Facts(), []),
        (Facts(certificate_ends=NOW + 15 * DAY), []),
        (Facts(certificate_ends=NOW + 13 * DAY), [("certificate", "soon")]),
        (Facts(certificate_ends=NOW), [("certificate", "now")]),
        (Facts(is_kept=True, has_records=True, backup_at=NOW - DAY), []),
        (Facts(is_kept=True, has_records=True), [("backup", "soon")]),
        (Facts(is_kept=False, has_records=True), []),
        (Facts(is_kept=True, has_records=False), []),
        (Facts(signing="HS256", health="failing"), [("store", "now"), ("signing", "consider")]),
        (Facts(legacy=(("a", NOW - DAY), ("b", None))), [("legacy_used", "soon"), ("legacy_idle", "consider")]),
        (Facts(legacy=(("a", NOW - 31 * DAY),)), [("legacy_idle", "consider")]),
    ],
)
def test_attention(facts: Facts, found: list[tuple[str, str]]) -> None:
    """Warnings are listed most severe first, each with a fix."""
    attention = find_warnings(facts, now=NOW)
    assert [(one.code, one.level) for one in attention] == found
    assert all(one.message and one.fix for one in attention)
