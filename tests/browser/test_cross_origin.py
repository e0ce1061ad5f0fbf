"""A web app on another port, in real Chromium: it calls herod with a credential of its own, and with nothing else."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from support.chromium import Person, ask, person
from support.real_daemon import Daemon

APP = "app@example.org"
RESOURCE_PATH = "/.well-known/oauth-protected-resource"
FETCH = """
async ([url, options]) => {
  try {
    const answer = await fetch(url, options);
    return {status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text()};
  } catch (error) {
    return {status: 0, headers: {}, body: String(error)};
  }
}
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A web app's server on another port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "15")
            self.end_headers()
            self.wfile.write(b"<title>An app\n\n")

        def log_message(self, *_: object) -> None:
            """Do not log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def client(daemon: Daemon) -> dict[str, str]:
    """The app's own account, and its secret."""
    (made,) = ask(daemon, ("users.add", {"email": APP, "name": "An app", "scope": "read"}))
    return {"id": made["client_id"], "secret": made["client_secret"]}


@pytest.fixture(params=["localhost", "127.0.0.1"])
def app(request: pytest.FixtureRequest, browser: Browser, daemon: Daemon, port: int) -> Iterator[Person]:
    """The app in somebody's browser, under two of its names."""
    with person(browser, daemon) as visitor:
        visitor.page.goto(f"http://{request.param}:{port}/")
        yield visitor
        visitor.forgive("Access to fetch at")
        visitor.forgive("Failed to load resource")


def fetch(page: Page, url: str, **options: Any) -> dict[str, Any]:
    """What a script of the page gets for a request."""
    answer: dict[str, Any] = page.evaluate(FETCH, [url, options])
    return answer


def rpc(page: Page, url: str, method: str, headers: dict[str, str]) -> dict[str, Any]:
    """A JSON-RPC call by a page."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method})
    return fetch(page, url, method="POST", headers={"Content-Type": "application/json", **headers}, body=body)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_from_nothing_to_a_tool(app: Person, daemon: Daemon, client: dict[str, str], host: str) -> None:
    """From the 401 of `/mcp` by metadata to a token and to answers: an agent in a browser needs the URL alone."""
    page, root = app.page, f"http://{host}:{daemon.port}"
    refused = rpc(page, f"{root}/mcp", "ping", {"MCP-Protocol-Version": "2025-11-25"})
    assert refused["status"] == 401
    where = refused["headers"]["www-authenticate"].partition('resource_metadata="')[2].partition('"')[0]
    assert where == f"{root}{RESOURCE_PATH}/mcp"
    resource = json.loads(fetch(page, where)["body"])
    assert (resource["resource"], resource["scopes_supported"]) == (f"{root}/mcp", ["read"])
    (issuer,) = resource["authorization_servers"]
    assert issuer == daemon.public_url
    found = json.loads(fetch(page, f"{issuer}/.well-known/openid-configuration")["body"])
    form = "grant_type=client_credentials&scope=read&resource=" + resource["resource"]
    got = fetch(
        page,
        found["token_endpoint"],
        method="POST",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=f"{form}&client_id={client['id']}&client_secret={client['secret']}",
    )
    token = {"Authorization": f"Bearer {json.loads(got['body'])['access_token']}"}
    listed = rpc(page, f"{root}/mcp", "tools/list", {**token, "MCP-Protocol-Version": "2025-11-25", "Mcp-Method": "x"})
    assert listed["status"] == 200
    assert "whoami" in {tool["name"] for tool in json.loads(listed["body"])["result"]["tools"]}
    elsewhere = rpc(page, f"{root}/rpc", "whoami", token)  # a token for `/mcp` is for `/mcp` alone
    assert json.loads(elsewhere["body"])["error"]["data"]["code"] == "bad_token"


def test_rest_and_errors(app: Person, daemon: Daemon) -> None:
    """A page can read the answers of REST, what is wrong with its request, and every kind of method."""
    (made,) = ask(daemon, ("keys.create", {"name": f"app {app.page.url}", "kind": "service", "scope": "read"}))
    page, root, key = app.page, daemon.public_url, {"X-API-Key": made["key"]}
    good = fetch(page, f"{root}/api/v1/whoami", headers=key)
    assert (good["status"], json.loads(good["body"])["data"]["kind"]) == (200, "service")
    assert fetch(page, f"{root}/api/v1/users", headers=key)["status"] == 403
    assert fetch(page, f"{root}/api/v1/nothing", method="PATCH", headers=key)["status"] == 404
    assert fetch(page, f"{root}/token", method="DELETE")["status"] == 405
    assert fetch(page, f"{root}/validate", method="POST", body="x" * 70_000)["status"] == 413
    checked = fetch(page, f"{root}/validate", method="POST", headers={"Content-Type": "application/json"}, body="[")
    assert checked["status"] == 400


def test_what_a_page_does_not_get(app: Person, daemon: Daemon, port: int) -> None:
    """Nothing with the visitor's session, nothing of the dashboard, and no header that names another client."""
    app.sign_in()
    app.page.goto(f"http://localhost:{port}/")
    page, root = app.page, daemon.url
    assert "herod_session" in {cookie["name"] for cookie in app.context.cookies()}
    for path in ("/", "/ui/home", "/health", "/openapi.json", "/authorize"):
        assert fetch(page, root + path)["status"] == 0, path
        assert fetch(page, root + path, credentials="include")["status"] == 0, path
    assert fetch(page, f"{root}/api/v1/whoami", credentials="include")["status"] == 0  # no credentials, so unreadable
    assert fetch(page, f"{root}/api/v1/whoami")["status"] == 401
    assert fetch(page, f"{root}/api/v1/whoami", headers={"X-Forwarded-For": "192.0.2.7"})["status"] == 0
    assert fetch(page, f"{root}/api/v1/whoami", headers={"X-Anything": "1"})["status"] == 0


def test_a_page_of_no_origin(app: Person, daemon: Daemon) -> None:
    """A frame in a sandbox has the origin `null`: it reads what is for everybody, and nothing else."""
    app.page.evaluate("document.body.innerHTML = '<iframe sandbox=allow-scripts srcdoc=x></iframe>'")
    frame = app.page.frame_locator("iframe").locator("body")
    frame.wait_for()
    inner = app.page.frames[1]
    assert inner.evaluate("origin") == "null"
    answers = [
        inner.evaluate(FETCH, [f"{daemon.public_url}{path}", {"method": method}])["status"]
        for method, path in (("GET", RESOURCE_PATH), ("POST", "/validate"), ("GET", "/api/v1/whoami"))
    ]
    assert answers == [200, 0, 0]
