"""`herod legacy …`, and the legacy secrets in `herod doctor`."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.fake_daemon import KEY, FakeDaemon, RpcError

Typed = Callable[..., Any]
ID = "legacy-registrar-1f0c9a52"


def secret(**changes: Any) -> dict[str, Any]:
    """A legacy secret in the daemon's answer."""
    return {
        "id": ID,
        "scope": "registrar",
        "setting": "register_secret",
        "uses": 812,
        "last_used_at": "2026-11-21T10:00:00Z",
        "last_used_from": "127.0.0.1",
        **changes,
    }


def made() -> dict[str, Any]:
    """The key that replaces it."""
    return {**KEY, "kind": "service", "key": "herod_s_secret", "replaces": ID, "setting": "register_secret"}


def test_status(daemon: FakeDaemon, herod: Typed) -> None:
    """The list shows how often each secret is used, in 80 columns."""
    unused = secret(id="legacy-admin-00000000", uses=0, last_used_at=None, last_used_from=None)
    daemon.methods["legacy.status"] = {"items": [secret(promoted_to=KEY["id"]), unused], "next_cursor": None}
    title, used, other = herod("legacy", "status").out.splitlines()
    assert title.split() == ["ID", "SCOPE", "USES", "LAST", "USED", "FROM", "REPLACED", "BY"]
    assert used.split()[0] == ID
    assert used.split()[2:4] == ["812", "2026-11-21"]
    assert used.endswith(str(KEY["id"]))
    assert other.split()[-4:] == ["0", "-", "-", "-"]
    assert max(len(title), len(used), len(other)) <= 80
    assert json.loads(herod("legacy", "status", "--output", "json").out)["items"][1] == unused


def test_status_of_none(daemon: FakeDaemon, herod: Typed) -> None:
    """An empty list says that there is nothing to do."""
    daemon.methods["legacy.status"] = {"items": [], "next_cursor": None}
    ended = herod("legacy", "status")
    assert (ended.code, ended.out) == (0, "")
    assert "nothing to replace" in ended.err


def test_promote(daemon: FakeDaemon, herod: Typed) -> None:
    """The key is shown once, with the remaining steps."""
    daemon.methods["legacy.promote"] = made()
    ended = herod("legacy", "promote", ID, "--name", "runners", "--expires", "2040-01-31T12:00:00Z")
    assert ended.code == 0
    assert "herod_s_secret" in ended.out
    assert "still works" in ended.err
    assert "register_secret" in ended.err
    assert "HEROD_REGISTER_SECRET" in ended.err
    assert daemon.params("legacy.promote") == {"id": ID, "name": "runners", "expires_at": "2040-01-31T12:00:00Z"}


def test_promote_into_a_file(daemon: FakeDaemon, herod: Typed, machine: Path) -> None:
    """With a file, the key is saved there and not shown."""
    daemon.methods["legacy.promote"] = made()
    path = machine / "runners.key"
    ended = herod("legacy", "promote", ID, "--save", path)
    assert path.read_text().strip() == "herod_s_secret"
    assert "herod_s_secret" not in ended.out + ended.err


def test_promote_for_scripts(daemon: FakeDaemon, herod: Typed) -> None:
    """For scripts the output is the whole answer and nothing else."""
    daemon.methods["legacy.promote"] = made()
    ended = herod("legacy", "promote", ID, "--output", "json")
    assert json.loads(ended.out) == made()
    assert ended.err == ""


def test_promote_refused(daemon: FakeDaemon, herod: Typed) -> None:
    """A refusal is printed like every other, with its hint."""
    daemon.methods["legacy.promote"] = RpcError(
        4009, "Key x replaces this secret already.", {"code": "conflict", "hint": "herod key rotate x"}
    )
    ended = herod("legacy", "promote", ID)
    assert ended.code == 1
    assert "hint: herod key rotate x" in ended.err


def _doctor(daemon: FakeDaemon, herod: Typed, *items: dict[str, Any]) -> list[dict[str, str]]:
    daemon.methods["legacy.status"] = {"items": list(items), "next_cursor": None}
    checks = json.loads(herod("doctor", "--output", "json").out)["checks"]
    return [check for check in checks if check["check"] == "legacy"]


def test_doctor(daemon: FakeDaemon, herod: Typed) -> None:
    """The doctor names secrets still in use with the next step, and those that can be removed."""
    now = datetime.now(UTC)
    recent, long_ago = (now - timedelta(days=days) for days in (2, 40))
    found = _doctor(
        daemon,
        herod,
        secret(last_used_at=recent.isoformat()),
        secret(last_used_at=recent.isoformat(), uses=1, promoted_to="0kZ3vXq81LmT"),
        secret(last_used_at=long_ago.isoformat()),
        secret(uses=0, last_used_at=None, last_used_from=None),
    )
    assert {check["result"] for check in found} == {"warn"}
    used, promoted, quiet, never = found
    assert used["text"] == f"{ID} is still used: 812 times, last on {recent.date()} from 127.0.0.1."
    assert used["fix"] == f"herod legacy promote {ID}"
    assert "once, last on" in promoted["text"]
    assert "0kZ3vXq81LmT" in promoted["fix"]
    assert quiet["text"] == f"{ID} has not been used since {long_ago.date()}."
    assert never["text"] == f"{ID} was never used here."
    assert all("register_secret" in check["fix"] for check in (promoted, quiet, never))


def test_all_pages(daemon: FakeDaemon, herod: Typed) -> None:
    """The list and the doctor read all pages, and stop when a daemon repeats a cursor."""
    for last in ("2", "again"):

        def page(params: dict[str, Any], last: str = last) -> object:
            number = params.get("cursor", "0")
            following = {"0": "1", "1": last, "again": "again"}.get(number)
            return {"items": [secret(id=f"legacy-user-{number}")], "next_cursor": following}

        daemon.methods["legacy.status"] = page
        assert len(json.loads(herod("legacy", "status", "--output", "json").out)["items"]) == 3
        checks = json.loads(herod("doctor", "--output", "json").out)["checks"]
        assert len([check for check in checks if check["check"] == "legacy"]) == 3


def test_doctor_without_the_scope(daemon: FakeDaemon, herod: Typed) -> None:
    """Without the needed scope the doctor skips legacy secrets and does not fail."""
    assert _doctor(daemon, herod) == []
    daemon.methods["legacy.status"] = RpcError(4003, "This needs scope 'admin'.", {"code": "missing_scope"})
    checks = json.loads(herod("doctor", "--output", "json").out)["checks"]
    assert "legacy" not in {check["check"] for check in checks}
