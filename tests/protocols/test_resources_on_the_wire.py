"""Resources on the wire: all misses get identical bytes, and no secret is accepted in a URL."""

from typing import Any

import pytest

from support.herod_in_memory import Harness, bearer

SECRET = "what the tenant chose"
WRONG = "what another tenant chose"
NEVER = "3d8c0f2e-1111-4222-8333-444455556666"
HEADER = "x-resource-secret"
REST = [
    ("GET", "/api/v1/resources/{}", None),
    ("POST", "/api/v1/resources/{}/check", None),
    ("POST", "/api/v1/resources/{}/check", {}),
    ("PATCH", "/api/v1/resources/{}", {"name": "stolen"}),
    ("DELETE", "/api/v1/resources/{}", None),
]


@pytest.fixture
async def headers(harness: Harness) -> dict[str, str]:
    """The service's headers."""
    return bearer(await harness.service_key("user", "compute"))


async def claim(harness: Harness, headers: dict[str, str], secret: str = SECRET) -> str:
    """Claim a machine; return its sid."""
    sent = {"kind": "vm", "name": "web 1", "secret": secret}
    answer = await harness.request("POST", "/api/v1/resources", json=sent, headers=headers)
    assert answer.status == 201
    assert set(answer.json["data"]) == {"sid", "kind", "name", "attributes"}
    sid: str = answer.json["data"]["sid"]
    return sid


@pytest.mark.parametrize(("method", "path", "body"), REST)
async def test_rest(harness: Harness, headers: dict[str, str], method: str, path: str, body: Any) -> None:
    """Over REST, status, headers and body are the same for every kind of miss."""
    sid = await claim(harness, headers)
    other = bearer(await harness.service_key("user", "storage"))
    asked = [
        await harness.request(method, path.format(one), json=body, headers={**who, HEADER: secret})
        for who, one, secret in ((headers, sid, WRONG), (other, sid, SECRET), (headers, NEVER, SECRET))
    ]
    asked.append(await harness.request(method, path.format(sid), json=body, headers=headers))
    assert asked[0].status == 404
    assert len({(one.status, one.response.headers, one.response.body) for one in asked}) == 1
    right = await harness.request(method, path.format(sid), json=body, headers={**headers, HEADER: SECRET})
    assert right.status == 200


@pytest.mark.parametrize("method", ["get", "check", "update", "release"])
async def test_rpc(harness: Harness, headers: dict[str, str], method: str) -> None:
    """Over JSON-RPC, the error object is the same for every kind of miss."""
    sid = await claim(harness, headers)
    other = bearer(await harness.service_key("user", "storage"))
    errors = [
        (await harness.rpc(f"resources.{method}", {"sid": one, "secret": secret}, headers=who))["error"]
        for who, one, secret in ((headers, sid, WRONG), (other, sid, SECRET), (headers, NEVER, SECRET))
    ]
    assert errors[0]["code"] == 4004
    assert errors == [errors[0]] * 3
    rest = await harness.request("GET", f"/api/v1/resources/{NEVER}", headers=headers)
    assert rest.json["error"]["message"] == errors[0]["message"]
    assert "result" in await harness.rpc(f"resources.{method}", {"sid": sid, "secret": SECRET}, headers=headers)


async def test_a_lock_is_the_same_for_all(harness: Harness, headers: dict[str, str]) -> None:
    """A lock answers 429 with Retry-After for existing and unknown sids alike, over REST and in a batch."""
    sid = await claim(harness, headers)
    params = [{"sid": sid, "secret": f"guess {number}"} for number in range(12)]
    calls = [{"jsonrpc": "2.0", "id": 1, "method": "resources.check", "params": one} for one in params]
    answers = (await harness.request("POST", "/rpc", json=calls, headers=headers)).json
    assert [answer["error"]["code"] for answer in answers] == [4004] * 10 + [4029] * 2
    asked = [
        await harness.request("GET", f"/api/v1/resources/{one}", headers={**headers, HEADER: secret})
        for one, secret in ((sid, SECRET), (sid, WRONG), (NEVER, SECRET))
    ]
    assert (asked[0].status, asked[0].headers["retry-after"]) == (429, "300")
    assert len({(one.status, one.response.headers, one.response.body) for one in asked}) == 1
    listed = await harness.request("GET", "/api/v1/resources?kind=vm", headers={**headers, HEADER: SECRET})
    assert listed.status == 429


