"""The issuer's keys: which sets are taken, and how seldom the issuer is asked."""

import json
import threading

import httpx
import pytest
from portcullis import Rejection, TokenRejected, Unavailable, Verifier
from portcullis.keys import Key as Key_
from portcullis.keys import Keyring, MalformedKeys, parse_keys
from portcullis.tokens import UnverifiedToken

from issuer import AUDIENCE, ISSUER, Issuer, Key, first_key

JWKS = "/v1/auth/.well-known/jwks.json"


def test_one_fetch_serves_for_the_age_the_issuer_gave(verifier, issuer, clock):
    for _ in range(5):
        verifier.verify(issuer.token())
    assert issuer.count(JWKS) == 1
    clock.passed = 179
    verifier.verify(issuer.token())
    assert issuer.count(JWKS) == 1
    clock.passed = 180
    verifier.verify(issuer.token())
    assert issuer.count(JWKS) == 2, "three fifths of it are over"


@pytest.mark.parametrize(("given", "seconds"), [(60, 60), (0, 30), (10**8, 3600)])
def test_an_age_within_bounds(verifier, issuer, clock, given, seconds):
    issuer.max_age = given
    verifier.verify(issuer.token())
    clock.passed = 0.6 * seconds - 1
    verifier.verify(issuer.token())
    assert issuer.count(JWKS) == 1
    clock.passed = 0.6 * seconds
    verifier.verify(issuer.token())
    assert issuer.count(JWKS) == 2


def test_a_new_key_is_found_by_one_fetch(verifier, issuer, clock):
    verifier.verify(issuer.token())
    clock.passed = 10
    issuer.keys.append(Key())
    assert verifier.verify(issuer.token())
    assert verifier.verify(issuer.token(key=issuer.keys[0]))
    assert issuer.count(JWKS) == 2


def test_a_new_key_right_after_a_fetch_waits_for_the_next(verifier, issuer, clock):
    verifier.verify(issuer.token())
    clock.passed = 0.5
    issuer.keys.append(Key())
    assert verifier.verify(issuer.token())
    assert clock.passed == 2, "the pause between two fetches"


def test_a_flood_of_forged_ids_reaches_the_issuer_every_two_seconds(verifier, issuer, clock):
    verifier.verify(issuer.token())
    for number in range(300):
        forged = issuer.token(header={"kid": f"{number:043d}"})
        with pytest.raises(TokenRejected) as caught:
            verifier.verify(forged)
        assert caught.value.reason is Rejection.UNKNOWN_KEY
        assert verifier.verify(issuer.token()), "a good token passes all along"
    assert issuer.count(JWKS) <= 1 + clock.passed / 2


def test_an_id_that_the_issuer_did_not_know_is_not_asked_for_again(verifier, issuer, clock):
    forged = issuer.token(header={"kid": "0" * 43})
    for _ in range(20):
        with pytest.raises(TokenRejected):
            verifier.verify(forged)
        clock.passed += 1
    assert issuer.count(JWKS) == 1
    clock.passed = 40
    with pytest.raises(TokenRejected):
        verifier.verify(forged)
    assert issuer.count(JWKS) == 2


def test_forged_ids_side_by_side_make_one_fetch_and_the_rest_is_told_to_come_back(clock):
    issuer = Issuer(clock)
    entered, gate = threading.Semaphore(0), threading.Event()

    def slow(request):
        entered.release()
        gate.wait(50)
        return issuer.answer(request)

    client = httpx.Client(transport=httpx.MockTransport(slow))
    named = {"clock": clock, "client": client, "sleep": clock.sleep, "timeout": 60}
    verifier = Verifier(ISSUER, AUDIENCE, "http://identity.test" + JWKS, **named)
    outcomes = []

    def attempt(number):
        try:
            outcomes.append(verifier.verify(issuer.token(header={"kid": f"{number:043d}"})))
        except (TokenRejected, Unavailable) as error:
            outcomes.append(error)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(300)]
    for thread in threads:
        thread.start()
    assert entered.acquire(timeout=50)
    while len(outcomes) < 300 - 257:
        pass
    gate.set()
    for thread in threads:
        thread.join()
    assert {type(outcome) for outcome in outcomes} == {TokenRejected, Unavailable}
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 300 - 257
    assert issuer.count(JWKS) == 1


def test_threads_that_start_together_make_one_fetch(clock):
    issuer, gate = Issuer(clock), threading.Barrier(20)
    client = httpx.Client(transport=issuer.transport())
    verifier = Verifier(ISSUER, AUDIENCE, "http://identity.test" + JWKS, clock=clock, client=client, sleep=clock.sleep)
    token, outcomes = issuer.token(), []

    def attempt():
        gate.wait(10)
        outcomes.append(verifier.verify(token).sub)

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 20 and issuer.count(JWKS) == 1


