"""How long a function takes from the start of its process to its first poll of the Runtime API, and how large it is.

    infra/build x86_64            (or whatever this machine is)
    tests/cold_start.py [runs]    (writes its table into infra/STARTS.md)

The Runtime API is that of Lambda's own runtime interface emulator, from the SAM command line that tests/run installs; what
it reports as the duration of INIT is the time meant. Table and secrets are answered by this script on loopback, without TLS
and without delay, so the time is that of the function itself: settings, keys, threads, two calls. A Node handler that only
polls stands beside it. Processor time, which a busy machine disturbs less, is counted in starts of their own.
"""

import base64
import http.server
import io
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
MACHINE = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
PAGE = ROOT / "infra/STARTS.md"
TEMPLATE = ROOT / "infra/template.yaml"
NODE_NAME = "Node, a handler that only polls"
BEGINS, ENDS = "<!-- measured -->\n", "<!-- end -->"
NODE = """#!/usr/bin/env node
const http = require('http')
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':')
const invocation = '/2018-06-01/runtime/invocation/'
const poll = () => http.get({host, port, path: invocation + 'next'}, (next) => {
  next.resume()
  const path = invocation + next.headers['lambda-runtime-aws-request-id'] + '/response'
  next.on('end', () => http.request({host, port, path, method: 'POST'}, (told) => told.resume().on('end', poll)).end('{}'))
})
poll()
"""
EVENT = json.dumps(
    {
        "version": "2.0",
        "rawPath": "/",
        "headers": {},
        "requestContext": {"stage": "$default", "http": {"method": "GET", "path": "/", "sourceIp": "192.0.2.7"}},
        "isBase64Encoded": False,
    }
).encode()

polled = threading.Event()


def signing_key():
    command = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def public_key(kid, private):
    """The public half of a key as a rotation writes it down for functions that sign nothing."""

    def openssl(*arguments):
        return subprocess.run(["openssl", *arguments], input=private.encode(), capture_output=True, check=True).stdout

    def base64url(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    modulus = bytes.fromhex(openssl("rsa", "-noout", "-modulus").decode().strip().partition("=")[2])
    jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": base64url(modulus), "e": "AQAB"}
    return {"jwk": jwk, "public": base64url(openssl("pkey", "-pubout", "-outform", "DER"))}


signing_keys = {name: signing_key() for name in ("current", "next", "previous")}

# As it is after the second rotation, when there is most to parse. Every function reads the secrets of its purposes; each of
# them holds everything here.
secret = json.dumps(
    {
        "TOKEN_VERIFICATION_KEYS": json.dumps([public_key(name, key) for name, key in signing_keys.items()]),
        "SESSION_SECRET_KEY": {name: name * 16 for name in ("current", "next", "previous")},
        "PORTFOLIO_API_KEY_SECRET": "x" * 64,
        "SERVICE_TOKENS": json.dumps({"ticker": ["y" * 43]}),
        "TOKEN_SIGNING_KEY": signing_keys,
    }
)


class Cloud(http.server.BaseHTTPRequestHandler):
    """The table, Secrets Manager, and a Runtime API that never has anything to do."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        polled.set()
        time.sleep(5)

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "GetSecretValue" in self.headers["x-amz-target"]:
            answer = {"SecretString": secret, "VersionId": request["VersionStage"]}
        else:
            answer = {}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/x-amz-json-1.0")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
cloud = f"127.0.0.1:{server.server_address[1]}"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "AWS_LAMBDA_FUNCTION_NAME": "test",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_ENDPOINT_URL": f"http://{cloud}",
    "AWS_REGION": "ap-south-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "TABLE_NAME": "test",
    "AWS_SECRET_NAME": "test",
    "KMS_KEY_ID": "test",
    "MAIL_FROM": "auth@example.com",
}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def under_the_emulator(emulator, command, handler):
    """Milliseconds of INIT."""
    front, api = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    addresses = ["--runtime-interface-emulator-address", front, "--runtime-api-address", api]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [emulator, "--log-level", "info", *addresses, command, handler], env=ENVIRONMENT, stdout=log, stderr=log
        )
        try:
            url = f"http://{front}/2015-03-31/functions/function/invocations"
            for _ in range(200):
                try:
                    urllib.request.urlopen(url, EVENT, timeout=20).read()
                    break
                except urllib.error.HTTPError:
                    break  # A function that wants another event than a request says so, once it has started.
                except urllib.error.URLError:
                    time.sleep(0.02)
        finally:
            process.terminate()
            process.wait()
        log.seek(0)
        text = log.read().decode()
    found = re.search(r"INIT REPORT\(durationMs: ([0-9.]+)\)", text)
    if not found or "INIT RTDONE(status: success)" not in text:
        sys.exit(f"{handler} did not start:\n{text}")
    return float(found[1])


def processor_time(command, handler):
    """Milliseconds of processor time until the first poll."""
    polled.clear()
    environment = ENVIRONMENT | {"AWS_LAMBDA_RUNTIME_API": cloud, "_HANDLER": handler}
    process = subprocess.Popen([command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if not polled.wait(20):
        process.kill()
        sys.exit(f"{handler} did not poll:\n{process.stdout.read().decode()}")
    process.kill()
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = -9
    return (used.ru_utime + used.ru_stime) * 1_000


def zipped(path):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(path, "bootstrap")
    return len(memory.getvalue())


emulators = sorted(TARGET.glob(f"tools/aws-sam-cli/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{MACHINE}"))
if not emulators:
    sys.exit("there is no runtime interface emulator; tests/run installs it with the SAM command line")
bootstrap = TARGET / "lambda/bootstrap/bootstrap"
if not bootstrap.exists():
    sys.exit("nothing is built yet; see the top of this file")
with tempfile.TemporaryDirectory() as folder:
    emulator = pathlib.Path(folder, "emulator")
    shutil.copy(emulators[0], emulator)
    emulator.chmod(0o755)
    node = pathlib.Path(folder, "node")
    node.write_text(NODE)
    node.chmod(0o755)
    handlers = re.findall(r"^      Handler: (\S+)$", TEMPLATE.read_text(), re.M)
    commands = {handler: bootstrap for handler in sorted(handlers)} | {NODE_NAME: node}
    # One after the other in every round, so that whatever else the machine does meets all alike.
    waited, used = {name: [] for name in commands}, {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            waited[name].append(under_the_emulator(emulator, command, name))
            used[name].append(processor_time(command, name))
    lines = ["| function | start to first poll, median | fastest | processor time, median |\n", "|---|---|---|---|\n"]
    for name, command in commands.items():
        lines.append(
            f"| {name} | {statistics.median(waited[name]):.1f} ms | {min(waited[name]):.1f} ms "
            f"| {statistics.median(used[name]):.1f} ms |\n"
        )
version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
load = f"{os.cpu_count()} cores with a load of {os.getloadavg()[0]:.1f}"
size = f"{zipped(bootstrap) / 1e6:.2f} MB zipped"
lines.append(f"\nOne executable for all of them, {size}. {RUNS} starts of each, {MACHINE}, {load}, Node {version}.\n")
page = PAGE.read_text()
before, rest = page.split(BEGINS)
PAGE.write_text(before + BEGINS + "".join(lines) + ENDS + rest.split(ENDS)[1])
print("".join(lines), end="")
