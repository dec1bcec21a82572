"""The sample platform beside the real service, with the edge in front of it and without."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys

import httpx
import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BINARY = pathlib.Path(os.environ.get("PORTCULLIS", ROOT / "target/debug/portcullis"))
MANAGE_USERS = BINARY.with_name("manage-users")
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
EDGE = [ROOT / "edge/worker/build/index.js", TARGET / "edge-tools/tests/node_modules/ws"]
EDGE_IS_BUILT = all(path.exists() for path in EDGE)
SERVICES = {
    "edge": ["api-key:verify", "revocation:read"],
    "portfolio": ["api-key:verify", "revocation:read"],
    "ticker": {
        "rights": ["api-key:verify", "revocation:read", "provider:report"],
        "credentials": {"brokers": ["kite"], "kind": "long_lived"},
    },
    "alerts": {
        "rights": ["api-key:verify", "revocation:read"],
        "credentials": {"brokers": ["kite"], "kind": "session", "purpose_required": True},
    },
}
TOKENS = {name: f"svc_{name}_" + "t" * 40 for name in SERVICES}
PREFIXES = {
    "portfolio": ("/v1/portfolio", "portfolio"),
    "ticker": ("/v1/market", "market"),
    "alerts": ("/v1/alerts", "strategy"),
}
PROOF_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
"""The root key, which the edge and the identity service have. Each other service has its own."""


def free_port():
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Processes:
    """Programs that are started for a test and ended after it."""

    def __init__(self):
        self.started = []

    def start(self, command, pattern, stream="stdout", **variables):
        """Start a program and return what it says that fits the pattern."""
        pipes = {stream: subprocess.PIPE}
        process = subprocess.Popen(command, env=dict(os.environ, **variables), text=True, **pipes)
        self.started.append(process)
        for line in getattr(process, stream):
            found = re.search(pattern, line)
            if found:
                return found[1]
        pytest.fail(f"{command} did not start")

    def end(self):
        for process in reversed(self.started):
            process.terminate()
        for process in reversed(self.started):
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


class Platform:
    """Where everything is, and what Asha does in her browser."""

    def __init__(self, processes, folder, with_edge):
        self.with_edge = with_edge
        self.page_port = free_port()
        self.page = f"http://localhost:{self.page_port}"
        self.broker = processes.start([sys.executable, ROOT / "tests/brokers/fake.py"], r"(http:\S+)")
        self.identity = processes.start(
            [BINARY],
            r"^Portcullis listens on (\S+)",
            DATA_DIR=str(folder),
            LISTEN_ADDR="127.0.0.1:0",
            RUST_LOG="error",
            KITE_API_URL=self.broker,
            KITE_LOGIN_URL=f"{self.broker}/connect/login",
            ALPACA_API_URL=self.broker,
            SERVICES=json.dumps(SERVICES),
            SERVICE_TOKENS=json.dumps(TOKENS),
            EDGE_PROOF_KEY=PROOF_KEY,
            ALLOWED_ORIGINS=self.page,
            ARGON2_MEMORY_KIB="64",
        )
        self.folder = folder
        keys = {name: self.proof_key(service) for name, (_, service) in PREFIXES.items()} if with_edge else {}
        self.services = {name: self.start_service(processes, name, keys.get(name)) for name in PREFIXES}
        self.edge = self.start_edge(processes) if with_edge else None
        self.http = httpx.Client(timeout=20)

    def proof_key(self, service, *arguments):
        """What an operator gives a service to check proofs with."""
        command = [MANAGE_USERS, "proof-key", service, *arguments]
        environment = dict(
            os.environ, DATA_DIR=str(self.folder), SERVICE_TOKENS=json.dumps(TOKENS), EDGE_PROOF_KEY=PROOF_KEY
        )
        printed = subprocess.run(command, env=environment, check=True, text=True, stdout=subprocess.PIPE)
        return printed.stdout.strip()

    def start_service(self, processes, name, keys):
        return processes.start(
            [sys.executable, "-m", "uvicorn", "--port", "0", "--app-dir", HERE, f"{name}:app"],
            r"running on (http:\S+)",
            "stderr",
            IDENTITY_URL=self.identity,
            SERVICE_TOKEN=TOKENS[name],
            BROKER_URL=self.broker,
            REVOCATION_POLL="0.2",
            TICK_PAUSE="0.05",
            **({"SERVICE_PROOF_KEYS": keys} if keys else {}),
        )

    def start_edge(self, processes):
        routes = [
            {"prefix": prefix, "service": service, "upstreams": [self.services[name]], "critical": True}
            for name, (prefix, service) in PREFIXES.items()
        ]
        public = ["auth", "users", "api-keys", "audit", "providers", "sessions", "trading-accounts"]
        routes += [
            {"prefix": f"/v1/{name}", "service": "identity", "upstreams": [self.identity], "public": True}
            for name in public
        ]
        return processes.start(
            ["node", HERE / "edge.js"],
            r"(http:\S+)",
            ROUTES=json.dumps(routes),
            IDENTITY_URL=self.identity,
            SERVICE_TOKEN=TOKENS["edge"],
            EDGE_PROOF_KEY=PROOF_KEY,
            ALLOWED_ORIGINS=self.page,
        )

    def url(self, path):
        """Where a client finds a path."""
        found = [self.services[name] for name, (prefix, _) in PREFIXES.items() if path.startswith(prefix)]
        return (self.edge or (found[0] if found else self.identity)) + path

    def call(self, method, path, body=None, *, token=None, key=None, headers=None):
        given = dict(headers or {})
        if token:
            given["authorization"] = f"Bearer {token}"
        if key:
            given["x-api-key"] = key
        return self.http.request(method, self.url(path), json=body, headers=given)

    def control(self, **changes):
        httpx.post(f"{self.broker}/_control", json=changes).raise_for_status()


@pytest.fixture(scope="session", params=["feed", "edge"])
def platform(request, tmp_path_factory):
    if not BINARY.exists():
        pytest.fail(f"{BINARY} is missing: cargo build --workspace --all-targets --all-features")
    if request.param == "edge" and not EDGE_IS_BUILT:
        # Where changes are judged nothing is skipped.
        (pytest.fail if "CI" in os.environ else pytest.skip)("the edge worker is not built: tests/edge/run builds it")
    processes = Processes()
    try:
        platform = Platform(processes, tmp_path_factory.mktemp(request.param), request.param == "edge")
        yield platform
        platform.http.close()
    finally:
        processes.end()
