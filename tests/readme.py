"""Runs what the README and the pages show: the sessions with curl and manage-users, the services that read credentials and
verify tokens in Python and in Node, PyJWT alone, and a validator of RFC 9068."""

import base64
import concurrent.futures
import hmac
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
# Sessions are one story: each page goes on where the one before ended.
SESSIONS = [
    "functions/API.md",
    "functions/BROKERS.md",
    "functions/programs/manage-users/README.md",
    "functions/programs/manage-users/MIGRATE.md",
    "functions/APPROVALS.md",
]
PAGES = ["README.md", "clients/README.md", *SESSIONS]
TEXTS = {page: (ROOT / page).read_text() for page in PAGES}
# What people of MIGRATE.md have as a password, in every system they come from.
OLD_PASSWORD = "copper lantern"
# The package as it lies here; tests/clients/python tries it as it is installed.
sys.path.insert(0, str(ROOT / "clients/python/src"))
# Values that differ from run to run.
VARYING = [
    (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "eyJ…"),
    (r"rt_usr_\w+\.ses_\w+\.\d+\.\d+\.[\w-]+\.[\w-]+", "rt_…"),
    (r"(usr|ses|acc|apr)_[0-9a-f]{32}", r"\1_…"),
    (r'"details_digest":"[\w-]{43}"', '"details_digest":"…"'),
    (r'"order_tag":"[0-9a-f]{20}"', '"order_tag":"…"'),
    (r'the folder "[^"]*"', 'the folder "…"'),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "…Z"),
]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXTS[page], re.M | re.S)


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


def commands_of(page):
    """Returns the commands of a page, each with what it prints."""
    commands = []
    for line in "".join(blocks(page, "console")).splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif commands[-1][0].endswith("\\"):
            commands[-1] = (f"{commands[-1][0]}\n{line}", [])
        else:
            commands[-1][1].append(line)
    return commands


def runnable(command):
    """Returns a command as it is run here: what it calls is built already, and lies where this repository lies."""
    command = command.replace("cargo run -q --bin manage-users --", str(TARGET / "debug/manage-users"))
    return command.replace("functions/programs/manage-users/convert-accounts", f"{ROOT}/functions/programs/manage-users/convert-accounts")


def check_sessions(folder):
    """Every `$ ` line is run in one shell; what follows it is what it prints."""
    commands = [(page, *command) for page in SESSIONS for command in commands_of(page)]
    # What a command complains of is shown as well; a refusal is part of the story.
    script = "".join(f"{{ {runnable(command)}\n}} 2>&1 || true\nprintf '\\n%s\\n' ----\n" for _, command, _ in commands)
    environment = dict(os.environ, DATA_DIR=folder)
    run = subprocess.run(["bash"], input=script, env=environment, capture_output=True, text=True, check=True)
    outputs = run.stdout.split("\n----\n")
    if len(outputs) != len(commands) + 1:
        sys.exit(f"{len(commands)} commands, and the shell ended after {len(outputs) - 1}: {run.stderr}")
    for (page, command, wanted), got in zip(commands, outputs):
        wanted, got = plain("\n".join(wanted)), plain(got)
        if wanted != got:
            sys.exit(f"{page} differs at: {command}\n  written: {wanted}\n  printed: {got}")
    print(f"{len(commands)} commands print what the pages say")


ASHA = {"email": "asha@example.com", "password": "marble orchard whispers northward"}


def post(path, body):
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://localhost:8001{path}", json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(request))


def get(path):
    return json.load(urllib.request.urlopen(f"http://localhost:8001{path}"))


def sign_in(person=ASHA):
    return post("/v1/auth/login", person)["access_token"]


def check_migrated():
    """Whoever came from another system signs in with the password they had there."""
    for name in ["meera", "meera@example.com", "nikhil", "sara", "ravi@example.com", "lena@example.com", "tanvi@example.com"]:
        sign_in({"email" if "@" in name else "username": name, "password": OLD_PASSWORD})
    for name, password in [("meera@example.com", OLD_PASSWORD[:-1]), ("omar@example.com", OLD_PASSWORD)]:
        try:
            sign_in({"email": name, "password": password})
        except urllib.error.HTTPError as error:
            assert error.code == 401, name
        else:
            sys.exit(f"{name} signs in with a wrong password, or disabled")
    print("people of other systems sign in with their passwords")


def run_blocks(page, *words, **replacements):
    """Runs the Python block of a page for each word that it contains, and returns what they define."""
    scope = {}
    for word in words:
        [code] = [block for block in blocks(page, "python") if word in block]
        for old, new in replacements.items():
            code = code.replace(f'["{old}"]', f'["{new}"]')
        exec(compile(code, page, "exec"), scope)
    return scope


