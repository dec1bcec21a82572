"""Which roles exist and what they allow: the document `ROLE_DEFINITIONS`, as the service and the edge read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from typing import TYPE_CHECKING, Any

from portcullis import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcullis.caller import Caller

_WORD = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_MEMBERS = frozenset({"inherits", "permissions", "services"})
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
        own = {name: _grants(name, role) for name, role in roles.items()}
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
        if not isinstance(role, dict) or not role.keys() <= _MEMBERS or not all(map(_is_list, role.values())):
            raise PolicyError(f"role {name!r}: has `inherits`, `permissions` and `services`, lists of texts, alone")
    for name in _REQUIRED:
        if name not in roles:
            raise PolicyError(f"role {name!r}: is missing")
    return roles


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _grants(name: str, role: dict[str, Any]) -> list[Grant]:
    try:
        return [Grant.parse(text) for text in role.get("permissions", [])]
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
