"""The units: systemd accepts them, their exposure is low, and herod works within their restrictions."""

import configparser
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from herod.identity import one_time_codes, runtime_state, verified_token_cache
from herod.protocols import jsonrpc
from herod.server.connection_limits import Limits
from herod.settings import LIMITS, load_settings
from herod.store import record_cache
from support.real_daemon import SECRET, running

CHECKOUT = Path(__file__).parents[2]
UNITS = CHECKOUT / "systemd"
SERVICES = ("herod.service", "user/herod.service")
SOCKETS = ("herod.socket", "user/herod.socket")
# <linux/prctl.h>, since Linux 6.3: the kernel's own form of MemoryDenyWriteExecute=.
PR_SET_MDWE = 65
PR_MDWE_REFUSE_EXEC_GAIN = 1

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")


def analyze(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze with the units of `folder` before the machine's own."""
    env = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "XDG_RUNTIME_DIR": str(folder), "SYSTEMD_COLORS": "0"}
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def place(folder: Path, *dropins: str) -> Path:
    """The units as installed, with an existing program."""
    for name in (*SERVICES, *SOCKETS):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((UNITS / name).read_text().replace("/usr/local/bin/herod", "/bin/true"))
    for name in dropins:
        for parent in (folder, folder / "user"):
            unit = "herod.socket.d" if name.startswith("socket-unit") else "herod.service.d"
            (parent / unit).mkdir(exist_ok=True)
            shutil.copy(UNITS / unit / name, parent / unit)
    return folder


def said(name: str) -> dict[str, list[str]]:
    """Keys → values of a unit file, in order; an empty value clears the list."""
    values: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(key, []).append(value)
    return values


