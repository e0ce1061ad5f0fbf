"""Which modules of the daemon connect to anything: no request of a stranger can lead it anywhere."""

import ast
from pathlib import Path

import herod

PACKAGE = Path(herod.__file__).parent
# What opens a connection or sends to an address, by the name of the function.
CONNECTING = {
    "connect", "connect_ex", "create_connection", "getaddrinfo", "open_ssl_over_tcp_stream", "open_tcp_stream",
    "open_unix_socket", "sendto", "urlopen",
}  # fmt: skip
LIBRARIES = {"aiohttp", "ftplib", "http.client", "httpx", "requests", "smtplib", "urllib.request", "xmlrpc", "anyio"}
ALLOWED = {
    "pipeline/client_documents/document_fetcher.py": "documents of apps, from public addresses, for who has signed in",
    "loopback_relay.py": "`herod ui` passes a browser's requests on to the daemon",
    "server/sockets/unix_socket.py": "asks whether another herod listens on its own socket",
    "server/sockets/tcp_peer_uid.py": "asks the kernel whose process a client over loopback is",
    "server/systemd_notify.py": "tells the service manager that it is ready",
}


def test_no_other_module_connects() -> None:
    """Only these modules connect, each to what belongs to this machine, but for documents of apps."""
    found = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if _connects(path)}
    assert found == set(ALLOWED)


def _connects(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr == "AF_NETLINK":
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CONNECTING:
            return True
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        if LIBRARIES & set(names) or "trio.socket" in names:
            return True
    return False
