"""The OpenAPI document beside a running service: is it valid, and does the service answer as it says?

Two readers that are not ours: openapi-spec-validator, and schemathesis, which makes requests of every operation from their
schemas, the same ones each time, and compares what comes back.
"""

import base64
import hmac
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARIES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "debug"
TOOLS = pathlib.Path(sys.executable).parent
PASSWORD = "granite harbour sings at noon"

EITHER = "one of two members is needed, and not both, which no schema of an object says"
SIGNED = "what an authenticator made of a challenge of a moment ago, in base64url"

# Checks that are not made of an operation, each with its reason. The list may only get shorter.
NOT_MADE = {
    "positive_data_acceptance": {
        "login": EITHER,
        "check_permission": EITHER,
        "unfreeze_credentials": EITHER,
        "request_email_change": EITHER,
        "change_username": EITHER,
        "step_up": EITHER,
        "set_up_totp": EITHER,
        "begin_passkey": EITHER,
        "add_passkey": SIGNED,
        "sign_in_with_passkey": SIGNED,
        "request_approval": "an order has the prices of its type, and a trading account of the person who is asked",
        "redeem_approval": "an order has the prices of its type",
        "decide_approval": EITHER,
        "create_user": "an account needs an address or a username, and has a role once",
        "list_revocations": "a span begins before it ends",
        "acknowledge_freeze": "a count of orders is written without a fraction; to a schema 5.0 is an integer, too",
    },
}


def start(folder):
    variables = {"DATA_DIR": folder, "LISTEN_ADDR": "127.0.0.1:0", "RATE_LIMIT": "off", "RUST_LOG": "error"}
    # The checks take longer than a proof is fresh.
    variables["STEP_UP_MAX_AGE"] = "86400"
    environment = dict(os.environ, **variables)
    service = subprocess.Popen([BINARIES / "portcullis"], env=environment, stdout=subprocess.PIPE, text=True)
    for line in service.stdout:
        if line.startswith("Portcullis listens on "):
            return service, line.split()[-1]
    sys.exit("the service did not start")


def administrator(folder, url):
    """The access token of an administrator, who reaches most operations."""
    command = [BINARIES / "manage-users", "create-user", "root", "--role", "admin", "--email", "root@example.com"]
    environment = dict(os.environ, DATA_DIR=folder)
    subprocess.run(command, input=PASSWORD, env=environment, capture_output=True, text=True, check=True)
    session_token = post(url, "/v1/auth/login", {"username": "root", "password": PASSWORD})["session_token"]
    secret = post(url, "/v1/mfa/totp/setup", {"session_token": session_token})["secret"]
    enabled = post(url, "/v1/mfa/totp/enable", {"session_token": session_token, "code": totp(secret)})
    return enabled["session"]["access_token"]


def post(url, path, body):
    headers = {"content-type": "application/json"}
    return json.load(urllib.request.urlopen(urllib.request.Request(url + path, json.dumps(body).encode(), headers)))


def totp(secret):
    """The code of an authenticator app (RFC 6238)."""
    mac = hmac.digest(base64.b32decode(secret), (int(time.time()) // 30).to_bytes(8, "big"), "sha1")
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def settings(folder, url):
    """The settings of schemathesis: who calls, and what is not looked at."""
    with open(os.path.join(folder, "data/keys/service-tokens.json"), encoding="utf-8") as tokens:
        service = json.load(tokens)["ticker"][0]
    lines = ["[auth.openapi]", f"access_token = {{ bearer = {json.dumps(administrator(os.path.join(folder, 'data'), url))} }}"]
    lines += [f"service_token = {{ api_key = {json.dumps(service)} }}"]
    for check, operations in NOT_MADE.items():
        for operation in operations:
            lines += ["[[operations]]", f'include-operation-id = "{operation}"', f"checks.{check}.enabled = false"]
    file = os.path.join(folder, "schemathesis.toml")
    pathlib.Path(file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def check(folder, url):
    document = os.path.join(folder, "openapi.json")
    urllib.request.urlretrieve(f"{url}/openapi.json", document)
    subprocess.run([TOOLS / "openapi-spec-validator", document], check=True)
    environment = dict(os.environ, SCHEMATHESIS_HOOKS=str(ROOT / "tests/contract/formats.py"))
    command = [TOOLS / "schemathesis", "--config-file", settings(folder, url), "run", document, "--url", url]
    command += ["--phases", "examples,coverage,fuzzing"]
    command += ["--seed", "1", "--max-examples", "15", "--warnings", "off", "--no-color"]
    # All checks are made unless the settings say otherwise; `--checks all` would make those as well.
    # A sign-out ends the session of the token that all requests are made with, so it comes last.
    for which in ["--exclude-operation-id", "--include-operation-id"]:
        # It keeps notes of earlier runs where it is started.
        subprocess.run([*command, which, "logout"], cwd=folder, env=environment, check=True)


with tempfile.TemporaryDirectory() as folder:
    service, url = start(os.path.join(folder, "data"))
    try:
        check(folder, url)
    finally:
        service.terminate()
        service.wait()
