"""API keys: what is asked about, how often, and what counts."""

import pytest
from portcullis import ApiKey, ApiKeyRejected, Grant, Revocations, Secret, Unavailable
from portcullis.api_keys import _checksum, is_candidate

from issuer import USER

VERIFY = "/v1/internal/api-keys/verify"
BARE = "pk_0199f3c2a6e47d0c8f21b7e5d4a39c10_abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456"
KEY = BARE + _checksum(BARE)
HOLDER = {"user_id": USER, "roles": ["user"], "scopes": ["market:read"]}


@pytest.fixture
def known(issuer):
    issuer.api_keys[KEY] = HOLDER
    return ApiKey(Secret(KEY))


def test_the_checksum_is_the_crc_32_of_every_catalogue():
    assert _checksum("123456789") == "3jZRME" and _checksum("") == "000000"


def test_what_may_be_a_key():
    for text in [KEY, "a" * 22, "a" * 256, "pk_live_0199f3c2a6e47d0c8f21b7e5d4a39c10"]:
        assert is_candidate(text), text
    for text in ["", KEY.replace("a", "b"), "a" * 21, "a" * 257, "a " * 20, "é" * 30, KEY[:-1] + " ", "a" * 22 + "\n"]:
        assert not is_candidate(text), text


def test_its_holder_is_known_for_half_a_minute(verifier, issuer, clock, known):
    caller = verifier.authenticate(known)
    assert (caller.user_id, caller.roles, caller.scopes) == (USER, ("user",), (Grant("market", "read"),))
    assert caller.method == "api_key" and caller.session_id is None
    clock.passed = 29
    verifier.authenticate(known)
    assert issuer.count(VERIFY) == 1
    issuer.api_keys.clear()
    clock.passed = 30
    with pytest.raises(ApiKeyRejected):
        verifier.authenticate(known)


def test_a_mistyped_key_is_refused_without_asking(verifier, issuer):
    with pytest.raises(ApiKeyRejected):
        verifier.authenticate(ApiKey(Secret(KEY.replace("a", "b"))))
    assert issuer.count(VERIFY) == 0


def test_a_made_up_key_is_asked_about_once(verifier, issuer):
    for _ in range(3):
        with pytest.raises(ApiKeyRejected):
            verifier.authenticate(ApiKey(Secret("x" * 40)))
    assert issuer.count(VERIFY) == 1


def test_a_key_ends_when_it_ends(verifier, issuer, clock, known):
    issuer.api_keys[KEY] = HOLDER | {"expires_at": "2025-10-09T08:53:30Z"}  # Ten seconds from the beginning.
    verifier.authenticate(known)
    clock.passed = 9.9
    verifier.authenticate(known)
    assert issuer.count(VERIFY) == 1
    clock.passed = 10
    verifier.authenticate(known)
    assert issuer.count(VERIFY) == 2


@pytest.mark.parametrize(
    "answer",
    [
        500,
        b"",
        b"[]",
        b'{"active":true}',
        b'{"active":true,"user_id":"","roles":[],"scopes":[]}',
        b'{"active":true,"user_id":"u","roles":["user"],"scopes":["everything"]}',
        b'{"active":true,"user_id":"u","roles":"admin"}',
        b'{"active":false,"active":true,"user_id":"u"}',
        b'{"active":true,"user_id":"u","expires_at":"soon"}',
        b'{"active":true,"user_id":"u","roles":["user"],"scopes":[]}' + b" " * 20_000,
    ],
)
def test_an_answer_that_is_none_opens_nothing(verifier, issuer, known, answer):
    issuer.faults[VERIFY] = answer
    with pytest.raises(Unavailable):
        verifier.authenticate(known)


def test_only_true_is_active(verifier, issuer, known):
    issuer.faults[VERIFY] = b'{"active":1,"user_id":"u","roles":["admin"],"scopes":["*:*"]}'
    with pytest.raises(ApiKeyRejected):
        verifier.authenticate(known)


def test_without_a_service_token_keys_cannot_be_looked_up(verifier_of, known):
    with pytest.raises(Unavailable):
        verifier_of(service_token=None).authenticate(known)


def test_a_revocation_of_its_owner_has_it_looked_up_again(verifier_of, issuer, clock, known):
    verifier = verifier_of(revocations=Revocations(fail_closed=True))
    verifier.authenticate(known)
    issuer.revoke_account(USER, 2)
    issuer.api_keys.clear()
    clock.passed = 6
    with pytest.raises(ApiKeyRejected):
        verifier.authenticate(known)
