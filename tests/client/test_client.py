"""The sync client: the requests it sends, and how it handles answers."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from herod_client import (
    Anonymous,
    BadAnswer,
    Basic,
    Bearer,
    Client,
    InvalidInput,
    NotAuthenticated,
    PeerIdentity,
    Refused,
)
from support.fake_daemon import FakeDaemon, Reply, RpcError, fake_daemon, json_reply


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    """A daemon on a Unix socket."""
    with fake_daemon(tmp_path / "herod.sock") as made:
        yield made


@pytest.fixture
def client(daemon: FakeDaemon) -> Iterator[Client]:
    """A client without a credential."""
    with Client(daemon.url) as made:
        yield made


def test_call(daemon: FakeDaemon, client: Client) -> None:
    """A call is JSON-RPC 2.0 on POST /rpc with parameters by name."""
    daemon.methods["users.get"] = lambda params: {"got": params}
    assert client.call("users.get", {"email": "ada@example.org"}) == {"got": {"email": "ada@example.org"}}
    [asked] = daemon.asked
    assert (asked.method, asked.path, asked.headers["Content-Type"]) == ("POST", "/rpc", "application/json")
    assert asked.json["jsonrpc"] == "2.0"
    assert asked.headers["Host"] == "localhost"


def test_a_null_result_is_a_result(daemon: FakeDaemon, client: Client) -> None:
    """A null result is a valid result."""
    daemon.methods["nothing"] = lambda _: None
    assert client.call("nothing") is None


def test_one_connection_for_many_calls(daemon: FakeDaemon, client: Client) -> None:
    """The connection is reused."""
    daemon.methods["health"] = {}
    for _ in range(3):
        client.call("health")
    assert daemon.connections == 1


def test_a_connection_that_the_daemon_closed_is_opened_anew(daemon: FakeDaemon, client: Client) -> None:
    """`Connection: close` ends a connection, and the next call opens another."""
    daemon.routes["GET", "/health"] = Reply(headers=(("Connection", "close"),))
    client.get("/health")
    client.get("/health")
    assert daemon.connections == 2


def test_tcp_names_its_host() -> None:
    """Over TCP the Host header is the address, and no credential is sent by default."""
    with fake_daemon() as daemon, Client(daemon.url) as client:
        daemon.methods["health"] = {"status": "ok"}
        assert client.call("health") == {"status": "ok"}
        assert daemon.asked[0].headers["Host"] == daemon.url.removeprefix("http://")
        assert daemon.asked[0].authorization is None
        with pytest.raises(InvalidInput, match="only on a Unix socket"):
            client.call("health", identity=PeerIdentity())


@pytest.mark.parametrize(
    ("identity", "header"),
    [
        (Bearer("abc"), "Bearer abc"),
        (Basic("id:1", "s e/c"), "Basic " + base64.b64encode(b"id%3A1:s%20e%2Fc").decode()),
        (PeerIdentity(), "Peer"),
        (Anonymous(), None),
        (None, "Peer"),
    ],
)
def test_what_is_presented(
    daemon: FakeDaemon, identity: Bearer | Basic | PeerIdentity | Anonymous | None, header: str | None
) -> None:
    """Each kind of credential has its header; on a Unix socket the default is the peer's uid."""
    daemon.methods["whoami"] = {}
    with Client(daemon.url, identity=identity) as client:
        client.call("whoami")
    assert daemon.asked[0].authorization == header


def test_cookie_beside_the_socket(daemon: FakeDaemon, client: Client, tmp_path: Path) -> None:
    """The cookie is sent if it is readable and well-formed."""
    daemon.methods["whoami"] = {}
    cookie = tmp_path / "herod.sock.cookie"
    for content in ("abcDEF0123456789_-\n", "two lines\nhere it is", "short", "\xff" * 30):
        cookie.write_text(content, encoding="latin-1")
        client.call("whoami")
    cookie.unlink()
    cookie.symlink_to(tmp_path / "elsewhere")
    client.call("whoami")
    assert [one.authorization for one in daemon.asked] == ["Peer abcDEF0123456789_-", *["Peer"] * 4]


