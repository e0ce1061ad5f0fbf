"""Documents that must never describe an app: each differs in one thing from `GOOD`, which does."""

import gzip
import json
from typing import Any, Final

from credentials.hostile_redirects import MALFORMED
from support.document_hosts import HOST

__all__ = ["GOOD", "HOSTILE", "URL"]

URL: Final = f"https://{HOST}/oauth/client.json"
GOOD: Final[dict[str, Any]] = {
    "client_id": URL,
    "client_name": "Agent",
    "client_uri": f"https://{HOST}",
    "redirect_uris": ["http://localhost/callback", f"https://{HOST}/callback"],
    "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}
_OTHER_IDS: Final[tuple[Any, ...]] = (
    "", URL.upper(), f"{URL}/", f"{URL}?", f"{URL}#", f"{URL} ", f" {URL}", URL.replace("https", "http"), URL[8:],
    URL.replace(HOST, f"{HOST}:443"), URL.replace(HOST, f"{HOST}."), URL.replace(HOST, HOST.upper()),
    f"https://{HOST}", f"https://{HOST}/", f"https://{HOST}//oauth/client.json",
    f"https://{HOST}/oauth/./client.json", URL.replace("o", "%6f"), "https://evil.example/oauth/client.json",
    "https://claude.ai/oauth/claude-code-client-metadata", f"{URL}\n", f"{URL}\0",
    f"https://user@{HOST}/oauth/client.json", None, 7, True, [URL], {"id": URL}, [], {}, "herod_app_x", "herod-cli",
)  # fmt: skip
_NAMES: Final[tuple[Any, ...]] = (
    "", " ", "herod", "Herod", "HEROD", "h e r o d", "her0d", "Ｈerod", "hеrod", "local admin", "anonymous",
    "Bank\u202egpj", "\u202aAgent", "Agent\u2066", "Agent\u200b", "Ag\u00adent", "Agent\ufeff", "\u3164", "\u2800",
    "Agent\n", "Agent\r", "Agent\t", "\0", "\x1b[31m", "\x7f", "Сlaude", "Clаude", "Goоgle", "Μicrosoft", "аdmin",
    "x" * 129, "x" * 1025, "\u0301", "\ue000", "\U000e0041", "\u2028", None, 7, True, [], {}, ["Agent"],
)  # fmt: skip
_FORBIDDEN: Final = (
    "client_secret", "client_secret_expires_at", "client_secret_basic", "client_secret_post", "client_secrets",
    "jwks_uri",
)  # fmt: skip
_VALUES: Final[tuple[Any, ...]] = ("x", "", 0, None, [], {}, "https://agent.example/keys")
_METHODS: Final[tuple[Any, ...]] = (
    "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth", "NONE",
    "None", "none ", "", None, 7, [], ["none"], {}, True,
)  # fmt: skip
_GRANTS: Final[tuple[Any, ...]] = (
    ["implicit"], ["password"], ["client_credentials"], ["refresh_token"], ["Authorization_Code"], [],
    "authorization_code", None, 7, {}, ["authorization_code", 7], [None], [["authorization_code"]],
)  # fmt: skip
_RESPONSES: Final[tuple[Any, ...]] = (
    ["token"],
    ["id_token"],
    ["code id_token"],
    ["CODE"],
    [],
    "code",
    None,
    7,
    {},
    ["code", 7],
)
_REDIRECTS: Final[tuple[Any, ...]] = (
    None, "http://localhost/callback", 7, {}, [], [None], [7], [["http://localhost/callback"]],
    ["http://localhost/callback", 7], ["cursor://x/callback"], ["com.example.app:/callback"],
    ["http://agent.example/callback"], ["http://192.168.0.1/callback"], ["http://localhost:3350/ui/consent"],
)  # fmt: skip


def _with(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode("utf-8", "surrogatepass")


def _without(name: str) -> bytes:
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


_TEXT: Final = json.dumps(GOOD)
HOSTILE: Final = tuple(
    dict.fromkeys(
        [
            _without("client_id"),
            _without("redirect_uris"),
            *(_with(client_id=one) for one in _OTHER_IDS),
            *(_with(client_name=one) for one in _NAMES),
            *(_with(**{name: value}) for name in _FORBIDDEN for value in _VALUES),
            *(_with(token_endpoint_auth_method=one) for one in _METHODS),
            *(_with(grant_types=one) for one in _GRANTS),
            *(_with(response_types=one) for one in _RESPONSES),
            *(_with(redirect_uris=one) for one in _REDIRECTS),
            *(_with(redirect_uris=[one]) for one in MALFORMED if len(one) < 4000),
            # not a JSON object, or two
            b"", b" ", b"null", b"[]", b"1", b'"x"', b"{", b"{}", f"[{_TEXT}]".encode(), f"{_TEXT}{_TEXT}".encode(),
            f"{_TEXT},".encode(), _TEXT[:-1].encode(), _TEXT.replace('"', "'").encode(), f"/**/{_TEXT}".encode(),
            f"{_TEXT[:-1]},}}".encode(), f'{_TEXT[:-1]},"x":NaN}}'.encode(), f'{_TEXT[:-1]},"x":01}}'.encode(),
            f"<html>{_TEXT}</html>".encode(), f"callback({_TEXT})".encode(), f")]}}'\n{_TEXT}".encode(),
            _TEXT.encode("utf-16"), _TEXT.encode("utf-32"), _TEXT.encode() + b"\0",
            _TEXT.replace("Agent", "\xff").encode("latin-1"),
            # a name twice, also in another spelling
            f'{_TEXT[:-1]},"client_id":"{URL}"}}'.encode(), f'{_TEXT[:-1]},"client_name":"Other"}}'.encode(),
            f'{_TEXT[:-1]},"client\\u005fname":"Other"}}'.encode(), f'{_TEXT[:-1]},"x":{{"a":1,"a":2}}}}'.encode(),
            # deep, large, compressed
            b"[" * 5000, b'{"a":' * 800 + b"1" + b"}" * 800, f'{_TEXT[:-1]},"x":{"[" * 700}{"]" * 700}}}'.encode(),
            _with(padding="x" * 5200), _with(padding=["x"] * 1500), gzip.compress(_TEXT.encode()),
        ]
    )
)  # fmt: skip
