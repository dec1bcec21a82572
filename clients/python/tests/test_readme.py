"""What the README shows can be run as it is shown."""

import pathlib
import re

import pytest
from fastapi.testclient import TestClient
from portcullis import Frozen, ServiceClient, errors
from portcullis.fastapi import Portcullis

README = (pathlib.Path(__file__).resolve().parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("SERVICE_TOKEN", "svc_" + "t" * 40)
    monkeypatch.setenv("SERVICE_PROOF_KEYS", "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")


def run(word):
    [code] = [block for block in BLOCKS if word in block]
    scope = {}
    exec(compile(code, "README.md", "exec"), scope)
    return scope


def test_the_first_ten_lines_are_a_service_that_refuses_strangers():
    with TestClient(run("/portfolio")["app"]) as client:
        assert client.get("/portfolio").json()["code"] == "authentication_required"
        assert client.get("/docs").status_code == 200
    [code] = [block for block in BLOCKS if "/portfolio" in block]
    assert len([line for line in code.splitlines() if line and not line.startswith(("from", "import"))]) <= 10


def test_every_other_block_runs():
    assert run("Revocations")["verifier"] and isinstance(run("SeenHere")["portcullis"], Portcullis)
    assert TestClient(run("/ticks")["app"])
    assert run("SeenInRedis")["behind_the_edge"]("1:" + "A" * 43, redis=None).may_wait
    assert callable(run("def open_stream")["open_stream"])


def test_a_frozen_account_is_told_apart(monkeypatch):
    def frozen(*_, **__):
        raise Frozen(403, "credentials_frozen", "…")

    monkeypatch.setattr(ServiceClient, "credentials", frozen)
    assert run("def open_stream")["open_stream"]("acc_1") == "the owner stopped all trading"


def test_every_code_and_error_that_it_names_is_one():
    named = set(re.findall(r"^\| `([A-Z]\w+)`", README, re.MULTILINE))
    assert {"Frozen", "ReauthorisationNeeded", "AccountDisabled"} <= named
    assert all(issubclass(getattr(errors, name), errors.ApiError) for name in named)
    for method in re.findall(r"`(\w+)\(", README.partition("## Ask as a service")[2]):
        assert hasattr(ServiceClient, method) or method == "open", method
