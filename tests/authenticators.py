"""The second factor over HTTP, with the codes of authenticators that are not ours: oathtool and pyotp.

What a phone's camera would read is read from the QR code as well. Nothing here waits for a code to change: a code of the
step before enables the factor, the present one signs in.
"""

import base64
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import pyotp
import zxingcpp
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PASSWORD = "copper lantern drifts upstream"


def start(folder):
    environment = dict(os.environ, DATA_DIR=folder, LISTEN_ADDR="127.0.0.1:0", RUST_LOG="error")
    service = subprocess.Popen([TARGET / "debug/portcullis"], env=environment, stdout=subprocess.PIPE, text=True)
    for line in service.stdout:
        if line.startswith("Portcullis listens on "):
            return service, line.split()[-1]
    sys.exit("the service did not start")


def call(path, body=None, token=None, method="POST"):
    """Status, body and headers of an answer."""
    headers = {"content-type": "application/json"} if body is not None else {}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers


def expect(answer, number, /, **values):
    assert answer[0] == number, answer
    for name, value in values.items():
        assert answer[1].get(name) == value, (name, answer[1])
    return answer[1]


def oathtool(secret, at):
    command = ["oathtool", "--totp", "--base32", f"--now=@{at}", secret]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def quiet_moment():
    """Now, with enough of the present step left for a handful of requests."""
    while time.time() % 30 > 20:
        time.sleep(0.5)
    return int(time.time())


def story(email, code_at):
    """Somebody sets a factor up, signs in with it and removes it."""
    expect(call("/v1/auth/register", {"email": email, "password": PASSWORD, "name": "Asha"}), 201)
    password = {"email": email, "password": PASSWORD, "token_delivery": "body"}
    token = expect(call("/v1/auth/login", password), 200, status="authenticated")["access_token"]
    shown = expect(call("/v1/mfa/totp/setup", token=token), 200)
    assert len(base64.b32decode(shown["secret"])) >= 20
    uri = pyotp.parse_uri(shown["otpauth_uri"])
    assert (uri.secret, uri.name, uri.issuer) == (shown["secret"], email, "Portcullis")
    kind, _, picture = shown["qr_code_uri"].partition(",")
    assert kind == "data:image/png;base64", kind
    [read] = zxingcpp.read_barcodes(Image.open(io.BytesIO(base64.b64decode(picture))))
    assert read.text == shown["otpauth_uri"]

    now = quiet_moment()
    expect(call("/v1/mfa/totp/enable", {"code": "no code"}, token), 403, code="forbidden")
    enabled = expect(call("/v1/mfa/totp/enable", {"code": code_at(shown["secret"], now - 30)}, token), 200)
    codes = enabled["backup_codes"]
    assert len(set(codes)) == 10

    asked = expect(call("/v1/auth/login", password), 200, status="mfa_required")
    assert asked["methods"] == ["totp", "backup_code"] and asked["expires_in"] == 300 and "access_token" not in asked
    finish = {"session_token": asked["session_token"], "code": code_at(shown["secret"], now - 30)}
    expect(call("/v1/auth/mfa/verify", finish), 401, code="invalid_code")
    finish["code"] = code_at(shown["secret"], now)
    session = expect(call("/v1/auth/mfa/verify", finish), 200, status="authenticated")
    assert session["refresh_token"].startswith("rt_") and session["user"]["mfa_enabled"] is True
    claims = json.loads(base64.urlsafe_b64decode(session["access_token"].split(".")[1] + "=="))
    assert claims["amr"] == ["pwd", "otp"]
    refused = call("/v1/auth/mfa/verify", finish)
    expect(refused, 401, code="invalid_session_token")
    assert refused[2]["www-authenticate"].startswith("Bearer")

    # A browser that said so at the login gets a cookie at the end of it.
    asked = expect(call("/v1/auth/login", {"email": email, "password": PASSWORD}), 200, status="mfa_required")
    finish = {"session_token": asked["session_token"], "code": codes[0]}
    browser = call("/v1/auth/mfa/verify", finish)
    assert "refresh_token" not in expect(browser, 200) and "HttpOnly" in browser[2]["set-cookie"]

    token = session["access_token"]
    expect(call("/v1/mfa/totp/setup", token=token), 422, code="validation_failed")
    expect(call("/v1/mfa/totp/disable", {"password": "wrong", "code": codes[1]}, token), 403, code="forbidden")
    renewed = expect(call("/v1/mfa/backup-codes", {"password": PASSWORD, "code": codes[1]}, token), 200)
    fresh = renewed["backup_codes"]
    expect(call("/v1/mfa/totp/disable", {"password": PASSWORD, "code": codes[2]}, token), 403, code="forbidden")
    expect(call("/v1/mfa/totp/disable", {"password": PASSWORD, "code": fresh[0]}, token), 200, mfa_enabled=False)
    expect(call("/v1/mfa/backup-codes", {"password": PASSWORD, "code": fresh[1]}, token), 409, code="mfa_not_set_up")
    expect(call("/v1/auth/login", password), 200, status="authenticated")
    return [shown["secret"], *codes, *fresh, asked["session_token"]]


def check_nothing_lies_about(folder, secrets):
    """No secret, backup code or token is found in the database as it was shown, with or without its hyphen."""
    content = b"".join(path.read_bytes() for path in pathlib.Path(folder).rglob("portcullis.db*"))
    assert b"pyotp@example.com" in content, "the address is there, so this is where a secret would be"
    for secret in secrets:
        for text in {secret, secret.replace("-", "")}:
            assert text.encode() not in content, "the database holds a secret"


def check_guessing():
    """After five wrong codes nobody is answered for a while, and is told for how long."""
    email = "guessed@example.com"
    expect(call("/v1/auth/register", {"email": email, "password": PASSWORD, "name": "Asha"}), 201)
    password = {"email": email, "password": PASSWORD, "token_delivery": "body"}
    token = expect(call("/v1/auth/login", password), 200)["access_token"]
    secret = expect(call("/v1/mfa/totp/setup", token=token), 200)["secret"]
    expect(call("/v1/mfa/totp/enable", {"code": pyotp.TOTP(secret).at(quiet_moment() - 30)}, token), 200)
    for _ in range(5):
        asked = expect(call("/v1/auth/login", password), 200, status="mfa_required")
        finish = {"session_token": asked["session_token"], "code": "aaaaa-aaaaa"}
        expect(call("/v1/auth/mfa/verify", finish), 401, code="invalid_code")
    blocked = call("/v1/auth/mfa/verify", finish)
    expect(blocked, 429, code="too_many_attempts")
    assert int(blocked[2]["retry-after"]) >= 1


with tempfile.TemporaryDirectory() as folder:
    service, URL = start(os.path.join(folder, "data"))
    try:
        secrets = story("oathtool@example.com", oathtool)
        secrets += story("pyotp@example.com", lambda secret, at: pyotp.TOTP(secret).at(at))
        check_guessing()
        check_nothing_lies_about(folder, secrets)
        print("oathtool and pyotp make codes that are accepted; the QR code reads as it should")
    finally:
        service.terminate()
        service.wait()
