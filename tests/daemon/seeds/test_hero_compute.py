"""Hero Compute's rule of ownership: a secret with every call, and whatever it does not open does not exist."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.real_daemon import Daemon, running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon."""
    with running(tmp_path_factory.mktemp("compute")) as daemon:
        yield daemon


@pytest.fixture
def compute(daemon: Daemon, tmp_path: Path) -> tuple[Daemon, str]:
    """A daemon, and the key of a service that has tenants: each its own, because misses are counted by principal."""
    key = tmp_path / "key"
    command = ("key", "create", tmp_path.name, "--kind", "service", "--scope", "user", "--save", str(key), "--peer")
    made = daemon.herod(*command)
    assert made.returncode == 0, made.stderr
    return daemon, key.read_text().strip()


def call(compute: tuple[Daemon, str], method: str, **params: Any) -> Any:
    """One call of the service: its result, or its error."""
    daemon, key = compute
    answer = daemon.rpc(f"resources.{method}", params, "-H", f"Authorization: Bearer {key}", tcp=True)
    return answer.get("result", answer.get("error"))


def test_the_verbs(compute: tuple[Daemon, str]) -> None:
    """claim, list, get, check, update and release, each with the tenant's secret."""
    secret = {"secret": "tenant one's secret"}
    made = call(compute, "claim", kind="vm", name="web", attributes={"cpus": 2}, **secret)
    assert made == {"sid": made["sid"], "kind": "vm", "name": "web", "attributes": {"cpus": 2}}
    assert call(compute, "list", kind="vm", **secret) == {"items": [made], "next_cursor": None}
    assert call(compute, "get", sid=made["sid"], **secret) == made
    assert call(compute, "check", sid=made["sid"], **secret) == {"sid": made["sid"], "allowed": True}
    assert call(compute, "update", sid=made["sid"], name="web 2", **secret) == {**made, "name": "web 2"}
    assert call(compute, "release", sid=made["sid"], **secret) == {"sid": made["sid"], "released": True}
    assert call(compute, "get", sid=made["sid"], **secret)["code"] == 4004


def test_another_secret_sees_nothing(compute: tuple[Daemon, str]) -> None:
    """No verb tells a resource of another secret from one that never was."""
    sid = call(compute, "claim", kind="disk", name="data", secret="tenant one's secret")["sid"]
    never = "7c2f9a54-0d5b-4a39-9a55-1f2b6d0c7e21"
    for method in ("get", "check", "update", "release"):
        other = {"secret": "tenant two's secret"}
        assert call(compute, method, sid=sid, **other) == call(compute, method, sid=never, **other)
    assert call(compute, "list", kind="disk", secret="tenant two's secret")["items"] == []


@pytest.mark.parametrize("claimed", [{}, {"secret": ""}])
def test_without_a_secret(compute: tuple[Daemon, str], claimed: dict[str, str]) -> None:
    """A claim without a secret, or with an empty one, is unprotected: every verb works with any secret, or none."""
    kind = f"open {len(claimed)}"
    made = call(compute, "claim", kind=kind, name="scratch", **claimed)
    shown: tuple[dict[str, str], ...] = ({}, {"secret": ""}, {"secret": "any secret"})
    for secret in shown:
        assert call(compute, "get", sid=made["sid"], **secret) == made
        assert call(compute, "check", sid=made["sid"], **secret)["allowed"] is True
        assert call(compute, "update", sid=made["sid"], attributes={}, **secret) == made
    for secret in shown[:2]:
        assert call(compute, "list", kind=kind, **secret)["items"] == [made]
    assert call(compute, "release", sid=made["sid"])["released"] is True