@pytest.mark.parametrize("target", ["/api/v1/resources?kind=vm&secret={}", "/api/v1/resources/{sid}?secret={}"])
async def test_no_secret_in_an_address(harness: Harness, headers: dict[str, str], target: str) -> None:
    """A secret in a URL is refused with a hint where to put it, and not echoed."""
    sid = await claim(harness, headers)
    answer = await harness.request("GET", target.format("hunter2", sid=sid), headers=headers)
    assert answer.status == 400
    assert "X-Resource-Secret" in answer.json["error"]["message"]
    assert "hunter2" not in str(answer.json)


async def test_header_or_body(harness: Harness, headers: dict[str, str]) -> None:
    """The secret is taken from the header or the body, in UTF-8; both at once are refused."""
    secret = "Schlüssel"
    in_header = {**headers, HEADER: secret.encode().decode("latin-1")}
    sent = {"kind": "vm", "name": "web 1"}
    made = await harness.request("POST", "/api/v1/resources", json=sent, headers=in_header)
    path = f"/api/v1/resources/{made.json['data']['sid']}/check"
    for answer in (
        await harness.request("POST", path, headers=in_header),
        await harness.request("POST", path, json={"secret": secret}, headers=headers),
    ):
        assert answer.json["data"] == {"sid": made.json["data"]["sid"], "allowed": True}
    both = await harness.request("POST", path, json={"secret": secret}, headers=in_header)
    assert both.status == 400


@pytest.mark.parametrize("secret", [{}, {"secret": ""}])
async def test_a_claim_without_a_secret(harness: Harness, headers: dict[str, str], secret: dict[str, str]) -> None:
    """Without a secret, or with an empty one, the resource is unprotected: it opens with any, and without."""
    sent = {"kind": "vm", "name": "web 1", **secret}
    made = await harness.request("POST", "/api/v1/resources", json=sent, headers=headers)
    assert made.status == 201
    sid = made.json["data"]["sid"]
    for shown in ({}, {HEADER: ""}, {HEADER: "any"}):
        assert (await harness.request("GET", f"/api/v1/resources/{sid}", headers={**headers, **shown})).status == 200
    listed = await harness.request("GET", "/api/v1/resources?kind=vm", headers={**headers, HEADER: ""})
    assert [one["sid"] for one in listed.json["data"]] == [sid]
    refused = await harness.request("POST", "/api/v1/resources", json={**sent, "secret": None}, headers=headers)
    assert refused.status == 400


async def test_the_document_knows_both_places(harness: Harness) -> None:
    """The document allows a claim's secret in the header, so the body does not require it."""
    document = (await harness.request("GET", "/openapi.json")).json
    claim = document["paths"]["/api/v1/resources"]["post"]
    assert [one["name"] for one in claim["parameters"]] == ["X-Resource-Secret"]
    schema = claim["requestBody"]["content"]["application/json"]["schema"]
    assert "secret" in schema["properties"]
    assert schema["required"] == ["kind", "name"]


async def test_by_position(harness: Harness, headers: dict[str, str]) -> None:
    """Positional parameters follow the order of the documents."""
    made = await harness.rpc("resources.claim", ["vm", "web 1", SECRET, {"cpus": 2}], headers=headers)
    assert made["result"]["attributes"] == {"cpus": 2}
    listed = await harness.rpc("resources.list", ["vm", SECRET], headers=headers)
    assert listed["result"] == {"items": [made["result"]], "next_cursor": None}
    got = await harness.rpc("resources.get", [made["result"]["sid"], SECRET], headers=headers)
    assert got["result"] == made["result"]


async def test_metrics_count_them(harness: Harness, headers: dict[str, str]) -> None:
    """The metrics contain the number of resources."""
    await claim(harness, headers)
    text = (await harness.request("GET", "/metrics", headers=headers)).response.body
    assert b"\nherod_resources 1\n" in text


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_body_that_nobody_reads_is_refused(harness: Harness, headers: dict[str, str], method: str) -> None:
    """A body is refused where only the header is read, so that a right secret in it does not count as a miss."""
    sid = await claim(harness, headers)
    answer = await harness.request(method, f"/api/v1/resources/{sid}", json={"secret": SECRET}, headers=headers)
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_request")
    assert "X-Resource-Secret" in answer.json["error"]["message"]
