"""Apps that register themselves with a real daemon, and what is left of them after a restart."""

import json
from pathlib import Path
from typing import Any, Final

from operations.oauth.registration_bodies import BODIES
from support.device_app import DEVICE
from support.real_daemon import Daemon, running

FORM: Final = "grant_type=authorization_code&code=x&redirect_uri=http://localhost/callback&code_verifier=" + "v" * 43


def _register(daemon: Daemon, *arguments: str, agent: str = "Claude Code", tcp: bool = True) -> tuple[int, Any]:
    status, body, _ = daemon.curl("/oauth/register", "--json", json.dumps(BODIES[agent][0]), *arguments, tcp=tcp)
    return status, body


def _error(daemon: Daemon, client_id: str) -> str:
    _, body, _ = daemon.curl("/token", "-d", FORM, "--data-urlencode", f"client_id={client_id}", tcp=True)
    error: str = body["error"]
    return error


def test_over_tcp_and_the_unix_socket(tmp_path: Path) -> None:
    """Every agent's body is taken on both, where the metadata says, and none that came through a proxy."""
    with running(tmp_path) as daemon:
        status, metadata, _ = daemon.curl("/.well-known/oauth-authorization-server", tcp=True)
        assert status == 200
        assert metadata["registration_endpoint"] == f"{daemon.public_url}/oauth/register"
        assert metadata["client_id_metadata_document_supported"] is True
        for agent in BODIES:
            for tcp in (True, False):
                status, app = _register(daemon, agent=agent, tcp=tcp)
                assert (status, app["redirect_uris"]) == (201, BODIES[agent][1])
                if app["token_endpoint_auth_method"] == "none":
                    assert _error(daemon, app["client_id"]) == "invalid_grant"
        for header in ("X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7", "Via: 1.1 x"):
            for tcp in (True, False):
                assert _register(daemon, "-H", header, tcp=tcp)[0] == 403


def test_after_a_restart(tmp_path: Path) -> None:
    """A client id outlives its daemon, with its store; another store does not know it, nor one where apps are off."""
    with running(tmp_path / "one") as daemon:
        client_id = _register(daemon)[1]["client_id"]
    with running(tmp_path / "one") as daemon:
        assert _error(daemon, client_id) == "invalid_grant"
    with running(tmp_path / "one", "--dynamic-apps", "off", "--client-documents", "off") as daemon:
        assert _error(daemon, client_id) == "invalid_client"
        assert _register(daemon)[0] == 403
        _, metadata, _ = daemon.curl("/.well-known/oauth-authorization-server", tcp=True)
        assert "registration_endpoint" not in metadata
        assert metadata["client_id_metadata_document_supported"] is False
    with running(tmp_path / "two") as daemon:
        assert _error(daemon, client_id) == "invalid_client"


def test_a_terminal_waits_through_a_restart(tmp_path: Path) -> None:
    """Who waits with a device code goes on waiting after a restart, over TCP and the Unix socket."""
    with running(tmp_path) as daemon:
        asking = ("-d", f"client_id=herod-cli&scope=read&resource={daemon.public_url}")
        _, codes, _ = daemon.curl("/device_authorization", *asking)
        assert codes["verification_uri"] == f"{daemon.public_url}/ui/device"
    poll = f"grant_type={DEVICE}&client_id=herod-cli&device_code={codes['device_code']}"
    with running(tmp_path) as daemon:
        for tcp in (True, False):
            status, told, head = daemon.curl("/token", "-d", poll, tcp=tcp)
            assert (status, told["error"] in {"authorization_pending", "slow_down"}) == (400, True)
            assert "no-store" in str(head)
        status, told, _ = daemon.curl("/device_authorization", *asking, "-H", "Origin: https://evil.example", tcp=True)
        assert status == 403
