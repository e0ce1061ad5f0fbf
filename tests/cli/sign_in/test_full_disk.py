"""A sign-in on a disk that is really full: what is saved stays good, and signing out works."""

import shutil
from collections.abc import Callable
from pathlib import Path

from cli.sign_in.conftest import SignInDaemon
from faults.small_disks import small_disk
from support.real_daemon import environment
from support.real_daemon import herod as command


def test_a_full_disk(signing: SignInDaemon, signed_in: Callable[..., None], kept: Path, tmp_path: Path) -> None:
    """Nothing is refreshed that could not be saved; with space again it is; and nobody has to free any to sign out."""
    signed_in(expires_at=1)
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as disk:
        shutil.copytree(kept.parent, disk.outside / "herod")
        saved = disk.outside / "herod" / "credentials.json"
        env = environment(tmp_path, HEROD_URL=signing.daemon.url, XDG_CONFIG_HOME=str(disk.inside))
        disk.fill()
        ended = command("key", "list", env=env, prefix=disk.command)
        assert ended.returncode == 1, ended.stderr
        assert "No space left on device" in ended.stderr
        assert "free space" in ended.stderr
        assert signing.daemon.asked == []
        assert saved.read_bytes() == kept.read_bytes()
        disk.empty()
        assert command("key", "list", env=env, prefix=disk.command).returncode == 0
        assert "herod_r_2" in saved.read_text()
        disk.fill()
        assert command("logout", env=env, prefix=disk.command).returncode == 0
        assert signing.revoked == ["herod_r_2"]
        assert not saved.exists()
