"""Runs what the README shows: the sessions with curl, the services that read credentials and verify tokens with the Python
package, PyJWT alone, and a validator of RFC 9068."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
README = (ROOT / "README.md").read_text()
# The package as it lies here; tests/clients/python tries it as it is installed.
sys.path.insert(0, str(ROOT / "clients/python/src"))
# Values that differ from run to run.
VARYING = [
    (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "eyJ…"),
    (r"rt_usr_\w+\.ses_\w+\.\d+\.\d+\.[\w-]+\.[\w-]+", "rt_…"),
    (r"(usr|ses|acc)_[0-9a-f]{32}", r"\1_…"),
    (r'the folder "[^"]*"', 'the folder "…"'),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "…Z"),
]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def start(folder, **variables):
    binary = TARGET / "debug/portcullis"
    environment = dict(os.environ, DATA_DIR=folder, RUST_LOG="error", **variables)
    service = subprocess.Popen([binary], env=environment, stdout=subprocess.PIPE, text=True)
    for line in service.stdout:
        if "Ctrl-C" in line:
            return service
    sys.exit("the service did not start; is port 8001 taken?")


def plain(text):
    for pattern, shown in VARYING:
        text = re.sub(pattern, shown, text)
    return text.strip()


def check_session(folder):
    """Every `$ ` line is run in one shell; what follows it is what it prints."""
    session = "".join(blocks("console"))
    # Built already, and the folder is that of the service.
    session = session.replace("cargo run -q --bin manage-users --", str(TARGET / "debug/manage-users"))
    commands, expected = [], []
    for line in session.splitlines():
        if line.startswith("$ "):
            commands.append(line[2:])
            expected.append([])
        elif commands[-1].endswith("\\"):
            commands[-1] += "\n" + line
        else:
            expected[-1].append(line)
    # What a command complains of is shown as well; a refusal is part of the story.
    script = "".join(f"{{ {command}\n}} 2>&1 || true\nprintf '\\n%s\\n' ----\n" for command in commands)
    environment = dict(os.environ, DATA_DIR=folder)
    run = subprocess.run(["bash"], input=script, env=environment, capture_output=True, text=True, check=True)
    printed = run.stdout
    outputs = printed.split("\n----\n")
    for command, wanted, got in zip(commands, expected, outputs):
        wanted, got = plain("\n".join(wanted)), plain(got)
        if wanted != got:
            sys.exit(f"README differs at: {command}\n  written: {wanted}\n  printed: {got}")
    print(f"{len(commands)} commands print what the README says")
    return outputs


ASHA = {"email": "asha@example.com", "password": "marble orchard whispers northward"}


def post(path, body):
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://localhost:8001{path}", json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(request))


def get(path):
    return json.load(urllib.request.urlopen(f"http://localhost:8001{path}"))


def sign_in():
    return post("/v1/auth/login", ASHA)["access_token"]


def run_block(*words, **replacements):
    """Runs the one block that contains a word, and returns what it defines."""
    scope = {}
    for word in words:
        [code] = [block for block in blocks("python") if word in block]
        for old, new in replacements.items():
            code = code.replace(f'["{old}"]', f'["{new}"]')
        exec(compile(code, "README.md", "exec"), scope)
    return scope


def check_ticker():
    """The function gets what was linked; a token that is not the ticker's gets nothing."""
    from portcullis import ServiceTokenRejected

    scope = run_block("broker_credentials", "def trail")
    account = pathlib.Path("account").read_text().strip()
    credentials = scope["broker_credentials"](account)
    assert credentials.user_id_broker == "AB1234" and "kitesecret" not in repr(credentials), credentials
    assert credentials.api_secret.open() == "kitesecretofasha"
    [shown] = re.findall(r"^# (\[\(.credentials_read.*)$", README, re.M)
    wanted, seen = eval(shown), scope["trail"](sign_in())
    seen = [event for event in seen if event[0] in {kind for kind, _, _ in wanted}]
    assert seen == wanted, seen
    scope["TOKEN"] += "x"
    try:
        scope["broker_credentials"](account)
    except ServiceTokenRejected:
        print("the ticker service gets its credentials")
    else:
        sys.exit("a made-up service token was accepted")


def damaged(token):
    """The token with another signature, with one character more, and something else altogether."""
    return [token[:-8] + "AAAAAAAA", token + "x", "nonsense"]


def check_fastapi(algorithm):
    """The service accepts a fresh token of this algorithm and refuses a damaged one and none."""
    scope = run_block("FastAPI", RS256=algorithm)
    from fastapi.testclient import TestClient

    token = sign_in()
    with TestClient(scope["app"]) as client:
        good = client.get("/portfolio", headers={"authorization": f"Bearer {token}"})
        assert good.status_code == 200 and good.json()["owner"].startswith("usr_"), good.text
        for bad in [None, *damaged(token)]:
            response = client.get("/portfolio", headers={"authorization": f"Bearer {bad}"} if bad else {})
            assert response.status_code == 401 and "WWW-Authenticate" in response.headers, response.text
    print(f"the FastAPI service verifies {algorithm} tokens")


def check_pyjwt(algorithm):
    """PyJWT alone accepts a fresh token of this algorithm and refuses a damaged one."""
    import jwt

    claims, token = run_block("PyJWKClient", RS256=algorithm)["claims"], sign_in()
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert claims(token)["sub"].startswith("usr_")
    for bad in damaged(token):
        try:
            claims(bad)
        except jwt.PyJWTError:
            continue
        sys.exit("PyJWT takes a damaged token")
    print(f"PyJWT verifies {algorithm} tokens")


def check_authlib():
    """Authlib's validator for RFC 9068 finds the keys by RFC 8414, takes a token as issued, and refuses another audience."""
    from authlib.oauth2.rfc6750 import InvalidTokenError
    from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
    from joserfc.jwk import KeySet

    metadata = get("/.well-known/oauth-authorization-server")
    issuer, audience = metadata["access_token_issuer"], metadata["access_token_audience"]

    class Validator(JWTBearerTokenValidator):
        def get_jwks(self):
            return KeySet.import_key_set(get(metadata["jwks_uri"].removeprefix(metadata["issuer"])))

    def validate(token, **expected):
        validator = Validator(**({"issuer": issuer, "resource_server": audience} | expected))
        validator.validate_token(validator.authenticate_token(token), None, None)

    token = sign_in()
    validate(token)
    for expected in [{"issuer": metadata["issuer"]}, {"resource_server": "elsewhere"}]:
        try:
            validate(token, **expected)
        except InvalidTokenError:
            continue
        sys.exit(f"Authlib takes a token for {expected}")
    print("Authlib takes a token as issued")


with tempfile.TemporaryDirectory() as folder:
    # The paths of the README are those of whoever starts the service where they are.
    os.chdir(folder)
    service = start("data")
    try:
        check_session(os.path.join(folder, "data"))
        check_ticker()
        check_fastapi("RS256")
        check_pyjwt("RS256")
        check_authlib()
    finally:
        service.terminate()
        service.wait()
    for algorithm in ["ES256", "EdDSA"]:
        service = start(algorithm, TOKEN_SIGNING_ALGORITHM=algorithm)
        try:
            post("/v1/auth/register", ASHA | {"name": "Asha"})
            check_fastapi(algorithm)
            check_pyjwt(algorithm)
        finally:
            service.terminate()
            service.wait()