@pytest.mark.parametrize("before", [None, "older-cookie-0123456789"])
def test_a_cookie_that_the_daemon_wrote_when_it_was_asked(
    daemon: FakeDaemon, client: Client, tmp_path: Path, before: str | None
) -> None:
    """Whoever was refused for the lack of it, or for an older one, asks again: once, and only then."""
    cookie = tmp_path / "herod.sock.cookie"
    if before is not None:
        cookie.write_text(before)

    def refuse_and_write(_params: object) -> object:
        if daemon.asked[-1].authorization == "Peer newer-cookie-0123456789":
            return {"sub": "local_admin"}
        cookie.write_text("newer-cookie-0123456789")
        return RpcError(4001, "This user has no rule.")

    daemon.methods["whoami"] = refuse_and_write
    assert client.call("whoami") == {"sub": "local_admin"}
    sent = ["Peer" if before is None else f"Peer {before}", "Peer newer-cookie-0123456789"]
    assert [one.authorization for one in daemon.asked] == sent
    daemon.methods["whoami"] = RpcError(4001, "This user has no rule.")
    with pytest.raises(NotAuthenticated):
        client.call("whoami")
    assert len(daemon.asked) == 3


@pytest.mark.parametrize("identity", [Bearer("key"), Basic("me", "secret"), Anonymous()])
def test_no_other_credential_is_replaced_by_the_cookie(
    daemon: FakeDaemon, tmp_path: Path, identity: Bearer | Basic | Anonymous
) -> None:
    """A refused key is not tried again as the local user."""
    (tmp_path / "herod.sock.cookie").write_text("a-cookie-0123456789")
    daemon.routes["GET", "/api/v1/whoami"] = json_reply({"error": {"code": "bad_token", "message": "No."}}, 401)
    with Client(daemon.url, identity=identity) as client, pytest.raises(NotAuthenticated):
        client.get("/api/v1/whoami")
    assert len(daemon.asked) == 1


@pytest.mark.parametrize("text", ["", "a b", "a\r\nX: y", "a\n", "\N{SNOWMAN}"])
def test_no_credential_breaks_a_header(text: str) -> None:
    """A credential that is not valid in a header is refused before anything is sent, and not echoed."""
    with pytest.raises(InvalidInput) as raised:
        Bearer(text)
    assert not text.strip() or text not in str(raised.value)


def test_credentials_are_not_in_repr() -> None:
    """The `repr` of a credential does not disclose it."""
    assert "hunter2" not in f"{Bearer('hunter2')!r} {Basic('me', 'hunter2')!r}"


