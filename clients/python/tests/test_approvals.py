"""Approvals: what a service asks and redeems, and which tokens of approvals are believed."""

import json

import httpx
import pytest
from portcullis import Approval, ApprovalClaims, DetailsMismatch, NotFound, Rejection, ServiceUnavailable, TokenRejected
from portcullis.tokens import MAX_TOKEN_BYTES
from test_service import Script, problem

from issuer import AUDIENCE, ISSUER, START, USER, b64

ID = "apr_" + "7" * 32
ORDER = {
    "type": "order", "account_id": "acc_" + "1" * 32, "exchange": "NSE", "symbol": "INFY", "side": "buy",
    "quantity": "10", "order_type": "limit", "price": "1500.50",
}  # fmt: skip
PENDING = {
    "approval_id": ID, "status": "pending", "details_digest": "d" * 43, "display": "Buy 10 INFY.",
    "order_tag": "7" * 20, "expires_at": "2026-11-30T09:00:00Z",
}  # fmt: skip
REDEEMED = {
    "user_id": USER, "approved_at": "2026-11-30T09:00:00Z", "redeemed_at": "2026-11-30T09:00:01Z", "acr": "phr",
    "order_tag": "7" * 20,
}  # fmt: skip


def claims(**changed):
    said = {
        "iss": ISSUER, "aud": f"{AUDIENCE}/execution", "sub": USER, "jti": ID, "iat": int(START),
        "exp": int(START) + 120, "authorization_details": [ORDER], "details_digest": "d" * 43,
        "order_tag": "7" * 20, "acr": "phr", "auth_time": int(START),
    }  # fmt: skip
    return {name: value for name, value in (said | changed).items() if value is not None}


def token(issuer, said=None, typ="approval+jwt"):
    key = issuer.keys[-1]
    header = {"alg": key.algorithm, "kid": key.kid, "typ": typ}
    text = f"{b64(json.dumps(header))}.{b64(json.dumps(claims() if said is None else said))}"
    return f"{text}.{b64(key.sign(text.encode()))}"


def test_the_token_of_an_approval_says_what_was_approved(issuer, verifier_of):
    said = verifier_of().verify_approval(token(issuer))
    assert isinstance(said, ApprovalClaims)
    assert (said.jti, said.sub, said.acr) == (ID, USER, "phr")
    assert said.is_for(ORDER) and not said.is_for(ORDER | {"quantity": "11"})
    assert not said.is_for(ORDER | {"quantity": "10.0"}) and not said.is_for(ORDER | {"iceberg": "1"})


def test_it_is_no_access_token_and_an_access_token_is_none_of_it(issuer, verifier_of):
    verifier = verifier_of()
    for text, verify in [(token(issuer), verifier.verify), (issuer.token(), verifier.verify_approval)]:
        with pytest.raises(TokenRejected) as caught:
            verify(text)
        assert caught.value.reason is Rejection.WRONG_TYPE
    # Whatever its header says: the audience is another one, and so are the claims.
    with pytest.raises(TokenRejected):
        verifier.verify(token(issuer, typ="at+jwt"))


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": AUDIENCE}, {"iss": "somebody"}, {"exp": int(START) - 6}, {"iat": int(START) + 60}, {"exp": None},
        {"jti": None}, {"sub": 7}, {"authorization_details": []}, {"authorization_details": [ORDER, ORDER]},
        {"authorization_details": ORDER}, {"authorization_details": [ORDER | {"quantity": 10}]},
        {"authorization_details": [{"type": "payment"}]}, {"acr": None}, {"details_digest": ""},
    ],
)  # fmt: skip
def test_a_claim_that_is_not_as_expected_is_refused(issuer, verifier_of, changed):
    with pytest.raises(TokenRejected):
        verifier_of().verify_approval(token(issuer, claims(**changed)))


def test_a_token_of_somebody_elses_key_or_of_any_size_is_refused(issuer, verifier_of):
    good = token(issuer)
    for text in [good[:-8] + "AAAAAAAA", good + "x", "", "a.b.c", "x" * (MAX_TOKEN_BYTES + 1), "x" * 1_000_000]:
        with pytest.raises(TokenRejected):
            verifier_of().verify_approval(text)


def test_a_request_is_named_so_that_it_asks_once_however_often_it_is_sent(service_client_of):
    script = Script(httpx.ReadTimeout("lost"), problem(503, "unavailable"), httpx.Response(201, json=PENDING))
    client = service_client_of(script.transport)
    assert client.request_approval(USER, ORDER, expires_in=60) == Approval(**PENDING)
    [key] = {request.headers["idempotency-key"] for request in script.asked}
    assert len(key) == 32
    body = json.loads(script.asked[0].content)
    assert body == {"authorization_details": [ORDER], "user_id": USER, "expires_in": 60}


def test_a_redemption_is_named_too_and_a_mismatch_is_an_error(service_client_of):
    script = Script(httpx.ReadTimeout("lost"), httpx.Response(200, json=REDEEMED), problem(409, "details_mismatch"))
    client = service_client_of(script.transport)
    assert client.redeem_approval(ID, ORDER, idempotency_key="order-7").user_id == USER
    assert {request.headers["idempotency-key"] for request in script.asked} == {"order-7"}
    with pytest.raises(DetailsMismatch):
        client.redeem_approval(ID, ORDER | {"quantity": "11"})
    assert "user_id" not in json.loads(script.asked[-1].content)


def test_a_redemption_may_be_of_one_person_alone(service_client_of):
    script = Script(problem(404, "not_found"))
    with pytest.raises(NotFound):
        service_client_of(script.transport).redeem_approval(ID, ORDER, user_id=USER)
    assert json.loads(script.asked[0].content) == {"authorization_details": [ORDER], "user_id": USER}


def test_somebody_who_waits_is_told_when_it_is_decided_and_not_kept_for_longer_than_allowed(service_client_of, clock):
    def answers(count):
        return [httpx.Response(200, json=PENDING)] * count

    script = Script(*answers(3), httpx.Response(200, json=PENDING | {"status": "denied"}))
    client = service_client_of(script.transport)
    assert client.wait_for_approval(ID, every=2.0).status == "denied" and clock.passed == 6
    client = service_client_of(Script(*answers(4)).transport)
    assert client.wait_for_approval(ID, timeout=3.0).status == "pending" and clock.passed == 9


@pytest.mark.parametrize("body", [[], {}, PENDING | {"status": 7}, {**PENDING, "order_tag": None}, "text"])
def test_an_answer_of_another_form_is_an_error(service_client_of, body):
    script = Script(*[httpx.Response(200, json=body)] * 3)
    with pytest.raises(ServiceUnavailable):
        service_client_of(script.transport).approval(ID)
