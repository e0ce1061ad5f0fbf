"""`herod doctor` for a herod that is installed as a service: each possible problem with its fix."""

import grp
import json
import os
import pwd
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from herod_cli.doctor import install_checks
from herod_cli.shared.cli_version import cli_version
from support.fake_daemon import FakeDaemon

Typed = Callable[..., Any]
UNIT = Path(__file__).parents[3] / "systemd" / "herod.service"
ME = os.geteuid()


@dataclass
class Installed:
    """An install below a temporary folder, for the user that runs the tests."""

    folder: Path
    ask: Callable[[], dict[str, tuple[str, str, str | None]]]

    @property
    def unit(self) -> Path:
        return self.folder / "units" / "herod.service"

    @property
    def program(self) -> Path:
        return self.folder / "prefix" / "bin" / "herod"

    @property
    def python(self) -> Path:
        return self.folder / "prefix" / "lib" / "herod" / "bin" / "python"

    @property
    def secret(self) -> Path:
        return self.folder / "etc" / "hero_secret"

    @property
    def socket(self) -> Path:
        return self.folder / "herod.sock"

    def drop_in(self, *lines: str) -> None:
        """Change the unit with a drop-in, as an administrator does."""
        folder = self.folder / "units" / "herod.service.d"
        folder.mkdir(exist_ok=True)
        (folder / "override.conf").write_text("\n".join(("[Service]", *lines)))


