"""JSONTestSuite through /rpc and /mcp: invalid JSON is refused, valid JSON is parsed, and nothing is a 5xx."""

import base64
import json

import pytest

from herod.identity.legacy_secrets import LegacySecrets
from support.herod_in_memory import Harness, bearer
from support.public_vectors import VECTORS

SUITE = VECTORS / "json_parsing_suite.json"


@pytest.mark.skipif(not SUITE.is_file(), reason=f"no vectors at {SUITE}")
async def test_json_suite_through_rpc(harness: Harness) -> None:
    """An n_ case is a parse error or over a limit, a y_ case never a parse error; an i_ case may be either."""
    cases = json.loads(SUITE.read_text())
    assert len(cases) > 300
    for name, encoded in cases.items():
        answer = await harness.request("POST", "/rpc", body=base64.b64decode(encoded))
        assert answer.status in {200, 400, 413}, name
        body = answer.json if answer.status == 200 else None
        codes = {item["error"]["code"] for item in (body if isinstance(body, list) else [body])} if body else set()
        if name.startswith("n_"):
            # Excessive nesting is refused before parsing, as an invalid request.
            assert answer.status != 200 or codes == {-32700} or "depth" in str(body) or "nested" in str(body), name
        elif name.startswith("y_"):
            assert -32700 not in codes, name
            assert answer.status == 200, name


@pytest.mark.skipif(not SUITE.is_file(), reason=f"no vectors at {SUITE}")
async def test_json_suite_as_params(harness: Harness) -> None:
    """The same texts as params never cause a 5xx, and invalid JSON is never executed."""
    harness.configure(legacy=LegacySecrets(harness.runtime.keyring, []))  # or the texts are guesses, and limited
    for name, encoded in json.loads(SUITE.read_text()).items():
        body = b'{"jsonrpc":"2.0","method":"token.validate","id":1,"params":%b}' % base64.b64decode(encoded)
        answer = await harness.request("POST", "/rpc", body=body)
        assert answer.status == 200, name
        if "result" in answer.json:  # a list of strings is params by position
            assert (name[:2], answer.json["result"]) == ("y_", {"valid": False, "reason": "invalid"})
        else:
            assert answer.json["error"]["code"] in {-32700, -32600, -32602}, name


@pytest.mark.skipif(not SUITE.is_file(), reason=f"no vectors at {SUITE}")
async def test_json_suite_through_mcp(harness: Harness) -> None:
    """The same texts as messages and tool arguments never cause a 5xx, and invalid JSON is never executed."""
    headers = bearer(await harness.service_key("read"))
    for name, encoded in json.loads(SUITE.read_text()).items():
        text = base64.b64decode(encoded)
        answer = await harness.request("POST", "/mcp", body=text, headers=headers)
        assert (answer.status, answer.json["error"]["code"]) in {(400, -32700), (400, -32600)}, name
        if name.startswith("y_"):
            assert answer.json["error"]["code"] == -32600, name
        params = b'{"name":"validate_token","arguments":{"token":"x","scope":%b}}' % text
        body = b'{"jsonrpc":"2.0","method":"tools/call","id":1,"params":%b}' % params
        answer = await harness.request("POST", "/mcp", body=body, headers=headers)
        assert answer.status in {200, 400}, name
        if name.startswith("n_"):
            assert "structuredContent" not in answer.json.get("result", {}), name
