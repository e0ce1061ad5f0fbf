"""How each protocol says that there were too many tries."""

from support.herod_in_memory import LEGACY, TCP, House, bearer

LOGIN = {"email": "nobody@example.org", "password": "a wrong password"}


async def lock_legacy(house: House) -> None:
    """Too many guesses at legacy secrets, over TCP."""
    for _ in range(10):
        assert (await house.request("GET", "/api/v1/whoami", headers=bearer("guess"))).status == 401


async def test_rest(house: House) -> None:
    """429 with Retry-After; in the envelope where there is one."""
    await lock_legacy(house)
    house.clock.now += 60
    answer = await house.request("GET", "/api/v1/whoami", headers=bearer(LEGACY["admin"]))
    assert (answer.status, answer.headers["retry-after"]) == (429, "240")
    assert answer.json["error"] == {
        "code": "rate_limited",
        "message": "Too many tries from here: try again in 240 seconds.",
    }
    assert "meta" in answer.json


async def test_rpc(house: House) -> None:
    """4029 under 200, in a batch for each item by itself; the seconds stand in the message."""
    await lock_legacy(house)
    error = (await house.rpc("whoami", headers=bearer(LEGACY["admin"])))["error"]
    assert (error["code"], error["data"]["code"]) == (4029, "rate_limited")
    assert "300 seconds" in error["message"]
    calls = [
        {"jsonrpc": "2.0", "id": 1, "method": "auth.list_keys", "params": {"admin_key": LEGACY["admin"]}},
        {"jsonrpc": "2.0", "id": 2, "method": "health"},
    ]
    limited, healthy = (await house.request("POST", "/rpc", json=calls)).json
    assert limited["error"]["code"] == 4029
    assert healthy["result"]["status"] == "ok"


async def test_a_batch_is_no_way_around(house: House) -> None:
    """Fifty guesses in one request are fifty guesses."""
    calls = [{"jsonrpc": "2.0", "id": number, "method": "login", "params": LOGIN} for number in range(12)]
    answers = (await house.request("POST", "/rpc", json=calls)).json
    assert [answer["error"]["code"] for answer in answers] == [4001] * 10 + [4029] * 2
    assert (await house.request("POST", "/login", json=LOGIN, source=TCP)).status == 429


async def test_oauth(house: House) -> None:
    """429 with Retry-After, in OAuth's form."""
    await lock_legacy(house)
    form = "grant_type=client_credentials"
    answer = await house.request("POST", "/token", form=form, headers=bearer(LEGACY["admin"]))
    assert (answer.status, answer.headers["retry-after"]) == (429, "300")
    assert set(answer.json) == {"error", "error_description"}
