"""A stand-in for the identity service: it signs tokens, publishes keys and revocations, and counts who asks."""

import base64
import functools
import hashlib
import json
import struct

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

ISSUER, AUDIENCE, SERVICE_TOKEN = "user_service", "trading_platform", "svc_" + "t" * 40
URL = "http://identity.test"
START = 1_760_000_000.0
USER, SESSION = "usr_" + "a" * 32, "ses_" + "b" * 32


def b64(data):
    data = data if isinstance(data, bytes) else data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A signing key with its JWK."""

    def __init__(self, algorithm="RS256"):
        self.algorithm = algorithm
        self.private = {
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }[algorithm]()
        self.jwk = self._numbers() | {"alg": algorithm, "use": "sig"}
        self.kid = b64(hashlib.sha256(json.dumps(self.jwk, sort_keys=True).encode()).digest())
        self.jwk["kid"] = self.kid

    def _numbers(self):
        public = self.private.public_key()
        if self.algorithm == "RS256":
            numbers = public.public_numbers()
            return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        if self.algorithm == "ES256":
            numbers = public.public_numbers()
            return {"kty": "EC", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}

    def pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, data):
        if self.algorithm == "RS256":
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if self.algorithm == "ES256":
            r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return self.private.sign(data)


@functools.cache
def first_key():
    """Every issuer begins with the same key: making one takes longer than most tests."""
    return Key()


class FakeClock:
    """One time for both clocks; it moves when a test says so, and when somebody pauses."""

    def __init__(self):
        self.passed = 0.0

    def now(self):
        return START + self.passed

    def elapsed(self):
        return self.passed

    def sleep(self, seconds):
        self.passed += seconds

    async def sleep_async(self, seconds):
        self.passed += seconds


class Issuer:
    def __init__(self, clock):
        self.clock = clock
        self.keys = [first_key()]
        self.max_age = 300
        self.faults = {}
        """By path: a status, an exception of httpx, bytes, or a function of the request that returns one or nothing."""
        self.asked = []
        self.revoked = []
        """(time in ms, session key) or (time in ms, account key, except, epoch)"""
        self.api_keys = {}

    def count(self, path):
        return sum(asked == path for asked, _ in self.asked)

    def claims(self, **changes):
        now = int(self.clock.now())
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": USER, "iat": now, "exp": now + 900, "jti": "j", "roles": ["user"],
            "session_id": SESSION, "token_type": "access", "auth_time": now, "amr": ["pwd"], "epoch": 1,
            "email": "asha@example.com",
        }  # fmt: skip
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, header=None, key=None, payload=None, **changes):
        key = key or self.keys[-1]
        header = {"alg": key.algorithm, "typ": "at+jwt", "kid": key.kid} | (header or {})
        header = {name: value for name, value in header.items() if value is not None}
        return self.signed(json.dumps(header), payload or json.dumps(self.claims(**changes)), key)

    def signed(self, header, payload, key=None):
        text = f"{b64(header)}.{b64(payload)}"
        return f"{text}.{b64((key or self.keys[-1]).sign(text.encode()))}"

    def revoke_session(self, identifier, at=None):
        self.revoked.append((self.milliseconds() if at is None else at, key_of(identifier)))

    def revoke_account(self, identifier, epoch, survivor=None):
        keep = key_of(survivor) if survivor else 0
        self.revoked.append((self.milliseconds(), key_of(identifier), keep, epoch))

    def milliseconds(self):
        return int(self.clock.now() * 1000)

    # What it answers.

    def transport(self):
        return httpx.MockTransport(self.answer)

    def answer(self, request):
        path = request.url.path
        self.asked.append((path, request))
        fault = self.faults.get(path)
        fault = fault(request) if callable(fault) else fault
        if isinstance(fault, Exception):
            raise fault
        if isinstance(fault, int):
            return httpx.Response(fault)
        if isinstance(fault, bytes):
            return httpx.Response(200, content=fault)
        if path.endswith("jwks.json"):
            headers = {"cache-control": f"public, max-age={self.max_age}"}
            return httpx.Response(200, json={"keys": [key.jwk for key in self.keys]}, headers=headers)
        if request.headers.get("x-service-token") != SERVICE_TOKEN:
            return httpx.Response(401, json={"code": "invalid_service_token"})
        if path == "/v1/internal/revocations":
            return self._page(request.url.params)
        found = self.api_keys.get(json.loads(request.content)["api_key"])
        return httpx.Response(200, json={"active": found is not None} | (found or {}))

    def _page(self, query):
        now = self.milliseconds() + 1
        reach = now - 6000
        start = int(query.get("after", reach - reach % 8192))
        end = min(int(query.get("until", now)), now, start + 65_536)
        if start >= end:
            return httpx.Response(422, json={"code": "validation_failed"})
        return httpx.Response(200, content=page(start, end, now, [e for e in self.revoked if start <= e[0] < end]))


def key_of(identifier):
    """The key of an id by its description, written a second time to check the first."""
    high, low = int(identifier[4:20], 16), int(identifier[20:], 16)
    rotated = ((low << 2) & (2**64 - 1)) | (low >> 62)
    return rotated ^ (high * 0x9E3779B97F4A7C15 % 2**64)


def page(start, end, as_of, entries, kept_for=965):
    sessions = sorted(entry[1] for entry in entries if len(entry) == 2)
    accounts = sorted((e[1], e[2], e[3], e[0] // 1000) for e in entries if len(e) == 4)
    head = struct.pack("<4sIQQQII", b"prv1", kept_for, start, end, as_of, len(sessions), len(accounts))
    return (
        head + b"".join(struct.pack("<Q", s) for s in sessions) + b"".join(struct.pack("<QQII", *a) for a in accounts)
    )
