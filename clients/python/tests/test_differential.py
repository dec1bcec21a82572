"""The package and the service judge the same tokens, signed with the same key: each damaged in one way.

The service looks the session up, which every token here has. Where both are asked, both have to say the same.
"""

import base64
import json
import os
import subprocess
import time

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from portcullis import TokenRejected, Verifier
from test_real_service import ASHA, BINARY

from issuer import Key, b64

KEY = Key()
PEM = KEY.private.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    variables = {
        "DATA_DIR": str(tmp_path_factory.mktemp("differential")),
        "LISTEN_ADDR": "127.0.0.1:0",
        "RUST_LOG": "error",
        "TOKEN_SIGNING_KEY": PEM,
        "ARGON2_MEMORY_KIB": "64",
    }
    process = subprocess.Popen([BINARY], env=dict(os.environ, **variables), stdout=subprocess.PIPE, text=True)
    yield next(line.split()[-1] for line in process.stdout if line.startswith("Portcullis listens on "))
    process.terminate()
    process.communicate()


@pytest.fixture(scope="module")
def parts(url):
    """Header and claims of a sign-in."""
    httpx.post(f"{url}/v1/auth/register", json=ASHA | {"name": "Asha"}).raise_for_status()
    token = httpx.post(f"{url}/v1/auth/login", json=ASHA | {"token_delivery": "body"}).json()["access_token"]
    return tuple(json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])


def written(part):
    return b64(part if isinstance(part, str) else json.dumps(part))


def signed(header, claims):
    text = f"{written(header)}.{written(claims)}"
    return f"{text}.{b64(KEY.sign(text.encode()))}"


def changed(document, changes):
    return {name: value for name, value in (document | changes).items() if value is not ...}


HEADERS = [
    {"typ": "JWT"}, {"typ": "AT+JWT"}, {"typ": "application/at+jwt"}, {"typ": ...}, {"typ": 1}, {"alg": "none"},
    {"alg": "HS256"}, {"alg": "ES256"}, {"alg": ...}, {"kid": ...}, {"kid": "0" * 43}, {"kid": "x"}, {"crit": []},
    {"crit": ["b64"]}, {"b64": False}, {"zip": "DEF"}, {"jwk": {}}, {"cty": "x"},
]  # fmt: skip
CLAIMS = [
    {"iss": "x"}, {"iss": ...}, {"aud": "x"}, {"aud": ["x", "trading_platform"]}, {"aud": []},
    {"aud": ["trading_platform", 1]}, {"aud": ...}, {"jti": ...}, {"jti": ""}, {"roles": ...}, {"roles": "user"},
    {"roles": []}, {"roles": [1]},
    {"token_type": ...}, {"token_type": "refresh"}, {"auth_time": ...}, {"auth_time": "1"}, {"amr": ...}, {"amr": []},
    {"acr": ...}, {"acr": "aal2"}, {"acr": "aal9"}, {"acr": ""}, {"acr": 2}, {"acr": None}, {"acr": ["aal2"]},
    {"email": ...}, {"email": ""}, {"email": None}, {"epoch": -1}, {"epoch": "0"}, {"nbf": None}, {"nbf": 1}, {"nbf": 1.5},
    {"nbf": True}, {"exp": ...}, {"exp": 1.5}, {"exp": 2**64}, {"exp": 2**64 - 1}, {"iat": ...}, {"iat": -1},
    {"extra": {"a": [1]}},
]  # fmt: skip
TIMES = [("exp", -30), ("exp", -8), ("exp", -2), ("nbf", 2), ("nbf", 8), ("iat", 2), ("iat", 8)]


def compare(url, token):
    answer = httpx.get(f"{url}/v1/auth/status", headers={"authorization": f"Bearer {token}"})
    verifier = Verifier(url=url)
    try:
        verifier.verify(token)
        ours = 200
    except TokenRejected:
        ours = 401
    finally:
        verifier.close()
    assert ours == answer.status_code, (ours, answer.text)
    return ours


@pytest.mark.parametrize("changes", HEADERS, ids=str)
def test_headers(url, parts, changes):
    compare(url, signed(changed(parts[0], changes), parts[1]))


@pytest.mark.parametrize("changes", CLAIMS, ids=str)
def test_claims(url, parts, changes):
    compare(url, signed(parts[0], changed(parts[1], changes)))


@pytest.mark.parametrize(("name", "seconds"), TIMES)
def test_times(url, parts, name, seconds):
    """Far enough from the boundary that the time between the two answers does not count."""
    now = int(time.time())
    claims = parts[1] | {"iat": now - 900, name: now + seconds}
    assert compare(url, signed(parts[0], claims)) == (200 if abs(seconds) < 5 else 401)


def test_texts(url, parts):
    head, claims = json.dumps(parts[0]), json.dumps(parts[1])
    good = signed(head, claims)
    assert compare(url, good) == 200
    bad = [
        good + "x", good + "=", good[:-1], good[:-8] + "AAAAAAAA", good.replace(".", "..", 1), "a.b.c", "x", good + ".x",
        signed(head[:-1] + ',"x":1,"x":1}', claims), signed(head, claims[:-1] + ',"exp":9999999999}'),
        signed(head, claims[:-1] + ',"\\u0065xp":9999999999}'), signed(head, claims[:-1] + ',"x":NaN}'),
        signed(head, claims[:-1] + ',"x":{"y":1,"y":1}}'), signed(head, "[]"), signed("[]", claims),
        signed(head, claims + " x"),
    ]  # fmt: skip
    assert {compare(url, token) for token in bad} == {401}
    assert compare(url, signed(" " + head, claims + " ")) == 200
