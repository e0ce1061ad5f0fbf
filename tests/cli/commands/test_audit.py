"""`herod audit …`: the requests, the output, and how following continues."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.fake_daemon import FakeDaemon, RpcError

Typed = Callable[..., Any]


def entry(seq: int, **changes: Any) -> dict[str, Any]:
    """One row of the daemon's answer."""
    return {
        "seq": seq,
        "at": f"2026-11-21T10:00:{seq:02}Z",
        "actor": "5a5e7f52-5a3f-4a5e-9d0e-4a9f1f3c2b11",
        "method": "client_secret",
        "source": "uid:1000",
        "operation": "keys.create",
        "outcome": "ok",
        "reason": None,
        "target": "0kZ3vXq81LmT",
        "count": 1,
        **changes,
    }


class Log:
    """A log that grows while it is followed: each request for its end is the next step of a plan."""

    def __init__(self, *plan: object) -> None:
        self.plan = list(plan)
        self.size = 0
        self.asked: list[dict[str, Any]] = []

    def __call__(self, params: dict[str, Any]) -> object:
        self.asked.append(params)
        if params == {"limit": 1}:
            step = self.plan.pop(0) if self.plan else KeyboardInterrupt
            if not isinstance(step, int):
                return step
            self.size = step
        rows = [entry(seq) for seq in range(1, self.size + 1)]
        if "after" in params:
            rows = [row for row in rows if row["seq"] > params["after"]][: params["limit"]]
            is_all = not rows or rows[-1]["seq"] == self.size
            return {"items": rows, "next_cursor": None if is_all else "more"}
        return {"items": rows[::-1][: params["limit"]], "next_cursor": None}


