"""Accounts of older systems: hashes made by passlib, Werkzeug, Django and argon2-cffi themselves, at the cost these
libraries choose, are imported beside a running service; their owners sign in, and the hash is ours from then on."""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import argon2
from django.conf import settings

settings.configure()
from django.contrib.auth import hashers as django
from passlib import hash as passlib
from werkzeug.security import generate_password_hash as werkzeug

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PASSWORD = "copper lantern drifts upstream"


def of_django(hasher):
    return hasher.encode(PASSWORD, hasher.salt())


HASHES = {
    "django-pbkdf2": of_django(django.PBKDF2PasswordHasher()),
    "django-pbkdf2-sha1": of_django(django.PBKDF2SHA1PasswordHasher()),
    "django-bcrypt": of_django(django.BCryptPasswordHasher()),
    "django-bcrypt-sha256": of_django(django.BCryptSHA256PasswordHasher()),
    "django-scrypt": of_django(django.ScryptPasswordHasher()),
    "django-argon2": of_django(django.Argon2PasswordHasher()),
    "werkzeug-default": werkzeug(PASSWORD),
    "werkzeug-scrypt": werkzeug(PASSWORD, "scrypt"),
    "werkzeug-pbkdf2": werkzeug(PASSWORD, "pbkdf2"),
    "werkzeug-pbkdf2-sha512": werkzeug(PASSWORD, "pbkdf2:sha512:250000"),
    "passlib-pbkdf2": passlib.pbkdf2_sha256.hash(PASSWORD),
    "passlib-pbkdf2-sha512": passlib.pbkdf2_sha512.hash(PASSWORD),
    "passlib-scrypt": passlib.scrypt.hash(PASSWORD),
    "passlib-bcrypt": passlib.bcrypt.hash(PASSWORD),
    "passlib-argon2": passlib.argon2.hash(PASSWORD),
    "argon2-cffi-id": argon2.PasswordHasher().hash(PASSWORD),
    "argon2-cffi-i": argon2.PasswordHasher(type=argon2.Type.I).hash(PASSWORD),
}


def start(folder):
    environment = dict(os.environ, DATA_DIR=folder, LISTEN_ADDR="127.0.0.1:0", RUST_LOG="error")
    service = subprocess.Popen([TARGET / "debug/portcullis"], env=environment, stdout=subprocess.PIPE, text=True)
    for line in service.stdout:
        if line.startswith("Portcullis listens on "):
            return service, line.split()[-1]
    sys.exit("the service did not start")


def manage(folder, *arguments):
    command = [TARGET / "debug/manage-users", "--json", *arguments]
    environment = dict(os.environ, DATA_DIR=folder)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def login(url, username, password):
    body = json.dumps({"username": username, "password": password}).encode()
    request = urllib.request.Request(url + "/v1/auth/login", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def stored_hashes(folder):
    status, out, err = manage(folder, "export", "--with-hashes")
    assert status == 0, err
    return {row["username"]: row["password_hash"] for row in map(json.loads, out.splitlines())}


def check(folder, url):
    rows = [{"username": name, "password_hash": text} for name, text in HASHES.items()]
    lines, table = pathlib.Path(folder, "users.jsonl"), pathlib.Path(folder, "users.csv")
    half = len(rows) // 2
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows[:half]))
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["username", "password_hash"])
        writer.writeheader()
        writer.writerows(rows[half:])
    for path, count in [(lines, half), (table, len(rows) - half)]:
        for imported, present in [(count, 0), (0, count)]:
            status, out, err = manage(folder, "import", str(path))
            assert status == 0, err
            assert json.loads(out) == {"dry_run": False, "imported": imported, "present": present, "refused": []}, out
    assert stored_hashes(folder) == HASHES
    for name, text in HASHES.items():
        assert login(url, name, PASSWORD[:-1]) == 401, name
        assert stored_hashes(folder)[name] == text, f"{name}: a wrong password changed the hash"
        assert login(url, name, PASSWORD) == 200, name
        ours = stored_hashes(folder)[name]
        assert ours.startswith("$argon2id$v=19$m=19456,t=2,p=1$") and ours != text, (name, ours)
        assert login(url, name, PASSWORD) == 200, name
    status, out, err = manage(folder, "audit", "verify")
    assert status == 0 and json.loads(out)["whole"], (out, err)
    print(f"{len(HASHES)} kinds of hashes were imported, met and replaced")


with tempfile.TemporaryDirectory() as parent:
    data = os.path.join(parent, "data")
    service, url = start(data)
    try:
        check(data, url)
    finally:
        service.terminate()
        service.wait()
