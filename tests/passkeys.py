"""Passkeys over HTTP, judged beside three verifiers that are not ours: fido2, webauthn and @simplewebauthn/server.

An authenticator in software answers ceremonies of a running service, rightly or bent in one way that is drawn at random. What the
service takes, each of the others has to take. What all of the others take, the service has to take, too, unless the answer was bent
in a way that it alone looks at (STRICTER).

    tests/passkeys.py                a few hundred ceremonies
    CEREMONIES=10000 tests/passkeys.py
"""

import base64
import collections
import hashlib
import json
import os
import pathlib
import random
import secrets
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import webauthn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticatorData,
    PublicKeyCredentialRpEntity,
    UserVerificationRequirement,
)

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
CEREMONIES = int(os.environ.get("CEREMONIES", "200"))
PASSWORD = "copper lantern drifts upstream"
PRESENT, VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, HAS_CREDENTIAL = 0x01, 0x04, 0x08, 0x10, 0x40

# Ways to bend an answer that the service refuses and others may let pass: whether a key may be copied must not change, a page in
# a frame of another one gets nothing, an answer names the user whose passkey it is, an attestation of none has no statement, and a
# key on an unknown curve is refused when it is made and not at the first sign-in, where the others notice it.
STRICTER = {"eligible", "frame", "top", "user", "no user", "statement", "counter", "curve"}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Service:
    """The service in a folder of its own, and somebody who is signed in."""

    def __init__(self, folder):
        environment = dict(os.environ, DATA_DIR=folder, LISTEN_ADDR="127.0.0.1:0", RUST_LOG="error", RATE_LIMIT="off")
        environment.update(ARGON2_MEMORY_KIB="64", ACCESS_TOKEN_TTL="3600")
        self.process = subprocess.Popen([TARGET / "debug/portcullis"], env=environment, stdout=subprocess.PIPE, text=True)
        self.url = next((line.split()[-1] for line in self.process.stdout if line.startswith("Portcullis listens on ")), None)
        if self.url is None:
            sys.exit("the service did not start")
        person = {"email": "asha@example.com", "password": PASSWORD}
        self.expect(201, "/v1/auth/register", dict(person, name="Asha"))
        session = self.expect(200, "/v1/auth/login", dict(person, token_delivery="body"))
        self.token = session["access_token"]
        self.origin = self.expect(200, "/.well-known/webauthn", method="GET")["origins"][-1]

    def call(self, path, body=None, method="POST", token=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"} if data else {}
        if token:
            headers["authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def expect(self, status, path, body=None, method="POST", token=None):
        answer = self.call(path, body, method, token)
        assert answer[0] == status, (path, answer)
        return answer[1]


class Authenticator:
    """A key, and what is said with it."""

    def __init__(self, origin):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.origin, self.id = origin, secrets.token_bytes(16)
        self.flags, self.counter, self.handle = PRESENT | VERIFIED, 1, None

    def public_key(self):
        numbers = self.key.public_key().public_numbers()
        return cbor.encode({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})

    def said(self, kind, challenge, bend):
        data = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        bends = {
            "origin": {"origin": "http://localhost:9"},
            "slash": {"origin": self.origin + "/"},
            "type": {"type": "webauthn.get" if kind == "webauthn.create" else "webauthn.create"},
            "challenge": {"challenge": b64(secrets.token_bytes(32))},
            "frame": {"crossOrigin": True},
            "top": {"crossOrigin": True, "topOrigin": "https://evil.example"},
        }
        data.update(bends.get(bend, {}))
        return json.dumps(data).encode()

    def data(self, rp_id, bend, credential=b""):
        flags = self.flags | (HAS_CREDENTIAL if credential else 0)
        flags ^= {"unverified": VERIFIED, "absent": PRESENT, "eligible": BACKUP_ELIGIBLE, "impossible": BACKED_UP}.get(bend, 0)
        counter = {"counter": 0}.get(bend, self.counter)
        rp_id = "example.com" if bend == "rp" else rp_id
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + counter.to_bytes(4, "big") + credential

    def answer(self, response):
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "response": response, "clientExtensionResults": {}}

    def create(self, options, bend):
        self.handle = unb64(options["user"]["id"])
        credential = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + self.public_key()
        if bend == "length":
            credential = bytes(16) + (1024).to_bytes(2, "big") + self.id + self.public_key()
        if bend == "curve":
            credential = credential.replace(cbor.encode(-1) + cbor.encode(1), cbor.encode(-1) + cbor.encode(8))
        data = self.data(options["rp"]["id"], bend, credential)
        statement = {"alg": -7} if bend == "statement" else {}
        fmt = "unheard-of" if bend == "format" else "none"
        made = cbor.encode({"fmt": fmt, "attStmt": statement, "authData": data})
        made += b"\x00" if bend == "trailing" else b""
        said = self.said("webauthn.create", options["challenge"], bend)
        return self.answer({"clientDataJSON": b64(said), "attestationObject": b64(made), "transports": ["internal"]})

    def get(self, options, bend):
        self.counter += 1
        data = self.data(options["rpId"], bend)
        said = self.said("webauthn.get", options["challenge"], bend)
        signature = bytearray(self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256())))
        if bend == "signature":
            signature[random.randrange(8, len(signature))] ^= 1 << random.randrange(8)
        if bend == "other signature":
            signature = self.key.sign(b"something else", ec.ECDSA(hashes.SHA256()))
        handle = {"user": secrets.token_bytes(64), "no user": None}.get(bend, self.handle)
        response = {"clientDataJSON": b64(said), "authenticatorData": b64(data), "signature": b64(bytes(signature))}
        return self.answer(dict(response, userHandle=handle and b64(handle)))


