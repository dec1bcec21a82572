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

# Checks that are not made, each with its reason. The list may only get shorter.
NOT_MADE = {
    "positive_data_acceptance": "what an address, a username or a password must look like is no part of the schemas",
    "negative_data_rejection": "unknown headers and query parameters are ignored, as HTTP wants it",
    "status_code_conformance": "an access token beside an API key is 400, on routes without a body undocumented",
    "ignored_auth": "the token is a header of all requests, so none is made without it; tests/end-to-end has every route",
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


def check(folder, url):
    document = os.path.join(folder, "openapi.json")
    urllib.request.urlretrieve(f"{url}/openapi.json", document)
    subprocess.run([TOOLS / "openapi-spec-validator", document], check=True)
    token = administrator(os.path.join(folder, "data"), url)
    command = [TOOLS / "schemathesis", "run", document, "--url", url, "--phases", "examples,coverage,fuzzing"]
    command += ["--seed", "1", "--max-examples", "15", "--warnings", "off", "--no-color"]
    command += ["--exclude-checks", ",".join(NOT_MADE), "--header", f"authorization: Bearer {token}"]
    # It keeps notes of earlier runs where it is started.
    subprocess.run(command, cwd=folder, check=True)


with tempfile.TemporaryDirectory() as folder:
    service, url = start(os.path.join(folder, "data"))
    try:
        check(folder, url)
    finally:
        service.terminate()
        service.wait()
