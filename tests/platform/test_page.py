"""The page of the sample platform in a real browser: sign-in, holdings, prices, a freeze, and two tabs that agree."""

import json
import os
import subprocess

import httpx
import pytest
from conftest import PREFIXES, ROOT, TARGET

RAVI = {"email": "ravi@example.com", "password": "gravel lantern sings eastward"}
KITE = {
    "broker": "kite",
    "user_id_broker": "AB1234",
    "api_key": "kitekeyofasha9f3c",
    "api_secret": "kitesecretofasha-hunter2",
}
TOOLS = TARGET / "browser-tools"


def good(response):
    assert response.is_success, response.text
    return response.json()


def link_and_log_in(platform):
    """Ravi has a trading account with a session of the day before he opens the page."""
    good(platform.call("POST", "/v1/auth/register", RAVI | {"name": "Ravi Iyer"}))
    token = good(platform.call("POST", "/v1/auth/login", RAVI | {"token_delivery": "body"}))["access_token"]
    account = good(platform.call("POST", "/v1/trading-accounts", KITE, token=token))["account_id"]
    login = good(platform.call("POST", f"/v1/trading-accounts/{account}/verify", token=token))["login_url"]
    body = {"request_token": httpx.URL(httpx.get(login).headers["location"]).params["request_token"]}
    good(platform.call("POST", f"/v1/trading-accounts/{account}/session", body, token=token))


def test_a_day_at_the_page(platform):
    if not (TOOLS / "node_modules/playwright-core").exists():
        (pytest.fail if "CI" in os.environ else pytest.skip)("no browser to drive: tests/browser/run --install")
    link_and_log_in(platform)
    direct = [(prefix, platform.services[name]) for name, (prefix, _) in PREFIXES.items()]
    targets = [("", platform.edge)] if platform.with_edge else [*direct, ("", platform.identity)]
    variables = {
        "BROWSER_TOOLS": str(TOOLS.resolve()),
        "CLIENT": str(ROOT / "clients/typescript"),
        "TARGETS": json.dumps(targets),
        "PORT": str(platform.page_port),
        "TOKEN_IN": "query" if platform.with_edge else "subprotocol",
        "NAME": RAVI["email"],
        "PASSWORD": RAVI["password"],
    }
    subprocess.run(["node", ROOT / "tests/platform/page.js"], env=os.environ | variables, check=True, timeout=180)