@pytest.mark.parametrize(
    ("error", "kind", "code", "status"),
    [
        (RpcError(4001, "no", {"code": "bad_token", "hint": "do"}), NotAuthenticated, "bad_token", 401),
        (RpcError(4003, "no", {"code": "missing_scope", "hint": "do"}), Refused, "missing_scope", 403),
        (RpcError(4004, "no", {"code": "not_found"}), Refused, "not_found", 404),
        (RpcError(-32601, "no", None), Refused, "-32601", None),
        (RpcError(5003, "no", {"code": 7, "hint": []}), Refused, "5003", 503),
    ],
)
def test_rpc_errors(
    daemon: FakeDaemon, client: Client, error: RpcError, kind: type[Refused], code: str, status: int | None
) -> None:
    """A JSON-RPC error becomes an exception with its code, message and hint."""
    daemon.methods["x"] = error
    with pytest.raises(Refused) as raised:
        client.call("x")
    assert type(raised.value) is kind
    assert (raised.value.code, raised.value.message, raised.value.status) == (code, "no", status)
    assert raised.value.hint == ("do" if error.data and error.data.get("hint") == "do" else None)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (401, {"error": {"code": "bad_credentials", "message": "no"}}, NotAuthenticated, "bad_credentials"),
        (403, {"error": {"code": "missing_scope", "message": "no", "hint": "do"}}, Refused, "missing_scope"),
        (400, {"error": "invalid_scope", "error_description": "no"}, Refused, "invalid_scope"),
        (401, {"error": "invalid_client", "error_description": "no"}, NotAuthenticated, "invalid_client"),
        (421, {"error": {"code": "invalid_request", "message": "no"}}, Refused, "invalid_request"),
        (413, {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no"}}, Refused, "-32600"),
    ],
)
def test_http_errors(
    daemon: FakeDaemon, client: Client, status: int, body: object, kind: type[Refused], code: str
) -> None:
    """Plain, OAuth and JSON-RPC errors with an HTTP status become the same exceptions."""
    daemon.routes["POST", "/token"] = json_reply(body, status)
    daemon.routes["POST", "/rpc"] = json_reply(body, status)
    asks: tuple[Callable[[], object], ...] = (
        lambda: client.post_form("/token", {"a": "b c"}),
        lambda: client.call("x"),
    )
    for ask in asks:
        with pytest.raises(Refused) as raised:
            ask()
        assert type(raised.value) is kind
        assert (raised.value.code, raised.value.message, raised.value.status) == (code, "no", status)
    assert daemon.asked[0].form == {"a": "b c"}


def test_an_error_status_may_be_an_answer(daemon: FakeDaemon, client: Client) -> None:
    """The 503 of `/health` is an answer, not an error."""
    daemon.routes["GET", "/health"] = json_reply({"status": "failing"}, 503)
    assert client.get("/health", allow=(503,)) == {"status": "failing"}


def test_post_sends_json(daemon: FakeDaemon, client: Client) -> None:
    """A plain route takes JSON."""
    daemon.routes["POST", "/login"] = json_reply({"access_token": "t"})
    assert client.post("/login", {"email": "ada@example.org"}) == {"access_token": "t"}
    assert daemon.asked[0].json == {"email": "ada@example.org"}


GARBAGE = {
    "html": Reply(200, b"<html>hello</html>", "text/html"),
    "html error": Reply(502, b"<html>bad gateway</html>", "text/html"),
    "empty": Reply(200, b""),
    "not utf-8": Reply(200, b'"\xff"'),
    "deep": Reply(200, b"[" * 100_000),
    "redirect": Reply(302, b"{}", headers=(("Location", "http://elsewhere/"),)),
    "error without words": Reply(500, b'{"error": 7}'),
    "bare list": Reply(404, b"[]"),
}
NOT_RPC = {
    "no result": {"jsonrpc": "2.0", "id": 1},
    "another id": {"jsonrpc": "2.0", "id": 7, "result": {}},
    "text": "result",
    "odd error": {"jsonrpc": "2.0", "id": 1, "error": "no"},
}


@pytest.mark.parametrize("reply", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage(daemon: FakeDaemon, client: Client, reply: Reply) -> None:
    """An answer that is not from herod is reported as such, for every kind of request."""
    daemon.routes["GET", "/x"] = daemon.routes["POST", "/rpc"] = daemon.routes["POST", "/token"] = reply
    asks: tuple[Callable[[], object], ...] = (
        lambda: client.get("/x"),
        lambda: client.call("x"),
        lambda: client.post_form("/token", {}),
    )
    for ask in asks:
        with pytest.raises(BadAnswer) as raised:
            ask()
        assert raised.value.hint


@pytest.mark.parametrize("body", NOT_RPC.values(), ids=NOT_RPC.keys())
def test_not_json_rpc(daemon: FakeDaemon, client: Client, body: object) -> None:
    """JSON that does not answer this call is refused."""
    daemon.routes["POST", "/rpc"] = Reply(200, json.dumps(body).encode())
    with pytest.raises(BadAnswer):
        client.call("x")
