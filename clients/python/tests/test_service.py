"""The client of services: what is sent, what is sent again, and which error stands for which answer."""

import json
import pathlib
from dataclasses import fields

import httpx
import pytest
from portcullis import (
    CANCEL_ORDERS,
    AccountDisabled,
    AccountStatus,
    AlreadyRedeemed,
    ApiError,
    Approval,
    ApprovalOver,
    ApprovalPending,
    BrokerCredentials,
    Decision,
    DetailsMismatch,
    FreezeState,
    Frozen,
    InvalidRequest,
    NotAllowed,
    NotFound,
    NothingToCancel,
    ProviderDecision,
    ProviderHealth,
    ReauthorisationNeeded,
    Redemption,
    Retries,
    ServiceClient,
    ServiceTokenRejected,
    ServiceUnavailable,
    Throttled,
    errors,
)

from issuer import SERVICE_TOKEN

ROOT = pathlib.Path(__file__).resolve().parents[3]
ACCOUNT = "acc_" + "1" * 32
CREDENTIALS = {
    "account_id": ACCOUNT,
    "broker": "kite",
    "user_id_broker": "AB1234",
    "api_key": "kitekey",
    "api_secret": "kitesecret",
    "access_token": "kitesession",
}


class Script:
    """Answers with these, one after the other, and keeps what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)  # Read by one alone.

    @property
    def transport(self):
        return httpx.MockTransport(self)


def problem(status, code, retry_after=None, **more):
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    body = {"status": status, "code": code, "detail": "Because.", "request_id": "r-1"} | more
    return httpx.Response(status, json=body, headers=headers)


def read(client):
    return client.credentials(ACCOUNT, purpose="market-stream", request_id="ticker-42")


def test_credentials_are_asked_for_with_purpose_and_request_id(service_client_of):
    script = Script(httpx.Response(200, json=CREDENTIALS))
    found = read(service_client_of(script.transport))
    [request] = script.asked
    assert request.url.path == f"/v1/internal/trading-accounts/{ACCOUNT}/credentials"
    assert request.headers["x-service-token"] == SERVICE_TOKEN and request.headers["x-request-id"] == "ticker-42"
    assert json.loads(request.content) == {"purpose": "market-stream"}
    assert (found.api_key.open(), found.api_secret.open(), found.session().open()) == (
        "kitekey",
        "kitesecret",
        "kitesession",
    )


def test_the_state_of_a_freeze_is_asked_for_with_the_token_of_the_service(service_client_of):
    frozen = {
        "status": "frozen",
        "frozen_at": "2026-11-30T09:00:00Z",
        "frozen_by": "admin",
        "until": None,
        "cancel_until": "2026-11-30T09:00:20Z",
        "freezes": [],
    }
    script = Script(httpx.Response(200, json=frozen), httpx.Response(200, json={"status": "active"}))
    client = service_client_of(script.transport)
    state = client.freeze_state(ACCOUNT)
    assert (state.is_frozen, state.frozen_by, state.cancel_until) == (True, "admin", "2026-11-30T09:00:20Z")
    assert client.freeze_state(ACCOUNT) == FreezeState(is_frozen=False)
    [request, _] = script.asked
    assert (request.method, request.url.path) == ("GET", f"/v1/internal/trading-accounts/{ACCOUNT}/freeze")
    assert request.headers["x-service-token"] == SERVICE_TOKEN and request.content == b""
    for body in ({"status": None}, {}, []):
        with pytest.raises(ServiceUnavailable):
            service_client_of(Script(httpx.Response(200, json=body)).transport).freeze_state(ACCOUNT)
    # A state that comes later than this package stops trading.
    paused = Script(httpx.Response(200, json={"status": "paused"}))
    assert service_client_of(paused.transport).freeze_state(ACCOUNT).is_frozen


def test_a_service_that_cancels_reads_the_session_and_says_what_became_of_the_orders(service_client_of):
    session = {name: value for name, value in CREDENTIALS.items() if name != "api_secret"}
    lost = httpx.ReadError("the answer was lost")
    ended = {"account_id": ACCOUNT, "session": "ended"}
    script = Script(httpx.Response(200, json=session), lost, httpx.Response(200, json=ended))
    client = service_client_of(script.transport)
    assert client.credentials(ACCOUNT, purpose=CANCEL_ORDERS).session().open() == "kitesession"
    assert client.acknowledge_freeze(ACCOUNT, cancelled=12, failed=1) == "ended"
    [read_, first, again] = script.asked
    assert json.loads(read_.content) == {"purpose": "cancel-orders"}
    assert first.url.path == f"/v1/internal/trading-accounts/{ACCOUNT}/freeze/ack"
    assert json.loads(first.content) == json.loads(again.content) == {"cancelled": 12, "failed": 1}
    script = Script(problem(409, "nothing_to_cancel"))
    with pytest.raises(NothingToCancel):
        service_client_of(script.transport).acknowledge_freeze(ACCOUNT, cancelled=0)


def test_a_service_that_may_read_sessions_alone(service_client_of):
    without = {name: value for name, value in CREDENTIALS.items() if name not in {"api_secret", "access_token"}}
    script = Script(httpx.Response(200, json=without))
    found = read(service_client_of(script.transport))
    assert found.api_secret is None
    with pytest.raises(ReauthorisationNeeded):
        found.session()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "credentials_frozen", Frozen),
        (403, "forbidden", NotAllowed),
        (401, "invalid_service_token", ServiceTokenRejected),
        (409, "no_broker_session", ReauthorisationNeeded),
        (409, "credential_unavailable", ReauthorisationNeeded),
        (409, "trading_account_disabled", AccountDisabled),
        (409, "approval_pending", ApprovalPending),
        (409, "approval_over", ApprovalOver),
        (409, "already_redeemed", AlreadyRedeemed),
        (409, "details_mismatch", DetailsMismatch),
        (404, "not_found", NotFound),
        (422, "validation_failed", InvalidRequest),
        (418, "something_new", ApiError),
        (500, "internal_error", ServiceUnavailable),
        (302, "redirect", ApiError),
    ],
)
def test_each_code_has_its_error_and_is_not_tried_again(service_client_of, clock, status, code, kind):
    script = Script(problem(status, code, errors=[{"pointer": "/purpose", "detail": "must be a word"}]))
    with pytest.raises(kind) as caught:
        read(service_client_of(script.transport))
    assert (caught.value.status, caught.value.code, caught.value.request_id) == (status, code, "r-1")
    assert len(script.asked) == 1 and clock.passed == 0
    assert SERVICE_TOKEN not in str(caught.value)
    if kind is InvalidRequest:
        assert caught.value.errors[0]["pointer"] == "/purpose"


DOCUMENT = json.loads((ROOT / "functions/openapi.json").read_text())
# Answers to people about their own sign-in, profile and keys: no service meets them.
OF_PEOPLE = {
    "broker_refused", "broker_unavailable", "broker_without_sessions", "deadline_exceeded", "email_not_verified",
    "approval_decided", "insufficient_user_authentication", "last_factor", "passkeys_unavailable", "too_many_passkeys",
    "email_taken", "idempotency_key_reused", "internal_error", "invalid_api_key", "invalid_code", "invalid_credentials",
    "invalid_mail_token", "invalid_refresh_token", "invalid_session_token", "invalid_token", "last_admin",
    "method_not_allowed", "mfa_not_set_up", "origin_not_allowed", "password_expired", "payload_too_large",
    "proof_of_work_required", "request_timeout", "session_revoked", "too_many_api_keys", "too_many_trading_accounts",
    "unavailable", "unsupported_media_type", "username_taken", "weak_password",
}  # fmt: skip


def test_every_code_of_the_api_was_looked_at():
    codes = set(DOCUMENT["components"]["schemas"]["Code"]["enum"])
    assert codes == OF_PEOPLE | set(errors._BY_CODE), (
        "give a new code an error of its own, or say that no service meets it"
    )


def test_the_answers_that_are_read_are_those_of_the_document():
    for name, kind in [
        ("CredentialsResponse", BrokerCredentials),
        ("CredentialVerificationResponse", AccountStatus),
        ("RequestedApproval", Approval),
        ("RedemptionResponse", Redemption),
    ]:
        assert set(DOCUMENT["components"]["schemas"][name]["properties"]) == {field.name for field in fields(kind)}
    health = {field.name for field in fields(ProviderHealth)} | {"last_check", "history"}
    assert set(DOCUMENT["components"]["schemas"]["ProviderHealthResponse"]["properties"]) == health
    assert set(DOCUMENT["components"]["schemas"]["Decision"]["enum"]) == {decision.value for decision in Decision}


def test_a_reading_is_tried_again_after_a_lost_answer_with_the_same_request_id(service_client_of, clock):
    script = Script(httpx.ReadTimeout("lost"), problem(503, "unavailable"), httpx.Response(200, json=CREDENTIALS))
    assert read(service_client_of(script.transport))
    assert {request.headers["x-request-id"] for request in script.asked} == {"ticker-42"}
    assert 0 < clock.passed < 2


def test_retry_after_is_honoured(service_client_of, clock):
    script = Script(problem(429, "too_many_attempts", 4), httpx.Response(200, json=CREDENTIALS))
    assert read(service_client_of(script.transport))
    assert clock.passed == 4


def test_nobody_waits_for_longer_than_allowed(service_client_of, clock):
    script = Script(problem(429, "too_many_attempts", 900))
    with pytest.raises(Throttled) as caught:
        read(service_client_of(script.transport))
    assert caught.value.retry_after == 900 and clock.passed == 0
    script = Script(*[problem(503, "unavailable", 3) for _ in range(9)])
    with pytest.raises(ServiceUnavailable):
        read(service_client_of(script.transport, retries=Retries(attempts=9, most_wait=7)))
    assert clock.passed == 6 and len(script.asked) == 3


def test_attempts_are_counted(service_client_of):
    script = Script(*[httpx.ConnectError("no")] * 9)
    with pytest.raises(ServiceUnavailable, match="did not respond"):
        read(service_client_of(script.transport, retries=Retries(attempts=4)))
    assert len(script.asked) == 4


def report(client):
    return client.report_outcome("kite", ok=False, response_time_ms=45.2, error="timeout")


def test_an_outcome_is_reported(service_client_of):
    script = Script(httpx.Response(202))
    assert report(service_client_of(script.transport)) is None
    assert script.asked[0].url.path == "/v1/internal/providers/kite/outcomes"
    assert json.loads(script.asked[0].content) == {"ok": False, "response_time_ms": 45.2, "error": "timeout"}


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("lost"), httpx.RemoteProtocolError("cut"), httpx.Response(500),
                                    httpx.Response(502), problem(503, "deadline_exceeded")])  # fmt: skip
def test_an_outcome_that_may_have_counted_is_not_counted_twice(service_client_of, answer):
    script = Script(answer, httpx.Response(202))
    with pytest.raises(ServiceUnavailable):
        report(service_client_of(script.transport))
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "answer", [httpx.ConnectError("no"), problem(503, "unavailable"), problem(429, "too_many_attempts", 1)]
)
def test_an_outcome_that_did_not_count_is_sent_again(service_client_of, answer):
    script = Script(answer, httpx.Response(202))
    report(service_client_of(script.transport))
    assert len(script.asked) == 2


def test_what_a_login_led_back_with_is_sent_with_its_state(service_client_of):
    script = Script(httpx.Response(200, json={"status": "active", "checked_at": "2026-11-30T09:00:00Z"}))
    client = service_client_of(script.transport)
    client.begin_broker_session(ACCOUNT, request_token="code", access_token="at", state=f"{ACCOUNT}.1.mac")
    assert json.loads(script.asked[0].content) == {"request_token": "code", "state": f"{ACCOUNT}.1.mac"}


def test_a_service_knows_where_orders_are_sent_from(service_client_of):
    at = ["203.0.113.7", "2001:db8::7"]
    script = Script(httpx.Response(200, json=CREDENTIALS | {"order_ips": at}), httpx.Response(200, json=CREDENTIALS))
    client = service_client_of(script.transport)
    assert client.credentials(ACCOUNT, purpose="orders").order_ips == tuple(at)
    # A service of a version before says nothing of it.
    assert client.credentials(ACCOUNT, purpose="orders").order_ips == ()
    for wrong in ("203.0.113.7", [7]):
        with pytest.raises(ServiceUnavailable):
            script = Script(httpx.Response(200, json=CREDENTIALS | {"order_ips": wrong}))
            service_client_of(script.transport).credentials(ACCOUNT, purpose="orders")


def test_a_postback_is_checked_without_the_secret(service_client_of):
    lost = httpx.ReadError("the answer was lost")
    script = Script(lost, httpx.Response(200, json={"valid": True}))
    postback = {"order_id": "220303000308932", "order_timestamp": "2022-03-03 09:24:25", "checksum": "a0" * 32}
    assert service_client_of(script.transport).verify_postback(ACCOUNT, **postback) is True
    [first, again] = script.asked
    assert first.url.path == f"/v1/internal/trading-accounts/{ACCOUNT}/postbacks/verify"
    assert json.loads(first.content) == json.loads(again.content) == postback
    for body in ({"valid": "true"}, {}, []):
        with pytest.raises(ServiceUnavailable):
            script = Script(httpx.Response(200, json=body))
            service_client_of(script.transport).verify_postback(ACCOUNT, **postback)


def test_a_request_token_is_not_shown_to_the_service_twice(service_client_of):
    script = Script(httpx.ReadTimeout("lost"))
    with pytest.raises(ServiceUnavailable):
        service_client_of(script.transport).begin_broker_session(ACCOUNT, request_token="rt", access_token="at")
    assert len(script.asked) == 1 and script.asked[0].headers["authorization"] == "Bearer at"


def test_what_a_person_may(service_client_of):
    script = Script(
        httpx.Response(200, json={"allowed": True, "reason": "granted"}),
        httpx.Response(200, json={"allowed": False, "reason": "outside_scopes"}),
        httpx.Response(200, json={"allowed": False, "reason": "a word of the future"}),
        httpx.Response(200, json={"allowed": "yes", "reason": "granted"}),
    )
    client = service_client_of(script.transport)
    assert client.check("trading:place", access_token="at") is Decision.GRANTED
    assert client.check_api_key("trading:place", api_key="key") is Decision.OUTSIDE_SCOPES
    assert "authorization" not in script.asked[1].headers and script.asked[1].headers["x-api-key"] == "key"
    assert client.check("trading:place", access_token="at") is Decision.NOT_GRANTED_BY_ROLES
    with pytest.raises(ServiceUnavailable):
        client.check("trading:place", access_token="at")


def test_an_order_may_need_an_approval(service_client_of):
    script = Script(*[httpx.Response(200, json={"allowed": False, "reason": "approval_required"})] * 2)
    client = service_client_of(script.transport)
    order = {"service": "execution", "notional": "15005"}
    assert client.check("trading:order", access_token="at", **order) is Decision.APPROVAL_REQUIRED
    assert client.check_api_key("trading:order", api_key="key") is Decision.APPROVAL_REQUIRED
    asked = [json.loads(request.content) for request in script.asked]
    assert asked == [{"permission": "trading:order"} | order, {"permission": "trading:order"}]


def test_what_a_person_may_with_a_provider(service_client_of):
    refused = {"allowed": False, "reason": "provider_unavailable", "provider_status": "degraded", "fallback": "alpaca"}
    script = Script(
        httpx.Response(200, json=refused),
        httpx.Response(200, json={"allowed": True, "reason": "granted", "provider_status": "healthy"}),
    )
    client = service_client_of(script.transport)
    found = client.check_with_provider("trading:order", "kite", "alpaca", access_token="at")
    assert found == ProviderDecision(Decision.PROVIDER_UNAVAILABLE, "degraded", "alpaca")
    asked = json.loads(script.asked[0].content)
    assert asked == {"permission": "trading:order", "provider": "kite", "fallbacks": ["alpaca"]}
    found = client.check_api_key_with_provider("trading:order", "alpaca", api_key="key")
    assert found == ProviderDecision(Decision.GRANTED, "healthy", None)
    assert "authorization" not in script.asked[1].headers and script.asked[1].headers["x-api-key"] == "key"


def test_whom_to_ask_first(service_client_of):
    health = {"name": "alpaca", "status": "healthy", "consecutive_failures": 0, "response_time_ms": None}
    script = Script(httpx.Response(200, json={"recommended": "alpaca", "chain": [health]}))
    found = service_client_of(script.transport).fallback("kite", "alpaca", "alpaca-paper", access_token="at")
    assert dict(script.asked[0].url.params) == {"primary": "kite", "fallbacks": "alpaca,alpaca-paper"}
    assert found.recommended == found.chain[0].name == "alpaca"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"account_id":1}', b'{"a":1,"a":2}'])
def test_an_answer_that_is_none(service_client_of, body):
    with pytest.raises(ServiceUnavailable):
        read(service_client_of(Script(httpx.Response(200, content=body)).transport))


@pytest.mark.parametrize("purpose", ["", "Two words", "x" * 65, "é", "a\n"])
def test_purposes_that_are_none(service_client_of, purpose):
    with pytest.raises(ValueError, match="purpose"):
        service_client_of(Script().transport).credentials(ACCOUNT, purpose=purpose)


def test_an_id_cannot_lead_elsewhere(service_client_of):
    script = Script(problem(404, "not_found"))
    with pytest.raises(NotFound):
        service_client_of(script.transport).credentials("../../admin?x=", purpose="p")
    assert script.asked[0].url.raw_path == b"/v1/internal/trading-accounts/..%2F..%2Fadmin%3Fx%3D/credentials"


def test_whose_account_it_is(service_client_of):
    one = {
        "account_id": ACCOUNT,
        "broker": "kite",
        "user_id_broker": "AB1234",
        "status": "active",
        "label": None,
        "new": 1,
    }
    script = Script(httpx.Response(200, json=[one]), httpx.Response(200, json={"items": []}))
    client = service_client_of(script.transport)
    [found] = client.trading_accounts(access_token="at")
    assert (found.account_id, found.status, script.asked[0].headers["authorization"]) == (
        ACCOUNT,
        "active",
        "Bearer at",
    )
    with pytest.raises(ServiceUnavailable):
        client.trading_accounts(access_token="at")


def test_a_redirect_takes_no_token_elsewhere(clock):
    """Not even with a client that follows them."""
    script = Script(
        httpx.Response(307, headers={"location": "http://evil.test/"}), httpx.Response(200, json=CREDENTIALS)
    )
    with httpx.Client(transport=script.transport, follow_redirects=True) as http:
        with pytest.raises(ApiError):
            read(ServiceClient("http://identity.test", SERVICE_TOKEN, client=http, sleep=clock.sleep))
    assert [request.url.host for request in script.asked] == ["identity.test"]
