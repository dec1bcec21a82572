"""Roles, scopes and permissions, decided as the service decides them."""

import json
import pathlib

import pytest
from portcullis import Caller, Decision, Grant, Permission, Policy, PolicyError

ROOT = pathlib.Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "edge/verifier/src/default_policy.json"


def caller(*roles, scopes=None):
    grants = None if scopes is None else tuple(Grant.parse(scope) for scope in scopes)
    return Caller(user_id="usr_1", roles=roles, method="access_token" if scopes is None else "api_key", scopes=grants)


def decide(who, permission, policy=None):
    return (policy or Policy()).decide(who, Permission.parse(permission))


def test_the_policy_that_ships_is_that_of_the_service():
    copy = pathlib.Path(__file__).parents[1] / "src/portcullis/default_policy.json"
    assert copy.read_bytes() == SHIPPED.read_bytes()


def test_roles_and_what_they_inherit():
    assert decide(caller("user"), "portfolio:read") is Decision.GRANTED, "by way of viewer"
    assert decide(caller("viewer"), "mfa:setup") is Decision.NOT_GRANTED_BY_ROLES
    assert decide(caller("guest", "trading"), "trading:place") is Decision.GRANTED
    assert decide(caller("admin"), "anything:whatever") is Decision.GRANTED
    assert decide(caller(), "portfolio:read") is Decision.NOT_GRANTED_BY_ROLES
    assert decide(caller("made-up"), "portfolio:read") is Decision.NOT_GRANTED_BY_ROLES


def test_a_key_gets_no_further_than_its_owner_and_its_scopes():
    assert decide(caller("user", scopes=["market:read"]), "market:read") is Decision.GRANTED
    assert decide(caller("user", scopes=["market:read"]), "portfolio:read") is Decision.OUTSIDE_SCOPES
    assert decide(caller("user", scopes=["*:read"]), "portfolio:read") is Decision.GRANTED
    assert decide(caller("user", scopes=["trading:*"]), "trading:place") is Decision.NOT_GRANTED_BY_ROLES
    assert decide(caller("user", scopes=[]), "market:read") is Decision.OUTSIDE_SCOPES
    for resource in ["api-key", "mfa", "password", "session"]:
        decision = decide(caller("admin", scopes=["*:*"]), f"{resource}:change")
        assert decision is Decision.NEVER_WITH_API_KEY


@pytest.mark.parametrize(
    "text", ["", "a", "a:", ":b", "a:b:c", "A:b", "a: b", "a:b ", "*:*", "a:*", "2a:b", "a:b\n", "é:b"]
)
def test_what_nobody_can_ask_for(text):
    with pytest.raises(ValueError, match="resource:action"):
        Permission.parse(text)


def test_what_a_grant_covers():
    def covers(grant, permission):
        return Grant.parse(grant).covers(Permission.parse(permission))

    assert covers("orders:place", "orders:place") and not covers("order:place", "orders:place")
    assert (
        covers("orders:*", "orders:cancel") and covers("*:read", "orders:read") and not covers("*:read", "orders:place")
    )
    for text in ["", "a", "a:b:c", "**:a", "a:p*", "A:*"]:
        with pytest.raises(ValueError, match="grants nothing"):
            Grant.parse(text)


ROLES = {"user": {}, "admin": {}}


@pytest.mark.parametrize(
    ("document", "blamed"),
    [
        ("[]", "no JSON object"),
        ("{", "no JSON object"),
        ('{"user":{},"user":{},"admin":{}}', "no JSON object"),
        (json.dumps({"user": {}}), "'admin': is missing"),
        (json.dumps(ROLES | {"A": {}}), "'A': a name"),
        (json.dumps(ROLES | {"a": []}), "'a': has"),
        (json.dumps(ROLES | {"a": {"permission": []}}), "'a': has"),
        (json.dumps(ROLES | {"a": {"permissions": ["all"]}}), "'a': 'all' grants nothing"),
        (json.dumps(ROLES | {"a": {"permissions": "b:c"}}), "'a': has"),
        (json.dumps(ROLES | {"a": {"inherits": ["b"]}}), "'a': inherits from 'b'"),
        (json.dumps(ROLES | {"a": {"requires": {"acr": "aal3"}}}), "'a': has"),
        (json.dumps(ROLES | {"a": {"requires": {"acr": "aal2", "max_age": 5}}}), "'a': has"),
        (json.dumps(ROLES | {"a": {"requires": ["aal2"]}}), "'a': has"),
        (json.dumps(ROLES | {"a": {"requires": {}}}), "'a': has"),
        (json.dumps(ROLES | {"a": {"requires": {"acr": None}}}), "'a': has"),
        (json.dumps(ROLES | {"a": {"requires": {"healthy_provider": []}}}), "'a': has"),
        (json.dumps(ROLES | {"a": {"requires": {"healthy_provider": "trading:order"}}}), "'a': has"),
        (json.dumps(ROLES | {"a": {"requires": {"healthy_provider": ["orders"]}}}), "'a': 'orders' grants nothing"),
        (json.dumps(ROLES | {"a": {"requires": {"approval": {}}}}), "'a': has"),
        (json.dumps(ROLES | {"a": {"requires": {"approval": ["trading:order"]}}}), "'a': has"),
        (json.dumps(ROLES | {"a": {"inherits": ["b"]}, "b": {"inherits": ["a"]}}), "'a': inherits from itself"),
    ],
)
def test_documents_that_cannot_be_used(document, blamed):
    with pytest.raises(PolicyError, match=blamed):
        Policy(document)


def test_rules_about_approvals_are_for_the_service_and_the_edge():
    rules = [{"permission": "trading:order", "keys": True, "notional_above": "100000"}]
    policy = Policy(json.dumps(ROLES | {"desk": {"permissions": ["trading:*"], "requires": {"approval": rules}}}))
    assert policy.allows(["desk"], Permission.parse("trading:order"))
