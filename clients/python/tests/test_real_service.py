"""The package beside the real service: `target/debug/portcullis` on a free port, with a folder of its own.

Nothing here sleeps: where the feed has to be asked again, the test moves the clock of the verifier.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

import httpx
import pytest
from portcullis import (
    ApiKey,
    ApiKeyRejected,
    AsyncServiceClient,
    AsyncVerifier,
    Decision,
    Frozen,
    InvalidRequest,
    NotAllowed,
    NotFound,
    ReauthorisationNeeded,
    Revocations,
    Secret,
    ServiceClient,
    ServiceTokenRejected,
    SessionRevoked,
    Verifier,
)

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("PORTCULLIS", ROOT / "target/debug/portcullis"))
ASHA = {"email": "asha@example.com", "password": "copper lantern drifts upstream"}
KITE = {
    "broker": "kite",
    "user_id_broker": "AB1234",
    "api_key": "kitekeyofasha9f3c",
    "api_secret": "kitesecretofasha-hunter2",
}
SERVICES = {
    "edge": ["api-key:verify", "revocation:read"],
    "ticker": {"rights": ["provider:report"], "credentials": {"brokers": ["kite"], "kind": "long_lived"}},
    "alerts": {"credentials": {"brokers": ["kite"], "kind": "session", "purpose_required": True}},
}
TOKENS = {name: f"svc_{name}_" + "t" * 40 for name in SERVICES}


class ShiftedClock:
    """The clock of the machine for tokens; ages pass when a test says so."""

    def __init__(self):
        self.ahead = 0.0

    def now(self):
        return time.time()

    def elapsed(self):
        return time.monotonic() + self.ahead


@pytest.fixture(scope="module")
def broker():
    fake = subprocess.Popen([sys.executable, ROOT / "tests/brokers/fake.py"], stdout=subprocess.PIPE, text=True)
    yield fake.stdout.readline().strip()
    fake.terminate()
    fake.communicate()


@pytest.fixture(scope="module", params=["RS256", "ES256", "EdDSA"])
def algorithm(request):
    return request.param


@pytest.fixture(scope="module")
def service(tmp_path_factory, broker, algorithm):
    if not BINARY.exists():
        pytest.fail(f"{BINARY} is missing: cargo build --workspace --all-targets --all-features")
    variables = {
        "DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "LISTEN_ADDR": "127.0.0.1:0",
        "RUST_LOG": "error",
        "KITE_API_URL": broker,
        "KITE_LOGIN_URL": f"{broker}/connect/login",
        "ALPACA_API_URL": broker,
        "SERVICES": json.dumps(SERVICES),
        "SERVICE_TOKENS": json.dumps(TOKENS),
        "TOKEN_SIGNING_ALGORITHM": algorithm,
        "ARGON2_MEMORY_KIB": "64",
    }
    process = subprocess.Popen([BINARY], env=dict(os.environ, **variables), stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("Portcullis listens on "):
            break
    else:
        pytest.fail("the service did not start")
    person = Person(line.split()[-1])
    yield person
    person.http.close()
    process.terminate()
    process.communicate()


class Person:
    """Asha, who signs up and uses the API herself."""

    def __init__(self, url):
        self.url = url
        self.http = httpx.Client(base_url=url)
        self.post("/v1/auth/register", ASHA | {"name": "Asha"})

    def post(self, path, body=None, token=None):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        answer = self.http.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def sign_in(self):
        return self.post("/v1/auth/login", ASHA | {"token_delivery": "body"})["access_token"]

    def sign_out(self, token):
        self.post("/v1/auth/logout", {}, token)


@pytest.fixture
def moved():
    return ShiftedClock()


@pytest.fixture
def verifier(service, algorithm, moved):
    verifier = Verifier(
        url=service.url,
        algorithms=[algorithm],
        service_token=TOKENS["edge"],
        revocations=Revocations(fail_closed=True),
        clock=moved,
    )
    yield verifier
    verifier.close()


def test_a_sign_in_is_believed_and_a_sign_out_too(service, verifier, moved):
    token, other = service.sign_in(), service.sign_in()
    claims = verifier.verify(token)
    assert claims.email == ASHA["email"] and claims.amr == ("pwd",) and claims.roles == ("user",)
    service.sign_out(token)
    moved.ahead += 5
    with pytest.raises(SessionRevoked):
        verifier.verify(token)
    with pytest.raises(SessionRevoked):
        verifier.check_again(claims)
    assert verifier.verify(other)


def test_ended_from_everywhere_but_here(service, verifier, moved):
    here, there = service.sign_in(), service.sign_in()
    assert verifier.verify(here) and verifier.verify(there)
    assert service.http.delete("/v1/sessions", headers={"authorization": f"Bearer {here}"}).status_code == 204
    moved.ahead += 5
    with pytest.raises(SessionRevoked):
        verifier.verify(there)
    assert verifier.verify(here) and verifier.verify(service.sign_in())


def test_a_verifier_that_starts_later_knows_it_as_well(service, algorithm):
    token = service.sign_in()
    service.sign_out(token)
    late = Verifier(
        url=service.url, algorithms=[algorithm], service_token=TOKENS["edge"], revocations=Revocations(fail_closed=True)
    )
    with pytest.raises(SessionRevoked):
        late.verify(token)
    late.close()


def test_the_same_with_asyncio(service, algorithm, loop):
    async def story():
        verifier = AsyncVerifier(
            url=service.url,
            algorithms=[algorithm],
            service_token=TOKENS["edge"],
            revocations=Revocations(fail_closed=True),
        )
        token = service.sign_in()
        assert (await verifier.verify(token)).email == ASHA["email"]
        await verifier.close()
        async with AsyncServiceClient(service.url) as client:
            return await client.check("market:read", access_token=token)

    assert loop.run_until_complete(story()) is Decision.GRANTED


def test_an_api_key_narrows_its_owner(service, verifier, moved):
    made = service.post("/v1/api-keys", {"name": "rebalancing", "scopes": ["market:read"]}, service.sign_in())
    key = ApiKey(Secret(made["api_key"]))
    caller = verifier.authenticate(key)
    assert [str(scope) for scope in caller.scopes] == ["market:read"]
    with ServiceClient(service.url) as client:
        assert client.check_api_key("market:read", api_key=made["api_key"]) is Decision.GRANTED
        assert client.check_api_key("portfolio:read", api_key=made["api_key"]) is Decision.OUTSIDE_SCOPES
    token = service.sign_in()
    deleted = service.http.delete(f"/v1/api-keys/{made['key_id']}", headers={"authorization": f"Bearer {token}"})
    assert deleted.status_code == 204
    moved.ahead += 31
    with pytest.raises(ApiKeyRejected):
        verifier.authenticate(key)


def test_a_service_without_the_right_learns_nothing(service, algorithm):
    verifier = Verifier(
        url=service.url,
        algorithms=[algorithm],
        service_token=TOKENS["ticker"],
        revocations=Revocations(fail_closed=True),
    )
    with pytest.raises(Exception, match="not known at the moment"):
        verifier.verify(service.sign_in())
    verifier.close()


@pytest.fixture(scope="module")
def account(service):
    return service.post("/v1/trading-accounts", KITE, service.sign_in())["account_id"]


def log_in_at_broker(broker, client, account, token):
    login = client.verify_account(account, access_token=token)
    assert login.status == "pending" and KITE["api_key"] not in repr(login)
    back = httpx.get(f"{broker}/connect/login?{login.login_url.open().partition('?')[2]}").headers["location"]
    request_token = httpx.URL(back).params["request_token"]
    return client.begin_broker_session(account, request_token=request_token, access_token=token)


def test_broker_credentials_from_linking_to_freezing(service, broker, account):
    token = service.sign_in()
    with ServiceClient(service.url, TOKENS["ticker"]) as ticker, ServiceClient(service.url, TOKENS["alerts"]) as alerts:
        found = ticker.credentials(account, purpose="market-stream", request_id="ticker-42")
        assert found.api_secret.open() == KITE["api_secret"] and KITE["api_secret"] not in repr(found)
        with pytest.raises(ReauthorisationNeeded):
            found.session()
        with pytest.raises(ReauthorisationNeeded):
            alerts.credentials(account, purpose="alerts").session()
        assert account in {one.account_id for one in ticker.trading_accounts(access_token=token)}
        assert log_in_at_broker(broker, ticker, account, token).status == "active"
        assert (
            alerts.credentials(account, purpose="alerts").session()
            == ticker.credentials(account, purpose="p").session()
        )
        assert alerts.credentials(account, purpose="alerts").api_secret is None
        service.post("/v1/trading-accounts/freeze", {"password": ASHA["password"]}, token)
        for client in (ticker, alerts):
            with pytest.raises(Frozen):
                client.credentials(account, purpose="market-stream")
        service.post("/v1/trading-accounts/unfreeze", {"password": ASHA["password"]}, token)
    trail = service.http.get("/v1/audit", headers={"authorization": f"Bearer {token}"}).json()["items"]
    readings = [(event["service"], event["purpose"]) for event in trail if event["type"] == "credentials_read"]
    assert ("ticker", "market-stream") in readings and ("alerts", "alerts") in readings


def test_each_refusal_is_an_error_of_its_own(service, account):
    with ServiceClient(service.url, TOKENS["edge"]) as edge, pytest.raises(NotAllowed):
        edge.credentials(account, purpose="p")
    with ServiceClient(service.url, TOKENS["ticker"]) as ticker, pytest.raises(NotFound):
        ticker.credentials("acc_" + "0" * 32, purpose="p")
    with ServiceClient(service.url, "svc_" + "x" * 40) as nobody, pytest.raises(ServiceTokenRejected):
        nobody.credentials(account, purpose="p")
    with ServiceClient(service.url) as client, pytest.raises(InvalidRequest):
        client.check("everything", access_token=service.sign_in())


def test_outcomes_lead_to_a_fallback(service):
    token = service.sign_in()
    with ServiceClient(service.url, TOKENS["ticker"]) as ticker:
        assert ticker.fallback("kite", "alpaca", access_token=token).recommended == "kite"
        for _ in range(20):
            ticker.report_outcome("kite", ok=False, error="timeout", response_time_ms=5000.5)
            ticker.report_outcome("alpaca", ok=True, response_time_ms=20)
        found = ticker.fallback("kite", "alpaca", access_token=token)
        assert found.recommended == "alpaca" and [one.name for one in found.chain] == ["alpaca", "kite"]
        assert found.chain[1].status != "healthy"
        with pytest.raises(NotFound):
            ticker.report_outcome("nobody", ok=True)