@pytest.fixture
def follow(daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Follow a log along a plan without waiting, and press Ctrl-C at its end."""

    def followed(log: Log, *arguments: str) -> Any:
        daemon.methods["audit.list"] = log

        def pause(_: float) -> None:
            if not log.plan:
                raise KeyboardInterrupt

        monkeypatch.setattr("time.sleep", pause)
        return herod("audit", "list", "--follow", *arguments)

    return followed


def test_list(daemon: FakeDaemon, herod: Typed) -> None:
    """The list has the newest row last, in 80 columns, with the reason of a denial and its count."""
    denied = entry(2, outcome="denied", reason="key_cannot_manage_keys", count=12, actor="anonymous")
    daemon.methods["audit.list"] = {"items": [denied, entry(1)], "next_cursor": None}
    ended = herod("audit", "list")
    assert ended.out.splitlines() == [
        "TIME                 OPERATION         RESULT          SOURCE      ACTOR",
        "2026-11-21 10:00:01  keys.create       ok              uid:1000    5a5e7f52-5a3…",
        "2026-11-21 10:00:02  keys.create       12x key_canno…  uid:1000    anonymous",
    ]
    assert daemon.params("audit.list") == {"limit": 50}


def test_wide(daemon: FakeDaemon, herod: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a wide terminal ids are complete and the remaining columns appear."""
    monkeypatch.setenv("COLUMNS", "200")
    daemon.methods["audit.list"] = {"items": [entry(1)], "next_cursor": None}
    title, line = herod("audit", "list").out.splitlines()
    assert title.split() == ["TIME", "OPERATION", "RESULT", "SOURCE", "ACTOR", "METHOD", "TARGET"]
    assert line.split()[-3:] == [entry(1)["actor"], "client_secret", "0kZ3vXq81LmT"]


def test_filters(daemon: FakeDaemon, herod: Typed) -> None:
    """Filters are sent to the daemon, with times as timestamps."""
    daemon.methods["audit.list"] = {"items": [], "next_cursor": None}
    before = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    ended = herod(
        "audit", "list", "--actor", "a", "--operation", "keys.*", "--outcome", "denied", "--reason", "expired",
        "--source", "uid:1", "--target", "t", "--since", "2h", "--until", "2030-01-31T13:00:00+01:00", "--limit", 3,
    )  # fmt: skip
    assert (ended.code, ended.out) == (0, "")
    assert "No row matches" in ended.err
    params = daemon.params("audit.list")
    since = datetime.fromisoformat(params.pop("since"))
    assert before <= since <= before + timedelta(minutes=1)
    assert params == {
        "actor": "a", "operation": "keys.*", "outcome": "denied", "reason": "expired", "source": "uid:1",
        "target": "t", "until": "2030-01-31T12:00:00Z", "limit": 3,
    }  # fmt: skip


@pytest.mark.parametrize("when", ["yesterday", "0h", "2030-01-31T12:00:00", "2030-02-30", "never", "999999y"])
def test_no_moment(daemon: FakeDaemon, herod: Typed, when: str) -> None:
    """An invalid time is refused with an example of a valid one."""
    ended = herod("audit", "list", "--since", when)
    assert ended.code == 2
    assert "write 30m, 12h or 7d" in " ".join(ended.err.split())


def test_json(daemon: FakeDaemon, herod: Typed) -> None:
    """JSON output has the operation's own format, in the order of the log."""
    daemon.methods["audit.list"] = {"items": [entry(2), entry(1)], "next_cursor": None}
    assert json.loads(herod("audit", "list", "--output", "json").out) == {
        "items": [entry(1), entry(2)],
        "next_cursor": None,
    }


def test_follow(follow: Callable[..., Any]) -> None:
    """Following prints the latest rows, then each new one once, page by page; Ctrl-C ends it with success."""
    log = Log(3, 3, 5, 405)
    ended = follow(log, "--limit", "2", "--output", "json")
    assert (ended.code, ended.err) == (0, "")
    assert [json.loads(line)["seq"] for line in ended.out.splitlines()] == [2, 3, 4, 5, *range(6, 406)]


def test_follow_with_filters(follow: Callable[..., Any]) -> None:
    """Filters are sent with each request, and filtered rows are not requested again."""
    log = Log(0, 2, 4)
    ended = follow(log, "--actor", "ada")
    assert len(ended.out.splitlines()) == 5
    assert [params["after"] for params in log.asked if "after" in params] == [0, 2]
    assert all(params["actor"] == "ada" for params in log.asked if params != {"limit": 1})


def test_follow_while_herod_is_away(follow: Callable[..., Any]) -> None:
    """An unreachable daemon is reported once and waited for; missed rows follow afterwards."""
    away = RpcError(5003, "herod is stopping.", {"code": "unavailable"})
    stranger = RpcError(4001, "Who are you?", {"code": "bad_credentials"})
    ended = follow(Log(1, away, away, stranger, 3, away, 4))
    assert ended.code == 0
    assert len(ended.out.splitlines()) == 5
    assert ended.err.count("Waiting for it.") == 2


def test_follow_as_nobody(follow: Callable[..., Any]) -> None:
    """A credential that is no longer valid ends the following with an error."""
    stranger = RpcError(4001, "Who are you?", {"code": "bad_credentials"})
    assert follow(Log(1, *[stranger] * 10)).code == 4


def test_follow_without_the_scope(follow: Callable[..., Any]) -> None:
    """A missing scope is reported at once, also if it was lost meanwhile."""
    refused = RpcError(4003, "This needs scope 'admin'.", {"code": "missing_scope"})
    assert follow(Log(refused)).code == 1
    assert follow(Log(1, refused)).code == 1


def test_follow_of_another_store(follow: Callable[..., Any]) -> None:
    """A log that was reset, as by a restore, is followed from its present end."""
    ended = follow(Log(5, 2, 3), "--output", "json")
    assert [json.loads(line)["seq"] for line in ended.out.splitlines()] == [1, 2, 3, 4, 5, 3]
    assert "starts over" in ended.err


def test_verify(daemon: FakeDaemon, herod: Typed) -> None:
    """A valid log shows the number of rows and the head to note."""
    daemon.methods["audit.verify"] = {"valid": True, "rows": 3, "head": "ab" * 32}
    ended = herod("audit", "verify", "--expect", "ab" * 32)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.split() == ["valid", "yes", "rows", "3", "head", "ab" * 32]
    assert daemon.params("audit.verify") == {"expect": "ab" * 32}


def test_verify_broken(daemon: FakeDaemon, herod: Typed) -> None:
    """A broken log shows the row, the reason and what to do, with exit code 1."""
    daemon.methods["audit.verify"] = {
        "valid": False, "rows": 4, "head": "ab" * 32, "first_bad": 3, "reason": "row 3 is missing",
    }  # fmt: skip
    ended = herod("audit", "verify")
    assert ended.code == 1
    assert "first_bad  3" in ended.out
    assert "row 3 is missing." in ended.err
    assert "keep a copy" in ended.err
    ended = herod("audit", "verify", "--output", "json")
    assert (ended.code, ended.err) == (1, "")
    assert json.loads(ended.out)["first_bad"] == 3