def allowed_calls() -> frozenset[str]:
    """The system calls that the service's filter allows, by systemd's own lists."""
    dumped = subprocess.run(
        ["systemd-analyze", "syscall-filter"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    groups: dict[str, list[str]] = {}
    current: list[str] = []
    for line in dumped.splitlines():
        word = line.strip()
        if line.startswith("@"):
            current = groups.setdefault(word, [])
        elif word and not word.startswith("#"):
            current.append(word)

    def spread(names: list[str]) -> set[str]:
        return {call for name in names for call in (spread(groups[name]) if name.startswith("@") else {name})}

    calls: set[str] = set()
    for filters in said("herod.service")["SystemCallFilter"]:
        names = spread(filters.removeprefix("~").split())
        calls = calls - names if filters.startswith("~") else calls | names
    return frozenset(calls)


@pytest.mark.parametrize("name", SERVICES)
def test_memory(name: str) -> None:
    """MemoryMax is above what the limits let clients use, so that no client can get the daemon killed."""
    limits, mib = Limits(), 1024 * 1024
    kernel = 2 * (limits.send_buffer_bytes + limits.receive_buffer_bytes)
    connection = 3 * limits.body_bytes + limits.head_bytes + kernel
    caches = (
        2 * (record_cache.CACHED_BYTES + one_time_codes.MAX_CODE_BYTES)
        + record_cache.CACHED_FINDS_BYTES
        + runtime_state.MAX_GRANT_BYTES
        + verified_token_cache.MAX_VERIFIED_BYTES
    )
    shared = limits.unsent_bytes_in_all + jsonrpc.MAX_UNFINISHED_BYTES + 230 * mib
    (most,) = said(name)["MemoryMax"]
    assert int(most.removesuffix("M")) * mib > limits.max_connections * connection + caches + shared


@needs_systemd
@pytest.mark.parametrize(
    "dropins",
    [(), ("socket-only.conf",), ("socket-only.conf", "socket-unit-only-unix.conf"), ("socket-activation.conf",)],
)
@pytest.mark.parametrize("scope", ["system", "user"])
def test_verify(tmp_path: Path, scope: str, dropins: tuple[str, ...]) -> None:
    """The service manager has no complaints, with and without each drop-in."""
    folder = place(tmp_path, *dropins) / ("user" if scope == "user" else "")
    files = [str(folder / "herod.service"), str(folder / "herod.socket")]
    done = analyze("verify", f"--{scope}", "--man=no", *files, folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
@pytest.mark.parametrize(("dropins", "most"), [((), 15), (("socket-only.conf",), 10)])
def test_exposure(tmp_path: Path, dropins: tuple[str, ...], most: int) -> None:
    """The service manager's exposure score is at most 1.5 with TCP and 1.0 without (given in tenths)."""
    unit = str(place(tmp_path, *dropins) / "herod.service")
    done = analyze("security", "--offline=true", f"--threshold={most}", unit, folder=tmp_path)
    score = re.search(r"Overall exposure level for herod\.service: ([0-9.]+)", done.stdout)
    assert score is not None
    assert float(score[1]) <= most / 10
    assert done.returncode == 0


def test_promises() -> None:
    """The unit has the restrictions that the documentation promises."""
    unit = said("herod.service")
    for key, value in {
        "Type": "notify",
        "NotifyAccess": "main",
        "ExecStart": "/usr/local/bin/herod serve",
        "Restart": "on-failure",
        "User": "herod",
        "Group": "herod",
        "UMask": "0077",
        "LoadCredential": "hero_secret:/etc/herod/hero_secret",
        "StateDirectory": "herod",
        "StateDirectoryMode": "0700",
        "RuntimeDirectory": "herod",
        "RuntimeDirectoryMode": "0755",
        "LimitCORE": "0",
        "MemoryDenyWriteExecute": "yes",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
    }.items():
        assert unit[key] == [value]
    assert int(unit["WatchdogSec"][0]) > 0
    assert "PrivateUsers" not in unit, "every caller would have the same uid"
    _, most = LIMITS["max_connections"].kind.bounds or (0, 0)
    assert int(unit["LimitNOFILE"][0].split(":")[1]) > most + 96


# Debian's packages that are marked essential, and herod itself.
ESSENTIAL = {"/bin/sh", "/bin/mkdir", "/bin/touch", "/usr/local/bin/herod"}


@pytest.mark.parametrize("name", SERVICES)
def test_the_units_run_only_what_every_system_has(name: str) -> None:
    """No unit needs a program of a package that a minimal system lacks."""
    commands = [line for key, lines in said(name).items() if key.startswith("Exec") for line in lines]
    assert {shlex.split(line)[0] for line in commands} <= ESSENTIAL


@pytest.mark.parametrize("name", SERVICES)
def test_reload(tmp_path: Path, name: str) -> None:
    """The unit's command for a reload works without any other program, and herod reloads."""
    (line,) = said(name)["ExecReload"]
    with running(tmp_path) as daemon:
        env = {"MAINPID": str(daemon.process.pid), "PATH": "/nonexistent"}
        # As systemd does, "Command lines" in systemd.service(5).
        command = [part.replace("$$", "$") for part in shlex.split(line)]
        done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=True)
        assert (done.stdout, done.stderr) == (b"", b"")
        end = time.monotonic() + 20
        while "SIGHUP: reloaded" not in daemon.log.read_text():
            assert time.monotonic() < end, daemon.log.read_text()
            time.sleep(0.02)


def test_group_reaches_the_socket() -> None:
    """Both ways to listen create a socket for group herod, and nobody else."""
    binds = said("herod.service")["Environment"][0].strip('"').removeprefix("HEROD_BIND=")
    settings = load_settings({}, {"HERO_SECRET": SECRET, "HEROD_BIND": binds, "HOME": "/nonexistent"}, uid=4711)
    assert [str(bind) for bind in settings.bind] == [
        "unix:/run/herod/herod.sock,mode=0660",
        "127.0.0.1:3350",
        "[::1]:3350",
    ]
    unit = said("herod.socket")
    assert (unit["SocketMode"], unit["SocketGroup"], unit["DirectoryMode"]) == (["0660"], ["herod"], ["0755"])
    assert unit["ListenStream"] == ["/run/herod/herod.sock", "127.0.0.1:3350", "[::1]:3350"]


def test_who_holds_the_addresses(tmp_path: Path) -> None:
    """The service manager holds them by default, from boot and through crashes; without it herod binds them itself."""
    unit = said("herod.service")
    assert unit["Wants"] == ["herod.socket"]
    assert "Requires" not in unit, "a taken port would stop the Unix socket too"
    assert "herod.socket" in unit["After"][0].split()
    assert unit["RuntimeDirectoryPreserve"] == ["yes"]
    # A crash takes at least RestartSec: no series of them reaches the limit at which systemd closes the sockets.
    assert int(unit["StartLimitBurst"][0]) >= int(unit["StartLimitIntervalSec"][0]) / int(unit["RestartSec"][0])
    if shutil.which("systemctl"):
        for name in ("herod.service", "herod.socket"):
            target = tmp_path / "usr/local/lib/systemd/system" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(UNITS / name, target)
        command = ["systemctl", f"--root={tmp_path}", "enable", "herod.service"]
        subprocess.run(command, capture_output=True, timeout=60, check=True)
        wants = tmp_path / "etc/systemd/system/sockets.target.wants/herod.socket"
        assert wants.is_symlink(), "who enables the service, as was documented before, enables the socket"


def test_what_a_users_own_start_prepares(tmp_path: Path) -> None:
    """The user unit creates a secret once, and uses the user's settings file rather than the system's."""
    unit = said("user/herod.service")
    program = tmp_path / "herod"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m herod "$@"\n')
    program.chmod(0o755)

    def filled(text: str) -> str:
        for name, value in {"%h": tmp_path, "%E": tmp_path / ".config", "/usr/local/bin/herod": program}.items():
            text = text.replace(name, str(value))
        return text

    variables = dict(filled(text).strip('"').split("=", 1) for text in unit["Environment"] if "%t" not in text)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
    secrets = []
    for _ in range(2):
        for command in unit["ExecStartPre"]:
            subprocess.run(shlex.split(filled(command)), env=env, capture_output=True, timeout=60, check=True)
        secrets.append((tmp_path / ".local/state/herod/hero_secret").read_text())
    assert secrets[0] == secrets[1]
    settings = load_settings({}, env, uid=4711)
    assert settings.config == tmp_path / ".config" / "herod" / "herod.toml"
    assert settings.store == tmp_path / ".local" / "state" / "herod" / "herod.db"


def test_socket_only() -> None:
    """The drop-in removes all network access, including the daemon's own addresses."""
    dropin = said("herod.service.d/socket-only.conf")
    assert dropin["Environment"] == ['"HEROD_BIND=unix:/run/herod/herod.sock,mode=0660"']
    assert said("herod.socket.d/socket-unit-only-unix.conf")["ListenStream"] == ["", "/run/herod/herod.sock"]
    assert dropin["PrivateNetwork"] == ["yes"]
    assert dropin["RestrictAddressFamilies"] == ["", "AF_UNIX"]
    assert (dropin["IPAddressDeny"], dropin["IPAddressAllow"]) == (["any"], [""])


@pytest.mark.parametrize("name", SERVICES)
def test_sections(name: str) -> None:
    """Every key of a service is in a section where systemd reads it."""
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#",), interpolation=None)
    parser.read(UNITS / name)
    assert parser.sections() == ["Unit", "Service", "Install"]


def test_example_settings(tmp_path: Path) -> None:
    """The example file sets nothing, and each of its lines is valid when uncommented."""
    example = (UNITS / "herod.toml").read_text()
    assert [line for line in example.splitlines() if line and not line.startswith("#")] == []
    (tmp_path / "legacy-admin").write_text("a legacy secret of an older service\n")
    taken = re.sub(r'^# (?=[a-z_]+ = |\[[a-z]+\]$|")', "", example, flags=re.MULTILINE)
    assert taken.count("\n#") < example.count("\n#") - 10
    file = tmp_path / "herod.toml"
    file.write_text(taken)
    file.chmod(0o600)
    settings = load_settings({"config": str(file)}, {"HERO_SECRET": SECRET, "HOME": str(tmp_path)}, uid=os.geteuid())
    assert settings.scopes == {"jobs:run": ("user",)}


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="there is no systemd-sysusers")
def test_account(tmp_path: Path) -> None:
    """The files create a user that cannot log in, and its group."""
    (tmp_path / "etc").mkdir()
    command = ["systemd-sysusers", f"--root={tmp_path}", str(UNITS / "herod.sysusers.conf")]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    user = (tmp_path / "etc" / "passwd").read_text().strip().split(":")
    assert (user[0], user[5], user[6]) == ("herod", "/var/lib/herod", "/usr/sbin/nologin")
    assert (tmp_path / "etc" / "group").read_text().startswith("herod:")


def can_trace() -> bool:
    """Whether strace is available and permitted."""
    if shutil.which("strace") is None or shutil.which("systemd-analyze") is None:
        return False
    return subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False, timeout=60).returncode == 0


