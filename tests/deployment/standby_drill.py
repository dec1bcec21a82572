"""The drill of infra/STANDBY.md, as far as one machine can play it: a server with everything of a first Region is killed, and one with
replicas of its keys and secrets goes on in another Region.

    tests/with-cloud PYTHON tests/deployment/standby_drill.py       on what `cargo build --workspace --all-features --all-targets` built

The replicas are those of moto. DynamoDB Local has one table for all Regions, so that replication takes no time here; what had not
arrived when a Region was lost is put back as it was.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import boto3
import botocore

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path(__file__).resolve().parents[2] / "target")).resolve()
FIRST, SECOND = "ap-south-1", "ap-south-2"
TABLE, SECRET = "portcullis-drill", "portcullis/drill"
ONCE = botocore.config.Config(retries={"total_max_attempts": 1})
PASSWORD = "copper lantern drifts upstream"
# The files that `make-keys` makes, the names of what is in them, and the secrets that they are parts of on AWS.
KEYS = {
    "session-secret-key": ("SESSION_SECRET_KEY", "/sessions"),
    "api-key-secret": ("PORTFOLIO_API_KEY_SECRET", "/records"),
    "service-tokens.json": ("SERVICE_TOKENS", "/services"),
    "token-signing-key.pem": ("TOKEN_SIGNING_KEY", "/signing"),
    "edge-proof-key": ("EDGE_PROOF_KEY", ""),
}


def replicated_keys():
    """Two keys of the first Region with their replicas; returns the ARNs by Region, those of the keys of brokers last."""
    arns = {FIRST: [], SECOND: []}
    for _ in range(2):
        # A plain key: what moto seals with keys of several Regions, whose ids are longer, it does not open. It replicates a plain one, too,
        # but fails to say so.
        made = boto3.client("kms", FIRST).create_key()["KeyMetadata"]
        with contextlib.suppress(botocore.exceptions.ClientError):
            boto3.client("kms", FIRST, config=ONCE).replicate_key(KeyId=made["KeyId"], ReplicaRegion=SECOND)
        there = boto3.client("kms", SECOND).list_keys()["Keys"]
        assert made["KeyId"] in {key["KeyId"] for key in there}, there
        arns[FIRST].append(made["Arn"])
        arns[SECOND].append(made["Arn"].replace(FIRST, SECOND))
    return arns


def replicated_secrets(folder, arns):
    """The secrets of a deployment, each replicated under the replica of its key."""
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run([TARGET / "debug/portcullis", "make-keys", folder / "keys"], env=environment, check=True, capture_output=True)
    for file, (name, part) in KEYS.items():
        text = json.dumps({name: (folder / "keys" / file).read_text().strip()})
        replica = [{"Region": SECOND, "KmsKeyId": arns[SECOND][0]}]
        boto3.client("secretsmanager", FIRST).create_secret(Name=f"{SECRET}{part}", SecretString=text, AddReplicaRegions=replica)
        there = boto3.client("secretsmanager", SECOND).get_secret_value(SecretId=f"{SECRET}{part}")
        assert there["SecretString"] == text and f":{SECOND}:" in there["ARN"], there["ARN"]


class Region:
    """A server in one Region."""

    def __init__(self, name, keys, folder):
        self.variables = os.environ | {
            "AWS_REGION": name,
            "STORE": "dynamodb",
            "TABLE_NAME": TABLE,
            "CREATE_TABLE": "true",
            "SECRETS_PROVIDER": "aws",
            "AWS_SECRET_NAME": SECRET,
            "KMS_KEY_ID": keys[0],
            "BROKER_KMS_KEY_ID": keys[1],
            "DATA_DIR": str(folder / name),
            "RUST_LOG": "error",
            "CALL_TIMEOUT_MS": "4000",
        }
        serving = self.variables | {"LISTEN_ADDR": "127.0.0.1:0", "PUBLIC_URL": "https://auth.example.com"}
        self.server = subprocess.Popen([TARGET / "debug/portcullis"], env=serving, stdout=subprocess.PIPE, text=True)
        for line in self.server.stdout:
            if line.startswith("Portcullis listens on "):
                self.url = line.split()[-1]
                return
        sys.exit(f"the server in {name} did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.kill()

    def call(self, path, body=None, token=None, method="POST"):
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers, method=method), timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def manage(self, *command):
        done = subprocess.run([TARGET / "debug/manage-users", *command], env=self.variables, capture_output=True, text=True)
        assert done.returncode == 0, done
        return done.stdout


def code_of(secret, at):
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", at // 30), hashlib.sha1).digest()
    place = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[place : place + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def password_of(person):
    return {"email": f"{person}@example.com", "password": PASSWORD, "token_delivery": "body"}


def registered(region, person):
    assert region.call("/v1/auth/register", {"email": f"{person}@example.com", "password": PASSWORD, "name": person})[0] == 201
    status, session = region.call("/v1/auth/login", password_of(person))
    assert status == 200, session
    return session


def rows(partition):
    table = boto3.resource("dynamodb", FIRST, endpoint_url=os.environ["AWS_ENDPOINT_URL_DYNAMODB"]).Table(TABLE)
    return table, [item for item in table.scan()["Items"] if item["pk"].startswith(partition)]


def before_the_loss(first):
    """Asha has a second factor, which is sealed; Bela's last refresh does not arrive in the other Region."""
    asha, bela = registered(first, "asha"), registered(first, "bela")
    token = asha["access_token"]
    secret = first.call("/v1/mfa/totp/setup", token=token)[1]["secret"]
    now = int(time.time())
    status, enabled = first.call("/v1/mfa/totp/enable", {"code": code_of(secret, now - 30)}, token)
    assert status == 200, enabled
    table, [*sessions] = rows(f"SESSIONS#{bela['user']['user_id']}")
    status, refreshed = first.call("/v1/auth/refresh", {"refresh_token": bela["refresh_token"]})
    assert status == 200 and refreshed["refresh_token"] != bela["refresh_token"], refreshed
    assert sessions, "there is a session to take back"
    return asha, secret, refreshed, (table, sessions)


