"""The conformance suite of the Model Context Protocol, against herod as an authorization server."""

import json
from pathlib import Path

from support.chromium import Person
from support.consent import allow
from support.mcp_packages import needs_node_22, running_program
from support.real_daemon import Daemon, free_port

pytestmark = needs_node_22


def register(daemon: Daemon, port: int) -> str:
    """Register an app with the suite's redirect; return its client_id."""
    body = {"client_name": "conformance", "redirect_uris": [f"http://127.0.0.1:{port}/callback"]}
    _, answer, _ = daemon.curl(
        "/oauth/register", "--json", json.dumps({**body, "token_endpoint_auth_method": "none"}), tcp=True
    )
    client_id: str = answer["client_id"]
    return client_id


def test_the_conformance_suite(daemon: Daemon, ada: Person, tmp_path: Path) -> None:
    """Both scenarios for authorization servers succeed, without a warning."""
    issuer, port = f"http://localhost:{daemon.port}", free_port()
    results = tmp_path / "results"
    with running_program(
        tmp_path, "conformance", "authorization", "--url", issuer, "--client-id", register(daemon, port),
        "--resource", f"{issuer}/mcp", "--port", str(port), "--output-dir", results,
    ) as suite:  # fmt: skip
        allow(ada, suite.authorize_url(issuer))
        assert "2 passed, 0 failed" in suite.ends()
    checks = [check for file in results.glob("*/checks.json") for check in json.loads(file.read_text())]
    assert {check["id"]: check["status"] for check in checks} == {
        "authorization-server-metadata": "SUCCESS",
        "authorization-server-metadata-cimd": "SUCCESS",
        "authorization-code-grant": "SUCCESS",
    }, checks