@pytest.mark.skipif(not can_trace(), reason="there is no strace, or it may not trace")
def test_system_calls(tmp_path: Path) -> None:
    """Every system call of a working daemon passes the unit's filter."""
    trace = tmp_path / "trace"
    command = ("strace", "-f", "-qq", "-o", str(trace), sys.executable, "-m", "herod")
    with running(tmp_path / "herod", command=command) as daemon:
        account = '{"email":"ada@example.org","password":"correct horse battery"}'
        assert daemon.curl("/register", "--json", account)[0] == 201
        assert daemon.curl("/login", "--json", account, tcp=True)[0] == 200
        assert daemon.curl("/")[0] == 200
        # strace hides such signals from its own process: the traced one stops, and so does strace.
        child = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()[0]
        os.kill(int(child), signal.SIGTERM)
        assert daemon.process.wait(timeout=20) == 0
    made = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", trace.read_text(), flags=re.MULTILINE))
    assert {"fsync", "accept4", "prctl"} & made
    # Refused with EPERM, without harm: as root, SQLite gives files to the owner of their folder.
    assert made - allowed_calls() <= {"fchown"}


def test_no_code_in_writable_memory(tmp_path: Path) -> None:
    """MemoryDenyWriteExecute= works with all of herod, including ctypes, cffi and the dashboard's packages."""
    wall = (
        "import ctypes, os, sys;"
        f"left = ctypes.CDLL(None).prctl({PR_SET_MDWE}, {PR_MDWE_REFUSE_EXEC_GAIN}, 0, 0, 0);"
        "sys.exit(77) if left else None;"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    if subprocess.run([sys.executable, "-c", wall, "-c", ""], check=False, timeout=60).returncode == 77:
        pytest.skip("this kernel has no PR_SET_MDWE")
    with running(tmp_path, command=(sys.executable, "-c", wall, "-m", "herod")) as daemon:
        account = '{"email":"ada@example.org","password":"correct horse battery"}'
        assert daemon.curl("/register", "--json", account)[0] == 201
        assert daemon.curl("/")[0] == 200
        assert daemon.stop() == 0
