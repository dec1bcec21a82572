"""A trading day on the sample platform, from the first sign-in to the last sign-out. The tests are its hours, in order."""

import base64
import contextlib
import hashlib
import hmac
import json
import time

import httpx
import pytest
from portcullis.edge import SIGNED
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

ASHA = {"email": "asha@example.com", "password": "copper lantern drifts upstream"}
MALLORY = {"email": "mallory@example.com", "password": "marble orchard whispers northward"}
KITE = {
    "broker": "kite",
    "user_id_broker": "AB1234",
    "api_key": "kitekeyofasha9f3c",
    "api_secret": "kitesecretofasha-hunter2",
}
DAY = {}
"""What one hour leaves to the next, for each arrangement."""


@pytest.fixture
def day(platform):
    return DAY.setdefault(platform.with_edge, {})


def good(response, status=200):
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def refused(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    return response.headers.get("www-authenticate", "")


def sign_in(platform, person):
    return good(platform.call("POST", "/v1/auth/login", person | {"token_delivery": "body"}))["access_token"]


@contextlib.contextmanager
def prices(platform, token):
    """The WebSocket of a page: the token in the query at the edge, as a subprotocol without."""
    url = platform.url("/v1/market/ticks").replace("http", "ws", 1)
    named = {} if platform.with_edge else {"subprotocols": ["portcullis", f"portcullis.bearer.{token}"]}
    with connect(url + (f"?token={token}" if platform.with_edge else ""), **named) as websocket:
        yield websocket


def receive(websocket):
    return json.loads(websocket.recv(timeout=20))


def close_of(websocket):
    """The code with which the service closes, after whatever it still sends."""
    with pytest.raises(ConnectionClosed) as caught:
        for _ in range(1000):
            websocket.recv(timeout=20)
    return caught.value.rcvd.code


def test_09_00_asha_and_mallory_sign_in(platform, day):
    for name, person in [("asha", ASHA), ("mallory", MALLORY)]:
        good(platform.call("POST", "/v1/auth/register", person | {"name": name}), 201)
        day[name] = sign_in(platform, person)
    assert good(platform.call("GET", "/v1/portfolio", token=day["asha"]))["holdings"] == {"INFY": 10}
    refused(platform.call("GET", "/v1/portfolio"), 401, "authentication_required")
    refused(platform.call("GET", "/v1/portfolio", token=day["asha"][:-6] + "AAAAAA"), 401, "invalid_token")


def test_09_05_a_program_gets_a_key_that_may_read_alone(platform, day):
    wanted = {"name": "report", "scopes": ["portfolio:read"]}
    day["key"] = good(platform.call("POST", "/v1/api-keys", wanted, token=day["asha"]), 201)["api_key"]
    assert good(platform.call("GET", "/v1/portfolio", key=day["key"]))
    refused(platform.call("GET", "/v1/portfolio", key=day["key"], token=day["asha"]), 400, "bad_request")
    refused(platform.call("GET", "/v1/alerts", key=day["key"]), 403, "forbidden")
    change = platform.call("PUT", "/v1/portfolio", {"symbol": "TCS", "quantity": 1}, token=day["asha"])
    challenge = refused(change, 403, "forbidden")
    assert 'scope="portfolio:change"' in challenge
    refused(platform.call("GET", "/v1/portfolio/everybody", token=day["asha"]), 403, "forbidden")


def test_09_10_nobody_gets_around_the_edge(platform, day):
    if not platform.with_edge:
        pytest.skip("there is none")
    direct = platform.services["portfolio"] + "/v1/portfolio"
    made_up = {"x-user-id": "usr_1", "x-user-roles": "admin", "x-auth-method": "jwt"}
    for headers in [{}, made_up, {"authorization": f"Bearer {day['asha']}"}]:
        refused(httpx.get(direct, headers=headers), 403, "edge_required")
    lies = good(platform.call("GET", "/v1/portfolio", token=day["asha"], headers=made_up))
    assert lies["owner"] != "usr_1"


def made(key, service, target, nonce):
    """Headers that say that the edge forwards a request of an administrator, by whoever has this key."""
    identity = {"x-user-id": "usr_1", "x-user-roles": "admin", "x-auth-method": "jwt"}
    number, _, secret = key.partition(":")
    mark = [number, str(int(time.time())), nonce]
    lines = ["portcullis-edge-v2", *mark, service, "GET", target, *(identity.get(name, "") for name in SIGNED)]
    mac = hmac.new(base64.urlsafe_b64decode(secret + "=="), "\n".join(lines).encode(), hashlib.sha256).hexdigest()
    return identity | {"x-edge-proof": "v2;k={};t={};n={};".format(*mark) + mac}


def test_09_12_a_service_forges_requests_to_itself_at_most_and_nothing_counts_twice(platform):
    if not platform.with_edge:
        pytest.skip("there is none")
    own, another = platform.proof_key("portfolio"), platform.proof_key("market")
    assert own != another

    def send(key, name, service, target, nonce="n-1"):
        return httpx.get(platform.services[name] + target, headers=made(key, service, target, nonce))

    refused(send(own, "ticker", "market", "/v1/market/source"), 403, "edge_required")
    refused(send(another, "portfolio", "portfolio", "/v1/portfolio"), 403, "edge_required")
    next_one = platform.proof_key("portfolio", "--id", "2")
    refused(send(next_one, "portfolio", "portfolio", "/v1/portfolio"), 403, "edge_required")
    headers = made(own, "portfolio", "/v1/portfolio", "n-2")
    asked = [httpx.get(platform.services["portfolio"] + "/v1/portfolio", headers=headers) for _ in range(2)]
    assert good(asked[0])["owner"] == "usr_1"
    refused(asked[1], 403, "edge_required")
    assert good(send(own, "portfolio", "portfolio", "/v1/portfolio", "n-3"))["owner"] == "usr_1"


def test_09_15_the_ticker_needs_a_login_at_the_broker(platform, day):
    day["account"] = good(platform.call("POST", "/v1/trading-accounts", KITE, token=day["asha"]), 201)["account_id"]
    good(platform.call("POST", f"/v1/market/subscriptions/{day['account']}", token=day["asha"]), 201)
    with prices(platform, day["asha"]) as websocket:
        assert receive(websocket) == {"stopped": "login_needed"}
        assert close_of(websocket) == 4409


def test_09_20_the_login_and_the_first_price(platform, day):
    login = good(platform.call("POST", f"/v1/trading-accounts/{day['account']}/verify", token=day["asha"]))["login_url"]
    back = httpx.URL(httpx.get(login).headers["location"])
    body = {"request_token": back.params["request_token"]}
    begun = platform.call("POST", f"/v1/trading-accounts/{day['account']}/session", body, token=day["asha"])
    assert good(begun)["status"] == "active"
    with prices(platform, day["asha"]) as websocket:
        assert receive(websocket) == {"symbol": "INFY", "source": "kite"}
    assert good(platform.call("GET", "/v1/market/source", token=day["asha"]))["recommended"] == "kite"
    trail = good(platform.call("GET", "/v1/audit", token=day["asha"]))["items"]
    assert ("ticker", "market-stream") in {(event["service"], event["purpose"]) for event in trail}


def test_09_25_mallory_gets_nothing_of_hers(platform, day):
    assert platform.call("POST", f"/v1/market/subscriptions/{day['account']}", token=day["mallory"]).status_code == 404
    rule = {"symbol": "INFY", "above": 1500, "account_id": day["account"]}
    assert platform.call("POST", "/v1/alerts", rule, token=day["mallory"]).status_code == 404
    with prices(platform, day["mallory"]) as websocket:
        assert close_of(websocket) == 4404


def test_10_00_alerts_see_the_session_of_the_day_alone(platform, day):
    rule = {"symbol": "INFY", "above": 1500, "account_id": day["account"]}
    good(platform.call("POST", "/v1/alerts", rule, token=day["asha"]), 201)
    assert good(platform.call("POST", "/v1/alerts/fire", token=day["asha"])) == {
        "INFY": "watched with a session of kite"
    }
    trail = good(platform.call("GET", "/v1/audit", token=day["asha"]))["items"]
    assert ("alerts", "alerts") in {(event["service"], event["purpose"]) for event in trail}


def test_11_00_the_broker_goes_down_and_another_one_is_recommended(platform, day):
    platform.control(mode="down")
    with prices(platform, day["asha"]) as websocket:
        for _ in range(20):
            assert receive(websocket) == {"error": "503"}
    platform.control(mode="ok")
    found = good(platform.call("GET", "/v1/market/source", token=day["asha"]))
    assert found["recommended"] == "alpaca" and found["health"]["kite"] != "healthy"


def test_12_00_asha_freezes_everything_with_one_request(platform, day):
    with prices(platform, day["asha"]) as websocket:
        assert "symbol" in receive(websocket)
        good(platform.call("POST", "/v1/trading-accounts/freeze", {"password": ASHA["password"]}, token=day["asha"]))
        assert close_of(websocket) == 4403, "a stream under way stops with the next reading"
    with prices(platform, day["asha"]) as websocket:
        assert receive(websocket) == {"stopped": "frozen"}
    assert good(platform.call("POST", "/v1/alerts/fire", token=day["asha"])) == {"INFY": "stopped: trading is frozen"}
    good(platform.call("POST", "/v1/trading-accounts/unfreeze", {"password": ASHA["password"]}, token=day["asha"]))
    assert good(platform.call("POST", "/v1/alerts/fire", token=day["asha"])) == {
        "INFY": "waits for a login at the broker"
    }


def test_15_30_a_sign_out_ends_what_is_open_and_what_comes(platform, day):
    login = good(platform.call("POST", f"/v1/trading-accounts/{day['account']}/verify", token=day["asha"]))["login_url"]
    body = {"request_token": httpx.URL(httpx.get(login).headers["location"]).params["request_token"]}
    good(platform.call("POST", f"/v1/trading-accounts/{day['account']}/session", body, token=day["asha"]))
    evening = sign_in(platform, ASHA)
    with prices(platform, evening) as websocket:
        assert "symbol" in receive(websocket)
        good(platform.call("POST", "/v1/auth/logout", {}, token=evening))
        assert close_of(websocket) == 4401
    path = "/v1/portfolio"
    for _ in range(10_000):
        response = platform.call("GET", path, token=evening)
        if response.status_code != 200:
            break
    refused(response, 401, "session_revoked")
    assert good(platform.call("GET", path, token=day["asha"])), "her other session goes on"
    if platform.with_edge:
        with pytest.raises(InvalidStatus), prices(platform, evening):
            pass
    else:
        with prices(platform, evening) as websocket:
            assert close_of(websocket) == 4401
