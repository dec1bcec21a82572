"""Which roles exist and what they allow: the document `ROLE_DEFINITIONS`, as the service and the edge read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from typing import TYPE_CHECKING, Any

from portcullis import strict_json
from portcullis.claims import ASSURANCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcullis.caller import Caller

_WORD = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_MEMBERS = frozenset({"inherits", "permissions", "services"})
_REQUIRES = "requires"
_NEEDS = frozenset({"acr", "approval", "healthy_provider"})
_REQUIRED = ("user", "admin")

NEVER_WITH_A_KEY = frozenset({"api-key", "mfa", "password", "session"})
"""Resources that no API key acts on, whatever its owner may."""


class PolicyError(ValueError):
    """The document cannot be used; the text names the role at fault."""


class Decision(str, Enum):
    """Whether something may be done, and why: the words of `/v1/authz/check`."""

    GRANTED = "granted"
    NOT_GRANTED_BY_ROLES = "not_granted_by_roles"
    OUTSIDE_SCOPES = "outside_scopes"
    NEVER_WITH_API_KEY = "never_with_api_key"
    INSUFFICIENT_USER_AUTHENTICATION = "insufficient_user_authentication"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    APPROVAL_REQUIRED = "approval_required"


@dataclass(frozen=True)
class Permission:
    """One action on one kind of resource. It has no wildcard, so that nobody can ask for "anything"."""

    resource: str
    action: str

    @classmethod
    def parse(cls, text: str) -> Permission:
        """Read `resource:action`. Raise `ValueError` for anything else."""
        resource, _, action = text.partition(":")
        if not _WORD.fullmatch(resource) or not _WORD.fullmatch(action):
            raise ValueError(f"a permission is written `resource:action`, and not {text!r}")
        return cls(resource, action)

    def __str__(self) -> str:
        return f"{self.resource}:{self.action}"


@dataclass(frozen=True)
class Grant:
    """What a role or a scope gives: a permission either half of which may be `*`."""

    resource: str
    action: str

    @classmethod
    def parse(cls, text: str) -> Grant:
        """Read `resource:action`. Raise `ValueError` for anything else."""
        resource, colon, action = text.partition(":")
        if not colon or any(half != "*" and not _WORD.fullmatch(half) for half in (resource, action)):
            raise ValueError(f"{text!r} grants nothing")
        return cls(resource, action)

    def covers(self, permission: Permission) -> bool:
        """Return whether this gives that permission."""
        return self.resource in ("*", permission.resource) and self.action in ("*", permission.action)

    def __str__(self) -> str:
        return f"{self.resource}:{self.action}"


class Policy:
    """Roles and what they allow with all they inherit. A role that it does not know allows nothing."""

    def __init__(self, document: str | bytes | None = None) -> None:
        """Read a document, or the one that ships. Raise `PolicyError` for one that cannot be used."""
        if document is None:
            document = (resources.files("portcullis") / "default_policy.json").read_bytes()
        roles = _roles(document if isinstance(document, bytes) else document.encode())
        own = {name: _grants(name, role.get("permissions", [])) for name, role in roles.items()}
        # The health of providers is the service's to know (`ServiceClient.check_with_provider`); here it is read alone.
        for name, role in roles.items():
            _grants(name, role.get(_REQUIRES, {}).get("healthy_provider", []))
        self._grants = {
            name: frozenset(grant for role in _lineage(name, roles) for grant in own[role]) for name in roles
        }

    def knows(self, role: str) -> bool:
        """Return whether there is such a role."""
        return role in self._grants

    def allows(self, roles: Iterable[str], permission: Permission) -> bool:
        """Return whether one of the roles grants this."""
        return any(grant.covers(permission) for role in roles for grant in self._grants.get(role, ()))

    def decide(self, caller: Caller, permission: Permission) -> Decision:
        """Return whether a caller may do this: by its roles and, with an API key, within the scopes of the key."""
        if not self.allows(caller.roles, permission):
            return Decision.NOT_GRANTED_BY_ROLES
        if caller.scopes is None:
            return Decision.GRANTED
        if permission.resource in NEVER_WITH_A_KEY:
            return Decision.NEVER_WITH_API_KEY
        is_within = any(scope.covers(permission) for scope in caller.scopes)
        return Decision.GRANTED if is_within else Decision.OUTSIDE_SCOPES


def _roles(document: bytes) -> dict[str, dict[str, Any]]:
    try:
        roles = strict_json.parse_object(document)
    except ValueError as error:
        raise PolicyError(f"the policy is no JSON object of roles: {error}") from None
    for name, role in roles.items():
        if not _WORD.fullmatch(name):
            raise PolicyError(f"role {name!r}: a name is a lower-case word")
        if not isinstance(role, dict) or not _is_role(role):
            members = (
                "`inherits`, `permissions`, `services`, lists, and `requires`: `acr`, `healthy_provider`, `approval`"
            )
            raise PolicyError(f"role {name!r}: has {members}")
    for name in _REQUIRED:
        if name not in roles:
            raise PolicyError(f"role {name!r}: is missing")
    return roles


def _is_role(role: dict[str, Any]) -> bool:
    lists = {member: value for member, value in role.items() if member != _REQUIRES}
    is_need = _is_need(role.get(_REQUIRES, {"acr": ASSURANCE[0]}))
    return is_need and lists.keys() <= _MEMBERS and all(map(_is_list, lists.values()))


def _is_need(requires: object) -> bool:
    if not isinstance(requires, dict) or not requires.keys() <= _NEEDS:
        return False
    acr, permissions = requires.get("acr"), requires.get("healthy_provider", [])
    approval = requires.get("approval")
    is_something = acr is not None or bool(permissions) or approval is not None
    # Whether an order needs an approval, the service and the edge decide; here the rules are passed over.
    is_rules = approval is None or (isinstance(approval, list) and all(isinstance(rule, dict) for rule in approval))
    return is_something and (acr is None or acr in ASSURANCE) and _is_list(permissions) and is_rules


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _grants(name: str, permissions: list[str]) -> list[Grant]:
    try:
        return [Grant.parse(text) for text in permissions]
    except ValueError as error:
        raise PolicyError(f"role {name!r}: {error}") from None


def _lineage(name: str, roles: dict[str, dict[str, Any]]) -> list[str]:
    """Return a role and all it inherits from, each once. The list grows while it is read."""
    lineage = [name]
    for heir in lineage:
        for parent in roles[heir].get("inherits", []):
            if parent not in roles:
                raise PolicyError(f"role {heir!r}: inherits from {parent!r}, which is not defined")
            if parent == name:
                raise PolicyError(f"role {name!r}: inherits from itself by way of {heir!r}")
            if parent not in lineage:
                lineage.append(parent)
    return lineage
