"""SIGHUP: which settings are reloaded, and that an error changes nothing."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.real_daemon import Daemon, running

FIRST, SECOND = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CONFIG = """
admin_secret = ["@legacy"]
networks = {networks}
{more}
[scopes]
{scopes}
"""


class Reloading:
    """A daemon, its settings file, and how far its log was read."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self._read = 0

    def write(self, *, networks: str = '["prod"]', scopes: str = "", more: str = "") -> None:
        """Replace the settings file atomically, because an earlier reload may be reading it."""
        file = self.daemon.folder / "herod.toml.new"
        file.write_text(CONFIG.format(networks=networks, scopes=scopes, more=more))
        file.rename(self.daemon.folder / "herod.toml")

    def reload(self) -> str:
        """Send SIGHUP; return the log until the reload has ended."""
        self.daemon.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while True:
            new = self.daemon.log.read_text()[self._read :]
            if "SIGHUP: reloaded" in new or "keeping the old settings" in new:
                self._read += len(new)
                return new
            assert time.monotonic() < end, new
            time.sleep(0.02)

    def status(self, *, secret: str) -> int:
        """The status of /whoami for a legacy secret."""
        return self.daemon.curl("/api/v1/whoami", "-H", f"X-Herod-Secret: {secret}")[0]

    def make_key(self, name: str, *, scope: str, network: str = "prod", secret: str = FIRST) -> int:
        """The status of creating a key."""
        body = json.dumps({"name": name, "scope": scope, "networks": [network]})
        return self.daemon.curl("/api/v1/keys", "--json", body, "-H", f"X-Herod-Secret: {secret}")[0]


@pytest.fixture
def reloading(tmp_path: Path) -> Iterator[Reloading]:
    """A daemon with a settings file and one legacy secret in a file."""
    (tmp_path / "legacy").write_text(FIRST)
    (tmp_path / "legacy").chmod(0o600)
    (tmp_path / "herod.toml").write_text(CONFIG.format(networks='["prod"]', scopes="", more=""))
    with running(tmp_path, "--config", str(tmp_path / "herod.toml")) as daemon:
        yield Reloading(daemon)
        assert daemon.stop() == 0


def test_what_is_taken(reloading: Reloading) -> None:
    """New scopes, networks and legacy secrets apply at the next request, and replaced ones no longer do."""
    assert reloading.status(secret=FIRST) == 200
    assert reloading.make_key("a", scope="jobs:run") == 400
    assert reloading.make_key("b", scope="read", network="staging") == 400
    reloading.write(networks='["staging"]', scopes='"jobs:run" = { includes = ["user"] }')
    said = reloading.reload()
    assert "need a restart" not in said
    assert reloading.make_key("c", scope="jobs:run", network="staging") == 201
    assert reloading.make_key("d", scope="read", network="prod") == 400
    (reloading.daemon.folder / "legacy").write_text(SECOND)
    reloading.reload()
    assert reloading.status(secret=FIRST) == 401
    assert reloading.status(secret=SECOND) == 200


def test_a_scope_that_goes(reloading: Reloading) -> None:
    """A removed scope is gone from all grants at once; cached masks of the old graph are not reused."""
    reloading.write(scopes='"zz:all" = { includes = ["admin"] }\n"aa:none" = { includes = ["read"] }')
    reloading.reload()
    made = reloading.daemon.herod("key", "create", "k", "--scope", "aa:none", "--output", "json")
    key = json.loads(made.stdout)["key"]
    header = ("-H", f"Authorization: Bearer {key}")
    assert reloading.daemon.curl("/api/v1/whoami", *header)[1]["data"]["scope"] == "aa:none"
    reloading.write(scopes='"bb:run" = { includes = ["user"] }')
    reloading.reload()
    _, who, _ = reloading.daemon.curl("/api/v1/whoami", *header)
    assert who.get("data", {}).get("scope", "") == ""
    assert reloading.daemon.curl("/api/v1/users", *header)[0] == 403


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scopes": '"a" = { includes = ["b"] }\n"b" = { includes = ["a"] }'}, "is a cycle"),
        ({"scopes": '"a" = { includes = ["nothing"] }'}, "nothing"),
        ({"networks": "[]"}, "networks"),
        ({"more": "nonsense"}, "not TOML"),
        ({"more": "token_tll = 1"}, "token_ttl"),
        ({"more": 'user_secret = ["@missing"]'}, "missing"),
    ],
)
def test_what_is_wrong_changes_nothing(reloading: Reloading, wrong: dict[str, str], message: str) -> None:
    """An error in the settings rejects all of them, and the log has the reason."""
    (reloading.daemon.folder / "legacy").write_text(SECOND)
    reloading.write(**wrong)
    said = reloading.reload()
    assert "keeping the old settings" in said
    assert message in said
    assert "Traceback" not in said
    assert reloading.status(secret=FIRST) == 200
    assert reloading.status(secret=SECOND) == 401
    reloading.write()
    reloading.reload()
    assert reloading.status(secret=SECOND) == 200


def test_what_needs_a_restart(reloading: Reloading) -> None:
    """Settings that need a restart are named each time, without their values, and the others are applied."""
    reloading.write(networks='["*"]', more='token_ttl = 77\nregistration = "closed"\nhosts = ["h.example.org"]')
    for _ in range(2):
        [line] = [one for one in reloading.reload().splitlines() if "need a restart" in one]
        assert "token_ttl, registration, hosts" in line
        assert "77" not in json.loads(line)["message"]
    assert reloading.make_key("a", scope="read", network="anything") == 201
    reloading.write()
    assert "need a restart" not in reloading.reload()


def test_many_at_once(reloading: Reloading) -> None:
    """A burst of SIGHUPs under load ends with the last settings, and every request is answered."""
    for number in range(20):
        reloading.write(scopes=f'"s{number}" = {{ includes = ["user"] }}')
        reloading.daemon.process.send_signal(signal.SIGHUP)
        assert reloading.status(secret=FIRST) == 200
    reloading.reload()
    deadline = time.monotonic() + 10
    while reloading.make_key(f"k{time.monotonic_ns()}", scope="s19") != 201:
        assert time.monotonic() < deadline
