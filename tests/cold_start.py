"""How long a function takes from the start of its process to its first poll of the Runtime API, and how large it is.

    cargo build --profile function --bins --all-features -p portcullis-login ...   (as infra/build does)
    tests/cold_start.py [runs]

The Runtime API, the table and the secrets are answered by this script on loopback, without TLS and without delay, so the
time is that of the function itself: settings, keys, threads, two calls. A Node handler that only polls stands beside it.
"""

import http.server
import io
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import threading
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARIES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "function"
RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
NODE = (
    "require('http').get({host: '127.0.0.1', port: process.env.AWS_LAMBDA_RUNTIME_API.split(':')[1], "
    "path: '/2018-06-01/runtime/invocation/next'})"
)

polled = threading.Event()
polled_at = 0.0
signing_key = subprocess.run(
    ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], capture_output=True, text=True, check=True
).stdout
secret = json.dumps({"SESSION_SECRET_KEY": "x" * 64, "TOKEN_SIGNING_KEY": {"current": signing_key}})


class Cloud(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        global polled_at
        polled_at = time.perf_counter()
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


def start(command, address):
    """Milliseconds until the first poll, and of processor time until then."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_LAMBDA_FUNCTION_NAME": "test",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_ENDPOINT_URL": f"http://{address}",
        "AWS_REGION": "ap-south-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "TABLE_NAME": "test",
        "AWS_SECRET_NAME": "test",
    }
    polled.clear()
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if not polled.wait(10):
        process.kill()
        sys.exit(f"{command[0]} did not poll:\n{process.stdout.read().decode()}")
    process.kill()
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = -9
    return (polled_at - began) * 1_000, (used.ru_utime + used.ru_stime) * 1_000


def zipped(path):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(path, "bootstrap")
    return len(memory.getvalue())


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"127.0.0.1:{server.server_address[1]}"
functions = sorted(BINARIES.glob("*-function"))
if not functions:
    sys.exit("nothing is built yet; see the top of this file")
commands = {path.name: [str(path)] for path in functions}
if shutil.which("node"):
    commands["node, a handler that only polls"] = ["node", "-e", NODE]
# One after the other in every round, so that whatever else the machine does meets all alike.
times = {name: [] for name in commands}
for _ in range(RUNS):
    for name, command in commands.items():
        times[name].append(start(command, address))
print(f"| function | zipped | start to first poll, median of {RUNS} | fastest | processor time |\n|---|---|---|---|---|")
for name, command in commands.items():
    size = f"{zipped(command[0]) / 1e6:.2f} MB" if name.endswith("-function") else "–"
    waited, used = zip(*times[name])
    print(
        f"| {name} | {size} | {statistics.median(waited):.1f} ms | {min(waited):.1f} ms "
        f"| {statistics.median(used):.1f} ms |"
    )
