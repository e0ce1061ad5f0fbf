"""The smoke checks: all pass on a good daemon, and each fails when the daemon answers wrongly."""

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Surface
from herod_smoke.check_runner import run
from herod_smoke.checks import CHECKS
from herod_smoke.checks.documented_surface import METHODS, ROUTES
from herod_smoke.fixtures import Fixtures
from herod_smoke.http_connection import HttpClient, SmokeConnection, peer
from herod_smoke.report import Outcome
from smoke.ways import LEGACY, WAYS, Broken
from support.real_daemon import Daemon, running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A good daemon."""
    with running(tmp_path_factory.mktemp("smoke"), HEROD_USER_SECRET=LEGACY) as daemon:
        yield daemon


@contextmanager
def wire_to(daemon: Daemon) -> Iterator[SmokeConnection]:
    """A connection to the daemon."""
    with closing(SmokeConnection(f"unix:{daemon.socket}")) as connection:
        yield connection


def world_of(daemon: Daemon, connection: HttpClient) -> Fixtures:
    """A run against the daemon, as the local admin."""
    return Fixtures(connection, peer(daemon.cookie), LEGACY)


def ended(fixtures: Fixtures, *names: str) -> tuple[list[Outcome], list[str]]:
    """The outcome of these checks."""
    return run(fixtures, CHECKS, names, tell=lambda outcome: None)


def test_there_are_24() -> None:
    """There are exactly 24 checks, each with at least one fault that it must detect."""
    assert len(CHECKS) == 24
    assert set(WAYS) == set(CHECKS)


def test_they_know_every_operation() -> None:
    """Their own list, which a deployed daemon is held to, has every route and JSON-RPC method of the table."""
    routes = {f"{route.method} {route.path}" for one in OPERATIONS.values() for route in one.routes}
    assert {re.sub(r"{\w+}", "{}", route) for route in routes} - set(ROUTES) == set()
    assert {name for name, one in OPERATIONS.items() if Surface.RPC in one.surfaces} - set(METHODS) == set()


def test_all_pass_on_a_good_daemon(daemon: Daemon) -> None:
    """All checks pass, and leave nothing behind."""
    before = daemon.herod("status", "--output", "json")
    with wire_to(daemon) as connection:
        outcomes, left = ended(world_of(daemon, connection), *CHECKS)
    assert [(one.name, one.error) for one in outcomes if not one.has_passed] == []
    assert left == []
    counts = [json.loads(text)["stats"] for text in (before.stdout, daemon.herod("status", "--output", "json").stdout)]
    assert {counts[0][name] == counts[1][name] for name in ("users", "keys")} == {True}


@pytest.mark.parametrize(("name", "way"), [(name, way) for name, ways in WAYS.items() for way in ways])
def test_each_check_goes_red(name: str, way: dict[str, Any], daemon: Daemon) -> None:
    """With this fault the check fails with a sentence, and still cleans up."""
    with wire_to(daemon) as connection:
        broken = Broken(connection, **way)
        [outcome], _ = ended(world_of(daemon, broken), name)
    assert broken.touched
    assert outcome.error is not None
    assert "Traceback" not in outcome.error


def test_a_daemon_that_stops_fails_the_rest(daemon: Daemon, tmp_path: Path) -> None:
    """After the daemon has stopped, every remaining check reports that nothing answers."""
    with running(tmp_path) as other, wire_to(other) as connection:
        fixtures = world_of(other, connection)
        assert ended(fixtures, "health")[0][0].has_passed
        other.stop()
        outcomes, _ = ended(fixtures, "health", "validate")
        assert all("does not answer" in (one.error or "") for one in outcomes)