class Others:
    """The verifiers, each with a verdict of its own."""

    def __init__(self, rp_id, origin):
        self.rp_id, self.origin = rp_id, origin
        rp = PublicKeyCredentialRpEntity(name="Test", id=rp_id)
        self.server = Fido2Server(rp, verify_origin=lambda seen: seen == origin)
        tools = TARGET / "tools/passkeys-npm"
        script = ROOT / "tests/webauthn/verify.js"
        (tools / "verify.js").write_text(script.read_text())
        self.node = subprocess.Popen(["node", tools / "verify.js"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def simplewebauthn(self, **ceremony):
        ceremony.update(origin=self.origin, rpId=self.rp_id)
        self.node.stdin.write(json.dumps(ceremony) + "\n")
        self.node.stdin.flush()
        return json.loads(self.node.stdout.readline())

    def registration(self, challenge, response):
        expected = {"expected_challenge": unb64(challenge), "expected_rp_id": self.rp_id, "expected_origin": self.origin}
        state = {"challenge": challenge, "user_verification": UserVerificationRequirement.REQUIRED}
        return {
            "fido2": verdict(lambda: self.server.register_complete(state, response)),
            "webauthn": verdict(
                lambda: webauthn.verify_registration_response(credential=response, require_user_verification=True, **expected)
            ),
            "simplewebauthn": self.simplewebauthn(kind="create", challenge=challenge, response=response),
        }

    def assertion(self, challenge, response, authenticator, counter):
        key = authenticator.public_key()
        expected = {"expected_challenge": unb64(challenge), "expected_rp_id": self.rp_id, "expected_origin": self.origin}
        known = AttestedCredentialData.create(bytes(16), authenticator.id, cbor.decode(key))
        state = {"challenge": challenge, "user_verification": UserVerificationRequirement.REQUIRED}

        def fido2():
            self.server.authenticate_complete(state, [known], response)
            # It leaves the counter to its caller.
            assert AuthenticatorData(unb64(response["response"]["authenticatorData"])).counter > counter

        def pypi():
            webauthn.verify_authentication_response(
                credential=response,
                credential_public_key=key,
                credential_current_sign_count=counter,
                require_user_verification=True,
                **expected,
            )

        credential = {"id": b64(authenticator.id), "publicKey": b64(key), "counter": counter}
        return {
            "fido2": verdict(fido2),
            "webauthn": verdict(pypi),
            "simplewebauthn": self.simplewebauthn(kind="get", challenge=challenge, response=response, credential=credential),
        }


def verdict(judge):
    try:
        judge()
    except Exception:
        return False
    return True


def compare(what, bend, ours, others, seen):
    """What is taken here is taken everywhere; what is taken everywhere is taken here, unless we look at more."""
    seen[what, bend, ours] += 1
    case = (what, bend, ours, others)
    assert ours == (bend is None), case
    if ours:
        assert all(others.values()), case
    elif all(others.values()):
        assert bend in STRICTER, case


CREATION = [None, "origin", "slash", "type", "challenge", "frame", "top", "unverified", "absent", "impossible", "rp"]
CREATION += ["length", "curve", "statement", "format", "trailing"]
ASSERTION = [None, None, None, "origin", "slash", "type", "challenge", "frame", "top", "unverified", "absent", "eligible"]
ASSERTION += ["impossible", "counter", "rp", "signature", "other signature", "user", "no user"]


def create(service, others, seen, bend):
    """Has a passkey made, rightly or not, and returns it where it was."""
    authenticator = Authenticator(service.origin)
    authenticator.flags |= random.choice([0, BACKUP_ELIGIBLE, BACKUP_ELIGIBLE | BACKED_UP])
    if bend == "impossible":
        authenticator.flags = PRESENT | VERIFIED
    begun = service.expect(200, "/v1/passkeys/options", {"password": PASSWORD}, token=service.token)
    options = begun["publicKey"]
    response = authenticator.create(options, bend)
    body = {"ceremony_token": begun["ceremony_token"], "credential": response}
    status, added = service.call("/v1/passkeys", body, token=service.token)
    assert status in (201, 422), added
    judged = others.registration(options["challenge"], response)
    compare("create", bend, status == 201, judged, seen)
    return (authenticator, added["passkey_id"]) if status == 201 else None


def get(service, others, authenticator, seen, bend):
    """Signs in with a passkey, rightly or not."""
    if bend == "impossible" and authenticator.flags & BACKUP_ELIGIBLE:
        bend = "eligible"
    if bend == "eligible" and authenticator.flags & BACKED_UP:
        bend = None
    counter = authenticator.counter
    begun = service.expect(200, "/v1/auth/passkey/options")
    options = begun["publicKey"]
    response = authenticator.get(options, bend)
    body = {"ceremony_token": begun["ceremony_token"], "credential": response, "token_delivery": "body"}
    status, answer = service.call("/v1/auth/passkey/verify", body)
    assert status in (200, 401), answer
    judged = others.assertion(options["challenge"], response, authenticator, counter)
    compare("get", bend, status == 200, judged, seen)
    if status != 200:
        authenticator.counter = counter


def in_turn(ways):
    """All of the ways in an order that is drawn, and again: a run of any length leaves out none for long."""
    while True:
        yield from random.sample(ways, len(ways))


def everything_was_tried(seen):
    tried = {(what, bend) for what, bend, _ in seen}
    return tried.issuperset({("create", bend) for bend in CREATION} | {("get", bend) for bend in ASSERTION})


def install():
    tools = TARGET / "tools/passkeys-npm"
    tools.mkdir(parents=True, exist_ok=True)
    wanted = (ROOT / "tests/webauthn/package.json").read_text()
    manifest = tools / "package.json"
    if not (tools / "node_modules").is_dir() or not manifest.is_file() or manifest.read_text() != wanted:
        manifest.write_text(wanted)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"], cwd=tools, check=True)


def main():
    install()
    if "--install" in sys.argv:
        return
    random.seed(int(os.environ.get("SEED", "20261130")))
    seen = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(os.path.join(folder, "data"))
        others = Others("localhost", service.origin)
        creations, assertions = in_turn(CREATION), in_turn(ASSERTION)
        try:
            while sum(seen.values()) < CEREMONIES or not everything_was_tried(seen):
                made = create(service, others, seen, next(creations))
                if made is None:
                    continue
                authenticator, passkey = made
                for _ in range(20):
                    get(service, others, authenticator, seen, next(assertions))
                path = f"/v1/passkeys/{passkey}"
                service.expect(204, path, {"password": PASSWORD}, "DELETE", service.token)
        finally:
            service.process.terminate()
            service.process.wait()
            others.node.stdin.close()
            others.node.wait()
    taken = sum(count for (_, _, ours), count in seen.items() if ours)
    print(f"{sum(seen.values())} ceremonies, {taken} of them taken: fido2, webauthn and @simplewebauthn/server agree")


main()
