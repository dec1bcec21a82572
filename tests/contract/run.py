"""The OpenAPI document beside a running service: is it valid, and does the service answer as it says?

Two readers that are not ours: openapi-spec-validator, and schemathesis, which makes requests of every operation from their
schemas, the same ones each time, and compares what comes back.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARIES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "debug"
TOOLS = pathlib.Path(sys.executable).parent
PASSWORD = "granite harbour sings at noon"

EITHER = "one of two members is needed, and not both, which no schema of an object says"

# Checks that are not made of an operation, each with its reason. The list may only get shorter.
NOT_MADE = {
    "positive_data_acceptance": {
        "login": EITHER,
        "check_permission": EITHER,
        "unfreeze_credentials": EITHER,
        "request_email_change": EITHER,
        "change_username": EITHER,
        "create_user": "an account needs an address or a username, and has a role once",
        "list_revocations": "a span begins before it ends",
    },
}


def start(folder):
    variables = {"DATA_DIR": folder, "LISTEN_ADDR": "127.0.0.1:0", "RATE_LIMIT": "off", "RUST_LOG": "error"}
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
    body = json.dumps({"username": "root", "password": PASSWORD}).encode()
    request = urllib.request.Request(f"{url}/v1/auth/login", body, {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request))["access_token"]


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
