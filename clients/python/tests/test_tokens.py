"""Malformed, forged and mistimed tokens, each refused for its own reason."""

import hashlib
import hmac
import json

import pytest
from portcullis import Rejection, TokenRejected

from issuer import Key, b64


def refused(verifier, token, reason):
    with pytest.raises(TokenRejected) as caught:
        verifier.verify(token)
    assert caught.value.reason is reason, caught.value
    assert token not in str(caught.value) or not token
    return caught.value


def test_a_good_token_says_who_it_is(verifier, issuer):
    claims = verifier.verify(issuer.token())
    assert (claims.sub, claims.roles, claims.email) == ("usr_" + "a" * 32, ("user",), "asha@example.com")
    assert claims.epoch == 1
    assert verifier.verify(issuer.token(aud=["other", "trading_platform"], email=None, epoch=None)).epoch == 0


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_every_algorithm_that_was_chosen_and_no_other(verifier_of, issuer, algorithm):
    issuer.keys = [Key(algorithm)]
    assert verifier_of(algorithms=[algorithm]).verify(issuer.token())
    others = {"RS256", "ES256", "EdDSA"} - {algorithm}
    refused(verifier_of(algorithms=others), issuer.token(), Rejection.ALGORITHM)


@pytest.mark.parametrize("algorithms", [[], ["none"], ["HS256"], ["RS256", "HS256"], ["RS384"]])
def test_algorithms_that_cannot_be_chosen(verifier_of, algorithms):
    with pytest.raises(ValueError, match="algorithms"):
        verifier_of(algorithms=algorithms)


def test_no_signature_and_no_algorithm(verifier, issuer):
    head, payload, _ = issuer.token().split(".")
    for alg in ["none", "None", "NONE", "nOnE"]:
        none = b64(json.dumps({"alg": alg, "typ": "at+jwt", "kid": issuer.keys[0].kid}))
        refused(verifier, f"{none}.{payload}.", Rejection.MALFORMED)
        refused(verifier, f"{none}.{payload}.{b64(b'x' * 256)}", Rejection.ALGORITHM)
    refused(verifier, f"{head}.{payload}.", Rejection.MALFORMED)
    refused(verifier, f"{head}.{payload}.{b64(bytes(256))}", Rejection.SIGNATURE)


def test_the_public_key_is_no_secret_of_hmac(verifier, issuer):
    key = issuer.keys[0]
    for secret in [key.pem(), key.pem().strip(), json.dumps(key.jwk).encode(), key.jwk["n"].encode()]:
        text = (
            f"{b64(json.dumps({'alg': 'HS256', 'typ': 'at+jwt', 'kid': key.kid}))}.{b64(json.dumps(issuer.claims()))}"
        )
        mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        refused(verifier, f"{text}.{b64(mac)}", Rejection.ALGORITHM)


def test_the_key_decides_the_algorithm(verifier_of, issuer):
    ours = issuer.keys[0]
    other = Key("ES256")
    token = issuer.token(header={"kid": ours.kid}, key=other)
    refused(verifier_of(algorithms=["RS256", "ES256"]), token, Rejection.ALGORITHM)


def test_another_key_under_our_id_and_a_key_that_the_token_brings(verifier, issuer):
    forger = Key()
    refused(verifier, issuer.token(key=forger, header={"kid": issuer.keys[0].kid}), Rejection.SIGNATURE)
    brought = {"kid": issuer.keys[0].kid, "jwk": forger.jwk, "jku": "http://evil.test/keys", "x5c": []}
    refused(verifier, issuer.token(key=forger, header=brought), Rejection.SIGNATURE)
    assert all("evil" not in str(request.url) for _, request in issuer.asked)


@pytest.mark.parametrize("typ", ["JWT", "jwt", None, "", "at+jwt ", "text/at+jwt", 1])
def test_another_type_of_token(verifier, issuer, typ):
    refused(verifier, issuer.token(header={"typ": typ}), Rejection.WRONG_TYPE)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_the_type_in_its_spellings(verifier, issuer, typ):
    assert verifier.verify(issuer.token(header={"typ": typ}))