def after_the_move(second, asha, secret, ahead):
    """Everybody goes on where they were; whoever is ahead of what arrived signs in again, and nobody is taken for a thief."""
    assert second.call("/v1/users/me", token=asha["access_token"], method="GET")[0] == 200, "a token of the first Region"
    status, asked = second.call("/v1/auth/login", password_of("asha"))
    assert (status, asked["status"]) == (200, "mfa_required"), asked
    finish = {"session_token": asked["session_token"], "code": code_of(secret, int(time.time()))}
    status, session = second.call("/v1/auth/mfa/verify", finish)
    assert (status, session["status"]) == (200, "authenticated"), session
    status, refused = second.call("/v1/auth/refresh", {"refresh_token": ahead["refresh_token"]})
    assert (status, refused["code"]) == (401, "invalid_refresh_token"), refused
    assert second.call("/v1/auth/login", password_of("bela"))[0] == 200
    events = second.manage("audit", "search", "--columns", "type", "--no-headers")
    assert "login" in events and "reuse" not in events, events
    assert json.loads(second.manage("audit", "verify", "--json"))["whole"] is True


def without_a_replica(folder, secret):
    """A key of one Region opens nothing that another one sealed: what the replicas are for."""
    lone = boto3.client("kms", SECOND).create_key()["KeyMetadata"]["Arn"]
    with Region(SECOND, [lone, lone], folder) as third:
        asked = third.call("/v1/auth/login", password_of("asha"))[1]
        finish = {"session_token": asked["session_token"], "code": code_of(secret, int(time.time()) + 30)}
        status, refused = third.call("/v1/auth/mfa/verify", finish)
        assert status >= 500, (status, refused)


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        arns = replicated_keys()
        replicated_secrets(folder, arns)
        with Region(FIRST, arns[FIRST], folder) as first:
            asha, secret, ahead, (table, sessions) = before_the_loss(first)
        for row in sessions:
            table.put_item(Item=row)
        with Region(SECOND, arns[SECOND], folder) as second:
            after_the_move(second, asha, secret, ahead)
        without_a_replica(folder, secret)
    print("a second Region goes on where the first was lost")


if __name__ == "__main__":
    main()