def test_the_operator_is_told_why(verifier, issuer, caplog):
    for fault, why in [(503, "status 503"), (httpx.ConnectError("x"), "ConnectError"), (b"<html>", "no JWK set")]:
        issuer.faults[JWKS] = fault
        caplog.clear()
        with pytest.raises(Unavailable):
            verifier.verify(issuer.token())
        assert why in caplog.text and "eyJ" not in caplog.text
        issuer.clock.passed += 3


@pytest.mark.parametrize("fault", [500, 302, b"<html>", b"{}", httpx.ConnectError("no"), httpx.ReadTimeout("no")])
def test_a_day_without_the_issuer_is_survived_and_no_more(verifier, issuer, clock, fault):
    verifier.verify(issuer.token())
    issuer.faults[JWKS] = fault
    for hour in range(1, 25):
        clock.passed = hour * 3600
        assert verifier.verify(issuer.token()), hour
    clock.passed = 24 * 3600 + 1
    with pytest.raises(Unavailable):
        verifier.verify(issuer.token())


def test_while_the_issuer_is_down_it_is_not_asked_by_every_request(verifier, issuer, clock):
    verifier.verify(issuer.token())
    issuer.faults[JWKS] = 503
    clock.passed = 300
    for _ in range(100):
        verifier.verify(issuer.token())
        clock.passed += 0.3
    assert issuer.count(JWKS) <= 3


def test_without_any_keys_nobody_is_called_a_forger(verifier, issuer, clock):
    issuer.faults[JWKS] = 503
    with pytest.raises(Unavailable):
        verifier.verify(issuer.token())
    with pytest.raises(Unavailable):
        verifier.verify(issuer.token())
    assert issuer.count(JWKS) == 1
    issuer.faults.clear()
    clock.passed = 3
    assert verifier.verify(issuer.token())


def test_a_set_that_is_too_old_is_waited_for_by_everybody(clock):
    """A thread that refreshes it in time lets the others go on; past its age all of them wait for the newer one."""
    keyring = Keyring()
    keyring.fetching(0)
    keyring.arrived(json.dumps({"keys": [first_key().jwk]}).encode(), 300, 0)
    token = UnverifiedToken.parse(Issuer(clock).token(), frozenset({"RS256"}))
    assert isinstance(keyring.find(token, 299, 299), Key_) and keyring.is_due(180) and not keyring.is_due(179)
    assert keyring.find(token, 300, 300) == 0
    keyring.fetching(300)
    assert keyring.find(token, 301, 301) == 1
    keyring.failed()
    assert isinstance(keyring.find(token, 301, 301), Key_), "while the issuer cannot be reached it serves on"


def test_a_key_that_leaves_the_set_is_believed_no_more(verifier, issuer, clock):
    old = issuer.token()
    verifier.verify(old)
    issuer.keys = [Key()]
    clock.passed = 300
    with pytest.raises(TokenRejected):
        verifier.verify(old)


def test_a_bad_set_does_not_replace_a_good_one(verifier, issuer, clock):
    verifier.verify(issuer.token())
    clock.passed = 300
    for bad in [b"", b"[]", b'{"keys":[]}', json.dumps({"keys": [issuer.keys[0].jwk] * 2}).encode(), b"x" * 70_000]:
        issuer.faults[JWKS] = bad
        assert verifier.verify(issuer.token())
        clock.passed += 60


def test_sets_that_are_refused_whole():
    good = Key().jwk
    for keys in [
        [good | {"d": "AQAB"}],
        [good, {"kty": "oct", "k": "c2VjcmV0"}],
        [good, good],
        [good] * 17,
        [good | {"alg": "HS256"}],
        [good | {"use": "enc"}],
        [good | {"kid": "short"}],
        [good | {"e": "Aw"}],
        [good | {"n": good["n"][:170]}],
        [Key("ES256").jwk | {"crv": "P-384"}],
        [7],
    ]:
        with pytest.raises(MalformedKeys):
            parse_keys(json.dumps({"keys": keys}).encode())
    for text in [b"{}", b"[]", b"\xff", b'{"keys":1}', b'{"keys":[],"keys":[]}', b" " * 65_537]:
        with pytest.raises(MalformedKeys):
            parse_keys(text)


def test_keys_of_no_use_here_are_passed_over():
    good = Key().jwk
    keys = [good, {"kty": "EC", "crv": "P-521", "alg": "ES512", "kid": "x"}, {"kty": "new"}]
    assert list(parse_keys(json.dumps({"keys": keys}).encode())) == [good["kid"]]