@pytest.fixture
def installed(machine: Path, daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """A correct install."""

    def ask() -> dict[str, tuple[str, str, str | None]]:
        checks = json.loads(herod("doctor", "--output", "json").out)["checks"]
        return {check["check"]: (check["result"], check["text"], check["fix"]) for check in checks}

    made = Installed(machine, ask)
    monkeypatch.setattr(install_checks, "STATE", machine / "state-of-the-service")
    monkeypatch.setattr(install_checks, "SOCKET", made.socket)
    monkeypatch.setattr(install_checks, "ENABLED", (machine / "wants",))
    monkeypatch.setattr(install_checks, "HIDDEN", (f"{machine}/home/",))
    monkeypatch.setattr(install_checks, "ROOT", ME)
    monkeypatch.setattr(pwd, "getpwnam", {"herod": SimpleNamespace(pw_uid=ME + 1)}.__getitem__)
    group = SimpleNamespace(gr_gid=os.getegid(), gr_mem=["somebody"])
    monkeypatch.setattr(grp, "getgrnam", {"herod": group}.__getitem__)
    for path, mode in ((made.program, 0o755), (made.python, 0o755), (made.secret, 0o600), (made.socket, 0o660)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(mode)
    (made.program.parent.parent / f"lib/herod/lib/python3.11/site-packages/herod-{cli_version()}.dist-info").mkdir(
        parents=True
    )
    made.unit.parent.mkdir()
    text = UNIT.read_text().replace("/usr/local", str(machine / "prefix"))
    made.unit.write_text(text.replace("/etc/herod/hero_secret", str(made.secret)))
    (machine / "wants").symlink_to(made.unit)
    return made


def test_no_install(herod: Typed, daemon: FakeDaemon) -> None:
    """A machine without the service passes."""
    assert "No herod.service is installed" in herod("doctor").out


def test_units_where_systemd_does_not_look(
    machine: Path, herod: Typed, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An install at another PREFIX finds its own unit and says how to enable it."""
    unit = machine / "opt" / "lib" / "systemd" / "system" / "herod.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    monkeypatch.setattr(sys, "prefix", str(machine / "opt" / "lib" / "herod"))
    checks = json.loads(herod("doctor", "--output", "json").out)["checks"]
    assert [check["fix"] for check in checks if check["check"] == "install"] == [
        f"systemctl link {unit.with_suffix('.socket')}; systemctl enable --now {unit}"
    ]


def test_all_is_well(installed: Installed) -> None:
    """A correct install passes all of its checks."""
    checks = installed.ask()
    for name in ("unit", "enabled", "account", "installed-secret", "state", "installed-socket"):
        assert checks[name][0] == "ok", checks[name]
    assert "installed-version" not in checks


def test_program_is_missing(installed: Installed) -> None:
    """A unit whose program or Python is missing fails."""
    installed.python.unlink()
    installed.python.symlink_to("/nonexistent/python3")
    assert "its Python was removed" in installed.ask()["unit"][1]
    installed.program.chmod(0o644)
    result, text, fix = installed.ask()["unit"]
    assert (result, str(installed.program) in text) == ("fail", True)
    assert "make install" in str(fix)


def test_python_in_a_home(installed: Installed) -> None:
    """An environment with a Python below a home, which ProtectHome= hides, fails the check before the service fails."""
    (installed.folder / "home" / "ada").mkdir(parents=True)
    (installed.folder / "home" / "ada" / "python3").touch()
    installed.python.unlink()
    installed.python.symlink_to(installed.folder / "home" / "ada" / "python3")
    result, text, fix = installed.ask()["unit"]
    assert (result, "cannot see" in text, "PYTHON=" in str(fix)) == ("fail", True, True)


def test_versions(installed: Installed) -> None:
    """A service with a version other than the command's is a warning."""
    packages = installed.python.parent.parent / "lib" / "python3.11" / "site-packages"
    (packages / f"herod-{cli_version()}.dist-info").rename(packages / "herod-0.0.1.dist-info")
    result, text, _ = installed.ask()["installed-version"]
    assert (result, "0.0.1" in text) == ("warn", True)


def test_not_enabled(installed: Installed) -> None:
    """A service that is not enabled at boot is a warning."""
    (installed.folder / "wants").unlink()
    assert installed.ask()["enabled"] == (
        "warn",
        "The service does not start at boot.",
        "systemctl enable --now herod",
    )


def test_account(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing user or group fails; a service that runs as root is a warning."""
    users = {"root": SimpleNamespace(pw_uid=ME)}
    monkeypatch.setattr(pwd, "getpwnam", users.__getitem__)
    assert installed.ask()["account"][:2] == ("fail", "There is no user herod.")
    installed.drop_in("User=root", "Group=nosuchgroup")
    assert installed.ask()["account"][1] == "There is no group nosuchgroup."
    installed.drop_in("User=root")
    assert installed.ask()["account"][0] == "warn"


def test_secret(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret must exist, belong to root and be closed to all others."""
    installed.secret.chmod(0o640)
    result, _, fix = installed.ask()["installed-secret"]
    assert (result, fix) == ("fail", f"chown root:root {installed.secret}; chmod 600 {installed.secret}")
    installed.secret.chmod(0o600)
    monkeypatch.setattr(install_checks, "ROOT", ME + 7)
    assert installed.ask()["installed-secret"][0] == "fail"
    installed.secret.unlink()
    result, text, fix = installed.ask()["installed-secret"]
    assert (result, "cannot start" in text) == ("fail", True)
    assert f"herod secret generate --output-file {installed.secret}" in str(fix)


def test_secret_elsewhere(installed: Installed) -> None:
    """A secret that a drop-in takes from another file is checked there; other sources are skipped."""
    installed.drop_in("LoadCredential=", "LoadCredential=herod_store_secret:/etc/other")
    assert installed.ask()["installed-secret"][0] == "ok"
    installed.drop_in("LoadCredential=", "LoadCredential=hero_secret:/nonexistent/secret")
    assert "/nonexistent/secret" in installed.ask()["installed-secret"][1]


def test_store_secret(installed: Installed) -> None:
    """A store secret from a drop-in is checked too."""
    assert "installed-store-secret" not in installed.ask()
    other = installed.folder / "etc" / "herod_store_secret"
    installed.drop_in(f"LoadCredential=herod_store_secret:{other}")
    result, text, fix = installed.ask()["installed-store-secret"]
    assert (result, "cannot start" in text, str(other) in str(fix)) == ("fail", True, True)
    other.touch()
    other.chmod(0o600)
    assert [installed.ask()[name][0] for name in ("installed-store-secret", "installed-secret")] == ["ok", "ok"]


def test_state(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's folder must be accessible to the service's user only."""
    state = installed.folder / "state-of-the-service"
    state.mkdir(mode=0o700)
    result, _, fix = installed.ask()["state"]
    assert (result, fix) == ("fail", f"chown -R herod:herod {state}; chmod 700 {state}")
    me = pwd.getpwuid(ME).pw_name
    monkeypatch.setattr(pwd, "getpwnam", {me: SimpleNamespace(pw_uid=ME + 1)}.__getitem__)
    installed.drop_in(f"User={me}")
    assert installed.ask()["state"][0] == "ok"
    state.chmod(0o750)
    assert installed.ask()["state"][0] == "fail"


def test_socket(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket admits its group; users outside it are told how to join."""
    installed.socket.chmod(0o600)
    assert "mode=0660" in str(installed.ask()["installed-socket"][2])
    installed.socket.chmod(0o666)
    assert "every user" in installed.ask()["installed-socket"][1]
    installed.socket.chmod(0o660)
    monkeypatch.setattr(os, "geteuid", lambda: ME + 5)
    monkeypatch.setattr(os, "getegid", lambda: 4711)
    monkeypatch.setattr(os, "getgroups", lambda: [4711])
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: SimpleNamespace(pw_name="ada"))
    assert installed.ask()["installed-socket"][2] == "usermod -aG herod ada, then log in again"
    grp.getgrnam("herod").gr_mem.append("ada")
    assert installed.ask()["installed-socket"][2] == "you were added to the group after you logged in: log in again"
    installed.socket.unlink()
    assert installed.ask()["installed-socket"][2] == "systemctl start herod"


def test_what_cannot_be_looked_at(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders without access for this user are named, and cause no other failures."""
    loop = installed.folder / "loop"
    loop.symlink_to(loop)  # fails for root too
    monkeypatch.setattr(install_checks, "STATE", loop / "state")
    monkeypatch.setattr(install_checks, "SOCKET", loop / "herod.sock")
    installed.drop_in("LoadCredential=", f"LoadCredential=hero_secret:{loop}/secret")
    checks = installed.ask()
    assert [checks[name][0] for name in ("installed-secret", "state", "installed-socket")] == ["ok", "ok", "warn"]
    installed.unit.write_bytes(b"\xff")
    assert installed.ask()["install"][0] == "warn"