def check_ticker():
    """The function gets what was linked; a token that is not the ticker's gets nothing."""
    from portcullis import ServiceTokenRejected

    page = "functions/BROKERS.md"
    scope = run_blocks(page, "broker_credentials", "def trail")
    account = pathlib.Path("alpaca-account").read_text().strip()
    credentials = scope["broker_credentials"](account)
    assert credentials.user_id_broker == "PA3ASHA0001" and "alpacasecret" not in repr(credentials), credentials
    assert credentials.api_secret.open() == "alpacasecretofasha"
    [shown] = re.findall(r"^# (\[\(.credentials_read.*)$", TEXTS[page], re.M)
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


def totp(secret, steps=0):
    """The code of an authenticator app (RFC 6238), so many half minutes from now."""
    mac = hmac.digest(base64.b32decode(secret), (int(time.time()) // 30 + steps).to_bytes(8, "big"), "sha1")
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def check_approvals(algorithm):
    """What the page has in Python: a program waits for a person, who approves, and is given the tag once."""
    from portcullis import ServiceClient

    page, token = "functions/APPROVALS.md", sign_in()

    def as_asha(path, body=None):
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        data = None if body is None else json.dumps(body).encode()
        return json.load(urllib.request.urlopen(urllib.request.Request(f"http://localhost:8001{path}", data, headers)))

    scope = run_blocks(page, "def place", "def was_approved", RS256=algorithm)
    secret = as_asha("/v1/mfa/totp/setup", {})["secret"]
    backup = as_asha("/v1/mfa/totp/enable", {"code": totp(secret, -1)})["backup_codes"]
    order = {"type": "order", "account_id": pathlib.Path("account").read_text().strip(), "exchange": "NSE", "symbol": "INFY"}
    order |= {"side": "sell", "quantity": "5", "order_type": "market"}
    user_id = as_asha("/v1/users/me")["user_id"]
    service = json.loads(pathlib.Path("data/keys/service-tokens.json").read_text())["trading"][0]
    with ServiceClient("http://localhost:8001", service) as client, concurrent.futures.ThreadPoolExecutor() as pool:
        placing = pool.submit(scope["place"], client, user_id, order)
        while not (waiting := as_asha("/v1/approvals?status=pending")["items"]):
            assert not placing.done(), placing.result()
        path = f"/v1/approvals/{waiting[0]['approval_id']}/decide"
        decided = as_asha(path, {"decision": "approve", "code": totp(secret)})
        assert placing.result() == waiting[0]["order_tag"]
    assert scope["was_approved"](decided["approval_token"], order)
    assert not scope["was_approved"](decided["approval_token"], order | {"quantity": "6"})
    as_asha("/v1/mfa/totp/disable", {"password": ASHA["password"], "code": backup[0]})
    print("a program places what a person approved, once")


def damaged(token):
    """The token with another signature, with one character more, and something else altogether."""
    return [token[:-8] + "AAAAAAAA", token + "x", "nonsense"]


def check_fastapi(algorithm):
    """The service accepts a fresh token of this algorithm and refuses a damaged one and none."""
    scope = run_blocks("README.md", "FastAPI", RS256=algorithm)
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

    claims, token = run_blocks("clients/README.md", "PyJWKClient", RS256=algorithm)["claims"], sign_in()
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert claims(token)["sub"].startswith("usr_")
    for bad in damaged(token):
        try:
            claims(bad)
        except jwt.PyJWTError:
            continue
        sys.exit("PyJWT takes a damaged token")
    print(f"PyJWT verifies {algorithm} tokens")


def node_packages():
    """Returns a folder with what the blocks in JavaScript import, installed once."""
    folder, wanted = TARGET / "integrations", (ROOT / "tests/integrations/package.json").read_text()
    kept = folder / "installed.json"
    if not kept.is_file() or kept.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(wanted)
        quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "install", *quiet], cwd=folder, check=True)
        kept.write_text(wanted)
    return folder


def check_node(algorithm):
    """The Express service and the route of Next answer as `tests/integrations/check.js` wants it, also without keys."""
    folder = node_packages()
    for keys in ["localhost:8001", "localhost:1"]:
        express, route = (code.replace("localhost:8001", keys) for code in blocks("clients/README.md", "js"))
        for path, code in {"lib/caller.js": express.replace('"RS256"', f'"{algorithm}"'), "app/portfolio/route.js": route}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(code)
        shutil.copy(ROOT / "tests/integrations/check.js", folder)
        good = "200" if keys == "localhost:8001" else "503"
        subprocess.run(["node", "check.js", good, sign_in()], cwd=folder, check=True)
    print(f"the Express service and the route of Next verify {algorithm} tokens")


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
    # The paths of the pages are those of whoever starts the service where they are.
    shutil.copytree(ROOT / "tests/exports", folder, dirs_exist_ok=True)
    os.chdir(folder)
    service = start("data")
    try:
        check_sessions(os.path.join(folder, "data"))
        check_migrated()
        check_ticker()
        check_approvals("RS256")
        check_fastapi("RS256")
        check_pyjwt("RS256")
        check_node("RS256")
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
            check_node(algorithm)
        finally:
            service.terminate()
            service.wait()