@pytest.mark.parametrize("extra", [{"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"zip": "DEF"}, {"enc": "A256GCM"}])
def test_extensions_that_nobody_here_knows(verifier, issuer, extra):
    refused(verifier, issuer.token(header=extra), Rejection.MALFORMED)


@pytest.mark.parametrize("kid", [None, "", "../../etc/passwd", "a" * 42, "a" * 44, "é" * 43, 7])
def test_key_ids_that_are_none(verifier, issuer, kid):
    refused(verifier, issuer.token(header={"kid": kid}), Rejection.MALFORMED)
    assert issuer.count("/v1/auth/.well-known/jwks.json") == 0


def test_a_name_twice_is_two_tokens(verifier, issuer):
    key = issuer.keys[0]
    head = f'{{"alg":"RS256","typ":"at+jwt","kid":"{key.kid}"%s}}'
    claims = json.dumps(issuer.claims())
    assert verifier.verify(issuer.signed(head % "", claims))
    for extra in [',"alg":"RS256"', ',"\\u0061lg":"none"', ',"x":{"y":1,"y":2}']:
        refused(verifier, issuer.signed(head % extra, claims), Rejection.MALFORMED)
    for extra in [',"exp":9999999999}', ',"\\u0065xp":9999999999}', ',"x":1,"x":1}', ',"x":NaN}']:
        refused(verifier, issuer.signed(head % "", claims[:-1] + extra), Rejection.MALFORMED)


@pytest.mark.parametrize("changes", [{"iss": "somebody"}, {"iss": "USER_SERVICE"}])
def test_another_issuer(verifier, issuer, changes):
    refused(verifier, issuer.token(**changes), Rejection.ISSUER)


@pytest.mark.parametrize("aud", ["other", ["other"], [], "trading_platform "])
def test_another_audience(verifier, issuer, aud):
    refused(verifier, issuer.token(aud=aud), Rejection.AUDIENCE)


NAMES = ["iss", "sub", "iat", "exp", "jti", "roles", "session_id", "token_type", "auth_time", "amr", "aud"]


@pytest.mark.parametrize("name", NAMES)
def test_claims_that_are_missing_or_of_another_type(verifier, issuer, name):
    refused(verifier, issuer.token(**{name: None}), Rejection.CLAIM)
    for value in [True, {}, 1.5, -1, 2**64, "1" if name in {"iat", "exp", "auth_time"} else 7, [1]]:
        refused(verifier, issuer.token(**{name: value}), Rejection.CLAIM)


@pytest.mark.parametrize(
    "changes", [{"token_type": "refresh"}, {"nbf": "1"}, {"nbf": True}, {"email": 1}, {"email": ""}, {"epoch": -1}]
)
def test_claims_with_values_that_they_must_not_have(verifier, issuer, changes):
    refused(verifier, issuer.token(**changes), Rejection.CLAIM)


def test_five_seconds_are_allowed_for_clocks_and_no_more(verifier, issuer, clock):
    now = int(clock.now())
    assert verifier.verify(issuer.token(iat=now - 900, exp=now - 4))
    refused(verifier, issuer.token(iat=now - 900, exp=now - 5), Rejection.EXPIRED)
    refused(verifier, issuer.token(iat=now - 900, exp=now - 6), Rejection.EXPIRED)
    assert verifier.verify(issuer.token(nbf=now + 5))
    refused(verifier, issuer.token(nbf=now + 6), Rejection.NOT_YET_VALID)
    assert verifier.verify(issuer.token(iat=now + 5))
    refused(verifier, issuer.token(iat=now + 6), Rejection.NOT_YET_VALID)
    refused(verifier, issuer.token(exp=now, iat=now), Rejection.CLAIM)


def test_no_more_than_five_seconds_can_be_asked_for(verifier_of, issuer, clock):
    with pytest.raises(ValueError, match="leeway"):
        verifier_of(leeway=6)
    strict = verifier_of(leeway=0)
    now = int(clock.now())
    refused(strict, issuer.token(iat=now - 9, exp=now), Rejection.EXPIRED)


def test_shapes_that_are_no_token(verifier, issuer):
    good = issuer.token()
    head, payload, signature = good.split(".")
    for token in ["", ".", "..", "a.b", f"{good}.x", f"{head}..{signature}", f".{payload}.{signature}", good + "=",
                  good + "\n", " " + good, good.replace(".", "..", 1), f"{head}.{payload}+.{signature}",
                  f"{head}.{payload}.{signature[:-4]}", f"{head}=.{payload}.{signature}", "é.é.é"]:  # fmt: skip
        refused(verifier, token, Rejection.MALFORMED)
    refused(verifier, "a" * 8193, Rejection.TOO_LARGE)
    for header in ["[]", "null", "{", "{} {}", '{"alg":' * 700, "[" * 5000]:
        refused(verifier, f"{b64(header)}.{payload}.{signature}", Rejection.MALFORMED)
    utf16 = b64(json.dumps({"alg": "RS256"}).encode("utf-16"))
    refused(verifier, f"{utf16}.{payload}.{signature}", Rejection.MALFORMED)


def test_a_second_spelling_of_the_same_bytes_is_no_token(verifier, issuer):
    head, payload, signature = issuer.token().split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    refused(verifier, f"{head}.{payload}.{other}", Rejection.MALFORMED)


def test_one_changed_bit_of_the_claims(verifier, issuer):
    head, payload, signature = issuer.token().split(".")
    forged = b64(json.dumps(issuer.claims(roles=["admin"])))
    refused(verifier, f"{head}.{forged}.{signature}", Rejection.SIGNATURE)
    assert payload != forged
