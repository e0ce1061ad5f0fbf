"""No client and no command sends a long-lived secret over plain `http://` unless it is told to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from herod.operations.operation_table import OPERATIONS
from herod_client import (
    AsyncClient,
    Basic,
    Bearer,
    Client,
    ClientError,
    Identity,
    InvalidInput,
    ThreadedVerifier,
    Verifier,
)
from herod_client.addresses import TcpAddress, UnixAddress
from herod_client.clear_text import SECRET_NAMES, check_identity, check_parameters
from support.real_daemon import environment, herod
from support.squatter import squatting_port

SECRET = "a secret for verifiers, long enough for all"
KEY = "herod_s_not_to_be_seen_by_anybody_else"
PASSWORD = "correct horse battery"
# A JWT by its form.
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
LOOPBACK = TcpAddress("127.0.0.1", 3350)
CREDENTIALS = [Bearer(KEY), Bearer("a-legacy-secret"), Bearer("eyJ.no-jwt"), Basic("client", "secret")]
PARAMETERS: list[dict[str, Any]] = [
    {"email": "ada@example.org", "password": PASSWORD},
    {"key": KEY},
    {"admin_key": KEY, "name": "x"},
    {"token": KEY},
    {"client_secret": "s"},
    {"current": PASSWORD},
    {"secret": "of a resource"},
    {"secret": ["not text"]},
]


def test_every_secret_parameter() -> None:
    """Each parameter of an operation that the API's schema calls a password is known as a secret."""
    found = set()
    for operation in OPERATIONS.values():
        _, definitions = msgspec.json.schema_components([operation.params])
        for definition in definitions.values():
            found |= {
                name for name, field in definition.get("properties", {}).items() if '"password"' in repr_of(field)
            }
    assert {"password", "secret", "admin_key"} <= found
    assert found <= SECRET_NAMES


def repr_of(field: Mapping[str, Any]) -> str:
    """A schema as JSON text."""
    return msgspec.json.encode(field).decode()


@pytest.mark.parametrize("identity", CREDENTIALS, ids=repr)
def test_credentials(identity: Identity) -> None:
    """Keys and secrets are refused over plain HTTP alone, and with a way out."""
    with pytest.raises(InvalidInput, match=r"http://127\.0\.0\.1:3350.* nothing was sent") as refused:
        check_identity(identity, LOOPBACK, insecure_http=False)
    assert "--insecure-http or HEROD_INSECURE_HTTP=1" in (refused.value.hint or "")
    check_identity(identity, LOOPBACK, insecure_http=True)
    check_identity(identity, TcpAddress("auth.example.org", 443, secure=True), insecure_http=False)
    check_identity(identity, UnixAddress("/run/herod/herod.sock"), insecure_http=False)


@pytest.mark.parametrize("identity", [None, Bearer(TOKEN)])
def test_what_is_free(identity: Identity | None) -> None:
    """An access token, which ends soon, and no credential."""
    check_identity(identity, LOOPBACK, insecure_http=False)
    check_parameters({"token": TOKEN, "scope": "read", "secret": None}, "/x?cursor=y", LOOPBACK, insecure_http=False)


@pytest.mark.parametrize("params", PARAMETERS, ids="-".join)
def test_parameters(params: dict[str, Any]) -> None:
    """Secrets in a body or a query are refused like those in a header."""
    with pytest.raises(InvalidInput, match="nothing was sent"):
        check_parameters(params, "/rpc", LOOPBACK, insecure_http=False)
    check_parameters(params, "/rpc", LOOPBACK, insecure_http=True)
    with pytest.raises(InvalidInput, match="nothing was sent"):
        check_parameters({}, "/api/v1/resources?secret=of-mine", LOOPBACK, insecure_http=False)


@pytest.mark.parametrize("identity", CREDENTIALS, ids=repr)
async def test_a_squatter_and_the_clients(identity: Identity) -> None:
    """Whoever has taken herod's port receives nothing, whether the credential is the client's or the request's."""
    with squatting_port() as (port, received):
        url = f"http://127.0.0.1:{port}"
        with pytest.raises(InvalidInput):
            Client(url, identity=identity)
        with pytest.raises(InvalidInput):
            AsyncClient(url, identity=identity)
        with Client(url) as client, pytest.raises(InvalidInput):
            client.get("/api/v1/whoami", identity=identity)
        async with AsyncClient(url) as asynchronous:
            with pytest.raises(InvalidInput):
                await asynchronous.get("/api/v1/whoami", identity=identity)
    assert received == []


@pytest.mark.parametrize("params", PARAMETERS, ids="-".join)
async def test_a_squatter_and_parameters(params: dict[str, Any]) -> None:
    """Whoever has taken herod's port receives no secret in a body, of whatever form."""
    form = {name: str(value) for name, value in params.items()}
    with squatting_port() as (port, received):
        url = f"http://127.0.0.1:{port}"
        with Client(url) as client:
            with pytest.raises(InvalidInput):
                client.call("x", params)
            with pytest.raises(InvalidInput):
                client.post("/x", params)
            with pytest.raises(InvalidInput):
                client.post_form("/x", form)
        async with AsyncClient(url) as asynchronous:
            with pytest.raises(InvalidInput):
                await asynchronous.call("x", params)
            with pytest.raises(InvalidInput):
                await asynchronous.post("/x", params)
            with pytest.raises(InvalidInput):
                await asynchronous.post_form("/x", form)
    assert received == []


async def test_a_squatter_and_verifiers() -> None:
    """Verifiers do not use http:// at all."""
    with squatting_port() as (port, received):
        with pytest.raises(InvalidInput):
            Verifier(f"http://127.0.0.1:{port}", secret=SECRET, credential=KEY)
        with pytest.raises(InvalidInput), ThreadedVerifier(f"http://127.0.0.1:{port}", secret=SECRET, credential=KEY):
            pass
    assert received == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("whoami",), 2),
        (("key", "list"), 2),
        (("token", "validate", "-"), 2),
        (("login", "ada@example.org", "--password-file", "-"), 2),
        (("backup", "backup.herod"), 2),
        (("ui", "--print"), 2),
        (("smoke", "--only", "health"), 2),
        (("status",), 2),
        (("doctor",), 1),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_squatter_and_the_command(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    """No command sends a key or password, and the exit code is that of other usage errors."""
    with squatting_port() as (port, received):
        env = environment(tmp_path, HEROD_URL=f"http://127.0.0.1:{port}", HEROD_KEY=KEY)
        done = herod(*command, env=env, stdin=PASSWORD)
    assert done.returncode == code, done.stderr
    sent = b"".join(received)
    assert KEY.encode() not in sent
    assert PASSWORD.encode() not in sent
    said = " ".join((done.stdout + done.stderr).split())
    assert "--insecure-http or HEROD_INSECURE_HTTP=1" in said


@pytest.mark.parametrize(("option", "variable"), [(("--insecure-http",), ""), ((), "1"), ((), "yes")])
def test_told_to(tmp_path: Path, option: tuple[str, ...], variable: str) -> None:
    """With the option or the variable the key is sent."""
    with squatting_port() as (port, received):
        url = f"http://127.0.0.1:{port}"
        env = environment(tmp_path, HEROD_URL=url, HEROD_KEY=KEY, HEROD_INSECURE_HTTP=variable)
        assert herod("whoami", *option, env=env).returncode in {3, 4}
        with Client(url, identity=Bearer(KEY), insecure_http=True) as client, pytest.raises(ClientError):
            client.call("whoami")
    assert b"".join(received).count(KEY.encode()) == 2


@pytest.mark.parametrize("variable", ["", "0", "no"])
def test_tokens_are_sent(tmp_path: Path, variable: str) -> None:
    """An access token needs no option."""
    with squatting_port() as (port, received):
        url = f"http://127.0.0.1:{port}"
        env = environment(tmp_path, HEROD_URL=url, HEROD_TOKEN=TOKEN, HEROD_INSECURE_HTTP=variable)
        assert herod("whoami", env=env).returncode in {3, 4}
    assert TOKEN.encode() in b"".join(received)


def test_a_variable_that_is_neither(tmp_path: Path) -> None:
    """Anything but yes and no is refused."""
    env = environment(tmp_path, HEROD_URL="http://127.0.0.1:1", HEROD_INSECURE_HTTP="maybe")
    done = herod("whoami", env=env)
    assert done.returncode == 2
    assert "HEROD_INSECURE_HTTP is neither on nor off" in done.stderr
